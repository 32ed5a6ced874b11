//! How a simulated network behaves while nothing is wrong with it.

use std::ops::RangeInclusive;

/// How the network behaves from now on.
#[derive(Clone, Debug)]
pub struct NetworkConduct {
    /// How long a piece of a stream is under way, in nanoseconds: drawn for each piece. Pieces of one stream never
    /// overtake each other; those of two streams do.
    pub latency_ns: RangeInclusive<u64>,
    /// Bytes of one direction that may be under way or wait in the receiver's kernel. Then the sender is held up.
    pub window_bytes: usize,
    /// The largest piece.
    pub piece_bytes: usize,
    /// Of so many pieces, one is cut to a few bytes; 0: none is.
    pub one_small_piece_in: u32,
}

impl Default for NetworkConduct {
    /// 20 µs to 200 µs, windows of 128 KiB, pieces of 16 KiB of which one in four is cut.
    fn default() -> Self {
        NetworkConduct {
            latency_ns: 20_000..=200_000,
            window_bytes: 128 << 10,
            piece_bytes: 16 << 10,
            one_small_piece_in: 4,
        }
    }
}

impl NetworkConduct {
    /// How long the next piece is under way.
    pub(super) fn latency_ns(&self, random: &mut fastrand::Rng) -> u64 {
        let (least_ns, most_ns) = (*self.latency_ns.start(), *self.latency_ns.end());
        random.u64(least_ns..=most_ns.max(least_ns))
    }

    /// How long the next piece of so many bytes is; at least one byte.
    pub(super) fn piece_bytes(&self, bytes: usize, random: &mut fastrand::Rng) -> usize {
        let most_bytes = bytes.min(self.piece_bytes.max(1));
        match self.one_small_piece_in {
            0 => most_bytes,
            of if random.u32(0..of) == 0 => most_bytes.min(random.usize(1..=40)),
            _ => most_bytes,
        }
    }
}
