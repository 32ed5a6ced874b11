//! What a ring promises, scenario by scenario.

use super::boxed::tests::live_boxes;
use super::*;
use crate::frame::{FRAME_ALIGN, Header};

const CAPACITY_BYTES: usize = 1024;

fn header(len: usize, slot: u32) -> Header {
    Header::new(len as u32, 0, 0, 0, slot, 1)
}

fn push(producer: &mut Producer, slot: u32, payload: &[u8]) {
    producer.push(header(payload.len(), slot), payload).unwrap();
}

/// Slots of all published frames, which are read and released.
fn read_all(consumer: &mut Consumer) -> Vec<u32> {
    let mut slots = Vec::new();
    while let Some(frame) = consumer.next_frame() {
        slots.push(frame.header().slot());
    }
    consumer.release();
    slots
}

/// Counts how often it was dropped.
struct Dropped(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Dropped {
    fn counter() -> std::sync::Arc<std::sync::atomic::AtomicUsize> {
        Default::default()
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn only_powers_of_two_within_bounds_are_capacities() {
    for capacity_bytes in [0, 1, 32, 63, 65, 96, 1 << 31, usize::MAX] {
        let refusal = ring(capacity_bytes).unwrap_err();
        assert_eq!(refusal, CapacityError::Unsupported { capacity_bytes });
    }
    assert_eq!(ring(64).unwrap().0.capacity_bytes(), 64);
}

#[test]
fn a_ring_of_pages_is_aligned_to_pages() {
    for capacity_bytes in [4096, 64 * 1024, 1 << 20] {
        let (mut producer, _consumer) = ring(capacity_bytes).unwrap();
        let payload = producer.claim(16).unwrap().payload_ptr();
        assert_eq!(payload as usize % 4096, 16);
    }
}

#[test]
fn frames_are_invisible_until_they_are_published_and_then_visible_together() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    push(&mut producer, 1, b"first");
    push(&mut producer, 2, b"second");
    assert!(producer.unpublished());
    assert!(consumer.is_empty());
    assert!(consumer.next_frame().is_none());

    assert!(producer.publish());
    assert!(!producer.unpublished());
    assert!(!consumer.is_empty());
    let frame = consumer.next_frame().unwrap();
    assert_eq!((frame.header(), frame.payload()), (header(5, 1), &b"first"[..]));
    let frame = consumer.next_frame().unwrap();
    assert_eq!((frame.header(), frame.payload()), (header(6, 2), &b"second"[..]));
    assert!(consumer.next_frame().is_none());
}

#[test]
fn publishing_nothing_says_so() {
    let (mut producer, consumer) = ring(CAPACITY_BYTES).unwrap();
    assert!(!producer.publish());
    assert!(consumer.is_empty());
}

#[test]
fn a_payload_is_aligned_for_any_archive() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    for len in [1, 15, 16, 17, 100] {
        push(&mut producer, 0, &vec![7; len]);
    }
    producer.publish();
    while let Some(frame) = consumer.next_frame() {
        assert_eq!(frame.payload().as_ptr().align_offset(FRAME_ALIGN), 0);
    }
}

#[test]
fn a_claim_holds_what_was_asked_for_and_may_become_a_shorter_frame() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    let mut claim = producer.claim(100).unwrap();
    assert_eq!(claim.payload().len(), 112);
    claim.payload()[..3].copy_from_slice(b"abc");
    claim.commit(header(3, 1)).unwrap();
    push(&mut producer, 2, b"next");
    producer.publish();
    assert_eq!(consumer.next_frame().unwrap().payload(), b"abc");
    assert_eq!(consumer.next_frame().unwrap().payload(), b"next");
}

#[test]
fn a_dropped_claim_leaves_no_trace() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    drop(producer.claim(100).unwrap());
    assert!(!producer.unpublished());
    push(&mut producer, 1, b"kept");
    let mut claim = producer.claim(100).unwrap();
    claim.payload().fill(0xFF);
    drop(claim);
    producer.publish();
    assert_eq!(read_all(&mut consumer), [1]);
}

