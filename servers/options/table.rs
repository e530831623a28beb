//! What an option is: a flag, its help, and the field of [`Options`] it sets.
//!
//! The options themselves are in `list.rs`. A switch is named after what it turns on; `--no-NAME`
//! turns it off, and the help shows the form that changes the default.

use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Fault;
use super::{Options, value};
use crate::model::ModelInfo;

/// A number's setter: the range is checked before the conversion narrows it.
macro_rules! number {
    ($allowed:expr, $($field:ident).+ : $type:ty) => {
        $crate::options::table::Number {
            allowed: $allowed,
            get: |options| options.$($field).+ as u64,
            set: |options, n| options.$($field).+ = n as $type,
        }
    };
}

/// A time whose zero means "without limit", or "at once".
macro_rules! time {
    ($longest:expr, $($field:ident).+) => {
        $crate::options::table::Setter::Time {
            longest: $longest,
            get: |options| Some(options.$($field).+),
            set: |options, time| options.$($field).+ = time.unwrap_or_default(),
        }
    };
}

pub(super) use {number, time};

/// The upper bound of most times.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// One option.
pub(super) struct Entry {
    /// Its flag without the dashes: `head-timeout`.
    pub flag: &'static str,
    /// Placeholder for its value in the help; empty for a switch.
    pub value: &'static str,
    /// What it does; the help adds the default.
    pub help: &'static str,
    /// Where its value goes.
    pub setter: Setter,
}

/// Where a value goes, and how it is read and shown.
pub(super) enum Setter {
    Switch(fn(&mut Options) -> &mut bool),
    Size(Number),
    Count(Number),
    Time {
        longest: Duration,
        get: fn(&Options) -> Option<Duration>,
        set: fn(&mut Options, Option<Duration>),
    },
    /// One value that is none of the above.
    Other {
        get: fn(&Options) -> String,
        set: fn(&mut Options, &OsStr) -> Result<(), Fault>,
    },
    /// Repeatable; in the environment separated by commas. The first value clears the default.
    List {
        get: fn(&Options) -> String,
        clear: fn(&mut Options),
        add: fn(&mut Options, &OsStr) -> Result<(), Fault>,
    },
    /// The same for values with commas in them: in the environment separated by semicolons.
    Rules {
        get: fn(&Options) -> String,
        clear: fn(&mut Options),
        add: fn(&mut Options, &OsStr) -> Result<(), Fault>,
    },
}

/// A field that holds a number of any integer type.
pub(super) struct Number {
    pub allowed: RangeInclusive<u64>,
    pub get: fn(&Options) -> u64,
    pub set: fn(&mut Options, u64),
}

/// A heading of the help and its options.
pub(super) struct Group {
    pub title: &'static str,
    /// `None`: every model has them.
    pub group: Option<OptionGroup>,
    pub entries: &'static [Entry],
}

/// Options that only some models have.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum OptionGroup {
    /// Worker threads fed by rings.
    Threads,
    /// Worker processes.
    Processes,
    /// One thread per connection.
    PerConnection,
    /// One child process per connection.
    ChildPerConnection,
    /// Worker processes with a fixed number of threads.
    Pool,
    /// Stages, each with a queue and a pool of threads.
    Stages,
    /// Green threads on a few carriers.
    Fibers,
}

/// A model's name and its option groups.
pub type Takes = (&'static str, &'static [OptionGroup]);

/// The model whose options are parsed, and all models with theirs.
#[derive(Copy, Clone)]
pub(super) struct Model<'m> {
    pub info: &'m ModelInfo,
    pub all: &'m [Takes],
}

impl Model<'_> {
    /// Whether the model has these options.
    pub fn takes(&self, group: &Group) -> bool {
        let mut ours = self.all.iter().filter(|(name, _)| *name == self.info.name);
        group.group.is_none_or(|group| ours.any(|(_, groups)| groups.contains(&group)))
    }
}

impl Entry {
    /// `STAMPEDE_HEAD_TIMEOUT`
    pub fn variable(&self) -> String {
        format!("STAMPEDE_{}", self.flag.to_ascii_uppercase().replace('-', "_"))
    }

    /// `STAMPEDE_NO_STATUS`: a switch can also be set by its negation.
    pub fn variable_off(&self) -> Option<String> {
        let off = || format!("STAMPEDE_NO_{}", self.flag.to_ascii_uppercase().replace('-', "_"));
        matches!(self.setter, Setter::Switch(_)).then(off)
    }

    /// The value in `options`, as the help shows it.
    pub fn show(&self, options: &Options) -> String {
        match &self.setter {
            Setter::Switch(field) => {
                let on = *field(&mut options.clone());
                (if on { "on" } else { "off" }).to_owned()
            }
            Setter::Size(number) => value::show_size((number.get)(options)),
            Setter::Count(number) => (number.get)(options).to_string(),
            Setter::Time { get, .. } => value::show_time(get(options)),
            Setter::Other { get, .. } | Setter::List { get, .. } | Setter::Rules { get, .. } => {
                get(options)
            }
        }
    }

    /// Reads one value into `options`.
    pub fn set(&self, options: &mut Options, text: &OsStr) -> Result<(), Fault> {
        match &self.setter {
            Setter::Switch(field) => *field(options) = value::switch(utf8(text)?)?,
            Setter::Size(number) => {
                number.set(options, value::size(utf8(text)?)?, value::show_size)?
            }
            Setter::Count(number) => {
                number.set(options, value::count(utf8(text)?)?, |n| n.to_string())?;
            }
            Setter::Time { longest, set, .. } => {
                let time = value::time(utf8(text)?)?;
                if time.is_some_and(|time| time > *longest) {
                    let most = value::show_time(Some(*longest));
                    return Err(Fault::without_hint(format!("must be at most {most}")));
                }
                set(options, time);
            }
            Setter::Other { set, .. }
            | Setter::List { add: set, .. }
            | Setter::Rules { add: set, .. } => set(options, text)?,
        }
        Ok(())
    }
}

impl Number {
    fn set(&self, options: &mut Options, n: u64, show: fn(u64) -> String) -> Result<(), Fault> {
        let (least, most) = (*self.allowed.start(), *self.allowed.end());
        if n < least {
            return Err(Fault::without_hint(format!("must be at least {}", show(least))));
        }
        if n > most {
            return Err(Fault::without_hint(format!("must be at most {}", show(most))));
        }
        (self.set)(options, n);
        Ok(())
    }
}

pub(super) fn utf8(text: &OsStr) -> Result<&str, Fault> {
    text.to_str().ok_or_else(|| Fault::without_hint("not valid UTF-8"))
}

/// The values of a variable: commas separate the elements of a list, semicolons those of rules.
pub(super) fn split_variable(entry: &Entry, text: OsString) -> Vec<OsString> {
    let separator = match entry.setter {
        Setter::List { .. } => ',',
        Setter::Rules { .. } => ';',
        _ => return vec![text],
    };
    match text.to_str() {
        Some(list) => list.split(separator).map(|one| OsString::from(one.trim())).collect(),
        None => vec![text],
    }
}
