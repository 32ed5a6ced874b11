//! What shards cost, and which of them move for it.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Simulation, spend};
use mainspring_sharding::EntityType;
use mainspring_sharding::entities::{ShardCount, ToEntityKey};
use mainspring_sharding::rebalance::{Balance, Measure, RebalanceSettings, TrafficSettings};
use mainspring_sharding::testkit::{ShardingTest, TestRegion};

const SHARDS: u32 = 4;

/// A sack of corn.
#[message]
#[derive(Clone, Copy)]
struct Grind;

/// Takes as long for every sack as its shard says.
struct Mill {
    turn: Duration,
}

impl Actor for Mill {
    type Message = Grind;

    fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Grind>) -> Next<Self> {
        assert!(spend(ctx, self.turn), "this is a simulation");
        Next::Same
    }
}

fn shard_of(id: u64) -> u32 {
    let shards = ShardCount::new(SHARDS).expect("within the limits");
    shards.shard_of(&id.to_entity_key().expect("a number is an id"))
}

/// An id in a shard.
fn id_in(shard: u32) -> u64 {
    (0..).find(|id| shard_of(*id) == shard).expect("every shard has some")
}

/// Two cores, of which the first has the shards 0 and 2, and mills that take so long by shard.
fn mills(settings: RebalanceSettings, turns_us: [u64; SHARDS as usize]) -> TestRegion<Grind> {
    let mill = EntityType::new("mill").shards(SHARDS).rebalance(settings);
    let test = ShardingTest::on(Simulation::seeded(5)).cores(2);
    let make = move |id: mainspring_sharding::EntityId<'_>| {
        let shard = shard_of(id.number().expect("mills have numbers"));
        Mill { turn: Duration::from_micros(turns_us[shard as usize]) }
    };
    test.entities(mill, make).expect("a good type")
}

/// For two rounds of the rebalancer, as many messages for one mill of each shard, from the core where it is.
fn two_rounds_of_equal_messages(mills: &mut TestRegion<Grind>) {
    for _ in 0..300 {
        for shard in 0..SHARDS {
            for _ in 0..10 {
                let sent = mills.tell_from((shard % 2) as u16, id_in(shard), Grind);
                sent.expect("the core is there");
            }
        }
        mills.sim.run_for(Duration::from_millis(70));
    }
}

fn by(measure: Measure) -> RebalanceSettings {
    let balance = Balance::Load { measure, tolerance_percent: 20 };
    RebalanceSettings { balance, ..RebalanceSettings::default() }
}

#[test]
fn a_slow_shard_goes_to_the_core_whose_turns_take_less_time() {
    let mut mills = mills(by(Measure::TurnTime), [500, 10, 500, 10]);
    two_rounds_of_equal_messages(&mut mills);
    assert_eq!([0, 1].map(|core| mills.figures(core).shards), [1, 3]);
    assert_eq!(mills.figures(0).given_away, 1);
}

#[test]
fn shards_with_as_many_messages_stay_when_messages_are_what_counts() {
    let mut mills = mills(by(Measure::Messages), [500, 10, 500, 10]);
    two_rounds_of_equal_messages(&mut mills);
    assert_eq!([0, 1].map(|core| mills.figures(core).given_away), [0, 0]);
}

/// Shard 0 is told from the second core only, where another mill takes so long for each of its messages.
fn shards_given_away_to_a_core_with_turns_of(turn_us: u64) -> u64 {
    let settings = RebalanceSettings {
        balance: Balance::Off,
        traffic: Some(TrafficSettings { share_percent: 67, least_messages: 50, steady_rounds: 1 }),
        busy_percent: 50,
        ..RebalanceSettings::default()
    };
    let mut mills = mills(settings, [1, turn_us, 1, 1]);
    for _ in 0..12_000 {
        for shard in [0, 1] {
            mills.tell_from(1, id_in(shard), Grind).expect("the core is there");
        }
        mills.sim.run_for(Duration::from_millis(1));
    }
    mills.figures(0).given_away
}

#[test]
fn traffic_takes_no_shard_to_a_core_whose_turns_take_all_its_time() {
    assert_eq!(shards_given_away_to_a_core_with_turns_of(10), 1);
    assert_eq!(shards_given_away_to_a_core_with_turns_of(800), 0);
}
