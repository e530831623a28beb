//! A load that verifies every answer, for `measure/symped.py`: `verify IP:PORT CLIENTS`. It runs
//! until the end of its standard input and then prints the results as one line of JSON.

use std::error::Error;
use std::io;

#[allow(dead_code)]
#[path = "../../tests/common/verify.rs"]
mod verify;

/// Failures that are described in words.
const TROUBLES_MAX: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, clients] = &arguments[..] else {
        return Err("usage: verify IP:PORT CLIENTS".into());
    };
    let load = verify::Load::start(server.parse()?, clients.parse()?);
    io::copy(&mut io::stdin(), &mut io::sink())?;
    let tally = load.finish();
    for trouble in tally.troubles.iter().take(TROUBLES_MAX) {
        eprintln!("{trouble}");
    }
    println!(
        "{{\"answered\":{},\"connections\":{},\"announced\":{},\"repeats\":{},\"refused\":{},\
         \"failed\":{},\"truncated\":{},\"cut\":{:?}}}",
        tally.answered,
        tally.connections,
        tally.announced,
        tally.repeats,
        tally.refused,
        tally.failed,
        tally.truncated,
        tally.cut
    );
    Ok(())
}
