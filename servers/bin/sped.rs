//! `sped`: the site under SPED, one process with one event loop. See `sped --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("sped", stampede::site::Site::new)
}
