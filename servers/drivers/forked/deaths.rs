//! What an operator learns of children that have died.

use std::mem;
use std::process::ExitStatus;
use std::time::Duration;

use crate::report::report;

/// Dead children in a second that get a line each.
const DEATHS_REPORTED_MAX: u32 = 10;
/// That second.
const SECOND_MS: u64 = 1000;

/// Messages about children that have died, a few a second at most.
#[derive(Default)]
pub struct Deaths {
    since_ms: u64,
    reported: u32,
    unreported: u64,
}

impl Deaths {
    /// A child has ended, and not by itself.
    pub fn report(&mut self, now_ms: u64, pid: u32, status: ExitStatus) {
        if now_ms >= self.since_ms + SECOND_MS {
            self.report_rest();
            (self.since_ms, self.reported) = (now_ms, 0);
        }
        if self.reported == DEATHS_REPORTED_MAX {
            self.unreported += 1;
            return;
        }
        self.reported += 1;
        report!("child {pid} has died ({status}), and its connection with it");
    }

    /// How long until there is something to report even if no other child dies.
    pub fn next_report(&self, now_ms: u64) -> Option<Duration> {
        let left_ms = (self.since_ms + SECOND_MS).saturating_sub(now_ms);
        (self.unreported > 0).then(|| Duration::from_millis(left_ms))
    }

    /// Reports those that had no line of their own, if their second is over.
    pub fn report_due(&mut self, now_ms: u64) {
        if self.next_report(now_ms) == Some(Duration::ZERO) {
            self.report_rest();
        }
    }

    /// Reports those that had no line of their own.
    pub fn report_rest(&mut self) {
        match mem::take(&mut self.unreported) {
            0 => {}
            more => report!("{more} more children have died"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_a_few_lines_and_the_next_tells_how_many_more_there_were() {
        let mut deaths = Deaths::default();
        for _ in 0..DEATHS_REPORTED_MAX + 5 {
            deaths.report(10, 1, ExitStatus::default());
        }
        assert_eq!((deaths.reported, deaths.unreported), (DEATHS_REPORTED_MAX, 5));
        deaths.report(1010, 1, ExitStatus::default());
        assert_eq!((deaths.reported, deaths.unreported), (1, 0));
    }

    #[test]
    fn the_number_is_reported_also_when_no_other_child_dies() {
        let mut deaths = Deaths::default();
        for _ in 0..=DEATHS_REPORTED_MAX {
            assert_eq!(deaths.next_report(10), None);
            deaths.report(10, 1, ExitStatus::default());
        }
        deaths.report_due(900);
        assert_eq!(deaths.next_report(900), Some(Duration::from_millis(100)));
        deaths.report_due(1000);
        assert_eq!((deaths.unreported, deaths.next_report(1000)), (0, None));
    }
}
