//! Numbers as people read and write them.

use std::io::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

/// Prints to standard output. That it is closed is the reader's choice.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A time with three digits: `12.3 ms`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        0.0 => (0.0, "us"),
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "us"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// A number with three digits and a prefix: `12.3 k`.
pub fn count(value: f64) -> String {
    let (value, unit) = match value {
        v if v < 10_000.0 => return digits(v),
        v if v < 1e6 => (v / 1e3, " k"),
        v if v < 1e9 => (v / 1e6, " M"),
        v => (v / 1e9, " G"),
    };
    format!("{}{unit}", digits(value))
}

/// Bytes: `12.3 KiB`.
pub fn bytes(value: f64) -> String {
    let (mut value, mut units) = (value, ["B", "KiB", "MiB", "GiB", "TiB"].iter());
    let mut unit = units.next();
    while value >= 1024.0 && units.len() > 0 {
        value /= 1024.0;
        unit = units.next();
    }
    format!("{} {}", digits(value), unit.unwrap_or(&"B"))
}

fn digits(value: f64) -> String {
    match value {
        v if v == 0.0 || v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A whole number.
///
/// # Errors
/// It is none, or too large.
pub fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?}: expected a whole number"))
}

/// A whole number between two others.
///
/// # Errors
/// It is not.
pub fn number_in<T: FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    let found = text.parse().ok().filter(|number| *number >= least && *number <= most);
    found.ok_or_else(|| format!("{text:?}: expected a whole number from {least} to {most}"))
}

/// `500ms`, `10s`, `2m`.
///
/// # Errors
/// It is no time.
pub fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let value: f64 = text[..end].parse().map_err(|_| invalid(text))?;
    let seconds = match &text[end..] {
        "us" => value / 1e6,
        "ms" => value / 1e3,
        "s" | "" => value,
        "m" => value * 60.0,
        "h" => value * 3_600.0,
        _ => return Err(invalid(text)),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid(text))
}

fn invalid(text: &str) -> String {
    format!("{text:?}: expected a time such as 500ms, 10s or 2m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        assert_eq!(time(Duration::from_nanos(12_345)), "12.3 us");
        assert_eq!(time(Duration::from_millis(1_500)), "1.50 s");
        assert_eq!(count(123_456.0), "123 k");
        assert_eq!(count(999.0), "999");
        assert_eq!(bytes(1536.0), "1.50 KiB");
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "s", "-1s", "1 s", "1d", "1e99s", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
