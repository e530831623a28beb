//! A model described in words, for `--help`, the welcome page and the status page.
//!
//! Nothing here names or runs a model, so the options and the site can use it; that is done in
//! [`models`](crate::models).

use crate::app::Disk;

/// The model that runs, beside all that there are: for the table on the welcome page.
pub struct ModelInfos {
    /// The one that runs.
    pub running: &'static ModelInfo,
    /// All of them, from the simplest on.
    pub all: Vec<&'static ModelInfo>,
}

impl From<&'static ModelInfo> for ModelInfos {
    /// The only one.
    fn from(running: &'static ModelInfo) -> Self {
        ModelInfos { running, all: vec![running] }
    }
}

/// What a model decides, as the welcome page and the status page show it.
pub struct ModelInfo {
    /// The model's (and its binary's) name: `sped`.
    pub name: &'static str,
    /// What the letters stand for.
    pub title: &'static str,
    /// One sentence: what it teaches.
    pub lesson: &'static str,
    /// The process or thread that accepts connections and tears them down (Task 1).
    pub task1: &'static str,
    /// The process or thread that reads requests and writes responses (Task 2).
    pub task2: &'static str,
    /// The process or thread that computes the responses (Task 3).
    pub task3: &'static str,
    /// What bounds the requests in flight.
    pub in_flight: &'static str,
    /// A text diagram of which process or thread does which task, at most 76 columns.
    pub picture: &'static str,
    /// Whether the serving thread may wait for a disk, or leaves that to the worker threads.
    pub disk: Disk,
}
