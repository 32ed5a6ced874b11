//! The events of the journal programs, the same in every contestant.

use crate::random::Random;

/// Bytes of an event.
pub const EVENT_BYTES: usize = 100;
/// Bytes of [`Event::key`].
pub const KEY_BYTES: usize = 16;
/// Entities of `journal-stream`: event `number` belongs to entity `number % STREAM_ENTITIES`.
pub const STREAM_ENTITIES: u64 = 10_000;
/// Events that each entity has in `journal-recover`: with N events there are N / 10 entities, and event `number`
/// belongs to entity `number % (N / 10)`.
pub const RECOVER_EVENTS_AN_ENTITY: u64 = 10;

/// One event of one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose it is.
    pub entity: u64,
    /// Its place among the entity's events, from 1.
    pub sequence: u64,
    /// Its number in the round, then bytes that do not compress.
    pub payload: [u8; EVENT_BYTES],
}

impl Event {
    /// The event of this number when the numbers go round so many entities.
    #[inline]
    pub fn of_round(number: u64, entities: u64) -> Event {
        let (entity, sequence) = (number % entities, number / entities + 1);
        Event { entity, sequence, payload: payload(number) }
    }

    /// Entity and sequence as a key whose order of bytes is theirs: that of a library that sorts by bytes.
    #[inline]
    pub fn key(&self) -> [u8; KEY_BYTES] {
        let both = u128::from(self.entity) << 64 | u128::from(self.sequence);
        both.to_be_bytes()
    }
}

/// Entity and sequence out of a key; nothing when it is not one of [`Event::key`].
#[inline]
pub fn of_key(key: &[u8]) -> Option<(u64, u64)> {
    let both = u128::from_be_bytes(key.try_into().ok()?);
    Some(((both >> 64) as u64, both as u64))
}

/// What the event of this number holds: the number in its first eight bytes, little-endian, and what [`Random`] with
/// the number as its seed makes of the others, eight bytes at a time.
#[inline]
pub fn payload(number: u64) -> [u8; EVENT_BYTES] {
    let mut bytes = [0; EVENT_BYTES];
    let mut random = Random::seeded(number);
    let (first, rest) = bytes.split_at_mut(NUMBER_BYTES);
    first.copy_from_slice(&number.to_le_bytes());
    for word in rest.chunks_mut(NUMBER_BYTES) {
        word.copy_from_slice(&random.next_u64().to_le_bytes()[..word.len()]);
    }
    bytes
}

/// The number of an event, or nothing when these are not the bytes of one. Only the length is looked at.
#[inline]
pub fn number_of(payload: &[u8]) -> Option<u64> {
    let first = payload.first_chunk::<NUMBER_BYTES>()?;
    (payload.len() == EVENT_BYTES).then(|| u64::from_le_bytes(*first))
}

const NUMBER_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_its_number_and_its_bytes_are_those_of_the_generator() {
        let bytes = payload(7);
        assert_eq!(number_of(&bytes), Some(7));
        let mut random = Random::seeded(7);
        assert_eq!(bytes[8..16], random.next_u64().to_le_bytes());
        assert_eq!(bytes[96..], [(); 11].map(|()| random.next_u64())[10].to_le_bytes()[..4]);
        assert_eq!(number_of(&bytes[..99]), None);
    }

    #[test]
    fn keys_are_sorted_by_entity_and_then_by_sequence() {
        let event = |entity, sequence| Event { entity, sequence, payload: payload(0) };
        assert!(event(1, 300).key() < event(2, 1).key());
        assert!(event(1, 255).key() < event(1, 256).key());
        assert_eq!(of_key(&event(1, 300).key()), Some((1, 300)));
        assert_eq!(of_key(&[0; 15]), None);
    }

    #[test]
    fn numbers_go_round_the_entities() {
        let event = Event::of_round(20_003, STREAM_ENTITIES);
        assert_eq!((event.entity, event.sequence), (3, 3));
    }
}