#[test]
fn a_full_ring_refuses_counts_and_accepts_again_after_a_release() {
    let (mut producer, mut consumer) = ring(128).unwrap();
    let mut pushed = 0;
    let refusal = loop {
        match producer.push(header(16, pushed), &[0; 16]) {
            Ok(()) => pushed += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(pushed, 3, "three records of 32 bytes, and 16 for the end of the batch");
    let full = Full { reason: FullReason::NoRoom, payload_bytes: 16, value: () };
    assert_eq!(refusal, PushError::Full(full));
    assert_eq!(producer.refusals(), 1);

    producer.publish();
    assert_eq!(consumer.next_frame().unwrap().header().slot(), 0);
    assert!(producer.claim(16).is_err(), "read, but not released");
    consumer.release();
    assert!(producer.claim(16).is_ok());
    assert_eq!(producer.refusals(), 2);
}

#[test]
fn the_largest_payload_fits_an_empty_ring_wherever_the_tail_is() {
    for capacity_bytes in [64, 128, 256, 4096] {
        let (mut producer, mut consumer) = ring(capacity_bytes).unwrap();
        let largest = producer.largest_payload_bytes();
        for step in 0..2 * capacity_bytes / 16 {
            push(&mut producer, 1, &vec![1; largest]);
            producer.publish();
            assert_eq!(consumer.next_frame().unwrap().payload(), vec![1; largest]);
            consumer.release();
            push(&mut producer, 2, &vec![2; 1 + step % 16]);
            producer.publish();
            assert_eq!(read_all(&mut consumer), [2]);
        }
    }
}

#[test]
fn a_payload_over_the_largest_is_told_to_go_boxed() {
    let (mut producer, _consumer) = ring(CAPACITY_BYTES).unwrap();
    assert_eq!(producer.largest_payload_bytes(), 240);
    for payload_bytes in [241, 1 << 20, usize::MAX] {
        let full = producer.claim(payload_bytes).unwrap_err();
        assert_eq!((full.reason, full.payload_bytes), (FullReason::TooLarge, payload_bytes));
    }
    assert_eq!(producer.refusals(), 0, "the ring was not full");
}

#[test]
fn a_record_that_would_cross_the_end_starts_over_at_the_beginning() {
    let (mut producer, mut consumer) = ring(256).unwrap();
    for slot in 0..100 {
        let payload = vec![slot as u8; 1 + slot as usize % 48];
        push(&mut producer, slot, &payload);
        producer.publish();
        let frame = consumer.next_frame().unwrap();
        assert_eq!((frame.header().slot(), frame.payload()), (slot, &payload[..]));
        assert!(consumer.next_frame().is_none());
        consumer.release();
    }
}

#[test]
fn headers_that_do_not_fit_are_refused_and_nothing_is_appended() {
    let (mut producer, _consumer) = ring(CAPACITY_BYTES).unwrap();
    let refuse = |producer: &mut Producer, header: Header| {
        producer.claim(16).unwrap().commit(header).unwrap_err()
    };
    assert_eq!(refuse(&mut producer, header(0, 1)), HeaderError::Empty);
    let length = HeaderError::Length { len: 17, payload_bytes: 16 };
    assert_eq!(refuse(&mut producer, header(17, 1)), length);
    for (kind, flags) in [(KIND_PADDING, 0), (0, FLAG_BOXED), (0, FLAG_PARCEL), (3, 0xC1)] {
        let forged = Header::new(16, 0, kind, flags, 1, 1);
        let reserved = HeaderError::Reserved { kind, flags };
        assert_eq!(refuse(&mut producer, forged), reserved);
        let parcel = producer.push_parcel(forged, Box::new(5_u8)).unwrap_err();
        assert!(matches!(&parcel, PushError::Header { error, .. } if *error == reserved));
        assert_eq!(parcel.into_value().downcast_ref(), Some(&5_u8));
    }
    let length = HeaderError::Length { len: 3, payload_bytes: 2 };
    assert_eq!(producer.push(header(3, 1), b"ab"), Err(length.into()));
    assert!(!producer.unpublished());
}

#[test]
fn unusual_kinds_ports_and_flags_arrive_as_they_were_sent() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    let unusual = Header::new(4, 0xFFFF, 0xFE, 0x3F, u32::MAX, u32::MAX);
    producer.push(unusual, b"four").unwrap();
    producer.publish();
    assert_eq!(consumer.next_frame().unwrap().header(), unusual);
}

#[test]
fn a_rollback_drops_what_came_after_its_mark() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    push(&mut producer, 1, b"kept");
    let outer = producer.mark();
    push(&mut producer, 2, b"dropped by the outer");
    let inner = producer.mark();
    push(&mut producer, 3, b"dropped by the inner");
    producer.rollback(inner);
    push(&mut producer, 4, b"dropped by the outer");
    producer.rollback(outer);
    push(&mut producer, 5, b"after");
    producer.publish();
    assert_eq!(read_all(&mut consumer), [1, 5]);
}

