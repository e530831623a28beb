//! Values by [`Token`]: the `slab` crate's table, with a generation for every slot.
//!
//! A slab reuses the index of a removed value at once; code that still holds the index then reaches
//! an unrelated value. Here each slot counts its values, and a [`Token`] opens a slot only for the
//! value it was made for:
//!
//! ```text
//!  insert A -> Token(3#0)     remove A        insert B -> Token(3#1)     get(3#0) -> None
//!  slot 3: [A] generation 0   [ ] gen. 1      [B] generation 1           get(3#1) -> B
//! ```
//!
//! Not guaranteed: a generation has 32 bits. A token that is kept while its slot is reused exactly
//! 2^32 times is valid again. Event batches live for microseconds, so no event can.

use crate::sys::room_for;
use crate::token::Token;
use slab::Slab;
use std::io;

/// The same as what `slab` keeps for each slot.
#[allow(dead_code)]
enum Entry<T> {
    Vacant(usize),
    Occupied(T),
}

/// A slab whose keys die with their value.
///
/// Inserting, removing and looking up are O(1). Nothing is allocated while the table holds no more
/// than the number of values it was made for. Above the value itself a slot costs four bytes for
/// the generation and, where the value has no niche, the slab's tag.
#[derive(Debug)]
pub struct Table<T> {
    slots: Slab<T>,
    /// The generation of each slot's present value; of the next one while the slot is vacant. As
    /// long as the greatest number of slots ever in use together.
    generations: Vec<u32>,
}

impl<T> Table<T> {
    /// A table that holds `capacity` values without allocating again.
    ///
    /// # Panics
    ///
    /// If there is no memory for that many: see [`Table::try_with_capacity`].
    pub fn with_capacity(capacity: usize) -> Self {
        Table::try_with_capacity(capacity).expect("a table of this capacity fits no memory")
    }

    /// The same.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub fn try_with_capacity(capacity: usize) -> io::Result<Self> {
        let generations = room_for(capacity)?;
        // A slab has no fallible constructor, and ends the process: so ask for as much first.
        drop(room_for::<Entry<T>>(capacity)?);
        Ok(Table { slots: Slab::with_capacity(capacity), generations })
    }

    /// Stores `value` in a free slot.
    pub fn insert(&mut self, value: T) -> Token {
        let slot = self.slots.insert(value);
        if slot == self.generations.len() {
            self.generations.push(0);
        }
        let number = u32::try_from(slot).expect("a table has fewer than 2^32 slots");
        Token::new(number, self.generations[slot])
    }

    /// Whether the value that `token` was made for is still there.
    #[inline]
    pub fn contains(&self, token: Token) -> bool {
        let slot = token.slot() as usize;
        // The second condition only matters for tokens that no table has handed out.
        self.generations.get(slot) == Some(&token.generation()) && self.slots.contains(slot)
    }

    /// The value that `token` was made for, unless it was removed.
    #[inline]
    pub fn get(&self, token: Token) -> Option<&T> {
        let slot = token.slot() as usize;
        if self.generations.get(slot) != Some(&token.generation()) {
            return None;
        }
        self.slots.get(slot)
    }

    /// As [`Table::get`], to change the value.
    #[inline(always)]
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let slot = token.slot() as usize;
        if self.generations.get(slot) != Some(&token.generation()) {
            return None;
        }
        self.slots.get_mut(slot)
    }

    /// The token of the slot's present value.
    #[inline]
    pub fn token_at(&self, slot: u32) -> Option<Token> {
        let generation = *self.generations.get(slot as usize)?;
        self.slots.contains(slot as usize).then(|| Token::new(slot, generation))
    }

    /// Removes and returns the value. From here on every copy of `token` is dead.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        if !self.contains(token) {
            return None;
        }
        let slot = token.slot() as usize;
        self.generations[slot] = self.generations[slot].wrapping_add(1);
        self.slots.try_remove(slot)
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many values fit without allocating.
    pub fn capacity(&self) -> usize {
        self.slots.capacity().min(self.generations.capacity())
    }

    /// All values with their tokens, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        let generations = &self.generations;
        self.slots.iter().map(|(slot, value)| (Token::new(slot as u32, generations[slot]), value))
    }

    /// As [`Table::iter`], to change the values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut T)> {
        let generations = &self.generations;
        let with_token = |(slot, value)| (Token::new(slot as u32, generations[slot]), value);
        self.slots.iter_mut().map(with_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_reused_slot_rejects_the_previous_values_token() {
        let mut table = Table::with_capacity(1);
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(second.slot(), first.slot());
        assert_eq!(table.get(first), None);
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&"second"));
    }

    #[test]
    fn a_token_that_no_table_handed_out_opens_nothing() {
        let mut table = Table::with_capacity(1);
        assert!(!table.contains(Token::new(0, 0)));
        assert!(!table.contains(Token::from_u64(u64::MAX)));
        let token = table.insert(());
        table.remove(token);
        // The vacant slot's next generation, guessed before it was handed out.
        assert_eq!(table.remove(Token::new(token.slot(), token.generation() + 1)), None);
    }

    #[test]
    fn iterating_gives_the_tokens_that_open_the_slots() {
        let mut table = Table::with_capacity(3);
        let tokens = ["a", "b", "c"].map(|name| table.insert(name));
        table.remove(tokens[1]);
        let again = table.insert("d");
        let seen: Vec<_> = table.iter().map(|(token, name)| (token, *name)).collect();
        assert_eq!(seen, [(tokens[0], "a"), (again, "d"), (tokens[2], "c")]);
        assert_eq!(table.token_at(again.slot()), Some(again));
        assert_eq!(table.token_at(3), None);
        table.iter_mut().for_each(|(_, name)| *name = "x");
        assert_eq!(table.get(again), Some(&"x"));
    }

    #[test]
    fn capacity_suffices_for_that_many_and_reuse_does_not_grow_it() {
        let mut table = Table::with_capacity(8);
        let capacity = table.capacity();
        for _ in 0..100 {
            let tokens: Vec<_> = (0..8).map(|n| table.insert(n)).collect();
            assert!(tokens.into_iter().all(|token| table.remove(token).is_some()));
        }
        assert!(table.is_empty());
        assert_eq!(table.capacity(), capacity);
    }

    proptest! {
        /// A hash map over all tokens ever seen is the naive table without reuse.
        #[test]
        fn behaves_as_a_map_that_never_reuses_a_key(
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..200),
        ) {
            let mut table = Table::with_capacity(4);
            let mut oracle = HashMap::new();
            let mut seen: Vec<Token> = Vec::new();
            for (step, (insert, pick)) in steps.into_iter().enumerate() {
                if insert || seen.is_empty() {
                    let token = table.insert(step);
                    prop_assert!(!seen.contains(&token));
                    oracle.insert(token, step);
                    seen.push(token);
                } else {
                    let token = seen[pick.index(seen.len())];
                    prop_assert_eq!(table.remove(token), oracle.remove(&token));
                }
                prop_assert_eq!(table.len(), oracle.len());
                for token in &seen {
                    prop_assert_eq!(table.get(*token), oracle.get(token));
                    prop_assert_eq!(table.contains(*token), oracle.contains_key(token));
                }
            }
        }
    }
}
