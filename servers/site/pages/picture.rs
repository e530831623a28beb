//! The picture of which process or thread does which task, drawn from a model's description.
//!
//! ```text
//!  clients      ┌─ Task 1 ────┐  socket  ┌─ Task 2 ────┐ request  ┌─ Task 3 ────┐
//!     o ──────► │ connections │ ───────► │ network I/O │ ───────► │ work        │
//!     o         │ who?        │          │ who?        │ ◄─────── │ who?        │
//!     ▲         └─────────────┘          └─────────────┘ response └─────────────┘
//!     └──────────────── response ───────────────┘
//! ```
//!
//! The boxes are the same for every model. The model is what is written in them, and hence what
//! waits for what.

use std::fmt::Write as _;

use super::text::escape;
use crate::model::ModelInfo;

/// Where the boxes begin, their width, and how far apart they begin.
const BOX_X: usize = 92;
const BOX_WIDTH: usize = 176;
const BOX_STEP: usize = 246;
/// Characters that fit into a box at the size of the "who" line, and lines.
const COLUMNS: usize = 22;
const LINES_MAX: usize = 3;

/// The picture as inline SVG. Colours come from the page's style, so it has a light and a dark
/// form.
pub(crate) fn picture(info: &ModelInfo) -> String {
    let mut svg = String::with_capacity(4096);
    let _ = write!(
        svg,
        "<svg class=\"picture\" viewBox=\"-6 10 774 212\" role=\"img\" aria-labelledby=\"picture-title\">\n\
         <title id=\"picture-title\">{}: connections are the task of {}; network I/O of {}; \
         work of {}</title>\n",
        escape(info.name),
        escape(info.task1),
        escape(info.task2),
        escape(info.task3)
    );
    svg.push_str(SCENERY);
    let tasks = [("connections", info.task1), ("network I/O", info.task2), ("work", info.task3)];
    for (i, (what, who)) in tasks.into_iter().enumerate() {
        task(&mut svg, i, what, who);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Clients, arrows and their labels, and the requests that run along them.
const SCENERY: &str = "\
<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
orient=\"auto-start-reverse\"><path class=\"tip\" d=\"M0 0 8 4 0 8z\"/></marker></defs>
<g class=\"clients\"><circle cx=\"22\" cy=\"62\" r=\"7\"/><circle cx=\"22\" cy=\"88\" r=\"7\"/>\
<circle cx=\"22\" cy=\"114\" r=\"7\"/></g>
<text class=\"label\" x=\"22\" y=\"40\">clients</text>
<g class=\"arrows\" marker-end=\"url(#tip)\">
<path d=\"M34 88H88\"/><path d=\"M270 88H334\"/><path d=\"M516 76H580\"/><path d=\"M582 104H518\"/>
<path d=\"M426 150V176Q426 194 408 194H40Q22 194 22 176V128\"/></g>
<text class=\"label\" x=\"303\" y=\"80\">socket</text><text class=\"label\" x=\"549\" y=\"68\">request</text>
<text class=\"label\" x=\"549\" y=\"122\">response</text><text class=\"label\" x=\"224\" y=\"212\">response</text>
<g class=\"runners\"><circle r=\"4\"/><circle r=\"4\"/><circle r=\"4\"/></g>
";

/// One task's box: its number, what it is, and which process or thread does it.
fn task(svg: &mut String, index: usize, what: &str, who: &str) {
    let x = BOX_X + index * BOX_STEP;
    let number = index + 1;
    let _ = write!(
        svg,
        "<g class=\"task task{number}\"><rect x=\"{x}\" y=\"22\" width=\"{BOX_WIDTH}\" \
         height=\"128\" rx=\"10\"/>\n\
         <text class=\"number\" x=\"{0}\" y=\"46\">Task {number}</text>\
         <text class=\"what\" x=\"{0}\" y=\"70\">{what}</text>",
        x + 14,
    );
    for (i, line) in wrap(who, COLUMNS, LINES_MAX).iter().enumerate() {
        let y = 96 + 19 * i;
        let _ =
            write!(svg, "<text class=\"who\" x=\"{}\" y=\"{y}\">{}</text>", x + 14, escape(line));
    }
    svg.push_str("</g>\n");
}

/// `text` in lines of at most `columns` characters, unless a word is longer. Text that does not fit
/// into `lines_max` lines ends in an ellipsis.
fn wrap(text: &str, columns: usize, lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if lines.len() > lines_max {
        lines.truncate(lines_max);
        if let Some(last) = lines.last_mut() {
            last.push('…');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: ModelInfo = ModelInfo {
        name: "x<y>",
        title: "",
        lesson: "",
        task1: "parent accepts, forks",
        task2: "child, \"blocking\"",
        task3: "the child & no other process, with a text that is too long to fit into its box",
        in_flight: "",
        picture: "",
        disk: crate::app::Disk::Wait,
    };

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(wrap("one two three four", 5, 2), ["one", "two…"]);
        assert_eq!(wrap("incomprehensibilities", 5, 2), ["incomprehensibilities"]);
        assert!(wrap("", 5, 2).is_empty());
    }

    #[test]
    fn the_card_is_text_and_never_markup() {
        let svg = picture(&INFO);
        assert!(svg.contains("x&lt;y&gt;") && !svg.contains("x<y>"));
        assert!(svg.contains("child, &quot;blocking&quot;"));
        assert!(svg.contains("child &amp; no"));
    }

    #[test]
    fn every_element_that_is_opened_is_closed() {
        let svg = picture(&INFO);
        for name in ["svg", "g", "text", "title", "defs", "marker"] {
            let opened = svg.matches(&format!("<{name}>")).count()
                + svg.matches(&format!("<{name} ")).count();
            assert_eq!(opened, svg.matches(&format!("</{name}>")).count(), "{name}");
        }
    }
}
