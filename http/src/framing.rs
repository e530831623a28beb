//! What a complete head means for the connection: which body follows, whether the connection
//! persists, which host is meant. Every head that is refused for its meaning is refused here, in
//! one order.
//!
//! A request that two implementations could read in two ways is refused (RFC 9112, section 11.2):
//! that is how requests are smuggled past a proxy. RFC 9112, sections 2.3, 3.2, 6.1 to 6.3 and 9.3;
//! RFC 9110, section 10.1.1.

use crate::error::{Error, ErrorKind};
use crate::field_name::{FieldName, FieldNames};
use crate::head::{Form, Framing, Head, Span, Version};
use crate::{Limits, form, list, scan};

/// What a head decides for its exchange.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) persists: bool,
    pub(crate) expects_continue: bool,
}

/// Fields that few requests have.
const SPECIAL: FieldNames = FieldNames::of(&[FieldName::TransferEncoding, FieldName::Expect]);

/// Fields of which one at least decides something here.
const DECISIVE: FieldNames =
    SPECIAL.union(FieldNames::of(&[FieldName::ContentLength, FieldName::Connection]));

/// Fills in framing, host, form and path. Offsets of errors count from the request line.
#[inline(always)]
pub(crate) fn interpret(head: &mut Head, bytes: &[u8], limits: &Limits) -> Result<Exchange, Error> {
    // Left by an earlier request; it would show if this one is refused half way.
    (head.framing, head.form) = (Framing::None, Form::Origin);
    if head.is_fast_path && !head.repeated.contains(FieldName::Host) {
        head.host = head.values[FieldName::Host as usize];
    } else {
        slow_path(head, bytes)?;
    }
    let mut exchange =
        Exchange { persists: head.version == Version::Http11, expects_continue: false };
    if head.has_any(DECISIVE) {
        if head.has_any(SPECIAL) {
            exchange.expects_continue = special(head, bytes, limits)?;
        } else if head.has(FieldName::ContentLength) {
            head.framing = length(head, bytes)?;
            within(head, limits)?;
        }
        if head.has(FieldName::Connection) {
            exchange.persists = persistence(head, bytes);
        }
    }
    Ok(exchange)
}

/// Version, host and form where they are not the usual ones.
#[inline(never)]
fn slow_path(head: &mut Head, bytes: &[u8]) -> Result<(), Error> {
    if head.major != b'1' {
        return Err(Error::new(ErrorKind::UnsupportedVersion, head.target.end() + 6));
    }
    host(head, bytes)?;
    form::interpret(head, bytes)
}

/// Body and expectation, for the requests that have them. Returns whether a 100 is wanted.
#[inline(never)]
fn special(head: &mut Head, bytes: &[u8], limits: &Limits) -> Result<bool, Error> {
    head.framing = framing(head, bytes)?;
    let expects_continue = expectation(head, bytes)?;
    within(head, limits)?;
    Ok(expects_continue)
}

/// Whether a body of known length is accepted.
#[inline]
fn within(head: &Head, limits: &Limits) -> Result<(), Error> {
    match head.framing {
        Framing::Length(len) if len > limits.body() => {
            Err(refuse(head, FieldName::ContentLength, ErrorKind::BodyTooLarge))
        }
        _ => Ok(()),
    }
}

/// An error at the value of the first field of that name.
fn refuse(head: &Head, name: FieldName, kind: ErrorKind) -> Error {
    Error::new(kind, head.first(name).map_or(0, |field| field.value.start()))
}

/// The one `Host`, which only HTTP/1.0 may lack. Empty is refused: every URI that reaches an origin
/// server has an authority, and that of an http URI is never empty (RFC 9110, section 4.2.1).
fn host(head: &mut Head, bytes: &[u8]) -> Result<(), Error> {
    if !head.has(FieldName::Host) {
        head.host = Span::default();
        if head.version == Version::Http11 {
            return Err(Error::new(ErrorKind::MissingHost, head.len as usize));
        }
        return Ok(());
    }
    if head.repeated.contains(FieldName::Host) {
        return Err(refuse(head, FieldName::Host, ErrorKind::RepeatedHost));
    }
    let host = head.values[FieldName::Host as usize];
    head.host = host;
    if !form::is_authority(host.of(bytes)) {
        return Err(Error::new(ErrorKind::InvalidHost, host.start()));
    }
    Ok(())
}

