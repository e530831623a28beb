//! `/status`: the page.
//!
//! It is complete as it comes, with rates averaged since the start, and without a script it loads
//! itself again. With one (`pages/status.js`), the numbers are polled each second and rates are
//! taken between two polls. The script finds what to change by `data-tile` and `data-counter`.

use std::fmt::Write as _;

use super::numbers::Numbers;
use super::processes;
use super::workers;
use crate::metrics::CounterSlot;
use crate::model::ModelInfo;
use crate::site::pages::text::{escape, grouped, rate, size, span};
use crate::site::pages::{self, Page, picture};

/// What keeps the numbers moving.
const SCRIPT: &str = include_str!("../pages/status.js");

/// For browsers without one: the whole page again, every two seconds.
const REFRESH: &str = "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>\n";

/// Responses that tell of a mistake, the client's or the server's.
const ERRORS: [&str; 2] = ["responses_4xx", "responses_5xx"];
/// Buffers of both sizes.
const BUFFERS: [&str; 2] = ["buffers_small_used", "buffers_large_used"];
/// Deadlines that passed. An idle connection that is closed is not one: that is housekeeping.
const TIMEOUTS: [&str; 4] =
    ["timeouts_head", "timeouts_body", "timeouts_write", "timeouts_request"];

/// The page's `Content-Security-Policy`.
pub(super) fn policy() -> String {
    pages::policy(Some(SCRIPT))
}

/// The document.
pub(super) fn page(info: &ModelInfo, numbers: &Numbers) -> String {
    let mut body = String::with_capacity(16 * 1024);
    header(&mut body, info, numbers);
    body.push_str("<section class=\"tiles\" aria-label=\"Numbers\">\n");
    for tile in tiles(numbers) {
        tile.write(&mut body);
    }
    body.push_str("</section>\n");
    processes::table(&mut body, &numbers.processes);
    facts(&mut body, info, numbers);
    workers::page(&mut body, &numbers.workers);
    counters(&mut body, numbers);
    let title = format!("{} · status · Stampede", info.name);
    Page { title: &title, head: REFRESH, body: &body, script: Some(SCRIPT) }.document()
}

fn header(body: &mut String, info: &ModelInfo, numbers: &Numbers) {
    let _ = write!(
        body,
        "<header>\n<div class=\"top\"><a class=\"brand\" href=\"./\">Stampede</a>\
         <span class=\"now\">running for <span id=\"uptime\">{}</span>\
         <span class=\"pulse\" id=\"pulse\">as of this moment</span></span></div>\n\
         <h1>{}</h1>\n<p>{}</p>\n</header>\n<main>\n",
        span(numbers.uptime),
        escape(info.name),
        escape(info.title)
    );
}

/// A number in large, with a note below.
struct Tile {
    /// The script's name for it.
    id: &'static str,
    name: &'static str,
    value: String,
    note: String,
}

impl Tile {
    fn write(&self, body: &mut String) {
        let Tile { id, name, value, note } = self;
        let (wide, curve) = match *id {
            "rate" => (" wide", CURVE),
            _ => ("", ""),
        };
        let _ = writeln!(
            body,
            "<div class=\"tile{wide}\" data-tile=\"{id}\"><div class=\"name\">{name}</div>\
             <div class=\"value\">{value}</div><div class=\"note\">{note}</div>{curve}</div>",
        );
    }
}

/// Room for the rate of the last minute, which only a script can know.
const CURVE: &str = "<svg viewBox=\"0 0 120 40\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
                     <polyline id=\"curve\" points=\"\"/></svg>";

/// The numbers that a person looks at first. `status.js` computes the same.
fn tiles(numbers: &Numbers) -> Vec<Tile> {
    let mut tiles = tiles_of_traffic(numbers);
    tiles.extend(tiles_of_the_inside(numbers));
    tiles
}

/// What clients see.
fn tiles_of_traffic(numbers: &Numbers) -> Vec<Tile> {
    let n = |name| numbers.get(name);
    let count = |name| grouped(n(name));
    let seconds = numbers.uptime.as_secs_f64();
    let a_second = |name| format!("{}/s", size((n(name) as f64 / seconds.max(0.001)) as u64));
    let tile = |id, name, value, note| Tile { id, name, value, note };
    let success = format!("{} with success", count("responses_2xx"));
    let accepted = format!("{} accepted", count("connections_accepted"));
    let average = "on average since the start".to_owned();
    let (of_client, of_server) = (count("responses_4xx"), count("responses_5xx"));
    let errors = format!("4xx {of_client} · 5xx {of_server}");
    vec![
        tile("rate", "requests a second", rate(n("requests"), seconds), average),
        tile("connections", "connections open", count("connections_open"), accepted),
        tile("requests", "requests", count("requests"), success),
        tile("sent", "bytes sent", size(n("bytes_sent")), a_second("bytes_sent")),
        tile("received", "bytes received", size(n("bytes_received")), a_second("bytes_received")),
        tile("errors", "errors", grouped(numbers.sum(&ERRORS)), errors),
    ]
}

