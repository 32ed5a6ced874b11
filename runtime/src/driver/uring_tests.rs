//! On the real kernel, one thread unless said otherwise.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use io_uring::opcode;

use super::{BELL_TAG, Completion, ParkEnd, PushError, SETUPS, Setup, Uring, UringSetupError};
use crate::driver::waker::{CoreWaker, PARKED_IN_EXECUTOR, PARKED_IN_RING};

const LONG: Duration = Duration::from_secs(20);

fn ring_with(setups: &[Setup]) -> (Uring, Arc<CoreWaker>) {
    let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
    let ring = Uring::with_setups(8, waker.clone(), setups).expect("this kernel has io_uring");
    (ring, waker)
}

#[test]
fn a_bell_rung_before_the_sleep_ends_it_at_once() {
    let (mut ring, waker) = ring_with(&SETUPS);
    waker.prepare(PARKED_IN_RING);
    assert!(waker.wake_after_publish());
    let mut completions = Vec::new();
    let end = ring.park(Some(LONG), &mut completions).expect("the kernel accepts the enter");
    assert_eq!(end, ParkEnd::Woken);
    assert!(completions.is_empty(), "the bell is the ring's own affair");
}

#[test]
fn a_wake_costs_the_sleeper_one_enter_on_every_hop() {
    let (mut ring, waker) = ring_with(&SETUPS);
    assert!(ring.features().lasting_poll, "measured where the poll stays armed");
    let mut completions = Vec::new();
    let before = ring.enters();
    for _ in 0..100 {
        waker.prepare(PARKED_IN_RING);
        waker.wake_after_publish();
        assert_eq!(
            ring.park(Some(LONG), &mut completions).expect("the enter is accepted"),
            ParkEnd::Woken
        );
        assert!(waker.cancel());
    }
    assert_eq!(ring.enters() - before, 100);
    assert_eq!(waker.signals(), 100);
}

#[test]
fn another_thread_wakes_the_sleeper_under_every_setup() {
    for first in 0..SETUPS.len() {
        let (sender, receiver) = mpsc::channel::<Arc<CoreWaker>>();
        let other = std::thread::spawn(move || {
            for waker in receiver {
                while !waker.wake_after_publish() {
                    std::thread::yield_now();
                }
            }
        });
        let (mut ring, waker) = ring_with(&SETUPS[first..]);
        let mut completions = Vec::new();
        for _ in 0..20 {
            sender.send(waker.clone()).expect("the other thread listens");
            waker.prepare(PARKED_IN_RING);
            let end = ring.park(Some(LONG), &mut completions).expect("the enter is accepted");
            assert_eq!(end, ParkEnd::Woken, "setup {first}");
            assert!(waker.cancel());
        }
        drop(sender);
        other.join().expect("the waking thread does not panic");
    }
}

#[test]
fn a_kernel_that_disarms_the_poll_costs_an_enter_more_but_no_wake() {
    let (mut ring, waker) = ring_with(&SETUPS);
    ring.features.lasting_poll = false;
    ring.bell_armed = false;
    let mut completions = Vec::new();
    for _ in 0..20 {
        waker.prepare(PARKED_IN_RING);
        // Rung after the poll is armed, as a sender would.
        ring.arm_bell();
        waker.wake_after_publish();
        assert_eq!(
            ring.park(Some(LONG), &mut completions).expect("the enter is accepted"),
            ParkEnd::Woken
        );
        assert!(waker.cancel());
        ring.bell_armed = false;
    }
}

#[test]
fn nothing_to_do_costs_no_system_call() {
    let (mut ring, _waker) = ring_with(&SETUPS);
    let mut completions = Vec::new();
    let before = ring.enters();
    for _ in 0..1_000 {
        assert!(!ring.turn(&mut completions).expect("nothing can fail"));
    }
    assert_eq!(ring.enters(), before);
}

