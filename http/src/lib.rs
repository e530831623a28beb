//! A minimal, strict HTTP/1.1 parser and writer for servers. It does no input or output of its own:
//! bytes in, events out. The other end, for load generators and tests, is [`client`].
//!
//! ```
//! use stampede_http::{Connection, Event, Head, FieldName, Limits};
//!
//! let input = b"GET /hello?n=1 HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n";
//! let limits = Limits::default();
//! let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
//!
//! let step = connection.next(input, &mut head, &limits)?;
//! assert_eq!((step.event, step.consumed), (Event::Head, input.len()));
//! let request = head.request(input);
//! assert_eq!((request.path(), request.query()), (&b"/hello"[..], Some(&b"n=1"[..])));
//! assert_eq!(request.field(FieldName::Accept), Some(&b"*/*"[..]));
//! # Ok::<(), stampede_http::Error>(())
//! ```
//!
//! ```text
//! bytes ─► connection ─┬─► parse        a whole head at once  ─┬─► framing ─► Event::Head
//!                      ├─► incremental  a head that is cut    ─┘     what the head means
//!                      └─► chunked, or a count: the body ────────► Event::Data, Event::End
//!          below: scan (byte classes), field_name         beside: request (a view), target
//! response ─► bytes
//! ```
//!
//! # What holds
//!
//! - However the bytes are split over calls, the events, the kind of an error and its byte are the
//!   same.
//! - An error of the grammar is found at its byte, as soon as that byte has arrived; the meaning of
//!   a well-formed head (version, host, framing, expectation) is judged when it is complete.
//! - Nothing is allocated per request, nothing is copied. A [`Head`] holds offsets and moves with
//!   its buffer.
//! - No input makes it panic.
//!
//! What is *not* done here: time (ending a slow head is up to the caller), answers,
//! percent-decoding of the target before it is requested ([`target`]), and everything about
//! content.
//!
//! # What the RFCs leave open
//!
//! | question | decision | RFC 9112 |
//! |---|---|---|
//! | bare LF as a line end | refused, everywhere | 2.2 |
//! | empty lines before a request line | up to four are skipped, then 400 | 2.2 |
//! | several spaces or tabs in the request line | 400 | 3 |
//! | a method of more than 32 bytes | 501 | 3 |
//! | an unknown method | passes as [`Method::Other`]: the application answers 501 | 3 |
//! | a target over the limit | 414, at the first byte too many | 3 |
//! | bytes in a target outside RFC 3986, and `#` | 400, with the two exceptions below | 3.2 |
//! | brackets, `^` and `\|` in a path or a query | pass unchanged: browsers and forms send them | 3.2 |
//! | a backslash, a backquote and braces in a query | the same; in a path 400 | 3.2 |
//! | `%` without two digits | passes; decoding the path refuses it | 3.2 |
//! | an absolute-form target | http(s); its authority wins over `Host`, still required | 3.2.2 |
//! | user information in a target | 400 | 3.2.2 |
//! | an empty `Host` | 400: no http URI has an empty host | 3.2 |
//! | HTTP/1.2 and higher minor versions | read as 1.1 | 2.3 |
//! | another major version | 505 | 2.3 |
//! | obsolete line folding | 400 | 5.2 |
//! | control characters in a value | 400, except HTAB | 5 |
//! | the head over a limit, in bytes or fields | 431 | 5 |
//! | `Content-Length` twice or as a list, though equal | 400 | 6.3 |
//! | `Content-Length` with leading zeros | passes | 6.2 |
//! | `Content-Length` beside `Transfer-Encoding` | 400 | 6.1 |
//! | `Transfer-Encoding` in HTTP/1.0 | 400 | 6.1 |
//! | other codings, then `chunked` | 501 | 6.1 |
//! | `chunked` not last, twice, or with parameters; no `chunked` | 400 | 6.3, 7 |
//! | empty elements in a `Transfer-Encoding` list | skipped, as RFC 9110 wants (5.6.1) | 6.1 |
//! | a body over the limit | 413, with the head or at the chunk size that exceeds it | |
//! | chunk extensions | well formed, ignored; limited for the body as a whole (400) | 7.1.1 |
//! | a chunk size of 2^64 or more | 413; 400 where the limit for bodies is no lower | 7.1 |
//! | leading zeros in a chunk size | pass; beyond 16 digits they count as chunk extensions | 7.1 |
//! | trailer fields | well formed, limited (431); dropped unless [asked for](trailers) | 7.1.2 |
//! | an expectation other than 100-continue | 417; in HTTP/1.0 every expectation is ignored | |
//! | bytes after the last request of a connection | ignored | 9.6 |
//! | bytes after a [change of protocol](Connection::change_protocol) | not touched | 9110, 7.8 |

// Only the scanner has any, for vector instructions.
#![deny(unsafe_code)]

mod chunked;
pub mod client;
pub mod connection;
mod error;
mod field_name;
mod fields;
mod form;
mod framing;
mod head;
mod incremental;
mod limits;
mod list;
mod parse;
mod request;
pub mod response;
mod scan;
mod status;
pub mod target;
pub mod trailers;

pub use connection::{Connection, Event, Step};
pub use error::{Error, ErrorKind};
pub use field_name::{FieldName, FieldNames};
pub use head::{Field, Form, Framing, Head, Method, Span, Version};
pub use limits::{InvalidLimits, Limits};
pub use request::Request;
pub use status::Status;
