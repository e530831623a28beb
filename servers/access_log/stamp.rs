//! The timestamp of a line, formatted once per second.
//!
//! All times are UTC: a server's log outlives its daylight saving time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The last second of a four-digit year: 9999-12-31T23:59:59.
const SECOND_MAX: u64 = 253_402_300_799;

/// A moment in all formats.
#[derive(Copy, Clone)]
pub(super) struct Stamp<'a> {
    /// `22/Nov/2026:06:00:09 +0000`
    pub common: &'a [u8],
    /// `2026-11-22T06:00:09`
    pub iso_second: &'a [u8],
    /// Milliseconds of the second.
    pub millis: u32,
}

/// The texts of the most recent second.
#[derive(Debug)]
pub(super) struct Stamps {
    second: Option<u64>,
    common: String,
    iso: String,
}

impl Stamps {
    pub fn new() -> Self {
        Stamps { second: None, common: String::new(), iso: String::new() }
    }

    /// The texts of `time`; a clock before 1970 reads as 1970.
    pub fn of(&mut self, time: SystemTime) -> Stamp<'_> {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since_epoch.as_secs().min(SECOND_MAX);
        if self.second != Some(second) {
            self.make(second);
        }
        Stamp {
            common: self.common.as_bytes(),
            iso_second: self.iso.as_bytes(),
            millis: since_epoch.subsec_millis(),
        }
    }

    /// Takes an IMF-fixdate apart, `Sun, 06 Nov 1994 08:49:37 GMT`: the library that formats
    /// response dates does the calendar arithmetic.
    fn make(&mut self, second: u64) {
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        let (day, name, year, time) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
        let month = 1 + MONTHS.iter().position(|known| *known == name).unwrap_or(0);
        self.common = format!("{day}/{name}/{year}:{time} +0000");
        self.iso = format!("{year}-{month:02}-{day}T{time}");
        self.second = Some(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(second: u64) -> (String, String) {
        let mut stamps = Stamps::new();
        stamps.make(second);
        (stamps.common, stamps.iso)
    }

    #[test]
    fn known_moments_read_as_they_should() {
        for (second, common, iso) in [
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00"),
            (784_111_777, "06/Nov/1994:08:49:37 +0000", "1994-11-06T08:49:37"),
            (951_827_696, "29/Feb/2000:12:34:56 +0000", "2000-02-29T12:34:56"),
            (SECOND_MAX, "31/Dec/9999:23:59:59 +0000", "9999-12-31T23:59:59"),
        ] {
            assert_eq!(texts(second), (common.to_owned(), iso.to_owned()));
        }
    }

    #[test]
    fn the_same_second_is_not_made_twice_and_the_next_one_is() {
        let mut stamps = Stamps::new();
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        let text = stamps.of(at(59_001)).iso_second.as_ptr();
        assert_eq!(stamps.of(at(59_999)).iso_second.as_ptr(), text);
        assert_eq!(stamps.of(at(60_000)).iso_second, b"1970-01-01T00:01:00");
    }

    #[test]
    fn a_time_out_of_range_is_cut_to_it() {
        let mut stamps = Stamps::new();
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(stamps.of(before).iso_second, b"1970-01-01T00:00:00");
        let after = UNIX_EPOCH + Duration::from_secs(SECOND_MAX + 5);
        assert_eq!(stamps.of(after).iso_second, b"9999-12-31T23:59:59");
    }
}
