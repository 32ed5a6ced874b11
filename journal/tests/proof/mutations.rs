//! The oracle can fail: a driver or a reader with one flaw is caught within a few hundred seeds, and the right ones
//! never are on the same seeds.

use crate::crashes::check_and_reopen;
use crate::damage::{Damage, check_damaged};
use crate::page_reader::{ALL_RULES, Rules};
use crate::world::{Flaw, Weather, World, events_of, read_by_page, recover_from};

/// Seeds within which a flaw must show.
const SEEDS: u64 = 400;

/// Several frames in flight, and failures: every flaw has its chance.
const ROUGH: Weather =
    Weather { frames_in_flight: 4, segment_blocks: 12, space: false, failures: true };

/// What the oracle says of a driver with this flaw: the first seed that shows it, and how.
fn first_caught(flaw: Flaw) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let mut world = World::new(seed, ROUGH, flaw);
        for _ in 0..3 {
            world.steps(60);
            world.crash();
            if let Err(broken) = check_and_reopen(&mut world) {
                return Some((seed, broken));
            }
        }
        None
    })
}

#[test]
fn a_driver_without_a_flaw_is_never_caught() {
    assert_eq!(first_caught(Flaw::None), None);
}

#[test]
fn a_driver_that_breaks_a_promise_is_caught() {
    for flaw in [
        Flaw::SkipsSync,
        Flaw::AcknowledgesEarly,
        Flaw::AcknowledgesOutOfOrder,
        Flaw::IgnoresFailures,
        Flaw::SkipsDirectorySync,
    ] {
        let caught = first_caught(flaw);
        assert!(caught.is_some(), "{flaw:?} went unseen for {SEEDS} seeds");
    }
}

/// Where a torn tail was not zeroed, a whole frame of before may stand behind the new ones with the right number and
/// the right place. Only the chain tells that it does not belong there.
#[test]
fn a_reader_without_the_chain_takes_what_was_never_acknowledged() {
    let without_chain = Rules { chain: false, ..ALL_RULES };
    let is_caught = |rules: Rules| {
        (0..4 * SEEDS).any(|seed| {
            let weather = Weather { failures: false, ..ROUGH };
            let mut world = World::new(seed, weather, Flaw::SkipsRepair);
            (0..4).any(|_| {
                world.steps(30);
                world.crash();
                let log = read_by_page(&world.disk, rules);
                let verdict = log.and_then(|log| world.ledger.check(&events_of(&log)));
                let recovered = recover_from(&mut world.disk).expect("the chain holds");
                let log = read_by_page(&world.disk, ALL_RULES).expect("the chain holds");
                world.reopen(recovered, &events_of(&log));
                verdict.is_err()
            })
        })
    };
    assert!(!is_caught(ALL_RULES), "the chain alone holds although nothing was zeroed");
    assert!(is_caught(without_chain), "no seed shows what the chain is for");
}

#[test]
fn a_reader_without_the_durable_prefix_cuts_off_what_was_acknowledged() {
    let without_proof = Rules { proof: false, ..ALL_RULES };
    let is_caught =
        |rules: Rules| (0..SEEDS).any(|seed| check_damaged(seed, Damage::Flip, rules).is_err());
    assert!(!is_caught(ALL_RULES), "the reader of the page reports every flip");
    assert!(is_caught(without_proof), "no seed shows what the durable prefix is for");
}
