//! The name under which a source is known to the poller: a slot and its generation.
//!
//! A descriptor is closed and its number reused by the next `accept` while events for the old one
//! are still in the batch that `epoll_wait(2)` returned. A token therefore carries a generation:
//! the slot's counter is incremented when the slot is released, and an event whose generation is
//! not the slot's present one is dropped.
//!
//! ```text
//!  63            32 31             0
//! +----------------+----------------+
//! |   generation   |      slot      |
//! +----------------+----------------+
//! ```

use std::fmt;

/// Slot (an index) and generation (how often that slot was released before).
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Token(u64);

impl Token {
    /// Joins a slot and a generation.
    pub const fn new(slot: u32, generation: u32) -> Self {
        Token((generation as u64) << 32 | slot as u64)
    }

    /// The slot: an index into the tables kept beside the loop.
    pub const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// The generation of the source in the slot.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The 64 bits that pass through the kernel (`epoll_data`, `udata`).
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The inverse of [`Token::to_u64`].
    pub const fn from_u64(bits: u64) -> Self {
        Token(bits)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}#{})", self.slot(), self.generation())
    }
}
