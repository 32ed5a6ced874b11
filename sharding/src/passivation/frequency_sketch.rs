//! How often ids were used lately, whether they are held or not: a count-min sketch of four-bit counters.
//!
//! Each id has four counters in one cache line, and its frequency is the least of them, so it is never told too low,
//! and at most 15. (Cormode, Muthukrishnan, "An improved data stream summary: the count-min sketch and its
//! applications", Journal of Algorithms 55, 2005.) After ten uses for each entity of the limit all counters are
//! halved, so that what was popular is forgotten: the reset of the TinyLFU paper, 3.3. The halving goes on a few
//! lines at a time with the next uses, and a line that it has not reached is read as if it had.

/// Counters that fit in 64 bits.
const COUNTERS: u64 = 16;
/// The counters of one id are in four pairs of words, one in each.
const PAIRS: usize = 4;
const WORDS_A_LINE: usize = 2 * PAIRS;
const ENTITIES_A_LINE: usize = 16;
const MOST_COUNT: u64 = 15;
/// All counters of a word but for their highest bits, into which a neighbour's bit is shifted.
const HALVED: u64 = 0x7777_7777_7777_7777;
const USES_AN_ENTITY: u64 = 10;
const LINES_A_USE: usize = 8;

/// Counters for ids by their hash.
#[derive(Debug)]
pub(super) struct FrequencySketch {
    /// Zeroed by the kernel when they are first used, so that a large sketch is made at once.
    words: Vec<u64>,
    /// The first word that a cache line begins with.
    first: usize,
    /// A power of two.
    lines: usize,
    uses: u64,
    most_uses: u64,
    /// Lines below this are halved already; all of them when none is being halved.
    halved: usize,
}

impl FrequencySketch {
    /// For a limit of so many entities: eight to sixteen counters for each.
    pub(super) fn for_entities(at_most: u32) -> Self {
        let lines = (at_most as usize).next_power_of_two().div_ceil(ENTITIES_A_LINE);
        let words = vec![0; (lines + 1) * WORDS_A_LINE];
        let first = words.as_ptr().align_offset(WORDS_A_LINE * size_of::<u64>()).min(WORDS_A_LINE);
        let most_uses = USES_AN_ENTITY * u64::from(at_most);
        FrequencySketch { words, first, lines, uses: 0, most_uses, halved: lines }
    }

    /// Counts a use.
    #[inline]
    pub(super) fn count(&mut self, hash: u32) {
        let spread = spread(hash);
        let number = self.line_of(spread);
        // A line that is still to be halved takes two for one.
        let one = if number < self.halved { 1 } else { 2 };
        let line = self.line_mut(number);
        for pair in 0..PAIRS {
            let (word, shift) = counter_of(spread, pair);
            let count = line[word] >> shift & MOST_COUNT;
            line[word] += one.min(MOST_COUNT - count) << shift;
        }
        self.age();
    }

    /// How often an id was used lately, from 0 to 15.
    #[inline]
    pub(super) fn frequency(&self, hash: u32) -> u64 {
        let spread = spread(hash);
        let number = self.line_of(spread);
        let begin = self.first + number * WORDS_A_LINE;
        let line = &self.words[begin..begin + WORDS_A_LINE];
        let mut least = MOST_COUNT;
        for pair in 0..PAIRS {
            let (word, shift) = counter_of(spread, pair);
            least = least.min(line[word] >> shift & MOST_COUNT);
        }
        if number < self.halved { least } else { least / 2 }
    }

    fn age(&mut self) {
        let end = (self.halved + LINES_A_USE).min(self.lines);
        for number in self.halved..end {
            self.line_mut(number).iter_mut().for_each(|word| *word = *word >> 1 & HALVED);
        }
        self.halved = end;
        self.uses += 1;
        if self.uses >= self.most_uses {
            self.uses /= 2;
            self.halved = 0;
        }
    }

    fn line_of(&self, spread: u64) -> usize {
        (spread >> 32) as usize & (self.lines - 1)
    }

    fn line_mut(&mut self, number: usize) -> &mut [u64] {
        let begin = self.first + number * WORDS_A_LINE;
        &mut self.words[begin..begin + WORDS_A_LINE]
    }
}

/// Which word of its line a counter is in, and how far its bits are shifted.
fn counter_of(spread: u64, pair: usize) -> (usize, u64) {
    let bits = spread >> (8 * pair);
    (2 * pair + (bits & 1) as usize, (bits >> 1) % COUNTERS * 4)
}

/// All 64 bits depend on all 32: the finisher of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
fn spread(hash: u32) -> u64 {
    let mut bits = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_frequency_is_never_told_too_low_and_seldom_too_high() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut sketch = FrequencySketch::for_entities(1_000);
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        for _ in 0..sketch.most_uses - 1 {
            // Squared, so that some are used often.
            let hash = (random.u32(0..70) * random.u32(0..70)).wrapping_mul(0x9E37_79B9);
            sketch.count(hash);
            *model.entry(hash).or_default() += 1;
        }
        assert!(model.iter().all(|(hash, uses)| sketch.frequency(*hash) >= (*uses).min(15)));
        let exact =
            model.iter().filter(|(hash, uses)| sketch.frequency(**hash) == (**uses).min(15));
        assert!(exact.count() * 10 > model.len() * 8);
    }

    #[test]
    fn what_was_popular_is_forgotten_by_halves_all_at_once_to_the_reader() {
        let mut sketch = FrequencySketch::for_entities(4_096);
        let hashes: Vec<u32> = (0..100_u32).map(|n| n.wrapping_mul(0x85EB_CA6B)).collect();
        for hash in &hashes {
            (0..12).for_each(|_| sketch.count(*hash));
        }
        assert!(hashes.iter().all(|hash| sketch.frequency(*hash) == 12));
        sketch.uses = sketch.most_uses - 1;
        sketch.count(7);
        for _ in 0..100 {
            let halved = hashes.iter().filter(|hash| sketch.frequency(**hash) == 6).count();
            assert!(halved >= 99, "{halved} of 100 are halved, {} lines", sketch.halved);
            sketch.count(7);
        }
        assert_eq!(sketch.halved, sketch.lines);
    }

    #[test]
    fn a_use_counts_the_same_while_the_counters_are_being_halved() {
        let mut sketch = FrequencySketch::for_entities(65_536);
        sketch.halved = 0;
        for uses in 1..=7 {
            sketch.count(1);
            assert_eq!(sketch.frequency(1), uses);
        }
    }
}
