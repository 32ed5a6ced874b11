//! Messages are written, read in place, and turned back into values.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::AlignedBuffer;
use super::archive::{Overflow, TooLarge, room_bytes, root, write, write_boxed};
use crate::message::owned;
use crate::prelude::*;

/// Every shape that an archive can have, but no reference, so that it can be validated from outside.
#[message(name = "test.document")]
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    Empty,
    Number(u64),
    Pair { small: u8, wide: u128 },
    Text(String),
    List { title: String, lines: Vec<Line>, limit: Option<Duration> },
    Tree(Vec<Document>),
    Wrapped(Box<Self>),
    Index(BTreeMap<String, i64>),
    Outcome(Result<char, bool>),
}

#[message(name = "test.line")]
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub text: String,
    pub marks: Vec<(u32, bool)>,
}

#[message(name = "test.start")]
#[derive(Debug, PartialEq)]
pub struct Start;

#[message(name = "test.tick")]
#[derive(Debug, PartialEq)]
pub struct Tick {
    pub price: u64,
    pub from: ActorRef<Tick>,
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let marks = prop::collection::vec((any::<u32>(), any::<bool>()), 0..4);
    let line = (".{0,20}", marks).prop_map(|(text, marks)| Line { text, marks });
    prop::collection::vec(line, 0..12)
}

fn documents() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        Just(Document::Empty),
        any::<u64>().prop_map(Document::Number),
        (any::<u8>(), any::<u128>()).prop_map(|(small, wide)| Document::Pair { small, wide }),
        ".{0,40}".prop_map(Document::Text),
        (".{0,12}", lines(), any::<Option<u32>>()).prop_map(|(title, lines, limit)| {
            let limit = limit.map(|millis| Duration::from_millis(millis.into()));
            Document::List { title, lines, limit }
        }),
        prop::collection::btree_map(".{0,12}", any::<i64>(), 0..20).prop_map(Document::Index),
        any::<Result<char, bool>>().prop_map(Document::Outcome),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Document::Tree),
            inner.prop_map(|document| Document::Wrapped(Box::new(document))),
        ]
    })
}

fn rubbish(length: usize) -> AlignedBuffer {
    let mut buffer = AlignedBuffer::zeroed(length);
    buffer.as_mut_slice().fill(0xEE);
    buffer
}

/// Writes `value` over rubbish and gives the exact payload.
fn written<M: Message>(value: &M, room_bytes: usize) -> Result<AlignedBuffer, Overflow> {
    let mut buffer = rubbish(room_bytes);
    let length = write(value, buffer.as_mut_slice())?;
    let padded = length.next_multiple_of(16).min(room_bytes);
    let padding = &buffer.as_slice()[length..padded];
    assert!(padding.iter().all(|byte| *byte == 0), "rubbish behind the payload: {padding:x?}");
    buffer.truncate(length);
    Ok(buffer)
}

