//! Figures on a picture: short, and as exact as a picture is.

/// Three digits, without zeros at their end: `12.5 k`, `0.05`, `1`.
pub fn short(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    // Three digits round 999.6 up, so that is where a thousand begins.
    let unit = UNITS.iter().find(|(unit, _)| value.abs() >= unit * 0.9995);
    let (unit, name) = unit.copied().unwrap_or((1.0, ""));
    let scaled = value / unit;
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if scaled.abs() < 1e-4 || scaled.abs() >= 1e4 {
        return format!("{value:.0e}");
    }
    let before = scaled.abs().log10().floor() as i32 + 1;
    let decimals = usize::try_from(3 - before).unwrap_or_default();
    let text = format!("{scaled:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.05, "0.05"),
            (0.012_345, "0.0123"),
            (9.999, "10"),
            (123.4, "123"),
            (999.7, "1 k"),
            (12_500.0, "12.5 k"),
            (250_000.0, "250 k"),
            (2e9, "2 G"),
            (1e-7, "1e-7"),
            (-1_500.0, "-1.5 k"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
