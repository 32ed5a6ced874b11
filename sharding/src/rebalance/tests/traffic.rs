//! Shards go where their messages come from, once, and not to a core that has no time for them.

use super::*;

const STEADY_ROUNDS: u32 = 3;

fn cluster(balance: Balance) -> Cluster {
    let traffic =
        TrafficSettings { share_percent: 60, least_messages: 100, steady_rounds: STEADY_ROUNDS };
    let settings = RebalanceSettings {
        balance,
        traffic: Some(traffic),
        rest_ns: 60 * SECOND_NS,
        ..settings()
    };
    Cluster::new(settings, 3, vec![Some(0), Some(1), Some(2)])
}

fn messages(shard: u32, messages_from: [u64; 3]) -> ShardLoad {
    ShardLoad { shard, messages_from: messages_from.into(), ..ShardLoad::default() }
}

fn to_traffic(shard: u32, from: u16, to: u16) -> Move {
    Move { shard, from, to, reason: Reason::Traffic }
}

#[test]
fn a_shard_moves_to_the_core_that_writes_to_it_most_once_that_is_steady() {
    let mut cluster = cluster(Balance::Off);
    cluster.loads = vec![messages(0, [20, 0, 80])];
    for _ in 1..STEADY_ROUNDS {
        assert_eq!(cluster.plan(), []);
    }
    let moves = cluster.plan();
    assert_eq!(moves, [to_traffic(0, 0, 2)]);
    cluster.make(&moves);
    assert_eq!(cluster.settle(20), 0);
}

#[test]
fn a_share_below_the_limit_or_too_few_messages_move_nothing() {
    let mut cluster = cluster(Balance::Off);
    cluster.loads = vec![messages(0, [41, 0, 59]), messages(1, [99, 0, 0])];
    assert_eq!(cluster.settle(20), 0);
}

#[test]
fn a_shard_does_not_swing_with_writers_that_take_turns() {
    let mut cluster = cluster(Balance::Off);
    for round in 0..40 {
        let is_first = (round / (STEADY_ROUNDS - 1)).is_multiple_of(2);
        cluster.loads = vec![messages(0, if is_first { [0, 100, 0] } else { [0, 0, 100] })];
        assert_eq!(cluster.plan(), [], "round {round}");
    }
    // With longer turns it follows, but rests between.
    let mut moves_made = 0;
    for round in 0..60 {
        let is_first = (round / STEADY_ROUNDS).is_multiple_of(2);
        cluster.loads = vec![messages(0, if is_first { [0, 100, 0] } else { [0, 0, 100] })];
        let moves = cluster.plan();
        cluster.make(&moves);
        moves_made += moves.len();
    }
    assert!((1..=10).contains(&moves_made), "{moves_made} moves in ten minutes");
}

#[test]
fn a_core_that_is_busy_takes_no_shard() {
    let mut cluster = cluster(Balance::Off);
    let busy = 7 * SECOND_NS;
    cluster.loads = vec![
        ShardLoad { turn_ns: SECOND_NS, ..messages(0, [0, 0, 100]) },
        load(2, busy - SECOND_NS + 1),
    ];
    assert_eq!(cluster.settle(20), 0);
    cluster.loads[1].turn_ns -= 1;
    assert_eq!(cluster.plan(), [to_traffic(0, 0, 2)]);
}

#[test]
fn the_shards_that_spare_the_most_messages_go_first() {
    let mut cluster = cluster(Balance::Off);
    cluster.loads = vec![
        ShardLoad { turn_ns: 4 * SECOND_NS, ..messages(0, [0, 0, 200]) },
        ShardLoad { turn_ns: 4 * SECOND_NS, ..messages(1, [0, 0, 300]) },
    ];
    (1..STEADY_ROUNDS).for_each(|_| assert_eq!(cluster.plan(), []));
    assert_eq!(cluster.plan(), [to_traffic(1, 1, 2)]);
}

#[test]
fn balancing_leaves_a_shard_where_its_messages_come_from_unless_the_core_is_too_busy() {
    let load = Balance::Load { measure: Measure::TurnTime, tolerance_percent: 10 };
    for (balance, turn_ns) in [(Balance::Count, 0), (load, SECOND_NS)] {
        let mut cluster = cluster(balance);
        cluster.homes = vec![Some(2); 3];
        cluster.loads =
            (0..3).map(|shard| ShardLoad { turn_ns, ..messages(shard, [0, 0, 500]) }).collect();
        assert_eq!(cluster.settle(20), 0, "{balance:?}");
        cluster.loads.iter_mut().for_each(|load| load.turn_ns = 3 * SECOND_NS);
        let moves = cluster.plan();
        assert!(!moves.is_empty() && moves.iter().all(|step| step.reason == Reason::Balance));
    }
}
