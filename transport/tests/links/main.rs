//! Whole links without sockets: nodes made of the machines of a link, in storms that follow from a seed.
//!
//! After every step: no message arrives twice, or before an earlier one of its sender and receiver, or at another
//! incarnation than the one that it is for; what arrived is not said to be a dead letter; of a connection that ends,
//! everything has arrived that is not said to be maybe lost; control frames arrive once and in order; what is held for
//! peers is within its budgets. At the end: every message has arrived or somebody has said why not, all control frames
//! have arrived, and both nodes of every pair keep the same connections.

mod budgets;
mod ledger;
mod link;
mod network;
mod node;
mod storm;

use std::env;

use ledger::Broken;
use node::Flaw;
use storm::Storm;

/// Runs so many storms; the first that breaks a promise, with the command that shows it.
fn weather(seeds: std::ops::Range<u64>, places: usize) -> [u64; 5] {
    let mut sums = [0; 5];
    for seed in seeds {
        let mut storm = Storm::new(seed, places);
        if let Err(Broken(what)) = storm.run() {
            panic!(
                "{what}\nPLACES={places} SEED={seed} cargo test -p mainspring-transport --test links one_storm -- \
                 --nocapture"
            );
        }
        let ledger = &storm.ledger;
        let counts = [
            ledger.delivered_messages,
            ledger.maybe_lost_messages,
            ledger.dead_letters,
            ledger.control_taken,
            ledger.lanes_over,
        ];
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    println!("delivered, maybe lost, dead letters, control frames, lanes over: {sums:?}");
    sums
}

/// A bench in which nothing is lost proves nothing.
fn assert_eventful(sums: [u64; 5]) {
    assert!(sums.iter().all(|sum| *sum > 0), "{sums:?}");
}

#[test]
fn two_nodes_keep_their_promises_in_any_weather() {
    assert_eventful(weather(0..1_600, 2));
}

#[test]
fn five_nodes_keep_their_promises_in_any_weather() {
    assert_eventful(weather(10_000..10_400, 5));
}

/// A promise that is broken by the mistake, and the number of storms until that is seen.
fn found_after(flaw: Flaw) -> Option<(u64, String)> {
    (0..200).find_map(|seed| {
        let broken = Storm::with_flaw(seed, 2, Some(flaw)).run().err()?;
        Some((seed + 1, broken.0))
    })
}

#[test]
fn every_mistake_of_a_driver_is_found() {
    for (flaw, sign) in [
        (Flaw::ForgetsMaybeLost, "not said to be"),
        (Flaw::SendsAgain, "was delivered twice"),
        (Flaw::ReadsOldConnections, "came after number"),
        (Flaw::ConsumesEarly, "not said to be"),
        (Flaw::ActsTwice, "took control frame"),
        (Flaw::IgnoresRestarts, "was delivered to"),
    ] {
        let (storms, broken) = found_after(flaw).unwrap_or_else(|| panic!("{flaw:?} is not found"));
        println!("{flaw:?}: found after {storms} storms: {broken}");
        assert!(broken.contains(sign), "{flaw:?}: {broken}");
    }
}

#[test]
fn a_seed_is_one_history() {
    let history = |seed| {
        let mut storm = Storm::traced(seed, 3);
        storm.run().expect("the promises are kept");
        storm.trace().cloned().collect::<Vec<_>>()
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

/// Shows the last steps of the storm of `SEED` among `PLACES` nodes.
#[test]
fn one_storm() {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let Some(seed) = number("SEED") else {
        println!("skipped: SEED is not set");
        return;
    };
    let mut storm = Storm::traced(seed, number("PLACES").unwrap_or(2) as usize);
    let answer = storm.run();
    for line in storm.trace() {
        println!("{line}");
    }
    assert_eq!(answer, Ok(()));
}
