//! A thread of a stage: takes a batch, does each event's step, passes it on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use std::thread;

use reactor::process::Priority;

use super::connection::Event;
use super::{Name, System, Wakeups};
use crate::app::App;
use crate::app::clock::Clock;
use crate::report::report;

/// What the system refuses is reported once.
static REFUSED: Once = Once::new();

/// Starts one more thread of a stage.
pub(super) fn start<A: App>(
    system: &Arc<System<A>>,
    name: Name,
    priority: Priority,
) -> io::Result<()> {
    let (its, membership) = (Arc::clone(system), system.stage(name).join());
    let thread = thread::Builder::new().name(name.text().to_owned());
    let started = thread.spawn(move || {
        if let Err(error) = priority.apply() {
            REFUSED.call_once(|| report!("--worker-priority: work runs as all else: {error}"));
        }
        let mut clock = Clock::new(0);
        let mut wakeups = Wakeups::default();
        its.stage(name).serve(membership, |batch: &mut Vec<Event>| {
            for mut event in batch.drain(..) {
                let step = AssertUnwindSafe(|| its.step(name, &mut event, &mut clock));
                let to = catch_unwind(step).unwrap_or_else(|_| its.crashed(&mut event));
                its.pass(event, to, &mut wakeups);
            }
            its.wake(&mut wakeups);
        });
    });
    if started.is_err() {
        system.stage(name).dismiss();
    }
    started.map(drop)
}
