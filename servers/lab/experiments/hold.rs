//! Many connections that are open and asked now and then.

use std::time::Duration;

use crate::lab::bench::Bench;
use crate::lab::load::{Pace, Plan, Running};
use crate::lab::problem::Problem;
use crate::lab::server::Server;

/// Longer than any experiment: what is held is not to be closed for being idle.
pub const PATIENT: [&str; 4] = ["--idle-timeout", "1h", "--head-timeout", "1h"];
/// How long connections may take to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens `count` connections and has each asked for `/plaintext` once a second or so, in turn, until
/// the result is dropped. `None`: the server did not serve them all.
///
/// # Errors
/// The load's; Ctrl-C.
pub fn hold(
    bench: &mut Bench<'_>,
    server: &Server,
    count: u32,
) -> Result<Option<Running>, Problem> {
    let plan = Plan {
        connections: count,
        pace: Pace::PerSecond(f64::from(count)),
        warm_up: Duration::ZERO,
        timeout: PATIENCE,
        ..bench.plan(server, "/plaintext", 1.0)?
    };
    let running = bench.background(&plan)?;
    // Each one has had an answer, if they take turns.
    let served = bench.until(PATIENCE, || {
        let counts = running.outcome().record.counts;
        counts.connections >= u64::from(count) && counts.answered >= 2 * u64::from(count)
    })?;
    Ok(served.then_some(running))
}
