//! What is written is read again, in place, by the type that wrote it.

use mainspring_journal::format::commit_frame::FRAME_HEADER_BYTES;
use mainspring_journal::format::record::Records;
use mainspring_journal::format::{BLOCK_BYTES, RecordHeader, RecordKind};
use mainspring_journal::schema::lock::{self, LockError};
use mainspring_journal::schema::{EventBuffer, Events, Layout, SchemaError, State};

use rkyv::util::AlignedVec;

use crate::account::{Account, AccountEvent, ArchivedAccountEvent, Closed, read, samples};

#[test]
fn every_event_is_read_as_it_was_written_from_one_buffer() {
    let mut buffer = EventBuffer::new();
    let ranges: Vec<_> =
        samples().iter().map(|event| event.write(&mut buffer).expect("room")).collect();
    assert!(ranges.iter().all(|range| range.start.is_multiple_of(16)), "{ranges:?}");
    for (event, range) in samples().iter().zip(ranges) {
        assert_eq!(read(event, buffer.get(range)), Ok(vec![event.clone()]));
    }
}

#[test]
fn an_event_is_read_where_its_bytes_lie() {
    let event = samples().swap_remove(1);
    let mut buffer = EventBuffer::new();
    let written = event.write(&mut buffer).expect("room");
    let layout = AccountEvent::LAYOUTS[event.layout()];
    let reader = AccountEvent::reader(layout.name, layout.version, layout.fingerprint);
    let bytes = buffer.get(written).as_ptr_range();
    let mut seen = 0;
    AccountEvent::read(reader.expect("known"), buffer.as_slice(), &mut |event| {
        let ArchivedAccountEvent::Deposited(event) = event else { panic!("{event:?}") };
        assert!(bytes.contains(&std::ptr::from_ref(event).cast()));
        seen += 1;
    })
    .expect("valid");
    assert_eq!(seen, 1);
}

#[test]
fn equal_events_have_equal_bytes_whatever_the_buffer_held_before() {
    for event in samples() {
        let (mut fresh, mut used) = (EventBuffer::new(), EventBuffer::new());
        for other in samples().iter().rev() {
            other.write(&mut used).expect("room");
        }
        used.clear();
        assert_eq!(event.write(&mut fresh), event.write(&mut used));
        assert_eq!(fresh.as_slice(), used.as_slice());
    }
}

#[test]
fn an_event_is_given_back_as_its_record_would_be_read() {
    let mut used = EventBuffer::new();
    for event in samples() {
        for buffer in [&mut EventBuffer::new(), &mut used] {
            let mut given = Vec::new();
            let taken = event.read_back(buffer, &mut |event| given.push(AccountEvent::own(event)));
            assert_eq!((taken, given), (Ok(()), vec![Ok(event.clone())]));
        }
    }
}

#[test]
fn a_state_is_read_as_it_was_written() {
    let account = Account { balance: 5, closed: true, notes: vec!["a note out of line".into()] };
    let mut buffer = EventBuffer::new();
    let written = account.write(&mut buffer).expect("room");
    let Layout { name, version, fingerprint } = Account::LAYOUT;
    let reader = Account::reader(name, version, fingerprint).expect("known");
    assert_eq!(Account::read(reader, buffer.get(written)), Ok(account));
}

#[test]
fn the_layouts_are_those_of_the_variants_and_behind_them_the_older_ones() {
    let names = |layouts: &[Layout]| -> Vec<_> {
        layouts.iter().map(|layout| (layout.name, layout.version)).collect()
    };
    let current = [("account.deposited", 2), ("account.transferred", 1), ("account.closed", 1)];
    let older = [("account.deposited", 1), ("account.opened_with", 1), ("account.flagged", 1)];
    assert_eq!(names(AccountEvent::LAYOUTS), current);
    assert_eq!(names(AccountEvent::READABLE), [current, older].concat());
    assert_eq!(AccountEvent::from(Closed).layout(), 2);
}

/// If a fingerprint changes for a type that did not, no journal that was ever written can be read any more.
#[test]
fn fingerprints_are_the_same_for_ever() -> Result<(), LockError> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema/events.lock");
    lock::check(path, &[AccountEvent::READABLE, Account::READABLE])
}

/// The fingerprint says what was archived, not how: that is rkyv's format, which this holds still.
#[test]
fn archives_are_the_same_for_ever() {
    let hexadecimal = |event: &AccountEvent| -> String {
        let mut buffer = EventBuffer::new();
        event.write(&mut buffer).expect("room");
        buffer.as_slice().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let written: Vec<String> = samples().iter().map(hexadecimal).collect();
    assert_eq!(written, ARCHIVES);
}

/// The samples as they were written by the first version of this crate.
const ARCHIVES: [&str; 4] = [
    "070000000000000000000000000000000000000000000000",
    concat!(
        "61206e6f74652074686174206c696573206f7574206f66206c696e6500000000",
        "0800000000000000010000009c000000d4ffffff00000000",
    ),
    concat!(
        "01000000df00000000000000000000000000000000000000ffffffffffffffff",
        "0000000000000000050000000000000002000000ccffffff0200000000000000",
        "61206c6162656c2074686174206c696573206f7574206f66206c696e65000000",
        "000000009d000000dcffffff707572706f7365ff000000000000000000000000",
        "0000000000000000000000000400000003000000000000000000000000000000",
        "020000007cffffff02000000b4ffffff02000000",
    ),
    "00",
];

#[test]
fn the_reader_of_another_set_of_events_is_refused() {
    let first = AccountEvent::READABLE[0];
    let last = AccountEvent::READABLE[5];
    for layout in [first, last] {
        let reader = AccountEvent::reader(layout.name, layout.version, layout.fingerprint);
        let refusal = Account::read(reader.expect("known"), &[]);
        assert_eq!(refusal, Err(SchemaError::ForeignReader));
    }
}

#[test]
fn events_in_a_frame_of_a_log_are_read_where_they_lie() {
    let mut frame: AlignedVec<BLOCK_BYTES> = AlignedVec::new();
    frame.resize(BLOCK_BYTES, 0);
    let mut buffer = EventBuffer::new();
    let mut end = FRAME_HEADER_BYTES;
    for event in samples() {
        let written = event.write(&mut buffer).expect("room");
        let header = record_header(event.layout() as u16 + 1);
        end += header.write(buffer.get(written), &mut frame[end..]).expect("room");
    }
    let count = samples().len() as u32;
    let mut read_back = Vec::new();
    for record in Records::new(&frame[FRAME_HEADER_BYTES..end], count) {
        let record = record.expect("a whole record");
        let event = &samples()[read_back.len()];
        assert_eq!(usize::from(record.header.schema), event.layout() + 1);
        read_back.extend(read(event, record.payload).expect("aligned and valid"));
    }
    assert_eq!(read_back, samples());
}

fn record_header(schema: u16) -> RecordHeader {
    let (shard, entity, entity_sequence, shard_sequence, epoch) = (0, 1, 1, 1, 1);
    let kind = RecordKind::Event;
    RecordHeader { kind, schema, shard, entity, entity_sequence, shard_sequence, epoch }
}