#[test]
fn a_rollback_of_the_whole_batch_leaves_nothing_to_publish() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    let start = producer.mark();
    push(&mut producer, 1, b"dropped");
    producer.rollback(start);
    assert!(!producer.publish());
    push(&mut producer, 2, b"after");
    producer.publish();
    assert_eq!(read_all(&mut consumer), [2]);
}

#[test]
fn a_mark_older_than_the_last_publication_cannot_take_it_back() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    let stale = producer.mark();
    push(&mut producer, 1, b"published");
    producer.publish();
    push(&mut producer, 2, b"dropped");
    producer.rollback(stale);
    assert!(!producer.unpublished());
    assert_eq!(read_all(&mut consumer), [1]);
}

#[test]
fn a_mark_inside_a_frame_drops_that_frame_whole() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    push(&mut producer, 1, &[0; 16]);
    let start = producer.mark();
    push(&mut producer, 2, &[0; 16]);
    let later = producer.mark();
    producer.rollback(start);
    push(&mut producer, 3, &[0xFF; 100]);
    producer.rollback(later);
    producer.publish();
    assert_eq!(read_all(&mut consumer), [1]);
}

#[test]
fn a_mark_ahead_of_the_tail_changes_nothing() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    push(&mut producer, 1, b"dropped");
    let ahead = producer.mark();
    producer.rollback(Producer::mark(&ring(64).unwrap().0));
    producer.rollback(ahead);
    push(&mut producer, 2, b"k");
    producer.publish();
    assert_eq!(read_all(&mut consumer), [2]);
}

#[test]
fn a_rollback_across_the_end_takes_the_padding_back_too() {
    let (mut producer, mut consumer) = ring(256).unwrap();
    for slot in 0..7 {
        push(&mut producer, slot, &[0; 16]);
        producer.publish();
        read_all(&mut consumer);
    }
    let mark = producer.mark();
    push(&mut producer, 8, &[0; 48]);
    producer.rollback(mark);
    assert!(!producer.unpublished());
    push(&mut producer, 9, &[0; 16]);
    push(&mut producer, 10, &[0; 48]);
    producer.publish();
    assert_eq!(read_all(&mut consumer), [9, 10]);
}

#[test]
fn a_mark_between_padding_and_its_frame_drops_both() {
    let (mut other, _other_consumer) = ring(512).unwrap();
    for slot in 0..8 {
        push(&mut other, slot, &[0; 16]);
    }
    let behind_the_padding = other.mark();

    let (mut producer, mut consumer) = ring(256).unwrap();
    for slot in 0..7 {
        push(&mut producer, slot, &[0; 16]);
        producer.publish();
        read_all(&mut consumer);
    }
    push(&mut producer, 8, &[0; 48]);
    producer.rollback(behind_the_padding);
    assert!(!producer.unpublished());
}

#[test]
fn a_boxed_payload_arrives_uncopied_with_the_senders_header_and_is_freed_behind() {
    let before = live_boxes();
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    let mut payload = BoxedPayload::zeroed(5_000).unwrap();
    payload.as_mut_slice().fill(9);
    let address = payload.as_slice().as_ptr();
    let sent = Header::new(5_000, 3, 4, 5, 6, 7);
    producer.push_boxed(sent, payload).unwrap();
    push(&mut producer, 1, b"after");
    producer.publish();

    let frame = consumer.next_frame().unwrap();
    assert_eq!(frame.header(), sent);
    assert_eq!(frame.payload(), vec![9; 5_000]);
    assert_eq!(frame.payload().as_ptr(), address);
    assert_eq!(frame.as_ptr().wrapping_add(2).cast(), address, "header and payload in one piece");
    assert_eq!(live_boxes(), before + 1);
    assert_eq!(consumer.next_frame().unwrap().payload(), b"after");
    assert_eq!(live_boxes(), before, "the consumer has moved past it");
}

