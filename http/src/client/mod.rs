//! The client's side: writes requests and reads responses, for a load generator or a test.
//!
//! ```
//! use stampede_http::client::{Connection, Event, ResponseHead, request};
//! use stampede_http::{Limits, Method};
//!
//! let mut out = Vec::new();
//! request::line(&mut out, b"GET", b"/hello?n=1")?;
//! request::host(&mut out, b"example.org")?;
//! request::end(&mut out);
//!
//! let limits = Limits::default();
//! let (mut connection, mut head) = (Connection::new(), ResponseHead::new(&limits));
//! connection.sent(Method::Get)?;
//! let input = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
//! let step = connection.next(input, &mut head, &limits)?;
//! assert_eq!((step.event, head.response(input).code()), (Event::Head, 200));
//! let body = &input[step.consumed..];
//! let step = connection.next(body, &mut head, &limits)?;
//! assert_eq!(step.event, Event::Data { start: 0, len: 5 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! request ─► bytes     what is sent            asked: what of it is not answered yet
//!                                                │
//! bytes ─► connection ─┬─► parse ─► framing ◄────┘   a head, and what follows it
//!                      └─► chunked, or a count: the body
//! ```
//!
//! It keeps the same promises as the [server's side](crate): however the bytes are split, the same
//! events and the same error at the same byte; nothing allocated per response; no panic on any
//! input. It shares the grammar of fields, the decoder of chunks and the rules of framing.
//!
//! The caller owns the socket, the buffer and the clock. It calls [`Connection::sent`] for every
//! request, feeds what it receives as to [`crate::Connection`], and at the end of the input calls
//! [`Connection::eof`]: that is what completes a body without a length.
//!
//! What is *not* guaranteed: that such a body is whole. Without a length, a connection that broke
//! looks like one that ended (RFC 9112, section 8).
//!
//! # What the RFCs leave open
//!
//! The limits are those of requests; so are the decisions, where responses have the same grammar.
//! Decisions for responses only:
//!
//! | question | decision | RFC |
//! |---|---|---|
//! | a status line without the space after the code | refused: servers must send it | 9112, 4 |
//! | an empty reason phrase, or none that is registered | passes; it means nothing | 9112, 4 |
//! | a control character in the reason phrase | refused, except HTAB | 9112, 4 |
//! | status 000 to 099, 600 to 999 | passes unchanged; a final response, like 5xx | 9110, 15 |
//! | HTTP/1.2 and higher minor versions | read as 1.1 | 9110, 2.5 |
//! | another major version, HTTP/0.9 | refused | 9112, 2.3 |
//! | empty lines before a status line | up to four are skipped, whatever the request | 9112, 9.2 |
//! | any other byte while no request is pending | refused: no valid response | 9112, 9.2 |
//! | interim responses | any number; each is an event | 9110, 15.2 |
//! | a 101 that was not requested | refused | 9110, 7.8 |
//! | a 101 that was requested, 2xx to CONNECT | final; what follows is not touched | 9112, 6.3 |
//! | lengths in 1xx, 204, 304, 2xx to CONNECT, to HEAD | ignored | 9112, 6.3 |
//! | `Content-Length` beside `Transfer-Encoding` | refused | 9112, 6.3 |
//! | `Content-Length` twice or as a list, though equal | refused | 9112, 6.3 |
//! | `Transfer-Encoding` in HTTP/1.0 | refused | 9112, 6.1 |
//! | any coding but `chunked` | refused: no request here offers one in `TE` | 9112, 7 |
//! | neither length nor coding | the body ends where the connection does | 9112, 6.3 |
//! | HTTP/1.0 | closes, unless it says keep-alive and has a length | 9112, 9.3 |
//! | a body over the limit | refused with the head, at its chunk size, or at the byte too much | |
//! | trailer fields | well formed, limited; dropped unless asked for | 9112, 7.1.2 |
//! | bytes after the last response of a connection | ignored | 9112, 9.6 |

mod asked;
mod connection;
mod framing;
mod head;
mod parse;
pub mod request;

pub use asked::{Asked, TooManyOutstanding};
pub use connection::{Connection, Event, Step};
pub use head::{Framing, Response, ResponseHead};
