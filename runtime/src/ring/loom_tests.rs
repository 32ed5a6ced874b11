//! Every interleaving of small rings and of the wake protocol, under loom's model of memory.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p mainspring --lib loom_tests`
//!
//! Loom also checks the plain accesses: the memory notes each of them (see `memory.rs`), and one
//! that is not ordered by a publication or a release fails the test. So a torn frame is found even
//! where its bytes happen to be right.

use super::*;
use crate::frame::Header;
use loom::thread;

fn header(len: usize, slot: u32) -> Header {
    Header::new(len as u32, 0, 0, 0, slot, !slot)
}

fn push(producer: &mut Producer, slot: u32, len: usize) -> bool {
    producer.push(header(len, slot), &vec![slot as u8; len]).is_ok()
}

/// Reads what is there, at most `limit` frames; checks each against the numbers that were sent in
/// order.
fn read(consumer: &mut Consumer, next: &mut u32, limit: usize) {
    for _ in 0..limit {
        let Some(frame) = consumer.next_frame() else { break };
        let header = frame.header();
        assert_eq!((header.slot(), header.generation()), (*next, !*next), "lost, doubled or torn");
        assert!(frame.payload().iter().all(|byte| *byte == *next as u8), "torn payload");
        *next += 1;
    }
    consumer.release();
}

/// Runs both sides to the end: the producer sends frames of these sizes and publishes where `true`
/// is given, the consumer looks a few times meanwhile. What it has not seen then must be there when
/// the producer has ended, or have been refused.
fn stream(capacity_bytes: usize, frames: &'static [(usize, bool)], looks: usize) {
    loom::model(move || {
        let (mut producer, mut consumer) = ring(capacity_bytes).unwrap();
        let sender = thread::spawn(move || {
            let mut sent = 0;
            for (len, publish) in frames {
                if !push(&mut producer, sent, *len) {
                    break;
                }
                sent += 1;
                if *publish {
                    assert!(producer.publish());
                }
            }
            producer.publish();
            sent
        });
        let mut next = 0;
        for _ in 0..looks {
            read(&mut consumer, &mut next, usize::MAX);
        }
        let sent = sender.join().unwrap();
        read(&mut consumer, &mut next, usize::MAX);
        assert_eq!(next, sent);
        assert!(consumer.is_abandoned());
    });
}

#[test]
fn frames_published_one_by_one_arrive_whole() {
    stream(128, &[(16, true), (1, true), (16, true)], 3);
}

#[test]
fn a_batch_arrives_whole() {
    stream(128, &[(1, false), (16, false), (3, true)], 2);
}

#[test]
fn a_batch_behind_a_batch_is_not_mistaken_for_its_end() {
    stream(128, &[(1, false), (1, true), (1, true)], 3);
}

#[test]
fn the_space_that_was_released_is_written_again_round_the_end() {
    stream(64, &[(16, true), (16, true), (16, true), (16, true)], 3);
}

#[test]
fn a_padding_record_is_published_with_the_frame_behind_it() {
    stream(128, &[(16, true), (16, true), (32, true), (32, true)], 3);
}

/// The first frames leave no room, so what follows depends on when the release is seen.
#[test]
fn a_full_ring_refuses_until_a_release_is_seen() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(64).unwrap();
        assert!(push(&mut producer, 0, 16));
        assert!(!push(&mut producer, 1, 16), "a record and the end of the batch fill it");
        producer.publish();
        let sender = thread::spawn(move || {
            let accepted = push(&mut producer, 1, 16);
            producer.publish();
            (producer, accepted)
        });
        let mut next = 0;
        read(&mut consumer, &mut next, usize::MAX);
        let read_meanwhile = next;
        let (mut producer, accepted) = sender.join().unwrap();
        if !accepted {
            assert_eq!(read_meanwhile, 1);
            assert!(push(&mut producer, 1, 16), "the release is visible now");
            producer.publish();
        }
        read(&mut consumer, &mut next, usize::MAX);
        assert_eq!(next, 2);
    });
}

