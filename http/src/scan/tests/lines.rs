//! The usual lines, which are read without checks of their own, against a loop that reads byte by
//! byte: right after a protected page and right before one.

use super::super::block::{Cursor, Scanner, Start};
use super::super::dispatch::{Isa, Task};
use super::super::line::{Line, VERSION_BYTES};
use super::super::{TOKEN, VALUE, class_end};
use crate::field_name::{FieldName, WINDOW_BYTES};
use proptest::prelude::*;

/// Where a line begins, where its name ends, and where it ends.
type Places = (usize, usize, usize);

/// The result for a head whose field lines begin at `at`.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    fields: Vec<(Places, FieldName)>,
    /// The first line that is not among them.
    stop: Places,
    host: Option<Places>,
    /// The places where a blank line is.
    blank: Vec<usize>,
    /// What follows each place where a version has room.
    versions: Vec<Vec<u8>>,
}

struct Look<'a> {
    bytes: &'a [u8],
    at: usize,
    room: usize,
}

impl Look<'_> {
    /// Anything beyond the bytes is not distinguished.
    fn places(&self, line: Line) -> Places {
        (line.at, line.name_end, line.end.min(self.bytes.len()))
    }

    fn fields<S: Scanner>(&self, cursor: &mut Cursor<'_, S>) -> (Vec<(Places, FieldName)>, Places) {
        let mut fields = Vec::new();
        let stop = cursor.fast_path_lines(self.at, |line, known| {
            let is_room = fields.len() < self.room;
            if is_room {
                fields.push((self.places(line), known));
            }
            is_room
        });
        (fields, self.places(stop))
    }
}

impl Task for Look<'_> {
    type Output = Seen;

    #[inline(always)]
    fn run<S: Scanner>(self, scanner: S) -> Seen {
        let (start, mut cursor) = Start::new(scanner, self.bytes);
        if self.at > 0 {
            cursor.pass_line(self.at);
        }
        let version = |at| start.version(at).map(|text| text.to_vec());
        let places = 0..self.bytes.len() + 3;
        let host = { cursor }.host_line(self.at).map(|line| self.places(line));
        let blank = places.clone().filter(|&at| cursor.is_blank_line(at)).collect();
        let (fields, stop) = self.fields(&mut cursor);
        Seen { fields, stop, host, blank, versions: places.filter_map(version).collect() }
    }
}

/// The naive oracle.
fn naive(bytes: &[u8], at: usize, room: usize) -> Seen {
    let (fields, stop) = naive_fields(bytes, at, room);
    let host = bytes.get(at..).is_some_and(|rest| rest.starts_with(b"Host: "));
    let places = 0..bytes.len() + 3;
    let version = |at| Some(bytes.get(at..at + VERSION_BYTES)?.to_vec());
    Seen {
        fields,
        stop,
        host: naive_line(bytes, at).filter(|line| host && is_fast_path(bytes, *line)),
        blank: places.clone().filter(|&at| bytes.get(at..at + 2) == Some(b"\r\n")).collect(),
        versions: places.filter_map(version).collect(),
    }
}

fn naive_fields(bytes: &[u8], mut at: usize, room: usize) -> (Vec<(Places, FieldName)>, Places) {
    let mut fields = Vec::new();
    loop {
        let Some(line) = naive_line(bytes, at) else { return (fields, (at, at, at)) };
        let has_window = !fields.is_empty() || at + 3 >= WINDOW_BYTES;
        if fields.len() == room || !has_window || !is_fast_path(bytes, line) {
            return (fields, line);
        }
        let (_, name_end, end) = line;
        fields.push((line, FieldName::of(&bytes[at..name_end])));
        at = end + 2;
    }
}

fn naive_line(bytes: &[u8], at: usize) -> Option<Places> {
    let name_end = class_end(bytes, at, TOKEN);
    (name_end != at).then(|| (at, name_end, class_end(bytes, at, VALUE)))
}

/// `name ":" SP value CRLF`, without more white space.
fn is_fast_path(bytes: &[u8], (_, name_end, end): Places) -> bool {
    let Some(value) = bytes[name_end..end].strip_prefix(b": ") else { return false };
    let is_space = |byte: Option<&u8>| byte.is_none_or(|byte| b" \t".contains(byte));
    bytes[end..].starts_with(b"\r\n") && !is_space(value.first()) && !is_space(value.last())
}

