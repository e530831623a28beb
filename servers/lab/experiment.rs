//! What an experiment is.

use super::bench::Bench;
use super::findings::Findings;
use super::problem::Problem;

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

/// An experiment's result, for the report.
pub struct Done {
    /// Which.
    pub experiment: &'static Experiment,
    /// What it found.
    pub findings: Findings,
    /// Seconds that it took.
    pub seconds: f64,
}
