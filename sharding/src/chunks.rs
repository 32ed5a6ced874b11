//! Rows with numbers that never move: a list that grows without copying what it has.
//!
//! A row's number is its place for ever, so other tables may refer to it by four bytes. One more row costs at most the
//! allocation of a chunk, however many there are; nothing is given back before the whole is dropped.

const CHUNK_BITS: u32 = 10;
const CHUNK_ROWS: usize = 1 << CHUNK_BITS;

/// Rows by number.
#[derive(Debug)]
pub(crate) struct Chunks<R> {
    /// All but the last are full.
    chunks: Vec<Vec<R>>,
}

impl<R> Chunks<R> {
    /// None yet, and no memory.
    pub(crate) fn new() -> Self {
        Chunks { chunks: Vec::new() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        match self.chunks.split_last() {
            Some((last, full)) => (full.len() * CHUNK_ROWS + last.len()) as u32,
            None => 0,
        }
    }

    /// One more row, and its number.
    pub(crate) fn push(&mut self, row: R) -> u32 {
        let number = self.len();
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_ROWS => last.push(row),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_ROWS);
                chunk.push(row);
                self.chunks.push(chunk);
            }
        }
        number
    }

    /// The row with this number, if it was ever given out.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&R> {
        self.chunks.get((number >> CHUNK_BITS) as usize)?.get(number as usize % CHUNK_ROWS)
    }

    /// As [`get`](Self::get), to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut R> {
        self.chunks.get_mut((number >> CHUNK_BITS) as usize)?.get_mut(number as usize % CHUNK_ROWS)
    }
}

impl<R> std::ops::Index<u32> for Chunks<R> {
    type Output = R;

    #[inline]
    fn index(&self, number: u32) -> &R {
        &self.chunks[(number >> CHUNK_BITS) as usize][number as usize % CHUNK_ROWS]
    }
}

impl<R> std::ops::IndexMut<u32> for Chunks<R> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut R {
        &mut self.chunks[(number >> CHUNK_BITS) as usize][number as usize % CHUNK_ROWS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_numbers_across_chunks() {
        let mut rows = Chunks::new();
        assert_eq!(rows.get(0), None);
        for n in 0..2 * CHUNK_ROWS as u32 + 3 {
            assert_eq!(rows.push(n * 7), n);
        }
        rows[CHUNK_ROWS as u32] = 1;
        assert_eq!(rows.len(), 2 * CHUNK_ROWS as u32 + 3);
        assert_eq!((rows[0], rows[CHUNK_ROWS as u32], rows[1_025]), (0, 1, 7_175));
        assert_eq!(rows.get(rows.len()), None);
    }
}
