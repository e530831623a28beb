//! *switch-cost*: from one process, thread or fiber to another.

use std::io::{self, PipeReader, PipeWriter};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use reactor::fiber::{Fiber, StackPool};
use reactor::process::{cores, pin};
use reactor::{ring, sleep};

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::problem::Problem;
use crate::lab::stats::median;
use crate::lab::text;

pub static SWITCH_COST: Experiment = Experiment {
    id: "switch-cost",
    claim: "A context switch costs 5 to 10 ms (so one text says; others say microseconds).",
    source: "an article on goroutines; McVoy and Staelin, lmbench, USENIX 1996, for the others",
    method: "A byte goes to and fro through two pipes between two processes, and two threads, that \
             share a core; a value between two fibers, and between two threads through the rings \
             and the sleep of AMPED's workers. Half a round trip is a switch, with the system calls \
             that bring it about. The text's figure is out by a thousand if the slowest is below \
             10 us.",
    run,
};

const ROUNDS: u32 = 20_000;
const KINDS: [&str; 4] = ["processes", "threads", "threads, rings", "fibers"];

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    let rounds = if bench.quick { ROUNDS / 4 } else { ROUNDS };
    let results = bench.interleaved(&KINDS, |bench, kind| {
        bench.check()?;
        bench.show(format_args!("{kind}"));
        let seconds = match *kind {
            "processes" => processes(rounds)?,
            "threads" => threads(rounds)?,
            "fibers" => fibers(rounds)?,
            _ => rings(rounds)?,
        };
        let ns = seconds * 1e9 / f64::from(2 * rounds);
        bench.keep(vec![("kind", (*kind).into()), ("ns", ns.into())]);
        Ok(ns)
    })?;
    let costs: Vec<f64> = results.iter().map(|rounds| median(rounds)).collect();
    let mut table = Table::new("A switch", &["between", "ns"]);
    for (kind, ns) in KINDS.iter().zip(&costs) {
        table.row([(*kind).to_owned(), format!("{ns:.0}")]);
    }
    let slowest = costs.iter().copied().fold(0.0, f64::max);
    let as_text = |ns: f64| text::time(std::time::Duration::from_nanos(ns as u64));
    let because = format!(
        "A switch took {} between processes, {} between threads, {} between fibers.",
        as_text(costs[0]),
        as_text(costs[1]),
        as_text(costs[3])
    );
    Ok(Findings::new(Verdict::from_bool(slowest >= 5e6), because)
        .table(table)
        .said("a context switch", "5 to 10 ms", as_text(costs[0]))
        .plot(Plot::bars("A switch", Axis::logarithmic("ns"), &KINDS, vec![("time", costs)])))
}

/// Seconds for so many round trips of a byte.
fn ping(mut to: impl io::Write, mut from: impl io::Read, rounds: u32) -> io::Result<f64> {
    let mut byte = [0];
    let begin = Instant::now();
    for _ in 0..rounds {
        to.write_all(&byte)?;
        from.read_exact(&mut byte)?;
    }
    Ok(begin.elapsed().as_secs_f64())
}

fn answer(mut from: impl io::Read, mut to: impl io::Write) -> io::Result<()> {
    let mut byte = [0];
    while from.read(&mut byte)? > 0 {
        to.write_all(&byte)?;
    }
    Ok(())
}

/// The other process: `lab pong`.
///
/// # Errors
/// Standard input's or output's.
pub fn pong() -> Result<(), String> {
    pin_to_first();
    answer(io::stdin(), PipeOut).map_err(|error| format!("pong: {error}"))
}

/// Standard output without its buffer.
struct PipeOut;

impl io::Write for PipeOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        let count = out.write(bytes)?;
        out.flush()?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pin_to_first() {
    if let Some(core) = cores().first() {
        let _ = pin(*core); // where it cannot be had the switch may be to another core
    }
}

/// Runs on a thread of its own, which stays on one core.
fn pinned(work: impl FnOnce() -> io::Result<f64> + Send) -> io::Result<f64> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin_to_first();
            work()
        });
        thread.join().map_err(|_| io::Error::other("the thread has panicked"))?
    })
}

fn processes(rounds: u32) -> io::Result<f64> {
    let mut other = Command::new(std::env::current_exe()?)
        .arg("pong")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (to, from) = (other.stdin.take(), other.stdout.take());
    let (Some(to), Some(from)) = (to, from) else { return Err(io::ErrorKind::BrokenPipe.into()) };
    // Its end of the pipe is closed by then: it ends.
    let seconds = pinned(|| ping(to, from, rounds));
    other.wait()?;
    seconds
}

fn threads(rounds: u32) -> io::Result<f64> {
    let ((there_out, there_in), (back_out, back_in)): (Pipe, Pipe) = (io::pipe()?, io::pipe()?);
    pinned(move || {
        // It inherits the core.
        let other = thread::spawn(move || answer(there_out, back_in));
        let seconds = ping(there_in, back_out, rounds)?;
        let _ = other.join();
        Ok(seconds)
    })
}

type Pipe = (PipeReader, PipeWriter);

fn rings(rounds: u32) -> io::Result<f64> {
    let (mut to, mut there) = ring::spsc::ring::<u32>(1);
    let (mut back, mut from) = ring::spsc::ring::<u32>(1);
    let ((mut own, wake_own), (mut other, wake_other)) = (sleep::parker(), sleep::parker());
    let worker = thread::spawn(move || {
        loop {
            other.sleep_unless(|| !there.is_empty() || there.is_closed());
            match there.pop() {
                Some(value) => {
                    let _ = back.push(value);
                    wake_own.wake();
                }
                None if there.is_closed() => return,
                None => {}
            }
        }
    });
    let begin = Instant::now();
    for round in 0..rounds {
        let _ = to.push(round);
        wake_other.wake();
        while from.pop().is_none() {
            own.sleep_unless(|| !from.is_empty());
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    drop(to);
    wake_other.wake();
    worker.join().map_err(|_| io::Error::other("the thread has panicked"))?;
    Ok(seconds)
}

fn fibers(rounds: u32) -> io::Result<f64> {
    let pool = StackPool::new(64 * 1024, 1)?;
    let stack = pool.take().ok_or(io::ErrorKind::OutOfMemory)?;
    let mut fiber = Fiber::new(stack, move |suspender| {
        for _ in 0..rounds {
            suspender.suspend(0);
        }
    });
    let begin = Instant::now();
    for _ in 0..=rounds {
        fiber.resume(0);
    }
    Ok(begin.elapsed().as_secs_f64())
}
