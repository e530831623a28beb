//! The server about itself: `/status` (a page), `/status.json`, `/metrics` (Prometheus).

use std::io;

use crate::app::{Request, Response};
use crate::counters::Census;
use crate::models::Card;

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
    census: Census,
    card: &'static Card,
}

impl StatusPages {
    /// Pages about the numbers in `census` of the model on `card`.
    pub fn new(census: Census, card: &'static Card) -> Self {
        StatusPages { census, card }
    }

    /// Answers, at once.
    pub fn handle(&self, _route: Route, _request: &Request<'_>, response: &mut Response<'_>) {
        let _ = (&self.census, self.card);
        response.error(http::Status::NOT_IMPLEMENTED);
    }
}
