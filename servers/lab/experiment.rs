//! What an experiment is.

use std::io;

use super::bench::Bench;
use super::findings::Findings;

/// A claim and how it is tested. A file of `experiments/` has one, and reads like its claim.
pub struct Experiment {
    /// Its name on the command line.
    pub id: &'static str,
    /// What is said.
    pub claim: &'static str,
    /// Who says it.
    pub source: &'static str,
    /// What is done here to find out.
    pub method: &'static str,
    /// Does it.
    pub run: fn(&mut Bench<'_>) -> Result<Findings, Problem>,
}

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

/// An experiment's result, for the report.
pub struct Done {
    /// Which.
    pub experiment: &'static Experiment,
    /// What it found.
    pub findings: Findings,
    /// Seconds that it took.
    pub seconds: f64,
}
