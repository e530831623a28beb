//! `lab load URL`: the load generator on its own.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::ToSocketAddrs as _;
use std::thread;
use std::time::{Duration, Instant};

use lexopt::prelude::*;

use super::expect;
use super::plan::{Pace, Plan};
use super::routes::{Described, Route};
use super::running::{Outcome, Running};
use super::slow::Slow;
use crate::lab::interrupt::Interrupt;
use crate::lab::text;

/// What `--help` prints.
pub const HELP: &str = "\
lab load: a load for any HTTP/1.1 server, and what it did

Usage: lab load [OPTION]... http://HOST[:PORT][/PATH]

What
  -r, --route [WEIGHT:][METHOD ]PATH   ask for this, too; repeatable. The URL's own path
                                       counts only without
  -H, --header 'NAME: VALUE'           a header field of every request; repeatable
  -b, --body TEXT                      the content of requests other than GET and HEAD
  -v, --verify                         the first answer of every route is the right one:
                                       all others must have its status, length and content
How
  -c, --connections N                  connections that ask [50]
  -p, --pipeline N                     requests under way on each, 1 to 64 [1]
  -R, --rate N                         requests a second, sent when they are due whatever the
                                       server does; latencies count from then. Without it
                                       each answer brings the next request
  -n, --requests-per-connection N      then the client closes and connects again [no limit]
  -s, --slow KIND:N                    N clients that stall: idle, head, body, read; repeatable
How long
  -d, --duration TIME                  [10s]
  -w, --warm-up TIME                   before that, without being measured [1s]
  -T, --timeout TIME                   how long an answer may take [10s]
  -t, --threads N                      threads that ask [1]
  -S, --source IP                      the first of 8 addresses to connect from, for more than
                                       20,000 connections to one address
Output
  -j, --json                           one line of JSON instead of text
  -q, --quiet                          no line of progress
";

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_millis(250);

struct Options {
    url: Url,
    routes: Vec<(u32, String, String)>,
    fields: Vec<String>,
    body: String,
    verify: bool,
    json: bool,
    quiet: bool,
    plan: Plan,
}

struct Url {
    /// Host and port, as they go into `Host`.
    authority: String,
    path: String,
}

impl Url {
    fn parse(text: &str) -> Result<Url, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return Err(format!("{text}: {scheme} is not supported, http is")),
            None => text,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() {
            return Err(format!("{text:?}: expected http://HOST[:PORT][/PATH]"));
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Url { authority: authority.to_owned(), path: path.to_owned() })
    }

    fn address(&self) -> Result<std::net::SocketAddr, String> {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())
        });
        let with_port =
            if has_port { self.authority.clone() } else { self.authority.clone() + ":80" };
        let mut found =
            with_port.to_socket_addrs().map_err(|error| format!("{with_port}: {error}"))?;
        found.next().ok_or_else(|| format!("{with_port}: has no address"))
    }
}

/// Runs it.
///
/// # Errors
/// What is wrong with the arguments, or with the server.
pub fn main(arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    let Some(mut options) = parse(arguments)? else {
        text::print(HELP);
        return Ok(());
    };
    let interrupt = Interrupt::new().map_err(|error| format!("signals: {error}"))?;
    options.plan.routes = routes(&options)?;
    if options.verify {
        for route in &mut options.plan.routes {
            expect::learn(options.plan.address, route, options.plan.timeout)
                .map_err(|error| format!("{}: {error}", route.name))?;
        }
    }
    let outcome = run(&options, &interrupt).map_err(|error| error.to_string())?;
    let plan = &options.plan;
    text::print(&if options.json { json(plan, &outcome) } else { report(plan, &outcome) });
    Ok(())
}

fn run(options: &Options, interrupt: &Interrupt) -> io::Result<Outcome> {
    let running = Running::start(&options.plan)?;
    let mut last = (Instant::now(), 0);
    let live = !options.quiet && io::stderr().is_terminal();
    while !running.is_over() && !interrupt.is_requested() {
        thread::sleep(PROGRESS.min(options.plan.duration / 20));
        if live && last.0.elapsed() >= PROGRESS {
            let outcome = running.outcome();
            let answered = outcome.record.counts.answered;
            let rate = (answered - last.1) as f64 / last.0.elapsed().as_secs_f64();
            last = (Instant::now(), answered);
            let _ = write!(io::stderr(), "\r{}\x1b[K", progress(&options.plan, &outcome, rate));
        }
    }
    if live {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    running.stop();
    running.finish()
}

fn progress(plan: &Plan, outcome: &Outcome, rate: f64) -> String {
    let record = &outcome.record;
    let errors = match record.counts.errors() {
        0 => String::new(),
        count => format!(", {count} errors"),
    };
    format!(
        "{:3.0} %  {} requests/s, p50 {}, p99 {}{errors}",
        100.0 * outcome.time.as_secs_f64() / plan.duration.as_secs_f64(),
        text::count(rate),
        text::time(record.percentile(50.0)),
        text::time(record.percentile(99.0)),
    )
}

fn report(plan: &Plan, outcome: &Outcome) -> String {
    let (record, counts) = (&outcome.record, &outcome.record.counts);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} connections for {} ({} threads{})",
        plan.connections,
        text::time(outcome.time),
        plan.threads,
        match plan.pace {
            Pace::Closed => String::new(),
            Pace::PerSecond(rate) => format!(", {} requests/s asked for", text::count(rate)),
        }
    );
    let _ = writeln!(out, "  requests/s   {:>12}", text::count(outcome.rate()));
    let bytes = counts.bytes as f64 / outcome.time.as_secs_f64().max(1e-9);
    let _ = writeln!(out, "  received/s   {:>12}", text::bytes(bytes));
    let per_second = counts.answered as f64 / outcome.cpu.as_secs_f64().max(1e-9);
    let _ = writeln!(
        out,
        "  requests per CPU second of this generator {:>12}",
        text::count(per_second)
    );
    let _ = writeln!(
        out,
        "  latency      mean {}, deviation {}",
        text::time(record.mean()),
        text::time(record.deviation())
    );
    for percent in [50.0, 75.0, 90.0, 99.0, 99.9, 99.99] {
        let _ =
            writeln!(out, "    {percent:>6} %   {:>10}", text::time(record.percentile(percent)));
    }
    let _ = writeln!(out, "       max     {:>10}", text::time(record.max()));
    for (name, count) in counts.named() {
        if count > 0 {
            let _ = writeln!(out, "  {name:<28} {count:>12}");
        }
    }
    out
}

