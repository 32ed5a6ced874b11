//! Places and cells: generations, reuse, retirement, families.

use std::cell::Cell as Counter;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::actor::Next;
use crate::context::Context;

#[crate::message]
struct Nothing;

/// Counts its drops; its size is a parameter, so that cells of several size classes take part.
struct Counted<const BYTES: usize>(Rc<Counter<usize>>, [u8; BYTES]);

impl<const BYTES: usize> Actor for Counted<BYTES> {
    type Message = Nothing;

    fn receive(&mut self, _: &mut Context<Self>, _: &rkyv::Archived<Nothing>) -> Next<Self> {
        Next::Same
    }
}

impl<const BYTES: usize> Drop for Counted<BYTES> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A state filled with `fill`.
fn counted<const BYTES: usize>(drops: &Rc<Counter<usize>>, fill: u8) -> Counted<BYTES> {
    Counted(Rc::clone(drops), [fill; BYTES])
}

fn take_out(slots: &mut Slots, me: u64) {
    let cell = slots.find(me).expect("alive");
    slots.drop_state(cell);
    slots.remove(me);
}

#[test]
fn a_place_is_used_again_with_the_next_generation() {
    let drops = Rc::default();
    let mut slots = Slots::new(10);
    let first = slots.insert(counted::<8>(&drops, 1), NO_SLOT).expect("room");
    take_out(&mut slots, first);
    let second = slots.insert(counted::<8>(&drops, 2), NO_SLOT).expect("room");
    assert_eq!(first as u32, second as u32);
    assert_eq!((first >> 32) + 1, second >> 32);
    assert!(slots.find(first).is_none() && slots.find(second).is_some());
}

#[test]
fn a_place_whose_generations_are_used_up_is_retired() {
    let drops = Rc::default();
    let mut slots = Slots::new(10);
    let first = slots.insert(counted::<8>(&drops, 1), NO_SLOT).expect("room");
    take_out(&mut slots, first);
    // The last generation but none.
    slots.free = vec![(first as u32, GENERATION_MAX)];
    let last = slots.insert(counted::<8>(&drops, 1), NO_SLOT).expect("room");
    assert_eq!((last as u32, (last >> 32) as u32), (first as u32, GENERATION_MAX));
    assert_eq!(last & UNUSUAL, 0, "a generation never touches the flag");
    take_out(&mut slots, last);
    assert_eq!(slots.retired, 1);
    let next = slots.insert(counted::<8>(&drops, 1), NO_SLOT).expect("room");
    assert_ne!(next as u32, first as u32);
}

#[test]
fn at_the_limit_nothing_is_made_and_nothing_changes() {
    let drops = Rc::default();
    let mut slots = Slots::new(2);
    for _ in 0..2 {
        slots.insert(counted::<8>(&drops, 1), NO_SLOT).expect("room");
    }
    let refused = slots.insert(counted::<8>(&drops, 1), NO_SLOT);
    assert_eq!(refused, Err(ActorsFull { limit: 2 }));
    assert_eq!((slots.live(), drops.get()), (2, 1), "the refused state is dropped");
}

#[test]
fn no_word_of_a_reference_is_the_tombstones() {
    let slots = Slots::new(2);
    for me in [0, 1 << 32, u64::MAX, u64::from(u32::MAX), UNUSUAL - 1] {
        assert!(slots.find(me).is_none(), "{me:#x}");
        // SAFETY: the tombstone is a valid head.
        let found = unsafe { (*slots.cell(me as u32).as_ptr()).me };
        assert_ne!(
            found, me,
            "a message for {me:#x} would be handled by nobody and not be counted"
        );
    }
}

proptest! {
    /// Random makings and takings-out: states stay intact, are dropped once, families are true, memory is used again.
    #[test]
    fn places_and_families_equal_a_model(
        steps in proptest::collection::vec((0..5u8, 0..64usize), 1..300),
    ) {
        let drops = Rc::<Counter<usize>>::default();
        let mut slots = Slots::new(256);
        // The model: word, parent, fill, and whether it is large.
        let mut living: Vec<(u64, u32, u8, bool)> = Vec::new();
        let (mut made, mut gone) = (0usize, Vec::new());
        for (kind, pick) in steps {
            let parent = match living.get(pick) {
                Some((me, ..)) if kind != 0 => *me as u32,
                _ => NO_SLOT,
            };
            let fill = made as u8;
            match kind {
                0..=2 => {
                    let large = kind == 2;
                    let me = match large {
                        true => slots.insert(counted::<5_000>(&drops, fill), parent),
                        false => slots.insert(counted::<40>(&drops, fill), parent),
                    };
                    living.push((me.expect("room"), parent, fill, large));
                    made += 1;
                }
                _ if living.is_empty() => {}
                _ => {
                    let at = pick % living.len();
                    let me = living[at].0;
                    if !living.iter().any(|(_, parent, ..)| *parent == me as u32) {
                        take_out(&mut slots, me);
                        gone.push(me);
                        living.remove(at);
                    }
                }
            }
            prop_assert_eq!(slots.live(), living.len());
            prop_assert_eq!(drops.get(), made - living.len());
            for (me, parent, fill, large) in &living {
                let cell = slots.find(*me).expect("alive");
                // SAFETY: the cell is live and of this type.
                let intact = unsafe {
                    match large {
                        true => (*cell.cast::<Cell<Counted<5_000>>>().as_ptr()).state.1.iter().all(|b| b == fill),
                        false => (*cell.cast::<Cell<Counted<40>>>().as_ptr()).state.1.iter().all(|b| b == fill),
                    }
                };
                prop_assert!(intact);
                prop_assert_eq!(slots.parent(*me).map_or(NO_SLOT, |me| me as u32), *parent);
                let children: Vec<u64> = slots.children(*me as u32).collect();
                let newest_first = living.iter().rev().filter(|(_, of, ..)| *of == *me as u32);
                prop_assert_eq!(children, newest_first.map(|(child, ..)| *child).collect::<Vec<_>>());
            }
            prop_assert!(gone.iter().all(|me| slots.find(*me).is_none()));
        }
        drop(slots);
        prop_assert_eq!(drops.get(), made);
    }
}

#[test]
fn memory_of_cells_is_used_again() {
    let drops = Rc::default();
    let mut slots = Slots::new(100);
    for _ in 0..100_000 {
        let me = slots.insert(counted::<200>(&drops, 1), NO_SLOT).expect("room");
        take_out(&mut slots, me);
    }
    assert_eq!((slots.arena.blocks.len(), slots.table.len()), (1, 1));
}
