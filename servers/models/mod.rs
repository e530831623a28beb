//! The models: which process or thread does which task.
//!
//! A model's file is wiring only. What it decides is on its [`Card`], which the welcome page draws.

use std::io;

use crate::app::App;
use crate::metrics::Census;
use crate::options::Options;
use crate::server::Server;

pub mod amped;
pub mod sped;
pub mod symped;

/// What a model decides, for people: the welcome page and the status page show it.
pub struct Card {
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

/// A model: its card and how to run an application under it until the server is told to stop.
pub struct Model<A: App> {
    /// What it decides.
    pub card: &'static Card,
    /// Makes the counters for all that will count.
    pub census: fn(options: &Options) -> io::Result<Census>,
    /// How many listeners, each with a queue of its own, it wants on a port.
    pub queues: fn(options: &Options) -> usize,
    /// Runs it.
    pub run: fn(app: A, options: &Options, server: Server) -> io::Result<()>,
}

/// The model called `name`, for an application `A`.
pub fn by_name<A: App>(name: &str) -> Option<Model<A>> {
    match name {
        "sped" => Some(Model {
            card: &sped::CARD,
            census: sped::census,
            queues: one_queue,
            run: sped::run::<A>,
        }),
        "amped" => Some(Model {
            card: &amped::CARD,
            census: amped::census,
            queues: one_queue,
            run: amped::run::<A>,
        }),
        "symped" => Some(Model {
            card: &symped::CARD,
            census: symped::census,
            queues: symped::queues,
            run: symped::run::<A>,
        }),
        _ => None,
    }
}

/// Where one process accepts.
fn one_queue(_: &Options) -> usize {
    1
}
