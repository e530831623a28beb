//! What is asked for, and which answer is right.
//!
//! A request is a block of bytes that is written once, before the load begins; sending it costs a
//! copy. Of several routes each is chosen as often as its weight says, spread evenly and in the
//! same order in every run:
//!
//! ```text
//! weights 3, 1:   a a b a   a a b a   …      smooth weighted round robin, as nginx balances
//! ```

use std::fmt;
use std::sync::Arc;

use http::Method;
use http::client::request::{self, InvalidLine};

/// A kind of request, and what is known of its answer.
#[derive(Clone)]
pub struct Route {
    /// How it was given: `GET /plaintext`.
    pub name: String,
    /// How often, beside the others.
    pub weight: u32,
    /// Its method: a response to HEAD has no body.
    pub method: Method,
    /// The whole request.
    pub request: Vec<u8>,
    /// The answer that every other one has to equal.
    pub expected: Option<Arc<Expected>>,
}

/// The right answer.
#[derive(PartialEq, Eq)]
pub struct Expected {
    /// Its status code.
    pub code: u16,
    /// Its content.
    pub body: Vec<u8>,
}

/// A request as a user describes it.
pub struct Described<'a> {
    /// `GET`, …
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Host and port.
    pub host: &'a str,
    /// `Name: value` each.
    pub fields: &'a [String],
    /// The request's content.
    pub body: &'a [u8],
}

/// Why a request cannot be made.
#[derive(Debug)]
pub enum InvalidRequest {
    /// Its first line, or `Host`.
    Line(InvalidLine),
    /// A field that is no `Name: value`.
    Field(String),
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidRequest::Line(error) => error.fmt(f),
            InvalidRequest::Field(text) => {
                write!(f, "{text:?} is no header field; expected \"Name: value\"")
            }
        }
    }
}

impl Route {
    /// Writes the request.
    ///
    /// # Errors
    /// A part of it is invalid.
    pub fn new(weight: u32, described: &Described<'_>) -> Result<Route, InvalidRequest> {
        let mut bytes = Vec::new();
        let (method, target) = (described.method.as_bytes(), described.target.as_bytes());
        request::line(&mut bytes, method, target).map_err(InvalidRequest::Line)?;
        request::host(&mut bytes, described.host.as_bytes()).map_err(InvalidRequest::Line)?;
        for text in described.fields {
            let invalid = || InvalidRequest::Field(text.clone());
            let (name, value) = text.split_once(':').ok_or_else(invalid)?;
            let value = value.trim().as_bytes();
            request::field(&mut bytes, name.as_bytes(), value).map_err(|_| invalid())?;
        }
        if !described.body.is_empty() {
            request::content_length(&mut bytes, described.body.len() as u64);
        }
        request::end(&mut bytes);
        bytes.extend_from_slice(described.body);
        Ok(Route {
            name: format!("{} {}", described.method, described.target),
            weight,
            method: Method::of(method),
            request: bytes,
            expected: None,
        })
    }
}

/// Whose turn it is.
pub(super) struct Mix {
    weights: Vec<i64>,
    credits: Vec<i64>,
    sum: i64,
}

impl Mix {
    /// `start`: where in the round to begin, so that not all threads ask for the same at once.
    pub(super) fn new(routes: &[Route], start: usize) -> Mix {
        let weights: Vec<i64> = routes.iter().map(|route| i64::from(route.weight)).collect();
        let mut mix = Mix { credits: vec![0; weights.len()], sum: weights.iter().sum(), weights };
        for _ in 0..start {
            mix.next();
        }
        mix
    }

    /// The route of the next request.
    #[inline]
    pub(super) fn next(&mut self) -> usize {
        if self.weights.len() == 1 {
            return 0;
        }
        let mut chosen = 0;
        for (index, weight) in self.weights.iter().enumerate() {
            self.credits[index] += weight;
            if self.credits[index] > self.credits[chosen] {
                chosen = index;
            }
        }
        self.credits[chosen] -= self.sum;
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(weight: u32) -> Route {
        let described = Described {
            method: "POST",
            target: "/echo?a",
            host: "localhost:80",
            fields: &["X-A:  b ".to_owned()],
            body: b"xyz",
        };
        Route::new(weight, &described).expect("a valid request")
    }

    #[test]
    fn a_request_is_written_whole() {
        let expected = "POST /echo?a HTTP/1.1\r\nHost: localhost:80\r\nX-A: b\r\n\
                        Content-Length: 3\r\n\r\nxyz";
        assert_eq!(String::from_utf8_lossy(&route(1).request), expected);
    }

    #[test]
    fn a_field_cannot_end_its_line() {
        for field in ["no colon", "a: b\r\nc: d", "a b: c", ": x"] {
            let described = Described {
                method: "GET",
                target: "/",
                host: "h",
                fields: &[field.to_owned()],
                body: b"",
            };
            assert!(Route::new(1, &described).is_err(), "{field:?}");
        }
    }

    #[test]
    fn routes_take_turns_by_weight_and_none_waits_for_a_whole_round() {
        let routes = [route(3), route(1)];
        let mut mix = Mix::new(&routes, 0);
        let turns: Vec<usize> = (0..8).map(|_| mix.next()).collect();
        assert_eq!(turns.iter().filter(|route| **route == 1).count(), 2);
        assert!(turns[..4].contains(&1) && turns[4..].contains(&1));
    }
}
