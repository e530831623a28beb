//! What is wrong with an option: the flag (or the variable), the value, the cause and the mend.

use std::fmt;

/// An option that could not be taken. Its text names the flag and says how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    /// `--head-timeout` or `STAMPEDE_HEAD_TIMEOUT`, as it was given.
    pub setting: String,
    /// The value, when there was one.
    pub value: Option<String>,
    /// What is wrong with it.
    pub cause: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.setting)?;
        if let Some(value) = &self.value {
            // Debug escapes what a terminal should not see and shows where a value ends.
            write!(f, " {value:?}")?;
        }
        write!(f, ": {}. {}.", self.cause, self.hint)
    }
}

impl std::error::Error for OptionsError {}

/// What is wrong with a value, before it is known which option it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub cause: String,
    pub hint: String,
}

impl Fault {
    pub fn new(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { cause: cause.into(), hint: hint.into() }
    }

    /// Joins the fault with the option that it belongs to.
    pub fn of(self, setting: &str, value: Option<String>) -> OptionsError {
        OptionsError { setting: setting.to_owned(), value, cause: self.cause, hint: self.hint }
    }
}
