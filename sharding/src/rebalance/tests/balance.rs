//! Counts and loads come level within their bounds, a few moves at a time.

use std::collections::BTreeSet;

use super::*;

fn random_homes(random: &mut fastrand::Rng, shards: u32, cores: u16) -> Vec<Option<u16>> {
    // Squared, so that the first cores have most; one in twenty has no owner.
    let home = |random: &mut fastrand::Rng| {
        let core = u32::from(random.u16(0..cores)) * u32::from(random.u16(0..cores));
        (random.u8(0..20) != 0).then_some((core / u32::from(cores)) as u16)
    };
    (0..shards).map(|_| home(random)).collect()
}

#[test]
fn counts_are_within_one_of_each_other_after_the_rounds_that_are_promised() {
    proptest::proptest!(|(seed: u64, shards in 1..400_u32, cores in 1..24_u16, most_moves in 1..50_u32)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let homes = random_homes(&mut random, shards, cores);
        let mut cluster = Cluster::new(RebalanceSettings { most_moves, ..settings() }, cores, homes);
        let owned = (0..cores).map(|core| cluster.shards_on(core)).sum::<u32>();
        let optimum = owned.div_ceil(u32::from(cores));
        let excess: u32 = (0..cores).map(|core| cluster.shards_on(core).saturating_sub(optimum)).sum();
        // The second of the two rounds gives each core below the optimum less one what it lacks.
        let bound = excess.div_ceil(most_moves) + u32::from(cores).div_ceil(most_moves);
        let rounds = cluster.settle(2_000) as u32;
        assert!(rounds <= bound, "{rounds} rounds, {bound} promised");
        let counts = (0..cores).map(|core| cluster.shards_on(core));
        assert!(counts.clone().max().unwrap() - counts.min().unwrap() <= 1);
    });
}

#[test]
fn without_a_limit_of_moves_two_rounds_are_enough() {
    proptest::proptest!(|(seed: u64, shards in 1..400_u32, cores in 1..24_u16)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let homes = random_homes(&mut random, shards, cores);
        assert!(Cluster::new(settings(), cores, homes).settle(10) <= 2);
    });
}

#[test]
fn loads_differ_by_no_more_than_the_tolerance_or_one_shard_in_the_end() {
    proptest::proptest!(|(seed: u64, shards in 1..200_u32, cores in 1..12_u16, most_moves in 1..30_u32)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let homes = random_homes(&mut random, shards, cores);
        let balance = Balance::Load { measure: Measure::TurnTime, tolerance_percent: 10 };
        let settings = RebalanceSettings { most_moves, balance, ..settings() };
        let mut cluster = Cluster::new(settings, cores, homes);
        cluster.loads = (0..shards).map(|shard| load(shard, random.u64(0..1_000) * random.u64(0..1_000))).collect();
        cluster.settle(2_000);
        let cost = |core: u16| -> u64 {
            let on_core = cluster.loads.iter().filter(|load| cluster.homes[load.shard as usize] == Some(core));
            on_core.map(|load| load.turn_ns).sum()
        };
        let costs: Vec<u64> = (0..cores).map(cost).collect();
        let mean = costs.iter().sum::<u64>() / u64::from(cores);
        let heaviest = cluster.loads.iter().map(|load| load.turn_ns).max().unwrap();
        let difference = costs.iter().max().unwrap() - costs.iter().min().unwrap();
        assert!(difference <= heaviest.max(mean / 10 + 1), "{costs:?}, heaviest {heaviest}");
    });
}

#[test]
fn a_core_with_one_shard_that_is_too_heavy_to_move_does_not_hold_up_the_others() {
    let balance = Balance::Load { measure: Measure::Entities, tolerance_percent: 10 };
    let homes = vec![Some(0), Some(1), Some(1), Some(1), Some(1), None];
    let mut cluster = Cluster::new(RebalanceSettings { balance, ..settings() }, 3, homes);
    let entities = [1_000, 100, 100, 100, 100, 7];
    let of = |(shard, entities)| ShardLoad { shard, entities, ..ShardLoad::default() };
    cluster.loads = (0..).zip(entities).map(of).collect();
    cluster.settle(10);
    assert_eq!((0..3).map(|core| cluster.shards_on(core)).collect::<Vec<_>>(), [1, 2, 2]);
}

#[test]
fn every_round_keeps_the_rules_and_the_same_calls_give_the_same_moves() {
    proptest::proptest!(|(seed: u64, shards in 1..120_u32, cores in 2..10_u16, most_moves in 1..20_u32)| {
        sixty_rounds(&mut fastrand::Rng::with_seed(seed), shards, cores, most_moves);
    });
}