#[test]
fn a_sleep_is_never_shorter_than_asked() {
    let (mut ring, _waker) = ring_with(&SETUPS);
    let mut completions = Vec::new();
    for timeout in [Duration::from_micros(1), Duration::from_micros(300), Duration::from_millis(3)]
    {
        let start = Instant::now();
        let end = ring.park(Some(timeout), &mut completions).expect("the enter is accepted");
        assert_eq!(end, ParkEnd::TimedOut);
        assert!(start.elapsed() >= timeout, "asked for {timeout:?}, slept {:?}", start.elapsed());
    }
}

#[test]
fn other_completions_are_handed_out_under_their_tag_and_end_a_sleep() {
    let (mut ring, _waker) = ring_with(&SETUPS);
    let mut completions = Vec::new();
    for tag in [7, 8] {
        // SAFETY: a no-operation points to nothing.
        unsafe { ring.push(opcode::Nop::new().build(), tag) }.expect("there is room");
    }
    let end = ring.park(Some(LONG), &mut completions).expect("the enter is accepted");
    assert_eq!(end, ParkEnd::Completed);
    assert_eq!(completions, [7, 8].map(|tag| Completion { tag, result: 0, flags: 0 }));
}

#[test]
fn the_rings_own_tags_are_refused() {
    let (mut ring, _waker) = ring_with(&SETUPS);
    // SAFETY: a no-operation points to nothing.
    let refused = unsafe { ring.push(opcode::Nop::new().build(), BELL_TAG) };
    assert!(matches!(refused, Err(PushError::ReservedTag { tag: BELL_TAG, .. })));
}

#[test]
fn a_full_queue_gives_the_entry_back_and_takes_more_after_a_turn() {
    let (mut ring, _waker) = ring_with(&SETUPS);
    let mut completions = Vec::new();
    let mut accepted = 0;
    let entry = loop {
        // SAFETY: a no-operation points to nothing.
        match unsafe { ring.push(opcode::Nop::new().build(), 1) } {
            Ok(()) => accepted += 1,
            Err(PushError::Full(full)) => break full.entry,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(accepted, 8);
    assert!(ring.turn(&mut completions).expect("the kernel accepts the entries"));
    assert_eq!(completions.len(), 8);
    // SAFETY: as above, and it is the same entry.
    unsafe { ring.push(entry, 1) }.expect("there is room again");
}

#[test]
fn a_core_that_sleeps_elsewhere_hears_of_completions_by_its_executor_bell() {
    let (mut ring, waker) = ring_with(&SETUPS);
    let mut completions = Vec::new();
    // SAFETY: a no-operation points to nothing.
    unsafe { ring.push(opcode::Nop::new().build(), 1) }.expect("there is room");
    ring.turn(&mut completions).expect("the enter is accepted");
    assert!(!waker.executor_bell().take(), "silent while the core is awake");

    assert!(!ring.ring_executor_bell(), "nothing has completed since");
    // SAFETY: as above.
    unsafe { ring.push(opcode::Nop::new().build(), 2) }.expect("there is room");
    ring.turn(&mut completions).expect("the enter is accepted");
    assert!(waker.executor_bell().take(), "the bell rang for the completion");
    ring.silence_executor_bell();
    waker.prepare(PARKED_IN_EXECUTOR);
    assert!(!ring.has_completions());
}

#[test]
fn a_ring_beyond_what_the_kernel_gives_is_refused_with_a_remedy() {
    let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
    let refused = Uring::new(0, waker).expect_err("no kernel gives a ring without entries");
    assert!(matches!(refused, UringSetupError::Refused { entries: 0, .. }));
    assert!(refused.to_string().contains("ulimit"), "{refused}");
}

#[test]
fn features_are_listed_by_name() {
    let (ring, _waker) = ring_with(&SETUPS[3..]);
    assert!(!ring.features().defer_taskrun());
    assert!(!ring.features().to_string().contains("defer_taskrun"));
    let (ring, _waker) = ring_with(&SETUPS);
    eprintln!("this kernel grants: {}", ring.features());
}
