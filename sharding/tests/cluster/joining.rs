//! Getting in.

use std::time::Duration;

use mainspring_sharding::testkit::SimulatedCluster;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn nodes_that_begin_at_once_come_to_one_view() {
    for seed in 1..=10 {
        for nodes in [1, 2, 3, 5] {
            let mut sim = SimulatedCluster::seeded(seed, nodes);
            sim.assert_one_view_within(10 * SECOND);
        }
    }
}