fn json(plan: &Plan, outcome: &Outcome) -> String {
    let record = &outcome.record;
    let mut out = format!(
        "{{\"clients\":{},\"seconds\":{:.6},\"cpu_seconds\":{:.6}",
        plan.connections,
        outcome.time.as_secs_f64(),
        outcome.cpu.as_secs_f64()
    );
    for (name, count) in record.counts.named() {
        let _ = write!(out, ",\"{}\":{count}", name.replace(' ', "_"));
    }
    for (name, percent) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p999", 99.9)] {
        let _ = write!(out, ",\"{name}_us\":{:.3}", record.percentile(percent).as_secs_f64() * 1e6);
    }
    let _ = writeln!(out, ",\"max_us\":{:.3}}}", record.max().as_secs_f64() * 1e6);
    out
}

// Arguments

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Options>, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut url = None;
    let (mut routes, mut fields, mut body) = (Vec::new(), Vec::new(), String::new());
    let (mut verify, mut json, mut quiet) = (false, false, false);
    let mut plan = Plan::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let name = match argument {
            Short(letter) => letter.to_string(),
            Long(name) => name.to_owned(),
            Value(value) if url.is_none() => {
                url = Some(Url::parse(&value.string().map_err(|error| error.to_string())?)?);
                continue;
            }
            value => return Err(value.unexpected().to_string()),
        };
        let mut text = || -> Result<String, String> {
            let value = parser.value().map_err(|error| error.to_string())?;
            value.string().map_err(|error| error.to_string())
        };
        match &name[..] {
            "r" | "route" => routes.push(route(&text()?)?),
            "H" | "header" => fields.push(text()?),
            "b" | "body" => body = text()?,
            "v" | "verify" => verify = true,
            "c" | "connections" => plan.connections = text::number(&text()?)?,
            "p" | "pipeline" => plan.pipeline = text::number_in(&text()?, 1, 64)?,
            "R" | "rate" => plan.pace = Pace::PerSecond(rate(&text()?)?),
            "n" | "requests-per-connection" => {
                plan.requests_per_connection = text::number(&text()?)?;
            }
            "s" | "slow" => plan.slow.push(slow(&text()?)?),
            "d" | "duration" => plan.duration = text::duration(&text()?)?,
            "w" | "warm-up" => plan.warm_up = text::duration(&text()?)?,
            "T" | "timeout" => plan.timeout = text::duration(&text()?)?,
            "S" | "source" => plan.source = Some(source(&text()?)?),
            "t" | "threads" => plan.threads = text::number_in(&text()?, 1, 256)?,
            "j" | "json" => json = true,
            "q" | "quiet" => quiet = true,
            "h" | "help" => return Ok(None),
            _ => return Err(format!("unknown option {name:?}; see lab load --help")),
        }
    }
    let url = url.ok_or("no URL; for example lab load http://127.0.0.1:8080/plaintext")?;
    plan.address = url.address()?;
    Ok(Some(Options { url, routes, fields, body, verify, json, quiet, plan }))
}

/// `[WEIGHT:][METHOD ]PATH`
fn route(text: &str) -> Result<(u32, String, String), String> {
    let (weight, rest) = match text.split_once(':') {
        Some((weight, rest)) if weight.parse::<u32>().is_ok_and(|weight| weight > 0) => {
            (weight.parse().unwrap_or(1), rest)
        }
        _ => (1, text),
    };
    let (method, path) = rest.split_once(' ').unwrap_or(("GET", rest));
    match path.starts_with('/') {
        true => Ok((weight, method.to_owned(), path.to_owned())),
        false => Err(format!("{text:?}: expected [WEIGHT:][METHOD ]/PATH")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("{text:?}: expected requests a second"))
}

fn source(text: &str) -> Result<std::net::Ipv4Addr, String> {
    text.parse().map_err(|_| format!("{text:?}: expected an IPv4 address, such as 127.0.1.1"))
}

fn slow(text: &str) -> Result<(Slow, u32), String> {
    let (kind, count) = text.split_once(':').ok_or_else(|| format!("{text:?}: expected KIND:N"))?;
    Ok((kind.parse()?, text::number(count)?))
}

fn routes(options: &Options) -> Result<Vec<Route>, String> {
    let own = [(1, "GET".to_owned(), options.url.path.clone())];
    let asked = if options.routes.is_empty() { &own[..] } else { &options.routes };
    let made = asked.iter().map(|(weight, method, target)| {
        let described = Described {
            method,
            target,
            host: &options.url.authority,
            fields: &options.fields,
            body: if matches!(&method[..], "GET" | "HEAD") { b"" } else { options.body.as_bytes() },
        };
        Route::new(*weight, &described).map_err(|error| format!("{method} {target}: {error}"))
    });
    made.collect()
}