/// RFC 9112, section 6.3.
fn framing(head: &Head, bytes: &[u8]) -> Result<Framing, Error> {
    let (coded, sized) =
        (head.has(FieldName::TransferEncoding), head.has(FieldName::ContentLength));
    if coded && sized {
        return Err(refuse(head, FieldName::ContentLength, ErrorKind::AmbiguousLength));
    }
    if coded {
        if head.version == Version::Http10 {
            return Err(refuse(head, FieldName::TransferEncoding, ErrorKind::TransferEncoding));
        }
        let values = head.request_from_line(bytes).values(FieldName::TransferEncoding);
        return match coding(values) {
            Ok(()) => Ok(Framing::Chunked),
            Err(kind) => Err(refuse(head, FieldName::TransferEncoding, kind)),
        };
    }
    if sized { length(head, bytes) } else { Ok(Framing::None) }
}

/// The one `Content-Length`.
#[inline]
fn length(head: &Head, bytes: &[u8]) -> Result<Framing, Error> {
    match content_length(head.values[FieldName::ContentLength as usize].of(bytes)) {
        Some(len) if !head.repeated.contains(FieldName::ContentLength) => Ok(Framing::Length(len)),
        _ => Err(refuse(head, FieldName::ContentLength, ErrorKind::ContentLength)),
    }
}

/// `1*DIGIT` below 2^64; nothing else, no list of equal numbers either.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// All `Transfer-Encoding` fields together must name `chunked`, once and last. Other codings before
/// it are well framed but not decoded here: 501. Without the final `chunked` the end of the body is
/// unknown: 400.
pub(crate) fn coding<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<(), ErrorKind> {
    let (mut others, mut ended) = (false, false);
    for element in values.flat_map(list::elements) {
        if ended || !scan::is_token(element) {
            return Err(ErrorKind::TransferEncoding);
        }
        if element.eq_ignore_ascii_case(b"chunked") {
            ended = true;
        } else {
            others = true;
        }
    }
    match (ended, others) {
        (true, false) => Ok(()),
        (true, true) => Err(ErrorKind::UnsupportedCoding),
        (false, _) => Err(ErrorKind::TransferEncoding),
    }
}

/// Whether a 100 is wanted. An expectation in HTTP/1.0 means nothing.
fn expectation(head: &Head, bytes: &[u8]) -> Result<bool, Error> {
    if head.version == Version::Http10 || !head.has(FieldName::Expect) {
        return Ok(false);
    }
    let values = head.request_from_line(bytes).values(FieldName::Expect);
    let mut wanted = false;
    for element in values.flat_map(list::elements) {
        if !element.eq_ignore_ascii_case(b"100-continue") {
            return Err(refuse(head, FieldName::Expect, ErrorKind::Expectation));
        }
        wanted = true;
    }
    Ok(wanted && !matches!(head.framing, Framing::None | Framing::Length(0)))
}

/// Whether the connection persists, as its `Connection` fields say.
#[inline(always)]
fn persistence(head: &Head, bytes: &[u8]) -> bool {
    // What browsers send, and what clients send that intend to close.
    match head.values[FieldName::Connection as usize].of(bytes) {
        b"keep-alive" if !head.repeated.contains(FieldName::Connection) => true,
        b"close" => false,
        _ => persistence_by_list(head, bytes),
    }
}

#[inline(never)]
fn persistence_by_list(head: &Head, bytes: &[u8]) -> bool {
    persists(head.version, head.request_from_line(bytes).values(FieldName::Connection))
}

/// RFC 9112, section 9.3; `values` are those of all `Connection` fields.
pub(crate) fn persists<'a>(version: Version, values: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut close, mut keep_alive) = (false, version == Version::Http11);
    for option in values.flat_map(list::elements) {
        close |= option.eq_ignore_ascii_case(b"close");
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keep_alive && !close
}
