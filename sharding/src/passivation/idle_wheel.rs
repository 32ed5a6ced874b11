//! Who was not used for a time: a wheel of 256 buckets, half of which cover the timeout.
//!
//! A use moves nothing: it is written into the row, and when the bucket that an entity was put in comes up, the entity
//! goes into the bucket of its true deadline. So an entity is looked at about once in a timeout, however often it is
//! used. (Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 4, with the move put off.)
//!
//! Invariants: an entity in the wheel is in exactly one bucket, which comes up no later than a bucket's width after the
//! deadline that its last use gives it; nothing is put into the bucket that is being taken from, so a walk ends.

use super::row::{IDLE, Row};
use crate::chunks::Chunks;
use crate::entities::Slot;
use crate::list::List;

const BUCKETS: u64 = 256;
const BUCKETS_IN_TIMEOUT: u64 = 128;
const WORDS: u64 = BUCKETS / 64;

/// Entities by the time at which they may have been idle for too long. Times are in beats.
#[derive(Debug)]
pub(super) struct IdleWheel {
    idle_beats: u64,
    /// How long a bucket lasts.
    width_beats: u64,
    buckets: Vec<List<IDLE>>,
    /// A bit for each bucket that is not empty.
    filled: [u64; WORDS as usize],
    /// No bucket before this one is filled; buckets are counted from the beginning of time.
    cursor: u64,
}

impl IdleWheel {
    /// An empty one.
    pub(super) fn new(idle_after_ns: u64) -> Self {
        // Two more, because the timeout may end in a beat, and the last use may lie anywhere in its own.
        let idle_beats = (idle_after_ns >> super::BEAT_BITS) + 2;
        IdleWheel {
            idle_beats,
            width_beats: idle_beats.div_ceil(BUCKETS_IN_TIMEOUT),
            buckets: vec![List::EMPTY; BUCKETS as usize],
            filled: [0; WORDS as usize],
            cursor: 0,
        }
    }

    /// Puts an entity in that is in no bucket and was used by now.
    pub(super) fn insert(&mut self, rows: &mut Chunks<Row>, number: u32, now_beat: u64) {
        if self.filled.iter().all(|bits| *bits == 0) {
            self.cursor = now_beat / self.width_beats;
        }
        self.place(rows, number, now_beat);
    }

    /// Takes an entity out that is in a bucket.
    pub(super) fn remove(&mut self, rows: &mut Chunks<Row>, number: u32) {
        let bucket = usize::from(rows[number].bucket);
        self.buckets[bucket].remove(rows, number);
        if self.buckets[bucket].len() == 0 {
            self.filled[bucket / 64] &= !(1 << (bucket % 64));
        }
    }

    /// The next entity that is past its deadline and may stop; it is taken out. Each that is looked at costs one of
    /// `looks`, and there is no answer when there are none left.
    pub(super) fn next_expired(
        &mut self,
        rows: &mut Chunks<Row>,
        now_beat: u64,
        looks: &mut usize,
        may_stop: &mut impl FnMut(Slot) -> bool,
    ) -> Option<u32> {
        let now_bucket = now_beat / self.width_beats;
        self.cursor = self.cursor.max(now_bucket.saturating_sub(BUCKETS - 1));
        while let Some(bucket) = self.next_filled().filter(|bucket| *bucket <= now_bucket) {
            *looks = looks.checked_sub(1)?;
            self.cursor = bucket;
            let number = self.buckets[(bucket % BUCKETS) as usize].first()?;
            self.remove(rows, number);
            let row = &mut rows[number];
            if deadline(row.last_use, self.idle_beats, now_beat) <= now_beat {
                if may_stop(row.slot(number)) {
                    return Some(number);
                }
                row.last_use = now_beat as u32;
            }
            self.place(rows, number, now_beat);
        }
        None
    }

    /// When the next bucket comes up.
    pub(super) fn next_deadline_beat(&self) -> Option<u64> {
        self.next_filled().map(|bucket| bucket * self.width_beats)
    }

    fn place(&mut self, rows: &mut Chunks<Row>, number: u32, now_beat: u64) {
        let deadline = deadline(rows[number].last_use, self.idle_beats, now_beat);
        let bucket = deadline.div_ceil(self.width_beats);
        // A cursor that is far behind would take it for one of the round before: then it is looked at early, once.
        let bucket = bucket.clamp(self.cursor, self.cursor + BUCKETS - 1) % BUCKETS;
        rows[number].bucket = bucket as u8;
        self.buckets[bucket as usize].push_back(rows, number);
        self.filled[bucket as usize / 64] |= 1 << (bucket % 64);
    }

    /// The first bucket from the cursor that is filled.
    fn next_filled(&self) -> Option<u64> {
        let begin = self.cursor % BUCKETS;
        // The cursor's word comes twice: its upper bits first, its lower ones, a round later, last.
        (0..=WORDS).find_map(|step| {
            let word = (begin / 64 + step) % WORDS;
            let mask = match step {
                0 => !0 << (begin % 64),
                WORDS => !(!0 << (begin % 64)),
                _ => !0,
            };
            let bits: u64 = self.filled[word as usize] & mask;
            let bucket = word * 64 + u64::from(bits.trailing_zeros());
            (bits != 0).then(|| self.cursor + (bucket + BUCKETS - begin) % BUCKETS)
        })
    }
}

/// When an entity has been idle for too long, from the lower bits of its last use.
fn deadline(last_use: u32, idle_beats: u64, now_beat: u64) -> u64 {
    let idle_for = (now_beat as u32).wrapping_sub(last_use);
    now_beat.saturating_sub(u64::from(idle_for)) + idle_beats
}
