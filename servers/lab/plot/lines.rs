//! Lines through points.

use std::fmt::Write as _;

use super::look::{dash, looks};
use super::number::short;
use super::scale::Scale;
use super::{Drawn, TEXT, WIDTH, axis_label, fitted, legend, line_sample, mark, text};
use crate::lab::findings::Plot;

type Line = (String, Vec<(f64, f64)>);

/// The area that the points lie in.
const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 8.0;
const INSET: f64 = 9.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 262.0;
const HEIGHT: f64 = 306.0;
/// Of one line, as many points bear their values.
const LABELLED_MAX: usize = 6;

/// The picture and its legend; a line alone needs none.
pub fn draw(plot: &Plot, lines: &[Line]) -> (Drawn, String) {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let x = Scale::new(plot.x.logarithmic, true, points().map(|point| point.0));
    let y = Scale::new(plot.y.logarithmic, false, points().map(|point| point.1));
    let looks = looks(lines.iter().map(|(name, _)| name.as_str()));
    let place = |point: (f64, f64)| -> Option<(f64, f64)> {
        let (x, y) = (x.place(point.0)?, y.place(point.1)?);
        Some((across(x), BOTTOM - y * (BOTTOM - TOP)))
    };
    let mut body = axes(plot, &x, &y);
    for ((name, points), look) in lines.iter().zip(&looks) {
        line(&mut body, name, points, *look, place);
    }
    if let [(_, points)] = lines
        && points.len() <= LABELLED_MAX
    {
        labels(&mut body, points, place);
    }
    if points().next().is_none() {
        body.push_str(&text("soft middle", WIDTH / 2.0, (TOP + BOTTOM) / 2.0, "no data"));
    }
    let items =
        lines.iter().zip(&looks).map(|((name, _), look)| (name.as_str(), line_sample(*look)));
    let legend = if lines.len() > 1 { legend(items) } else { String::new() };
    (Drawn { height: HEIGHT, body, about: about(plot, lines) }, legend)
}

/// Where a place on the axis is; the first and the last marker keep clear of the frame.
fn across(place: f64) -> f64 {
    LEFT + INSET + place * (RIGHT - LEFT - 2.0 * INSET)
}

fn axes(plot: &Plot, x: &Scale, y: &Scale) -> String {
    let mut body = text("soft", 0.0, TEXT, &fitted(&axis_label(&plot.y), WIDTH));
    for (place, name) in y.named() {
        let at = BOTTOM - place * (BOTTOM - TOP);
        let _ = write!(body, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>");
        body.push_str(&text("tick end", LEFT - 7.0, at + 5.0, &name));
    }
    let mut free_from = f64::MIN;
    for (place, name) in x.named() {
        let at = across(place);
        let _ = write!(body, "<path class=\"grid\" d=\"M{at:.1} {BOTTOM}v5\"/>");
        let half = name.chars().count() as f64 * super::CHARACTER / 2.0;
        // A name that would touch the one before it is left out.
        if at - half > free_from {
            let within = at.min(WIDTH - half);
            body.push_str(&text("tick middle", within, BOTTOM + 20.0, &name));
            free_from = at + half + super::CHARACTER;
        }
    }
    let _ = write!(body, "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>");
    let middle = (LEFT + RIGHT) / 2.0;
    let label = fitted(&axis_label(&plot.x), RIGHT - LEFT);
    body + &text("soft middle", middle, HEIGHT - 5.0, &label)
}

/// One line. A point that has no place interrupts it.
fn line(
    body: &mut String,
    name: &str,
    points: &[(f64, f64)],
    look: usize,
    place: impl Fn((f64, f64)) -> Option<(f64, f64)>,
) {
    let (mut path, mut marks, mut command) = (String::new(), String::new(), 'M');
    for point in points {
        let Some((x, y)) = place(*point) else {
            command = 'M';
            continue;
        };
        let _ = write!(path, "{command}{x:.1} {y:.1}");
        command = 'L';
        let about = format!("{name}: {} at {}", short(point.1), short(point.0));
        marks.push_str(&mark(look, x, y, &about));
    }
    let dash = dash(look).map_or(String::new(), |dash| format!(" stroke-dasharray=\"{dash}\""));
    let _ = writeln!(body, "<path class=\"line s{look}\"{dash} d=\"{path}\"/>{marks}");
}

/// The values of a line's points, above them or, where the line rises to the next one, below.
fn labels(
    body: &mut String,
    points: &[(f64, f64)],
    place: impl Fn((f64, f64)) -> Option<(f64, f64)>,
) {
    let places: Vec<_> = points.iter().filter_map(|p| Some((place(*p)?, p.1))).collect();
    for (index, ((x, y), value)) in places.iter().enumerate() {
        let name = short(*value);
        let half = name.chars().count() as f64 * super::CHARACTER / 2.0;
        let before = index.checked_sub(1).map(|before| places[before].0.1);
        let after = places.get(index + 1).map(|after| after.0.1);
        // Up is less. Between two that are both higher, a valley: below it is empty.
        let is_valley = before.is_none_or(|b| b < *y) && after.is_none_or(|a| a < *y);
        let below = is_valley && y + 20.0 < BOTTOM && places.len() > 1;
        let at = if below { y + 20.0 } else { y - 10.0 };
        body.push_str(&text("value middle", x.clamp(LEFT + half, WIDTH - half), at, &name));
    }
}

/// The picture in words.
fn about(plot: &Plot, lines: &[Line]) -> String {
    let mut about = format!("{} over {}.", axis_label(&plot.y), axis_label(&plot.x));
    for (name, points) in lines {
        let points: Vec<String> =
            points.iter().map(|(x, y)| format!("{} at {}", short(*y), short(*x))).collect();
        let _ = write!(about, " {name}: {}.", points.join(", "));
    }
    about
}
