//! `/status`: the page.
//!
//! It is complete as it comes, with rates averaged since the start, and without a script it loads
//! itself again. With one (`pages/status.js`), the numbers are polled each second and rates are
//! taken between two polls. What is shown is written here only: each number's element names the
//! counters that it is made from ([`Shown`]), and the script fills in newer ones.

use std::fmt::Write as _;

use super::numbers::Numbers;
use super::processes;
use super::stages;
use super::workers;
use crate::metrics::CounterSlot;
use crate::model::ModelInfo;
use crate::site::pages::text::{escape, grouped, rate, size, span};
use crate::site::pages::{self, Inline, Page, picture};

/// What keeps the numbers moving.
const SCRIPT: Inline = Inline {
    text: include_str!("../pages/status.js"),
    digest: "sha256-FSowuupzKBeDcHiABZv4rEtbb5le6TR3xNt76YO8tAY=",
};

/// For browsers without scripts: reloads the page every two seconds.
const REFRESH: &str = "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>\n";

/// Responses that tell of a mistake, the client's or the server's.
const ERRORS: &str = "responses_4xx responses_5xx";
/// Buffers of both sizes.
const BUFFERS: &str = "buffers_small_used buffers_large_used";
/// Deadlines that passed. An idle connection that is closed is not one: that is housekeeping.
const TIMEOUTS: &str = "timeouts_head timeouts_body timeouts_write timeouts_request";

/// The page's `Content-Security-Policy`.
pub(super) fn policy() -> String {
    pages::policy(Some(&SCRIPT))
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
    stages::page(&mut body, &numbers.stages, numbers.uptime);
    processes::table(&mut body, &numbers.processes);
    facts(&mut body, info, numbers);
    workers::page(&mut body, &numbers.workers);
    counters(&mut body, numbers);
    let title = format!("{} · status · Stampede", info.name);
    Page { title: &title, head: REFRESH, body: &body, script: Some(&SCRIPT) }.document()
}

fn header(body: &mut String, info: &ModelInfo, numbers: &Numbers) {
    let _ = write!(
        body,
        "<header>\n<div class=\"top\"><a class=\"brand\" href=\"./\">Stampede</a>\
         <span class=\"now\">running for <span id=\"uptime\">{}</span>\
         <span class=\"pulse\" id=\"pulse\">snapshot</span></span></div>\n\
         <h1>{}</h1>\n<p>{}</p>\n</header>\n<main>\n",
        span(numbers.uptime),
        escape(info.name),
        escape(info.title)
    );
}

/// A large number, with a note below.
struct Tile {
    id: &'static str,
    name: &'static str,
    /// Markup, as the note.
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

/// Space for the last minute's rate, which only the script can draw.
const CURVE: &str = "<svg viewBox=\"0 0 120 40\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
                     <polyline id=\"curve\" points=\"\"/></svg>";

/// Numbers as elements: what is shown now, and from which counters.
struct Shown<'n>(&'n Numbers);

impl Shown<'_> {
    /// The sum of counters, whose names are separated by spaces.
    fn count(&self, names: &str) -> String {
        format!("<span data-counter=\"{names}\">{}</span>", grouped(self.0.sum(names)))
    }

    /// The same as bytes.
    fn size(&self, name: &str) -> String {
        format!("<span data-counter=\"{name}\" data-as=\"size\">{}</span>", size(self.0.sum(name)))
    }

    /// By how much a counter rises in a second.
    fn rate(&self, name: &str) -> String {
        let rate = rate(self.0.sum(name), self.0.uptime.as_secs_f64());
        format!("<span data-rise=\"{name}\">{rate}</span>")
    }

    /// The same as bytes.
    fn size_rate(&self, name: &str) -> String {
        let seconds = self.0.uptime.as_secs_f64().max(0.001);
        let rate = size((self.0.sum(name) as f64 / seconds) as u64);
        format!("<span data-rise=\"{name}\" data-as=\"size\">{rate}</span>/s")
    }

    /// By how much a counter rises while another rises by one.
    fn ratio(&self, name: &str, per: &str) -> String {
        let ratio = rate(self.0.sum(name), self.0.sum(per) as f64);
        format!("<span data-rise=\"{name}\" data-per=\"{per}\">{ratio}</span>")
    }
}

