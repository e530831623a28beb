//! How series are told apart: by colour, and by a dash and a marker or a pattern, for readers who
//! see few colours or print in none.
//!
//! A model looks the same in every picture. The colours are in the report's style sheet, light and
//! dark, as `.s0`, `.s1`, …

/// The models, in their order; what else is compared takes looks from behind them.
const MODELS: [&str; 9] =
    ["iterative", "mp", "mt", "prefork", "sped", "seda", "amped", "symped", "mn"];
/// Looks in the style sheet.
pub const LOOKS: usize = 12;
/// Looks for series that are no models, the most different ones first.
const OTHERS: [usize; 6] = [4, 1, 6, 2, 9, 10];

/// Strokes and gaps of a look's line; the first is solid.
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

/// A look for each name.
pub fn looks<'a>(names: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let names: Vec<&str> = names.collect();
    let model = |name: &str| MODELS.iter().position(|model| *model == name);
    let taken: Vec<usize> = names.iter().filter_map(|name| model(name)).collect();
    let order = OTHERS.into_iter().chain((0..LOOKS).filter(|look| !OTHERS.contains(look)));
    let mut free: Vec<usize> = order.filter(|look| !taken.contains(look)).collect();
    free.reverse();
    let mut others = 0..;
    let mut other = || free.pop().or_else(|| others.next().map(|i: usize| i % LOOKS));
    names.iter().map(|name| model(name).or_else(&mut other).unwrap_or_default()).collect()
}

/// A line's `stroke-dasharray`; none if it is solid.
pub fn dash(look: usize) -> Option<&'static str> {
    Some(DASHES[look % DASHES.len()]).filter(|dash| !dash.is_empty())
}

/// The marker of a look at a place, as the data of a path: twelve shapes.
pub fn marker(look: usize, x: f64, y: f64) -> String {
    let shape = match look % LOOKS {
        0 => "m-4 -4h8v8h-8z",                             // a square
        1 => "m0 -5 5 9h-10z",                             // a triangle
        2 => "m0 5 5 -9h-10z",                             // and upside down
        3 => "m0 -5.5 5.5 5.5 -5.5 5.5 -5.5 -5.5z",        // a diamond
        4 => "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",        // a disc
        5 => "m-4 -4 8 8m0 -8 -8 8",                       // a cross
        6 => "m0 -5v10m-5 -5h10",                          // a plus
        7 => "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0zm4 -1v2", // a ring
        8 => "m-4 -4h8v8h-8zm4 3v2",                       // a frame
        9 => "m-5 0 9 -5v10z",                             // a triangle to the left
        10 => "m5 0 -9 -5v10z",                            // and to the right
        _ => "m0 -5v10m-4 -8 8 6m0 -6 -8 6",               // a star
    };
    format!("M{x:.1} {y:.1}{shape}")
}

/// Whether a look's marker is an outline.
pub fn is_hollow(look: usize) -> bool {
    matches!(look % LOOKS, 7 | 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_models_and_three_others_look_different() {
        let names = MODELS.into_iter().chain(["nginx", "other", "third"]);
        let mut found = looks(names);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), LOOKS);
    }

    #[test]
    fn a_model_looks_the_same_beside_whatever() {
        assert_eq!(looks(["x", "sped"].into_iter())[1], looks(["sped", "mt", "y"].into_iter())[0]);
    }

    #[test]
    fn more_series_than_looks_are_drawn_all_the_same() {
        let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let found = looks(names.iter().map(String::as_str));
        assert!(found.len() == 40 && found.iter().all(|look| *look < LOOKS));
    }
}
