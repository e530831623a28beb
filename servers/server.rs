//! From the command line to a running model: what all binaries do first.
//!
//! ```text
//! arguments, environment ─► Options ─► listeners ─► application ─► Model::run ─► exit status
//! ```
//!
//! Whatever is wrong is said in one line on standard error that names the thing, the cause and the
//! mend.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use crate::app::App;
use crate::counters::Census;
use crate::listen::{self, Listening};
use crate::models::{self, Card};
use crate::options::{Options, Parsed, descriptors};

/// What a model is given to run an application with.
pub struct Server {
    /// The model's name, as it begins a line for the operator.
    pub name: &'static str,
    /// The sockets to accept from.
    pub listeners: Vec<Listening>,
    /// The counters: a slot for each loop.
    pub census: Census,
}

impl Server {
    /// Where it listens, a line each: for the model to print on standard error once it is ready to
    /// serve, and to be stopped.
    pub fn announcement(&self) -> String {
        let line =
            |listening: &Listening| format!("{}: listening on {}\n", self.name, listening.url);
        self.listeners.iter().map(line).collect()
    }
}

/// A `main` for the model called `model` and the application that `make` builds.
pub fn main<A: App>(
    model: &str,
    make: impl FnOnce(&Options, Census, &'static Card) -> io::Result<A>,
) -> ExitCode {
    main_after(model, 1, make)
}

/// The same, with the first `skip` arguments (the program's name among them) left to the caller.
pub fn main_after<A: App>(
    model: &str,
    skip: usize,
    make: impl FnOnce(&Options, Census, &'static Card) -> io::Result<A>,
) -> ExitCode {
    match start(model, std::env::args_os().skip(skip), make) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{model}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn start<A: App>(
    name: &str,
    arguments: impl Iterator<Item = OsString>,
    make: impl FnOnce(&Options, Census, &'static Card) -> io::Result<A>,
) -> Result<(), String> {
    let model = models::by_name::<A>(name)
        .ok_or_else(|| format!("no model is called {name:?}; there are: sped, amped"))?;
    let parsed = Options::from_env_and_args(model.card, arguments, |name| std::env::var_os(name))
        .map_err(|error| error.to_string())?;
    let options = match parsed {
        Parsed::Run(options) => options,
        Parsed::Help(text) | Parsed::Version(text) => {
            print!("{text}");
            return Ok(());
        }
    };
    descriptors::raise_limit()
        .map_err(|error| format!("cannot raise the limit on open files: {error}"))?;
    let listeners = listen::open(&options).map_err(|error| error.to_string())?;
    let census =
        (model.census)(&options).map_err(|error| format!("no memory for the counters: {error}"))?;
    let app = make(&options, census.clone(), model.card).map_err(|error| error.to_string())?;
    let server = Server { name: model.card.name, listeners, census };
    (model.run)(app, &options, server).map_err(|error| error.to_string())
}
