//! One line of the log, in three parts: what is known at once, length and duration, the rest.
//!
//! ```text
//! common    PEER - - [DAY/MONTH/YEAR:TIME +0000] "METHOD TARGET HTTP/1.1" STATUS BYTES
//! combined  the same, then "REFERRER" "USER AGENT"
//! json      {"time":…,"peer":…,"method":…,"target":…,…,"status":…,"body_bytes":…,"duration_us":…}
//! ```
//!
//! Of a request that was refused before its head was whole and valid, the first line is shown as it
//! came, up to [`LINE_BYTES_MAX`] bytes and then `...`; `-` only if nothing came. JSON has it as
//! `"line"`, and no `"method"` then.
//!
//! A client cannot forge a line, a field or a terminal's escape sequence: a line consists of
//! printable ASCII. The common formats write every other byte, the quote and the backslash as
//! `\xHH`; JSON has its own escapes, and invalid UTF-8 becomes U+FFFD there. In a target, what no URI
//! contains but browsers send (``^ | \ ` { }``) is escaped as well, so that no shell or template meets
//! it.

use std::io::Write as _;

use http::FieldName;

use super::stamp::Stamp;
use super::{LINE_BYTES_MAX, Record};
use crate::options::LogFormat;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The part known when the response begins.
pub(super) fn before(out: &mut Vec<u8>, format: LogFormat, record: &Record<'_>, stamp: Stamp<'_>) {
    match format {
        LogFormat::Off => {}
        LogFormat::Common | LogFormat::Combined => common(out, record, stamp),
        LogFormat::Json => json(out, record, stamp),
    }
}

/// The length and the duration, which may be known only at the end.
pub(super) fn measures(out: &mut Vec<u8>, format: LogFormat, body_bytes: u64, duration_us: u64) {
    number(out, body_bytes);
    if format == LogFormat::Json {
        out.extend_from_slice(b",\"duration_us\":");
        number(out, duration_us);
        out.push(b'}');
    }
}

/// The part after length and duration.
pub(super) fn after(out: &mut Vec<u8>, format: LogFormat, record: &Record<'_>) {
    if format != LogFormat::Combined {
        return;
    }
    for name in [FieldName::Referer, FieldName::UserAgent] {
        out.extend_from_slice(b" \"");
        let value = record.request.and_then(|request| request.field(name));
        escape_common(out, value.unwrap_or(b"-"));
        out.push(b'"');
    }
}

fn common(out: &mut Vec<u8>, record: &Record<'_>, stamp: Stamp<'_>) {
    peer(out, record);
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(stamp.common);
    out.extend_from_slice(b"] \"");
    match record.request {
        Some(request) => {
            escape_common(out, request.method_text());
            out.push(b' ');
            escape_common_but(out, request.target(), is_plain_in_target);
            out.push(b' ');
            escape_common(out, request.version_text());
        }
        None => match first_line(record.line) {
            ([], _) => out.push(b'-'),
            (line, mark) => {
                escape_common(out, line);
                out.extend_from_slice(mark);
            }
        },
    }
    out.extend_from_slice(b"\" ");
    number(out, record.status.into());
    out.push(b' ');
}

