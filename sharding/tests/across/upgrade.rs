//! Nodes of one version are replaced one by one by those of the next, under traffic.

use std::time::Duration;

use mainspring::testkit::Simulation;

use super::SECOND;
use super::town::Town;

const SHARDS: u32 = 24;

/// So many rounds of messages for thirty entities, from these nodes in turn.
fn traffic(town: &mut Town, from: &[usize], rounds: u64) {
    for round in 0..rounds {
        for id in 0..30 {
            town.send(from[((id + round) % from.len() as u64) as usize], id, 1);
        }
        town.sim.run_for(Duration::from_millis(20));
    }
}

#[test]
fn a_rolling_upgrade_loses_nothing_moves_shards_to_the_new_version_and_balances_at_its_end() {
    let mut town = Town::new(Simulation::seeded(21).nodes(3).cores(2), SHARDS);
    town.assert_owned_within(10 * SECOND);
    town.sim.run_for(120 * SECOND);
    for node in [2, 1, 0] {
        let others: Vec<usize> = (0..3).filter(|other| *other != node).collect();
        let before: Vec<usize> = (0..3).map(|other| town.shards_of(other)).collect();
        traffic(&mut town, &others, 10);
        town.sim.handle(node).leave().expect("it is a member");
        traffic(&mut town, &others, 400);
        assert!(town.sim.stopped(node).is_some(), "node {node} has left");
        let after: Vec<usize> = (0..3).map(|other| town.shards_of(other)).collect();
        for other in 0..node {
            if node < 2 {
                assert_eq!(after[other], before[other], "nothing goes to the old version");
            }
        }
        town.versions.borrow_mut()[node] = "2.0";
        town.sim.restart(node);
        traffic(&mut town, &others, 50);
        town.sim.assert_one_view_within(30 * SECOND);
        let mixed: Vec<usize> = (0..3).map(|other| town.shards_of(other)).collect();
        if node > 0 {
            for _ in 0..4 {
                traffic(&mut town, &[0, 1, 2], 10);
                town.sim.run_for(10 * SECOND);
            }
            let later: Vec<usize> = (0..3).map(|other| town.shards_of(other)).collect();
            assert_eq!(later, mixed, "nothing is balanced while versions are mixed");
        }
    }
    town.sim.run_for(120 * SECOND);
    let shards: Vec<usize> = (0..3).map(|node| town.shards_of(node)).collect();
    assert!(shards.iter().all(|shards| (7..=9).contains(shards)), "{shards:?}");
    assert_eq!(town.handled(), town.sent());
}
