//! The stages of a model that has them, in the three forms: a picture that moves, a table, numbers.
//!
//! ```text
//!  accept ─► read ─► handle ─► write ─► clients     each box: the queue as a bar that fills,
//!              ▲        └► work ─┘ └► files         threads, events a second, what was shed
//! ```
//!
//! The picture is complete as it comes; the script moves its bars and arrows (`pages/status.js`, by
//! the `data-stage` attributes). The table below it says the same in words.

use std::fmt::Write as _;
use std::time::Duration;

use crate::metrics::StageReport;
use crate::site::pages::text::{grouped, rate};

/// Width and height of a box.
const BOX: (u32, u32) = (142, 86);
/// Width of the bar in it, at a full queue.
const BAR: u64 = 118;

/// Where a stage is drawn, and the arrows that lead to it.
struct Place {
    name: &'static str,
    at: (u32, u32),
    arrows: &'static [&'static str],
}

const PLACES: [Place; 6] = [
    Place { name: "accept", at: (62, 40), arrows: &["M30 83H58"] },
    Place { name: "read", at: (232, 40), arrows: &["M204 83H228", "M643 36V14H303V36"] },
    Place { name: "handle", at: (402, 40), arrows: &["M374 83H398"] },
    Place { name: "work", at: (402, 176), arrows: &["M473 128V172"] },
    Place { name: "files", at: (700, 176), arrows: &["M690 128V150H771V172"] },
    Place {
        name: "write",
        at: (572, 40),
        arrows: &["M544 83H568", "M544 219H620V130", "M700 219H650V130", "M716 83H736"],
    },
];

/// Clients at both ends.
const SCENERY: &str = "<text class=\"label\" x=\"24\" y=\"72\">clients</text>\
<text class=\"label\" x=\"762\" y=\"87\">clients</text>\
<text class=\"label\" x=\"473\" y=\"10\">back to its reader, to wait for the client</text>
";

/// `"stages":[{…},…]`
pub(super) fn json(text: &mut String, stages: &[StageReport]) {
    text.push_str("\"stages\":[");
    for (i, stage) in stages.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{{\"name\":\"{}\"", stage.name);
        for (name, value) in numbers(stage) {
            let _ = write!(text, ",\"{name}\":{value}");
        }
        text.push('}');
    }
    text.push(']');
}

