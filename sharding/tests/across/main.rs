//! Entities of all nodes of a simulated cluster.

mod office;
mod operation;
mod singleton;
mod storeless;
mod storms;
mod town;
mod upgrade;

use std::time::Duration;

use mainspring::testkit::Simulation;
use town::Town;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn any_node_serves_any_entity() {
    let mut town = Town::new(Simulation::seeded(1).nodes(3).cores(2), 16);
    town.assert_owned_within(10 * SECOND);
    for id in 0..60 {
        let node = (id % 3) as usize;
        assert_eq!(town.add(node, id, 1), 1, "entity {id} from node {node}");
        assert_eq!(town.add((node + 1) % 3, id, 1), 2, "entity {id}");
    }
    // One round of balance is ten seconds, and moves a tenth.
    town.sim.run_for(120 * SECOND);
    let shards: Vec<usize> = (0..3).map(|node| town.shards_of(node)).collect();
    assert!(shards.iter().all(|shards| (5..=6).contains(shards)), "{shards:?}");
}

#[test]
fn a_node_with_another_number_of_shards_is_refused_and_told_which() {
    let mut town = Town::disagreeing(Simulation::seeded(4).nodes(3).cores(1), 16);
    town.sim.run_for(30 * SECOND);
    let refusal = town.sim.handle(2).refusal().unwrap_or_default();
    for part in ["sharding.counter", "16 shards", "17 shards"] {
        assert!(refusal.contains(part), "{part} in {refusal:?}");
    }
    assert_eq!(town.sim.handle(0).members().len(), 2);
}

#[test]
fn the_shards_of_a_node_that_crashed_go_on_elsewhere_when_its_lease_has_ended() {
    let mut town = Town::new(Simulation::seeded(2).nodes(3).cores(2), 16);
    town.assert_owned_within(10 * SECOND);
    town.crash(2);
    town.sim.run_for(30 * SECOND);
    town.assert_owned_within(10 * SECOND);
    assert_eq!(town.shards_of(0) + town.shards_of(1), 16);
    for id in 0..20 {
        assert_eq!(town.add((id % 2) as usize, 1_000 + id, 1), 1, "entity {id}");
    }
}

#[test]
fn a_node_that_leaves_hands_over_its_shards_and_loses_nothing() {
    let mut town = Town::new(Simulation::seeded(3).nodes(3).cores(2), 16);
    town.assert_owned_within(10 * SECOND);
    for id in 0..30 {
        town.send(0, id, 1);
    }
    town.sim.run_for(SECOND);
    town.sim.handle(2).leave().expect("it is a member");
    for _ in 0..200 {
        for id in 0..30 {
            town.send((id % 2) as usize, id, 1);
        }
        town.sim.run_for(Duration::from_millis(20));
    }
    town.sim.run_for(10 * SECOND);
    assert!(town.sim.stopped(2).is_some(), "it has left");
    assert_eq!(town.shards_of(0) + town.shards_of(1), 16);
    // What an entity had in memory is gone with its actor: what arrived is what counts.
    assert_eq!(town.handled(), town.sent());
}

#[test]
fn shards_go_on_as_soon_as_the_store_says_that_their_owner_is_absent_member_or_not() {
    let mut town = Town::new(Simulation::seeded(5).nodes(3).cores(2), 16);
    town.assert_owned_within(10 * SECOND);
    town.sim.run_for(120 * SECOND);
    assert!(town.shards_of(2) > 0);
    town.crash(2);
    // The lease is 5 s; the resolver of three members waits 7 s and more before it gives the node up.
    town.sim.run_for(6 * SECOND);
    assert_eq!(town.shards_of(0) + town.shards_of(1), 16, "taken over");
    assert_eq!(town.sim.handle(0).members().len(), 3, "the membership has not decided yet");
    for id in 0..20 {
        assert_eq!(town.add((id % 2) as usize, 1_000 + id, 1), 1, "entity {id}");
    }
}
