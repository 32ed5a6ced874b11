//! Finds a row by the hash of its id: open-addressed tables of one page each, under a directory of the hash's upper
//! bits.
//!
//! This is extendible hashing (Fagin, Nievergelt, Pippenger, Strong, "Extendible hashing: a fast access method for
//! dynamic files", ACM TODS 4(3), 1979) with a table of 512 places as the bucket. A table that is three quarters full
//! is split in two, and that is all that an insertion may have to do beside its own: no insertion moves more than one
//! table's entries, however many there are. (Once for each doubling the directory is copied, four bytes for a table.)
//!
//! A place holds 40 bits of the hash beside the number of the row, so that rows of other ids are looked at once in a
//! million times. The lowest bits of the hash are not used at all: a core has the ids of some shards only, and these
//! bits are the same for all ids of a shard. Ids that agree in so many bits that splitting does not part them are
//! refused. Tables are never joined again: memory stays what the most entities needed.

const TABLE_BITS: u32 = 9;
const TABLE_PLACES: usize = 1 << TABLE_BITS;
/// A table with so many is split. Linear probing looks at 2.5 places then for an id that is there, at 8.5 for another.
const TABLE_MOST: u32 = (TABLE_PLACES / 4 * 3) as u32;
const ROW_BITS: u32 = 24;
const ROW_MASK: u64 = (1 << ROW_BITS) - 1;
/// The directory may double so often beyond what is needed when the hashes are as even as can be.
const SPARE_DEPTH: u32 = 4;

/// The most rows that can be told apart: a place counts them from one.
pub(super) const MOST_ROWS: u32 = ROW_MASK as u32;

/// Row numbers by hash.
#[derive(Debug)]
pub(super) struct IdIndex {
    /// A table's number for each value of the upper `depth` bits.
    directory: Vec<u32>,
    depth: u32,
    most_depth: u32,
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    /// Zero, or the upper 40 bits of a hash and one more than the row's number.
    places: Box<[u64; TABLE_PLACES]>,
    filled: u32,
    /// All hashes in here agree in so many upper bits.
    depth: u32,
}

/// More ids agree in their upper bits than one table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl IdIndex {
    /// For at most so many rows.
    pub(super) fn for_rows(most: u32) -> Self {
        let tables = most.div_ceil(TABLE_MOST).next_power_of_two();
        IdIndex {
            directory: vec![0],
            depth: 0,
            most_depth: tables.ilog2() + SPARE_DEPTH,
            tables: vec![Table::empty(0)],
        }
    }

    /// What `look` finds in the first row with this hash in which it finds something.
    #[inline(always)]
    pub(super) fn find<R>(&self, hash: u64, look: impl Fn(u32) -> Option<R>) -> Option<R> {
        let places = &self.tables[self.table_of(hash)].places;
        let mut place = home_of(hash);
        loop {
            let content = places[place];
            if content == 0 {
                return None;
            }
            if (content ^ hash) >> ROW_BITS == 0
                && let Some(found) = look(row_of(content))
            {
                return Some(found);
            }
            place = (place + 1) % TABLE_PLACES;
        }
    }

    /// Puts a row in that is not here. The row's number is below [`MOST_ROWS`].
    pub(super) fn insert(&mut self, hash: u64, row: u32) -> Result<(), Crowded> {
        let mut table = self.table_of(hash);
        while self.tables[table].filled >= TABLE_MOST {
            self.split(table, hash)?;
            table = self.table_of(hash);
        }
        self.tables[table].put(hash & !ROW_MASK | u64::from(row + 1));
        Ok(())
    }

    /// Takes a row out that was put in with this hash.
    pub(super) fn remove(&mut self, hash: u64, row: u32) {
        let table = self.table_of(hash);
        self.tables[table].take(hash & !ROW_MASK | u64::from(row + 1));
    }

    #[inline]
    fn table_of(&self, hash: u64) -> usize {
        // In two steps, because a shift by 64 is none.
        self.directory[(hash >> 1 >> (63 - self.depth)) as usize] as usize
    }

    #[cold]
    fn split(&mut self, table: usize, hash: u64) -> Result<(), Crowded> {
        let depth = self.tables[table].depth;
        if depth == self.depth {
            if depth == self.most_depth {
                return Err(Crowded);
            }
            self.directory = self.directory.iter().flat_map(|table| [*table; 2]).collect();
            self.depth += 1;
        }
        let upper = Table::empty(depth + 1);
        let whole = std::mem::replace(&mut self.tables[table], Table::empty(depth + 1));
        let number = self.tables.len();
        self.tables.push(upper);
        for content in whole.places.iter().filter(|content| **content != 0) {
            let is_upper = content >> (63 - depth) & 1 == 1;
            self.tables[if is_upper { number } else { table }].put(*content);
        }
        let first_upper = (hash >> 1 >> (63 - depth)) << 1 | 1;
        let width = self.depth - depth - 1;
        let (from, to) = (first_upper << width, (first_upper + 1) << width);
        self.directory[from as usize..to as usize].fill(number as u32);
        Ok(())
    }
}

