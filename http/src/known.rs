//! Field names that are known beforehand (RFC 9110, section 16.3 has the registry).
//!
//! A name is looked up once, while it is parsed, sixteen bytes at a time, letters folded to lower
//! case by one OR. From then on a field is asked for by number, and a head knows the set of what it
//! holds as one 64-bit word:
//!
//! ```text
//! "User-Agent" ─► first, last, length ─► × constant ─► 7 bits ─► one candidate ─► compare
//! ```
//!
//! The constant makes the 128 slots free of collisions; that is asserted when this is compiled.

use crate::scan::{self, BLOCK_BYTES, Block};

macro_rules! known {
    ($($name:ident $text:literal,)*) => {
        /// A field name known beforehand.
        #[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "a name says it all")]
        pub enum Known {
            /// Every other name.
            #[default]
            Other = 0,
            $($name,)*
        }

        impl Known {
            /// All of them, [`Known::Other`] first.
            pub const ALL: &'static [Known] = &[Known::Other, $(Known::$name),*];

            /// The name in lower case; empty for [`Known::Other`].
            pub const fn name(self) -> &'static str {
                match self {
                    Known::Other => "",
                    $(Known::$name => $text,)*
                }
            }
        }
    };
}

known! {
    Host "host",
    Connection "connection",
    ContentLength "content-length",
    TransferEncoding "transfer-encoding",
    Expect "expect",
    Te "te",
    Trailer "trailer",
    Upgrade "upgrade",
    KeepAlive "keep-alive",
    AcceptEncoding "accept-encoding",
    Range "range",
    IfRange "if-range",
    IfMatch "if-match",
    IfNoneMatch "if-none-match",
    IfModifiedSince "if-modified-since",
    IfUnmodifiedSince "if-unmodified-since",
    UserAgent "user-agent",
    Referer "referer",
    Accept "accept",
    AcceptLanguage "accept-language",
    AcceptCharset "accept-charset",
    Cookie "cookie",
    ContentType "content-type",
    ContentEncoding "content-encoding",
    ContentRange "content-range",
    Authorization "authorization",
    ProxyAuthorization "proxy-authorization",
    CacheControl "cache-control",
    Pragma "pragma",
    Origin "origin",
    Date "date",
    From "from",
    MaxForwards "max-forwards",
    Via "via",
    Forwarded "forwarded",
    XForwardedFor "x-forwarded-for",
    XForwardedHost "x-forwarded-host",
    XForwardedProto "x-forwarded-proto",
    XRealIp "x-real-ip",
    XRequestId "x-request-id",
    UpgradeInsecureRequests "upgrade-insecure-requests",
    Dnt "dnt",
    Priority "priority",
}

/// A set of known names, one bit each. [`Known::Other`] is a member like the others.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownSet(u64);

impl KnownSet {
    /// The empty set.
    pub const EMPTY: KnownSet = KnownSet(0);

    /// The set of these names.
    pub const fn of(names: &[Known]) -> Self {
        let mut set = Self::EMPTY;
        let mut at = 0;
        while at < names.len() {
            set = set.with(names[at]);
            at += 1;
        }
        set
    }

    /// This set and one name more.
    #[must_use]
    #[inline]
    pub const fn with(self, name: Known) -> Self {
        KnownSet(self.0 | 1 << name as u8)
    }

    /// What is in either set.
    #[must_use]
    #[inline]
    pub const fn union(self, other: KnownSet) -> Self {
        KnownSet(self.0 | other.0)
    }

    /// Whether `name` is in it.
    #[inline]
    pub const fn contains(self, name: Known) -> bool {
        self.0 >> name as u8 & 1 != 0
    }

