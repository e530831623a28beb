//! `lab COMMAND …`

use std::process::ExitCode;

use reactor::Signal;

use super::experiments;
use super::mortal::{self, Mortal};
use super::{load, run, server, text, top};
use crate::site::Site;

const HELP: &str = "\
lab: what is said about the models of servers, put to the test

Usage: lab COMMAND [OPTION]...

  load URL        a load for any HTTP/1.1 server
  run [ID]...     experiments on what is said about the models
  report [DIR]    the page of an earlier run, made again from its data
  top URL         a running server's numbers, live
  serve MODEL     run a model: what its own binary does, with its options

  lab COMMAND --help tells more
";

/// Runs what the arguments ask for.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    let result = match command.as_ref().and_then(|text| text.to_str()) {
        Some("load") => load::command::main(arguments),
        Some("run") => run::main(arguments),
        Some("report") => run::report_again(arguments),
        Some("top") => top::main(arguments),
        Some("serve") => return serve(),
        Some("pong") => experiments::pong(),
        None | Some("--help" | "-h" | "help") => {
            text::print(HELP);
            Ok(())
        }
        Some(other) => {
            Err(format!("unknown command {other:?}; expected load, run, report, top or serve"))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            crate::report::name_is("lab");
            crate::report::report!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// One of the models, in this process.
fn serve() -> ExitCode {
    let parent = std::env::var(server::PARENT).ok().and_then(|pid| pid.parse().ok());
    if let Some(parent) = parent
        && reactor::process::signal_when_parent_ends(Signal::TERM, parent).is_err()
    {
        return ExitCode::FAILURE; // it has ended already
    }
    let model = std::env::args().nth(2).unwrap_or_default();
    match std::env::var_os(mortal::ENABLE) {
        None => crate::start::main_after(&model, 3, Site::new),
        Some(_) => crate::start::main_after(&model, 3, Mortal::new),
    }
}
