//! Event-sourced actors on a simulated journal, with everything that may go wrong, against an observer that keeps its
//! own books: what was answered is there, what was refused is not, groups are whole, numbers have no holes.
//!
//! The number of seeds is that of the variable `MAINSPRING_JOURNAL_SEEDS`, or 2,000.

mod entity;
mod observer;
mod world;

use world::{Counted, Flaw, Pace, World};

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
    let counted = run_all(seeds(), Pace::Mixed);
    // A world in which nothing happens would prove nothing.
    assert!(counted.happened_all(), "{counted:?}");
}

#[test]
fn what_actors_have_promised_holds_while_segments_are_given_back_and_the_power_is_cut() {
    let counted = run_all(seeds() / 4, Pace::Bursts);
    assert!(counted.happened_all(), "{counted:?}");
    assert!(counted.segments_dropped > 0 && counted.bytes_copied > 0, "{counted:?}");
}

#[test]
fn what_actors_have_promised_holds_while_they_hop_between_cores_and_the_power_is_cut() {
    let counted = run_all(seeds() / 2, Pace::Hops);
    assert!(counted.happened_all() && counted.hops > 0, "{counted:?}");
}

#[test]
fn an_entity_afar_that_answers_before_its_events_are_durable_is_caught() {
    let caught =
        (0..SEEDS_TO_CATCH).find_map(|seed| World::run(seed, Pace::Hops, Flaw::AnswersEarly).err());
    assert!(caught.is_some(), "it went unseen for {SEEDS_TO_CATCH} seeds");
}

#[test]
fn segments_that_are_dropped_before_their_copies_are_durable_are_found_out() {
    let caught =
        (0..SEEDS_TO_CATCH).find_map(|seed| World::run(seed, Pace::Bursts, Flaw::DropsEarly).err());
    assert!(caught.is_some(), "it went unseen for {SEEDS_TO_CATCH} seeds");
}

/// All seeds of a pace, on two threads: the same ones whatever the threads' speed.
fn run_all(seeds: u64, pace: Pace) -> Counted {
    let half = |first: u64| {
        let mut counted = Counted::default();
        for seed in (first..seeds).step_by(2) {
            let counts = World::run(seed, pace, Flaw::None);
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
    println!("{seeds} seeds: {counted:?}");
    counted
}

#[test]
fn a_device_that_promises_what_it_has_not_done_is_caught() {
    for flaw in [Flaw::SkipsSync, Flaw::HidesFailures] {
        let caught = (0..SEEDS_TO_CATCH).find_map(|seed| World::run(seed, Pace::Mixed, flaw).err());
        assert!(caught.is_some(), "{flaw:?} went unseen for {SEEDS_TO_CATCH} seeds");
    }
}

#[test]
fn an_entity_that_answers_before_its_events_are_durable_is_caught() {
    let caught = (0..SEEDS_TO_CATCH)
        .find_map(|seed| World::run(seed, Pace::Mixed, Flaw::AnswersEarly).err());
    assert!(caught.is_some(), "it went unseen for {SEEDS_TO_CATCH} seeds");
}

#[test]
fn an_entity_that_forgets_which_commands_it_knows_is_caught() {
    let caught =
        (0..SEEDS_TO_CATCH).find_map(|seed| World::run(seed, Pace::Mixed, Flaw::ForgetsIds).err());
    assert!(caught.is_some(), "it went unseen for {SEEDS_TO_CATCH} seeds");
}
