//! Moves shards from core to core while updates go on, one after another, evenly over the updates that are to come.
//!
//! Which shard is drawn as the devices are: one with a device that speaks often moves often.

use std::time::{Duration, Instant};

use mainspring::node::Inbox;
use mainspring::prelude::*;
use mainspring_sharding::Entities;
use mainspring_sharding::node::{Directive, MoveEnded, MoveOutcome};

use super::gateway::Counts;
use super::options::Options;
use super::popularity::Popularity;
use super::shadow::ShadowCommand;

/// A move of which nothing was heard for so long has failed.
const MOVE_WITHIN: Duration = Duration::from_secs(30);

/// See the module's header.
pub struct Mover {
    shadows: Entities<ShadowCommand>,
    ended: Inbox<MoveEnded>,
    devices: Popularity,
    /// Which core has each shard.
    owners: Vec<u16>,
    cores: u16,
    moves: u32,
    updates: u64,
    begun: u32,
    under_way: Option<UnderWay>,
    figures: Moves,
}

struct UnderWay {
    shard: u32,
    to: u16,
    since: Instant,
}

/// What became of the moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Moves {
    /// Shards that are where they were to go.
    pub moved: u64,
    /// Those that are not.
    pub failed: u64,
    /// How long the others took, from the wish to the answer, since the last question: nanoseconds.
    pub took: Counts,
}

impl Mover {
    /// So many moves as the options say, if there are cores to move to.
    pub fn new(
        options: &Options,
        shadows: Entities<ShadowCommand>,
        cores: u16,
        ended: Inbox<MoveEnded>,
    ) -> Mover {
        let owners = (0..shadows.shard_count()).map(|shard| (shard % u32::from(cores)) as u16);
        let devices = Popularity::new(options.devices as usize, options.skew, !options.seed);
        Mover {
            owners: owners.collect(),
            shadows,
            ended,
            devices,
            cores,
            moves: if cores > 1 { options.moves } else { 0 },
            updates: options.updates(),
            begun: 0,
            under_way: None,
            figures: Moves::default(),
        }
    }

    /// So many updates were acknowledged after the first one of each device: begins a move if one is due.
    pub fn look(&mut self, client: &Client, updates: u64) {
        while let Ok(Some(ended)) = self.ended.try_next() {
            self.ended(ended);
        }
        if let Some(UnderWay { since, .. }) = &self.under_way {
            if since.elapsed() > MOVE_WITHIN {
                self.under_way = None;
                self.figures.failed += 1;
            }
            return;
        }
        let due_at = self.updates * u64::from(self.begun + 1) / (u64::from(self.moves) + 1);
        if self.begun < self.moves && updates >= due_at {
            self.begin(client);
        }
    }

    fn begin(&mut self, client: &Client) {
        self.begun += 1;
        let device = self.devices.draw() as u64;
        let (Ok(shard), Some(coordinator)) =
            (self.shadows.shard_of(device), self.shadows.coordinator())
        else {
            return;
        };
        let to = (self.owners[shard as usize] + 1) % self.cores;
        let Some(place) = self.shadows.place(to) else { return };
        let wish = Directive::Move { shard, to: place, reply_to: Some(self.ended.actor()) };
        match client.tell(coordinator, &wish) {
            Ok(()) => self.under_way = Some(UnderWay { shard, to, since: Instant::now() }),
            Err(_) => self.figures.failed += 1,
        }
    }

    fn ended(&mut self, ended: MoveEnded) {
        let is_mine = |under_way: &mut UnderWay| under_way.shard == ended.shard;
        let Some(UnderWay { shard, to, since }) = self.under_way.take_if(is_mine) else { return };
        match ended.outcome {
            MoveOutcome::Moved { .. } => {
                self.owners[shard as usize] = to;
                self.figures.moved += 1;
                self.figures.took.push((since.elapsed().as_nanos() as u64, 1));
            }
            _ => self.figures.failed += 1,
        }
    }

    /// What became of the moves.
    pub fn take(&mut self) -> Moves {
        let took = std::mem::take(&mut self.figures.took);
        Moves { took, ..self.figures }
    }
}
