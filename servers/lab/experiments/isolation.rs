//! *isolation*: whom the crash of one process hurts.

use std::net::TcpStream;
use std::time::Duration;

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::load::expect;
use crate::lab::mortal;
use crate::lab::problem::Problem;
use crate::lab::server::Server;

pub static ISOLATION: Experiment = Experiment {
    id: "isolation",
    claim: "With a process per request, a crash takes down only that client.",
    source: "the folklore on CGI and Apache's prefork",
    method: "100 clients are connected and have been answered (iterative: wait). Another one makes \
             the process that serves it abort. Those whose next request brings no answer are \
             counted. prefork and symped have four processes.",
    run,
};

const CLIENTS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(5);
const MODELS: [(&str, &[&str]); 9] = [
    ("iterative", &[]),
    ("mp", &[]),
    ("mt", &[]),
    ("prefork", &["--workers", "4", "--threads", "40"]),
    ("sped", &[]),
    ("seda", &[]),
    ("amped", &[]),
    ("symped", &["--workers", "4"]),
    ("mn", &[]),
];

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["mp"])?;
    let mut table = Table::new("One crash, 100 other clients", &["model", "hurt", "afterwards"]);
    let (mut names, mut hurt) = (Vec::new(), Vec::new());
    let mut by_mp = usize::MAX;
    for (model, options) in MODELS {
        if bench.models(&[model]).is_empty() {
            continue;
        }
        bench.check()?;
        let (count, survives) = crash(&mut Server::start_mortal(model, options)?, model)?;
        let then = if survives { "serves on" } else { "is gone" };
        table.row([model.to_owned(), count.to_string(), then.to_owned()]);
        bench.keep(vec![
            ("model", model.into()),
            ("hurt", (count as f64).into()),
            ("afterwards", then.into()),
        ]);
        names.push(model);
        hurt.push(count as f64);
        if model == "mp" {
            by_mp = count;
        }
    }
    let others = names.iter().zip(&hurt).filter(|(name, _)| **name != "mp");
    let least = others.map(|(_, count)| *count).fold(f64::INFINITY, f64::min);
    let verdict = Verdict::from_bool(by_mp == 0 && least > 0.0);
    let because = format!(
        "With a process for each connection {by_mp} of 100 other clients were hurt, with any other \
         model at least {least:.0}."
    );
    Ok(Findings::new(verdict, because).table(table).plot(Plot::bars(
        "Clients hurt by the crash of another one's process",
        Axis::linear("of 100"),
        &names,
        vec![("hurt", hurt)],
    )))
}

/// How many of 100 clients a crash under this model hurts.
///
/// # Errors
/// The server does not start.
pub(super) fn hurt(model: &str) -> Result<usize, Problem> {
    let options = MODELS.iter().find(|(name, _)| *name == model).map_or(&[][..], |(_, own)| own);
    let mut server = Server::start_mortal(model, options)?;
    crash(&mut server, model).map(|(count, _)| count)
}

/// How many are hurt, and whether a new client is served afterwards.
fn crash(server: &mut Server, model: &str) -> Result<(usize, bool), Problem> {
    let (route, abort) = (server.route("/plaintext")?, server.route(mortal::ABORT)?);
    let connect = || -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&server.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let mut crasher = connect()?;
    expect::ask_on(&mut crasher, &route)?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = connect()?;
        if model != "iterative" {
            expect::ask_on(&mut client, &route)?;
        }
        clients.push(client);
    }
    // It ends the connection rather than answer.
    let _ = expect::ask_on(&mut crasher, &abort);
    let is_hurt = |client: &mut TcpStream| expect::ask_on(client, &route).is_err();
    let hurt = clients.iter_mut().filter_map(|client| is_hurt(client).then_some(())).count();
    drop(clients);
    Ok((hurt, server.get("/plaintext").is_ok()))
}
