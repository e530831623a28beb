//! From a resource and a request to a response: selects coding, checks conditions, selects ranges.
//!
//! ```text
//! Accept-Encoding ──► variant ──► conditions ──► Range ──► 200 | 206 | 304 | 412 | 416
//! ```
//!
//! Conditions and ranges apply to the selected variant: each coding is a representation with its
//! own entity tag and length (RFC 9110, section 8.8.3.3).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;

use bytes::Bytes;
use http::{FieldName, FieldNames, Method, Status};

use super::conditional::{self, Verdict};
use super::encoding::Weights;
use super::multipart::{Multipart, Source};
use super::range::{self, Wanted};
use super::resource::{Content, Resource, Variant};
use crate::app::response::Head;
use crate::app::{Request, Response};

/// The fields that make a GET conditional or partial.
const CONDITIONS: FieldNames = FieldNames::of(&[
    FieldName::IfMatch,
    FieldName::IfUnmodifiedSince,
    FieldName::IfNoneMatch,
    FieldName::IfModifiedSince,
]);

/// The variant that the client prefers.
#[inline]
pub fn choose<'r>(resource: &'r Resource, request: &Request<'_>) -> &'r Variant {
    if resource.varies() && request.has(FieldName::AcceptEncoding) {
        let weights = Weights::of(request.values(FieldName::AcceptEncoding));
        let coding = weights.choose(|coding| resource.variant(coding).is_some());
        return resource.variant(coding).unwrap_or(resource.original());
    }
    resource.original()
}

/// Answers a GET or HEAD with `variant`.
#[inline]
pub fn answer(variant: &Variant, request: &Request<'_>, response: &mut Response<'_>) {
    if request.has_any(CONDITIONS.with(FieldName::Range)) {
        return answer_slow_path(variant, request, response);
    }
    whole(variant, response);
}

fn answer_slow_path(variant: &Variant, request: &Request<'_>, response: &mut Response<'_>) {
    match verdict(variant, request) {
        Verdict::NotModified => variant.start_not_modified(response).empty(),
        Verdict::Failed => response.error(Status::PRECONDITION_FAILED),
        Verdict::Proceed => match wanted(variant, request) {
            Wanted::Whole => whole(variant, response),
            Wanted::Nothing => unsatisfiable(variant, response),
            Wanted::One(part) => one_part(variant, part, response),
            Wanted::Many(parts) => many_parts(variant, &parts, response),
        },
    }
}

fn verdict(variant: &Variant, request: &Request<'_>) -> Verdict {
    conditional::evaluate(
        variant.validators(),
        request.values(FieldName::IfMatch),
        request.field(FieldName::IfUnmodifiedSince),
        request.values(FieldName::IfNoneMatch),
        request.field(FieldName::IfModifiedSince),
    )
}

/// The part that is asked for. Range is defined for GET only (section 14.2), and its lines cannot
/// be joined: several are ignored.
fn wanted(variant: &Variant, request: &Request<'_>) -> Wanted {
    let mut lines = request.values(FieldName::Range);
    let (Some(range), None, Method::Get) = (lines.next(), lines.next(), request.method()) else {
        return Wanted::Whole;
    };
    match request.field(FieldName::IfRange) {
        Some(value) if !conditional::if_range_holds(variant.validators(), value) => Wanted::Whole,
        _ => range::parse(range, variant.size()),
    }
}

#[inline]
fn whole(variant: &Variant, response: &mut Response<'_>) {
    match variant.content() {
        Content::Prepared(prepared) => response.prepared(prepared),
        Content::File(_) => {
            let head = variant.start(response, Status::OK);
            send(head, variant, 0..variant.size());
        }
    }
}

/// An error page, in full even if a range was asked for.
pub fn error_page(variant: &Variant, status: Status, response: &mut Response<'_>) {
    let head = variant.start_error(response, status);
    send(head, variant, 0..variant.size());
}

fn one_part(variant: &Variant, part: Range<u64>, response: &mut Response<'_>) {
    let (first, last, size) = (part.start, part.end.saturating_sub(1), variant.size());
    let head = variant
        .start(response, Status::PARTIAL_CONTENT)
        .field("Content-Range", format!("bytes {first}-{last}/{size}"));
    send(head, variant, part);
}

fn many_parts(variant: &Variant, parts: &[Range<u64>], response: &mut Response<'_>) {
    let source = match variant.content() {
        Content::Prepared(prepared) => Source::Bytes(prepared.body().clone()),
        Content::File(file) => Source::File(file.clone()),
    };
    let boundary = boundary();
    let body = Multipart::new(source, parts, variant.media(), variant.size(), &boundary);
    let media = format!("multipart/byteranges; boundary={boundary}");
    let head = variant.start_as(response, Status::PARTIAL_CONTENT, &media);
    match variant.content() {
        Content::Prepared(_) => head.generate(Some(body.len()), Box::new(body)),
        Content::File(_) => head.generate_from_disk(Some(body.len()), Box::new(body)),
    }
}

fn unsatisfiable(variant: &Variant, response: &mut Response<'_>) {
    response
        .start(Status::RANGE_NOT_SATISFIABLE)
        .field("Content-Range", format!("bytes */{}", variant.size()))
        .field("Content-Type", "text/plain; charset=utf-8")
        .bytes(b"416 Range Not Satisfiable\n");
}

fn send(head: Head<'_, '_>, variant: &Variant, part: Range<u64>) {
    match variant.content() {
        Content::Prepared(prepared) => head.shared(slice(prepared.body(), part)),
        Content::File(file) => head.file(file.clone(), part.start, part.end - part.start),
    }
}

/// A part of contents in memory, whose bounds are known to be valid.
fn slice(contents: &Bytes, part: Range<u64>) -> Bytes {
    let bound = |position: u64| (position as usize).min(contents.len());
    contents.slice(bound(part.start)..bound(part.end))
}

/// A text that occurs in no file: 128 unpredictable bits.
fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
