//! `amped`: the site under AMPED, one event loop and worker threads. See `amped --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("amped", stampede::site::Site::new)
}
