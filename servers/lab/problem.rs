//! Why an experiment did not come to findings.

use std::io;

/// Why an experiment has no findings.
#[derive(Debug)]
pub enum Problem {
    /// This machine cannot show it; the report says why.
    NotTestable(String),
    /// Ctrl-C.
    Interrupted,
    /// It failed: a fault of the lab or of a server.
    Failed(io::Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        Problem::Failed(error)
    }
}
