//! The rings, and a job's round trip through them, compared with crossbeam's `ArrayQueue` and rtrb.
//!
//! ```text
//! cargo bench -p stampede-reactor --bench rings               a table in Markdown, half a minute
//! cargo bench -p stampede-reactor --bench rings -- --check    fails if ours is slower
//! cargo bench -p stampede-reactor --bench rings -- trip       the rows with this word
//! chrt -r 5 cargo bench -p stampede-reactor --bench rings     on a machine that has other work, as root
//! ```
//!
//! Two threads, each pinned to a core of its own. All contenders of a row take turns in many short
//! rounds, so that a disturbance of the machine hits them alike; each one's figure is the lower
//! quartile of its rounds. Of two rivals the better one counts. The last column is ours relative to
//! itself: the method's scatter.

mod contenders;
mod handover;
mod report;
mod throughput;

use report::Table;
use std::process::ExitCode;

fn main() -> ExitCode {
    // cargo passes --bench.
    let (options, words): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let check = options.iter().any(|option| option == "--check");
    let cores = stampede_reactor::process::cores();
    let [here, there, ..] = cores[..] else {
        eprintln!("rings: two cores are needed, one for each thread; there are {}", cores.len());
        return ExitCode::FAILURE;
    };
    stampede_reactor::process::pin(here).expect("a core of ours");
    let other = OtherCore(there);
    let mut table = Table::new(words);
    throughput::single(&mut table, other);
    throughput::batch(&mut table, other);
    throughput::uncontended(&mut table);
    handover::awake(&mut table, other);
    handover::from_sleep(&mut table, other);
    table.print();
    match table.slower() {
        slower if check && !slower.is_empty() => {
            eprintln!("rings: slower than theirs: {}", slower.join(", "));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Where the second thread is pinned; the first one is already.
#[derive(Clone, Copy)]
pub struct OtherCore(usize);

impl OtherCore {
    /// Runs `other` there while `this` runs here.
    pub fn beside<R>(self, other: impl FnOnce() + Send, this: impl FnOnce() -> R) -> R {
        let there = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                stampede_reactor::process::pin(self.0).expect("a core of ours");
                there.wait();
                other();
            });
            // It starts on this core, which it would have to share with a thread that spins.
            there.wait();
            this()
        })
    }
}
