//! Fibers take turns on one thread: the smallest scheduler there is.
//!
//! ```text
//! cargo run -p stampede-reactor --example fibers [FIBERS]      4, unless said otherwise
//! ```
//!
//! Each counts down from its number in a plain loop, and lets the others run between two steps. A
//! server's scheduler differs in one thing: a fiber that waits for a socket goes to a poller
//! instead of the end of the line.

use stampede_reactor::fiber::{Fiber, Resumed, StackPool, Suspender, report_overflows};
use std::collections::VecDeque;

fn main() -> std::io::Result<()> {
    let fibers = std::env::args().nth(1).map_or(4, |text| text.parse().expect("a number"));
    let _reports = report_overflows("fibers", "a larger stack in main() helps")?;
    let pool = StackPool::new(64 * 1024, fibers)?;
    let stacks = std::iter::from_fn(|| pool.take());
    let mut line: VecDeque<Fiber> = stacks
        .enumerate()
        .map(|(number, stack)| Fiber::new(stack, move |suspender| count_down(suspender, number)))
        .collect();
    while let Some(mut fiber) = line.pop_front() {
        match fiber.resume(0) {
            Resumed::Suspended(_) => line.push_back(fiber),
            Resumed::Finished => println!("one is through, {} are left", line.len()),
            Resumed::Panicked(_) => println!("one has panicked, the others go on"),
        }
    }
    Ok(())
}

fn count_down(suspender: &Suspender, number: usize) {
    suspender.set_label(format!("counts from {number}").as_bytes());
    for step in (1..=number).rev() {
        println!("{number}: {step}");
        suspender.suspend(0);
    }
}
