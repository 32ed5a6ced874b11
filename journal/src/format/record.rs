//! A record: one event, one state, or one note of the log itself.

use super::fields::{put, u8_at, u16_at, u32_at, u64_at};
use super::{RECORD_ALIGNMENT, checksum};

/// What stands in front of a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the payload is.
    pub kind: RecordKind,
    /// The payload's entry in the segment's dictionary of layouts; 0 for records whose payload has a fixed form.
    pub schema: u16,
    /// The shard that the entity belongs to.
    pub shard: u32,
    /// The hash of the entity's full name; the name itself is in the segment's dictionary.
    pub entity: u64,
    /// Counts the entity's events from 1; of a state, its revision.
    pub entity_sequence: u64,
    /// Counts the shard's records from 1.
    pub shard_sequence: u64,
    /// Which owner of the shard wrote it. Never falls.
    pub epoch: u64,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// An event of an entity.
    Event,
    /// The whole state of an entity, in place of all earlier ones.
    State,
    /// An entity's events up to a sequence number are no longer needed.
    Deletion,
    /// From here on a shard has another epoch.
    ShardEpoch,
    /// An entity runs, and is to be started again after a restart of its node.
    Remembered,
    /// An entity is not to be started again by itself.
    Forgotten,
    /// A dictionary entry: name, version and layout of a payload.
    Schema,
    /// A dictionary entry: the full name of an entity.
    Entity,
    /// The id of the command whose events stand before it, or of one before the state that stands before it.
    Command,
    /// A tag of the event that stands before it, in the same group: a name by which events of many entities are found.
    Tag,
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record would reach beyond its frame.
    #[error("the record at byte {offset} of the frame's records reaches beyond them")]
    Length {
        /// Where it starts.
        offset: usize,
    },
    /// The record does not add up.
    #[error("the checksum of the record at byte {offset} of the frame's records is wrong")]
    Checksum {
        /// Where it starts.
        offset: usize,
    },
    /// The kind is not known to this version.
    #[error("the record at byte {offset} of the frame's records has the unknown kind {kind}")]
    Kind {
        /// Where it starts.
        offset: usize,
        /// What it says.
        kind: u8,
    },
    /// A field that this version leaves zero is not.
    #[error(
        "the record at byte {offset} of the frame's records uses flags {flags:#04x}, which this version has not"
    )]
    Flags {
        /// Where it starts.
        offset: usize,
        /// What it says.
        flags: u8,
    },
    /// A record stands there, but another one.
    #[error("at byte {offset} stands another record than the one that was written there")]
    Other {
        /// Where it starts.
        offset: usize,
    },
    /// The frame states another number of records.
    #[error("the frame states {stated} records and holds {found}")]
    Count {
        /// What it states.
        stated: u32,
        /// What it holds.
        found: u32,
    },
}

/// Bytes of a record's header.
pub const RECORD_HEADER_BYTES: usize = 48;

/// The most bytes of a tag.
pub const MOST_TAG_BYTES: usize = 64;

/// What a record with so many bytes of payload takes.
pub const fn record_bytes(payload_bytes: usize) -> usize {
    (RECORD_HEADER_BYTES + payload_bytes).next_multiple_of(RECORD_ALIGNMENT)
}

impl RecordHeader {
    /// Writes the record at the start of `place`, zeroes at its end included, and returns its length. None, and
    /// nothing is written, when the place is too small.
    pub fn write(&self, payload: &[u8], place: &mut [u8]) -> Option<usize> {
        self.write_flagged(0, payload, place)
    }

    /// Writes a record that stood in an older segment before, with its places as they were. Otherwise as
    /// [`RecordHeader::write`].
    pub fn write_copy(&self, payload: &[u8], place: &mut [u8]) -> Option<usize> {
        self.write_flagged(COPIED_FORWARD, payload, place)
    }

    fn write_flagged(&self, flags: u8, payload: &[u8], place: &mut [u8]) -> Option<usize> {
        let length = u32::try_from(payload.len()).ok()?;
        let record = place.get_mut(..record_bytes(payload.len()))?;
        put(record, LENGTH_AT, &length.to_le_bytes());
        put(record, KIND_AT, &[self.kind.number(), flags]);
        put(record, SCHEMA_AT, &self.schema.to_le_bytes());
        put(record, SHARD_AT, &self.shard.to_le_bytes());
        put(record, ENTITY_AT, &self.entity.to_le_bytes());
        put(record, ENTITY_SEQUENCE_AT, &self.entity_sequence.to_le_bytes());
        put(record, SHARD_SEQUENCE_AT, &self.shard_sequence.to_le_bytes());
        put(record, EPOCH_AT, &self.epoch.to_le_bytes());
        let end = RECORD_HEADER_BYTES + payload.len();
        record[RECORD_HEADER_BYTES..end].copy_from_slice(payload);
        record[end..].fill(0);
        let sum = checksum(&record[CHECKED_FROM..end]);
        put(record, CHECKSUM_AT, &sum.to_le_bytes());
        Some(record.len())
    }
}

