//! The models: which process or thread does which task.
//!
//! A model's file is wiring only. What it decides is on its [`ModelInfo`](crate::model::ModelInfo), which the
//! welcome page draws.

use crate::app::App;
use crate::model::Model;
use crate::options::Options;

pub mod amped;
pub mod sped;
pub mod symped;

/// All models, for an application `A`.
fn all<A: App>() -> [Model<A>; 3] {
    [
        Model { info: &sped::INFO, metrics: sped::metrics, queues: one_queue, run: sped::run::<A> },
        Model {
            info: &amped::INFO,
            metrics: amped::metrics,
            queues: one_queue,
            run: amped::run::<A>,
        },
        Model {
            info: &symped::INFO,
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

/// The names of all models of an application `A`, for a message.
pub(crate) fn names<A: App>() -> String {
    all::<A>().map(|model| model.info.name).join(", ")
}

/// Where one process accepts.
fn one_queue(_: &Options) -> usize {
    1
}
