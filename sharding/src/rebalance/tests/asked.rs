//! What somebody asks for: a shard elsewhere, a core without shards.

use super::*;

fn quiet(homes: Vec<Option<u16>>, most_moves: u32) -> Cluster {
    let settings = RebalanceSettings { balance: Balance::Off, most_moves, ..settings() };
    Cluster::new(settings, 3, homes)
}

#[test]
fn a_shard_is_moved_where_somebody_wants_it_without_waiting_for_a_round() {
    let mut cluster = quiet(vec![Some(0), Some(1), None], 10);
    cluster.plan_now();
    cluster.rebalancer.move_shard(0, 1).unwrap();
    cluster.rebalancer.move_shard(0, 2).unwrap();
    cluster.rebalancer.move_shard(1, 1).unwrap();
    cluster.rebalancer.move_shard(2, 1).unwrap();
    let moves = cluster.plan_now();
    assert_eq!(moves, [Move { shard: 0, from: 0, to: 2, reason: Reason::Asked }]);
    cluster.make(&moves);
    // The one that nobody owned is moved when somebody does.
    cluster.homes[2] = Some(0);
    assert_eq!(cluster.plan_now(), [Move { shard: 2, from: 0, to: 1, reason: Reason::Asked }]);
}

#[test]
fn a_drained_core_is_left_by_all_its_shards_a_few_at_a_time() {
    let mut cluster = quiet((0..30).map(|shard| Some(shard % 3)).collect(), 4);
    cluster.rebalancer.drain(1).unwrap();
    for left in [6, 2, 0] {
        let moves = cluster.plan_now();
        assert!(moves.iter().all(|step| step.from == 1 && step.reason == Reason::Drained));
        assert_eq!(cluster.plan_now(), [], "the next round waits for these moves");
        cluster.make(&moves);
        assert_eq!(cluster.shards_on(1), left);
    }
    assert_eq!((cluster.shards_on(0), cluster.shards_on(2)), (15, 15));
    assert_eq!(cluster.plan(), []);
}

#[test]
fn a_move_that_failed_is_tried_again_by_a_later_round() {
    let mut cluster = quiet(vec![Some(0), Some(1)], 4);
    cluster.rebalancer.drain(1).unwrap();
    assert_eq!(cluster.plan_now().len(), 1);
    cluster.rebalancer.ended(1, cluster.now_ns);
    assert_eq!(cluster.plan_now().len(), 1);
}

#[test]
fn wishes_that_cannot_come_true_are_refused() {
    let mut cluster = quiet(vec![Some(0); 4], 4);
    let rebalancer = &mut cluster.rebalancer;
    assert_eq!(rebalancer.move_shard(4, 0), Err(MoveError::NoShard { shard: 4, shards: 4 }));
    assert_eq!(rebalancer.move_shard(3, 3), Err(MoveError::NoCore { core: 3, cores: 3 }));
    assert_eq!(rebalancer.drain(3), Err(MoveError::NoCore { core: 3, cores: 3 }));
    rebalancer.move_shard(3, 1).unwrap();
    rebalancer.drain(1).unwrap();
    assert_eq!(rebalancer.move_shard(3, 1), Err(MoveError::Drained { core: 1 }));
    rebalancer.drain(2).unwrap();
    assert_eq!(rebalancer.drain(0), Err(MoveError::LastCore { core: 0 }));
    assert_eq!(rebalancer.drain(1), Ok(()), "it is drained already");
    assert_eq!(cluster.plan_now(), [], "the earlier wish for the drained core is dropped");
    assert!(cluster.rebalancer.readmit(1) && !cluster.rebalancer.readmit(1));
}
