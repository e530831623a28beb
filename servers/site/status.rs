//! The server about itself: `/status` (a page), `/status.json`, `/metrics` (Prometheus).
//!
//! ```text
//! slots of counters ──sum──► Numbers ──► page      complete without its script, which polls
//!                                   ├──► json ◄─── this once a second
//!                                   └──► metrics   text format 0.0.4
//! ```
//!
//! All three are generated for every request and never cached. What is *not* guaranteed: that the
//! numbers belong to one moment (each loop writes its own at any time), nor that they include the
//! request itself.

mod json;
mod metrics;
mod numbers;
mod page;
mod processes;
mod workers;

use http::Status;

use self::numbers::Numbers;
use super::handler::{Handler, Means};
use super::pages::{HTML, NO_STORE, NOSNIFF};
use crate::app::{Action, Request, Response};
use crate::metrics::Metrics;
use crate::model::ModelInfo;

/// A form of the numbers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `/status`: a page for people.
    Page,
    /// `/status.json`: what the page polls.
    Json,
    /// `/metrics`: the Prometheus text format.
    Metrics,
}

/// What answers with one form of the numbers.
struct StatusPage {
    form: Form,
    metrics: Metrics,
    info: &'static ModelInfo,
    /// The page's `Content-Security-Policy`.
    policy: String,
}

/// A page about the numbers in `means.metrics` of the model that `means.info` describes.
pub(super) fn handler(means: &Means<'_>, form: Form) -> Box<dyn Handler> {
    let (metrics, info) = (means.metrics.clone(), means.info);
    Box::new(StatusPage { form, metrics, info, policy: page::policy() })
}

impl Handler for StatusPage {
    fn handle(&self, _request: &Request<'_>, response: &mut Response<'_>) -> Action {
        let numbers = Numbers::of(&self.metrics);
        let (kind, text) = match self.form {
            Form::Page => (HTML, page::page(self.info, &numbers)),
            Form::Json => (("Content-Type", "application/json"), json::json(self.info, &numbers)),
            Form::Metrics => (metrics::TYPE, metrics::metrics(self.info, &numbers)),
        };
        let mut head = response.start(Status::OK);
        for (name, value) in [kind, NO_STORE, NOSNIFF] {
            head = head.field(name, value);
        }
        if self.form == Form::Page {
            head = head
                .field("Content-Security-Policy", &self.policy)
                .field("Referrer-Policy", "no-referrer");
        }
        head.bytes(text.as_bytes());
        Action::Done
    }
}

/// What the tests of the three forms share.
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::App as _;
    use crate::options::Options;
    use crate::site::Site;
    use crate::site::routes::tests::{Answer, exchange};

    /// A description whose texts would break every format that does not escape them.
    pub(super) const INFO: ModelInfo = ModelInfo {
        name: "sp<e>d",
        title: "Single \"Process\" & \\co",
        lesson: "a\nlesson",
        task1: "the loop",
        task2: "the 'loop'",
        task3: "</script><script>alert(1)</script>",
        in_flight: "many",
        picture: "<-- o -->",
        disk: crate::app::Disk::Wait,
    };

    /// Numbers that are all different.
    pub(super) fn numbers() -> Numbers {
        let mut numbers = Numbers {
            values: [0; _],
            loops: 2,
            workers: super::workers::tests::workers(),
            processes: Vec::new(),
            uptime: Duration::from_millis(12_345),
        };
        for (i, value) in numbers.values.iter_mut().enumerate() {
            *value = 1_000 + i as u64;
        }
        numbers
    }

    /// What the site answers to a request line.
    fn answer(line: &str) -> Answer {
        let site =
            Site::new(&Options::default(), Metrics::new(1).unwrap(), (&INFO).into()).unwrap();
        let mut local = site.local(0);
        let raw = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
        exchange(&raw, |request, response| site.handle(&mut local, request, response)).1
    }

    #[test]
    fn the_three_forms_are_never_cached_and_have_their_types() {
        for (path, kind) in [
            ("/status", "text/html; charset=utf-8"),
            ("/status.json", "application/json"),
            ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ] {
            let get = answer(&format!("GET {path}"));
            assert_eq!((get.status, get.field("Content-Type")), (Status::OK, Some(kind)));
            assert_eq!(get.field("Cache-Control"), Some("no-store"));
            assert_eq!(get.field("Content-Length"), Some(&*get.body.len().to_string()));
            assert!(answer(&format!("HEAD {path}")).body.is_empty());
            let post = answer(&format!("POST {path}"));
            assert_eq!(post.status, Status::METHOD_NOT_ALLOWED);
            assert_eq!(post.field("Allow"), Some("GET, HEAD, OPTIONS"));
        }
    }

    #[test]
    fn the_page_names_what_it_may_run() {
        let page = answer("GET /status");
        let policy = page.field("Content-Security-Policy").unwrap();
        assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn paths_are_taken_literally() {
        for path in ["/status/", "/STATUS"] {
            assert_eq!(answer(&format!("GET {path}")).status, Status::NOT_FOUND);
        }
    }
}
