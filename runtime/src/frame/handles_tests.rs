//! The table of local payloads against a model, from several threads, and at its limit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use proptest::prelude::*;

use super::handles::{HANDLES_LIMIT, Handles};

fn value_of(value: Option<super::handles::Value>) -> Option<u32> {
    value.map(|value| *value.downcast::<u32>().expect("the tests put numbers in"))
}

#[derive(Debug, Clone)]
enum Step {
    Insert,
    Frame(usize),
    TakeFramed(usize),
    TakeHeld(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Insert),
        3 => any::<usize>().prop_map(Step::Frame),
        2 => any::<usize>().prop_map(Step::TakeFramed),
        1 => any::<usize>().prop_map(Step::TakeHeld),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn any_sequence_of_operations_equals_a_model(steps in steps()) {
        let table = Handles::new();
        // Every handle ever given out, also the stale ones; and what the model says is in the table, and whether
        // framed.
        let mut handles: Vec<u64> = Vec::new();
        let mut model: HashMap<u64, (u32, bool)> = HashMap::new();
        for (number, step) in (0_u32..).zip(steps) {
            let pick = |at: usize| handles.get(at.checked_rem(handles.len()).unwrap_or(0)).copied().unwrap_or(0);
            match step {
                Step::Insert => {
                    let handle = table.insert(Box::new(number)).expect("far from the limit");
                    prop_assert!(handle != 0 && model.insert(handle, (number, false)).is_none());
                    handles.push(handle);
                }
                Step::Frame(at) => {
                    table.frame(pick(at));
                    model.entry(pick(at)).and_modify(|(_, framed)| *framed = true);
                }
                Step::TakeFramed(at) => {
                    let expected = model.get(&pick(at)).copied().filter(|(_, framed)| *framed);
                    prop_assert_eq!(value_of(table.take_framed(pick(at))), expected.map(|(value, _)| value));
                    expected.and_then(|_| model.remove(&pick(at)));
                }
                Step::TakeHeld(at) => {
                    let expected = model.get(&pick(at)).copied().filter(|(_, framed)| !*framed);
                    prop_assert_eq!(value_of(table.take_held(pick(at))), expected.map(|(value, _)| value));
                    expected.and_then(|_| model.remove(&pick(at)));
                }
            }
            for handle in &handles {
                let held = model.get(handle).is_some_and(|(_, framed)| !framed);
                prop_assert_eq!(table.is_held(*handle), held);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "filling the table takes minutes in an interpreter")]
fn a_full_table_gives_the_value_back_and_accepts_again_after_a_take() {
    let table = Handles::new();
    let first = table.insert(Box::new(0_u32)).expect("empty");
    for number in 1..HANDLES_LIMIT as u32 {
        table.insert(Box::new(number)).expect("below the limit");
    }
    let refused = table.insert(Box::new(99_u32)).expect_err("full");
    assert_eq!(value_of(Some(refused)), Some(99));
    assert_eq!(value_of(table.take_held(first)), Some(0));
    let again = table.insert(Box::new(100_u32)).expect("one place is free");
    assert_ne!(again, first, "the place has a new generation");
    assert!(table.take_held(first).is_none());
    assert_eq!(value_of(table.take_held(again)), Some(100));
}

#[test]
fn a_handle_that_was_never_given_out_finds_nothing() {
    let table = Handles::new();
    for handle in [0, 1, 1 << 32, u64::MAX, HANDLES_LIMIT as u64 | 1 << 32] {
        table.frame(handle);
        assert!(!table.is_held(handle));
        assert!(table.take_framed(handle).is_none() && table.take_held(handle).is_none());
    }
}

#[test]
fn two_takers_of_one_handle_get_one_value() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };
    let table = Arc::new(Handles::new());
    let taken = Arc::new(AtomicUsize::new(0));
    for _ in 0..ROUNDS {
        let handle = table.insert(Box::new(1_u32)).expect("empty");
        table.frame(handle);
        let start = Arc::new(Barrier::new(2));
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let (table, taken, start) = (table.clone(), taken.clone(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    taken.fetch_add(
                        usize::from(table.take_framed(handle).is_some()),
                        Ordering::Relaxed,
                    );
                })
            })
            .collect();
        takers.into_iter().for_each(|taker| taker.join().expect("no panic"));
    }
    assert_eq!(taken.load(Ordering::Relaxed), ROUNDS);
}

#[test]
fn threads_that_insert_and_take_never_see_each_others_values() {
    const ROUNDS: u32 = if cfg!(miri) { 50 } else { 20_000 };
    let table = Handles::new();
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let table = &table;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let number = thread << 24 | round;
                    let handle = table.insert(Box::new(number)).expect("far from the limit");
                    table.frame(handle);
                    assert_eq!(value_of(table.take_framed(handle)), Some(number));
                }
            });
        }
    });
}
