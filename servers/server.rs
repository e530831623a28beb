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
use crate::upgrade::{Inherited, Predecessor};

/// What a model is given to run an application with.
pub struct Server {
    /// The model's name, as it begins a line for the operator.
    pub name: &'static str,
    /// The sockets to accept from.
    pub listeners: Vec<Listening>,
    /// The counters: a slot for each loop.
    pub census: Census,
    /// The server that this one replaces, if it does.
    pub predecessor: Predecessor,
}

/// What a model says once it is ready to serve, and to be stopped.
pub struct Announcement {
    /// Where it listens, a line each.
    text: String,
    predecessor: Predecessor,
}

impl Announcement {
    /// Prints it on standard error, and tells whoever waits for it.
    pub fn make(self) {
        eprint!("{}", self.text);
        self.predecessor.dismiss();
    }
}

impl Server {
    /// What there is to say when it is ready; once.
    pub fn announcement(&mut self) -> Announcement {
        let first = self.listeners.iter().filter(|listening| listening.queue == 0);
        let line =
            |listening: &Listening| format!("{}: listening on {}\n", self.name, listening.url);
        let text = first.map(line).collect();
        Announcement { text, predecessor: std::mem::take(&mut self.predecessor) }
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
        .ok_or_else(|| format!("no model is called {name:?}; there are: sped, amped, symped"))?;
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
    let mut inherited = Inherited::from_env().map_err(|error| error.to_string())?;
    let listeners = listen::open(&options, (model.queues)(&options), &mut inherited);
    let listeners = listeners.map_err(|error| error.to_string())?;
    // Every address is bound; a model gives up privileges before it starts threads or serves.
    let predecessor = inherited.into_predecessor();
    let census =
        (model.census)(&options).map_err(|error| format!("no memory for the counters: {error}"))?;
    let app = make(&options, census.clone(), model.card).map_err(|error| error.to_string())?;
    let server = Server { name: model.card.name, listeners, census, predecessor };
    (model.run)(app, &options, server).map_err(|error| error.to_string())
}
