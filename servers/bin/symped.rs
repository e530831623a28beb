//! `symped`: the site under SYMPED, a master and a SPED worker for each core. `symped --help` says the
//! rest.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("symped", stampede::site::Site::new)
}
