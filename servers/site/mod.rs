//! The application that the binaries ship.
//!
//! | on | what | where |
//! |---|---|---|
//! | without a root, or with `--demo` | the demonstration routes | [`demo`] |
//! | unless `--no-status` | the status page and the metrics | [`status`] |
//! | with a root | its files | [`files`] |
//! | without one | the welcome page, at `/` | [`welcome`] |
//!
//! Looked for in that order; the routes are exact, so that a file hides behind one only if it has
//! its very name. Methods that nobody knows are 501, and those that open a tunnel or tell the
//! client what it sent are 405 everywhere (RFC 9110, sections 9.3.6 and 9.3.8).

pub mod demo;
pub mod files;
mod pages;
pub mod status;
pub mod welcome;

#[cfg(test)]
mod tests;

use std::io;

use http::{Form, Method, Status};

use self::demo::Demo;
use self::files::Files;
use self::status::StatusPages;
use self::welcome::Welcome;
use crate::app::{ALLOW_READ, Action, App, BodyPlan, Request, Response};
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::options::Options;

/// What some resource or other answers, for `OPTIONS *`: the demonstration's `/echo` takes them
/// all.
const ALLOW_SOMEWHERE: &str = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

/// The application: demonstration, status, files, welcome.
pub struct Site {
    demo: Option<Demo>,
    status: Option<StatusPages>,
    files: Option<Files>,
    welcome: Welcome,
}

/// One loop's part.
pub struct SiteLocal {
    files: Option<files::Local>,
}

/// Whose request it is.
enum Place<'s> {
    Demo(&'s Demo, demo::Route),
    Status(&'s StatusPages, status::Route),
    Files(&'s Files),
    Welcome,
    Nowhere,
}

impl Site {
    /// Prepares what the options ask for.
    ///
    /// # Errors
    /// The root cannot be opened.
    pub fn new(options: &Options, metrics: Metrics, info: &'static ModelInfo) -> io::Result<Self> {
        let (body_max, memory_max) = (options.limits.body, options.limits.body_memory);
        let demo = options.demo.then(|| Demo::new(body_max, memory_max)).transpose()?;
        let status = options.status.then(|| StatusPages::new(metrics.clone(), info));
        Ok(Site {
            demo,
            status,
            files: Files::new(options, metrics)?,
            welcome: Welcome::new(info, options.demo, options.status)?,
        })
    }

    #[inline(always)]
    fn place(&self, path: &[u8]) -> Place<'_> {
        if let Some(demo) = &self.demo
            && let Some(route) = demo::route(path)
        {
            return Place::Demo(demo, route);
        }
        if let Some(status) = &self.status
            && let Some(route) = status::route(path)
        {
            return Place::Status(status, route);
        }
        match &self.files {
            Some(files) => Place::Files(files),
            None if path == b"/" => Place::Welcome,
            None => Place::Nowhere,
        }
    }

    /// Requests that no place answers by itself: they have their own.
    #[inline(always)]
    fn needs_slow_path(&self, request: &Request<'_>) -> bool {
        match request.method() {
            // The classic echo server answers whatever it is asked.
            Method::Other => {
                self.demo.is_none() || demo::route(request.path()) != Some(demo::Route::Echo)
            }
            Method::Trace | Method::Connect => true,
            _ => request.form() == Form::Asterisk,
        }
    }

    /// The places that are not measured in instructions: a call of their own, so that the one that
    /// is can be inlined into the driver.
    #[inline(never)]
    fn handle_place(
        &self,
        place: Place<'_>,
        local: &mut SiteLocal,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        match (place, &mut local.files) {
            (Place::Demo(demo, route), _) => return demo.handle(route, request, response),
            (Place::Status(status, route), _) => status.handle(route, request, response),
            (Place::Files(files), Some(local)) => return files.handle(local, request, response),
            (Place::Welcome, _) => self.welcome.handle(request, response),
            (Place::Files(_), None) | (Place::Nowhere, _) => response.error(Status::NOT_FOUND),
        }
        Action::Done
    }

    /// A method that no resource of ours has, or a request about the server as a whole.
    #[cold]
    fn handle_slow_path(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let allow = if self.demo.is_some() { ALLOW_SOMEWHERE } else { ALLOW_READ };
        match request.method() {
            Method::Other => response.error(Status::NOT_IMPLEMENTED),
            Method::Options => {
                response.start(Status::NO_CONTENT).field("Allow", allow).empty();
            }
            _ => response
                .start(Status::METHOD_NOT_ALLOWED)
                .field("Allow", ALLOW_READ)
                .field("Content-Type", "text/plain; charset=utf-8")
                .bytes(b"405 Method Not Allowed\n"),
        }
    }
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
            Place::Demo(demo, route) => demo.body(route),
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
            Place::Demo(demo, route) => demo.handle(route, request, response),
            place => self.handle_place(place, local, request, response),
        }
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match self.place(request.path()) {
            Place::Demo(demo, _) => demo.work(request, response),
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
            Place::Demo(demo, _) => demo.resume(request, response),
            _ => {
                response.error(Status::INTERNAL_SERVER_ERROR);
                Action::Done
            }
        }
    }
}
