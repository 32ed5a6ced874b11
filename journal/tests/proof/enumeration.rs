//! Every crash of a short trace: after every call of the disk, with every subset of the sectors, names and lengths that
//! are not synced at that moment, and with each of them torn in turn.

use mainspring_journal::testkit::{Fate, SimulatedDisk};

use crate::crashes::check;
use crate::oracle::Ledger;
use crate::world::{FAIR, Flaw, Weather, World};

/// Of more things than these the later ones are all kept, or all lost: more subsets would take minutes.
const MOST_THINGS: usize = 13;

/// Tries every fate of what is not synced at a moment. Returns how many crashes those were.
fn every_crash(disk: &SimulatedDisk, ledger: &Ledger) -> u64 {
    let things = disk.unsynced();
    let mut crashes = 0;
    let mut crash = |fate: &dyn Fn(usize) -> Fate| {
        let mut after = disk.clone();
        after.crash_with(&mut |thing| fate(thing));
        if let Err(broken) = check(&mut after, ledger) {
            let fates: Vec<Fate> = (0..things).map(fate).collect();
            panic!("{broken}; the fates were {fates:?}");
        }
        crashes += 1;
    };
    for subset in 0..1 << things.min(MOST_THINGS) {
        for others in [Fate::Kept, Fate::Lost] {
            crash(&|thing| match thing {
                MOST_THINGS.. => others,
                _ if subset & (1 << thing) != 0 => Fate::Kept,
                _ => Fate::Lost,
            });
        }
    }
    for torn in 0..things {
        for bytes in [1, 8, 63, 64, 255, 511] {
            for others in [Fate::Kept, Fate::Lost] {
                crash(&|thing| if thing == torn { Fate::Torn(bytes) } else { others });
            }
        }
    }
    crashes
}

/// Appends, commits and rolls to a second segment, with so many frames in flight.
fn trace(frames_in_flight: usize) -> Vec<(SimulatedDisk, Ledger)> {
    let weather = Weather { frames_in_flight, segment_blocks: 4, ..FAIR };
    let mut world = World::new(7, weather, Flaw::None);
    world.moments = Some(Vec::new());
    for _ in 0..3 {
        for _ in 0..frames_in_flight {
            world.append();
            world.submit();
        }
        for _ in 0..frames_in_flight {
            world.complete_one();
        }
    }
    world.settle();
    world.moments.expect("it was recorded")
}

#[test]
fn every_crash_of_a_short_trace_keeps_every_promise() {
    for frames_in_flight in [1, 2] {
        let moments = trace(frames_in_flight);
        let crashes: u64 = moments.iter().map(|(disk, ledger)| every_crash(disk, ledger)).sum();
        println!("{frames_in_flight} in flight: {} moments, {crashes} crashes", moments.len());
        assert!(crashes > 10_000, "{crashes}: the trace leaves nothing unsynced");
    }
}
