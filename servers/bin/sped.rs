//! `sped`: the site under SPED, one process with one event loop. `sped --help` says the rest.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("sped", stampede::site::Site::new)
}
