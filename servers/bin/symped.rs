//! `symped`: the site under SYMPED, a master and one SPED worker per core. See `symped --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("symped", stampede::site::Site::new)
}
