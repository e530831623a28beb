//! From the command line to a running model, for all binaries.
//!
//! ```text
//! arguments, environment ─► Options ─► listeners ─► pid file ─► application ─► Model::run
//! ```
//!
//! Every failure is one line on standard error that names the thing, the cause and the fix.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use reactor::process::clean_start;

use crate::access_log;
use crate::app::{App, file_errors};
use crate::failure::{Named as _, last_words};
use crate::metrics::Metrics;
use crate::model::ModelInfos;
use crate::models::{self, Server};
use crate::operation::SIGNALS;
use crate::operation::inherited::Inherited;
use crate::operation::listen::{self, Listening};
use crate::operation::service::{Manager, PidFile, Service};
use crate::options::{Options, Parsed, descriptors};
use crate::report::{self, report};

/// A `main` for the model called `model` and the application built by `make`.
pub fn main<A: App>(
    model: &str,
    make: impl FnOnce(&Options, Metrics, ModelInfos) -> io::Result<A>,
) -> ExitCode {
    main_after(model, 1, make)
}

/// The same, without the first `skip` arguments (including the program's name).
pub fn main_after<A: App>(
    model: &str,
    skip: usize,
    make: impl FnOnce(&Options, Metrics, ModelInfos) -> io::Result<A>,
) -> ExitCode {
    match start(model, std::env::args_os().skip(skip), make) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn start<A: App>(
    name: &str,
    arguments: impl Iterator<Item = OsString>,
    make: impl FnOnce(&Options, Metrics, ModelInfos) -> io::Result<A>,
) -> Result<(), String> {
    let model = models::by_name::<A>(name).ok_or_else(|| {
        format!("unknown model {name:?}; expected one of: {}", models::names::<A>())
    })?;
    let (groups, env) = (models::option_groups::<A>(), |name: &str| std::env::var_os(name));
    report::name_is(model.info.name);
    report::report_panics();
    clean_start(&SIGNALS)
        .map_err(|error| format!("cannot set the signals that were inherited: {error}"))?;
    let parsed = Options::from_env_and_args(model.info, &groups, arguments, env)
        .map_err(|error| error.to_string())?;
    let options = match parsed {
        Parsed::Run(options) => options,
        Parsed::Help(text) | Parsed::Version(text) => {
            return report::page(&text).map_err(|error| error.to_string());
        }
    };
    listen::close_unused(&options);
    descriptors::raise_limit()
        .map_err(|error| format!("cannot raise the limit on open files: {error}"))?;
    let mut inherited = Inherited::from_env().map_err(|error| last_words(&error))?;
    let listeners = listen::open(&options, (model.queues)(&options), &mut inherited);
    let listeners = listeners.map_err(|error| last_words(&error))?;
    // Every address is bound; the model drops privileges before it starts threads or serves.
    let service = service(&options, &listeners, inherited)?;
    let metrics = (model.metrics)(&options)
        .named("no memory for the counters")
        .map_err(|error| error.to_string())?;
    file_errors::prepare();
    access_log::prepare();
    let app = make(&options, metrics.clone(), models::infos::<A>(model.info))
        .map_err(|error| last_words(&error))?;
    let server = Server { listeners, metrics, service };
    (model.run)(app, &options, server).map_err(|error| last_words(&error))
}

fn service(
    options: &Options,
    listeners: &[Listening],
    mut inherited: Inherited,
) -> Result<Service, String> {
    let pid_file = inherited.take_pid_file();
    let pid_file = options.operation.pid_file.as_ref().map(|path| PidFile::open(path, pid_file));
    let pid_file = pid_file.transpose().map_err(|error| error.to_string())?;
    let manager = Manager::from_env();
    let service = Service::new(listeners, inherited.into_predecessor(), pid_file, manager);
    Ok(service.with_upgrades(!options.operation.no_upgrade))
}
