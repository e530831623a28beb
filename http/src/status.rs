//! Status codes and their reason phrases (RFC 9110, section 15).
//!
//! A [`Status`] is any code from 100 to 999. Those that IANA has registered have a name and a
//! reason phrase here; not among them are 306 and 418, which the registry keeps unused, and
//! temporary registrations. Every status line exists in advance, so that writing it is one copy;
//! that of a code without a phrase ends after the space, as the grammar allows (RFC 9112, section
//! 4). For a phrase of one's own there is
//! [`response::status_line_with`](crate::response::status_line_with).

use std::fmt;

/// A status code.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal,)*) => {
        impl Status {
            $(#[doc = concat!($code, " ", $reason)] pub const $name: Status = Status($code);)*

            /// Every registered status, in order.
            pub const ALL: &'static [Status] = &[$(Status($code)),*];

            /// Whether the code is one of [`Status::ALL`].
            pub const fn is_registered(self) -> bool {
                matches!(self.0, $($code)|*)
            }

            /// The reason phrase; empty for a code that is not registered.
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }

            /// The whole status line with its line end.
            #[inline]
            pub const fn line(self) -> &'static [u8] {
                match self.0 {
                    $($code => concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n").as_bytes(),)*
                    _ => self.bare_line(),
                }
            }
        }
    };
}

statuses! {
    100 CONTINUE "Continue",
    101 SWITCHING_PROTOCOLS "Switching Protocols",
    102 PROCESSING "Processing",
    103 EARLY_HINTS "Early Hints",
    200 OK "OK",
    201 CREATED "Created",
    202 ACCEPTED "Accepted",
    203 NON_AUTHORITATIVE_INFORMATION "Non-Authoritative Information",
    204 NO_CONTENT "No Content",
    205 RESET_CONTENT "Reset Content",
    206 PARTIAL_CONTENT "Partial Content",
    207 MULTI_STATUS "Multi-Status",
    208 ALREADY_REPORTED "Already Reported",
    226 IM_USED "IM Used",
    300 MULTIPLE_CHOICES "Multiple Choices",
    301 MOVED_PERMANENTLY "Moved Permanently",
    302 FOUND "Found",
    303 SEE_OTHER "See Other",
    304 NOT_MODIFIED "Not Modified",
    305 USE_PROXY "Use Proxy",
    307 TEMPORARY_REDIRECT "Temporary Redirect",
    308 PERMANENT_REDIRECT "Permanent Redirect",
    400 BAD_REQUEST "Bad Request",
    401 UNAUTHORIZED "Unauthorized",
    402 PAYMENT_REQUIRED "Payment Required",
    403 FORBIDDEN "Forbidden",
    404 NOT_FOUND "Not Found",
    405 METHOD_NOT_ALLOWED "Method Not Allowed",
    406 NOT_ACCEPTABLE "Not Acceptable",
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required",
    408 REQUEST_TIMEOUT "Request Timeout",
    409 CONFLICT "Conflict",
    410 GONE "Gone",
    411 LENGTH_REQUIRED "Length Required",
    412 PRECONDITION_FAILED "Precondition Failed",
    413 CONTENT_TOO_LARGE "Content Too Large",
    414 URI_TOO_LONG "URI Too Long",
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type",
    416 RANGE_NOT_SATISFIABLE "Range Not Satisfiable",
    417 EXPECTATION_FAILED "Expectation Failed",
    421 MISDIRECTED_REQUEST "Misdirected Request",
    422 UNPROCESSABLE_CONTENT "Unprocessable Content",
    423 LOCKED "Locked",
    424 FAILED_DEPENDENCY "Failed Dependency",
    425 TOO_EARLY "Too Early",
    426 UPGRADE_REQUIRED "Upgrade Required",
    428 PRECONDITION_REQUIRED "Precondition Required",
    429 TOO_MANY_REQUESTS "Too Many Requests",
    431 REQUEST_HEADER_FIELDS_TOO_LARGE "Request Header Fields Too Large",
    451 UNAVAILABLE_FOR_LEGAL_REASONS "Unavailable For Legal Reasons",
    500 INTERNAL_SERVER_ERROR "Internal Server Error",
    501 NOT_IMPLEMENTED "Not Implemented",
    502 BAD_GATEWAY "Bad Gateway",
    503 SERVICE_UNAVAILABLE "Service Unavailable",
    504 GATEWAY_TIMEOUT "Gateway Timeout",
    505 HTTP_VERSION_NOT_SUPPORTED "HTTP Version Not Supported",
    506 VARIANT_ALSO_NEGOTIATES "Variant Also Negotiates",
    507 INSUFFICIENT_STORAGE "Insufficient Storage",
    508 LOOP_DETECTED "Loop Detected",
    510 NOT_EXTENDED "Not Extended",
    511 NETWORK_AUTHENTICATION_REQUIRED "Network Authentication Required",
}