/// Rounds under loads, wishes, drained cores and slow moves, all at random, of two that are told the same.
fn sixty_rounds(random: &mut fastrand::Rng, shards: u32, cores: u16, most_moves: u32) {
    let mut cluster = Cluster::new(
        random_settings(random, most_moves),
        cores,
        random_homes(random, shards, cores),
    );
    let mut twin = cluster.clone();
    let mut drained = BTreeSet::new();
    let mut under_way: Vec<Move> = Vec::new();
    for _ in 0..60 {
        let core = random.u16(0..cores);
        match random.u8(0..8) {
            0 if cluster.rebalancer.drain(core).is_ok() => {
                drained.insert(core);
                twin.rebalancer.drain(core).unwrap();
            }
            1 => {
                assert_eq!(cluster.rebalancer.readmit(core), drained.remove(&core));
                twin.rebalancer.readmit(core);
            }
            2 => {
                let shard = random.u32(0..shards);
                let asked = cluster.rebalancer.move_shard(shard, core);
                assert_eq!(asked.is_err(), drained.contains(&core));
                assert_eq!(asked, twin.rebalancer.move_shard(shard, core));
            }
            _ => {}
        }
        cluster.loads = (0..shards).map(|shard| random_load(random, shard, cores)).collect();
        twin.loads = cluster.loads.clone();
        let moves = cluster.plan();
        assert_eq!(moves, twin.plan());
        assert!(moves.len() <= most_moves as usize);
        assert!(under_way.is_empty() || moves.is_empty(), "a round while a move was under way");
        assert!(moves.iter().all(|step| !drained.contains(&step.to)));
        let distinct: BTreeSet<u32> = moves.iter().map(|step| step.shard).collect();
        assert_eq!(distinct.len(), moves.len());
        under_way.extend(moves);
        let done = random.usize(0..=under_way.len());
        let done: Vec<Move> = under_way.drain(..done).collect();
        cluster.make(&done);
        twin.make(&done);
        assert_eq!(cluster.rebalancer.under_way(), under_way.len());
    }
}

fn random_settings(random: &mut fastrand::Rng, most_moves: u32) -> RebalanceSettings {
    let measure = [Measure::Entities, Measure::TurnTime, Measure::Messages][random.usize(0..3)];
    let load = Balance::Load { measure, tolerance_percent: 20 };
    let traffic = TrafficSettings { share_percent: 60, least_messages: 10, steady_rounds: 2 };
    RebalanceSettings {
        balance: [Balance::Off, Balance::Count, load][random.usize(0..3)],
        traffic: Some(traffic),
        most_moves,
        rest_ns: 30 * SECOND_NS,
        ..settings()
    }
}

fn random_load(random: &mut fastrand::Rng, shard: u32, cores: u16) -> ShardLoad {
    // One core in a few sends most of it, or traffic would never move anything.
    let favourite = random.u16(0..cores);
    let from = |core| if core == favourite { 90 } else { random.u64(0..30) };
    ShardLoad {
        shard,
        entities: shard % 13,
        turn_ns: u64::from(shard) * SECOND_NS / 200,
        messages_from: (0..cores).map(from).collect(),
    }
}

#[test]
fn rounds_wait_for_their_time_and_shards_that_were_moved_rest() {
    let balance = Balance::Load { measure: Measure::TurnTime, tolerance_percent: 10 };
    let settings =
        RebalanceSettings { balance, most_moves: 1, rest_ns: 60 * SECOND_NS, ..settings() };
    let mut cluster = Cluster::new(settings, 2, vec![Some(0); 4]);
    cluster.loads = (0..4).map(|shard| load(shard, 100)).collect();
    let first = cluster.plan_now();
    assert_eq!(first.len(), 1);
    cluster.make(&first);
    cluster.now_ns = cluster.rebalancer.next_round_ns() - 1;
    assert_eq!(cluster.plan_now(), []);
    cluster.now_ns += 1;
    let second = cluster.plan_now();
    assert_eq!(second.len(), 1);
    cluster.make(&second);
    // Now the load goes with the two: either would go back, but for its rest.
    cluster.loads = [first[0].shard, second[0].shard].map(|shard| load(shard, 900)).into();
    assert_eq!(cluster.plan(), []);
    cluster.now_ns += 60 * SECOND_NS;
    assert_eq!(cluster.plan_now().len(), 1);
}
