//! What a complete response head means: what follows it, and whether the connection persists.
//!
//! RFC 9112, sections 2.3, 6.1, 6.3 and 9.3.

use crate::error::{Error, ErrorKind};
use crate::field_name::FieldName;
use crate::framing::{coding, content_length, persists};
use crate::{Limits, Version};

use super::parse::{CODE, MAJOR};
use super::{Asked, Framing, ResponseHead};

/// Fills in the framing; returns whether another response may follow. Offsets of errors count from
/// the status line, where `bytes` begins.
pub(super) fn interpret(
    head: &mut ResponseHead,
    bytes: &[u8],
    asked: Asked,
    limits: &Limits,
) -> Result<bool, Error> {
    if head.major != b'1' {
        return Err(Error::new(ErrorKind::UnsupportedVersion, MAJOR));
    }
    head.framing = match bodiless(head.code, asked)? {
        Some(framing) => framing,
        None => framing(head, bytes)?,
    };
    match head.framing {
        Framing::Length(len) if len > limits.body() => {
            Err(refuse(head, FieldName::ContentLength, ErrorKind::BodyTooLarge))
        }
        Framing::UntilClose | Framing::Tunnel => Ok(false),
        _ => Ok(persists(head.version, head.view(bytes).values(FieldName::Connection))),
    }
}

/// Rules 1 and 2 of RFC 9112, section 6.3: responses that have no content whatever their fields
/// say. `None`: the fields decide.
fn bodiless(code: u16, asked: Asked) -> Result<Option<Framing>, Error> {
    Ok(match (code, asked) {
        (101, Asked::Upgrade) => Some(Framing::Tunnel),
        (101, _) => return Err(Error::new(ErrorKind::UnaskedUpgrade, CODE)),
        (200..=299, Asked::Tunnel) => Some(Framing::Tunnel),
        (100..=199 | 204 | 304, _) | (_, Asked::Head) => Some(Framing::None),
        _ => None,
    })
}

/// Rules 3 to 8, as strict as for requests.
fn framing(head: &ResponseHead, bytes: &[u8]) -> Result<Framing, Error> {
    let fields = head.view(bytes);
    if head.has(FieldName::TransferEncoding) {
        if head.has(FieldName::ContentLength) {
            return Err(refuse(head, FieldName::ContentLength, ErrorKind::AmbiguousLength));
        }
        let coded = match head.version {
            Version::Http10 => Err(ErrorKind::TransferEncoding),
            Version::Http11 => coding(fields.values(FieldName::TransferEncoding)),
        };
        return match coded {
            Ok(()) => Ok(Framing::Chunked),
            Err(kind) => Err(refuse(head, FieldName::TransferEncoding, kind)),
        };
    }
    let Some(value) = fields.value(FieldName::ContentLength) else {
        return Ok(Framing::UntilClose);
    };
    match content_length(value) {
        Some(len) if !head.repeated.contains(FieldName::ContentLength) => Ok(Framing::Length(len)),
        _ => Err(refuse(head, FieldName::ContentLength, ErrorKind::ContentLength)),
    }
}

/// An error at the value of the first field of that name.
fn refuse(head: &ResponseHead, name: FieldName, kind: ErrorKind) -> Error {
    let first = head.fields().iter().find(|field| field.known == name);
    Error::new(kind, first.map_or(0, |field| field.value.start()))
}