impl RecordKind {
    const ALL: [RecordKind; 10] = [
        RecordKind::Event,
        RecordKind::State,
        RecordKind::Deletion,
        RecordKind::ShardEpoch,
        RecordKind::Remembered,
        RecordKind::Forgotten,
        RecordKind::Schema,
        RecordKind::Entity,
        RecordKind::Command,
        RecordKind::Tag,
    ];

    /// The number that stands for it: its place in the list from 1.
    pub(crate) fn number(self) -> u8 {
        self as u8 + 1
    }

    pub(crate) fn of_number(number: u8) -> Option<RecordKind> {
        RecordKind::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// One record within a frame's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it starts, counted from the first record of the frame.
    pub offset: usize,
    /// Its header.
    pub header: RecordHeader,
    /// Whether it stood in an older segment before, from which it was copied forward: who reads the log in its order
    /// has passed it already.
    pub is_copy: bool,
    /// Its payload.
    pub payload: &'a [u8],
}

/// The records of one frame, in order. After an error there is nothing more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    offset: usize,
    stated: u32,
    found: u32,
    over: bool,
}

impl<'a> Records<'a> {
    /// The records of a frame that states how many they are.
    pub fn new(bytes: &'a [u8], stated: u32) -> Self {
        Records { bytes, offset: 0, stated, found: 0, over: false }
    }

    fn read(&self) -> Result<Record<'a>, RecordError> {
        read_at(self.bytes, self.offset)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        if self.offset == self.bytes.len() {
            self.over = true;
            let (stated, found) = (self.stated, self.found);
            return (stated != found).then_some(Err(RecordError::Count { stated, found }));
        }
        let record = self.read();
        match record {
            Ok(record) => {
                self.offset += record_bytes(record.payload.len());
                self.found += 1;
            }
            Err(_) => self.over = true,
        }
        Some(record)
    }
}

/// The record that starts `offset` bytes behind the first of a frame.
pub fn read_at(bytes: &[u8], offset: usize) -> Result<Record<'_>, RecordError> {
    let too_long = RecordError::Length { offset };
    let rest = bytes.get(offset..).ok_or(too_long)?;
    let head = rest.get(..RECORD_HEADER_BYTES).ok_or(too_long)?;
    let length = u32_at(head, LENGTH_AT) as usize;
    // The sum cannot overflow where a usize has 64 bits; where it has 32, the slice is refused.
    let end = RECORD_HEADER_BYTES.checked_add(length).ok_or(too_long)?;
    let whole = end.checked_next_multiple_of(RECORD_ALIGNMENT).ok_or(too_long)?;
    let record = rest.get(..whole).ok_or(too_long)?;
    if checksum(&record[CHECKED_FROM..end]) != u32_at(head, CHECKSUM_AT) {
        return Err(RecordError::Checksum { offset });
    }
    let kind = u8_at(head, KIND_AT);
    let kind = RecordKind::of_number(kind).ok_or(RecordError::Kind { offset, kind })?;
    let flags = u8_at(head, FLAGS_AT);
    if flags & !COPIED_FORWARD != 0 {
        return Err(RecordError::Flags { offset, flags });
    }
    let header = RecordHeader {
        kind,
        schema: u16_at(head, SCHEMA_AT),
        shard: u32_at(head, SHARD_AT),
        entity: u64_at(head, ENTITY_AT),
        entity_sequence: u64_at(head, ENTITY_SEQUENCE_AT),
        shard_sequence: u64_at(head, SHARD_SEQUENCE_AT),
        epoch: u64_at(head, EPOCH_AT),
    };
    let is_copy = flags & COPIED_FORWARD != 0;
    Ok(Record { offset, header, is_copy, payload: &record[RECORD_HEADER_BYTES..end] })
}

/// The flag of a record that was copied forward.
const COPIED_FORWARD: u8 = 1;

