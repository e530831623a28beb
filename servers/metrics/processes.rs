//! Which worker processes there are, in memory that all of them can read.
//!
//! ```text
//! master ── writes ──► post 0: pid 4711, serving, slot 3, 2 restarts
//!                      post 1: pid 4712, starting, …
//!                        └──────── read by ──────── the status pages, in any worker
//! ```
//!
//! A *post* is a place for a worker: the worker in it may die and be replaced. *Not* guaranteed: that
//! what is read of one post belongs to one moment.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use reactor::shared::SharedTable;

/// What the worker of a post is doing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// It has been forked and does not serve yet.
    Starting,
    /// It serves.
    Serving,
    /// It exited right after starting; the next one is being held back.
    Waiting,
    /// There is none, and none will come: the server stops.
    Gone,
}

impl State {
    /// As people and programs read it.
    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Serving => "serving",
            State::Waiting => "waiting",
            State::Gone => "gone",
        }
    }

    /// Zero is what an entry begins with.
    fn from_number(number: u32) -> State {
        match number {
            1 => State::Serving,
            2 => State::Waiting,
            3 => State::Gone,
            _ => State::Starting,
        }
    }

    fn number(self) -> u32 {
        match self {
            State::Starting => 0,
            State::Serving => 1,
            State::Waiting => 2,
            State::Gone => 3,
        }
    }
}

reactor::shared_struct! {
    /// One post, written by the master alone. A cache line each.
    #[repr(C, align(64))]
    struct Entry {
        restarts: AtomicU64,
        pid: AtomicU32,
        state: AtomicU32,
        slot: AtomicU32,
    }
}

/// What is known of a post's worker.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its process; of one that has died, the last.
    pub pid: u32,
    /// What it is doing.
    pub state: State,
    /// The first of the slots that it counts in.
    pub slot: usize,
    /// How many workers of this post have died unexpectedly.
    pub restarts: u64,
}

/// All posts. Of a server without worker processes: none.
#[derive(Clone, Debug)]
pub struct ProcessTable {
    entries: SharedTable<Entry>,
}

impl ProcessTable {
    /// Posts that are empty.
    pub(crate) fn new(posts: usize) -> io::Result<Self> {
        Ok(ProcessTable { entries: SharedTable::new(posts)? })
    }

    /// The posts, in order.
    pub fn reports(&self) -> impl Iterator<Item = Report> {
        self.entries.iter().map(|entry| Report {
            pid: entry.pid.load(Relaxed),
            state: State::from_number(entry.state.load(Relaxed)),
            slot: entry.slot.load(Relaxed) as usize,
            restarts: entry.restarts.load(Relaxed),
        })
    }

    /// The post has a worker.
    pub fn assign(&self, post: usize, pid: u32, slot: usize) {
        if let Some(entry) = self.entries.get(post) {
            entry.pid.store(pid, Relaxed);
            entry.slot.store(slot as u32, Relaxed);
        }
    }

    /// Its worker does this now.
    pub fn set_state(&self, post: usize, state: State) {
        if let Some(entry) = self.entries.get(post) {
            entry.state.store(state.number(), Relaxed);
        }
    }

    /// Its worker has died unexpectedly.
    pub fn count_restart(&self, post: usize) {
        if let Some(entry) = self.entries.get(post) {
            entry.restarts.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_master_writes_is_what_is_reported() {
        let processes = ProcessTable::new(2).unwrap();
        processes.assign(1, 4711, 5);
        processes.set_state(1, State::Serving);
        processes.count_restart(1);
        let reports: Vec<Report> = processes.reports().collect();
        assert_eq!(reports[0], Report { pid: 0, state: State::Starting, slot: 0, restarts: 0 });
        assert_eq!(reports[1], Report { pid: 4711, state: State::Serving, slot: 5, restarts: 1 });
        processes.set_state(2, State::Gone); // there is no such post
    }

    #[test]
    fn every_state_survives_being_a_number() {
        for state in [State::Starting, State::Serving, State::Waiting, State::Gone] {
            assert_eq!(State::from_number(state.number()), state);
        }
    }
}
