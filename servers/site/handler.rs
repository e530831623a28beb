//! What answers one route.

use http::{Method, Status};

use crate::app::{Action, BodyPlan, Request, Response, reads};
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::options::Options;

/// A route's own [`App`](crate::app::App), without a part for each loop.
pub trait Handler: Send + Sync {
    /// Whether it answers this method; to another the site says which there are.
    fn takes(&self, method: Method) -> bool {
        reads(method)
    }

    /// What to do with the body that follows the head.
    fn body(&self) -> BodyPlan {
        BodyPlan::Discard
    }

    /// Answers, or says what the answer needs.
    fn handle(&self, request: &Request<'_>, response: &mut Response<'_>) -> Action;

    /// The work that `handle` asked for.
    fn work(&self, _request: &Request<'_>, response: &mut Response<'_>) {
        response.error(Status::INTERNAL_SERVER_ERROR);
    }

    /// The wait that `handle` asked for is over.
    fn resume(&self, _request: &Request<'_>, response: &mut Response<'_>) -> Action {
        response.error(Status::INTERNAL_SERVER_ERROR);
        Action::Done
    }
}

/// What handlers are made from.
pub struct Means<'m> {
    /// What a person decided.
    pub options: &'m Options,
    /// All counters.
    pub metrics: &'m Metrics,
    /// The model that the application runs under.
    pub info: &'static ModelInfo,
}
