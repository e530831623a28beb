//! The state of a file when it was opened, and the validators made from it.
//!
//! A strong entity tag promises that equal tags mean equal bytes (RFC 9110, section 8.8.1). It is
//! made of size, modification and change time to the nanosecond. Programs cannot set the change
//! time, so even a file written in place with its old date restored gets another tag. But the
//! kernel takes these times from a clock that ticks a few hundred times a second (on some file
//! systems, every second or two): two writes within one tick look like one. So a file that changed
//! less than [`YOUNG_NS`] ago has a weak tag, until a later check finds it old enough.
//!
//! What is *not* guaranteed: that a change made through a shared mapping (mmap(2)) is seen at once;
//! the kernel updates the times for it at some later point.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::encoding::Coding;
use crate::options::EtagMode;

/// A file younger than this gets no strong tag: the coarsest file system clock in use (FAT's) ticks
/// every 2 s.
const YOUNG_NS: i128 = 2_000_000_000;

const NS_PER_S: i128 = 1_000_000_000;

/// Identity and state of a file: two equal stamps, unless young, are the same bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last modification, in nanoseconds since 1970.
    modified_ns: i128,
    /// Last change of data or inode.
    changed_ns: i128,
}

impl Stamp {
    /// The stamp from the result of fstat(2).
    pub fn of(metadata: &Metadata) -> Self {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: i128::from(metadata.mtime()) * NS_PER_S
                + i128::from(metadata.mtime_nsec()),
            changed_ns: i128::from(metadata.ctime()) * NS_PER_S + i128::from(metadata.ctime_nsec()),
        }
    }

    /// Whether a change just now might leave the stamp as it is. A change time in the future means
    /// that the clock was set back: then nothing is certain. (A modification time in the future
    /// means nothing: programs can set it.)
    pub fn is_young(&self, now: SystemTime) -> bool {
        let now_ns = nanoseconds(now);
        let age_ns = now_ns - self.changed_ns;
        age_ns < YOUNG_NS || self.was_just_modified(now)
    }

    fn was_just_modified(&self, now: SystemTime) -> bool {
        (0..YOUNG_NS).contains(&(nanoseconds(now) - self.modified_ns))
    }

    /// Last-Modified in seconds since 1970: not before that (the formatter would panic), and not in
    /// the future (section 8.8.2.1).
    pub fn modified_s(&self, now: SystemTime) -> u64 {
        let seconds = self.modified_ns.min(nanoseconds(now)).div_euclid(NS_PER_S);
        u64::try_from(seconds).unwrap_or(0)
    }

    /// Whether this file, as a compressed sibling, is at least as new as `original`. Compares whole
    /// seconds: not all tools that preserve dates preserve the fraction.
    pub fn is_as_new_as(&self, original: &Stamp) -> bool {
        self.modified_ns.div_euclid(NS_PER_S) >= original.modified_ns.div_euclid(NS_PER_S)
    }

    /// The entity tag, with its quotes; a different one for each coding (section 8.8.3.3). Empty if
    /// there is to be none. `weak`: the stamp may not identify the bytes.
    pub fn etag(&self, coding: Coding, mode: EtagMode, weak: bool, now: SystemTime) -> String {
        let (weak, times) = match mode {
            EtagMode::Strict => (weak, format!("{:x}-{:x}", self.modified_ns, self.changed_ns)),
            EtagMode::Mtime => (
                self.was_just_modified(now),
                format!("{:x}", self.modified_ns.div_euclid(NS_PER_S)),
            ),
            EtagMode::Off => return String::new(),
        };
        let prefix = if weak { "W/" } else { "" };
        let (dash, coding) = match coding {
            Coding::Identity => ("", ""),
            other => ("-", other.name()),
        };
        format!("{prefix}\"{:x}-{times}{dash}{coding}\"", self.size)
    }
}

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn stamp(modified_s: i64, changed_s: i64) -> Stamp {
        Stamp {
            device: 1,
            inode: 2,
            size: 3,
            modified_ns: i128::from(modified_s) * NS_PER_S,
            changed_ns: i128::from(changed_s) * NS_PER_S,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_file_is_young_for_two_seconds_after_its_last_change() {
        assert!(stamp(100, 100).is_young(at(100)));
        assert!(stamp(10, 100).is_young(at(101)));
        assert!(!stamp(100, 100).is_young(at(102)));
    }

    #[test]
    fn only_a_change_in_the_future_makes_it_doubtful() {
        assert!(stamp(100, 900).is_young(at(200)));
        assert!(!stamp(900, 100).is_young(at(200)));
    }

    #[test]
    fn last_modified_is_neither_before_1970_nor_in_the_future() {
        assert_eq!(stamp(-5, 100).modified_s(at(200)), 0);
        assert_eq!(stamp(900, 100).modified_s(at(200)), 200);
        assert_eq!(stamp(150, 100).modified_s(at(200)), 150);
    }

    #[test]
    fn tags_differ_by_size_times_and_coding() {
        let base = stamp(100, 100);
        let others = [
            Stamp { size: 4, ..base },
            Stamp { modified_ns: base.modified_ns + 1, ..base },
            Stamp { changed_ns: base.changed_ns + 1, ..base },
        ];
        let etag = |stamp: &Stamp, coding| stamp.etag(coding, EtagMode::Strict, false, at(200));
        let tag = etag(&base, Coding::Identity);
        assert!(others.iter().all(|other| etag(other, Coding::Identity) != tag));
        assert_ne!(etag(&base, Coding::Gzip), tag);
        assert_ne!(etag(&base, Coding::Gzip), etag(&base, Coding::Brotli));
        let weak = base.etag(Coding::Identity, EtagMode::Strict, true, at(200));
        assert_eq!(weak, format!("W/{tag}"));
    }

    #[test]
    fn tags_of_size_and_modification_are_the_same_on_every_node() {
        let etag = |stamp: &Stamp, now| stamp.etag(Coding::Identity, EtagMode::Mtime, true, now);
        let (base, elsewhere) = (stamp(100, 100), Stamp { device: 9, inode: 9, ..stamp(100, 199) });
        assert_eq!(etag(&base, at(200)), etag(&elsewhere, at(200)));
        assert_eq!(etag(&base, at(200)), "\"3-64\"");
        assert!(etag(&base, at(101)).starts_with("W/"));
        assert_ne!(etag(&base, at(200)), etag(&stamp(101, 100), at(200)));
        assert_eq!(base.etag(Coding::Identity, EtagMode::Off, false, at(200)), "");
    }
}