fn check(bytes: &[u8], at: usize, room: usize) {
    let naive = naive(bytes, at, room);
    for isa in Isa::all() {
        let mut seen = isa.run(Look { bytes, at, room });
        // After a line whose LF or CRLF begins a block it is not recognised at once, but like any
        // other.
        if [33, 65, 66].contains(&at) {
            seen.host = seen.host.or(naive.host);
        }
        assert_eq!(seen, naive, "{isa:?} at {at} of {}", bytes.escape_ascii());
    }
}

/// The same where the bytes cannot be left without a fault.
struct Checker {
    #[cfg(target_os = "linux")]
    page: super::protected::Page,
}

impl Checker {
    fn new() -> Self {
        Checker {
            #[cfg(target_os = "linux")]
            page: super::protected::Page::new(),
        }
    }

    #[cfg(target_os = "linux")]
    fn check(&mut self, bytes: &[u8], at: usize, room: usize) {
        let first = self.page.first(bytes.len());
        first.copy_from_slice(bytes);
        check(first, at, room);
        let last = self.page.last(bytes.len());
        last.copy_from_slice(bytes);
        check(last, at, room);
    }

    #[cfg(not(target_os = "linux"))]
    fn check(&mut self, bytes: &[u8], at: usize, room: usize) {
        check(bytes, at, room);
    }
}

/// A first line of this many bytes.
fn request_line(len: usize) -> Vec<u8> {
    match len.checked_sub(2) {
        Some(text) => [vec![b'r'; text].as_slice(), b"\r\n"].concat(),
        None => Vec::new(),
    }
}

const FIELDS: &[u8] = b"Host: example.org\r\n\
    te: x\r\n\
    USER-AGENT: something/2.0 (with a comment)\r\n\
    A-Name-That-Is-As-Long-As-Half-A-Block: 1\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    \r\nbody";

/// Those with a meaning somewhere, and their neighbours.
const BYTES: &[u8] = b"\0\t\n\r !:;H\x1f\x7f\x80\xff";

#[test]
fn lines_after_any_first_line_truncated_anywhere_agree() {
    let mut checker = Checker::new();
    for len in 0..=2 * WINDOW_BYTES + 3 {
        let head = [request_line(len).as_slice(), FIELDS].concat();
        let at = head.len() - FIELDS.len();
        for end in at..=head.len() {
            checker.check(&head[..end], at, usize::MAX);
        }
    }
}

#[test]
fn every_odd_byte_at_every_place_is_seen() {
    let mut checker = Checker::new();
    for len in [0, 20, WINDOW_BYTES - 4, WINDOW_BYTES - 3, WINDOW_BYTES, 60] {
        let mut head = [request_line(len).as_slice(), FIELDS].concat();
        let at = head.len() - FIELDS.len();
        for place in at..head.len() {
            for byte in BYTES {
                let before = std::mem::replace(&mut head[place], *byte);
                checker.check(&head, at, usize::MAX);
                head[place] = before;
            }
        }
    }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = proptest::sample::select(FieldName::ALL).prop_map(|known| known.name().to_owned());
    let name = prop_oneof![4 => known, 1 => "[A-Za-z-]{1,70}", 1 => Just("Host".to_owned())];
    let space = prop_oneof![12 => Just(" "), 1 => Just(""), 1 => Just("  "), 1 => Just("\t")];
    let value = prop_oneof![8 => "[!-~]([ -~]{0,90}[!-~])?", 1 => Just(String::new())];
    let end = prop_oneof![12 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just(" \r\n")];
    (name, space, value, end)
        .prop_map(|(name, space, value, end)| format!("{name}:{space}{value}{end}").into_bytes())
}

proptest! {
    #[test]
    fn any_lines_agree(
        len in 0..150usize,
        lines in proptest::collection::vec(line(), 0..8),
        change in any::<Option<(proptest::sample::Index, u8)>>(),
        cut in any::<proptest::sample::Index>(),
        room in 0..9usize,
    ) {
        let mut head = request_line(len);
        let at = head.len();
        head.extend(lines.concat());
        head.extend_from_slice(b"\r\n");
        if let Some((index, byte)) = change {
            let place = at + index.index(head.len() - at);
            head[place] = byte;
        }
        head.truncate(at + cut.index(head.len() + 1 - at));
        Checker::new().check(&head, at, room);
    }
}
