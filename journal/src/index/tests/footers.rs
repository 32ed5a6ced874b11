//! A footer answers as its records do.

use super::super::{FooterSummary, IndexError, Restart};
use super::*;
use crate::format::dictionary::SchemaEntry;

/// What a reader of the file does, with two reads of blocks.
fn read(
    summary: &FooterSummary,
    bytes: &[u8],
    entity: u64,
) -> Option<(Vec<Posting>, Option<RecordPlace>)> {
    let block = summary.block_of(entity)? as usize;
    let row = summary.find(&bytes[block..block + BLOCK_BYTES], entity).expect("whole")?;
    let place = summary.postings_place(&row);
    let part = &bytes[place.start as usize..place.end as usize];
    let postings = summary.postings(part, &row).expect("whole");
    Some((postings, row.name))
}

#[test]
fn any_records_are_found_in_the_footer_as_they_were_added() {
    proptest::proptest!(|(seed: u64, count in 0..1_500_usize, entities in 1..400_u64)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let placed = records(&mut random, count, entities);
        let mut tables = Default::default();
        let index = index_of(3, &placed, &mut tables);
        let footer = footer_of(3, &placed, &mut Default::default());
        let bytes = footer.encode();
        assert!(bytes.len().is_multiple_of(BLOCK_BYTES));
        assert_eq!(Footer::decode(&bytes).expect("whole"), footer);
        let summary = FooterSummary::decode(&bytes).expect("whole");
        assert_eq!(summary, footer.summary());
        let model = model(&placed);
        for number in 0..entities {
            let entity = EntityEntry::hash_of(&name(number));
            let expected = model.get(&entity);
            let open: Vec<Posting> = index.records_of(entity).collect();
            assert_eq!(&open, expected.unwrap_or(&Vec::new()));
            let found = read(&summary, &bytes, entity);
            assert_eq!(found.as_ref().map(|found| &found.0), expected);
            let named = placed.iter().find(|placed|
                (placed.header.kind, placed.header.entity) == (RecordKind::Entity, entity));
            assert_eq!(found.and_then(|found| found.1), named.map(|placed| placed.place));
            assert_eq!(footer.find(entity).map(|row| footer.postings_of(row)),
                expected.map(Vec::as_slice));
        }
        let unknown = random.u64(..);
        assert_eq!(read(&summary, &bytes, unknown), None);
        assert_eq!(footer.header().record_bytes,
            model.values().flatten().map(|posting| u64::from(posting.bytes)).sum::<u64>());
    });
}

#[test]
fn a_row_says_what_its_segment_holds_of_the_entity() {
    let entity = EntityEntry::hash_of(&name(0));
    let record = |place: u64, kind, entity_sequence| Placed {
        header: RecordHeader {
            kind,
            schema: 0,
            shard: 2,
            entity,
            entity_sequence,
            shard_sequence: place,
            epoch: 1,
        },
        place: RecordPlace { offset: 4160 + place * 64, bytes: 64 },
    };
    let placed = [
        record(0, RecordKind::Event, 7),
        record(1, RecordKind::State, 7),
        record(2, RecordKind::State, 5),
        record(3, RecordKind::Deletion, 6),
        record(4, RecordKind::Forgotten, 0),
        record(5, RecordKind::Remembered, 0),
    ];
    let mut tables = Default::default();
    footer_of(1, &placed[..1], &mut tables);
    let footer = footer_of(4, &placed, &mut tables);
    let row = footer.find(entity).expect("it has records");
    assert_eq!((row.previous_segment, row.postings, row.shard), (1, 6, 2));
    assert_eq!((row.last_sequence, row.deleted_to), (7, 6));
    assert_eq!((row.state_sequence, row.older_state_sequence), (7, 5));
    assert_eq!((row.state, row.restart), (Some(placed[1].place), Restart::Remembered));
    assert_eq!(footer.shards()[0].last, placed[5].place);
    // The event, the latest two states and the last word on starting it again.
    assert_eq!((footer.header().record_bytes, footer.header().live_bytes), (6 * 64, 4 * 64));
}

#[test]
fn a_footer_keeps_the_layouts_and_each_of_them_once() {
    let layout = |number| SchemaEntry {
        number,
        version: 1,
        fingerprint: u64::from(number) * 3,
        name: format!("event.{number}"),
    };
    let mut index = index_of(1, &[], &mut Default::default());
    for number in [2, 1, 2, 900] {
        index.add_layout(layout(number));
    }
    let end_offset = 2 * BLOCK_BYTES as u64;
    let footer = index.finish(FrameEnd { end_offset, ..FrameEnd::default() });
    let read = Footer::decode(&footer.encode()).expect("whole");
    assert_eq!(read.layouts(), [layout(1), layout(2), layout(900)]);
    let (summary, bytes) = (footer.summary(), footer.encode());
    let place = summary.layouts_place();
    let mut part = bytes[place.start as usize..place.end as usize].to_vec();
    assert_eq!(summary.layouts(&part).expect("whole"), read.layouts());
    part[100] ^= 1;
    assert!(summary.layouts(&part).is_err());
}

#[test]
fn what_cannot_stand_in_a_segment_is_refused() {
    let mut index = index_of(1, &[], &mut Default::default());
    let header = records(&mut fastrand::Rng::with_seed(1), 1, 1)[0].header;
    for (offset, bytes) in
        [(0, 64), (4160, 0), (4161, 64), (4160, 65), (SEGMENT_BYTES - 16, 64), (u64::MAX - 31, 16)]
    {
        let refused = index.add(&header, offset, bytes, 0);
        assert_eq!(refused, Err(IndexError::Place { segment_id: 1, offset, bytes }));
    }
    let layout = RecordHeader { kind: RecordKind::Schema, ..header };
    assert_eq!(index.add(&layout, 4160, 64, 0), Err(IndexError::Layout { segment_id: 1 }));
    assert_eq!(index.records(), 0);
}
