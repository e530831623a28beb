//! `seda`: the site with stages. See `seda --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("seda", stampede::site::Site::new)
}
