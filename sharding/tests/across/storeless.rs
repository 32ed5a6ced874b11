//! Entities of a cluster without a store: the oldest member keeps the records.

use mainspring::testkit::Simulation;
use mainspring_sharding::membership::StopReason;

use crate::SECOND;
use crate::town::Town;

#[test]
fn the_oldest_member_decides_where_there_is_no_store() {
    let mut town = Town::without_store(Simulation::seeded(11).nodes(3).cores(2), 16);
    town.sim.run_for(20 * SECOND);
    for id in 0..60 {
        let node = (id % 3) as usize;
        assert_eq!(town.add(node, id, 1), 1, "entity {id} from node {node}");
        assert_eq!(town.add((node + 1) % 3, id, 1), 2, "entity {id}");
    }
    town.sim.run_for(120 * SECOND);
    assert_eq!(town.handled(), town.sent());
}

#[test]
fn the_next_oldest_goes_on_when_the_oldest_has_crashed() {
    let mut town = Town::without_store(Simulation::seeded(12).nodes(3).cores(2), 16);
    town.sim.run_for(60 * SECOND);
    let oldest = (0..3).min_by_key(|node| town.sim.member(0, *node).and_then(|it| it.up_number));
    let oldest = oldest.expect("there are nodes");
    town.crash(oldest);
    town.sim.run_for(30 * SECOND);
    let others: Vec<usize> = (0..3).filter(|node| *node != oldest).collect();
    for id in 0..40 {
        let (one, other) = (others[0], others[1]);
        assert_eq!(town.add(one, 1_000 + id, 1), 1, "entity {id}");
        assert_eq!(town.add(other, 1_000 + id, 1), 2, "entity {id}");
    }
}

#[test]
fn the_smaller_side_of_a_partition_stops_and_the_larger_one_serves_everything() {
    let mut town = Town::without_store(Simulation::seeded(13).nodes(5).cores(1), 16);
    town.sim.run_for(60 * SECOND);
    town.sim.partition([0, 1], [2, 3, 4]);
    town.sim.run_for(40 * SECOND);
    for node in [0, 1] {
        assert_eq!(town.sim.stopped(node), Some(StopReason::Downed), "node {node}");
    }
    for id in 0..40 {
        assert_eq!(town.add(2, 1_000 + id, 1), 1, "entity {id}");
        assert_eq!(town.add(4, 1_000 + id, 1), 2, "entity {id}");
    }
}
