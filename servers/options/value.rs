//! The text of a value: sizes `16K`, times `500ms`, addresses `[::1]:8080`, switches `on`.
//!
//! Each kind has a function that parses it and one that prints it, so that a default shown by
//! `--help` can be passed back as is.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use reactor::process::Priority;

use super::ListenAddr;
use super::error::Fault;

/// Multiples of a byte: a K is always 1,024.
const SIZE_UNITS: [(&str, u64); 3] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];

/// Units of time in microseconds, the largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

const SIZE_HINT: &str = "expected a number of bytes, or one with K, M or G: 16K, 1M, 64KiB";
const TIME_HINT: &str = "expected a number with a unit (500ms, 10s, 2m, 1h), or off";
const LISTEN_HINT: &str =
    "expected IP:PORT, [IPv6]:PORT, :PORT for all addresses, unix:PATH or fd:N";

/// Splits `16KiB` into 16 and `KiB`.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

/// `16K`, `16k`, `16KB`, `16KiB` and `16384` are the same.
pub(super) fn size(text: &str) -> Result<u64, Fault> {
    let fault = |cause: &str| Fault::new(cause, SIZE_HINT);
    let (number, unit) = number_and_unit(text).ok_or_else(|| fault("invalid size"))?;
    let unit = unit.to_ascii_uppercase();
    let letter = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit);
    let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == letter) {
        Some((_, factor)) => *factor,
        None if letter.is_empty() && unit != "IB" => 1,
        None => return Err(fault("unknown unit")),
    };
    number.checked_mul(factor).ok_or_else(|| fault("number too large"))
}

/// The shortest text that [`size`] reads as `bytes`.
pub(super) fn show_size(bytes: u64) -> String {
    let unit =
        SIZE_UNITS.iter().rev().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A decimal number.
pub(super) fn count(text: &str) -> Result<u64, Fault> {
    text.parse().map_err(|_| Fault::invalid("a number, such as 100"))
}

/// `500ms`, `10s`; `off` is `None`. A number without a unit is ambiguous and refused, except 0.
pub(super) fn time(text: &str) -> Result<Option<Duration>, Fault> {
    let fault = |cause: String| Fault::new(cause, TIME_HINT);
    if matches!(text, "off" | "none") {
        return Ok(None);
    }
    let (number, unit) = number_and_unit(text).ok_or_else(|| fault("invalid time".into()))?;
    let factor = match TIME_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if number == 0 && unit.is_empty() => 1,
        None if unit.is_empty() => return Err(fault("missing unit".into())),
        None => return Err(fault(format!("unknown unit {unit:?}"))),
    };
    let us = number.checked_mul(factor).ok_or_else(|| fault("number too large".into()))?;
    Ok(Some(Duration::from_micros(us)))
}

/// The shortest text that [`time`] reads as `time` (to the microsecond).
pub(super) fn show_time(time: Option<Duration>) -> String {
    let Some(time) = time else {
        return "off".to_owned();
    };
    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let unit = TIME_UNITS.iter().find(|(_, factor)| us > 0 && us.is_multiple_of(*factor));
    match unit {
        // "60s" is read faster than "1m", and is what most people write.
        Some(("m", _)) if us == 60_000_000 => "60s".to_owned(),
        Some((name, factor)) => format!("{}{name}", us / factor),
        None => "0".to_owned(),
    }
}

/// `on`, `off` and their common spellings.
pub(super) fn switch(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "yes" | "true" | "1" => Ok(true),
        "off" | "no" | "false" | "0" => Ok(false),
        _ => Err(Fault::invalid("on or off")),
    }
}

const PRIORITIES: &str = "normal, nice:1 to nice:19, batch, idle, or slice:TIME of 100us to 100ms";
/// Time slices that Linux accepts, in microseconds.
const SLICE_US: RangeInclusive<u128> = 100..=100_000;

/// A priority: `nice:5`, `batch`, `slice:500us`.
pub(super) fn priority(text: &str) -> Result<Priority, Fault> {
    let fault = || Fault::invalid(PRIORITIES);
    Ok(match text.split_once(':') {
        None if text == "normal" => Priority::Normal,
        None if text == "batch" => Priority::Batch,
        None if text == "idle" => Priority::Idle,
        Some(("nice", nice)) => match nice.parse() {
            Ok(nice @ 1..=19) => Priority::Nice(nice),
            _ => return Err(fault()),
        },
        Some(("slice", slice)) => match time(slice)? {
            Some(slice) if SLICE_US.contains(&slice.as_micros()) => {
                Priority::Slice(slice.as_micros() as u32)
            }
            _ => return Err(fault()),
        },
        _ => return Err(fault()),
    })
}

/// The text that [`priority`] reads as `priority`.
pub(super) fn show_priority(priority: Priority) -> String {
    match priority {
        Priority::Normal => "normal".to_owned(),
        Priority::Nice(nice) => format!("nice:{nice}"),
        Priority::Batch => "batch".to_owned(),
        Priority::Idle => "idle".to_owned(),
        Priority::Slice(us) => {
            format!("slice:{}", show_time(Some(Duration::from_micros(us.into()))))
        }
    }
}

