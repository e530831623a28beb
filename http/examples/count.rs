//! Parses one input repeatedly with one parser, for counting instructions:
//!
//! ```text
//! count stampede|httparse|picohttpparser INPUT TIMES
//! ```
//!
//! `count.py` beside this file runs it under callgrind and prints a table.

#[path = "../benches/common/mod.rs"]
mod common;

use std::process::ExitCode;

use common::inputs::INPUTS;
use common::parsers::{Httparse, Parser, Stampede, parse_all};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if run(&words).is_some() {
        return ExitCode::SUCCESS;
    }
    let names = INPUTS.map(|input| input.name).join("|");
    eprintln!("usage: count stampede|httparse|picohttpparser {names} TIMES");
    ExitCode::FAILURE
}

/// `None`: an invalid command line.
fn run(words: &[String]) -> Option<()> {
    let [parser, input, times] = words else {
        return None;
    };
    let input = INPUTS.iter().find(|known| known.name == input)?;
    let times = times.parse().ok()?;
    match parser.as_str() {
        Stampede::NAME => parse_all(&mut Stampede::new(), input.bytes, times),
        Httparse::NAME => parse_all(&mut Httparse, input.bytes, times),
        #[cfg(target_os = "linux")]
        common::pico::Pico::NAME => parse_all(&mut common::pico::Pico, input.bytes, times),
        _ => return None,
    }
    Some(())
}