/// The numbers that a person looks at first.
fn tiles(numbers: &Numbers) -> Vec<Tile> {
    let mut tiles = tiles_of_traffic(&Shown(numbers));
    tiles.extend(tiles_of_the_inside(&Shown(numbers)));
    tiles
}

/// What clients see.
fn tiles_of_traffic(shown: &Shown<'_>) -> Vec<Tile> {
    let count = |names| shown.count(names);
    let tile = |id, name, value, note| Tile { id, name, value, note };
    let success = format!("{} successful", count("responses_2xx"));
    let accepted = format!("{} accepted", count("connections_accepted"));
    let average = "on average since the start".to_owned();
    let errors = format!("4xx {} · 5xx {}", count("responses_4xx"), count("responses_5xx"));
    let (sent, received) = (shown.size_rate("bytes_sent"), shown.size_rate("bytes_received"));
    vec![
        tile("rate", "requests a second", shown.rate("requests"), average),
        tile("connections", "connections open", count("connections_open"), accepted),
        tile("requests", "requests", count("requests"), success),
        tile("sent", "bytes sent", shown.size("bytes_sent"), sent),
        tile("received", "bytes received", shown.size("bytes_received"), received),
        tile("errors", "errors", count(ERRORS), errors),
    ]
}

/// What only the server sees.
fn tiles_of_the_inside(shown: &Shown<'_>) -> Vec<Tile> {
    let count = |names| shown.count(names);
    let tile = |id, name, value, note| Tile { id, name, value, note };
    let idle = format!("{} idle closed", count("timeouts_idle"));
    let turns = format!("{}/s", shown.rate("loop_turns"));
    let events = shown.ratio("loop_events", "loop_turns");
    let events_max = format!("{} at most", count("loop_events_turn_max"));
    let (small, large) = (count("buffers_small_used"), count("buffers_large_used"));
    let buffers = format!("small {small} · large {large}");
    let waiting = format!("{} waiting", count("waits"));
    vec![
        tile("timeouts", "timeouts", count(TIMEOUTS), idle),
        tile("turns", "loop turns", count("loop_turns"), turns),
        tile("events", "events per turn", events, events_max),
        tile("buffers", "buffers in use", count(BUFFERS), buffers),
        tile("work", "work done", count("works"), waiting),
    ]
}

fn threads(numbers: &Numbers) -> String {
    let some = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (loops, workers, stages) = (numbers.loops, numbers.workers.len(), numbers.stages.len());
    let of_stages: u64 = numbers.stages.iter().map(|stage| stage.threads).sum();
    match (workers, stages) {
        (0, 0) => some(loops, "loop"),
        (_, 0) => format!("{} and {}", some(loops, "loop"), some(workers, "worker")),
        _ => format!("{of_stages} threads in {stages} stages"),
    }
}

/// The model: its description.
fn facts(body: &mut String, info: &ModelInfo, numbers: &Numbers) {
    let _ = write!(
        body,
        "<h2>The three tasks</h2>\n<figure class=\"panel\">\n{}</figure>\n\
         <h2>The model</h2>\n<dl class=\"facts panel\">\n",
        picture::picture(info)
    );
    for (name, fact) in [
        ("Task 1, connections", info.task1),
        ("Task 2, network I/O", info.task2),
        ("Task 3, work", info.task3),
        ("At most in flight", info.in_flight),
        ("What it teaches", info.lesson),
        ("Runs", &threads(numbers)),
    ] {
        let _ = writeln!(body, "<dt>{name}</dt><dd>{}</dd>", escape(fact));
    }
    body.push_str("</dl>\n");
}

/// All counters with their meanings.
fn counters(body: &mut String, numbers: &Numbers) {
    body.push_str("<h2>All counters</h2>\n<div class=\"panel\"><table class=\"counters\">\n");
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
    fn the_scripts_digest_is_right() {
        pages::policy::tests::digest_is_right(&SCRIPT);
    }

    #[test]
    fn every_number_is_made_from_real_counters() {
        let text = page(&INFO, &numbers());
        for attribute in ["data-counter=\"", "data-rise=\"", "data-per=\""] {
            let named = text.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
            for name in named.flat_map(|names| names.split(' ')) {
                assert!(CounterSlot::DESCRIPTIONS.iter().any(|d| d.name == name), "{name}");
            }
        }
        assert!(text.contains("data-rise=\"loop_events\" data-per=\"loop_turns\""));
    }
}
