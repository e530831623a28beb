//! Arguments and environment into [`Options`].
//!
//! ```text
//! environment ──► given (by entry) ◄── arguments win        then: defaults ◄── apply ◄── given
//! ```
//!
//! Nothing is applied before everything is gathered, so that an argument silences a wrong variable.
//! A variable that begins with STAMPEDE_ and is not ours is ignored: Kubernetes sets
//! `STAMPEDE_SERVICE_HOST` and the like for a service of this name.

use std::ffi::{OsStr, OsString};

use lexopt::Arg;

use super::error::{Fault, OptionsError};
use super::table::{self, Entry, Setter, entries};
use super::{ListenAddr, LogFormat, LogTarget, Options, Parsed, help, listen_fds};
use crate::model::ModelInfo;
use crate::operation::inherited;

/// A slack beyond the head that a buffer must have: where the response's head begins to be written.
const HEAD_SLACK: usize = 1024;
/// The same beyond the target: a redirect repeats it.
const TARGET_SLACK: usize = 4096;

/// The values that somebody gave one entry, and under what name.
struct Given {
    entry: &'static Entry,
    setting: String,
    values: Vec<OsString>,
    /// From the environment: an argument replaces it.
    by_variable: bool,
}

impl Options {
    /// Reads the arguments (without the program's name) and, by `env`, the environment.
    ///
    /// # Errors
    /// The first setting that cannot be taken, with the cause and the mend.
    pub fn from_env_and_args(
        info: &ModelInfo,
        args: impl IntoIterator<Item = OsString>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Parsed, OptionsError> {
        let mut given = from_env(info, &env);
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next().map_err(|error| unreadable(&error))? {
            let flag = match arg {
                Arg::Short('h') | Arg::Long("help") => return Ok(Parsed::Help(help::text(info))),
                Arg::Short('V') | Arg::Long("version") => {
                    return Ok(Parsed::Version(version(info)));
                }
                Arg::Short(letter) => return Err(help::unknown(info, &format!("-{letter}"))),
                Arg::Value(word) => return Err(stray(&word)),
                Arg::Long(name) => name.to_owned(),
            };
            one_argument(info, &flag, &mut parser, &mut given)?;
        }
        let mut options = apply(&given)?;
        let passed = listen_fds(&env).map(ListenAddr::Fd);
        if given.iter().any(|given| given.entry.flag == "listen") {
            options.unused = passed.filter(|addr| !options.listen.contains(addr)).collect();
        } else {
            // systemd's, or those that systemd gave the process that this one replaces.
            let mut inherited = inherited::numbered(&env);
            inherited.extend(passed);
            if !inherited.is_empty() {
                options.listen = inherited;
            }
        }
        options.check()?;
        Ok(Parsed::Run(Box::new(options)))
    }

    /// Checks what several options together must satisfy.
    ///
    /// # Errors
    /// The option to change.
    pub fn check(&self) -> Result<(), OptionsError> {
        let limits = &self.limits;
        let least = (limits.head + HEAD_SLACK).max(limits.target + TARGET_SLACK);
        if self.buffers.size < least {
            let cause = format!(
                "a buffer must hold a head ({} bytes) and {HEAD_SLACK} more, \
                 or a target ({} bytes) and {TARGET_SLACK} more",
                limits.head, limits.target
            );
            let hint = format!("At least {least}, or lower --max-head and --max-target");
            let size = Some(self.buffers.size.to_string());
            return Err(Fault::new(cause, hint).of("--buffer-size", size));
        }
        if let (LogFormat::Off, LogTarget::File(path)) = (self.log.format, &self.log.target) {
            let hint = "Add --access-log common, combined or json, or leave the file out";
            let fault = Fault::new("the access log is off, so nothing goes there", hint);
            return Err(fault.of("--log-file", Some(path.display().to_string())));
        }
        self.operation.check().map_err(|(flag, fault)| fault.of(flag, None))
    }
}

/// What the environment gives.
fn from_env(info: &ModelInfo, env: &impl Fn(&str) -> Option<OsString>) -> Vec<Given> {
    let variable = |name: &str| env(name).filter(|text| !text.is_empty());
    let mut given = Vec::new();
    for entry in entries(info.name) {
        let mut add = |setting: String, values| {
            given.push(Given { entry, setting, values, by_variable: true });
        };
        if let Some(text) = variable(&entry.variable()) {
            add(entry.variable(), table::split_variable(entry, text));
        }
        let Some(off) = entry.variable_off() else {
            continue;
        };
        if let Some(text) = variable(&off) {
            add(off, vec![inverted(&text)]);
        }
    }
    given
}

/// `STAMPEDE_NO_STATUS=on` means `STAMPEDE_STATUS=off`; what is neither is left for the error.
fn inverted(text: &OsStr) -> OsString {
    match text.to_str().map(super::value::switch) {
        Some(Ok(true)) => "off".into(),
        Some(Ok(false)) => "on".into(),
        _ => text.to_owned(),
    }
}

/// Adds one flag and its value, if it takes one, to what was given.
fn one_argument(
    info: &ModelInfo,
    flag: &str,
    parser: &mut lexopt::Parser,
    given: &mut Vec<Given>,
) -> Result<(), OptionsError> {
    let setting = format!("--{flag}");
    let (entry, negated) = find(info, flag).ok_or_else(|| help::unknown(info, &setting))?;
    let value = match entry.setter {
        Setter::Switch(_) => {
            let text = parser.optional_value().unwrap_or_else(|| "on".into());
            if negated { inverted(&text) } else { text }
        }
        _ => value_of(entry, &setting, parser)?,
    };
    given.retain(|earlier| !(earlier.by_variable && earlier.entry.flag == entry.flag));
    match given.iter_mut().find(|earlier| earlier.entry.flag == entry.flag) {
        Some(earlier) => {
            earlier.setting = setting;
            earlier.values.push(value);
        }
        None => given.push(Given { entry, setting, values: vec![value], by_variable: false }),
    }
    Ok(())
}

/// The value that must follow; a flag in its place means that it was forgotten.
fn value_of(
    entry: &Entry,
    setting: &str,
    parser: &mut lexopt::Parser,
) -> Result<OsString, OptionsError> {
    let missing = || {
        let hint = format!("Write {setting} {}", entry.value);
        Fault::new("its value is missing", hint).of(setting, None)
    };
    if let Some(text) = parser.optional_value() {
        return Ok(text);
    }
    let value = parser.value().map_err(|_| missing())?;
    if value.as_encoded_bytes().starts_with(b"--") { Err(missing()) } else { Ok(value) }
}

/// The entry of a flag, and whether the flag negates it.
fn find(info: &ModelInfo, flag: &str) -> Option<(&'static Entry, bool)> {
    let named = |name: &str| entries(info.name).find(|entry| entry.flag == name);
    if let Some(entry) = named(flag) {
        return Some((entry, false));
    }
    let entry = named(flag.strip_prefix("no-")?)?;
    matches!(entry.setter, Setter::Switch(_)).then_some((entry, true))
}

/// The defaults, changed as was given. Of a value given twice the last one counts.
fn apply(given: &[Given]) -> Result<Options, OptionsError> {
    let mut options = Options::default();
    for Given { entry, setting, values, .. } in given {
        if let Setter::List { clear, .. } = entry.setter {
            clear(&mut options);
        }
        for value in values {
            let shown = || Some(value.to_string_lossy().into_owned());
            entry.set(&mut options, value).map_err(|fault| fault.of(setting, shown()))?;
        }
    }
    if options.root.is_some() && !given.iter().any(|given| given.entry.flag == "demo") {
        options.demo = false;
    }
    Ok(options)
}

fn version(info: &ModelInfo) -> String {
    format!("{} (stampede) {}\n", info.name, env!("CARGO_PKG_VERSION"))
}

/// A word that belongs to no flag: most likely the directory.
fn stray(word: &OsStr) -> OptionsError {
    let word = word.to_string_lossy();
    let hint = format!("To serve a directory, write --root {word}");
    Fault::new("this argument belongs to no option", hint).of(&word, None)
}

/// What lexopt itself refuses: `-h=x` and the like.
fn unreadable(error: &lexopt::Error) -> OptionsError {
    Fault::new(error.to_string(), "See --help").of("arguments", None)
}
