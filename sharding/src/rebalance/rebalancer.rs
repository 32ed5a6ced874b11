//! Rounds of moves: what was asked for, what has to go, what is better elsewhere; bounded and one at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::by_traffic::Traffic;
use super::standing::Standing;
use super::{Balance, RebalanceSettings, RebalanceSettingsError, Survey, SurveyError};
use super::{by_count, by_load};
use crate::entities::ShardCount;

/// Decides which shards of one type of entities move.
#[derive(Clone, Debug)]
pub struct Rebalancer {
    settings: RebalanceSettings,
    shards: u32,
    cores: u16,
    drained: BTreeSet<u16>,
    /// Where shards are to go because somebody said so.
    asked: BTreeMap<u32, u16>,
    under_way: BTreeSet<u32>,
    /// Until when shards that were moved rest. Those of the past are dropped at the next round.
    resting: BTreeMap<u32, u64>,
    traffic: Option<Traffic>,
    next_round_ns: u64,
}

/// A shard is to go from one core to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which one.
    pub shard: u32,
    /// The core that has it.
    pub from: u16,
    /// The core that is to have it.
    pub to: u16,
    /// Why.
    pub reason: Reason,
}

/// Why a shard moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody said so.
    Asked,
    /// Its core is drained.
    Drained,
    /// Its messages come from there.
    Traffic,
    /// That core has less.
    Balance,
}

/// Why a move, or a drained core, cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// No such shard.
    #[error("there is no shard {shard}; the type has {shards} shards, counted from 0")]
    NoShard {
        /// What was asked for.
        shard: u32,
        /// How many there are.
        shards: u32,
    },
    /// No such core.
    #[error("there is no core {core}; there are {cores} cores, counted from 0")]
    NoCore {
        /// What was asked for.
        core: u16,
        /// How many there are.
        cores: u16,
    },
    /// Shards leave that core.
    #[error("core {core} is drained; readmit it before shards move there")]
    Drained {
        /// Which one.
        core: u16,
    },
    /// There would be no core left.
    #[error(
        "core {core} is the last that is not drained, and its shards have nowhere to go; readmit another first"
    )]
    LastCore {
        /// Which one.
        core: u16,
    },
}

impl Rebalancer {
    /// For the shards of one type on cores `0..cores`.
    ///
    /// # Errors
    ///
    /// Settings with which nothing would ever move, or everything for ever; no core.
    pub fn new(
        settings: RebalanceSettings,
        shard_count: ShardCount,
        cores: u16,
    ) -> Result<Self, RebalanceSettingsError> {
        settings.check()?;
        if cores == 0 {
            let most = u64::from(u16::MAX);
            return Err(RebalanceSettingsError { setting: "cores", value: 0, least: 1, most });
        }
        let shards = shard_count.get();
        Ok(Rebalancer {
            settings,
            shards,
            cores,
            drained: BTreeSet::new(),
            asked: BTreeMap::new(),
            under_way: BTreeSet::new(),
            resting: BTreeMap::new(),
            traffic: settings.traffic.map(|traffic| Traffic::new(traffic, shards)),
            next_round_ns: 0,
        })
    }

    /// One round: the moves that are to be made now, each of which the caller reports to [`ended`](Self::ended). None
    /// while a move is under way, and none of load or traffic before [`next_round_ns`](Self::next_round_ns).
    ///
    /// It reads every count of the survey once, and the shards of one core once more for each move.
    ///
    /// # Errors
    ///
    /// A survey of other shards or cores.
    pub fn plan(&mut self, now_ns: u64, survey: &Survey<'_>) -> Result<Vec<Move>, SurveyError> {
        survey.check(self.shards, self.cores)?;
        if !self.under_way.is_empty() {
            return Ok(Vec::new());
        }
        let most_moves = self.settings.moves_of(self.shards);
        let mut standing = Standing::of(survey, self.cores, self.settings.busy_percent, most_moves);
        for (core, standing) in (0..).zip(&mut standing.cores) {
            standing.is_open = !self.drained.contains(&core);
        }
        self.move_asked(&mut standing);
        self.leave_drained(&mut standing);
        let is_round = now_ns >= self.next_round_ns;
        if is_round {
            self.next_round_ns = now_ns.saturating_add(self.settings.round_ns());
            self.improve(now_ns, survey, &mut standing);
        }
        let moves = standing.into_moves();
        self.under_way.extend(moves.iter().map(|step| step.shard));
        Ok(moves)
    }

