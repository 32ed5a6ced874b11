//! Messages, moves, stalls and failures at random instants, as a seed has them.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use mainspring::message::Message;
use mainspring::testkit::Probe;

use super::region::TestRegion;
use super::watch::Broken;
use super::witness::{Acknowledged, Command, Handled, Witness};
use crate::node::{EntityTellError, MoveEnded, MoveOutcome};

/// How long a storm is given to come to rest.
const REST_SECONDS: u64 = 120;

/// What happens in a storm. It is over after so many rounds, and everything has to come to rest then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveStorm {
    /// Rounds; between two of them pass up to 100 µs of virtual time.
    pub rounds: u32,
    /// The ids of the entities are the numbers below this.
    pub entities: u64,
    /// In each round up to so many commands are sent, from the cores and from outside.
    pub most_commands: u32,
    /// In so many of a hundred rounds a shard begins to move.
    pub moves_percent: u8,
    /// In so many of a hundred rounds a core stands still, or what it sends takes longer, for up to 200 µs.
    pub stalls_percent: u8,
    /// In so many of a hundred rounds the next turn of each entity of a core panics. What they were about to do is
    /// lost then, so that lost commands are no longer looked for; all else is.
    pub failures_percent: u8,
}

/// What happened in a storm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StormReport {
    /// Commands sent.
    pub sent: u64,
    /// Commands that had their effect.
    pub handled: u64,
    /// Commands whose acknowledgement has come.
    pub acknowledged: u64,
    /// Commands that were refused, and counted.
    pub refused: u64,
    /// Moves that were asked for.
    pub moves: u64,
    /// Moves that brought a shard to where it was to go.
    pub moved: u64,
    /// Entities whose next turn was made to panic.
    pub failed: u64,
    /// What each entity has acknowledged, in order of sending: to be compared with what it says of itself.
    pub acknowledged_by: BTreeMap<u64, Vec<u64>>,
}

impl Default for MoveStorm {
    /// Forty rounds with twelve entities, in a third of which a shard moves; nothing fails.
    fn default() -> Self {
        MoveStorm {
            rounds: 40,
            entities: 12,
            most_commands: 6,
            moves_percent: 33,
            stalls_percent: 20,
            failures_percent: 0,
        }
    }
}

/// Who sent what to whom.
struct Sent {
    sender: u16,
    entity: u64,
    handled: usize,
    is_acknowledged: bool,
}

/// A storm that is under way.
struct Running<'s> {
    storm: &'s MoveStorm,
    random: Rng,
    commands: Vec<Sent>,
    /// The last command that was done for each sender and entity.
    last: BTreeMap<(u16, u64), u64>,
    moves: Vec<Probe<MoveEnded>>,
    acknowledged: Probe<Acknowledged>,
    report: StormReport,
}

impl<M: Message> TestRegion<M> {
    /// Sends commands to entities while shards move, cores stand still and, if wanted, entities fail, all chosen by the
    /// seed of the simulation; looks after each round, and when everything has come to rest, whether what is promised
    /// holds: one core delivers for a shard, epochs rise, no entity runs twice, bounds are kept; each command has its
    /// effect once and in its sender's order, and none is lost but those that were refused and counted.
    ///
    /// `message` makes the message of a command. The entity calls [`Witness::handled`] with the command's number where
    /// it has its effect, and then tells [`Acknowledged`] to `reply_to`.
    ///
    /// # Errors
    /// [`Broken`]: the first promise that did not hold.
    pub fn move_storm(
        &mut self,
        storm: &MoveStorm,
        witness: &Witness,
        message: impl Fn(Command) -> M,
    ) -> Result<StormReport, Broken> {
        let mut running = Running {
            storm,
            random: Rng::with_seed(self.sim.seed()),
            commands: Vec::new(),
            last: BTreeMap::new(),
            moves: Vec::new(),
            acknowledged: self.sim.probe(),
            report: StormReport::default(),
        };
        let refused_before = self.refused_in_all();
        for _ in 0..storm.rounds {
            running.round(self, &message);
            running.look(self, witness)?;
        }
        running.rest(self, witness)?;
        running.report.refused += self.refused_in_all() - refused_before;
        running.judge()
    }

    /// Messages that the regions have refused so far.
    fn refused_in_all(&mut self) -> u64 {
        let figures = (0..self.cores()).map(|core| self.figures(core));
        let refused = figures.map(|figures| {
            figures.refused_broken
                + figures.refused_full
                + figures.refused_sends
                + figures.refused_moving
        });
        refused.sum()
    }
}

