//! `/work`: a computation that takes a given amount of processor time.
//!
//! CPU time, not wall-clock time: otherwise two workers that share a core would both be done in the
//! time of one, and a model that starts too many threads would appear to work miracles.

use std::hint;
use std::time::Duration;

use reactor::process::thread_cpu_time;

use super::argument::{Argument, say};
use crate::app::{Action, Request, Response};
use crate::site::handler::Handler;

/// 10 s: long enough to see the blocking trap, short enough to wait it out.
pub(super) const WORK_US: Argument =
    Argument { name: "us", unit: "microseconds", default: 1_000, max: 10_000_000 };

/// Rounds between two looks at the clock: about a microsecond, against the 0.2 us that a look costs
/// (`CLOCK_THREAD_CPUTIME_ID` is a system call, the vDSO has no answer).
const ROUNDS_PER_LOOK: u64 = 512;

/// The route.
pub(super) struct Work;

impl Handler for Work {
    fn handle(&self, request: &Request<'_>, response: &mut Response<'_>) -> Action {
        if WORK_US.of(request.query()).is_some() {
            return Action::Work;
        }
        WORK_US.refuse(response);
        Action::Done
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let Some(us) = WORK_US.of(request.query()) else {
            return WORK_US.refuse(response);
        };
        let rounds = compute(Duration::from_micros(us));
        say(response, format_args!("computed for {us} us: {rounds} rounds\n"));
    }
}

/// Computes until this thread has spent `goal` on it. The number of rounds that took.
fn compute(goal: Duration) -> u64 {
    let Ok(start) = thread_cpu_time() else { return 0 };
    let (mut state, mut rounds) = (0x9E37_79B9_7F4A_7C15_u64, 0u64);
    while thread_cpu_time().is_ok_and(|now| now.saturating_sub(start) < goal) {
        for _ in 0..ROUNDS_PER_LOOK {
            state = hint::black_box(mix(state));
        }
        rounds += ROUNDS_PER_LOOK;
    }
    rounds
}

/// One step of xorshift64: three shifts, each dependent on the one before.
fn mix(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_spends_the_processor_time_it_was_asked_for() {
        let goal = Duration::from_millis(20);
        let before = thread_cpu_time().unwrap();
        let rounds = compute(goal);
        let spent = thread_cpu_time().unwrap() - before;
        assert!(spent >= goal, "{spent:?}");
        assert!(rounds > ROUNDS_PER_LOOK, "{rounds}");
    }

    #[test]
    fn waiting_is_no_work() {
        let before = thread_cpu_time().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(thread_cpu_time().unwrap() - before < Duration::from_millis(15));
    }

    #[test]
    fn no_work_takes_no_rounds() {
        assert_eq!(compute(Duration::ZERO), 0);
    }
}
