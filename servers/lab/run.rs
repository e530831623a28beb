//! `lab run`: experiments, one after the other.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Instant;

use lexopt::prelude::*;

use super::bench::Bench;
use super::experiment::{Done, Experiment};
use super::experiments;
use super::findings::{Findings, Table, Verdict};
use super::interrupt::Interrupt;
use super::machine::Machine;
use super::problem::Problem;
use super::{report, text};
use crate::options::descriptors;

const HELP: &str = "\
lab run: experiments on what is said about the models

Usage: lab run [OPTION]... [ID]...

  ID                   an experiment; all of them without one
  -q, --quick          fewer rounds, shorter loads: under five minutes
  -m, --models A,B,... only these models
  -a, --also NAME=http://IP:PORT
                       another server beside ours, in the summary; repeatable
  -o, --output DIR     where the report goes [lab-report]
  -l, --list           the experiments and their claims
";

struct Options {
    ids: Vec<String>,
    quick: bool,
    models: Vec<String>,
    also: Vec<(String, SocketAddr)>,
    list: bool,
    output: PathBuf,
}

/// Runs it.
///
/// # Errors
/// What is wrong with the arguments, or the first experiment that failed.
pub fn main(arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    let Some(options) = parse(arguments)? else {
        text::print(HELP);
        return Ok(());
    };
    let chosen = choose(&options.ids)?;
    if options.list {
        for experiment in chosen {
            text::print(&format!("{:<18}{}\n", experiment.id, experiment.claim));
        }
        return Ok(());
    }
    let interrupt = Interrupt::new().map_err(|error| format!("signals: {error}"))?;
    descriptors::raise_limit().map_err(|error| format!("open files: {error}"))?;
    let machine = Machine::this();
    let mut bench = Bench::new(&machine, &interrupt, options.quick, options.models, options.also);
    let mut run = Run { folder: options.output, done: Vec::new(), summary: None };
    let result = run.all(&mut bench, &chosen, options.ids.is_empty());
    let partial = result.is_err();
    let page = run.write(&machine, partial)?;
    text::print(&format!("{}\n", page.display()));
    match result {
        Ok(()) | Err(Problem::Interrupted) => Ok(()),
        Err(Problem::NotTestable(reason)) => Err(format!("the summary: {reason}")),
        Err(Problem::Failed(error)) => Err(error.to_string()),
    }
}

/// What has been found so far, and where its report goes.
struct Run {
    folder: PathBuf,
    done: Vec<Done>,
    summary: Option<Table>,
}

impl Run {
    /// Every experiment, one after the other, and the summary. The report is written after each: a
    /// run that ends early leaves what it has.
    fn all(
        &mut self,
        bench: &mut Bench<'_>,
        chosen: &[&'static Experiment],
        with_summary: bool,
    ) -> Result<(), Problem> {
        let steps = chosen.len() + usize::from(with_summary);
        for (index, experiment) in chosen.iter().enumerate() {
            bench.begin(format!("[{}/{steps}] {}:", index + 1, experiment.id));
            let begin = Instant::now();
            let findings = match (experiment.run)(bench) {
                Ok(findings) => findings,
                Err(Problem::NotTestable(reason)) => {
                    Findings::new(Verdict::NotTestable(reason), String::new())
                }
                Err(Problem::Failed(error)) => {
                    let error = io::Error::new(error.kind(), format!("{}: {error}", experiment.id));
                    return Err(error.into());
                }
                Err(Problem::Interrupted) => return Err(Problem::Interrupted),
            };
            let findings = Findings { raw: std::mem::take(&mut bench.raw), ..findings };
            let seconds = begin.elapsed().as_secs_f64();
            let done = Done { experiment, findings, seconds };
            bench.clear_line();
            text::print(&format!("{}\n", report::terminal(&done)));
            self.done.push(done);
            self.write(bench.machine, true).map_err(io::Error::other)?;
        }
        if with_summary {
            bench.begin(format!("[{steps}/{steps}] summary:"));
            self.summary = Some(experiments::summary(bench)?);
            bench.clear_line();
        }
        Ok(())
    }

    fn write(&self, machine: &Machine, partial: bool) -> Result<PathBuf, String> {
        report::write(&self.folder, machine, self.summary.as_ref(), &self.done, partial)
            .map_err(|error| format!("the report in {}: {error}", self.folder.display()))
    }
}

/// `lab report [DIR]`: the page again, from the data of an earlier run.
///
/// # Errors
/// There is no such data.
pub fn report_again(mut arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    let folder = arguments.next().unwrap_or_else(|| "lab-report".into());
    if folder == "--help" || folder == "-h" {
        text::print(REPORT_HELP);
        return Ok(());
    }
    let folder = PathBuf::from(folder);
    let page = report::again(&folder)
        .map_err(|error| format!("{}: {error}; lab run makes a report", folder.display()))?;
    text::print(&format!("{}\n", page.display()));
    Ok(())
}

const REPORT_HELP: &str = "\
lab report: the page of an earlier run again, from the data that it left

Usage: lab report [DIR]

  DIR     where that run's report went [lab-report]
";

fn choose(ids: &[String]) -> Result<Vec<&'static Experiment>, String> {
    let all = experiments::ALL;
    if ids.is_empty() {
        return Ok(all.to_vec());
    }
    let find = |id: &String| {
        let found = all.iter().find(|experiment| experiment.id == *id);
        found.copied().ok_or_else(|| format!("unknown experiment {id:?}; see lab run --list"))
    };
    ids.iter().map(find).collect()
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Options>, String> {
    let all: Vec<String> = crate::models::option_groups::<crate::site::Site>()
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let mut options = Options {
        ids: Vec::new(),
        quick: false,
        models: all.clone(),
        also: Vec::new(),
        list: false,
        output: PathBuf::from("lab-report"),
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Short('q') | Long("quick") => options.quick = true,
            Short('l') | Long("list") => options.list = true,
            Short('h') | Long("help") => return Ok(None),
            Short('m') | Long("models") => options.models = models(&value(&mut parser)?, &all)?,
            Short('a') | Long("also") => options.also.push(also(&value(&mut parser)?)?),
            Short('o') | Long("output") => {
                options.output = parser.value().map_err(|error| error.to_string())?.into();
            }
            Value(id) => options.ids.push(id.string().map_err(|error| error.to_string())?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(options))
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    value.string().map_err(|error| error.to_string())
}

fn models(text: &str, all: &[String]) -> Result<Vec<String>, String> {
    let named: Vec<String> = text.split(',').map(str::to_owned).collect();
    match named.iter().find(|name| !all.contains(name)) {
        None => Ok(named),
        Some(name) => Err(format!("unknown model {name:?}; expected some of {}", all.join(","))),
    }
}

fn also(text: &str) -> Result<(String, SocketAddr), String> {
    let invalid = || format!("{text:?}: expected NAME=http://IP:PORT");
    let (name, url) = text.split_once('=').ok_or_else(invalid)?;
    let authority = url.strip_prefix("http://").ok_or_else(invalid)?.trim_end_matches('/');
    let address = authority.to_socket_addrs().map_err(|error| format!("{url}: {error}"))?.next();
    Ok((name.to_owned(), address.ok_or_else(invalid)?))
}
