//! Parses arguments and environment into [`Options`].
//!
//! ```text
//! environment ──► given (by entry) ◄── arguments win        then: defaults ◄── apply ◄── given
//! ```
//!
//! Nothing is applied until everything is collected, so that an argument overrides even an invalid
//! variable. Unknown variables that begin with STAMPEDE_ are ignored: Kubernetes sets
//! `STAMPEDE_SERVICE_HOST` and the like for a service of this name.

use std::ffi::{OsStr, OsString};

use lexopt::Arg;

use super::error::{Fault, OptionsError};
use super::list::entries;
use super::table::{self, Entry, Model, Setter, Takes};
use super::{ListenAddr, LogFormat, LogTarget, Options, Parsed, help, passed};
use crate::model::ModelInfo;

/// Space that a buffer needs beyond the request's head, for the beginning of the response's head.
const HEAD_SLACK: usize = 1024;
/// Space that it needs beyond the target, which a redirect repeats.
const TARGET_SLACK: usize = 4096;

/// The values given for one entry, and under what name.
struct Given {
    entry: &'static Entry,
    setting: String,
    values: Vec<OsString>,
    /// Whether it is from the environment, where an argument replaces it.
    by_variable: bool,
}

impl Options {
    /// Parses the arguments (without the program's name) and, through `env`, the environment, for
    /// one of `all` models.
    ///
    /// # Errors
    /// The first invalid setting, with the cause and the fix.
    pub fn from_env_and_args(
        info: &ModelInfo,
        all: &[Takes],
        args: impl IntoIterator<Item = OsString>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Parsed, OptionsError> {
        let model = Model { info, all };
        let mut given = from_env(model, &env);
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next().map_err(|error| unreadable(&error))? {
            let flag = match arg {
                Arg::Short('h') | Arg::Long("help") => return Ok(Parsed::Help(help::text(model))),
                Arg::Short('V') | Arg::Long("version") => {
                    return Ok(Parsed::Version(version(info)));
                }
                Arg::Short(letter) => return Err(help::unknown(model, &format!("-{letter}"))),
                Arg::Value(word) => return Err(stray(&word)),
                Arg::Long(name) => name.to_owned(),
            };
            one_argument(model, &flag, &mut parser, &mut given)?;
        }
        let mut options = apply(&given)?;
        let by_systemd = passed::listen_fds(&env).map(ListenAddr::Fd);
        if given.iter().any(|given| given.entry.flag == "listen") {
            options.unused = by_systemd.filter(|addr| !options.listen.contains(addr)).collect();
        } else {
            // From systemd, or from systemd by way of the process that this one replaces.
            let mut inherited = passed::numbered(&env);
            inherited.extend(by_systemd);
            if !inherited.is_empty() {
                options.listen = inherited;
            }
        }
        options.check()?;
        Ok(Parsed::Run(Box::new(options)))
    }

    /// Checks constraints between several options.
    ///
    /// # Errors
    /// The option to change.
    pub fn check(&self) -> Result<(), OptionsError> {
        let limits = &self.limits;
        let least = (limits.head + HEAD_SLACK).max(limits.target + TARGET_SLACK);
        if self.buffers.size < least {
            let cause = format!(
                "must be at least {least}, to hold a head ({} bytes) and {HEAD_SLACK} more, \
                 or a target ({} bytes) and {TARGET_SLACK} more",
                limits.head, limits.target
            );
            let hint = "or lower --max-head and --max-target";
            let size = Some(self.buffers.size.to_string());
            return Err(Fault::new(cause, hint).of("--buffer-size", size));
        }
        if let (LogFormat::Off, LogTarget::File(path)) = (self.log.format, &self.log.target) {
            let hint = "add --access-log common, combined or json";
            let fault = Fault::new("the access log is off", hint);
            return Err(fault.of("--log-file", Some(path.display().to_string())));
        }
        self.operation.check().map_err(|(flag, fault)| fault.of(flag, None))
    }
}

/// The settings from the environment.
fn from_env(model: Model<'_>, env: &impl Fn(&str) -> Option<OsString>) -> Vec<Given> {
    let variable = |name: &str| env(name).filter(|text| !text.is_empty());
    let mut given = Vec::new();
    for entry in entries(model) {
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

/// `STAMPEDE_NO_STATUS=on` means `STAMPEDE_STATUS=off`; other values stay, for the error message.
fn inverted(text: &OsStr) -> OsString {
    match text.to_str().map(super::value::switch) {
        Some(Ok(true)) => "off".into(),
        Some(Ok(false)) => "on".into(),
        _ => text.to_owned(),
    }
}

/// Adds one flag, and its value if it takes one, to `given`.
fn one_argument(
    model: Model<'_>,
    flag: &str,
    parser: &mut lexopt::Parser,
    given: &mut Vec<Given>,
) -> Result<(), OptionsError> {
    let setting = format!("--{flag}");
    let (entry, negated) = find(model, flag).ok_or_else(|| help::unknown(model, &setting))?;
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

/// The value that must follow; a flag in its place means that the value is missing.
fn value_of(
    entry: &Entry,
    setting: &str,
    parser: &mut lexopt::Parser,
) -> Result<OsString, OptionsError> {
    let missing = || {
        let hint = format!("expected {setting} {}", entry.value);
        Fault::new("missing value", hint).of(setting, None)
    };
    if let Some(text) = parser.optional_value() {
        return Ok(text);
    }
    let value = parser.value().map_err(|_| missing())?;
    if value.as_encoded_bytes().starts_with(b"--") { Err(missing()) } else { Ok(value) }
}

/// The entry of a flag, and whether the flag negates it.
fn find(model: Model<'_>, flag: &str) -> Option<(&'static Entry, bool)> {
    let named = |name: &str| entries(model).find(|entry| entry.flag == name);
    if let Some(entry) = named(flag) {
        return Some((entry, false));
    }
    let entry = named(flag.strip_prefix("no-")?)?;
    matches!(entry.setter, Setter::Switch(_)).then_some((entry, true))
}

/// The defaults with the given values applied. Of a value given twice, the last one counts.
fn apply(given: &[Given]) -> Result<Options, OptionsError> {
    let mut options = Options::default();
    for Given { entry, setting, values, .. } in given {
        if let Setter::List { clear, .. } | Setter::Rules { clear, .. } = entry.setter {
            clear(&mut options);
        }
        for value in values {
            let shown = || Some(value.to_string_lossy().into_owned());
            entry.set(&mut options, value).map_err(|fault| fault.of(setting, shown()))?;
        }
    }
    if options.content.root.is_some() && !given.iter().any(|given| given.entry.flag == "demo") {
        options.content.demo = false;
    }
    Ok(options)
}

fn version(info: &ModelInfo) -> String {
    format!("{} (stampede) {}\n", info.name, env!("CARGO_PKG_VERSION"))
}

/// A word without a flag: most likely the directory to serve.
fn stray(word: &OsStr) -> OptionsError {
    let word = word.to_string_lossy();
    let hint = format!("to serve a directory, use --root {word}");
    Fault::new("unexpected argument", hint).of(&word, None)
}

/// What lexopt itself rejects: `-h=x` and the like.
fn unreadable(error: &lexopt::Error) -> OptionsError {
    Fault::new(error.to_string(), "see --help").of("arguments", None)
}
