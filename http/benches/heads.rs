//! Request heads: nanoseconds per head, of this crate's parser and of others.
//!
//! ```text
//! cargo bench -p stampede-http --bench heads                   prints a table
//! cargo bench -p stampede-http --bench heads -- --check        and fails when a bound is missed
//! ```
//!
//! With `--features picohttpparser-sys/sse4` picohttpparser is built with SSE4.2. The better of its
//! builds is the rival: the bounds must hold against both.

mod common;

use std::process::ExitCode;

use common::clock::{self, Contender, Work};
use common::inputs::{INPUTS, Input};
use common::parsers::{Httparse, Parser, Stampede, parse_all};

/// The bound for an input: our time is at most this many times the other's.
struct Bounds {
    httparse: f64,
    pico: f64,
}

fn bounds(input: &Input) -> Bounds {
    match input.bytes.len() as u32 / input.heads {
        ..170 => Bounds { httparse: 0.75, pico: 1.2 },
        170..430 => Bounds { httparse: 0.6, pico: 1.0 },
        430.. => Bounds { httparse: 0.5, pico: 1.0 },
    }
}

struct Parsing<'a, P> {
    parser: P,
    input: &'a Input,
}

impl<P: Parser> Work for Parsing<'_, P> {
    fn run(&mut self, times: usize) {
        parse_all(&mut self.parser, self.input.bytes, times);
    }
}

fn contender<'a>(parser: impl Parser + 'a, input: &'a Input) -> Contender<'a> {
    Contender::new(Parsing { parser, input })
}

#[cfg(target_os = "linux")]
fn pico(input: &Input) -> Option<Contender<'_>> {
    Some(contender(common::pico::Pico, input))
}

#[cfg(not(target_os = "linux"))]
fn pico(_: &Input) -> Option<Contender<'_>> {
    None
}

/// Nanoseconds per head: ours, httparse's and, where it is, picohttpparser's.
fn measure(input: &Input) -> (f64, f64, Option<f64>) {
    let mut contenders = vec![contender(Stampede::new(), input), contender(Httparse, input)];
    contenders.extend(pico(input));
    let mut best_ns = clock::compare(contenders);
    best_ns.iter_mut().for_each(|ns| *ns /= f64::from(input.heads));
    (best_ns[0], best_ns[1], best_ns.get(2).copied())
}

/// Prints a row; returns the bounds that are missed.
fn row(input: &Input) -> Vec<String> {
    let (ours, httparse, pico) = measure(input);
    let bounds = bounds(input);
    print!("| {} | {ours:.1} | {httparse:.1} | ", input.name);
    println!("{} | {} | {} |", figure(pico), ratio(ours, Some(httparse)), ratio(ours, pico));
    let rivals =
        [(Httparse::NAME, Some(httparse), bounds.httparse), ("picohttpparser", pico, bounds.pico)];
    let missed = rivals.into_iter().filter_map(|(name, theirs, most)| {
        let ratio = ours / theirs?;
        (ratio > most)
            .then(|| format!("{} bytes: {ratio:.2} x {name}, at most {most} wanted", input.name))
    });
    missed.collect()
}

fn figure(ns: Option<f64>) -> String {
    ns.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.1}"))
}

fn ratio(ours: f64, theirs: Option<f64>) -> String {
    theirs.map_or_else(|| "-".to_owned(), |theirs| format!("{:.2}", ours / theirs))
}

fn main() -> ExitCode {
    clock::pin();
    println!("| bytes | stampede, ns | httparse | picohttpparser | ours/httparse | ours/pico |");
    println!("|---|---|---|---|---|---|");
    let missed: Vec<String> = INPUTS.iter().flat_map(row).collect();
    if !std::env::args().any(|arg| arg == "--check") || missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    for line in missed {
        eprintln!("{line}");
    }
    ExitCode::FAILURE
}
