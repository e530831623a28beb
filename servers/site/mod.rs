//! The application that the binaries ship.
//!
//! | on | what | where |
//! |---|---|---|
//! | without a root, or with `--demo` | the demonstration routes | [`routes`] |
//! | unless `--no-status` | the status page and the metrics | [`status`] |
//! | with a root | its files | [`files`] |
//! | without one | the welcome page, at `/` | [`welcome`] |
//!
//! Tried in that order; routes match exactly, so one hides only a file of the very same name.
//! Unknown methods get 501; CONNECT and TRACE get 405 everywhere (RFC 9110, sections 9.3.6 and
//! 9.3.8).

pub mod files;
pub mod handler;
pub(crate) mod pages;
pub mod routes;
pub mod status;
pub mod welcome;

#[cfg(test)]
mod tests;

use std::io;

use http::{Form, Method, Status};

use self::files::Files;
use self::handler::{Handler, Means};
use self::routes::Routes;
use self::welcome::Welcome;
use crate::app::{
    ALLOW_READ, Action, App, BodyPlan, Prepared, Request, Response, reads, refuse_method,
};
use crate::metrics::Metrics;
use crate::model::ModelInfos;
use crate::options::Options;

/// The methods that at least one resource supports, for `OPTIONS *`: `/echo` takes them all.
const ALLOW_SOMEWHERE: &str = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

/// The application: demonstration, status, files, welcome.
pub struct Site {
    /// Whether the demonstration routes are among them.
    demo: bool,
    routes: Routes,
    files: Option<Files>,
    welcome: Welcome,
}

/// One loop's part.
pub struct SiteLocal {
    files: Option<files::Local>,
}

/// The part of the site that a request is for.
enum Place<'s> {
    /// An answer that is always the same.
    Prepared(&'s Prepared),
    Route(&'s dyn Handler),
    Files(&'s Files),
    Welcome,
    Nowhere,
}

impl Site {
    /// Prepares what the options ask for.
    ///
    /// # Errors
    /// The root cannot be opened.
    pub fn new(options: &Options, metrics: Metrics, infos: ModelInfos) -> io::Result<Self> {
        let info = infos.running;
        let routes = Routes::new(&Means { options, metrics: &metrics, info })?;
        Ok(Site {
            demo: options.content.demo,
            routes,
            files: Files::new(options, metrics, info.disk)?,
            welcome: Welcome::new(&infos, options.content.demo, options.content.status)?,
        })
    }

    #[inline(always)]
    fn place(&self, path: &[u8]) -> Place<'_> {
        if let Some(prepared) = self.routes.prepared(path) {
            return Place::Prepared(prepared);
        }
        if let Some(handler) = self.routes.handler(path) {
            return Place::Route(handler);
        }
        match &self.files {
            Some(files) => Place::Files(files),
            None if path == b"/" => Place::Welcome,
            None => Place::Nowhere,
        }
    }

    /// Requests that are answered the same in every part of the site.
    #[inline(always)]
    fn needs_slow_path(&self, request: &Request<'_>) -> bool {
        match request.method() {
            method @ Method::Other => {
                !self.routes.handler(request.path()).is_some_and(|handler| handler.takes(method))
            }
            Method::Trace | Method::Connect => true,
            _ => request.form() == Form::Asterisk,
        }
    }

    /// All places but the demonstration; not inlined, so that the fast path can be inlined into the
    /// driver.
    #[inline(never)]
    fn handle_place(
        &self,
        place: Place<'_>,
        local: &mut SiteLocal,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        match (place, &mut local.files) {
            (Place::Route(handler), _) if handler.takes(request.method()) => {
                return handler.handle(request, response);
            }
            (Place::Prepared(_) | Place::Route(_), _) => refuse_method(request, response),
            (Place::Files(files), Some(local)) => return files.handle(local, request, response),
            (Place::Welcome, _) => self.welcome.handle(request, response),
            (Place::Files(_), None) | (Place::Nowhere, _) => response.error(Status::NOT_FOUND),
        }
        Action::Done
    }

    /// A method that none of the resources has, or a request about the server as a whole.
    #[cold]
    fn handle_slow_path(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let allow = if self.demo { ALLOW_SOMEWHERE } else { ALLOW_READ };
        match request.method() {
            Method::Other => response.error(Status::NOT_IMPLEMENTED),
            Method::Options => {
                response.start(Status::NO_CONTENT).field("Allow", allow).empty();
            }
            _ => response.method_not_allowed(ALLOW_READ),
        }
    }
}

/// The number in a query or a field: digits and nothing else. Too large a number is the largest
/// there is.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        Some(number.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}

impl App for Site {
    type Local = SiteLocal;

    fn local(&self, index: usize) -> SiteLocal {
        SiteLocal { files: self.files.as_ref().map(|files| files.local(index)) }
    }

    fn body(&self, _local: &mut SiteLocal, request: &Request<'_>) -> BodyPlan {
        if self.needs_slow_path(request) {
            return BodyPlan::Discard;
        }
        match self.place(request.path()) {
            Place::Route(handler) => handler.body(),
            _ => BodyPlan::Discard,
        }
    }

    #[inline(always)]
    fn handle(
        &self,
        local: &mut SiteLocal,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        if self.needs_slow_path(request) {
            self.handle_slow_path(request, response);
            return Action::Done;
        }
        match self.place(request.path()) {
            Place::Prepared(prepared) if reads(request.method()) => {
                response.prepared(prepared);
                Action::Done
            }
            place => self.handle_place(place, local, request, response),
        }
    }

    fn reload(&self) {
        if let Some(files) = &self.files {
            files.reload();
        }
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match self.place(request.path()) {
            Place::Route(handler) => handler.work(request, response),
            Place::Files(files) => files.work(request, response),
            _ => response.error(Status::INTERNAL_SERVER_ERROR),
        }
    }

    fn resume(
        &self,
        _local: &mut SiteLocal,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        match self.place(request.path()) {
            Place::Route(handler) => handler.resume(request, response),
            _ => {
                response.error(Status::INTERNAL_SERVER_ERROR);
                Action::Done
            }
        }
    }
}
