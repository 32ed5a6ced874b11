//! Foreign bytes are read only if they are an archive.

use proptest::prelude::*;

use super::AlignedBuffer;
use super::archive::write_boxed;
use super::validation::{Believing, DEPTH_LIMIT, Malformed, check, read_checked};
use crate::message::{ReadError, owned};
use crate::prelude::*;

#[message(name = "test.request")]
#[derive(Debug, Clone, PartialEq)]
struct Request {
    text: String,
    parts: Vec<Part>,
    reply_to: ActorRef<Request>,
}

#[message(name = "test.request.part")]
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Flag(bool),
    Letter(char),
    Nested(Vec<Part>),
}

#[message]
#[derive(Debug)]
struct Start;

fn request(parts: Vec<Part>) -> Request {
    let text = "text that lies out of line".to_owned();
    Request { text, parts, reply_to: ActorRef::from_words(1, 2) }
}

fn payload<M: Message>(message: &M) -> AlignedBuffer {
    write_boxed(message, 1 << 20).expect("room")
}

fn checked<M: Message>(payload: &[u8]) -> Result<&Archived<M>, Malformed> {
    // SAFETY: the tests use no reference to send anything.
    unsafe { check::<M>(payload, &Believing) }
}

fn nested(depth: usize) -> Part {
    (0..depth).fold(Part::Flag(true), |part, _| Part::Nested(vec![part]))
}

#[test]
fn what_another_node_wrote_passes() {
    let request = request(vec![Part::Flag(true), Part::Letter('ß'), nested(5)]);
    let payload = payload(&request);
    let archived = checked::<Request>(payload.as_slice()).expect("valid");
    assert_eq!(archived.reply_to, request.reply_to);
    assert_eq!(owned::<Request>(archived), Ok(request));
}

#[test]
fn a_message_without_fields_is_checked_too() {
    assert!(checked::<Start>(payload(&Start).as_slice()).is_ok());
    assert!(checked::<Start>(AlignedBuffer::zeroed(2).as_slice()).is_err());
    assert!(checked::<Start>(AlignedBuffer::zeroed(0).as_slice()).is_err());
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    let depth_of = |nesting| checked::<Part>(payload(&nested(nesting)).as_slice()).map(|_| ());
    assert_eq!(depth_of(DEPTH_LIMIT - 1), Ok(()));
    let refusal = depth_of(DEPTH_LIMIT).expect_err("too deep");
    assert!(refusal.reason.to_string().contains("maximum subtree depth"), "{refusal}");
}

#[test]
fn bytes_that_nobody_vouches_for_are_held_to_the_same_rules() {
    let read = |nesting| read_checked::<Part>(payload(&nested(nesting)).as_slice()).map(|_| ());
    assert_eq!(read(DEPTH_LIMIT - 1), Ok(()));
    assert!(read(DEPTH_LIMIT).is_err());
    assert!(read_checked::<Start>(payload(&Start).as_slice()).is_ok());
    assert!(read_checked::<Start>(&[]).is_err());
    let parts = payload(&nested(3));
    let archived = read_checked::<Part>(parts.as_slice()).expect("valid");
    assert_eq!(owned::<Part>(archived), Ok(nested(3)));
    assert!(read_checked::<Part>(&parts.as_slice()[1..]).is_err());
    assert!(read_checked::<Part>(AlignedBuffer::zeroed(4).as_slice()).is_err());
}

#[test]
fn payloads_off_the_alignment_or_too_short_are_refused() {
    let mut long = AlignedBuffer::zeroed(128);
    long.as_mut_slice()[8..].fill(0);
    let refusal = checked::<u64>(&long.as_slice()[8..16]).expect_err("misaligned");
    assert_eq!(
        refusal.to_string(),
        "8 bytes are no archived `u64`: it does not start at a multiple of 16"
    );
    assert!(checked::<u64>(&long.as_slice()[..7]).is_err());
    assert!(checked::<u64>(&long.as_slice()[..12]).is_err());
    assert!(checked::<u64>(&long.as_slice()[..16]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    #[test]
    fn damage_is_found_or_harmless(
        flags: Vec<bool>,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in 0_usize..40,
    ) {
        let parts = flags.into_iter().map(Part::Flag).chain([Part::Letter('x'), nested(3)]).collect();
        let mut payload = payload(&request(parts));
        for (at, byte) in damage {
            let at = at.index(payload.as_slice().len());
            payload.as_mut_slice()[at] = byte;
        }
        payload.truncate(payload.as_slice().len() - cut);
        if let Ok(archived) = checked::<Request>(payload.as_slice()) {
            // What passes can be read to the last byte.
            let read: Result<Request, ReadError> = owned::<Request>(archived);
            let shown = format!("{read:?}{archived:?}");
            prop_assert!(shown.len() > 2);
        }
    }
}
