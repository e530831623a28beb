//! From values to places on a picture, and the values that an axis names.

use super::number::short;

/// An axis names about this many values.
const TICKS: f64 = 5.0;

/// Where values lie between the two ends of an axis.
#[derive(Clone, Debug)]
pub struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
    /// The values that the axis names, ascending.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// For these values; those that the axis cannot show do not count. A linear one begins at zero
    /// unless `tight`, which is for the axis along which lines run.
    pub fn new(logarithmic: bool, tight: bool, values: impl Iterator<Item = f64>) -> Scale {
        let shown = |value: &f64| value.is_finite() && (!logarithmic || *value > 0.0);
        let range = values.filter(shown).fold(None, |range: Option<(f64, f64)>, value| {
            Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        match (range, logarithmic) {
            (None, false) => Scale::linear(0.0, 1.0),
            (None, true) => Scale::logarithmic(1.0, 10.0, tight),
            (Some((low, high)), true) => Scale::logarithmic(low, high, tight),
            // Far from zero, or not: an axis that almost reaches it goes there.
            (Some((low, high)), false) if tight && low > 0.4 * high => Scale::linear(low, high),
            (Some((low, high)), false) => Scale::linear(low.min(0.0), high.max(0.0)),
        }
    }

    /// Ends at multiples of 1, 2 or 5 times a power of ten.
    fn linear(low: f64, high: f64) -> Scale {
        let span = if high > low { high - low } else { high.abs().max(1.0) };
        let rough = span / TICKS;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        let first = (low / step + 1e-9).floor();
        let last = ((high / step - 1e-9).ceil()).max(first + 1.0);
        let count = (last - first) as usize;
        let ticks: Vec<f64> = (0..=count).map(|i| (first + i as f64) * step).collect();
        Scale { logarithmic: false, low: ticks[0], high: ticks[count], ticks }
    }

    /// Ends at powers of ten, or, along lines, at the data if that leaves enough to name.
    fn logarithmic(low: f64, high: f64, tight: bool) -> Scale {
        let first = low.log10().floor();
        let last = high.log10().ceil().max(first + 1.0);
        let whole = (10f64.powf(first), 10f64.powf(last));
        let (low, high) = if tight { (low, high) } else { whole };
        let factors: &[f64] = match (high / low).log10() {
            decades if decades <= 1.3 => &[1.0, 2.0, 5.0],
            decades if decades <= 2.1 && !tight => &[1.0, 3.0],
            _ => &[1.0],
        };
        let every = ((last - first) / (TICKS + 1.0)).ceil() as usize;
        let powers = (first as i32..=last as i32).step_by(every.max(1));
        let ticks = powers.flat_map(|power| factors.iter().map(move |f| f * 10f64.powi(power)));
        let within = |tick: &f64| *tick >= low * 0.999 && *tick <= high * 1.001;
        let ticks: Vec<f64> = ticks.filter(within).collect();
        if tight && ticks.len() < 2 {
            return Scale::logarithmic(whole.0, whole.1, false);
        }
        Scale { logarithmic: true, low, high, ticks }
    }

    /// Where a value lies: 0 at the low end, 1 at the high end. `None`: this axis has no place for
    /// it.
    pub fn place(&self, value: f64) -> Option<f64> {
        let place = match self.logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        place.is_finite().then_some(place)
    }

    /// Ticks and their places.
    pub fn named(&self) -> impl Iterator<Item = (f64, String)> {
        self.ticks.iter().filter_map(|tick| Some((self.place(*tick)?, short(*tick))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(scale: &Scale) -> Vec<String> {
        scale.named().map(|(_, name)| name).collect()
    }

    #[test]
    fn a_linear_axis_names_round_values_from_zero() {
        let scale = Scale::new(false, false, [3_000.0, 41_200.0].into_iter());
        assert_eq!(names(&scale), ["0", "10 k", "20 k", "30 k", "40 k", "50 k"]);
        assert_eq!(scale.place(25_000.0), Some(0.5));
    }

    #[test]
    fn an_axis_along_lines_may_begin_elsewhere() {
        let scale = Scale::new(false, true, [80.0, 120.0].into_iter());
        assert_eq!(names(&scale), ["80", "90", "100", "110", "120"]);
        assert_eq!(
            names(&Scale::new(false, true, [1.0, 4.0].into_iter())),
            ["0", "1", "2", "3", "4"]
        );
    }

    #[test]
    fn a_logarithmic_axis_names_powers_of_ten() {
        let scale = Scale::new(true, false, [0.03, 2_000.0].into_iter());
        assert_eq!(names(&scale), ["0.01", "0.1", "1", "10", "100", "1 k", "10 k"]);
        assert!((scale.place(10.0).unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn few_decades_are_divided_and_many_are_thinned_out() {
        assert_eq!(
            names(&Scale::new(true, false, [12.0, 70.0].into_iter())),
            ["10", "20", "50", "100"]
        );
        assert_eq!(names(&Scale::new(true, false, [1.0, 1e11].into_iter())).len(), 6);
    }

    #[test]
    fn what_an_axis_cannot_show_has_no_place() {
        let scale = Scale::new(true, false, [0.0, -1.0, f64::NAN, 5.0].into_iter());
        assert_eq!(scale.place(0.0), None);
        assert_eq!(scale.place(-1.0), None);
        assert!(scale.place(5.0).is_some());
    }

    proptest! {
        #[test]
        fn every_value_lies_between_the_ends(
            values in prop::collection::vec(-1e12..1e12f64, 0..9),
            logarithmic: bool,
            tight: bool,
        ) {
            let scale = Scale::new(logarithmic, tight, values.iter().copied());
            prop_assert!(!scale.ticks.is_empty() && scale.ticks.len() <= 13, "{:?}", scale.ticks);
            for value in values.into_iter().filter(|value| !logarithmic || *value > 0.0) {
                let place = scale.place(value).unwrap();
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&place), "{} {:?}", value, scale);
            }
        }
    }
}
