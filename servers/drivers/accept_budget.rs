//! How many connections a turn takes from a listener.
//!
//! Measured, an `accept4(2)` that finds nothing costs 4 µs and one more `epoll_wait(2)` 0.13 µs. So
//! the budget is the number found last time; it doubles after several turns in a row have used it
//! up; each time that turns out to be too many, the next attempt comes twice as late.

/// Connections accepted from one listener in one turn, at most.
const ACCEPTS_PER_TURN_MAX: u32 = 64;

/// How many connections the next turn takes.
pub(super) struct Budget {
    /// That many, at most.
    pub accepts: u32,
    /// Turns in a row that have used it up.
    used_up: u32,
    /// How many of them make the budget grow.
    patience: u32,
}

/// One `EAGAIN` in this many turns, when connections come singly.
const PATIENCE_MAX: u32 = 64;

impl Budget {
    pub const fn new() -> Self {
        Budget { accepts: 1, used_up: 0, patience: 1 }
    }

    /// The turn used it all.
    pub fn met(&mut self) {
        self.used_up += 1;
        if self.used_up >= self.patience {
            self.used_up = 0;
            self.accepts = (self.accepts * 2).min(ACCEPTS_PER_TURN_MAX);
            self.patience = (self.patience / 2).max(1);
        }
    }

    /// Only `taken` connections were there.
    pub fn missed(&mut self, taken: u32) {
        // Growing has halved it: restore that, and double it.
        self.patience = (self.patience * 4).min(PATIENCE_MAX);
        self.used_up = 0;
        self.accepts = taken.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns it takes to accept what arrives, and how many accepts find nothing meanwhile.
    fn run(budget: &mut Budget, arrivals: impl Iterator<Item = u32>) -> (u32, u32) {
        let (mut queue, mut turns, mut in_vain) = (0, 0, 0);
        for arrived in arrivals {
            queue += arrived;
            if queue == 0 {
                continue;
            }
            turns += 1;
            if queue >= budget.accepts {
                queue -= budget.accepts;
                budget.met();
            } else {
                in_vain += 1;
                budget.missed(queue);
                queue = 0;
            }
        }
        assert_eq!(queue, 0);
        (turns, in_vain)
    }

    #[test]
    fn connections_that_come_singly_cost_hardly_an_accept_in_vain() {
        let (_, in_vain) = run(&mut Budget::new(), std::iter::repeat_n(1, 10_000));
        assert!(in_vain <= 10_000 / 60, "{in_vain}");
    }

    #[test]
    fn a_burst_is_taken_in_few_turns_after_whatever_came_before() {
        let mut budget = Budget::new();
        run(&mut budget, std::iter::repeat_n(1, 1_000));
        let burst = std::iter::once(10_000).chain(std::iter::repeat_n(0, 1_000));
        let (turns, in_vain) = run(&mut budget, burst);
        assert!(turns <= 10_000 / 64 + 130, "{turns}");
        assert!(in_vain <= 1);
    }
}