#[test]
fn a_boxed_payload_is_freed_by_release_rollback_and_either_end_of_the_ring() {
    let before = live_boxes();
    let push_boxed = |producer: &mut Producer| {
        producer.push_boxed(header(300, 1), BoxedPayload::zeroed(300).unwrap()).unwrap();
    };

    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    push_boxed(&mut producer);
    producer.publish();
    consumer.next_frame().unwrap();
    consumer.release();
    assert_eq!(live_boxes(), before, "release");

    let mark = producer.mark();
    push_boxed(&mut producer);
    push_boxed(&mut producer);
    producer.rollback(mark);
    assert_eq!(live_boxes(), before, "rollback");

    push_boxed(&mut producer);
    producer.publish();
    consumer.next_frame().unwrap();
    drop(consumer);
    assert_eq!(live_boxes(), before, "the consumer's end");

    push_boxed(&mut producer);
    producer.publish();
    push_boxed(&mut producer);
    assert_eq!(live_boxes(), before + 2);
    drop(producer);
    assert_eq!(live_boxes(), before, "unread and unpublished ones, at the end of the ring");
}

#[test]
fn a_boxed_payload_not_accepted_comes_back() {
    let (mut producer, _consumer) = ring(64).unwrap();
    push(&mut producer, 1, b"x");
    let mut payload = BoxedPayload::zeroed(300).unwrap();
    payload.as_mut_slice()[0] = 42;
    let refusal = producer.push_boxed(header(300, 2), payload).unwrap_err();
    assert!(matches!(&refusal, PushError::Full(full) if full.reason == FullReason::NoRoom));
    assert_eq!(refusal.into_value().as_slice()[0], 42);

    let short = BoxedPayload::zeroed(10).unwrap();
    let refusal = producer.push_boxed(header(11, 2), short).unwrap_err();
    let length = HeaderError::Length { len: 11, payload_bytes: 10 };
    assert!(matches!(&refusal, PushError::Header { error, .. } if *error == length));
    assert_eq!(refusal.into_value().len(), 10);
}

#[test]
fn boxed_bytes_on_their_way_are_limited() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    let push_boxed = |producer: &mut Producer, payload_bytes: usize| {
        let payload = BoxedPayload::zeroed(payload_bytes).unwrap();
        producer.push_boxed(header(payload_bytes, 1), payload)
    };
    let mark = producer.mark();
    push_boxed(&mut producer, BOXED_LIMIT_BYTES).unwrap();
    let refusal = push_boxed(&mut producer, 1).unwrap_err();
    assert!(matches!(refusal, PushError::Full(full) if full.reason == FullReason::BoxedLimit));
    producer.rollback(mark);
    push_boxed(&mut producer, BOXED_LIMIT_BYTES).expect("a rollback gives the bytes back");
    producer.publish();
    consumer.next_frame().unwrap();
    push_boxed(&mut producer, 1).unwrap_err();
    consumer.release();
    push_boxed(&mut producer, BOXED_LIMIT_BYTES).expect("so does reading");
}

#[test]
fn a_parcel_can_be_taken_once() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    let sent = Header::new(1, 0, 9, 0, 6, 7);
    producer.push_parcel(sent, Box::new(String::from("owned"))).unwrap();
    push(&mut producer, 1, b"plain");
    producer.publish();

    let frame = consumer.next_frame().unwrap();
    let shown = frame.header();
    assert_eq!((shown.kind(), shown.flags(), shown.slot()), (9, FLAG_PARCEL, 6));
    assert_eq!(frame.payload(), b"");
    let copy = frame;
    let parcel = frame.take_parcel().unwrap();
    assert_eq!(*parcel.downcast::<String>().unwrap(), "owned");
    assert!(copy.take_parcel().is_none());
    assert!(consumer.next_frame().unwrap().take_parcel().is_none());
}

#[test]
fn a_parcel_that_nobody_takes_is_freed_once_however_it_ends() {
    let drops = Dropped::counter();
    let parcel = || Box::new(Dropped(drops.clone()));
    let count = || drops.load(Ordering::Relaxed);
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();

    producer.push_parcel(header(1, 1), parcel()).unwrap();
    producer.publish();
    consumer.next_frame().unwrap();
    assert!(consumer.next_frame().is_none());
    assert_eq!(count(), 1, "the consumer moved on");

    let mark = producer.mark();
    producer.push_parcel(header(1, 1), parcel()).unwrap();
    producer.rollback(mark);
    assert_eq!(count(), 2, "rollback");

    producer.push_parcel(header(1, 1), parcel()).unwrap();
    producer.push_parcel(header(1, 2), parcel()).unwrap();
    producer.publish();
    producer.push_parcel(header(1, 3), parcel()).unwrap();
    drop(producer);
    assert_eq!(count(), 3, "the unpublished one, with its producer");
    assert!(consumer.next_frame().unwrap().take_parcel().is_some());
    assert_eq!(count(), 4, "taken, and dropped by this test");
    drop(consumer);
    assert_eq!(count(), 5, "the unread one, with the ring");
}

