//! Groups of bars. They lie, one below the other: names and values are written beside them, and
//! many of them make the picture longer and not narrower.

use std::fmt::Write as _;

use super::look::looks;
use super::number::short;
use super::scale::Scale;
use super::{CHARACTER, Drawn, TEXT, WIDTH, axis_label, bar, fitted, legend, text};
use crate::lab::findings::Plot;

type Bars = (String, Vec<Option<f64>>);

/// A bar's thickness, and the gaps between bars and between groups.
const BAR: f64 = 16.0;
const GAP: f64 = 2.0;
const GROUP_GAP: f64 = 9.0;
/// Names that are longer than this stand above their bars.
const BESIDE_MAX: usize = 14;
/// Room for a value behind its bar: the longest is `-12.3 k`.
const VALUE: f64 = 58.0;
/// Where the first group begins, and what is below the last one.
const TOP: f64 = 26.0;
const BELOW: f64 = 22.0;
/// The shortest bar: that there is one must be seen.
const BAR_MIN: f64 = 1.5;

/// The places of what is drawn.
struct Layout {
    left: f64,
    names_above: bool,
    group: f64,
    bottom: f64,
    scale: Scale,
}

impl Layout {
    fn new(plot: &Plot, groups: &[String], bars: &[Bars]) -> Layout {
        let longest = groups.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        let names_above = longest > BESIDE_MAX;
        let left = if names_above { 2.0 } else { longest as f64 * CHARACTER + 10.0 };
        let above = if names_above { TEXT + 6.0 } else { 0.0 };
        let count = bars.len().max(1) as f64;
        let group = above + count * (BAR + GAP) - GAP + GROUP_GAP;
        let bottom = TOP + groups.len() as f64 * group;
        let values = bars.iter().flat_map(|(_, values)| values.iter().flatten().copied());
        let scale = Scale::new(plot.y.logarithmic, false, values);
        Layout { left, names_above, group, bottom, scale }
    }

    fn x(&self, place: f64) -> f64 {
        self.left + place * (WIDTH - VALUE - self.left)
    }
}

/// The picture and its legend; bars of one kind need none.
pub fn draw(plot: &Plot, groups: &[String], bars: &[Bars]) -> (Drawn, String) {
    let layout = Layout::new(plot, groups, bars);
    let looks = looks(bars.iter().map(|(name, _)| name.as_str()));
    let mut body = axis(plot, &layout);
    for (index, group) in groups.iter().enumerate() {
        let mut y = TOP + GROUP_GAP / 2.0 + index as f64 * layout.group;
        body.push_str(&name(&layout, group, bars.len(), y));
        y += if layout.names_above { TEXT + 6.0 } else { 0.0 };
        for (number, (_, values)) in bars.iter().enumerate() {
            let value = values.get(index).copied().flatten();
            one(&mut body, &layout, (looks[number], number), y, value);
            y += BAR + GAP;
        }
    }
    let sample = |number: usize| bar(looks[number], number, (1.0, 1.0), (32.0, 12.0));
    let items = bars.iter().enumerate().map(|(i, (name, _))| (name.as_str(), sample(i)));
    let legend = if bars.len() > 1 { legend(items) } else { String::new() };
    let height = layout.bottom + BELOW;
    (Drawn { height, body, about: about(plot, groups, bars) }, legend)
}

fn axis(plot: &Plot, layout: &Layout) -> String {
    let mut body = text("soft", 0.0, TEXT, &fitted(&axis_label(&plot.y), WIDTH));
    let mut free_from = f64::MIN;
    for (place, name) in layout.scale.named() {
        let x = layout.x(place);
        let bottom = layout.bottom;
        let _ = write!(body, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/>");
        let half = name.chars().count() as f64 * CHARACTER / 2.0;
        if x - half > free_from {
            body.push_str(&text("tick middle", x.max(half), bottom + 17.0, &name));
            free_from = x + half + CHARACTER;
        }
    }
    body
}

/// A group's name, beside the middle of its bars or above them.
fn name(layout: &Layout, name: &str, bars: usize, y: f64) -> String {
    if layout.names_above {
        return text("name", layout.left, y + TEXT, &fitted(name, WIDTH));
    }
    let middle = y + (bars.max(1) as f64 * (BAR + GAP) - GAP) / 2.0;
    text("name end", layout.left - 8.0, middle + 5.0, name)
}

/// One bar and its value.
fn one(
    body: &mut String,
    layout: &Layout,
    (look, number): (usize, usize),
    y: f64,
    value: Option<f64>,
) {
    let baseline = y + BAR - 3.0;
    // From zero, or, where there is no zero, from the axis's low end.
    let from = layout.x(layout.scale.place(0.0).unwrap_or_default());
    let Some(value) = value.filter(|value| value.is_finite()) else {
        body.push_str(&text("soft", from + 5.0, baseline, "–"));
        return;
    };
    let end = layout.scale.place(value).map_or(from, |place| layout.x(place));
    let (left, right) = (from.min(end), from.max(end));
    if value != 0.0 && layout.scale.place(value).is_some() {
        let size = ((right - left).max(BAR_MIN), BAR);
        body.push_str(&bar(look, number, (left, y), size));
    }
    body.push_str(&text("value", right + 5.0, baseline, &short(value)));
}

/// The picture in words.
fn about(plot: &Plot, groups: &[String], bars: &[Bars]) -> String {
    let mut about = format!("{}.", axis_label(&plot.y));
    for (index, group) in groups.iter().enumerate() {
        let value = |(name, values): &Bars| {
            let value = values.get(index).copied().flatten();
            format!("{name} {}", value.map_or("none".to_owned(), short))
        };
        let values: Vec<String> = bars.iter().map(value).collect();
        let _ = write!(about, " {group}: {}.", values.join(", "));
    }
    about
}