fn numbers(stage: &StageReport) -> [(&'static str, u64); 8] {
    [
        ("queue", stage.queue),
        ("capacity", stage.capacity),
        ("threads", stage.threads),
        ("threads_max", stage.threads_max),
        ("batch", stage.batch),
        ("events", stage.events),
        ("shed", stage.shed),
        ("busy_us", stage.busy_us),
    ]
}

/// Gauges and counters, labelled by stage.
pub(super) fn metrics(text: &mut String, stages: &[StageReport]) {
    if stages.is_empty() {
        return;
    }
    type Value = fn(&StageReport) -> f64;
    let families: [(&str, &str, &str, Value); 6] = [
        ("queue", "gauge", "Events that wait.", |stage| stage.queue as f64),
        ("threads", "gauge", "Threads that serve it.", |stage| stage.threads as f64),
        ("batch", "gauge", "Events taken at a time.", |stage| stage.batch as f64),
        ("events_total", "counter", "Events done.", |stage| stage.events as f64),
        ("shed_total", "counter", "Events that found its queue full.", |stage| stage.shed as f64),
        ("busy_seconds_total", "counter", "Time its threads were busy.", |stage| {
            stage.busy_us as f64 / 1e6
        }),
    ];
    for (name, kind, help, value) in families {
        let name = format!("stampede_stage_{name}");
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for stage in stages {
            let _ = writeln!(text, "{name}{{stage=\"{}\"}} {}", stage.name, value(stage));
        }
    }
}

/// The picture and the table.
pub(super) fn page(body: &mut String, stages: &[StageReport], uptime: Duration) {
    if stages.is_empty() {
        return;
    }
    body.push_str(
        "<h2>The stages</h2>\n<figure class=\"panel\">\n\
         <svg class=\"picture stages\" viewBox=\"0 -6 850 272\" role=\"img\" \
         aria-labelledby=\"stages-title\">\n\
         <title id=\"stages-title\">Connections move from stage to stage; the table below has the \
         numbers</title>\n",
    );
    body.push_str(SCENERY);
    let per_second = |stage: &StageReport| rate(stage.events, uptime.as_secs_f64());
    for stage in stages {
        if let Some(place) = PLACES.iter().find(|place| place.name == stage.name) {
            draw(body, place, stage, &per_second(stage));
        }
    }
    body.push_str(
        "</svg></figure>\n<div class=\"panel\"><table class=\"counters\">\n<tr>\
         <th scope=\"col\">stage</th><th scope=\"col\">waiting</th><th scope=\"col\">threads</th>\
         <th scope=\"col\">events/s</th><th scope=\"col\">each takes</th>\
         <th scope=\"col\">batch</th><th scope=\"col\">shed</th></tr>\n",
    );
    for stage in stages {
        row(body, stage, &per_second(stage));
    }
    body.push_str("</table></div>\n");
}

/// A stage's box, and the arrows to it.
fn draw(body: &mut String, place: &Place, stage: &StageReport, per_second: &str) {
    let (x, y) = place.at;
    let (width, height) = BOX;
    let _ = writeln!(body, "<g data-stage=\"{}\">", stage.name);
    for arrow in place.arrows {
        let _ = write!(body, "<path class=\"flow\" d=\"{arrow}\"/>");
    }
    let filled = filled(stage.queue, stage.capacity);
    let _ = writeln!(
        body,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"10\"/>\
         <text class=\"what\" x=\"{left}\" y=\"{}\">{}</text>\
         <text class=\"rate\" x=\"{right}\" y=\"{0}\">\
         <tspan data-of=\"rate\">{per_second}</tspan>/s</text>\
         <rect class=\"room\" x=\"{left}\" y=\"{bar}\" width=\"{BAR}\" height=\"9\" rx=\"4\"/>\
         <rect class=\"queue\" x=\"{left}\" y=\"{bar}\" width=\"{filled}\" height=\"9\" rx=\"4\"/>\
         <text class=\"who\" x=\"{left}\" y=\"{}\">\
         <tspan data-of=\"queue\">{}</tspan> waiting</text>\
         <text class=\"who\" x=\"{left}\" y=\"{}\">\
         <tspan data-of=\"threads\">{}</tspan> of {} threads</text></g>",
        y + 24,
        stage.name,
        y + 59,
        grouped(stage.queue),
        y + 76,
        stage.threads,
        stage.threads_max,
        left = x + 12,
        right = x + width - 12,
        bar = y + 34,
    );
}

/// How far the bar of a queue is filled: what is not empty is seen.
fn filled(queue: u64, capacity: u64) -> u64 {
    match (queue * BAR).checked_div(capacity) {
        Some(0) if queue > 0 => 2,
        Some(width) => width.min(BAR),
        None => 0,
    }
}

fn row(body: &mut String, stage: &StageReport, per_second: &str) {
    let each = Duration::from_micros(stage.busy_us.checked_div(stage.events).unwrap_or(0));
    let _ = writeln!(
        body,
        "<tr data-stage=\"{0}\"><th scope=\"row\">{0}</th>\
         <td class=\"number\"><span data-of=\"queue\">{1}</span> of {2}</td>\
         <td class=\"number\"><span data-of=\"threads\">{3}</span> of {4}</td>\
         <td class=\"number\" data-of=\"rate\">{per_second}</td>\
         <td class=\"number\" data-of=\"each\">{each:?}</td>\
         <td class=\"number\" data-of=\"batch\">{5}</td>\
         <td class=\"number\" data-of=\"shed\">{6}</td></tr>",
        stage.name,
        grouped(stage.queue),
        grouped(stage.capacity),
        stage.threads,
        stage.threads_max,
        stage.batch,
        grouped(stage.shed),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages() -> Vec<StageReport> {
        let named = |place: &Place| StageReport {
            name: place.name,
            capacity: 256,
            threads: 1,
            threads_max: 8,
            batch: 1,
            ..StageReport::default()
        };
        let mut stages: Vec<StageReport> = PLACES.iter().map(named).collect();
        stages[3] = StageReport {
            queue: 128,
            threads: 8,
            events: 2_000,
            shed: 1_234,
            busy_us: 10_000_000,
            ..stages[3]
        };
        stages
    }

    #[test]
    fn json_has_every_stage_in_order() {
        let mut text = String::new();
        json(&mut text, &stages());
        assert!(text.starts_with("\"stages\":[{\"name\":\"accept\",\"queue\":0,\"capacity\":256,"));
        let work = "{\"name\":\"work\",\"queue\":128,\"capacity\":256,\"threads\":8,\
                    \"threads_max\":8,\"batch\":1,\"events\":2000,\"shed\":1234,\
                    \"busy_us\":10000000}";
        assert!(text.contains(work), "{text}");
    }

    #[test]
    fn the_picture_and_the_table_say_the_same_of_each_stage() {
        let mut text = String::new();
        page(&mut text, &stages(), Duration::from_secs(10));
        for place in &PLACES {
            assert_eq!(text.matches(&format!("data-stage=\"{}\"", place.name)).count(), 2);
        }
        assert!(text.contains("class=\"queue\" x=\"414\" y=\"210\" width=\"59\""), "{text}");
        assert!(text.contains("<td class=\"number\" data-of=\"each\">5ms</td>"), "{text}");
        assert_eq!(text.matches("data-of=\"rate\">200<").count(), 2);
        assert!(!text.contains(" style="));
        for name in ["svg", "g", "text", "title", "table", "tr", "td", "tspan"] {
            let opened = text.matches(&format!("<{name}>")).count()
                + text.matches(&format!("<{name} ")).count();
            assert_eq!(opened, text.matches(&format!("</{name}>")).count(), "{name}");
        }
    }

    #[test]
    fn a_bar_shows_what_is_there_and_never_more_than_there_is_room_for() {
        assert_eq!((filled(0, 256), filled(1, 1 << 20), filled(256, 256)), (0, 2, BAR));
        assert_eq!((filled(300, 256), filled(5, 0)), (BAR, 0));
    }

    #[test]
    fn models_without_stages_do_not_speak_of_them() {
        let mut text = String::new();
        metrics(&mut text, &[]);
        page(&mut text, &[], Duration::from_secs(1));
        assert!(text.is_empty());
    }

    #[test]
    fn metrics_have_a_family_for_each_number() {
        let mut text = String::new();
        metrics(&mut text, &stages());
        assert!(text.contains("stampede_stage_queue{stage=\"work\"} 128\n"));
        assert!(text.contains("stampede_stage_busy_seconds_total{stage=\"work\"} 10\n"));
        assert_eq!(text.matches("# TYPE ").count(), 6);
        assert_eq!(text.matches("{stage=").count(), 36);
    }
}