#[test]
fn a_rollback_beside_a_reader_is_never_seen() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(128).unwrap();
        let sender = thread::spawn(move || {
            let mark = producer.mark();
            assert!(push(&mut producer, 7, 16));
            producer.rollback(mark);
            assert!(push(&mut producer, 0, 1));
            let mark = producer.mark();
            assert!(push(&mut producer, 7, 1));
            producer.rollback(mark);
            producer.publish();
        });
        let mut next = 0;
        read(&mut consumer, &mut next, usize::MAX);
        sender.join().unwrap();
        read(&mut consumer, &mut next, usize::MAX);
        assert_eq!(next, 1);
    });
}

#[test]
fn an_abandoned_ring_that_is_empty_stays_empty() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(64).unwrap();
        let sender = thread::spawn(move || {
            assert!(push(&mut producer, 0, 1));
            producer.publish();
        });
        let mut next = 0;
        if consumer.is_abandoned() {
            read(&mut consumer, &mut next, usize::MAX);
            assert_eq!(next, 1, "gone means that everything published is visible");
        }
        sender.join().unwrap();
        read(&mut consumer, &mut next, usize::MAX);
        assert_eq!(next, 1);
    });
}

/// What a record owns is freed by exactly one side, whichever goes first.
#[test]
fn a_parcel_is_freed_once_when_both_sides_go_at_the_same_time() {
    loom::model(|| {
        let counter = Arc::new(());
        let (mut producer, mut consumer) = ring(128).unwrap();
        let (first, second) = (counter.clone(), counter.clone());
        let sender = thread::spawn(move || {
            producer.push_parcel(header(1, 0), Box::new(first)).unwrap();
            producer.publish();
            producer.push_parcel(header(1, 1), Box::new(second)).unwrap();
        });
        let taken = consumer.next_frame().and_then(|frame| frame.take_parcel());
        drop(consumer);
        sender.join().unwrap();
        drop(taken);
        assert_eq!(Arc::strong_count(&counter), 1);
    });
}

#[test]
fn the_first_touch_and_the_first_claim_do_not_meet() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(64).unwrap();
        let sender = thread::spawn(move || {
            let accepted = push(&mut producer, 0, 1);
            producer.publish();
            accepted
        });
        let touched = consumer.touch();
        let accepted = sender.join().unwrap();
        assert!(touched || accepted, "one of them was first");
        let mut next = 0;
        read(&mut consumer, &mut next, usize::MAX);
        assert_eq!(next, u32::from(accepted));
    });
}

/// The core looks once more after `prepare`; if it sees nothing it would sleep, so the sender must
/// wake it.
#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let flag = Arc::new(WakeFlag::new());
        let (mut producer, mut consumer) = ring(64).unwrap();
        let sender = thread::spawn({
            let flag = flag.clone();
            move || {
                assert!(push(&mut producer, 0, 1));
                producer.publish();
                flag.should_wake()
            }
        });
        flag.prepare(2);
        let sleeps = consumer.is_empty();
        if sleeps {
            let mode = sender.join().unwrap();
            assert_eq!(mode, 2, "asleep with a frame in the ring and no wake-up on its way");
            assert!(flag.cancel());
        } else {
            let on_its_way = flag.cancel();
            let mode = sender.join().unwrap();
            assert_eq!(on_its_way, mode == 2, "a wake-up that nobody expects, or waits for");
        }
        let mut next = 0;
        read(&mut consumer, &mut next, usize::MAX);
        assert_eq!(next, 1);
    });
}

#[test]
fn of_two_senders_at_most_one_wakes_and_one_does_if_the_core_sleeps() {
    loom::model(|| {
        let flag = Arc::new(WakeFlag::new());
        let senders = [(), ()].map(|()| {
            let flag = flag.clone();
            let (mut producer, consumer) = ring(64).unwrap();
            let sender = thread::spawn(move || {
                assert!(push(&mut producer, 0, 1));
                producer.publish();
                flag.should_wake()
            });
            (sender, consumer)
        });
        flag.prepare(1);
        let sleeps = senders.iter().all(|(_, consumer)| consumer.is_empty());
        let on_its_way = !sleeps && flag.cancel();
        let modes = senders.map(|(sender, _)| sender.join().unwrap());
        let wakes = modes.iter().sum::<u32>();
        if sleeps {
            assert_eq!(wakes, 1);
        } else {
            assert_eq!(wakes, u32::from(on_its_way));
        }
    });
}