const LENGTH_AT: usize = 0;
const CHECKSUM_AT: usize = 4;
const CHECKED_FROM: usize = 8;
const KIND_AT: usize = 8;
const FLAGS_AT: usize = 9;
const SCHEMA_AT: usize = 10;
const SHARD_AT: usize = 12;
const ENTITY_AT: usize = 16;
const ENTITY_SEQUENCE_AT: usize = 24;
const SHARD_SEQUENCE_AT: usize = 32;
const EPOCH_AT: usize = 40;

const _: () = assert!(RECORD_HEADER_BYTES.is_multiple_of(RECORD_ALIGNMENT));

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: RecordKind) -> RecordHeader {
        RecordHeader {
            kind,
            schema: 3,
            shard: 511,
            entity: 0xFEED_FACE_CAFE_BEEF,
            entity_sequence: 12,
            shard_sequence: 99,
            epoch: 1 << 40,
        }
    }

    fn written(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0xAA; 4096];
        let mut end = 0;
        for payload in payloads {
            let place = &mut bytes[end..];
            end += header(RecordKind::Event).write(payload, place).expect("there is room");
        }
        bytes.truncate(end);
        bytes
    }

    #[test]
    fn records_are_read_in_order_as_they_were_written() {
        let bytes = written(&[b"one", b"", b"exactly sixteen."]);
        let records: Result<Vec<_>, _> = Records::new(&bytes, 3).collect();
        let records = records.expect("well-formed");
        let payloads: Vec<&[u8]> = records.iter().map(|record| record.payload).collect();
        assert_eq!(payloads, [&b"one"[..], b"", b"exactly sixteen."]);
        assert!(records.iter().all(|record| record.header == header(RecordKind::Event)));
        assert!(records.iter().all(|record| record.offset.is_multiple_of(RECORD_ALIGNMENT)));
    }

    #[test]
    fn every_kind_keeps_its_number() {
        for (number, kind) in (1..).zip(RecordKind::ALL) {
            assert_eq!(kind.number(), number);
            assert_eq!(RecordKind::of_number(number), Some(kind));
        }
        assert_eq!(RecordKind::of_number(0), None);
        assert_eq!(RecordKind::of_number(11), None);
    }

    #[test]
    fn any_flipped_bit_but_those_of_the_zeroes_is_found() {
        let bytes = written(&[b"some payload"]);
        let zeroes_from = RECORD_HEADER_BYTES + b"some payload".len();
        for bit in 0..zeroes_from * 8 {
            let mut torn = bytes.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            let first = Records::new(&torn, 1).next().expect("there is one");
            assert!(first.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_that_states_another_number_is_refused() {
        let bytes = written(&[b"one", b"two"]);
        let last = Records::new(&bytes, 3).last().expect("three items");
        assert_eq!(last, Err(RecordError::Count { stated: 3, found: 2 }));
        let cut = Records::new(&bytes[..bytes.len() - 1], 2).last().expect("two items");
        assert_eq!(cut, Err(RecordError::Length { offset: 64 }));
    }

    #[test]
    fn a_record_that_was_copied_forward_says_so_and_is_the_same_otherwise() {
        let mut bytes = vec![0; 128];
        let header = header(RecordKind::Event);
        let length = header.write_copy(b"payload", &mut bytes).expect("there is room");
        bytes.truncate(length);
        let copy = read_at(&bytes, 0).expect("well-formed");
        assert_eq!((copy.header, copy.payload, copy.is_copy), (header, &b"payload"[..], true));
        header.write(b"payload", &mut bytes).expect("there is room");
        assert!(read_at(&bytes, 0).is_ok_and(|record| !record.is_copy));
        // Another flag is of a later version.
        bytes[FLAGS_AT] = 2;
        let sum = checksum(&bytes[CHECKED_FROM..RECORD_HEADER_BYTES + b"payload".len()]);
        put(&mut bytes, CHECKSUM_AT, &sum.to_le_bytes());
        assert_eq!(read_at(&bytes, 0), Err(RecordError::Flags { offset: 0, flags: 2 }));
    }

    #[test]
    fn a_place_that_is_too_small_is_left_alone() {
        let mut place = [7; RECORD_HEADER_BYTES];
        assert_eq!(header(RecordKind::State).write(b"x", &mut place), None);
        assert_eq!(place, [7; RECORD_HEADER_BYTES]);
    }

    #[test]
    fn bytes_of_any_kind_are_read_without_a_panic() {
        proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), stated: u32)| {
            for record in Records::new(&bytes, stated) {
                _ = record;
            }
        });
    }
}
