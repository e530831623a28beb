//! The welcome page: what a server without a root shows at `/`.

use std::io;

use http::Status;

use crate::app::{Prepared, Request, Response, reads};
use crate::models::Card;
use crate::site::demo::refuse_method;

/// The welcome page, prepared.
pub struct Welcome {
    page: Prepared,
}

impl Welcome {
    /// The page of the model on `card`, with links to the routes that are on.
    ///
    /// # Errors
    /// A prepared field that is none: a mistake in this file.
    pub fn new(card: &'static Card, _demo: bool, _status: bool) -> io::Result<Self> {
        let page = Prepared::new(Status::OK, &[], card.name.as_bytes())
            .map_err(|_| io::Error::other("a prepared answer's field is not valid"))?;
        Ok(Welcome { page })
    }

    /// Answers, at once.
    pub fn handle(&self, request: &Request<'_>, response: &mut Response<'_>) {
        if !reads(request.method()) {
            return refuse_method(request, response);
        }
        response.prepared(&self.page);
    }
}
