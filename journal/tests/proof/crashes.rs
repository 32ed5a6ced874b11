//! Crashes at any moment, in any weather: what was acknowledged is there, and both readers see the same log.

use mainspring_journal::log::recovery::Recovered;
use mainspring_journal::testkit::SimulatedDisk;

use crate::oracle::{Event, Ledger};
use crate::page_reader::ALL_RULES;
use crate::seeds;
use crate::world::{Flaw, Weather, World, events_of, read_by_page, recover_from};

#[test]
fn what_was_acknowledged_outlives_crashes_failures_and_a_full_disk() {
    let (mut refused, mut acknowledged) = (0, 0);
    for seed in seeds(10_000) {
        let weather = Weather {
            frames_in_flight: [1, 2, 4][(seed % 3) as usize],
            segment_blocks: 8 + seed % 9,
            space: seed % 2 == 0,
            failures: seed % 5 < 2,
        };
        let mut world = World::new(seed, weather, Flaw::None);
        for round in 0..3 {
            world.steps(60);
            world.crash();
            check_and_reopen(&mut world).unwrap_or_else(|broken| {
                panic!("seed {seed}, round {round}: {broken}");
            });
        }
        refused += world.refused;
        acknowledged += world.ledger.groups.len();
    }
    assert!(refused > 0 && acknowledged > 0, "{refused} refused, {acknowledged} acknowledged");
}

/// Reads the log with both readers, asks the oracle, and opens the log again.
pub fn check_and_reopen(world: &mut World) -> Result<(), String> {
    let (recovered, found) = check(&mut world.disk, &world.ledger)?;
    world.reopen(recovered, &found);
    Ok(())
}

/// Reads the log with both readers, which must agree, and asks the oracle.
pub fn check(disk: &mut SimulatedDisk, ledger: &Ledger) -> Result<(Recovered, Vec<Event>), String> {
    let recovered = recover_from(disk).map_err(|error| error.to_string())?;
    let log = read_by_page(disk, ALL_RULES)?;
    let end = recovered.segment.as_ref().map(|open| (open.file.0, open.next_offset));
    if (recovered.frames, end) != (log.frames.len() as u64, log.end) {
        return Err(format!("two readers see {recovered:?} and end {:?}", log.end));
    }
    if recovered.repair.is_some() != log.is_torn {
        return Err(format!("one reader has repair {:?}", recovered.repair));
    }
    let found = events_of(&log);
    ledger.check(&found)?;
    Ok((recovered, found))
}