/// What only the server sees.
fn tiles_of_the_inside(numbers: &Numbers) -> Vec<Tile> {
    let n = |name| numbers.get(name);
    let count = |name| grouped(n(name));
    let tile = |id, name, value, note| Tile { id, name, value, note };
    let idle = format!("{} idle closed", count("timeouts_idle"));
    let turns = format!("{}/s", rate(n("loop_turns"), numbers.uptime.as_secs_f64()));
    let events = rate(n("loop_events"), n("loop_turns") as f64);
    let events_max = format!("{} at most", count("loop_events_turn_max"));
    let (small, large) = (count("buffers_small_used"), count("buffers_large_used"));
    let buffers = format!("small {small} · large {large}");
    let waiting = format!("{} waiting", count("waits"));
    vec![
        tile("timeouts", "timeouts", grouped(numbers.sum(&TIMEOUTS)), idle),
        tile("turns", "loop turns", count("loop_turns"), turns),
        tile("events", "events per turn", events, events_max),
        tile("buffers", "buffers in use", grouped(numbers.sum(&BUFFERS)), buffers),
        tile("work", "work done", count("works"), waiting),
    ]
}

fn threads(loops: usize, workers: usize) -> String {
    let some = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match workers {
        0 => some(loops, "loop"),
        _ => format!("{} and {}", some(loops, "loop"), some(workers, "worker")),
    }
}

/// The model: its description.
fn facts(body: &mut String, info: &ModelInfo, numbers: &Numbers) {
    let _ = write!(
        body,
        "<h2>Who does which task</h2>\n<figure class=\"panel\">\n{}</figure>\n\
         <h2>The model</h2>\n<dl class=\"facts panel\">\n",
        picture::picture(info)
    );
    for (name, fact) in [
        ("Task 1, connections", info.task1),
        ("Task 2, network I/O", info.task2),
        ("Task 3, work", info.task3),
        ("In flight at most", info.in_flight),
        ("What it teaches", info.lesson),
        ("Runs", &threads(numbers.loops, numbers.workers.len())),
    ] {
        let _ = writeln!(body, "<dt>{name}</dt><dd>{}</dd>", escape(fact));
    }
    body.push_str("</dl>\n");
}

/// Every counter with its meaning.
fn counters(body: &mut String, numbers: &Numbers) {
    body.push_str("<h2>Every counter</h2>\n<div class=\"panel\"><table class=\"counters\">\n");
    for (counter, value) in CounterSlot::DESCRIPTIONS.iter().zip(numbers.values) {
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\"><code>{0}</code></th>\
             <td class=\"number\" data-counter=\"{0}\">{1}</td><td class=\"help\">{2}</td></tr>",
            counter.name,
            grouped(value),
            escape(counter.help.trim())
        );
    }
    body.push_str(
        "</table></div>\n</main>\n<footer>The same as <a href=\"status.json\">JSON</a> and as \
         <a href=\"metrics\">Prometheus metrics</a>.\
         </footer>\n",
    );
}

#[cfg(test)]
mod tests {
    use super::super::tests::{INFO, numbers};
    use super::*;

    #[test]
    fn the_page_is_complete_without_a_script() {
        let text = page(&INFO, &numbers());
        for (counter, value) in CounterSlot::DESCRIPTIONS.iter().zip(numbers().values) {
            let cell = format!("data-counter=\"{}\">{}</td>", counter.name, grouped(value));
            assert_eq!(text.matches(&cell).count(), 1, "{cell}");
        }
        assert!(text.contains("http-equiv=\"refresh\""));
        assert!(text.contains("12 s"));
    }

    #[test]
    fn the_card_cannot_add_markup() {
        let text = page(&INFO, &numbers());
        assert_eq!(text.matches("<script>").count(), 1);
        assert_eq!(text.matches("</script>").count(), 1);
        assert!(text.contains("sp&lt;e&gt;d"));
    }

    #[test]
    fn no_element_carries_a_style_or_a_handler_of_its_own() {
        let text = page(&INFO, &numbers());
        assert!(!text.contains(" style=") && !text.contains(" onclick="));
    }

    #[test]
    fn the_script_knows_every_tile_and_only_real_counters() {
        for tile in tiles(&numbers()) {
            assert!(SCRIPT.contains(&format!("  {}: ", tile.id)), "{}", tile.id);
        }
        let uses = |object| SCRIPT.split(object).skip(1);
        for rest in ["(c.", "(d.", " c.", " d."].into_iter().flat_map(uses) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            assert!(CounterSlot::DESCRIPTIONS.iter().any(|d| d.name == name), "{name}");
        }
    }
}
