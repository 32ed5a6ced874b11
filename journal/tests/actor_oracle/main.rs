//! Event-sourced actors on a simulated journal, with everything that may go wrong, against an observer that keeps its
//! own books: what was answered is there, what was refused is not, groups are whole, numbers have no holes.
//!
//! The number of seeds is that of the variable `MAINSPRING_JOURNAL_SEEDS`, or 2,000.

mod entity;
mod observer;
mod world;

use world::{Flaw, World};

/// Seeds that are run unless the environment says more.
const SEEDS: u64 = 2_000;
/// Seeds within which a device with a flaw must be caught.
const SEEDS_TO_CATCH: u64 = 300;

fn seeds() -> u64 {
    let wanted = std::env::var("MAINSPRING_JOURNAL_SEEDS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

#[test]
fn what_actors_have_promised_holds_after_every_crash() {
    // Two threads, and the same seeds whatever their pace.
    let half = |first: u64| {
        let mut counted = world::Counted::default();
        for seed in (first..seeds()).step_by(2) {
            let counts = World::run(seed, Flaw::None);
            match counts {
                Ok(counts) => counted.add(counts),
                Err(broken) => panic!("seed {seed}: {broken}"),
            }
        }
        counted
    };
    let counted = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut counted = half(0);
        counted.add(other.join().expect("the other half"));
        counted
    });
    println!("{} seeds: {counted:?}", seeds());
    // A world in which nothing happens would prove nothing.
    assert!(counted.happened_all(), "{counted:?}");
}

#[test]
fn a_device_that_promises_what_it_has_not_done_is_caught() {
    for flaw in [Flaw::SkipsSync, Flaw::HidesFailures] {
        let caught = (0..SEEDS_TO_CATCH).find_map(|seed| World::run(seed, flaw).err());
        assert!(caught.is_some(), "{flaw:?} went unseen for {SEEDS_TO_CATCH} seeds");
    }
}

#[test]
fn an_entity_that_answers_before_its_events_are_durable_is_caught() {
    let caught = (0..SEEDS_TO_CATCH).find_map(|seed| World::run(seed, Flaw::AnswersEarly).err());
    assert!(caught.is_some(), "it went unseen for {SEEDS_TO_CATCH} seeds");
}

#[test]
fn an_entity_that_forgets_which_commands_it_knows_is_caught() {
    let caught = (0..SEEDS_TO_CATCH).find_map(|seed| World::run(seed, Flaw::ForgetsIds).err());
    assert!(caught.is_some(), "it went unseen for {SEEDS_TO_CATCH} seeds");
}