impl Running<'_> {
    fn round<M: Message>(&mut self, region: &mut TestRegion<M>, message: &impl Fn(Command) -> M) {
        for _ in 0..self.random.u32(0..=self.storm.most_commands) {
            self.command(region, message);
        }
        let cores = region.cores();
        if self.falls_on(self.storm.moves_percent) {
            let shard = self.random.u32(0..region.entities().shard_count());
            let to = self.random.u16(0..cores);
            self.moves.push(region.begin_move(shard, to));
        }
        if self.falls_on(self.storm.stalls_percent) {
            let (core, other) = (self.random.u16(0..cores), self.random.u16(0..cores));
            let pause = Duration::from_micros(self.random.u64(1..200));
            if self.random.bool() {
                region.sim.at(0).core(core).stall(pause);
            } else if core != other {
                region.sim.at(0).core(core).delay_ring_to(other, pause);
            }
        }
        if self.falls_on(self.storm.failures_percent) {
            let core = self.random.u16(0..cores);
            self.report.failed += region.fail_entities(core) as u64;
        }
        region.sim.run_for(Duration::from_micros(self.random.u64(0..100)));
    }

    fn falls_on(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    fn command<M: Message>(&mut self, region: &mut TestRegion<M>, message: &impl Fn(Command) -> M) {
        let sender = self.random.u16(0..=region.cores());
        let entity = self.random.u64(0..self.storm.entities.max(1));
        let (number, reply_to) = (self.commands.len() as u64, self.acknowledged.actor());
        let message = message(Command { number, entity, reply_to });
        let sent = if sender == region.cores() {
            region.tell(entity, &message)
        } else {
            region.tell_from(sender, entity, message)
        };
        self.report.refused += u64::from(sent.is_err());
        self.commands.push(Sent { sender, entity, handled: 0, is_acknowledged: false });
    }

    /// Looks at the shards, and at what entities have done since the last look.
    fn look<M: Message>(
        &mut self,
        region: &mut TestRegion<M>,
        witness: &Witness,
    ) -> Result<(), Broken> {
        region.check()?;
        for Handled { number, .. } in witness.take() {
            let Some(sent) = self.commands.get_mut(number as usize) else {
                return Err(Broken::NotOnce { entity: 0, command: number, times: 1 });
            };
            sent.handled += 1;
            let (entity, sender) = (sent.entity, sent.sender);
            if sent.handled > 1 {
                return Err(Broken::NotOnce { entity, command: number, times: sent.handled });
            }
            if let Some(later) = self.last.insert((sender, entity), number)
                && later > number
            {
                return Err(Broken::OutOfOrder { entity, sender, earlier: number, later });
            }
            self.report.handled += 1;
        }
        for _ in 0..self.acknowledged.waiting() {
            let command = self.acknowledged.next().number;
            let sent = self.commands.get_mut(command as usize).filter(|sent| sent.handled > 0);
            let Some(sent) = sent else { return Err(Broken::NotDone { command }) };
            sent.is_acknowledged = true;
        }
        Ok(())
    }

    /// Lets everything come to rest.
    fn rest<M: Message>(
        &mut self,
        region: &mut TestRegion<M>,
        witness: &Witness,
    ) -> Result<(), Broken> {
        for from in 0..region.cores() {
            for to in (0..region.cores()).filter(|to| *to != from) {
                region.sim.at(0).core(from).delay_ring_to(to, Duration::ZERO);
            }
        }
        for _ in 0..REST_SECONDS {
            region.sim.run_for(Duration::from_secs(1));
            self.look(region, witness)?;
            // Shards go on being moved until their number is equal; what failed is started again, ever later.
            if self.have_moves_ended() && region.check_rest().is_ok() {
                break;
            }
        }
        if !self.have_moves_ended() {
            let moves = self.moves.iter().filter(|ended| ended.waiting() == 0).count();
            return Err(Broken::MoveNotEnded { moves, seconds: REST_SECONDS });
        }
        region.check_rest()?;
        for core in 0..region.cores() {
            // What is refused because the shard moves is among the region's figures.
            let refused = region.refused(core);
            let others = refused.iter().filter(|error| **error != EntityTellError::Moving);
            self.report.refused += others.count() as u64;
        }
        self.look(region, witness)
    }

    fn have_moves_ended(&self) -> bool {
        self.moves.iter().all(|ended| ended.waiting() > 0)
    }

    fn judge(mut self) -> Result<StormReport, Broken> {
        self.report.sent = self.commands.len() as u64;
        self.report.moves = self.moves.len() as u64;
        let outcomes = self.moves.iter().map(|ended| ended.next().outcome);
        let moved = outcomes.filter(|outcome| matches!(outcome, MoveOutcome::Moved { .. }));
        self.report.moved = moved.count() as u64;
        for (number, sent) in (0..).zip(&self.commands) {
            if sent.is_acknowledged {
                self.report.acknowledged += 1;
                self.report.acknowledged_by.entry(sent.entity).or_default().push(number);
            }
        }
        let StormReport { sent, handled, acknowledged, refused, .. } = self.report;
        let are_lost = handled + refused != sent || acknowledged != handled;
        if are_lost && self.report.failed == 0 {
            return Err(Broken::Lost { sent, handled, acknowledged, refused });
        }
        Ok(self.report)
    }
}
