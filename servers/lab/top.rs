//! `lab top URL`: a terminal's view of a running server, from its `/metrics`.
//!
//! ```text
//! every second:  GET /metrics ─► numbers ─► rates against the last ones ─► a screen of lines
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::thread;
use std::time::{Duration, Instant};

use super::interrupt::Interrupt;
use super::server::Server;
use super::text;

const HELP: &str = "\
lab top: connections, rates, latency, queues of a running server, from its /metrics

Usage: lab top [--once] http://HOST:PORT

  --once      two looks, a second apart, then the end
";

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Between two looks at Ctrl-C.
const STEP: Duration = Duration::from_millis(50);
/// Columns of a number's bar.
const BAR: usize = 24;

/// Numbers of the page by their name with its labels, without `stampede_`.
type Numbers = BTreeMap<String, f64>;

/// Runs it.
///
/// # Errors
/// What is wrong with the arguments, or the server does not answer.
pub fn main(arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    let (mut once, mut url) = (false, None);
    for argument in arguments {
        match argument.to_str() {
            Some("--help" | "-h") => {
                text::print(HELP);
                return Ok(());
            }
            Some("--once") => once = true,
            Some(text) if !text.starts_with('-') && url.is_none() => url = Some(text.to_owned()),
            _ => return Err(format!("unexpected argument {}", argument.display())),
        }
    }
    let url = url.ok_or("no URL; for example lab top http://127.0.0.1:8080")?;
    let server = Server::external(&url, address(&url)?);
    let interrupt = Interrupt::new().map_err(|error| format!("signals: {error}"))?;
    watch(&server, &interrupt, once).map_err(|error| format!("{url}: {error}"))
}

fn address(url: &str) -> Result<SocketAddr, String> {
    let authority = url.strip_prefix("http://").unwrap_or(url);
    let authority = authority.split('/').next().unwrap_or_default();
    let mut found = authority.to_socket_addrs().map_err(|error| format!("{url}: {error}"))?;
    found.next().ok_or_else(|| format!("{url}: has no address"))
}

fn watch(server: &Server, interrupt: &Interrupt, once: bool) -> io::Result<()> {
    let mut last = (look(server)?, Instant::now());
    while !interrupt.is_requested() {
        while last.1.elapsed() < PERIOD && !interrupt.is_requested() {
            thread::sleep(STEP);
        }
        let now = (look(server)?, Instant::now());
        let seconds = (now.1 - last.1).as_secs_f64();
        let screen = screen(&server.name, &last.0, &now.0, seconds);
        if io::stdout().is_terminal() {
            text::print(&format!("\x1b[H\x1b[2J{screen}")); // home, clear: console_codes(4)
        } else {
            text::print(&screen);
        }
        if once {
            return Ok(());
        }
        last = now;
    }
    let _ = writeln!(io::stdout());
    Ok(())
}

fn look(server: &Server) -> io::Result<Numbers> {
    let page = server.get("/metrics")?;
    Ok(numbers(&String::from_utf8_lossy(&page)))
}

fn numbers(page: &str) -> Numbers {
    let number = |line: &str| {
        let (name, value) = line.strip_prefix("stampede_")?.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    page.lines().filter_map(number).collect()
}

/// Counters end in `_total` (Prometheus' convention), and buckets and sums count as well.
fn is_counter(name: &str) -> bool {
    let base = name.split('{').next().unwrap_or_default();
    ["_total", "_bucket", "_sum", "_count"].iter().any(|end| base.ends_with(end))
}

/// Rates of what counts, then what is: queues, connections, fibers.
fn screen(name: &str, before: &Numbers, now: &Numbers, seconds: f64) -> String {
    let mut out = format!("{name}\n\n");
    if let Some(rows) = latency(before, now) {
        let _ = writeln!(out, "  latency        p50 {}   p99 {}\n", rows.0, rows.1);
    }
    let rates: Vec<(&str, f64)> = now
        .iter()
        .filter(|(name, _)| name.split('{').next().is_some_and(|base| base.ends_with("_total")))
        .map(|(name, value)| {
            let rate = (value - before.get(name).copied().unwrap_or_default()) / seconds;
            (&name[..], rate)
        })
        .filter(|(_, rate)| *rate > 0.0)
        .collect();
    lines(&mut out, "a second", &rates);
    let gauges: Vec<(&str, f64)> = now
        .iter()
        .filter(|(name, value)| !is_counter(name) && **value > 0.0)
        .map(|(name, value)| (&name[..], *value))
        .collect();
    lines(&mut out, "now", &gauges);
    out
}

fn lines(out: &mut String, title: &str, numbers: &[(&str, f64)]) {
    let _ = writeln!(out, "  {title}");
    for (name, value) in numbers {
        // Logarithmic: a bar for every power of ten would not do for one connection and a million.
        let len = ((value.max(1.0).log10() / 7.0) * BAR as f64).round() as usize;
        let name = name.replace("_total", "");
        let bar = "#".repeat(len.min(BAR));
        let _ = writeln!(out, "    {name:<44} {:>9}  {bar}", text::count(*value));
    }
    out.push('\n');
}

/// The p50 and p99 of the requests between two looks, as upper bounds of their buckets.
fn latency(before: &Numbers, now: &Numbers) -> Option<(String, String)> {
    let mut buckets: BTreeMap<u64, f64> = BTreeMap::new();
    for (name, value) in now {
        let Some(at) = name.find("le=\"") else { continue };
        if !name.contains("_bucket{") {
            continue;
        }
        let bound = name[at + 4..].split('"').next()?;
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
        let nanos = (bound * 1e9).min(u64::MAX as f64) as u64;
        let count = value - before.get(name).copied().unwrap_or_default();
        *buckets.entry(nanos).or_default() += count;
    }
    let all = buckets.values().copied().fold(0.0, f64::max);
    if all <= 0.0 {
        return None;
    }
    let percentile = |share: f64| {
        let found = buckets.iter().find(|(_, count)| **count >= share * all)?;
        Some(match *found.0 {
            u64::MAX => "more".to_owned(),
            nanos => format!("<= {}", text::time(Duration::from_nanos(nanos))),
        })
    };
    Some((percentile(0.5)?, percentile(0.99)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP x\nstampede_requests_total 100\nstampede_connections_open 7\n\
                        stampede_d_bucket{le=\"0.001\"} 90\nstampede_d_bucket{le=\"+Inf\"} 100\n";

    #[test]
    fn rates_are_of_counters_and_gauges_are_as_they_are() {
        let before = numbers("stampede_requests_total 40\n");
        let screen = screen("x", &before, &numbers(PAGE), 2.0);
        assert!(screen.contains("requests") && screen.contains("30"), "{screen}");
        assert!(screen.contains("connections_open") && screen.contains("7.00"), "{screen}");
    }

    #[test]
    fn percentiles_are_bounds_of_buckets() {
        let found = latency(&Numbers::new(), &numbers(PAGE));
        assert_eq!(found, Some(("<= 1.00 ms".to_owned(), "more".to_owned())));
        assert_eq!(latency(&numbers(PAGE), &numbers(PAGE)), None);
    }
}
