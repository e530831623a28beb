//! A minimal, strict HTTP/1.1 parser and writer for servers. It does no input or output of its own: bytes in, events
//! out.
//!
//! ```
//! use http::{Connection, Event, Head, Known, Limits};
//!
//! let input = b"GET /hello?n=1 HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n";
//! let limits = Limits::default();
//! let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
//!
//! let step = connection.next(input, &mut head, &limits)?;
//! assert_eq!((step.event, step.consumed), (Event::Head, input.len()));
//! let request = head.request(input);
//! assert_eq!((request.path(), request.query()), (&b"/hello"[..], Some(&b"n=1"[..])));
//! assert_eq!(request.field(Known::Accept), Some(&b"*/*"[..]));
//! # Ok::<(), http::Error>(())
//! ```

// Only the scanner has any, to enter code for SSE2.
#![deny(unsafe_code)]

mod chunked;
pub mod connection;
mod error;
mod form;
mod framing;
mod head;
mod known;
mod limits;
mod list;
mod parse;
mod request;
pub mod response;
mod scan;
mod skim;
mod status;
pub mod target;

pub use connection::{Connection, Event, Step};
pub use error::{Error, ErrorKind};
pub use head::{Field, Form, Framing, Head, Method, Span, Version};
pub use known::{Known, KnownSet};
pub use limits::{InvalidLimits, Limits};
pub use request::Request;
pub use status::Status;
