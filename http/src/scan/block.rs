//! Blocks: the bytes of a head as bits, 32 or 64 at a time.
//!
//! Searching for one delimiter after another costs the latency of a search each. So a block is
//! classified as a whole, into one bit per byte, and the parser walks from bit to bit:
//!
//! ```text
//! block      a  c  c  e  p  t  :     *  /  *  ␍  ␊  …
//! not token  0  0  0  0  0  0  1  1  0  1  0  1  1        the name ends at the lowest of these,
//! not value  0  0  0  0  0  0  0  0  0  0  0  1  1        the value at the lowest from there on
//! ```
//!
//! A [`Scanner`] classifies; there is one for each set of instructions. All give the same result,
//! byte for byte: the tests of [`scan`](super) compare them with the table. A [`Cursor`] walks:
//! forward only, and each byte is in one block.
//!
//! Anything beyond the last byte counts as NUL, which is in no class. So every run has an end: at
//! `bytes.len()` when the bytes have run out.

use super::dispatch::Task;
use super::{PATH, PLAIN_HOST, QUERY, TOKEN, VALUE, class_end};

/// Bits of a mask.
pub(crate) const BLOCK_BYTES_MAX: usize = 64;

/// Half a block, which ends with a field name.
pub(crate) type Half = [u8; HALF_BYTES];
pub(crate) const HALF_BYTES: usize = 32;

/// Classifies blocks. A value of such a type exists only where the processor supports it.
pub(crate) trait Scanner: Copy {
    /// The bytes that are classified in one go, in registers where they fit.
    type Block: Copy;

    /// How many: at most [`BLOCK_BYTES_MAX`].
    const BLOCK_BYTES: usize;

    /// The block at `at`.
    fn load(self, bytes: &[u8], at: usize) -> Self::Block;

    /// The bytes that are not of that class, bit n for byte n of the block.
    fn outside<const CLASS: u8>(self, block: Self::Block) -> u64;

    /// Whether `half` and `text` have the same bits where `mask` has ones.
    fn is_same(self, half: &Half, text: &Half, mask: &Half) -> bool;

    /// Runs `task` in a function of its own, compiled for this scanner.
    fn enter<T: Task>(self, task: T) -> T::Output;
}

/// A walk over the lines of a head, from a place in it on.
///
/// Where a line ends follows from the bits of `not_value` alone, by clearing the lowest again and
/// again, and not from where its name ends: so the processor, which speculates far ahead, need not
/// wait for one line to be parsed before it begins with the next.
#[derive(Copy, Clone)]
pub(crate) struct Cursor<'a, S> {
    scanner: S,
    bytes: &'a [u8],
    /// Where the block begins that the other fields describe.
    base: usize,
    not_token: u64,
    /// Those of its bytes that have not been passed.
    not_value: u64,
}

impl<'a, S: Scanner> Cursor<'a, S> {
    #[inline(always)]
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline(always)]
    pub(super) fn scanner(&self) -> S {
        self.scanner
    }

    /// From `at` on.
    #[inline(always)]
    pub(crate) fn new(scanner: S, bytes: &'a [u8], at: usize) -> Self {
        let block = scanner.load(bytes, at);
        Self::in_block(scanner, bytes, at, block)
    }

    #[inline(always)]
    fn in_block(scanner: S, bytes: &'a [u8], base: usize, block: S::Block) -> Self {
        let not_token = scanner.outside::<TOKEN>(block);
        Cursor { scanner, bytes, base, not_token, not_value: scanner.outside::<VALUE>(block) }
    }

    /// Continues after a line of values only that ends before `at`, in CRLF. Returns `at`, mostly
    /// without having waited for it.
    #[inline(always)]
    pub(crate) fn pass_line(&mut self, at: usize) -> usize {
        let behind = self.base + self.not_value.trailing_zeros() as usize + 2;
        if behind != at {
            *self = Self::new(self.scanner, self.bytes, at);
            return at;
        }
        self.pass();
        behind
    }

    /// Two bits: CR and LF. When they are not those, or LF is in the next block, the walk ends
    /// here.
    #[inline(always)]
    fn pass(&mut self) {
        self.not_value &= self.not_value.wrapping_sub(1);
        self.not_value &= self.not_value.wrapping_sub(1);
    }

    /// Where the field name that begins at `from` ends: the first byte that is not of class TOKEN.
    /// `from` is not before the last query.
    #[inline(always)]
    pub(crate) fn name_end(&mut self, from: usize) -> usize {
        self.find(from, |cursor| cursor.not_token)
    }

    /// Where the field content that begins at `from` ends: the first byte that is not of class
    /// VALUE. `from` is not before the last query.
    #[inline(always)]
    pub(crate) fn value_end(&mut self, from: usize) -> usize {
        self.find(from, |cursor| cursor.not_value)
    }

    #[inline(always)]
    fn find(&mut self, mut from: usize, ends: impl Fn(&Self) -> u64) -> usize {
        loop {
            let offset = from - self.base;
            if offset < S::BLOCK_BYTES {
                let ends = ends(self) >> offset;
                if ends != 0 {
                    return from + ends.trailing_zeros() as usize;
                }
                from = self.base + S::BLOCK_BYTES;
            }
            *self = Self::new(self.scanner, self.bytes, from);
        }
    }

    /// The same as [`value_end`](Cursor::value_end) after a name that was found to end in a colon,
    /// when all lines before it have been passed. This one is passed, too.
    #[inline(always)]
    pub(crate) fn line_end(&mut self) -> usize {
        // Values are long: no name is searched for before this one has ended.
        while self.not_value == 0 {
            self.base += S::BLOCK_BYTES;
            let block = self.scanner.load(self.bytes, self.base);
            self.not_value = self.scanner.outside::<VALUE>(block);
            if self.not_value != 0 {
                self.not_token = self.scanner.outside::<TOKEN>(block);
            }
        }
        let end = self.base + self.not_value.trailing_zeros() as usize;
        self.pass();
        end
    }
}

