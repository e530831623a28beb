//! Why a message was refused, at which byte, and the status to answer with.

use std::fmt;

use crate::Status;

/// A refused message. The connection cannot be used for another one: where the next message would
/// begin is unknown.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The byte at which it is wrong, within the input of the failing call. Added to what was
    /// consumed before, it is the same however the bytes were split over calls.
    pub offset: usize,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $status:ident $text:literal,)*) => {
        /// What is wrong with a message.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)*
        }

        impl ErrorKind {
            /// The status to answer a request with. A response is never answered: for errors of
            /// responses only, this is what a gateway would send (RFC 9110, section 15.6.3).
            pub const fn status(self) -> Status {
                match self {
                    $(ErrorKind::$kind => Status::$status,)*
                }
            }

            /// A short text for people.
            pub const fn text(self) -> &'static str {
                match self {
                    $(ErrorKind::$kind => $text,)*
                }
            }
        }
    };
}

kinds! {
    // What the grammar refuses, at its byte.
    /// More empty lines before a message than are tolerated.
    EmptyLines BAD_REQUEST "too many empty lines before the first line",
    /// The method is not a token followed by one space.
    Method BAD_REQUEST "the method is not a token followed by one space",
    /// The method is longer than any that exists.
    MethodTooLong NOT_IMPLEMENTED "the method is longer than any known",
    /// A byte that no URI contains, or no target at all.
    Target BAD_REQUEST "the target holds a byte that no URI may contain, or is missing",
    /// The target is longer than the limit.
    TargetTooLong URI_TOO_LONG "the target is longer than the limit",
    /// Not `HTTP/` digit `.` digit.
    Version BAD_REQUEST "the version is not HTTP/ digit . digit",
    /// A line does not end in CRLF: bare CR, bare LF, or something between version and line end.
    LineEnd BAD_REQUEST "a line does not end in CR LF",
    /// A field line begins with white space: obsolete line folding.
    Fold BAD_REQUEST "a field line begins with white space",
    /// A field name is not a token directly followed by a colon.
    FieldName BAD_REQUEST "a field name is not a token directly followed by a colon",
    /// A control character in a field value.
    FieldValue BAD_REQUEST "a control character in a field value",
    /// More fields than the limit.
    TooManyFields REQUEST_HEADER_FIELDS_TOO_LARGE "more fields than the limit",
    /// The head is longer than the limit.
    HeadTooLarge REQUEST_HEADER_FIELDS_TOO_LARGE "the head is longer than the limit",

    // What is wrong with a complete, well-formed head.
    /// A major version other than 1.
    UnsupportedVersion HTTP_VERSION_NOT_SUPPORTED "only HTTP/1 is supported",
    /// A target in a form that the method does not allow, or in no valid form.
    TargetForm BAD_REQUEST "the target has no form that is allowed with this method",
    /// HTTP/1.1 without `Host`.
    MissingHost BAD_REQUEST "Host is missing",
    /// More than one `Host`.
    RepeatedHost BAD_REQUEST "Host is given twice",
    /// `Host` is not a host with an optional port.
    InvalidHost BAD_REQUEST "Host is not a host with an optional port",
    /// `Content-Length` is not one number below 2^64.
    ContentLength BAD_REQUEST "Content-Length is not one number",
    /// `Content-Length` and `Transfer-Encoding` in one request.
    AmbiguousLength BAD_REQUEST "both Content-Length and Transfer-Encoding",
    /// `Transfer-Encoding` does not end in `chunked`, or comes with HTTP/1.0.
    TransferEncoding BAD_REQUEST "Transfer-Encoding does not frame the body by one final chunked",
    /// A transfer coding below `chunked` that is not decoded here.
    UnsupportedCoding NOT_IMPLEMENTED "a transfer coding that is not implemented",
    /// An expectation other than `100-continue`.
    Expectation EXPECTATION_FAILED "an expectation other than 100-continue",

    // What is wrong with a body.
    /// The body is longer than the limit.
    BodyTooLarge CONTENT_TOO_LARGE "the body is longer than the limit",
    /// A chunk size is not hexadecimal digits, or not below 2^64.
    ChunkSize BAD_REQUEST "a chunk size is not a hexadecimal number below 2^64",
    /// A chunk extension is malformed.
    ChunkExtension BAD_REQUEST "a chunk extension is malformed",
    /// The chunk extensions of one body are longer than the limit, with the leading zeros of its
    /// chunk sizes beyond sixteen digits.
    ChunkExtensionsTooLong BAD_REQUEST "chunk extensions or leading zeros beyond the limit",
    /// A chunk's data is not followed by CRLF.
    ChunkEnd BAD_REQUEST "chunk data is not followed by CR LF",
    /// The trailer section is longer than the limit.
    TrailerTooLarge REQUEST_HEADER_FIELDS_TOO_LARGE "the trailer section is longer than the limit",
    /// Not the message's fault but the caller's: after
    /// [`Event::NeedMore`](crate::Event::NeedMore) it did not bring the rest again with more behind
    /// it, but other bytes, or fewer.
    InputChanged INTERNAL_SERVER_ERROR "the input is not that of the call before",
    /// The peer stopped sending in the middle of a message.
    Incomplete BAD_REQUEST "the connection ended in the middle of a message",

    // What is wrong with a response, and only there.
    /// The version is not followed by a space, three digits and a space.
    StatusCode BAD_GATEWAY "the status code is not three digits between two spaces",
    /// A control character in a reason phrase.
    Reason BAD_GATEWAY "a control character in the reason phrase",
    /// A response although every request has been answered.
    Unasked BAD_GATEWAY "a response that no request asked for",
    /// A 101 to a request that did not ask for another protocol.
    UnaskedUpgrade BAD_GATEWAY "another protocol, which the request did not ask for",
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, offset: usize) -> Self {
        Error { kind, offset }
    }

    /// The status to answer with.
    pub const fn status(&self) -> Status {
        self.kind.status()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind.text(), self.offset)
    }
}

impl std::error::Error for Error {}
