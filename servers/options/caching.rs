//! Options for caches between the server and its users: `--cache-control`, `--etag`.

use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

use super::Options;
use super::error::Fault;
use super::table::{Entry, Setter, utf8};
use super::value::{name_of, value_of};

/// Instructions to caches, besides the dates of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caching {
    /// The values of Cache-Control, as they were given.
    pub rules: Vec<CacheControl>,
    /// What entity tags are made of.
    pub etag: EtagMode,
}

/// One `--cache-control`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheControl {
    /// The ends of the names that it is for, in lower case with their dots; none: all others.
    extensions: Vec<String>,
    value: Arc<str>,
}

/// What entity tags are made of.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum EtagMode {
    /// Size, modification and change time to the nanosecond: another tag whenever the file may have
    /// changed, and on every node of a cluster.
    #[default]
    Strict,
    /// Size and modification time in whole seconds: the same on every node that has the same files.
    Mtime,
    /// There are none.
    Off,
}

impl Caching {
    /// The value for a file with this name: the first that names its extension, or else the first
    /// that names none.
    pub fn cache_control(&self, name: &[u8]) -> Option<&Arc<str>> {
        let of_name = self.rules.iter().find(|rule| rule.names(name));
        let or_else = || self.rules.iter().find(|rule| rule.extensions.is_empty());
        of_name.or_else(or_else).map(|rule| &rule.value)
    }
}

impl CacheControl {
    fn names(&self, name: &[u8]) -> bool {
        self.extensions.iter().any(|end| {
            let start = name.len().checked_sub(end.len());
            start.is_some_and(|start| name[start..].eq_ignore_ascii_case(end.as_bytes()))
        })
    }
}

impl fmt::Display for CacheControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.extensions.is_empty() {
            true => f.write_str(&self.value),
            false => write!(f, "{}={}", self.extensions.join(","), self.value),
        }
    }
}

pub(super) const CACHE_CONTROL: Entry = Entry {
    flag: "cache-control",
    value: "RULE",
    help: "Cache-Control of files: a value, or one for names with these ends \
           (.css,.js=max-age=3600); repeatable, in the environment separated by semicolons",
    setter: Setter::Rules {
        get: show_rules,
        clear: |options| options.content.caching.rules.clear(),
        add: add_rule,
    },
};

pub(super) const ETAG: Entry = Entry {
    flag: "etag",
    value: "KIND",
    help: "what entity tags are made of: strict (size and all times), mtime (size and modification \
           time, the same on every node) or off",
    setter: Setter::Other {
        get: |options| name_of(&ETAGS, options.content.caching.etag).to_owned(),
        set: |options, text| {
            options.content.caching.etag = value_of(&ETAGS, text)?;
            Ok(())
        },
    },
};

const ETAGS: [(&str, EtagMode); 3] =
    [("strict", EtagMode::Strict), ("mtime", EtagMode::Mtime), ("off", EtagMode::Off)];

fn show_rules(options: &Options) -> String {
    let rules = &options.content.caching.rules;
    match rules.is_empty() {
        true => "none".to_owned(),
        false => rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(";"),
    }
}

fn add_rule(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let text = utf8(text)?;
    let (extensions, value) = match text.split_once('=') {
        Some((ends, value)) if text.starts_with('.') => (extensions(ends)?, value),
        _ => (Vec::new(), text),
    };
    let value = value.trim();
    if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Fault::invalid("directives such as max-age=3600, or .css,.js=max-age=3600"));
    }
    options.content.caching.rules.push(CacheControl { extensions, value: value.into() });
    Ok(())
}

fn extensions(text: &str) -> Result<Vec<String>, Fault> {
    let is_one = |end: &str| {
        end.len() > 1 && end.starts_with('.') && !end.contains(['/', '\0']) && !end.contains(' ')
    };
    let ends: Vec<_> = text.split(',').map(|end| end.trim().to_ascii_lowercase()).collect();
    match ends.iter().all(|end| is_one(end)) {
        true => Ok(ends),
        false => Err(Fault::invalid("extensions with their dots before the equals sign: .css,.js")),
    }
}
