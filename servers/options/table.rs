//! What an option is: a flag, its help, and the field of [`Options`] it sets.
//!
//! The options themselves are in `list.rs`. A switch is named by what it turns on; `--no-NAME`
//! turns it off, and the help shows whichever changes the default.

use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Fault;
use super::list::GROUPS;
use super::{Options, value};

/// One option.
pub(super) struct Entry {
    /// Its flag without the dashes: `head-timeout`.
    pub flag: &'static str,
    /// What stands for its value in the help; empty for a switch.
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
}

/// A field that holds a number, of whatever type.
pub(super) struct Number {
    pub allowed: RangeInclusive<u64>,
    pub get: fn(&Options) -> u64,
    pub set: fn(&mut Options, u64),
}

/// A heading of the help and what stands under it.
pub(super) struct Group {
    pub title: &'static str,
    /// The models that take them; none named: all.
    pub models: &'static [&'static str],
    pub entries: &'static [Entry],
}

impl Group {
    /// Whether the model called so takes its options.
    pub fn is_for(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.contains(&model)
    }
}

impl Entry {
    /// `STAMPEDE_HEAD_TIMEOUT`
    pub fn variable(&self) -> String {
        format!("STAMPEDE_{}", self.flag.to_ascii_uppercase().replace('-', "_"))
    }

    /// `STAMPEDE_NO_STATUS`: a switch is also known by its opposite.
    pub fn variable_off(&self) -> Option<String> {
        let off = || format!("STAMPEDE_NO_{}", self.flag.to_ascii_uppercase().replace('-', "_"));
        matches!(self.setter, Setter::Switch(_)).then(off)
    }

    /// Its value in `options`, as the help shows it.
    pub fn show(&self, options: &Options) -> String {
        match &self.setter {
            Setter::Switch(field) => {
                let on = *field(&mut options.clone());
                (if on { "on" } else { "off" }).to_owned()
            }
            Setter::Size(number) => value::show_size((number.get)(options)),
            Setter::Count(number) => (number.get)(options).to_string(),
            Setter::Time { get, .. } => value::show_time(get(options)),
            Setter::Other { get, .. } | Setter::List { get, .. } => get(options),
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
                    return Err(Fault::new("this is too long", format!("At most {most}")));
                }
                set(options, time);
            }
            Setter::Other { set, .. } | Setter::List { add: set, .. } => set(options, text)?,
        }
        Ok(())
    }
}

impl Number {
    fn set(&self, options: &mut Options, n: u64, show: fn(u64) -> String) -> Result<(), Fault> {
        let (least, most) = (*self.allowed.start(), *self.allowed.end());
        if n < least {
            return Err(Fault::new("this is too little", format!("At least {}", show(least))));
        }
        if n > most {
            return Err(Fault::new("this is too much", format!("At most {}", show(most))));
        }
        (self.set)(options, n);
        Ok(())
    }
}

pub(super) fn utf8(text: &OsStr) -> Result<&str, Fault> {
    text.to_str().ok_or_else(|| Fault::new("this is not UTF-8", "Write plain text"))
}

/// All entries of a model, in the order of the help.
pub(super) fn entries(model: &str) -> impl Iterator<Item = &'static Entry> {
    GROUPS.iter().filter(move |group| group.is_for(model)).flat_map(|group| group.entries)
}

/// The models that take this flag, where the model in question does not.
pub(super) fn models_with(flag: &str) -> Vec<&'static str> {
    let has = |group: &&Group| group.entries.iter().any(|entry| entry.flag == flag);
    GROUPS.iter().filter(has).flat_map(|group| group.models).copied().collect()
}

/// The values of a variable: lists are separated by commas.
pub(super) fn split_variable(entry: &Entry, text: OsString) -> Vec<OsString> {
    match (&entry.setter, text.to_str()) {
        (Setter::List { .. }, Some(list)) => {
            list.split(',').map(|one| OsString::from(one.trim())).collect()
        }
        _ => vec![text],
    }
}