fn json(out: &mut Vec<u8>, record: &Record<'_>, stamp: Stamp<'_>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(stamp.iso_second);
    let _ = write!(out, ".{:03}Z\",\"peer\":", stamp.millis);
    match record.peer {
        Some(_) => {
            out.push(b'"');
            peer(out, record);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    if let Some(request) = record.request {
        string(out, "method", Some(request.method_text()));
        out.extend_from_slice(b",\"target\":\"");
        escape_json_but(out, request.target(), is_plain_in_target);
        out.push(b'"');
        string(out, "protocol", Some(request.version_text()));
        string(out, "host", request.field(FieldName::Host));
        string(out, "referer", request.field(FieldName::Referer));
        string(out, "user_agent", request.field(FieldName::UserAgent));
    } else if let (line @ [_, ..], mark) = first_line(record.line) {
        string(out, "line", Some(line));
        out.pop();
        out.extend_from_slice(mark);
        out.push(b'"');
    }
    out.extend_from_slice(b",\"status\":");
    number(out, record.status.into());
    out.extend_from_slice(b",\"body_bytes\":");
}

/// The first line that is not empty, without its end; `...` if it goes on beyond what is shown.
fn first_line(bytes: &[u8]) -> (&[u8], &'static [u8]) {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = bytes.iter().position(|byte| !is_end(byte)).unwrap_or(bytes.len());
    let line = &bytes[start..];
    let line = &line[..line.iter().position(is_end).unwrap_or(line.len())];
    match line.split_at_checked(LINE_BYTES_MAX) {
        Some((shown, [_, ..])) => (shown, b"..."),
        _ => (line, b""),
    }
}

/// A member of the object; nothing without a value.
fn string(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    escape_json(out, value);
    out.push(b'"');
}

fn peer(out: &mut Vec<u8>, record: &Record<'_>) {
    match record.peer {
        // An IPv4 client of a dual-stack socket is shown as IPv4.
        Some(peer) => drop(write!(out, "{}", peer.to_canonical())),
        None => out.push(b'-'),
    }
}

fn number(out: &mut Vec<u8>, n: u64) {
    http::response::decimal(out, n);
}

/// Whether a byte needs no escape in any format.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// The same in a target.
fn is_plain_in_target(byte: u8) -> bool {
    is_plain(byte) && !matches!(byte, b'^' | b'|' | b'`' | b'{' | b'}')
}

fn escape_common(out: &mut Vec<u8>, text: &[u8]) {
    escape_common_but(out, text, is_plain);
}

fn escape_common_but(out: &mut Vec<u8>, mut text: &[u8], is_plain: impl Fn(u8) -> bool) {
    loop {
        let run = text.iter().position(|&byte| !is_plain(byte)).unwrap_or(text.len());
        out.extend_from_slice(&text[..run]);
        text = &text[run..];
        let Some((&byte, rest)) = text.split_first() else {
            return;
        };
        out.extend_from_slice(&[
            b'\\',
            b'x',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]);
        text = rest;
    }
}

fn escape_json(out: &mut Vec<u8>, text: &[u8]) {
    escape_json_but(out, text, is_plain);
}

fn escape_json_but(out: &mut Vec<u8>, text: &[u8], is_plain: impl Fn(u8) -> bool) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            escape_char(out, c, &is_plain);
        }
        if !chunk.invalid().is_empty() {
            escape_char(out, char::REPLACEMENT_CHARACTER, &is_plain);
        }
    }
}

/// A character in ASCII-only JSON (RFC 8259, section 7): beyond 16 bits, it takes two escapes.
fn escape_char(out: &mut Vec<u8>, c: char, is_plain: &impl Fn(u8) -> bool) {
    match u8::try_from(c) {
        Ok(byte) if is_plain(byte) => out.push(byte),
        Ok(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn common_text(text: &[u8]) -> String {
        let mut out = Vec::new();
        escape_common(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn json_text(text: &[u8]) -> String {
        let mut out = Vec::new();
        escape_json(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quotes_backslashes_and_control_bytes_are_escaped() {
        assert_eq!(
            common_text(b"a\"b\\c\r\n\x1b[2J\x7f\xff"),
            r"a\x22b\x5cc\x0d\x0a\x1b[2J\x7f\xff"
        );
        assert_eq!(json_text(b"a\"b\\c\r\n\x1b\x7f"), r#"a\"b\\c\u000d\u000a\u001b\u007f"#);
    }

    #[test]
    fn json_keeps_every_character_and_marks_invalid_bytes() {
        assert_eq!(json_text("é\u{2028}𝄞".as_bytes()), r"\u00e9\u2028\ud834\udd1e");
        assert_eq!(json_text(b"a\xff\xc3"), r"a\ufffd\ufffd");
    }

    proptest! {
        #[test]
        fn nothing_but_printable_ascii_comes_out_and_no_quote_stands_alone(
            text in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let common = common_text(&text);
            prop_assert!(common.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"'));
            let json = json_text(&text);
            prop_assert!(json.bytes().all(|b| matches!(b, b' '..=b'~')));
            let unescaped = json.replace(r"\\", "").replace(r#"\""#, "");
            prop_assert!(!unescaped.contains('"'));
        }
    }
}
