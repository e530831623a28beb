//! `lab`: measures the models. See `lab --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::lab::command::main()
}
