//! The models: which process or thread does which task.
//!
//! A model's file is wiring only. What it decides is in its [`ModelInfo`], which the welcome page
//! draws.

use std::io;

use crate::app::App;
use crate::metrics::Metrics;
use crate::model::{ModelInfo, ModelInfos};
use crate::operation::listen::Listening;
use crate::operation::service::Service;
use crate::options::{OptionGroup, Options, Takes};

pub mod amped;
pub mod iterative;
pub mod mt;
pub mod prefork;
pub mod sped;
pub mod symped;

/// A model: its description, and how to run an application under it until the server is stopped.
pub struct Model<A: App> {
    /// What it decides.
    pub info: &'static ModelInfo,
    /// The options that it takes in addition to the common ones.
    pub options: &'static [OptionGroup],
    /// Allocates the counters: a slot for each loop, thread or process that counts.
    pub metrics: fn(options: &Options) -> io::Result<Metrics>,
    /// How many listeners, each with its own accept queue, it wants per port.
    pub queues: fn(options: &Options) -> usize,
    /// Runs an application.
    pub run: fn(app: A, options: &Options, server: Server) -> io::Result<()>,
}

/// What a model is given to run an application with.
pub struct Server {
    /// The sockets to accept from.
    pub listeners: Vec<Listening>,
    /// The counters: a slot for each loop.
    pub metrics: Metrics,
    /// What other processes know of the server: the PID file, the service manager, a predecessor.
    pub service: Service,
}

/// All models, for an application `A`.
fn all<A: App>() -> Vec<Model<A>> {
    vec![
        Model {
            info: &iterative::INFO,
            options: &[],
            metrics: iterative::metrics,
            queues: one_queue,
            run: iterative::run::<A>,
        },
        Model {
            info: &mt::INFO,
            options: &[OptionGroup::PerConnection],
            metrics: mt::metrics,
            queues: one_queue,
            run: mt::run::<A>,
        },
        Model {
            info: &prefork::INFO,
            options: &[OptionGroup::Pool],
            metrics: prefork::metrics,
            queues: one_queue,
            run: prefork::run::<A>,
        },
        Model {
            info: &sped::INFO,
            options: &[],
            metrics: sped::metrics,
            queues: one_queue,
            run: sped::run::<A>,
        },
        Model {
            info: &amped::INFO,
            options: &[OptionGroup::Threads],
            metrics: amped::metrics,
            queues: one_queue,
            run: amped::run::<A>,
        },
        Model {
            info: &symped::INFO,
            options: &[OptionGroup::Processes],
            metrics: symped::metrics,
            queues: symped::queues,
            run: symped::run::<A>,
        },
    ]
}

/// The model called `name`, for an application `A`.
pub fn by_name<A: App>(name: &str) -> Option<Model<A>> {
    all().into_iter().find(|model| model.info.name == name)
}

/// The description of the model that runs, beside all others.
pub(crate) fn infos<A: App>(running: &'static ModelInfo) -> ModelInfos {
    ModelInfos { running, all: all::<A>().iter().map(|model| model.info).collect() }
}

/// The names of all models of an application `A`, for a message.
pub(crate) fn names<A: App>() -> String {
    all::<A>().iter().map(|model| model.info.name).collect::<Vec<_>>().join(", ")
}

/// The options that each model takes.
pub fn option_groups<A: App>() -> Vec<Takes> {
    all::<A>().iter().map(|model| (model.info.name, model.options)).collect()
}

/// For models in which one process accepts.
fn one_queue(_: &Options) -> usize {
    1
}
