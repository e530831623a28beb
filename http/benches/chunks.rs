//! Chunked bodies: nanoseconds per chunk, of this crate's decoder and of others.
//!
//! ```text
//! cargo bench -p stampede-http --bench chunks                   prints a table
//! cargo bench -p stampede-http --bench chunks -- --check        and fails when a bound is missed
//! ```

mod common;

use std::process::ExitCode;

use common::bodies::{self, Chunks, Stampede};
use common::clock::{self, Contender};

/// The bound: our time is at most this many times that of the best of the others.
const BOUND: f64 = 0.7;

/// Bytes in a chunk, and chunks in a body: enough for its end not to matter.
const SHAPES: [(usize, usize); 3] = [(1, 1024), (16, 1024), (1024, 256)];

#[cfg(target_os = "linux")]
fn pico(body: &[u8]) -> Option<Contender<'_>> {
    Some(Contender::new(common::pico::InPlace::new(body)))
}

#[cfg(not(target_os = "linux"))]
fn pico(_: &[u8]) -> Option<Contender<'_>> {
    None
}

/// Prints a row; returns the bound if it is missed.
fn row((len, chunks): (usize, usize)) -> Option<String> {
    let body = bodies::body(chunks, len);
    let mut contenders = vec![Contender::new(Stampede::new(&body)), Contender::new(Chunks(&body))];
    contenders.extend(pico(&body));
    let mut best_ns = clock::compare(contenders);
    best_ns.iter_mut().for_each(|ns| *ns /= chunks as f64);
    let ours = best_ns[0];
    let ratio = ours / best_ns[1..].iter().copied().fold(f64::INFINITY, f64::min);
    let pico = best_ns.get(2).map_or_else(|| "-".to_owned(), |ns| format!("{ns:.2}"));
    println!("| {len} | {ours:.2} | {:.2} | {pico} | {ratio:.2} |", best_ns[1]);
    (ratio > BOUND).then(|| {
        format!(
            "chunks of {len} bytes: {ratio:.2} x the best of the others, at most {BOUND} wanted"
        )
    })
}

fn main() -> ExitCode {
    clock::pin();
    println!("| bytes in a chunk | stampede, ns | httparse | picohttpparser | ours/the best |");
    println!("|---|---|---|---|---|");
    let missed: Vec<String> = SHAPES.into_iter().filter_map(row).collect();
    if !std::env::args().any(|arg| arg == "--check") || missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    for line in missed {
        eprintln!("{line}");
    }
    ExitCode::FAILURE
}
