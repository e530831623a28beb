//! A route's argument, and text as an answer.

use std::fmt::Write as _;

use http::Status;

use crate::app::Response;
use crate::site::digits;

/// Text that no browser takes for anything else: an echoed request may hold anybody's markup.
pub(super) const TEXT: [(&str, &str); 2] =
    [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")];

/// A number in the query: its name, the default and the most that is allowed.
pub(super) struct Argument {
    pub name: &'static str,
    pub unit: &'static str,
    pub default: u64,
    pub max: u64,
}

impl Argument {
    /// The argument in `query`: the default when it is not there, `None` when it is not allowed.
    pub fn of(&self, query: Option<&[u8]>) -> Option<u64> {
        let given = query
            .unwrap_or_default()
            .split(|&byte| byte == b'&')
            .find_map(|pair| pair.strip_prefix(self.name.as_bytes())?.strip_prefix(b"="));
        match given {
            None => Some(self.default),
            Some(text) => digits(text).filter(|&number| number <= self.max),
        }
    }

    /// Answers 400 and says what is allowed. The value itself is not repeated.
    pub fn refuse(&self, response: &mut Response<'_>) {
        let Argument { name, unit, default, max } = self;
        let mut text = String::with_capacity(128);
        let _ = writeln!(
            text,
            "400 Bad Request\n\n{name} must be a whole number of {unit} from 0 to {max} \
             (without one: {default})."
        );
        let [kind, nosniff] = TEXT;
        response
            .start(Status::BAD_REQUEST)
            .field(kind.0, kind.1)
            .field(nosniff.0, nosniff.1)
            .bytes(text.as_bytes());
    }
}

/// A line of text.
pub(super) fn say(response: &mut Response<'_>, line: std::fmt::Arguments<'_>) {
    let mut text = String::with_capacity(64);
    let _ = text.write_fmt(line);
    response.start(Status::OK).field(TEXT[0].0, TEXT[0].1).bytes(text.as_bytes());
}