#[test]
fn a_parcel_whose_destructor_panics_does_not_stop_a_rollback() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("not disarmed"));
        }
    }
    let drops = Dropped::counter();
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    let mark = producer.mark();
    producer.push_parcel(header(1, 1), Box::new(Bomb)).unwrap();
    producer.push_parcel(header(1, 2), Box::new(Dropped(drops.clone()))).unwrap();
    producer.rollback(mark);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    push(&mut producer, 3, b"after");
    producer.publish();
    assert_eq!(read_all(&mut consumer), [3]);
}

#[test]
fn each_side_learns_that_the_other_is_gone() {
    let (mut producer, mut consumer) = ring(CAPACITY_BYTES).unwrap();
    push(&mut producer, 1, b"published");
    producer.publish();
    push(&mut producer, 2, b"not published");
    assert!(!consumer.is_abandoned());
    drop(producer);
    assert!(consumer.is_abandoned());
    assert_eq!(read_all(&mut consumer), [1], "what is published stays");

    let (mut producer, consumer) = ring(CAPACITY_BYTES).unwrap();
    assert!(!producer.is_abandoned());
    drop(consumer);
    assert!(producer.is_abandoned());
    push(&mut producer, 1, b"harmless");
    producer.publish();
}

#[test]
fn the_consumer_may_touch_the_memory_before_the_producer_and_only_then() {
    let (mut producer, mut consumer) = ring(1 << 20).unwrap();
    assert!(consumer.touch());
    assert!(!consumer.touch(), "once is enough");
    push(&mut producer, 1, b"works");
    producer.publish();
    assert_eq!(read_all(&mut consumer), [1]);

    let (mut producer, mut consumer) = ring(1 << 20).unwrap();
    drop(producer.claim(16).unwrap());
    assert!(!consumer.touch(), "the producer was first");
}

#[test]
fn both_sides_can_move_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<Producer>();
    is_send::<Consumer>();
    is_send::<BoxedPayload>();
}

/// Two threads, all sizes, all ways to travel: everything arrives whole, once and in order.
#[test]
fn a_stream_between_two_threads_arrives_whole_and_in_order() {
    const FRAMES: u32 = 200_000;
    let (mut producer, mut consumer) = ring(4096).unwrap();
    let receiver = std::thread::spawn(move || {
        let mut expected = 0;
        while expected < FRAMES {
            while let Some(frame) = consumer.next_frame() {
                assert_eq!(frame.header().slot(), expected);
                let byte = expected as u8;
                match frame.take_parcel() {
                    Some(parcel) => assert_eq!(*parcel.downcast::<u32>().unwrap(), expected),
                    None => assert!(frame.payload().iter().all(|b| *b == byte)),
                }
                expected += 1;
            }
            consumer.release();
            std::thread::yield_now();
        }
    });
    for slot in 0..FRAMES {
        let len = 1 + slot as usize % 700;
        while !send_somehow(&mut producer, slot, len) {
            producer.publish();
            std::thread::yield_now();
        }
        if slot % 7 == 0 {
            producer.publish();
        }
    }
    producer.publish();
    receiver.join().unwrap();
}

fn send_somehow(producer: &mut Producer, slot: u32, len: usize) -> bool {
    if slot.is_multiple_of(101) {
        producer.push_parcel(header(1, slot), Box::new(slot)).is_ok()
    } else if slot.is_multiple_of(103) {
        let mut payload = BoxedPayload::zeroed(len).unwrap();
        payload.as_mut_slice().fill(slot as u8);
        producer.push_boxed(header(len, slot), payload).is_ok()
    } else if let Ok(mut claim) = producer.claim(len) {
        claim.payload().fill(slot as u8);
        claim.commit(header(len, slot)).is_ok()
    } else {
        false
    }
}
