//! Rounds on made-up surveys: what every round keeps, and what a few of them reach.

mod asked;
mod balance;
mod traffic;

use super::*;
use crate::entities::{ShardCount, ShardLoad};

const SECOND_NS: u64 = 1_000_000_000;

/// Shards, where they are and what they cost: what a node would have, with moves made at once.
#[derive(Clone)]
struct Cluster {
    rebalancer: Rebalancer,
    homes: Vec<Option<u16>>,
    loads: Vec<ShardLoad>,
    now_ns: u64,
}

impl Cluster {
    fn new(settings: RebalanceSettings, cores: u16, homes: Vec<Option<u16>>) -> Self {
        let shards = ShardCount::new(homes.len() as u32).unwrap();
        let rebalancer = Rebalancer::new(settings, shards, cores).unwrap();
        Cluster { rebalancer, homes, loads: Vec::new(), now_ns: 0 }
    }

    /// Ten seconds of these loads, and a round.
    fn plan(&mut self) -> Vec<Move> {
        self.now_ns += 10 * SECOND_NS;
        self.plan_now()
    }

    fn plan_now(&mut self) -> Vec<Move> {
        let survey = Survey { homes: &self.homes, loads: &self.loads, sampled_ns: 10 * SECOND_NS };
        self.rebalancer.plan(self.now_ns, &survey).unwrap()
    }

    fn make(&mut self, moves: &[Move]) {
        for step in moves {
            assert_eq!(self.homes[step.shard as usize], Some(step.from));
            assert_ne!(step.from, step.to);
            self.homes[step.shard as usize] = Some(step.to);
            self.rebalancer.ended(step.shard, self.now_ns);
        }
    }

    /// Rounds until two in a row move nothing, at most so many; how many moved something.
    fn settle(&mut self, most: usize) -> usize {
        let mut idle = 0;
        for round in 0..most {
            let moves = self.plan();
            self.make(&moves);
            idle = if moves.is_empty() { idle + 1 } else { 0 };
            if idle == 2 {
                return round - 1;
            }
        }
        panic!("still moving after {most} rounds");
    }

    fn shards_on(&self, core: u16) -> u32 {
        self.homes.iter().filter(|home| **home == Some(core)).count() as u32
    }
}

fn settings() -> RebalanceSettings {
    RebalanceSettings { moves_percent: 100, most_moves: 1_000, rest_ns: 0, ..Default::default() }
}

fn load(shard: u32, turn_ns: u64) -> ShardLoad {
    ShardLoad { shard, turn_ns, ..ShardLoad::default() }
}

#[test]
fn settings_with_which_nothing_or_everything_would_move_are_refused() {
    let setting = |settings| {
        let error = Rebalancer::new(settings, ShardCount::new(8).unwrap(), 2).unwrap_err();
        (error.setting, error.to_string())
    };
    let half = TrafficSettings { share_percent: 50, ..TrafficSettings::default() };
    let (name, text) = setting(RebalanceSettings { traffic: Some(half), ..settings() });
    assert_eq!(
        (name, &*text),
        ("share_percent", "share_percent = 50 for moving shards; choose 51 to 100")
    );
    assert_eq!(setting(RebalanceSettings { most_moves: 0, ..settings() }).0, "most_moves");
    assert_eq!(setting(RebalanceSettings { moves_percent: 0, ..settings() }).0, "moves_percent");
    assert_eq!(
        setting(RebalanceSettings { rounds_per_minute: 0, ..settings() }).0,
        "rounds_per_minute"
    );
    assert_eq!(setting(RebalanceSettings { busy_percent: 101, ..settings() }).0, "busy_percent");
    let balance = Balance::Load { measure: Measure::TurnTime, tolerance_percent: 0 };
    assert_eq!(setting(RebalanceSettings { balance, ..settings() }).0, "tolerance_percent");
    let none = Rebalancer::new(settings(), ShardCount::new(8).unwrap(), 0).unwrap_err();
    assert_eq!(none.setting, "cores");
}

#[test]
fn a_survey_of_something_else_is_refused_and_no_round_is_made() {
    let mut rebalancer = Rebalancer::new(settings(), ShardCount::new(2).unwrap(), 2).unwrap();
    let mut plan = |homes: &[Option<u16>], loads: &[ShardLoad]| {
        rebalancer.plan(0, &Survey { homes, loads, sampled_ns: 1 })
    };
    assert_eq!(plan(&[None], &[]), Err(SurveyError::Shards { shards: 1, expected: 2 }));
    let foreign = SurveyError::Home { shard: 1, core: 2, cores: 2 };
    assert_eq!(plan(&[None, Some(2)], &[]), Err(foreign));
    assert_eq!(plan(&[None; 2], &[load(2, 0)]), Err(SurveyError::Load { shard: 2, shards: 2 }));
    assert_eq!(plan(&[Some(0); 2], &[]).map(|moves| moves.len()), Ok(1));
}