/// The name of a value; empty if it has none.
pub(super) fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

/// The value with the name `text`.
pub(super) fn value_of<T: Copy>(names: &[(&'static str, T)], text: &OsStr) -> Result<T, Fault> {
    let fault = || {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        match names.split_last() {
            Some((last, [])) => Fault::invalid(last),
            Some((last, others)) => Fault::invalid(format_args!("{} or {last}", others.join(", "))),
            None => Fault::without_hint("invalid value"),
        }
    };
    names.iter().find(|(name, _)| text == *name).map(|(_, value)| *value).ok_or_else(fault)
}

/// A path, or `none`.
pub(super) fn path_or_none(path: Option<&PathBuf>) -> String {
    path.map_or("none".to_owned(), |path| path.display().to_string())
}

/// An address to listen on.
pub(super) fn listen(text: &str) -> Result<ListenAddr, Fault> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    if let Some(number) = text.strip_prefix("fd:") {
        return match number.parse() {
            Ok(fd) if fd >= 0 => Ok(ListenAddr::Fd(fd)),
            _ => Err(Fault::invalid("a descriptor, such as fd:3")),
        };
    }
    tcp(text).map(ListenAddr::Tcp)
}

fn unix(path: &str) -> Result<ListenAddr, Fault> {
    if path.is_empty() || path.contains('\0') {
        return Err(Fault::new("missing path", "expected a path, such as unix:/run/stampede.sock"));
    }
    Ok(ListenAddr::Unix(PathBuf::from(path)))
}

fn tcp(text: &str) -> Result<SocketAddr, Fault> {
    let fault = |cause: &str| Fault::new(cause, LISTEN_HINT);
    if let Ok(addr) = text.parse() {
        return Ok(unmapped(addr));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let hint = format!("write {}", SocketAddr::new(ip, 8080));
        return Err(Fault::new("missing port", hint));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
    let Ok(port) = port.parse::<u16>() else {
        return Err(fault("invalid address or port"));
    };
    let ip: IpAddr = match host {
        "" | "*" => Ipv6Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ => return Err(fault("not an IP address")),
    };
    Ok(SocketAddr::new(ip, port))
}

/// A socket for `::ffff:127.0.0.1` takes IPv4 alone: it is one for `127.0.0.1`.
fn unmapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
        IpAddr::V6(_) => addr,
    }
}

/// Permissions of a file in octal, without special bits: `0660`, `660`.
pub(super) fn mode(text: &str) -> Result<u32, Fault> {
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(text, 8) {
        Ok(mode @ 0..=0o777) if digits => Ok(mode),
        _ => Err(Fault::invalid("permissions in octal, such as 0660")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_in_every_common_spelling() {
        for (text, bytes) in [
            ("0", 0),
            ("16384", 16384),
            ("16K", 16384),
            ("16k", 16384),
            ("16KB", 16384),
            ("64KiB", 65536),
            ("1M", 1 << 20),
            ("2g", 2 << 30),
            ("7B", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1.5M", "1T", "1 K", "16iB", "99999999999G", "+1"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_need_a_unit_unless_they_are_nothing() {
        let ms = |ms| Ok(Some(Duration::from_millis(ms)));
        for (text, expected) in [
            ("500ms", ms(500)),
            ("10s", ms(10_000)),
            ("2m", ms(120_000)),
            ("1h", ms(3_600_000)),
            ("0", ms(0)),
            ("0s", ms(0)),
            ("off", Ok(None)),
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        for text in ["", "10", "10x", "s", "-1s", "1.5s", "1e9s", "99999999999999999h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_read_in_every_form() {
        for (text, shown) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            (":80", "[::]:80"),
            ("*:80", "[::]:80"),
            ("8080", "127.0.0.1:8080"),
            ("localhost:1", "127.0.0.1:1"),
            ("unix:/a b", "unix:/a b"),
            ("fd:3", "fd:3"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[fe80::1%2]:80", "[fe80::1%2]:80"),
        ] {
            assert_eq!(listen(text).map(|a| a.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in ["", ":", "1.2.3.4", "::1", "example.org:80", "1.2.3.4:65536", "fd:-1", "fd:x"]
        {
            assert!(listen(text).is_err(), "{text}");
        }
        let missing = listen("::1").unwrap_err();
        assert_eq!(missing.hint, "write [::1]:8080");
    }

    #[test]
    fn permissions_are_octal() {
        for (text, bits) in [("0660", 0o660), ("666", 0o666), ("0000", 0), ("777", 0o777)] {
            assert_eq!(mode(text), Ok(bits), "{text}");
        }
        for text in ["", "0", "66", "06660", "0668", "1777", "+66", "0o66", "rw-"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(bytes: u64, us in 0u64..1 << 50) {
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
            let shown = show_time(Some(Duration::from_micros(us)));
            prop_assert_eq!(time(&shown), Ok(Some(Duration::from_micros(us))));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC*") {
            let _ = (size(&text), time(&text), listen(&text), switch(&text), count(&text));
        }
    }
}
