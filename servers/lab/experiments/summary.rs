//! The summary: every model, and other servers beside them, in one table.

use std::time::Duration;

use super::hold::{PATIENT, hold};
use super::{isolation, slowloris};
use crate::lab::bench::{Bench, Measured};
use crate::lab::findings::Table;
use crate::lab::load::{Plan, Slow};
use crate::lab::problem::Problem;
use crate::lab::server::Server;
use crate::lab::stats::median_of;
use crate::lab::text;

const MODELS: [&str; 9] =
    ["iterative", "mp", "mt", "prefork", "sped", "seda", "amped", "symped", "mn"];
/// Connections that are held, for their memory; the largest number only in a full run.
const HELD: [u32; 3] = [10, 1_000, 10_000];

/// Options with which a model holds as many connections, and computes on all cores.
fn options(model: &str) -> &'static [&'static str] {
    match model {
        "mp" => &["--max-children", "12000"],
        "mt" => &["--max-threads", "12000"],
        "prefork" => &["--workers", "64"],
        _ => &[],
    }
}

/// Measures all of the chosen models, and the other servers as far as they can be seen.
///
/// # Errors
/// A server does not start; Ctrl-C.
pub fn summary(bench: &mut Bench<'_>) -> Result<Table, Problem> {
    let mut table = Table::new(
        "All models",
        &[
            "model",
            "requests/s",
            "p50, ms",
            "p99, ms",
            "CPU, us",
            "10, MiB",
            "1,000, MiB",
            "10,000, MiB",
            "slow clients",
            "hurt by a crash",
            "cores",
        ],
    );
    let models = bench.models(&MODELS);
    let mut servers = Vec::new();
    for model in &models {
        servers.push(bench.start(model, options(model))?);
    }
    for (name, address) in &bench.also {
        servers.push(Server::external(name, *address));
    }
    let results = bench.interleaved(&servers, |bench, server| {
        let connections = if server.name == "iterative" { 1 } else { 50 };
        let plan = Plan { connections, ..bench.plan(server, "/plaintext", 1.5)? };
        bench.load(server, &plan)
    })?;
    drop(servers.drain(..models.len()));
    for (index, rounds) in results.iter().enumerate() {
        let mut cells = match models.get(index) {
            Some(model) => vec![(*model).to_owned()],
            None => vec![servers[index - models.len()].name.clone()],
        };
        cells.push(text::count(median_of(rounds, Measured::rate)));
        for percent in [50.0, 99.0] {
            let ms = median_of(rounds, |measured| measured.percentile_ms(percent));
            cells.push(format!("{ms:.2}"));
        }
        match models.get(index) {
            Some(model) => {
                cells.push(format!("{:.2}", median_of(rounds, Measured::cpu_us)));
                cells.extend(of_model(bench, model)?);
            }
            // Of a server that was not started here only the outside is seen.
            None => cells.extend(std::iter::repeat_n("-".to_owned(), 7)),
        }
        table.row(cells);
    }
    Ok(table)
}

/// Memory, slow clients, a crash, cores.
fn of_model(bench: &mut Bench<'_>, model: &'static str) -> Result<Vec<String>, Problem> {
    let mut cells = Vec::new();
    for count in HELD {
        let is_too_many = bench.quick && count == HELD[2];
        let held = match is_too_many {
            true => None,
            false => memory(bench, model, count)?,
        };
        cells.push(held.map_or_else(|| "-".to_owned(), |mib| format!("{mib:.1}")));
    }
    let (share, _) = slowloris::beside(bench, model, Slow::Head)?;
    cells.push(format!("{:.0} %", 100.0 * share));
    cells.push(isolation::hurt(model)?.to_string());
    cells.push(format!("{:.2}", cores(bench, model)?));
    Ok(cells)
}

/// MiB of a server with so many live connections; `None`: it does not serve them.
fn memory(bench: &mut Bench<'_>, model: &str, count: u32) -> Result<Option<f64>, Problem> {
    if matches!(model, "iterative" | "prefork") {
        return Ok(None); // their clients wait
    }
    let server = bench.start(model, &[options(model), &PATIENT].concat())?;
    let Some(_held) = hold(bench, &server, count)? else { return Ok(None) };
    let bytes = server.memory_bytes().unwrap_or_default();
    Ok(Some(bytes as f64 / f64::from(1 << 20)))
}

/// Cores that it uses when there is more work than it can do.
fn cores(bench: &mut Bench<'_>, model: &str) -> Result<f64, Problem> {
    let server = bench.start(model, options(model))?;
    let plan =
        Plan { warm_up: Duration::from_millis(300), ..bench.plan(&server, "/work?us=2000", 1.0)? };
    Ok(bench.load(&server, &plan)?.cores())
}
