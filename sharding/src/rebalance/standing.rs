//! What cores have and bear while a round is planned: a survey, and the moves chosen so far applied to it.

use super::{Measure, Move, Reason, Survey};

/// One shard in a round.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShardStanding {
    pub home: Option<u16>,
    pub entities: u64,
    pub turn_ns: u64,
    pub messages: u64,
    /// It rests, is under way, or has a move in this round.
    pub stays: bool,
    /// Its messages come mostly from the core where it is.
    pub is_at_home: bool,
}

/// One core in a round.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CoreStanding {
    pub shards: u32,
    pub turn_ns: u64,
    /// Shards may come.
    pub is_open: bool,
}

/// A round being planned.
pub(super) struct Standing {
    pub shards: Vec<ShardStanding>,
    pub cores: Vec<CoreStanding>,
    /// A core with more turn time than this is too busy.
    pub busy_ns: u64,
    /// The shards that each core had before the moves.
    shards_on: Vec<Vec<u32>>,
    moves: Vec<Move>,
    most_moves: usize,
}

impl Standing {
    /// As surveyed. Which cores are open, and which shards stay, is the caller's to add.
    pub(super) fn of(
        survey: &Survey<'_>,
        cores: u16,
        busy_percent: u32,
        most_moves: usize,
    ) -> Self {
        let home = |home: &Option<u16>| ShardStanding { home: *home, ..ShardStanding::default() };
        let mut standing = Standing {
            shards: survey.homes.iter().map(home).collect(),
            cores: vec![CoreStanding::default(); usize::from(cores)],
            busy_ns: survey.sampled_ns / 100 * u64::from(busy_percent),
            shards_on: vec![Vec::new(); usize::from(cores)],
            moves: Vec::new(),
            most_moves,
        };
        for load in survey.loads {
            let shard = &mut standing.shards[load.shard as usize];
            shard.entities = u64::from(load.entities);
            shard.turn_ns = load.turn_ns;
            shard.messages = load.messages();
        }
        for (number, shard) in (0..).zip(&standing.shards) {
            if let Some(home) = shard.home {
                standing.shards_on[usize::from(home)].push(number);
                let core = &mut standing.cores[usize::from(home)];
                core.shards += 1;
                core.turn_ns = core.turn_ns.saturating_add(shard.turn_ns);
            }
        }
        standing
    }

    /// Whether no more moves may be added.
    pub(super) fn is_full(&self) -> bool {
        self.moves.len() >= self.most_moves
    }

    /// Adds a move of a shard that has a home, as if it had been made.
    pub(super) fn move_shard(&mut self, shard: u32, to: u16, reason: Reason) {
        let standing = &mut self.shards[shard as usize];
        let Some(from) = standing.home.replace(to) else { return };
        standing.stays = true;
        let turn_ns = standing.turn_ns;
        let giver = &mut self.cores[usize::from(from)];
        giver.shards -= 1;
        giver.turn_ns = giver.turn_ns.saturating_sub(turn_ns);
        let taker = &mut self.cores[usize::from(to)];
        taker.shards += 1;
        taker.turn_ns = taker.turn_ns.saturating_add(turn_ns);
        self.moves.push(Move { shard, from, to, reason });
    }

    /// The cores to which shards may come.
    pub(super) fn open_cores(&self) -> impl Iterator<Item = u16> + '_ {
        self.cores.iter().enumerate().filter(|(_, core)| core.is_open).map(|(core, _)| core as u16)
    }

    /// Whether balancing may move a shard.
    pub(super) fn is_free(&self, shard: &ShardStanding) -> bool {
        let is_held =
            |home: u16| shard.is_at_home && self.cores[usize::from(home)].turn_ns <= self.busy_ns;
        !shard.stays && !shard.home.is_none_or(is_held)
    }

    /// Shards on a core that balancing may move, with their numbers. One that has come in this round is not free.
    pub(super) fn free_on(&self, core: u16) -> impl Iterator<Item = (u32, &ShardStanding)> + '_ {
        let numbers = self.shards_on[usize::from(core)].iter();
        let numbered = numbers.map(|number| (*number, &self.shards[*number as usize]));
        numbered.filter(move |(_, shard)| shard.home == Some(core) && self.is_free(shard))
    }

    /// The open core with the fewest shards, and of these the first.
    pub(super) fn fewest(&self) -> Option<u16> {
        self.open_cores().min_by_key(|core| self.cores[usize::from(*core)].shards)
    }

    /// What was decided.
    pub(super) fn into_moves(self) -> Vec<Move> {
        self.moves
    }
}

impl ShardStanding {
    /// What it costs.
    pub(super) fn cost(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Entities => self.entities,
            Measure::TurnTime => self.turn_ns,
            Measure::Messages => self.messages,
        }
    }
}
