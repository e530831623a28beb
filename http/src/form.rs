//! The forms of a request target, and the syntax of a host.
//!
//! ```text
//! origin      /where?q=now                 every method but CONNECT
//! absolute    http://host:80/where?q=now   the same
//! authority   host:80                      CONNECT only
//! asterisk    *                            OPTIONS only
//! ```
//!
//! RFC 9112, section 3.2 (the forms); RFC 3986, section 3.2.2 (hosts); RFC 9110, sections 4.2.1 and
//! 4.2.4 (no http URI without a host, or with user information).

use std::ops::Range;

use crate::error::{Error, ErrorKind};
use crate::head::{Form, Head, Method, Span};
use crate::scan::{self, REG_NAME};
use crate::target::byte_of;

/// Decides the form and, for the absolute-form, host and path.
#[inline]
pub(crate) fn interpret(head: &mut Head, bytes: &[u8]) -> Result<(), Error> {
    let first = bytes.get(head.target.start()).copied();
    if first == Some(b'/') && head.method != Method::Connect {
        head.form = Form::Origin;
        return Ok(());
    }
    other_forms(head, bytes)
}

#[cold]
fn other_forms(head: &mut Head, bytes: &[u8]) -> Result<(), Error> {
    let target = head.target.of(bytes);
    let fits = match head.method {
        Method::Connect => {
            head.form = Form::Authority;
            head.path = Span::default();
            head.host = head.target;
            is_authority(target) && has_port(target)
        }
        Method::Options if target == b"*" => {
            head.form = Form::Asterisk;
            true
        }
        _ => {
            head.form = Form::Absolute;
            absolute(head, bytes)
        }
    };
    if fits { Ok(()) } else { Err(Error::new(ErrorKind::TargetForm, head.target.start())) }
}

/// `http://authority[/path]` or `https://…`; what follows the path has been split off already.
fn absolute(head: &mut Head, bytes: &[u8]) -> bool {
    let whole = head.path.of(bytes);
    let Some(host) = authority(whole) else {
        return false;
    };
    let start = head.path.start();
    head.host = Span::new(start + host.start, start + host.end);
    head.path = Span::new(start + host.end, head.path.end());
    is_authority(&whole[host])
}

/// Where the authority of an http or https URI without a query is.
fn authority(uri: &[u8]) -> Option<Range<usize>> {
    let colon = uri.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = uri.split_at(colon);
    let known = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let rest = rest.strip_prefix(b"://").filter(|_| known)?;
    let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    let start = colon + b"://".len();
    Some(start..start + len)
}

/// Whether a request with this method may have this target, whose bytes have been checked: what
/// [`interpret`] decides, for the writer.
pub(crate) fn fits(method: &[u8], target: &[u8]) -> bool {
    let path = target.split(|&byte| byte == b'?').next().unwrap_or(target);
    match Method::of(method) {
        Method::Connect => is_authority(target) && has_port(target),
        Method::Options if target == b"*" => true,
        _ if target.starts_with(b"/") => true,
        _ => authority(path).is_some_and(|host| is_authority(&path[host])),
    }
}

/// Whether it ends in a colon and a port that is not empty.
fn has_port(authority: &[u8]) -> bool {
    let digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && authority[..authority.len() - digits].ends_with(b":")
}

/// Whether this is `uri-host [":" port]` with a host that is not empty. User information is refused
/// (RFC 9110, section 4.2.4).
#[inline]
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let end = scan::class_end(text, 0, REG_NAME);
    match text.get(end) {
        None => end > 0,
        Some(b':') => end > 0 && is_port(&text[end + 1..]),
        Some(_) => is_authority_slow_path(text),
    }
}

#[inline]
fn is_port(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

/// An IP literal, or a name with percent-encoded bytes.
#[cold]
fn is_authority_slow_path(text: &[u8]) -> bool {
    if let [b'[', rest @ ..] = text {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let port_fits = match &rest[end + 1..] {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        };
        return port_fits && is_ip_literal(&rest[..end]);
    }
    let end = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
    let (name, port) = text.split_at(end);
    !name.is_empty() && is_encoded_name(name) && port.get(1..).is_none_or(is_port)
}

/// The text between the brackets: an IPv6 address, or `v`, a version, a dot and an IPvFuture
/// address.
fn is_ip_literal(text: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = text {
        let Some(dot) = rest.iter().position(|&byte| byte == b'.') else {
            return false;
        };
        let (version, address) = (&rest[..dot], &rest[dot + 1..]);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.iter().all(|&byte| byte == b':' || scan::is(byte, REG_NAME));
    }
    str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_encoded_name(mut name: &[u8]) -> bool {
    while let [first, rest @ ..] = name {
        name = match (first, rest) {
            (b'%', [high, low, rest @ ..]) if byte_of(*high, *low).is_some() => rest,
            (byte, rest) if scan::is(*byte, REG_NAME) => rest,
            _ => return false,
        };
    }
    true
}
