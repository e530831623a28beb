//! `prefork`: the site in a pool of processes. See `prefork --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("prefork", stampede::site::Site::new)
}
