//! `mn`: the site on green threads. See `mn --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("mn", stampede::site::Site::new)
}
