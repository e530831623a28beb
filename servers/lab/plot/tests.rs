use super::*;
use crate::lab::findings::Axis;

fn lines(lines: Vec<(String, Vec<(f64, f64)>)>, logarithmic: bool) -> String {
    let axis = |label: &str| Axis { label: label.to_owned(), logarithmic };
    let (x, y) = (axis("connections"), axis("ms"));
    figure(&Plot { title: "A plot".to_owned(), x, y, series: Series::Lines(lines) }, "p1")
}

fn bars(groups: &[&str], bars: Vec<(String, Vec<Option<f64>>)>, logarithmic: bool) -> String {
    let groups = groups.iter().map(|&name| name.to_owned()).collect();
    let y = Axis { label: "ms".to_owned(), logarithmic };
    let (x, series) = (Axis::default(), Series::Bars(groups, bars));
    figure(&Plot { title: "A plot".to_owned(), x, y, series }, "p1")
}

/// Tags that are opened are closed, in their order, and no number is undefined.
#[track_caller]
fn is_sound(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name), "{svg}"),
            (false, false) => open.push(name),
            (false, true) => (),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn without_data_there_is_a_picture_without_lines_or_bars() {
    for logarithmic in [false, true] {
        for svg in [lines(Vec::new(), logarithmic), lines(vec![("x".into(), vec![])], logarithmic)]
        {
            is_sound(&svg);
            assert!(svg.contains("no data"));
        }
        is_sound(&bars(&[], Vec::new(), logarithmic));
        is_sound(&bars(&["sped"], Vec::new(), logarithmic));
        is_sound(&bars(&["sped"], vec![("x".into(), vec![])], logarithmic));
    }
}

#[test]
fn a_missing_bar_is_a_dash_and_no_bar() {
    let svg = bars(&["sped", "mt"], vec![("p99".into(), vec![Some(2.5), None])], true);
    is_sound(&svg);
    assert_eq!(svg.matches("class=\"bar").count(), 1);
    assert!(svg.contains(">2.5</text>") && svg.contains(">–</text>"));
    assert!(svg.contains("mt: p99 none."), "it is missing in words, too");
}

#[test]
fn a_bar_without_a_place_still_has_its_value() {
    let svg = bars(&["sped", "mt"], vec![("p99".into(), vec![Some(2.5), Some(0.0)])], true);
    is_sound(&svg);
    assert_eq!(svg.matches("class=\"bar").count(), 1);
    assert!(svg.contains(">0</text>"));
}

#[test]
fn values_that_are_no_numbers_interrupt_a_line() {
    let points = vec![(1.0, 1.0), (2.0, f64::NAN), (3.0, f64::INFINITY), (4.0, 2.0)];
    let svg = lines(vec![("sped".into(), points)], false);
    is_sound(&svg);
    let path = svg.split("class=\"line").nth(1).unwrap().split("/>").next().unwrap();
    assert_eq!(path.matches('M').count(), 2);
    assert_eq!(path.matches('L').count(), 0);
}

#[test]
fn names_are_escaped_everywhere() {
    let evil = "<b>&\"'";
    let axis = || Axis::linear(evil);
    let series = Series::Lines(vec![
        (evil.to_owned(), vec![(1.0, 2.0)]),
        (format!("{evil}2"), vec![(1.0, 2.0)]),
    ]);
    let svg = figure(&Plot { title: evil.to_owned(), x: axis(), y: axis(), series }, "p1");
    is_sound(&svg);
    assert!(!svg.contains("<b>"));
    let groups = vec![evil.to_owned(), format!("{evil} long enough to be above its bars")];
    let values = vec![Some(1.0), None];
    let series =
        Series::Bars(groups, vec![(evil.to_owned(), values.clone()), ("x".into(), values)]);
    let svg = figure(&Plot { title: evil.to_owned(), x: axis(), y: axis(), series }, "p1");
    is_sound(&svg);
    assert!(!svg.contains("<b>"));
}

#[test]
fn several_lines_have_a_legend_and_one_has_its_values() {
    let one = ("sped".to_owned(), vec![(1.0, 10.0), (10.0, 12.5)]);
    let svg = lines(vec![one.clone()], false);
    assert!(svg.contains(">12.5</text>") && !svg.contains("legend"));
    let svg = lines(vec![one.clone(), ("mt".to_owned(), one.1)], false);
    assert_eq!(svg.matches("<li>").count(), 2);
    is_sound(&svg);
}

#[test]
fn it_has_a_name_for_those_who_do_not_see_it() {
    let svg = lines(vec![("sped".to_owned(), vec![(1.0, 10.0)])], false);
    assert!(svg.contains("role=\"img\" aria-labelledby=\"p1-t p1-d\""));
    assert!(svg.contains("<title id=\"p1-t\">A plot</title>"));
    assert!(svg.contains("ms over connections. sped: 10 at 1."));
}
