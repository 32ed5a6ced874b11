//! Finds a row by its hash: an open-addressed table of row numbers.
//!
//! Keys are hashes already, so their lower bits are the place and nothing is hashed again. (The upper bits would
//! crowd: footers and checkpoints come in the order of their hashes, so half a file would fill one half of the table.)
//! The rows themselves are the caller's: this holds four bytes for each, and at least as many empty places. Nothing is
//! ever taken out.

/// Row numbers by hash.
#[derive(Clone, Debug)]
pub struct HashSlots {
    /// A power of two of them; [`EMPTY`] or a row's number.
    slots: Vec<u32>,
    filled: usize,
}

/// The most rows that a table can tell apart.
pub const MOST_ROWS: usize = 1 << 31;

/// Where the rows of one entity were found last. It is only a guess: rows are numbered anew in each segment and each
/// process, so whoever follows it compares the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowGuess {
    /// In the table of entities.
    pub(super) table: u32,
    /// In the index of the segment that grows.
    pub(super) segment: u32,
}

impl Default for RowGuess {
    fn default() -> Self {
        RowGuess { table: NOWHERE, segment: NOWHERE }
    }
}

/// No row has this number: a table ends at [`MOST_ROWS`].
const NOWHERE: u32 = u32::MAX;
const EMPTY: u32 = u32::MAX;
const FEWEST_SLOTS: usize = 16;

impl HashSlots {
    /// A table that takes so many rows before it grows.
    pub fn with_rows(rows: usize) -> Self {
        let slots = rows.min(MOST_ROWS).saturating_mul(2).next_power_of_two();
        HashSlots { slots: vec![EMPTY; slots.max(FEWEST_SLOTS)], filled: 0 }
    }

    /// The row with this hash; `hash_of` gives the hash of a row that is here.
    #[inline]
    pub fn find(&self, hash: u64, hash_of: impl Fn(u32) -> u64) -> Option<u32> {
        let slot = self.slots[self.place_of(hash, hash_of)];
        (slot != EMPTY).then_some(slot)
    }

    /// As [`HashSlots::find`]; the row at `guess` is looked at first, and with luck no slot is.
    #[inline]
    pub fn find_near(
        &self,
        guess: u32,
        hash: u64,
        hash_of: impl Fn(u32) -> Option<u64>,
    ) -> Option<u32> {
        if hash_of(guess) == Some(hash) {
            return Some(guess);
        }
        // Slots hold numbers of rows that are there, so the complement is never asked for.
        self.find(hash, |row| hash_of(row).unwrap_or(!hash))
    }

    /// Puts a row in whose hash is not here yet. The caller keeps the number of rows within [`MOST_ROWS`].
    #[inline]
    pub fn insert(&mut self, hash: u64, row: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.filled + 1) * 2 > self.slots.len() {
            self.grow(&hash_of);
        }
        self.put(hash, row);
    }

    /// Rows that stand in other places need not be looked at: none has this hash.
    fn put(&mut self, hash: u64, row: u32) {
        let place = self.place_of(hash, |_| !hash);
        self.slots[place] = row;
        self.filled += 1;
    }

    /// Where the hash stands or is to be put: there is always an empty place, so this ends.
    #[inline]
    fn place_of(&self, hash: u64, hash_of: impl Fn(u32) -> u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let slot = self.slots[place];
            if slot == EMPTY || hash_of(slot) == hash {
                return place;
            }
            place = (place + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self, hash_of: &impl Fn(u32) -> u64) {
        let rows = self.slots.len();
        let old = std::mem::replace(self, HashSlots::with_rows(rows));
        for row in old.slots.into_iter().filter(|row| *row != EMPTY) {
            self.put(hash_of(row), row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_and_no_other_however_the_hashes_crowd() {
        // The first half shares its lower bits, so that all of it competes for a few places.
        let mut random = fastrand::Rng::with_seed(1);
        let hashes: Vec<u64> =
            (0..2_000).map(|n| if n < 1_000 { n << 32 } else { random.u64(..) }).collect();
        let mut slots = HashSlots::with_rows(0);
        for (row, hash) in hashes.iter().enumerate() {
            let hash_of = |row: u32| hashes[row as usize];
            assert_eq!(slots.find(*hash, hash_of), None);
            slots.insert(*hash, row as u32, hash_of);
        }
        for (row, hash) in hashes.iter().enumerate() {
            assert_eq!(slots.find(*hash, |row| hashes[row as usize]), Some(row as u32));
        }
    }

    #[test]
    fn a_wrong_guess_finds_the_same_row_as_none() {
        let hashes = [11_u64, 27, 43];
        let hash_of = |row: u32| hashes.get(row as usize).copied();
        let mut slots = HashSlots::with_rows(0);
        for (row, hash) in hashes.iter().enumerate() {
            slots.insert(*hash, row as u32, |row| hashes[row as usize]);
        }
        for guess in [0, 1, 2, 3, NOWHERE] {
            let found = hashes.map(|hash| slots.find_near(guess, hash, hash_of));
            assert_eq!(found, [Some(0), Some(1), Some(2)], "guess {guess}");
            assert_eq!(slots.find_near(guess, 59, hash_of), None, "guess {guess}");
        }
    }
}
