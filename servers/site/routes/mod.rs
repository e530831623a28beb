//! The routes that are not files, in one table: to add one is a file beside this one that
//! implements [`Handler`], and a row here.
//!
//! The demonstration routes are what a client needs to see how a model behaves:
//!
//! | route          | what it asks of the model                                                  |
//! |----------------|----------------------------------------------------------------------------|
//! | `/plaintext`   | nothing: an answer prepared once, the cost of the server itself            |
//! | `/json`        | the same as JSON                                                           |
//! | `/echo`        | the request as it was received, head and body: the classic echo server     |
//! | `/work?us=N`   | *work*: N microseconds of processor time                                   |
//! | `/sleep?ms=N`  | a *wait*: N milliseconds, standing for the answer of another service       |
//! | `/bytes?n=N`   | a large response, made as the client takes it                              |
//!
//! All read only (GET and HEAD), but `/echo`, which answers every method. An argument that is
//! missing has a default; one that is no number, or too large, is a 400 that says what is allowed.
//! Other parameters are ignored, and of a repeated one the first counts.
//!
//! What is *not* guaranteed: that `/work` takes N microseconds by the clock on the wall (it takes
//! as long as N microseconds of processor time take to come by); that `/sleep` waits no longer.

mod argument;
mod bytes;
mod echo;
mod plain;
mod sleep;
#[cfg(test)]
pub(super) mod tests;
mod work;

use std::io;

use self::plain::Plain;
use super::handler::{Handler, Means};
use super::status::{self, Form};
use crate::app::Prepared;

/// A route. Its path is exact.
pub struct Route {
    /// As it comes in a request, without the query.
    pub path: &'static str,
    /// What turns it on.
    pub part: Part,
    /// The query with which the welcome page links it.
    pub query: &'static str,
    /// What the welcome page shows of that query.
    pub argument: &'static str,
    /// What it does, for the welcome page.
    pub help: &'static str,
    answer: Answer,
}

/// What a route belongs to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// `--demo`
    Demo,
    /// `--status`
    Status,
}

enum Answer {
    /// [`Plain`] has it, on the fast path.
    Prepared,
    By(fn(&Means<'_>) -> Box<dyn Handler>),
}

/// All of them.
pub const TABLE: [Route; 9] = [
    Route {
        path: "/plaintext",
        part: Part::Demo,
        query: "",
        argument: "",
        help: "Hello, World!, prepared once: what the server itself costs",
        answer: Answer::Prepared,
    },
    Route {
        path: "/json",
        part: Part::Demo,
        query: "",
        argument: "",
        help: "the same as JSON",
        answer: Answer::Prepared,
    },
    Route {
        path: "/echo",
        part: Part::Demo,
        query: "",
        argument: "",
        help: "your request as it was received, head and body",
        answer: Answer::By(|means| Box::new(echo::Echo::new(means.options))),
    },
    Route {
        path: "/work",
        part: Part::Demo,
        query: "?us=200000",
        argument: "?us=N",
        help: "computes for N microseconds (here 0.2 s): work",
        answer: Answer::By(|_| Box::new(work::Work)),
    },
    Route {
        path: "/sleep",
        part: Part::Demo,
        query: "?ms=1000",
        argument: "?ms=N",
        help: "waits for N milliseconds, as for another service",
        answer: Answer::By(|_| Box::new(sleep::Sleep)),
    },
    Route {
        path: "/bytes",
        part: Part::Demo,
        query: "?n=1000000",
        argument: "?n=N",
        help: "a response of N bytes, made as you take it",
        answer: Answer::By(|_| Box::new(bytes::Bytes)),
    },
    Route {
        path: "/status",
        part: Part::Status,
        query: "",
        argument: "",
        help: "connections, requests, rates: live",
        answer: Answer::By(|means| status::handler(means, Form::Page)),
    },
    Route {
        path: "/status.json",
        part: Part::Status,
        query: "",
        argument: "",
        help: "the same numbers as JSON",
        answer: Answer::By(|means| status::handler(means, Form::Json)),
    },
    Route {
        path: "/metrics",
        part: Part::Status,
        query: "",
        argument: "",
        help: "the same for Prometheus",
        answer: Answer::By(|means| status::handler(means, Form::Metrics)),
    },
];

/// The routes that are on.
pub struct Routes {
    plain: Option<Plain>,
    /// Paths and what answers there.
    others: Vec<(&'static [u8], Box<dyn Handler>)>,
}

impl Routes {
    /// Prepares what the options ask for.
    ///
    /// # Errors
    /// A prepared field that is none: a mistake in `plain.rs`.
    pub fn new(means: &Means<'_>) -> io::Result<Self> {
        let is_on = |part| match part {
            Part::Demo => means.options.content.demo,
            Part::Status => means.options.content.status,
        };
        let made = |route: &Route| match route.answer {
            Answer::By(make) => Some((route.path.as_bytes(), make(means))),
            Answer::Prepared => None,
        };
        let others = TABLE.iter().filter(|route| is_on(route.part)).filter_map(made).collect();
        Ok(Routes { plain: is_on(Part::Demo).then(Plain::new).transpose()?, others })
    }

    /// The answer of this path (as it came) that is always the same.
    #[inline(always)]
    pub fn prepared(&self, path: &[u8]) -> Option<&Prepared> {
        self.plain.as_ref()?.of(path)
    }

    /// What answers at any other.
    pub fn handler(&self, path: &[u8]) -> Option<&dyn Handler> {
        let (_, handler) = self.others.iter().find(|(known, _)| *known == path)?;
        Some(&**handler)
    }
}
