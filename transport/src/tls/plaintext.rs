//! Bytes of a stream that were decrypted and not taken yet, where a handler can read them.
//!
//! Invariant: byte k of the stream lies at an address congruent to k modulo [`STREAM_ALIGN`], as
//! [`Sockets`](mainspring::net::Sockets) promises. Nothing waits, no memory.

use mainspring::net::STREAM_ALIGN;
use mainspring::rkyv::util::AlignedVec;

/// See the module's header.
#[derive(Default)]
pub(super) struct Plaintext {
    bytes: AlignedVec<STREAM_ALIGN>,
    /// Where the first byte that was not taken lies.
    start: usize,
    /// Which byte of the stream that is.
    position_bytes: u64,
}

impl Plaintext {
    /// What was not taken.
    pub fn view(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of the stream were taken.
    pub fn position_bytes(&self) -> u64 {
        self.position_bytes
    }

    /// More of the stream.
    pub fn append(&mut self, more: &[u8]) {
        if self.bytes.len() + more.len() > self.bytes.capacity() {
            self.make_room(more.len());
        }
        self.bytes.extend_from_slice(more);
    }

    /// These bytes are done with, from the first; no more than there are.
    pub fn take(&mut self, bytes: usize) {
        let bytes = bytes.min(self.len());
        self.start += bytes;
        self.position_bytes += bytes as u64;
        if self.is_empty() {
            (self.bytes, self.start) = (AlignedVec::new(), 0);
        }
    }

    /// Moves what is there to the front, where its place in the stream allows it, with room for more behind it.
    fn make_room(&mut self, more_bytes: usize) {
        let front = (self.position_bytes % STREAM_ALIGN as u64) as usize;
        let mut moved = AlignedVec::with_capacity(front + self.len() * 2 + more_bytes);
        moved.resize(front, 0);
        moved.extend_from_slice(self.view());
        (self.bytes, self.start) = (moved, front);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_is_what_was_appended_and_lies_where_its_place_in_the_stream_says(
            steps in proptest::collection::vec((0_usize..3_000, 0_usize..3_000), 1..60),
        ) {
            let (mut plaintext, mut appended, mut taken) = (Plaintext::default(), 0_u64, 0_u64);
            for (more, take) in steps {
                let bytes: Vec<u8> = (appended..).take(more).map(|at| (at % 251) as u8).collect();
                plaintext.append(&bytes);
                appended += more as u64;
                let view = plaintext.view();
                prop_assert_eq!(view.len() as u64, appended - taken);
                prop_assert!(view.iter().zip(taken..).all(|(byte, at)| u64::from(*byte) == at % 251));
                if !view.is_empty() {
                    prop_assert_eq!(view.as_ptr().addr() as u64 % 16, taken % 16);
                }
                taken += take.min(plaintext.len()) as u64;
                plaintext.take(take);
                prop_assert_eq!(plaintext.position_bytes(), taken);
            }
        }
    }
}