    /// Whether the sets have a name in common.
    #[inline]
    pub const fn intersects(self, other: KnownSet) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is in it.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The longest known name has 25 bytes: with its colon, two blocks.
const NAME_BYTES_MAX: usize = 2 * BLOCK_BYTES - 1;

/// A name prepared for comparison, up to and including its colon: `byte | fold == text` for each
/// byte. So a name of another length differs as well. A slot without a name has no colon, and
/// nothing is like it.
#[repr(align(64))]
struct Entry {
    text: [Block; 2],
    /// 0x20 where the text has a letter, 0 elsewhere: CR, say, folds into a hyphen and must not
    /// match.
    fold: [Block; 2],
}

const SLOT_BITS: u32 = 7;
/// Found by trial: a random odd number that gives each name a slot of its own.
const SPREAD: u32 = 0x63a0_29a5;

/// The slot of a name with this first and last byte and so many bytes.
#[inline(always)]
const fn slot(first: u8, last: u8, len: usize) -> usize {
    // Folds letters; what else it folds, the comparison tells apart.
    let ends = (first as u32 | (last as u32) << 8) | 0x2020;
    ((ends ^ (len as u32) << 16).wrapping_mul(SPREAD) >> (32 - SLOT_BITS)) as usize
}

const EMPTY: Entry = Entry { text: [[0; BLOCK_BYTES]; 2], fold: [[0; BLOCK_BYTES]; 2] };

const fn entry(name: &[u8]) -> Entry {
    let mut entry = EMPTY;
    let mut at = 0;
    while at < name.len() {
        entry.text[at / BLOCK_BYTES][at % BLOCK_BYTES] = name[at];
        if name[at].is_ascii_lowercase() {
            entry.fold[at / BLOCK_BYTES][at % BLOCK_BYTES] = 0x20;
        } else {
            assert!(name[at] == b'-', "a known name is lower case letters and hyphens");
        }
        at += 1;
    }
    entry.text[at / BLOCK_BYTES][at % BLOCK_BYTES] = b':';
    entry
}

/// The names by slot, and which they are.
struct Table {
    entries: [Entry; 1 << SLOT_BITS],
    known: [Known; 1 << SLOT_BITS],
}

static TABLE: Table = {
    let mut table =
        Table { entries: [EMPTY; 1 << SLOT_BITS], known: [Known::Other; 1 << SLOT_BITS] };
    let mut at = 1;
    while at < Known::ALL.len() {
        let name = Known::ALL[at].name().as_bytes();
        let slot = slot(name[0], name[name.len() - 1], name.len());
        assert!(table.known[slot] as u8 == 0, "two known names share a slot: find another SPREAD");
        table.entries[slot] = entry(name);
        table.known[slot] = Known::ALL[at];
        at += 1;
    }
    table
};

const _: () = assert!(Known::ALL.len() <= 64, "a set of known names is 64 bits");

impl Known {
    /// The number of a field name, in any case of letters.
    pub fn of(name: &[u8]) -> Known {
        let (Some(&first), Some(&last)) = (name.first(), name.last()) else {
            return Known::Other;
        };
        if name.len() > NAME_BYTES_MAX {
            return Known::Other;
        }
        let mut blocks = [[0; BLOCK_BYTES]; 2];
        let line = blocks.as_flattened_mut();
        line[..name.len()].copy_from_slice(name);
        line[name.len()] = b':';
        let slot = slot(first, last, name.len());
        let differs = |index: usize| Self::differing(&blocks[index], slot, index) & 0xffff != 0;
        // Behind the colon both are zero.
        if differs(0) || differs(1) { Known::Other } else { TABLE.known[slot] }
    }

    /// The number of the name that begins `block`, with a colon after its `len` bytes, at least
    /// one. What follows there does not matter, and the name's bytes need not have been checked.
    #[inline(always)]
    pub(crate) fn find_short(block: &Block, len: usize) -> Option<Known> {
        let last = block[len.wrapping_sub(1) % BLOCK_BYTES];
        let slot = slot(block[0], last, len);
        let same = Self::differing(block, slot, 0) & scan::low_bits(len + 1) == 0;
        same.then_some(TABLE.known[slot])
    }

    /// Which bytes of `block` differ from that block of the name in `slot`.
    #[inline(always)]
    fn differing(block: &Block, slot: usize, index: usize) -> u32 {
        let Entry { text, fold } = &TABLE.entries[slot];
        !scan::equal_folded(block, &fold[index], &text[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for &known in &Known::ALL[1..] {
            let name = known.name();
            assert_eq!(Known::of(name.as_bytes()), known);
            assert_eq!(Known::of(name.to_ascii_uppercase().as_bytes()), known);
            assert!(KnownSet::of(&[known]).contains(known));
        }
    }

    #[test]
    fn nothing_else_is_found() {
        for &known in &Known::ALL[1..] {
            let name = known.name().as_bytes();
            for at in 0..name.len() {
                for byte in 0..=255u8 {
                    let mut other = name.to_vec();
                    other[at] = byte;
                    let same = other.eq_ignore_ascii_case(name);
                    let found = Known::of(&other);
                    assert!(same == (found == known), "{}", other.escape_ascii());
                    assert!(
                        found.name().as_bytes().eq_ignore_ascii_case(&other)
                            || found == Known::Other
                    );
                }
            }
            assert_eq!(Known::of(&[name, b"x"].concat()), Known::Other);
        }
        assert_eq!(Known::of(b""), Known::Other);
        assert_eq!(Known::of(&[b'a'; 40]), Known::Other);
    }

    #[test]
    fn sets_meet_in_one_and() {
        let set = KnownSet::of(&[Known::Range, Known::IfRange]);
        assert!(set.intersects(KnownSet::of(&[Known::IfRange])));
        assert!(!set.intersects(KnownSet::of(&[Known::Host, Known::Other])));
        assert!(KnownSet::EMPTY.is_empty());
    }
}
