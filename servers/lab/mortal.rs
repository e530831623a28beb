//! The site, with a route that ends the process which answers it.

use std::io;

use crate::app::{Action, App, BodyPlan, Request, Response};
use crate::metrics::Metrics;
use crate::model::ModelInfos;
use crate::options::Options;
use crate::site::Site;

/// The environment variable by which `lab serve` runs this application.
pub(super) const ENABLE: &str = "LAB_MORTAL";
/// The route.
pub(super) const ABORT: &str = "/abort";

/// As the site, but for one route.
pub(super) struct Mortal(Site);

impl Mortal {
    pub(super) fn new(options: &Options, metrics: Metrics, infos: ModelInfos) -> io::Result<Self> {
        Site::new(options, metrics, infos).map(Mortal)
    }
}

impl App for Mortal {
    type Local = <Site as App>::Local;

    fn local(&self, index: usize) -> Self::Local {
        self.0.local(index)
    }

    fn body(&self, local: &mut Self::Local, request: &Request<'_>) -> BodyPlan {
        self.0.body(local, request)
    }

    fn handle(
        &self,
        local: &mut Self::Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        if request.path() == ABORT.as_bytes() {
            std::process::abort();
        }
        self.0.handle(local, request, response)
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self.0.work(request, response);
    }

    fn resume(
        &self,
        local: &mut Self::Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        self.0.resume(local, request, response)
    }
}
