//! `iterative`: the site, one client at a time. See `iterative --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("iterative", stampede::site::Site::new)
}
