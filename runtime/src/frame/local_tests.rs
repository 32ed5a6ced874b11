//! Local payloads are owned by one place at a time, and freed exactly once.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use super::archive::{
    self, LocalRefusal, Written, local_room_bytes, write_local_at, write_local_boxed,
};
use super::local::{LOCALS_PER_MESSAGE_LIMIT, drop_locals};
use super::{AlignedBuffer, FLAG_LOCAL};
use crate::message::Schema;
use crate::prelude::*;

#[message]
struct Subscribe {
    name: String,
    events: Local<Sender<u32>>,
    rest: Vec<Local<Arc<u32>>>,
}

#[message]
struct Plain {
    number: u64,
}

fn send<M: LocalMessage>(message: &M, room_bytes: usize) -> Result<Frame, LocalRefusal> {
    let mut payload = AlignedBuffer::zeroed(room_bytes);
    let room = payload.as_mut_slice().as_mut_ptr();
    // SAFETY: the buffer is aligned and ours.
    let Written { payload_bytes, flags } = unsafe { write_local_at(message, room, room_bytes)? };
    payload.truncate(payload_bytes);
    Ok(Frame { payload, flags })
}

#[derive(Debug)]
struct Frame {
    payload: AlignedBuffer,
    flags: u8,
}

impl Frame {
    fn read<M: LocalMessage>(&self) -> &Archived<M> {
        let bytes = self.payload.as_slice();
        // SAFETY: the tests read a frame as the type they sent.
        unsafe { archive::root::<M>(bytes.as_ptr(), bytes.len()) }
    }

    fn drop_locals(&self) -> usize {
        drop_locals(self.payload.as_slice())
    }
}

fn subscribe(events: Sender<u32>, rest: Vec<Arc<u32>>) -> Subscribe {
    let rest = rest.into_iter().map(Local::new).collect();
    Subscribe {
        name: "a name that does not fit inline".to_owned(),
        events: Local::new(events),
        rest,
    }
}

#[test]
fn the_receiver_takes_the_value_once() {
    let (sender, receiver) = channel();
    let frame = send(&subscribe(sender, vec![]), 512).expect("room");
    assert_eq!(frame.flags, FLAG_LOCAL);
    let archived = frame.read::<Subscribe>();
    assert_eq!(archived.name, "a name that does not fit inline");
    let events = archived.events.take().expect("first take");
    events.send(7).expect("the receiver lives");
    assert_eq!(receiver.recv(), Ok(7));
    assert!(archived.events.take().is_none());
    assert_eq!(frame.drop_locals(), 0);
}

#[test]
fn what_is_not_taken_is_freed_with_the_frame() {
    let (sender, receiver) = channel();
    let shared = Arc::new(5);
    let message = subscribe(sender, vec![shared.clone(), shared.clone()]);
    let frame = send(&message, 512).expect("room");
    drop(message);
    assert_eq!(Arc::strong_count(&shared), 3);
    assert_eq!(frame.read::<Subscribe>().rest[1].take().as_deref(), Some(&5));
    assert_eq!(frame.drop_locals(), 2);
    assert_eq!(frame.drop_locals(), 0);
    assert_eq!(Arc::strong_count(&shared), 1);
    assert!(receiver.recv().is_err(), "the sender was freed");
}

#[test]
fn a_copied_frame_takes_the_ownership_along() {
    let shared = Arc::new(5);
    let frame = send(&subscribe(channel().0, vec![shared.clone()]), 512).expect("room");
    let mut copy = AlignedBuffer::zeroed(frame.payload.as_slice().len());
    copy.as_mut_slice().copy_from_slice(frame.payload.as_slice());
    let copy = Frame { payload: copy, flags: frame.flags };
    assert!(copy.read::<Subscribe>().rest[0].take().is_some());
    assert!(frame.read::<Subscribe>().rest[0].take().is_none());
    assert_eq!(copy.drop_locals() + frame.drop_locals(), 1, "only the channel was left");
}

