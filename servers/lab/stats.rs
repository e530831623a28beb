//! Figures of several rounds.

/// The middle one; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let len = sorted.len();
    match len {
        0 => f64::NAN,
        _ if len % 2 == 1 => sorted[len / 2],
        _ => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

/// The middle one of a figure of several rounds.
pub fn median_of<T>(rounds: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(&rounds.iter().map(figure).collect::<Vec<_>>())
}

/// From the smallest to the largest, as a share of the median: how far rounds lie apart.
pub fn spread(values: &[f64]) -> f64 {
    let (least, most) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(*value), b.max(*value)));
    match median(values) {
        middle if middle.is_finite() && middle != 0.0 => (most - least) / middle,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(spread(&[1.0, 2.0, 3.0]), 1.0);
        assert_eq!((spread(&[]), spread(&[5.0])), (0.0, 0.0));
    }
}
