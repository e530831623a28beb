//! Field names known in advance (RFC 9110, section 16.3 has the registry).
//!
//! A name is looked up once, while it is parsed. From then on a field is found by number, and a
//! head has the set of its names as one 64-bit word:
//!
//! ```text
//! "User-Agent" ─► last four, length ─► × constant ─► 7 bits ─► one candidate ─► compare
//! ```
//!
//! The constant makes the 128 slots free of collisions, which is asserted at compile time. The
//! comparison is one of 32 bytes that *end* with the name: a name is always preceded by bytes of
//! the head, but not always followed by any. Letters are folded by setting 0x20 in every byte; in a
//! name, which is known to be a token, that confuses nothing else.

use crate::scan::block::{HALF_BYTES, Half, Scanner};

macro_rules! field_names {
    ($($name:ident $text:literal,)*) => {
        /// A field name known in advance.
        #[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the names are self-explanatory")]
        pub enum FieldName {
            /// Every other name.
            #[default]
            Other = 0,
            $($name,)*
        }

        impl FieldName {
            /// All of them, [`FieldName::Other`] first.
            pub const ALL: &'static [FieldName] = &[FieldName::Other, $(FieldName::$name),*];

            /// The name in lower case; empty for [`FieldName::Other`].
            pub const fn name(self) -> &'static str {
                match self {
                    FieldName::Other => "",
                    $(FieldName::$name => $text,)*
                }
            }
        }
    };
}