#[test]
fn a_message_sent_twice_carries_its_values_once() {
    let shared = Arc::new(5);
    let message = subscribe(channel().0, vec![shared.clone()]);
    let first = send(&message, 512).expect("room");
    let second = send(&message, 512).expect("room");
    assert_eq!((first.flags, second.flags), (FLAG_LOCAL, 0));
    assert!(second.read::<Subscribe>().rest[0].take().is_none());
    assert!(first.read::<Subscribe>().rest[0].take().is_some());
    assert_eq!(first.drop_locals() + second.drop_locals(), 1);
}

#[test]
fn a_refused_send_leaves_the_values_in_the_message() {
    let shared = Arc::new(5);
    let message = subscribe(channel().0, vec![shared.clone(); 3]);
    let mut refusals = 0;
    let frame = (0..512).find_map(|room_bytes| match send(&message, room_bytes) {
        Ok(frame) => Some(frame),
        Err(refusal) => {
            assert_eq!(refusal, LocalRefusal::Overflow);
            refusals += 1;
            None
        }
    });
    assert!(refusals > 100, "{refusals}");
    let frame = frame.expect("512 bytes are enough");
    assert_eq!(frame.drop_locals(), 4);
    assert_eq!(Arc::strong_count(&shared), 1);
}

#[test]
fn a_message_that_is_never_sent_frees_its_values() {
    let shared = Arc::new(5);
    let message = subscribe(channel().0, vec![shared.clone()]);
    assert_eq!(send(&message, 16).err(), Some(LocalRefusal::Overflow));
    drop(message);
    assert_eq!(Arc::strong_count(&shared), 1);
    assert_eq!(Local::new(3).into_inner(), Some(3));
}

#[test]
fn more_payloads_than_a_message_may_hold_are_refused() {
    let shared = Arc::new(5);
    let fits = subscribe(channel().0, vec![shared.clone(); LOCALS_PER_MESSAGE_LIMIT - 1]);
    assert_eq!(send(&fits, 4096).expect("room").drop_locals(), LOCALS_PER_MESSAGE_LIMIT);
    let message = subscribe(channel().0, vec![shared.clone(); LOCALS_PER_MESSAGE_LIMIT]);
    assert_eq!(send(&message, 4096).err(), Some(LocalRefusal::TooManyLocals));
    assert_eq!(write_local_boxed(&message, 4096).err(), Some(LocalRefusal::TooManyLocals));
    drop((fits, message));
    assert_eq!(Arc::strong_count(&shared), 1);
}

#[test]
fn a_large_local_message_is_boxed() {
    let shared = Arc::new(5);
    let mut message = subscribe(channel().0, vec![shared.clone()]);
    message.name = "x".repeat(50_000);
    assert_eq!(
        write_local_boxed(&message, 40_000).err(),
        Some(LocalRefusal::TooLarge { limit_bytes: 40_000 })
    );
    let (payload, flags) = write_local_boxed(&message, 1 << 20).expect("room");
    let frame = Frame { payload, flags };
    assert!(frame.read::<Subscribe>().rest[0].take().is_some());
    assert_eq!((frame.flags, frame.drop_locals()), (FLAG_LOCAL, 1));
}

#[test]
fn a_message_without_locals_has_no_prefix() {
    const { assert!(!Plain::HOLDS_LOCALS && Subscribe::HOLDS_LOCALS) };
    assert_eq!(local_room_bytes::<Plain>(), archive::room_bytes::<Plain>());
    let frame = send(&Plain { number: 3 }, local_room_bytes::<Plain>()).expect("room");
    assert_eq!((frame.payload.as_slice().len(), frame.flags), (8, 0));
}

#[test]
fn a_value_whose_drop_panics_does_not_reach_the_cleaner() {
    struct Fragile;
    impl Drop for Fragile {
        fn drop(&mut self) {
            panic!("expected by the test");
        }
    }
    let frame = send(&Local::new(Fragile), 512).expect("room");
    assert_eq!(frame.drop_locals(), 1);
}

#[test]
fn damaged_payloads_free_nothing() {
    assert_eq!(drop_locals(&[]), 0);
    assert_eq!(drop_locals(&[0xFF; 64]), 0);
    assert_eq!(drop_locals(&[16, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]), 0);
    assert_eq!(drop_locals(&[0; 40]), 0);
}