/// The codes that can be written: three digits, and no class 0 (RFC 9110, section 15).
const CODE_MIN: u16 = 100;
const CODE_MAX: u16 = 999;

const BARE_LINE_BYTES: usize = b"HTTP/1.1 999 \r\n".len();

/// The status lines without a phrase: 14 KB, which only codes of one's own bring into memory.
static BARE_LINES: [[u8; BARE_LINE_BYTES]; (CODE_MAX - CODE_MIN + 1) as usize] = {
    let mut lines = [*b"HTTP/1.1 000 \r\n"; (CODE_MAX - CODE_MIN + 1) as usize];
    let mut index = 0;
    while index < lines.len() {
        let code = index + CODE_MIN as usize;
        lines[index][9] += (code / 100) as u8;
        lines[index][10] += (code / 10 % 10) as u8;
        lines[index][11] += (code % 10) as u8;
        index += 1;
    }
    lines
};

impl Status {
    /// The status of a code from 100 to 999, registered or not; `None` for any other.
    pub const fn from_code(code: u16) -> Option<Status> {
        if code >= CODE_MIN && code <= CODE_MAX { Some(Status(code)) } else { None }
    }

    /// The code as a number.
    #[inline]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The status line without a phrase.
    #[cold]
    const fn bare_line(self) -> &'static [u8] {
        &BARE_LINES[(self.0 - CODE_MIN) as usize]
    }

    /// 1xx: another response follows.
    pub const fn is_informational(self) -> bool {
        self.0 < 200
    }

    /// 2xx.
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }

    /// 4xx and 5xx, and what lies above: a client treats that like 500 (RFC 9110, section 15).
    pub const fn is_error(self) -> bool {
        self.0 >= 400
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => write!(f, "{}", self.0),
            reason => write!(f, "{} {reason}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_carries_its_code_and_reason() {
        for code in 100..=999 {
            let status = Status::from_code(code).unwrap();
            let line = format!("HTTP/1.1 {code} {}\r\n", status.reason());
            assert_eq!((status.code(), status.line()), (code, line.as_bytes()));
            let registered = Status::ALL.contains(&status);
            assert_eq!(
                (status.is_registered(), !status.reason().is_empty()),
                (registered, registered)
            );
        }
        for code in [0, 99, 1000, u16::MAX] {
            assert_eq!(Status::from_code(code), None);
        }
        assert_eq!(Status::from_code(299).unwrap().to_string(), "299");
    }

    /// IANA's "HTTP Status Codes", without 104 (temporary), 306 and 418 (unused).
    #[test]
    fn all_that_are_registered_are_here() {
        let ranges = [
            100..=103,
            200..=208,
            226..=226,
            300..=305,
            307..=308,
            400..=417,
            421..=426,
            428..=429,
            431..=431,
            451..=451,
            500..=508,
            510..=511,
        ];
        let codes: Vec<u16> = ranges.into_iter().flatten().collect();
        let ours: Vec<u16> = Status::ALL.iter().map(|status| status.code()).collect();
        assert_eq!(ours, codes);
    }
}
