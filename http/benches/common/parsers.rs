//! The parsers, compared. Each takes one head and returns its length in bytes.
//!
//! | parser | what it does with a head |
//! |---|---|
//! | `stampede` | all that a server needs: [`Connection::next`], with the rules for Host and framing |
//! | `httparse` | splits and validates names, values and target; slots are not filled beforehand |
//! | `picohttpparser` | splits and validates names and values; takes nearly any method and target |
//!
//! No parser's memory is prepared again for a head: the state is created once and reused, and
//! httparse's slots are uninitialised memory on the stack.

use std::hint::black_box;
use std::mem::MaybeUninit;

use stampede_http::{Connection, Event, Head, Limits};

/// Fields that each parser has room for.
pub const FIELDS_MAX: usize = 100;

/// A parser of request heads.
pub trait Parser {
    const NAME: &str;

    /// Parses the head that `bytes` begins with. Returns its length.
    ///
    /// # Panics
    /// When it is not a complete head: the inputs are.
    fn head(&mut self, bytes: &[u8]) -> usize;
}

/// Parses every head of `bytes`, `times` times.
#[inline(never)]
pub fn parse_all(parser: &mut impl Parser, bytes: &[u8], times: usize) {
    for _ in 0..times {
        let mut rest = black_box(bytes);
        while !rest.is_empty() {
            rest = &rest[parser.head(rest)..];
        }
    }
}

/// The parser of this crate, as a server uses it.
pub struct Stampede {
    connection: Connection,
    head: Head,
    limits: Limits,
}

impl Stampede {
    pub fn new() -> Self {
        let limits = Limits::default();
        assert_eq!(limits.fields(), FIELDS_MAX);
        Stampede { connection: Connection::new(), head: Head::new(&limits), limits }
    }
}

impl Parser for Stampede {
    const NAME: &str = "stampede";

    #[inline(always)]
    fn head(&mut self, bytes: &[u8]) -> usize {
        match self.connection.next(bytes, &mut self.head, &self.limits) {
            Ok(step) if step.event == Event::Head => {
                black_box(&self.head);
                step.consumed
            }
            other => panic!("stampede: {other:?}"),
        }
    }
}

/// httparse, used in its fastest way.
pub struct Httparse;

impl Parser for Httparse {
    const NAME: &str = "httparse";

    #[inline(always)]
    fn head(&mut self, bytes: &[u8]) -> usize {
        let mut slots = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut slots) {
            Ok(httparse::Status::Complete(len)) => {
                black_box(&request);
                len
            }
            other => panic!("httparse: {other:?}"),
        }
    }
}