field_names! {
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

/// A set of known names, one bit each. [`FieldName::Other`] is a member like the others.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldNames(u64);

impl FieldNames {
    /// The empty set.
    pub const EMPTY: FieldNames = FieldNames(0);

    /// The set of these names.
    pub const fn of(names: &[FieldName]) -> Self {
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
    pub const fn with(self, name: FieldName) -> Self {
        FieldNames(self.0 | 1 << name as u8)
    }

    /// The union of both sets.
    #[must_use]
    #[inline]
    pub const fn union(self, other: FieldNames) -> Self {
        FieldNames(self.0 | other.0)
    }

    /// The intersection of both sets.
    #[must_use]
    #[inline]
    pub const fn intersection(self, other: FieldNames) -> Self {
        FieldNames(self.0 & other.0)
    }

    /// Whether `name` is in it.
    #[inline]
    pub const fn contains(self, name: FieldName) -> bool {
        self.0 >> name as u8 & 1 != 0
    }

    /// Whether the sets have a name in common.
    #[inline]
    pub const fn intersects(self, other: FieldNames) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is in it.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What is compared: half a block, which ends with LF, name, colon and space.
pub(crate) const WINDOW_BYTES: usize = HALF_BYTES;
/// Where in it the name ends.
const NAME_END: usize = WINDOW_BYTES - 2;

/// A name prepared for comparison, in a cache line of its own.
#[repr(align(64))]
struct Entry {
    /// LF, the name and a colon, where they are in a window.
    text: Half,
    /// The bits of `text` that count: all but 0x20 for letters, none outside the line.
    mask: Half,
}

const SLOT_BITS: u32 = 7;
/// Found by trial: a random odd number that gives each name a slot of its own.
const SPREAD: u32 = 0x0d1e_bc89;

/// The slot of a name with this many bytes, of which these are the last four. A shorter one is
/// always preceded by a line end.
#[inline(always)]
const fn slot(last: [u8; 4], len: usize) -> usize {
    // Folds letters; anything else it folds is caught by the comparison.
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

/// Its mask has no bits: it matches every name, and that is [`FieldName::Other`].
const EMPTY: Entry = Entry { text: [0; WINDOW_BYTES], mask: [0; WINDOW_BYTES] };

const fn entry(known: FieldName) -> Entry {
    let name = known.name().as_bytes();
    assert!(name.len() < NAME_END, "a known name and its delimiters fit half a block");
    let mut entry = EMPTY;
    let before = NAME_END - name.len() - 1;
    (entry.text[before], entry.mask[before]) = (b'\n', 0xff);
    let mut at = 0;
    while at < name.len() {
        let byte = name[at];
        assert!(
            byte.is_ascii_lowercase() || byte == b'-',
            "they are lower case letters and hyphens"
        );
        entry.text[before + 1 + at] = byte;
        entry.mask[before + 1 + at] = if byte == b'-' { 0xff } else { !0x20 };
        at += 1;
    }
    entry
}

/// The names by slot.
static NAMES: [FieldName; 1 << SLOT_BITS] = {
    let mut names = [FieldName::Other; 1 << SLOT_BITS];
    let mut at = 1;
    while at < FieldName::ALL.len() {
        let name = FieldName::ALL[at].name().as_bytes();
        let slot = slot(last_four(name), name.len());
        assert!(names[slot] as u8 == 0, "two known names share a slot: find another SPREAD");
        names[slot] = FieldName::ALL[at];
        at += 1;
    }
    names
};

/// What they are compared with.
static ENTRIES: [Entry; 1 << SLOT_BITS] = {
    let mut entries = [EMPTY; 1 << SLOT_BITS];
    let mut slot = 0;
    while slot < entries.len() {
        if NAMES[slot] as u8 != 0 {
            entries[slot] = entry(NAMES[slot]);
        }
        slot += 1;
    }
    entries
};

const _: () = assert!(FieldName::ALL.len() <= 64, "a set of known names is 64 bits");

impl FieldName {
    /// The names below this number (`Host`, `Connection`, `Content-Length`) are needed for nearly
    /// every request: a head keeps their values.
    pub(crate) const WITH_VALUE: usize = FieldName::ContentLength as usize + 1;

    /// The number of a field name, case-insensitively.
    pub fn of(name: &[u8]) -> FieldName {
        let known = NAMES[slot(last_four(name), name.len())];
        if known.name().as_bytes().eq_ignore_ascii_case(name) { known } else { FieldName::Other }
    }

    /// The number of the name of `len` bytes, at least one, all of class TOKEN, that begins a line;
    /// `window` ends with that name, a colon and a space.
    #[inline(always)]
    pub(crate) fn find<S: Scanner>(scanner: S, window: &Half, len: usize) -> FieldName {
        let [.., a, b, c, d, _, _] = *window;
        let slot = slot([a, b, c, d], len);
        let Entry { text, mask } = &ENTRIES[slot];
        if scanner.is_same(window, text, mask) { NAMES[slot] } else { FieldName::Other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for &known in &FieldName::ALL[1..] {
            let name = known.name();
            assert_eq!(FieldName::of(name.as_bytes()), known);
            assert_eq!(FieldName::of(name.to_ascii_uppercase().as_bytes()), known);
            assert!(FieldNames::of(&[known]).contains(known));
        }
    }

    #[test]
    fn nothing_else_is_found() {
        for &known in &FieldName::ALL[1..] {
            let name = known.name().as_bytes();
            for at in 0..name.len() {
                for byte in 0..=255u8 {
                    let mut other = name.to_vec();
                    other[at] = byte;
                    let same = other.eq_ignore_ascii_case(name);
                    let found = FieldName::of(&other);
                    assert!(same == (found == known), "{}", other.escape_ascii());
                    assert!(
                        found.name().as_bytes().eq_ignore_ascii_case(&other)
                            || found == FieldName::Other
                    );
                }
            }
            assert_eq!(FieldName::of(&[name, b"x"].concat()), FieldName::Other);
        }
        assert_eq!(FieldName::of(b""), FieldName::Other);
        assert_eq!(FieldName::of(&[b'a'; 40]), FieldName::Other);
    }

    #[test]
    fn sets_intersect_by_one_and() {
        let set = FieldNames::of(&[FieldName::Range, FieldName::IfRange]);
        assert!(set.intersects(FieldNames::of(&[FieldName::IfRange])));
        assert!(!set.intersects(FieldNames::of(&[FieldName::Host, FieldName::Other])));
        assert!(FieldNames::EMPTY.is_empty());
    }
}
