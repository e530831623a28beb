//! Fibers compared with those of the crate corosensei.
//!
//! ```text
//! cargo bench -p stampede-reactor --bench fibers               a table in Markdown, some seconds
//! cargo bench -p stampede-reactor --bench fibers -- --check    fails if our switch is slower
//! cargo bench -p stampede-reactor --bench fibers -- switch     the rows with this word
//! ```
//!
//! One thread, pinned to a core. An item is a round trip: resume and suspend, or a fiber that is
//! made, runs to its end and is dropped. Rounds are interleaved, as those of the rings are. The
//! rows differ in what the processor can predict: *one fiber* is the best case; *1,000 in turn*
//! finds their stacks in the second-level cache; *ten calls deep* suspends below ten frames that
//! return before the next time, as a server's code does.
//!
//! The last row is not a contest, and `--check` ignores it: ours takes a stack from a pool that
//! threads share, and returns it, which is six atomic operations; theirs is handed the same stack
//! again and again.

#[path = "rings/report.rs"]
mod report;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use report::{Contender, Table, time};
use stampede_reactor::fiber::{Fiber, Resumed, StackPool, Suspender};
use stampede_reactor::process;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

const STACK_BYTES: usize = 64 * 1024;
const ROUNDS: usize = 201;
const ITEMS: usize = 20_000;
const MANY: usize = 1000;
const CALLS: usize = 10;

fn main() -> ExitCode {
    // cargo passes --bench.
    let (options, words): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    process::pin(process::cores()[0]).expect("a core of ours");
    let mut table = Table::new(words);
    for (what, fibers, depth) in [
        ("switch: one fiber", 1, 0),
        ("switch: 1,000 in turn", MANY, 0),
        ("switch: one, ten calls deep", 1, CALLS),
        ("switch: 1,000, ten calls deep", MANY, CALLS),
    ] {
        switch(&mut table, what, fibers, depth);
    }
    lifetime(&mut table);
    table.print();
    let mut slower = table.slower();
    slower.retain(|what| what.starts_with("switch"));
    if options.iter().any(|option| option == "--check") && !slower.is_empty() {
        eprintln!("fibers: slower than theirs: {}", slower.join(", "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn switch(table: &mut Table, what: &'static str, count: usize, depth: usize) {
    let pool = StackPool::new(STACK_BYTES, count * 2).expect("room for stacks");
    let mut ours: Vec<_> = (0..count).map(|_| our_switcher(&pool, depth)).collect();
    let mut ours_again: Vec<_> = (0..count).map(|_| our_switcher(&pool, depth)).collect();
    let mut theirs: Vec<_> = (0..count).map(|_| their_switcher(depth)).collect();
    let contenders = vec![
        Contender::new("ours", || resume_ours(&mut ours)),
        Contender::new("ours", || resume_ours(&mut ours_again)),
        Contender::new("corosensei", || resume_theirs(&mut theirs)),
    ];
    table.measure(what, ROUNDS, ITEMS as u64, contenders);
}

fn our_switcher(pool: &StackPool, depth: usize) -> Fiber {
    Fiber::new(pool.take().expect("a stack"), move |suspender| {
        let mut value = 0;
        loop {
            value = match depth {
                0 => suspender.suspend(value),
                _ => suspend_ours(suspender, value, depth),
            };
        }
    })
}

/// Two functions, so that no recursion is made a loop.
#[inline(never)]
fn suspend_ours(suspender: &Suspender, value: usize, depth: usize) -> usize {
    if depth == 0 { suspender.suspend(value) } else { our_frame(suspender, value, depth - 1) + 1 }
}

#[inline(never)]
fn our_frame(suspender: &Suspender, value: usize, depth: usize) -> usize {
    suspend_ours(suspender, value, depth) ^ depth
}

fn resume_ours(fibers: &mut [Fiber]) -> Duration {
    time(|| {
        for _ in 0..ITEMS / fibers.len() {
            for fiber in &mut *fibers {
                let Resumed::Suspended(value) = fiber.resume(black_box(1)) else {
                    panic!("it never ends")
                };
                black_box(value);
            }
        }
    })
}

type Theirs = Coroutine<usize, usize, ()>;

fn their_switcher(depth: usize) -> Theirs {
    let stack = DefaultStack::new(STACK_BYTES).expect("a stack");
    Coroutine::with_stack(stack, move |yielder, mut value| {
        loop {
            value = match depth {
                0 => yielder.suspend(value),
                _ => suspend_theirs(yielder, value, depth),
            };
        }
    })
}

#[inline(never)]
fn suspend_theirs(yielder: &Yielder<usize, usize>, value: usize, depth: usize) -> usize {
    if depth == 0 { yielder.suspend(value) } else { their_frame(yielder, value, depth - 1) + 1 }
}

#[inline(never)]
fn their_frame(yielder: &Yielder<usize, usize>, value: usize, depth: usize) -> usize {
    suspend_theirs(yielder, value, depth) ^ depth
}

fn resume_theirs(fibers: &mut [Theirs]) -> Duration {
    time(|| {
        for _ in 0..ITEMS / fibers.len() {
            for fiber in &mut *fibers {
                let CoroutineResult::Yield(value) = fiber.resume(black_box(1)) else {
                    panic!("it never ends")
                };
                black_box(value);
            }
        }
    })
}

fn lifetime(table: &mut Table) {
    let pool = StackPool::new(STACK_BYTES, 1).expect("room for a stack");
    let ours = || {
        time(|| {
            for number in 0..ITEMS {
                let stack = pool.take().expect("a stack");
                let mut fiber = Fiber::new(stack, move |_| assert!(black_box(number) < ITEMS));
                assert!(matches!(fiber.resume(0), Resumed::Finished));
            }
        })
    };
    let mut stack = Some(DefaultStack::new(STACK_BYTES).expect("a stack"));
    let theirs = || {
        time(|| {
            for number in 0..ITEMS {
                let reused = stack.take().expect("returned below");
                let mut fiber: Coroutine<(), (), ()> =
                    Coroutine::with_stack(reused, move |_, ()| assert!(black_box(number) < ITEMS));
                assert!(matches!(fiber.resume(()), CoroutineResult::Return(())));
                stack = Some(fiber.into_stack());
            }
        })
    };
    let contenders = vec![
        Contender::new("ours", ours),
        Contender::new("ours", ours),
        Contender::new("corosensei", theirs),
    ];
    table.measure("a fiber from start to end", ROUNDS, ITEMS as u64, contenders);
}
