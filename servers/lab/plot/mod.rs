//! Plots as SVG within a page of HTML.
//!
//! Drawn here rather than by a library, because a page's style has to reach into the picture: one
//! picture for light, dark and print. All colours are classes. What is drawn is so narrow that its
//! text is still legible on a telephone; a wider screen shows it larger, or two beside each other.
//!
//! A page that has plots needs [`DEFINITIONS`] once, before them.

mod bars;
mod lines;
mod look;
mod number;
mod scale;

use std::fmt::Write as _;

use self::look::{dash, is_hollow, marker};
use super::findings::{Plot, Series};
use crate::site::pages::text::escape;

/// Units that a picture is wide. It is to be shown at least 6/7 as wide in CSS pixels: then 14
/// units of text are 12 pixels.
const WIDTH: f64 = 420.0;
/// The size of text, and how wide one of its characters is, on average.
const TEXT: f64 = 14.0;
const CHARACTER: f64 = 7.7;

/// Patterns that all pictures share: stripes and dots of the paper's colour over a bar's own.
pub const DEFINITIONS: &str = "\
<svg class=\"definitions\" width=\"0\" height=\"0\" aria-hidden=\"true\" \
focusable=\"false\"><defs>\n\
<pattern id=\"over1\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(45)\"><path class=\"over\" d=\"M0 3H6\"/></pattern>\n\
<pattern id=\"over2\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\">\
<circle class=\"over\" cx=\"3.5\" cy=\"3.5\" r=\"1.4\"/></pattern>\n\
<pattern id=\"over3\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(-45)\"><path class=\"over\" d=\"M0 3H6\"/></pattern>\n\
</defs></svg>\n";
const OVERLAYS: usize = 4;

/// A plot with its title and legend. `id` is the page's own for it.
pub fn figure(plot: &Plot, id: &str) -> String {
    let (drawn, legend) = match &plot.series {
        Series::Lines(lines) => lines::draw(plot, lines),
        Series::Bars(groups, bars) => bars::draw(plot, groups, bars),
    };
    let Drawn { height, body, about } = drawn;
    let title = escape(&plot.title);
    let about = escape(&about);
    format!(
        "<figure class=\"plot\">\n<figcaption>{title}</figcaption>\n{legend}\
         <svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
         <title id=\"{id}-t\">{title}</title>\n<desc id=\"{id}-d\">{about}</desc>\n\
         {body}</svg>\n</figure>\n"
    )
}

/// The inside of a picture.
struct Drawn {
    height: f64,
    body: String,
    /// For readers who do not see it.
    about: String,
}

/// Names and their samples, beside each other as far as there is room.
fn legend<'a>(items: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut list = String::from("<ul class=\"legend\" aria-hidden=\"true\">\n");
    for (name, sample) in items {
        let name = escape(name);
        let _ = writeln!(list, "<li><svg viewBox=\"0 0 34 14\">{sample}</svg>{name}</li>");
    }
    list + "</ul>\n"
}

/// A line's sample.
fn line_sample(look: usize) -> String {
    let dash = dash(look).map_or(String::new(), |dash| format!(" stroke-dasharray=\"{dash}\""));
    format!("<path class=\"line s{look}\"{dash} d=\"M1 7H33\"/>{}", mark(look, 17.0, 7.0, ""))
}

/// A marker; `about` is shown when it is pointed at.
fn mark(look: usize, x: f64, y: f64, about: &str) -> String {
    let class = if is_hollow(look) { "mark hollow" } else { "mark" };
    let d = marker(look, x, y);
    match about {
        "" => format!("<path class=\"{class} s{look}\" d=\"{d}\"/>"),
        _ => {
            let about = escape(about);
            format!("<path class=\"{class} s{look}\" d=\"{d}\"><title>{about}</title></path>")
        }
    }
}

/// A box filled in the manner of a bar's series: colour, and the pattern of its number.
fn bar(look: usize, number: usize, (x, y): (f64, f64), (width, height): (f64, f64)) -> String {
    let place =
        format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"");
    let overlay = match number % OVERLAYS {
        0 => String::new(),
        over => format!("<rect {place} fill=\"url(#over{over})\"/>"),
    };
    format!("<rect class=\"bar s{look}\" {place}/>{overlay}")
}

fn text(class: &str, x: f64, y: f64, what: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", escape(what))
}

/// As much of a text as fits into a width.
fn fitted(text: &str, width: f64) -> String {
    let room = (width / CHARACTER) as usize;
    match text.chars().count() > room {
        true => text.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// An axis's label, with a word on what its distances mean.
fn axis_label(axis: &super::findings::Axis) -> String {
    match (axis.logarithmic, axis.label.as_str()) {
        (true, "") => "logarithmic".to_owned(),
        (true, label) => format!("{label} (logarithmic)"),
        (false, label) => label.to_owned(),
    }
}

#[cfg(test)]
mod tests;
