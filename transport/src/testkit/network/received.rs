//! Bytes that a socket has received and its handler has not taken.
//!
//! Invariant: byte k of the stream lies at an address congruent to k modulo [`STREAM_ALIGN`].

use mainspring::net::STREAM_ALIGN;
use mainspring::peer::FrameBytes;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct ReceivedBytes {
    /// From a byte on whose number is a multiple of [`STREAM_ALIGN`].
    bytes: FrameBytes,
    /// How many of them were taken.
    taken: usize,
}

impl ReceivedBytes {
    /// None, of a stream that was taken up to byte `position`.
    pub fn at(position: u64) -> ReceivedBytes {
        let taken = (position % STREAM_ALIGN as u64) as usize;
        let mut bytes = FrameBytes::new();
        bytes.resize(taken, 0);
        ReceivedBytes { bytes, taken }
    }

    /// Those that were not taken.
    pub fn held(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// How many were not taken.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Memory that they have.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The first `count` of them are done with.
    pub fn take(&mut self, count: usize) {
        self.taken += count.min(self.len());
        let whole = self.taken - self.taken % STREAM_ALIGN;
        if whole > 0 {
            let rest = self.bytes.len() - whole;
            self.bytes.as_mut_slice().copy_within(whole.., 0);
            self.bytes.resize(rest, 0);
            self.taken -= whole;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_lies_where_its_number_says() {
        let mut received = ReceivedBytes::at(37);
        received.append(&[1, 2, 3]);
        let mut number = 37;
        for take in [0, 1, 2, 5, 16, 40, 3] {
            received.append(&[7; 90]);
            received.take(take);
            number += take as u64;
            let address = received.held().as_ptr().addr() as u64;
            assert_eq!(address % STREAM_ALIGN as u64, number % STREAM_ALIGN as u64);
        }
        assert_eq!(received.len(), 3 + 7 * 90 - 67);
    }
}
