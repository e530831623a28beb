//! The server about itself: `/status` (a page), `/status.json`, `/metrics` (Prometheus).
//!
//! ```text
//! slots of counters ──sum──► Numbers ──► page      complete without a script; with one, it polls
//!                                   ├──► json ◄─── this, once a second
//!                                   └──► metrics   text format 0.0.4
//! ```
//!
//! The three are made anew for every request and never cached. What is *not* guaranteed: that the
//! numbers belong to one moment (each loop writes its own, whenever it likes), nor that the request
//! that asks is already among them.

mod json;
mod metrics;
mod numbers;
mod page;
mod processes;
mod workers;

use http::Status;

use self::numbers::Numbers;
use super::demo::refuse_method;
use super::pages::{HTML, NO_STORE, NOSNIFF};
use crate::app::{Request, Response, reads};
use crate::metrics::Metrics;
use crate::model::ModelInfo;

/// A status route.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/status`: a page for people.
    Page,
    /// `/status.json`: what the page polls.
    Json,
    /// `/metrics`: the Prometheus text format.
    Metrics,
}

/// The route that `path` (as it came) names.
#[inline]
pub fn route(path: &[u8]) -> Option<Route> {
    match path {
        b"/status" => Some(Route::Page),
        b"/status.json" => Some(Route::Json),
        b"/metrics" => Some(Route::Metrics),
        _ => None,
    }
}

/// The status routes and where their numbers come from.
pub struct StatusPages {
    metrics: Metrics,
    info: &'static ModelInfo,
    /// The page's `Content-Security-Policy`.
    policy: String,
}

impl StatusPages {
    /// Pages about the numbers in `metrics` of the model that `info` describes.
    pub fn new(metrics: Metrics, info: &'static ModelInfo) -> Self {
        StatusPages { metrics, info, policy: page::policy() }
    }

    /// Answers, at once.
    pub fn handle(&self, route: Route, request: &Request<'_>, response: &mut Response<'_>) {
        if !reads(request.method()) {
            return refuse_method(request, response);
        }
        let numbers = Numbers::of(&self.metrics);
        let (kind, text) = match route {
            Route::Page => (HTML, page::page(self.info, &numbers)),
            Route::Json => (("Content-Type", "application/json"), json::json(self.info, &numbers)),
            Route::Metrics => (metrics::TYPE, metrics::metrics(self.info, &numbers)),
        };
        let mut head = response.start(Status::OK);
        for (name, value) in [kind, NO_STORE, NOSNIFF] {
            head = head.field(name, value);
        }
        if route == Route::Page {
            head = head
                .field("Content-Security-Policy", &self.policy)
                .field("Referrer-Policy", "no-referrer");
        }
        head.bytes(text.as_bytes());
    }
}

/// What the tests of the three forms share.
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::site::demo::tests::{Answer, exchange};

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

    fn answer(line: &str, route: Route) -> Answer {
        let pages = StatusPages::new(Metrics::new(1).unwrap(), &INFO);
        let raw = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
        exchange(&raw, |request, response| pages.handle(route, request, response)).1
    }

    #[test]
    fn the_three_forms_are_never_cached_and_have_their_types() {
        for (path, form, kind) in [
            ("/status", Route::Page, "text/html; charset=utf-8"),
            ("/status.json", Route::Json, "application/json"),
            ("/metrics", Route::Metrics, "text/plain; version=0.0.4; charset=utf-8"),
        ] {
            assert_eq!(route(path.as_bytes()), Some(form));
            let get = answer(&format!("GET {path}"), form);
            assert_eq!((get.status, get.field("Content-Type")), (Status::OK, Some(kind)));
            assert_eq!(get.field("Cache-Control"), Some("no-store"));
            assert_eq!(get.field("Content-Length"), Some(&*get.body.len().to_string()));
            assert!(answer(&format!("HEAD {path}"), form).body.is_empty());
            let post = answer(&format!("POST {path}"), form);
            assert_eq!(post.status, Status::METHOD_NOT_ALLOWED);
            assert_eq!(post.field("Allow"), Some("GET, HEAD, OPTIONS"));
        }
    }

    #[test]
    fn the_page_names_what_it_may_run() {
        let page = answer("GET /status", Route::Page);
        let policy = page.field("Content-Security-Policy").unwrap();
        assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn paths_are_taken_literally() {
        assert_eq!(route(b"/status"), Some(Route::Page));
        assert_eq!(route(b"/status/"), None);
        assert_eq!(route(b"/STATUS"), None);
    }
}
