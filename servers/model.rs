//! What a model is: its description, how it is run, and what it is given to run an application with.
//!
//! Nothing here names a model, so that the options and the site can show one; all of them are in the
//! table of [`models`](crate::models).

use std::io;

use crate::app::App;
use crate::metrics::Metrics;
use crate::operation::listen::Listening;
use crate::operation::service::Service;
use crate::options::Options;

/// What a model decides, for people: the welcome page and the status page show it.
pub struct ModelInfo {
    /// The model's (and its binary's) name: `sped`.
    pub name: &'static str,
    /// What the letters stand for.
    pub title: &'static str,
    /// One sentence: what it teaches.
    pub lesson: &'static str,
    /// Who accepts connections and tears them down (Task 1).
    pub task1: &'static str,
    /// Who reads requests and writes responses (Task 2).
    pub task2: &'static str,
    /// Who computes the responses (Task 3).
    pub task3: &'static str,
    /// What bounds the requests in flight.
    pub in_flight: &'static str,
    /// A picture in text of who does which task, at most 76 columns.
    pub picture: &'static str,
}

/// A model: its description and how to run an application under it until the server is told to stop.
pub struct Model<A: App> {
    /// What it decides.
    pub info: &'static ModelInfo,
    /// Makes the counters for all that will count.
    pub metrics: fn(options: &Options) -> io::Result<Metrics>,
    /// How many listeners, each with a queue of its own, it wants on a port.
    pub queues: fn(options: &Options) -> usize,
    /// Runs it.
    pub run: fn(app: A, options: &Options, server: Server) -> io::Result<()>,
}

/// What a model is given to run an application with.
pub struct Server {
    /// The sockets to accept from.
    pub listeners: Vec<Listening>,
    /// The counters: a slot for each loop.
    pub metrics: Metrics,
    /// What others know of it.
    pub service: Service,
}
