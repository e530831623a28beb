//! `/sleep`: a wait, standing for the answer of another service.

use std::time::Duration;

use super::argument::{Argument, say};
use crate::app::{Action, Request, Response};
use crate::site::handler::Handler;

/// One minute, the idle timeout's default: no other service is waited for longer.
const SLEEP_MS: Argument = Argument { name: "ms", unit: "milliseconds", default: 100, max: 60_000 };

/// The route.
pub(super) struct Sleep;

impl Handler for Sleep {
    fn handle(&self, request: &Request<'_>, response: &mut Response<'_>) -> Action {
        match SLEEP_MS.of(request.query()) {
            Some(ms) => return Action::Wait(Duration::from_millis(ms)),
            None => SLEEP_MS.refuse(response),
        }
        Action::Done
    }

    fn resume(&self, request: &Request<'_>, response: &mut Response<'_>) -> Action {
        match SLEEP_MS.of(request.query()) {
            Some(ms) => say(response, format_args!("waited for {ms} ms\n")),
            None => SLEEP_MS.refuse(response),
        }
        Action::Done
    }
}
