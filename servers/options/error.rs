//! What is wrong with an option: the flag (or the variable), the value, the cause and the fix.

use std::fmt;

/// A rejected option. Its text names the flag and says how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    /// `--head-timeout` or `STAMPEDE_HEAD_TIMEOUT`, as it was given.
    pub setting: String,
    /// The value, when there was one.
    pub value: Option<String>,
    /// What is wrong with it.
    pub cause: String,
    /// What to write instead; may be empty.
    pub hint: String,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.setting)?;
        if let Some(value) = &self.value {
            // Debug shows where a value with spaces ends, and escapes control characters.
            match !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()) {
                true => write!(f, " {value}")?,
                false => write!(f, " {value:?}")?,
            }
        }
        write!(f, ": {}", self.cause)?;
        match self.hint.is_empty() {
            true => Ok(()),
            false => write!(f, "; {}", self.hint),
        }
    }
}

impl std::error::Error for OptionsError {}

/// What is wrong with a value, not yet attached to its option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub cause: String,
    pub hint: String,
}

impl Fault {
    pub fn new(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { cause: cause.into(), hint: hint.into() }
    }

    /// A cause that already says what would be right.
    pub fn without_hint(cause: impl Into<String>) -> Self {
        Fault::new(cause, "")
    }

    /// A value outside the set or range described by `expected`.
    pub fn invalid(expected: impl fmt::Display) -> Self {
        Fault::new("invalid value", format!("expected {expected}"))
    }

    /// Attaches the option that the fault belongs to.
    pub fn of(self, setting: &str, value: Option<String>) -> OptionsError {
        OptionsError { setting: setting.to_owned(), value, cause: self.cause, hint: self.hint }
    }
}