impl Table {
    fn empty(depth: u32) -> Self {
        Table { places: Box::new([0; TABLE_PLACES]), filled: 0, depth }
    }

    fn put(&mut self, content: u64) {
        let mut place = home_of(content);
        while self.places[place] != 0 {
            place = (place + 1) % TABLE_PLACES;
        }
        self.places[place] = content;
        self.filled += 1;
    }

    /// What follows is moved up, so that no search ends too early (Knuth, volume 3, 6.4, algorithm R).
    fn take(&mut self, content: u64) {
        let mut hole = home_of(content);
        while self.places[hole] != content {
            if self.places[hole] == 0 {
                return;
            }
            hole = (hole + 1) % TABLE_PLACES;
        }
        let mut place = hole;
        loop {
            place = (place + 1) % TABLE_PLACES;
            let follower = self.places[place];
            if follower == 0 {
                break;
            }
            let distance = |from: usize| place.wrapping_sub(from) % TABLE_PLACES;
            if distance(home_of(follower)) >= distance(hole) {
                self.places[hole] = follower;
                hole = place;
            }
        }
        self.places[hole] = 0;
        self.filled -= 1;
    }
}

/// The place that a hash asks for first. The bits are in a place's content too.
#[inline]
fn home_of(hash: u64) -> usize {
    (hash >> ROW_BITS) as usize % TABLE_PLACES
}

#[inline]
fn row_of(content: u64) -> u32 {
    (content & ROW_MASK) as u32 - 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Hashes of which many share their first places, and many their directory entry.
    fn crowding_hash(random: &mut fastrand::Rng) -> u64 {
        match random.u8(0..3) {
            0 => random.u64(..) & !(0x1FF << ROW_BITS),
            1 => random.u64(..) >> 6,
            _ => random.u64(..),
        }
    }

    fn is(wanted: u32) -> impl Fn(u32) -> Option<u32> {
        move |row| (row == wanted).then_some(row)
    }

    #[test]
    fn every_row_is_found_until_it_is_taken_out_however_the_hashes_crowd() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut index = IdIndex::for_rows(10_000);
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        for step in 0..60_000_u32 {
            let row = random.u32(0..6_000);
            if let Some(hash) = model.remove(&row) {
                assert_eq!(index.find(hash, is(row)), Some(row), "step {step}");
                index.remove(hash, row);
                assert_eq!(index.find(hash, is(row)), None, "step {step}");
            } else {
                let hash = crowding_hash(&mut random);
                index.insert(hash, row).unwrap();
                model.insert(row, hash);
            }
        }
        for (row, hash) in &model {
            assert_eq!(index.find(*hash, is(*row)), Some(*row));
        }
        let filled: u32 = index.tables.iter().map(|table| table.filled).sum();
        assert_eq!(filled as usize, model.len());
        assert!(index.depth > 3, "it was never split: {}", index.depth);
    }

    #[test]
    fn equal_hashes_are_refused_when_a_table_is_full_of_them_and_the_others_go_on() {
        let mut index = IdIndex::for_rows(10_000);
        let refused = (0..TABLE_MOST + 1).find(|row| index.insert(!0, *row).is_err());
        assert_eq!(refused, Some(TABLE_MOST));
        assert_eq!(index.find(!0, is(100)), Some(100));
        assert_eq!(index.insert(1 << 60, 1_000), Ok(()));
        assert!(index.directory.len() <= 1 << 9, "the directory stays bounded");
    }
}