fn read<M: Message>(payload: &AlignedBuffer) -> &Archived<M> {
    let bytes = payload.as_slice();
    // SAFETY: every caller passes what `written` or `write_boxed` made of an `M`.
    unsafe { root::<M>(bytes.as_ptr(), bytes.len()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn what_is_written_reads_back(document in documents()) {
        let payload = written(&document, 1 << 16).expect("room");
        prop_assert_eq!(owned::<Document>(read::<Document>(&payload)), Ok(document));
    }

    #[test]
    fn equal_values_have_equal_bytes_wherever_they_are_written(document in documents()) {
        let first = written(&document, 1 << 16).expect("room");
        let again = written(&document.clone(), first.as_slice().len()).expect("exact room");
        prop_assert_eq!(first.as_slice(), again.as_slice());
        let boxed = write_boxed(&document, 1 << 20).expect("room");
        prop_assert_eq!(first.as_slice(), boxed.as_slice());
    }

    #[test]
    fn the_bytes_are_those_of_the_archive_format(document in documents()) {
        let payload = written(&document, 1 << 16).expect("room");
        let reference = rkyv::to_bytes::<rkyv::rancor::Error>(&document).expect("reference");
        prop_assert_eq!(payload.as_slice(), reference.as_slice());
    }

    #[test]
    fn every_archive_passes_validation(document in documents()) {
        let payload = written(&document, 1 << 16).expect("room");
        let checked = rkyv::access::<ArchivedDocument, rkyv::rancor::Error>(payload.as_slice());
        prop_assert!(checked.is_ok(), "{:?}", checked.err());
    }

    #[test]
    fn every_room_that_is_too_small_is_refused(document in documents(), cut in 1_usize..4096) {
        let needed = written(&document, 1 << 16).expect("room").as_slice().len();
        let room_bytes = needed.saturating_sub(cut);
        prop_assert_eq!(written(&document, room_bytes).err(), Some(Overflow));
    }
}

#[test]
fn a_message_fits_no_room_smaller_than_its_length() {
    let line = Line { text: "longer than an inline string".to_owned(), marks: vec![(1, true); 3] };
    let document = Document::List { title: "title".to_owned(), lines: vec![line; 9], limit: None };
    let needed = written(&document, 4096).expect("room").as_slice().len();
    let step = if cfg!(miri) { 37 } else { 1 };
    for room_bytes in (0..needed).step_by(step) {
        assert_eq!(written(&document, room_bytes).err(), Some(Overflow), "{room_bytes} bytes");
    }
    assert!(written(&document, needed).is_ok());
}

#[test]
fn a_refused_write_leaves_the_bytes_behind_the_room_alone() {
    let mut buffer = rubbish(64);
    assert_eq!(
        write(&Document::Text("x".repeat(100)), &mut buffer.as_mut_slice()[..32]),
        Err(Overflow)
    );
    assert!(buffer.as_slice()[32..].iter().all(|byte| *byte == 0xEE));
}

#[test]
fn padding_ends_where_the_room_ends() {
    for room_bytes in 8..=16 {
        let mut buffer = rubbish(32);
        assert_eq!(write(&7_u64, &mut buffer.as_mut_slice()[..room_bytes]), Ok(8));
        assert!(buffer.as_slice()[8..room_bytes].iter().all(|byte| *byte == 0));
        assert!(buffer.as_slice()[room_bytes..].iter().all(|byte| *byte == 0xEE));
    }
}

#[test]
fn a_room_off_the_alignment_is_refused() {
    let mut buffer = AlignedBuffer::zeroed(64);
    assert_eq!(write(&7_u64, &mut buffer.as_mut_slice()[8..]), Err(Overflow));
    assert_eq!(write(&7_u64, buffer.as_mut_slice()), Ok(8));
}

#[test]
fn a_message_without_fields_is_one_zero_byte() {
    let payload = written(&Start, 16).expect("room");
    assert_eq!(payload.as_slice(), [0]);
    assert_eq!(owned::<Start>(read::<Start>(&payload)), Ok(Start));
    assert_eq!(written(&Start, 0).err(), Some(Overflow));
    assert_eq!(written(&(), 16).expect("room").as_slice(), [0]);
}

#[test]
fn a_message_without_data_out_of_line_fits_its_room_exactly() {
    assert_eq!(room_bytes::<Tick>(), 32);
    assert_eq!(room_bytes::<Start>(), 16);
    let tick = Tick { price: 9, from: ActorRef::from_words(1, 2) };
    let payload = written(&tick, room_bytes::<Tick>()).expect("room");
    assert_eq!(payload.as_slice().len(), 24);
}

#[test]
fn a_reference_in_a_message_is_used_in_place() {
    let tick = Tick { price: 9, from: ActorRef::from_words(0x0102_0003_0000_0004, 5) };
    let payload = written(&tick, 32).expect("room");
    let archived: &ArchivedTick = read::<Tick>(&payload);
    assert_eq!(archived.from, tick.from);
    assert_eq!(archived.price, 9);
    assert_eq!(
        format!("{archived:?}"),
        format!("ArchivedTick {{ price: 9, from: {:?} }}", tick.from)
    );
}

#[test]
fn a_large_message_is_boxed_up_to_its_limit() {
    let text = Document::Text("x".repeat(100_000));
    let boxed = write_boxed(&text, 1 << 20).expect("below the limit");
    assert_eq!(owned::<Document>(read::<Document>(&boxed)), Ok(text.clone()));
    let needed = boxed.as_slice().len();
    assert!(write_boxed(&text, needed).is_ok());
    let limit_bytes = needed - 1;
    assert_eq!(write_boxed(&text, limit_bytes).err(), Some(TooLarge { limit_bytes }));
    assert_eq!(write_boxed(&text, 0).err(), Some(TooLarge { limit_bytes: 0 }));
}
