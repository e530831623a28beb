//! Field names that are known beforehand (RFC 9110, section 16.3 has the registry).
//!
//! A name is looked up once, while it is parsed. From then on a field is asked for by number, and a
//! head knows the set of what it holds as one 64-bit word:
//!
//! ```text
//! "User-Agent" ─► last four, length ─► × constant ─► 7 bits ─► one candidate ─► compare
//! ```
//!
//! The constant makes the 128 slots free of collisions; that is asserted when this is compiled. The
//! comparison is one of 32 bytes that *end* with the name: before a name there are always bytes of
//! the head, behind it there may be none. Letters are folded by setting 0x20 in every byte; in a
//! name, whose bytes have been found to be those of a token, that confuses nothing else.

use crate::scan::block::{HALF_BYTES, Half, Scanner};

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

    /// What is in both sets.
    #[must_use]
    #[inline]
    pub const fn intersection(self, other: KnownSet) -> Self {
        KnownSet(self.0 & other.0)
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

/// A name with its colon fits half a block.
const NAME_BYTES_MAX: usize = HALF_BYTES - 1;

/// A name prepared for comparison, in a cache line of its own.
#[repr(align(64))]
struct Entry {
    /// It ends with the name and its colon.
    text: Half,
    /// The bytes of `text` that count, bit n for byte n.
    mask: u32,
    /// Bytes of the name; 0: none, which no name has.
    len: u8,
    known: Known,
}

const SLOT_BITS: u32 = 7;
/// Found by trial: a random odd number that gives each name a slot of its own.
const SPREAD: u32 = 0x0d1e_bc89;

/// The slot of a name with so many bytes, of which these are the last four. Before a shorter one
/// there is always a line end.
#[inline(always)]
const fn slot(last: [u8; 4], len: usize) -> usize {
    // Folds letters; what else it folds, the comparison tells apart.
    let folded = u32::from_le_bytes(last) | 0x2020_2020;
    ((folded ^ len as u32).wrapping_mul(SPREAD) >> (32 - SLOT_BITS)) as usize
}

/// The last four bytes of a name, or of what there is when a line begins with it.
const fn last_four(name: &[u8]) -> [u8; 4] {
    match name {
        [.., a, b, c, d] => [*a, *b, *c, *d],
        [a, b, c] => [b'\n', *a, *b, *c],
        [a, b] => [b'\r', b'\n', *a, *b],
        // No known name is that short.
        _ => [0; 4],
    }
}

const EMPTY: Entry = Entry { text: [0; HALF_BYTES], mask: 0, len: 0, known: Known::Other };

const fn entry(known: Known) -> Entry {
    let name = known.name().as_bytes();
    assert!(name.len() <= NAME_BYTES_MAX, "a known name and its colon fit half a block");
    let mask = !0 << (NAME_BYTES_MAX - name.len());
    let mut entry = Entry { text: [0; HALF_BYTES], mask, len: name.len() as u8, known };
    let mut at = 0;
    while at < name.len() {
        assert!(
            name[at].is_ascii_lowercase() || name[at] == b'-',
            "a known name is lower case letters and hyphens"
        );
        entry.text[NAME_BYTES_MAX - name.len() + at] = name[at];
        at += 1;
    }
    entry.text[NAME_BYTES_MAX] = b':';
    entry
}

/// The names by slot.
static TABLE: [Entry; 1 << SLOT_BITS] = {
    let mut table = [EMPTY; 1 << SLOT_BITS];
    let mut at = 1;
    while at < Known::ALL.len() {
        let known = Known::ALL[at];
        let name = known.name().as_bytes();
        let slot = slot(last_four(name), name.len());
        assert!(table[slot].len == 0, "two known names share a slot: find another SPREAD");
        table[slot] = entry(known);
        at += 1;
    }
    table
};

const _: () = assert!(Known::ALL.len() <= 64, "a set of known names is 64 bits");

impl Known {
    /// The names below this number (`Host`, `Connection`, `Content-Length`) are asked for with
    /// nearly every request: a head has their values at hand.
    pub(crate) const WITH_VALUE: usize = Known::ContentLength as usize + 1;

    /// The number of a field name, in any case of letters.
    pub fn of(name: &[u8]) -> Known {
        let Entry { text, len, known, .. } = &TABLE[slot(last_four(name), name.len())];
        let same = || text[NAME_BYTES_MAX - name.len()..NAME_BYTES_MAX].eq_ignore_ascii_case(name);
        if usize::from(*len) == name.len() && same() { *known } else { Known::Other }
    }

    /// The number of the name from `start` to `end`, which consists of at least one byte, all of
    /// class TOKEN, begins a line, and is followed by a colon. `None` so near the first byte that
    /// there are not enough before it: use [`Known::of`].
    #[inline(always)]
    pub(crate) fn find<S: Scanner>(
        scanner: S,
        bytes: &[u8],
        start: usize,
        end: usize,
    ) -> Option<Known> {
        let rest = bytes.get(end.wrapping_sub(NAME_BYTES_MAX)..)?;
        let half = rest.first_chunk::<HALF_BYTES>()?;
        let [.., a, b, c, d, _] = *half;
        let entry = &TABLE[slot([a, b, c, d], end - start)];
        let differing = !scanner.same_folded(half, &entry.text) & entry.mask;
        let same = differing == 0 && usize::from(entry.len) == end - start;
        Some(if same { entry.known } else { Known::Other })
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