    /// A move has ended: the shard is at its new core, or stays where it was because the hand-off failed. It rests
    /// now. One that was not under way is left alone.
    pub fn ended(&mut self, shard: u32, now_ns: u64) {
        if self.under_way.remove(&shard) {
            self.resting.insert(shard, now_ns.saturating_add(self.settings.rest_ns));
        }
    }

    /// Has a shard moved with the next round, which need not wait for its time. A later wish for the same shard takes
    /// the place of an earlier one; one for the core where the shard is has no effect.
    ///
    /// # Errors
    ///
    /// No such shard, no such core, or a core that is drained.
    pub fn move_shard(&mut self, shard: u32, to: u16) -> Result<(), MoveError> {
        if shard >= self.shards {
            return Err(MoveError::NoShard { shard, shards: self.shards });
        }
        self.check_core(to)?;
        if self.drained.contains(&to) {
            return Err(MoveError::Drained { core: to });
        }
        self.asked.insert(shard, to);
        Ok(())
    }

    /// Has all shards leave a core, as many in a round as the settings allow, with the next rounds, which need not wait
    /// for their time. No shard goes there until it is [readmitted](Self::readmit); wishes to move some there are
    /// dropped.
    ///
    /// # Errors
    ///
    /// No such core, or no other is left.
    pub fn drain(&mut self, core: u16) -> Result<(), MoveError> {
        self.check_core(core)?;
        if (0..self.cores).all(|other| other == core || self.drained.contains(&other)) {
            return Err(MoveError::LastCore { core });
        }
        self.drained.insert(core);
        self.asked.retain(|_, to| *to != core);
        Ok(())
    }

    /// Shards may go to this core again. `false` when it was not drained.
    pub fn readmit(&mut self, core: u16) -> bool {
        self.drained.remove(&core)
    }

    /// When there may be a next round of load and traffic, if no move is under way then.
    pub fn next_round_ns(&self) -> u64 {
        self.next_round_ns
    }

    /// Whether a wish for this shard waits for its round.
    pub fn is_asked(&self, shard: u32) -> bool {
        self.asked.contains_key(&shard)
    }

    /// Whether a move of this shard has not been reported as ended.
    pub fn is_under_way(&self, shard: u32) -> bool {
        self.under_way.contains(&shard)
    }

    /// Whether no shard may go to this core.
    pub fn is_drained(&self, core: u16) -> bool {
        self.drained.contains(&core)
    }

    /// How many moves have not been reported as ended.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// A wish for a shard that nobody owns now waits until somebody does.
    fn move_asked(&mut self, standing: &mut Standing) {
        self.asked.retain(|shard, to| match standing.shards[*shard as usize].home {
            Some(home) if home == *to => false,
            Some(_) if !standing.is_full() => {
                standing.move_shard(*shard, *to, Reason::Asked);
                false
            }
            _ => true,
        });
    }

    fn leave_drained(&self, standing: &mut Standing) {
        if self.drained.is_empty() {
            return;
        }
        for shard in 0..self.shards {
            let home = standing.shards[shard as usize].home;
            if home.is_some_and(|home| self.drained.contains(&home)) {
                let Some(to) = standing.fewest().filter(|_| !standing.is_full()) else { return };
                standing.move_shard(shard, to, Reason::Drained);
            }
        }
    }

    /// Adds the moves of traffic and load, with which shards that rest have nothing to do.
    fn improve(&mut self, now_ns: u64, survey: &Survey<'_>, standing: &mut Standing) {
        self.resting.retain(|_, until_ns| *until_ns > now_ns);
        for shard in self.resting.keys() {
            standing.shards[*shard as usize].stays = true;
        }
        if let Some(traffic) = &mut self.traffic {
            traffic.observe(survey, standing);
            traffic.follow(standing);
        }
        match self.settings.balance {
            Balance::Off => {}
            Balance::Count => by_count::balance(standing),
            Balance::Load { measure, tolerance_percent } => {
                by_load::balance(standing, measure, tolerance_percent);
            }
        }
    }

    fn check_core(&self, core: u16) -> Result<(), MoveError> {
        if core >= self.cores {
            return Err(MoveError::NoCore { core, cores: self.cores });
        }
        Ok(())
    }
}