/// What the request line and `Host` need to know of the first block, which mostly contains them.
pub(crate) struct Start<'a, S> {
    scanner: S,
    bytes: &'a [u8],
    not_path: u64,
    not_plain_host: u64,
}

impl<'a, S: Scanner> Start<'a, S> {
    /// With a walk over the lines: they share the block.
    #[inline(always)]
    pub(crate) fn new(scanner: S, bytes: &'a [u8]) -> (Self, Cursor<'a, S>) {
        let block = scanner.load(bytes, 0);
        let not_path = scanner.outside::<PATH>(block);
        let not_plain_host = scanner.outside::<PLAIN_HOST>(block);
        let cursor = Cursor::in_block(scanner, bytes, 0, block);
        (Start { scanner, bytes, not_path, not_plain_host }, cursor)
    }

    #[inline(always)]
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the query that continues at `from` ends, with a byte that no path contains.
    #[cold]
    pub(crate) fn query_end(&self, from: usize) -> usize {
        class_end(self.bytes, from, QUERY)
    }

    /// Where the path that begins at `from` ends: the first byte that is not of class PATH.
    #[inline(always)]
    pub(crate) fn path_end(&self, from: usize) -> usize {
        let ends = self.not_path.checked_shr(from as u32).unwrap_or(0);
        if ends != 0 {
            return from + ends.trailing_zeros() as usize;
        }
        self.scanner.enter(LongPath { bytes: self.bytes, from: from.max(S::BLOCK_BYTES) })
    }

    /// Whether the `len` bytes at `start` are a host of letters, digits, dots and hyphens with an
    /// optional port: what nearly every `Host` is. `false` decides nothing: check in full.
    #[inline(always)]
    pub(crate) fn is_plain_host(&self, start: usize, len: usize) -> bool {
        let odd = match self.not_plain_host.checked_shr(start as u32) {
            Some(odd) if start + len <= S::BLOCK_BYTES => odd,
            _ => self.late_host(start, len),
        };
        let first_odd = odd.trailing_zeros() as usize;
        if first_odd >= len {
            // In a block of plain bytes, the rest has not been checked.
            return len != 0 && len <= S::BLOCK_BYTES;
        }
        let port = self.bytes.get(start + first_odd..start + len);
        first_odd != 0 && port.is_some_and(is_colon_port)
    }

    /// The bytes at which a host beyond the first block is not plain.
    #[inline(always)]
    fn late_host(&self, start: usize, len: usize) -> u64 {
        let bytes = self.bytes.get(..start + len).unwrap_or(&[]);
        self.scanner.outside::<PLAIN_HOST>(self.scanner.load(bytes, start))
    }
}

/// `":" *DIGIT`
#[inline(always)]
fn is_colon_port(text: &[u8]) -> bool {
    let [b':', digits @ ..] = text else { return false };
    digits.iter().all(u8::is_ascii_digit)
}

/// A path beyond the first block.
struct LongPath<'a> {
    bytes: &'a [u8],
    from: usize,
}

impl Task for LongPath<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Scanner>(self, scanner: S) -> usize {
        let LongPath { bytes, mut from } = self;
        loop {
            let ends = scanner.outside::<PATH>(scanner.load(bytes, from));
            if ends != 0 {
                return from + ends.trailing_zeros() as usize;
            }
            from += S::BLOCK_BYTES;
        }
    }
}

/// A block for scanners that classify sixteen bytes at a time, or fewer: a copy, zeros after the
/// end.
pub(super) fn copied(bytes: &[u8], at: usize) -> [u8; BLOCK_BYTES_MAX] {
    count_examined(bytes, at, BLOCK_BYTES_MAX);
    let rest = bytes.get(at..).unwrap_or(&[]);
    if let Some(block) = rest.first_chunk() {
        return *block;
    }
    let mut block = [0; BLOCK_BYTES_MAX];
    block[..rest.len()].copy_from_slice(rest);
    block
}

#[cfg(test)]
thread_local! {
    /// Bytes that scanners and loops have read.
    pub(crate) static EXAMINED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts the bytes that a block at `at` reads.
#[inline(always)]
pub(super) fn count_examined(_bytes: &[u8], _at: usize, _block: usize) {
    #[cfg(test)]
    add_examined(_bytes.len().saturating_sub(_at).min(_block));
}

/// Counts bytes that a loop has read.
#[inline(always)]
pub(crate) fn add_examined(_count: usize) {
    #[cfg(test)]
    EXAMINED.set(EXAMINED.get() + _count);
}
