//! What an operator learns of children that have died.

use std::mem;
use std::process::ExitStatus;

use crate::report::report;

/// Dead children in a second that get a line each.
const DEATHS_REPORTED_MAX: u32 = 10;

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
        if now_ms >= self.since_ms + 1000 {
            (self.since_ms, self.reported) = (now_ms, 0);
        }
        if self.reported == DEATHS_REPORTED_MAX {
            self.unreported += 1;
            return;
        }
        self.reported += 1;
        match mem::take(&mut self.unreported) {
            0 => report!("child {pid} has died ({status}), and its connection with it"),
            more => report!("child {pid} has died ({status}), and {more} others before it"),
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
}
