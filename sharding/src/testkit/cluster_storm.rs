//! Everything that goes wrong in a cluster at random instants, as a seed has it, and what is promised all the while.
//!
//! First commands are sent, shards are moved and things go wrong; then everything is healed, and within a time all
//! nodes see one cluster, every shard has come to rest with an owner, nothing waits, and every entity answers to every
//! node.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use mainspring::message::Message;
use mainspring::testkit::{Probe, Simulation};
use mainspring_transport::testkit::StreamFault;

use super::cluster::SimulatedClusterPlan;
use super::shards::SimulatedShards;
use super::views::Views;
use super::watch::Broken;
use super::witness::{Acknowledged, Command, Handled, Witness};
use crate::node::{MoveEnded, MoveOutcome};
use crate::ownership::LeaseSettings;
use crate::ownership::Place;
use crate::ownership::shared_memory::{SharedMemory, StoreFaults};

/// How long the nodes are given to begin, and to come to rest after the storm.
const REST_SECONDS: u64 = 180;
/// How long commands are waited for when nothing goes wrong any more.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Virtual time between two looks at the shards in the storm, and after it.
const STEP: Duration = Duration::from_millis(10);
const CALM_STEP: Duration = Duration::from_millis(100);
/// So many looks in a row that find everything at rest mean that it is: longer than a silence is taken for one.
const RESTING_LOOKS: u32 = 12;
/// How long after a storm nodes that see less than half of all are left alone.
const ISLAND_SECONDS: u64 = 30;
/// How long a node that stood still may do what its entities had got before.
const AWAKE_NS: u64 = 500_000_000;
/// The lease of the nodes in a storm.
const LEASE_NS: u64 = 2_000_000_000;

/// What happens in a storm. `drawn` takes the weather from a seed.
///
/// Percentages are those of rounds in which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterStorm {
    /// Rounds.
    pub rounds: u32,
    /// Up to so much virtual time passes in a round.
    pub round_most: Duration,
    /// The ids of the entities are the numbers below this.
    pub entities: u64,
    /// In each round up to so many commands are sent, from the cores and from outside, of all nodes.
    pub most_commands: u32,
    /// A shard begins to move.
    pub moves_percent: u8,
    /// The streams between two nodes stand still for up to half a second, or all pieces are longer under way.
    pub clogs_percent: u8,
    /// A node stands still for up to this; longer than its lease, and it is given up before it knows.
    pub stall_most: Duration,
    /// A node stands still.
    pub stalls_percent: u8,
    /// The streams between two nodes break, and what was under way is lost.
    pub breaks_percent: u8,
    /// Nodes do not reach each other: two sides, one alone, or one way only; perhaps not the store either.
    pub partitions_percent: u8,
    /// The network is whole again.
    pub heals_percent: u8,
    /// A node ends, or begins again.
    pub crashes_percent: u8,
    /// A node leaves.
    pub leaves_percent: u8,
    /// The store changes its leader, or is cut off from a node for a while.
    pub store_percent: u8,
    /// What goes wrong between nodes and store all the while.
    pub store_faults: StoreFaults,
}

/// What happened in a storm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterStormReport {
    /// Commands sent.
    pub sent: u64,
    /// Commands that had their effect.
    pub handled: u64,
    /// Commands whose acknowledgement has come.
    pub acknowledged: u64,
    /// Commands that were refused, and counted.
    pub refused: u64,
    /// Commands that a node did for a shard that it had lost while it stood still.
    pub handled_late: u64,
    /// Moves that brought a shard to where it was to go.
    pub moved: u64,
    /// Shards that changed their owner, as the store has it.
    pub owners_changed: u64,
    /// Nodes that ended and began again, for whatever reason.
    pub restarted: u64,
    /// Nodes that were started again because they were in another cluster than the others.
    pub islands: u64,
    /// How long everything took to come to rest.
    pub rest: Duration,
}

impl Default for ClusterStorm {
    /// Calm weather: shards move, streams and nodes falter for a moment, answers of the store are late or lost. No node
    /// ends or is given up, and so nothing may be lost.
    fn default() -> Self {
        ClusterStorm {
            rounds: 60,
            round_most: Duration::from_millis(100),
            entities: 12,
            most_commands: 6,
            moves_percent: 25,
            clogs_percent: 10,
            stall_most: Duration::from_millis(200),
            stalls_percent: 10,
            breaks_percent: 0,
            partitions_percent: 0,
            heals_percent: 0,
            crashes_percent: 0,
            leaves_percent: 0,
            store_percent: 0,
            store_faults: StoreFaults { lost_percent: 3, ..StoreFaults::delays() },
        }
    }
}

impl ClusterStorm {
    /// Bad weather, as a seed has it: of everything that can go wrong some things do, each as often as the seed says.
    pub fn drawn(seed: u64) -> ClusterStorm {
        let mut random = Rng::with_seed(seed ^ 0x5752_4f4e_4721);
        let mut often = |most: u8| if random.bool() { random.u8(1..=most) } else { 0 };
        let mut storm = ClusterStorm {
            round_most: Duration::from_millis(400),
            moves_percent: often(40),
            clogs_percent: often(20),
            stalls_percent: often(10),
            breaks_percent: often(10),
            partitions_percent: often(15),
            crashes_percent: often(10),
            leaves_percent: often(4),
            store_percent: often(15),
            ..ClusterStorm::default()
        };
        storm.heals_percent = *random.choice(&[4, 15, 40]).unwrap_or(&15);
        storm.stall_most =
            Duration::from_millis(*random.choice(&[300, 2_000, 8_000]).unwrap_or(&300));
        storm.store_faults = match random.u8(0..3) {
            0 => StoreFaults::delays(),
            1 => StoreFaults { stretch_max_ns: LEASE_NS, ..StoreFaults::storm() },
            _ => StoreFaults { lost_percent: 5, ..StoreFaults::delays() },
        };
        storm
    }

    /// Whether commands may be lost: a node ends or is given up, or what was under way is lost.
    fn loses(&self) -> bool {
        let stalls = self.stalls_percent > 0 && self.stall_most > Duration::from_millis(300);
        let causes = [
            self.breaks_percent,
            self.partitions_percent,
            self.crashes_percent,
            self.leaves_percent,
            self.store_percent,
        ];
        stalls || causes.iter().any(|percent| *percent > 0) || self.store_faults.late_percent > 0
    }

    /// A cluster with settings that suit a storm: short leases, and quick decisions.
    pub fn plan(sim: Simulation) -> SimulatedClusterPlan {
        SimulatedClusterPlan::of(sim).cluster(|_, cluster| {
            let cluster = cluster.stable_after(Duration::from_secs(4));
            cluster.membership(|settings| settings.seed_wait_ns = 1_000_000_000)
        })
    }

    /// A store with the leases of a storm.
    pub fn store(seed: u64) -> SharedMemory {
        SharedMemory::seeded(seed).with_lease(LeaseSettings::for_ttl(LEASE_NS))
    }
}

/// Who sent what to whom.
struct Sent {
    sender: u16,
    entity: u64,
    shard: u32,
    handled: usize,
    is_acknowledged: bool,
}

/// A storm that is under way.
struct Running<'s> {
    storm: &'s ClusterStorm,
    random: Rng,
    commands: Vec<Sent>,
    /// The number of each sender: a core of a node's life, or the outside.
    senders: BTreeMap<(u32, u16), u16>,
    /// The last command that was done for each sender and entity.
    last: BTreeMap<(u16, u64), u64>,
    moves: Vec<Probe<MoveEnded>>,
    /// Whom a node's life answers.
    acknowledged: BTreeMap<u32, Probe<Acknowledged>>,
    views: Views,
    /// Where each shard delivered at the last look.
    delivered: Vec<Option<(Place, u64)>>,
    steps: u64,
    /// Since when nodes have ended.
    ended: BTreeMap<usize, u64>,
    report: ClusterStormReport,
}

impl<M: Message> SimulatedShards<M> {
    /// Sends commands to entities from all nodes while things go wrong, all chosen by the seed of the simulation; looks
    /// after each step whether what is promised holds, heals everything, and looks whether all comes to rest.
    ///
    /// What is promised: of all places at most one delivers for a shard, by the store's record and within its node's
    /// lease, and epochs rise; entities run once; each command has its effect once at most and in its sender's order;
    /// none is lost as long as no node is given up and nothing under way is; bounds are kept; no member comes back that
    /// was removed, and no two nodes that have removed each other go on.
    ///
    /// `message` makes the message of a command. The entity calls [`Witness::handled_by`] with the command's number
    /// where it has its effect, and then tells [`Acknowledged`] to `reply_to`.
    ///
    /// # Errors
    /// [`Broken`]: the first promise that did not hold.
    pub fn storm(
        &mut self,
        storm: &ClusterStorm,
        witness: &Witness,
        message: impl Fn(Command) -> M,
    ) -> Result<ClusterStormReport, Broken> {
        let mut running = Running {
            storm,
            random: Rng::with_seed(self.seed()),
            commands: Vec::new(),
            senders: BTreeMap::new(),
            last: BTreeMap::new(),
            moves: Vec::new(),
            acknowledged: BTreeMap::new(),
            views: Views::default(),
            delivered: vec![None; self.shard_count() as usize],
            steps: 0,
            ended: BTreeMap::new(),
            report: ClusterStormReport::default(),
        };
        running.rest(self, witness)?;
        self.store().set_faults(storm.store_faults);
        for _ in 0..storm.rounds {
            running.round(self, &message);
            let pause =
                Duration::from_micros(running.random.u64(0..storm.round_most.as_micros() as u64));
            running.pass(self, witness, pause, STEP)?;
        }
        let ends = self.now();
        running.heal(self);
        running.rest(self, witness)?;
        running.report.rest = self.now() - ends;
        running.all_answer(self, witness, &message)?;
        running.judge(self)
    }
}

impl Running<'_> {
    fn round<M: Message>(
        &mut self,
        shards: &mut SimulatedShards<M>,
        message: &impl Fn(Command) -> M,
    ) {
        for _ in 0..self.random.u32(0..=self.storm.most_commands) {
            let node = self.random.usize(0..shards.node_count());
            let core = self.random.u16(0..=shards.core_count());
            let entity = self.random.u64(0..self.storm.entities.max(1));
            self.command(shards, (node, core), entity, message);
        }
        let storm = self.storm;
        if self.falls_on(storm.moves_percent) {
            self.begin_move(shards);
        }
        if self.falls_on(storm.clogs_percent) {
            self.clog(shards);
        }
        if self.falls_on(storm.stalls_percent) {
            let node = self.random.usize(0..shards.node_count());
            let most_us = storm.stall_most.as_micros() as u64;
            shards.stall(node, Duration::from_micros(self.random.u64(0..most_us.max(1))));
        }
        if self.falls_on(storm.breaks_percent) {
            let (one, other) = self.two_nodes(shards);
            let heard = |random: &mut Rng| {
                random.bool().then(|| Duration::from_micros(random.u64(0..5_000)))
            };
            let heard_after = [heard(&mut self.random), heard(&mut self.random)];
            shards.afflict(one, other, StreamFault::Break { heard_after });
        }
        if self.falls_on(storm.partitions_percent) {
            self.partition(shards);
        }
        if self.falls_on(storm.heals_percent) {
            shards.heal_network();
        }
        if self.falls_on(storm.crashes_percent) {
            let node = self.random.usize(0..shards.node_count());
            self.end(shards, node);
            if self.random.bool() {
                self.start(shards, node);
            }
        }
        if self.falls_on(storm.leaves_percent) {
            let node = self.random.usize(0..shards.node_count());
            // One that is no member yet stays.
            let _ = shards.handle(node).leave();
        }
        if self.falls_on(storm.store_percent) {
            let node = self.random.usize(0..shards.node_count());
            match self.random.u8(0..4) {
                0 => {
                    let now_ns = shards.now_ns();
                    shards.store().change_leader(now_ns);
                }
                1 => shards.store().cut_off(node),
                _ => shards.store().connect(node),
            }
        }
    }

    fn falls_on(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    fn two_nodes<M: Message>(&mut self, shards: &SimulatedShards<M>) -> (usize, usize) {
        let count = shards.node_count();
        let one = self.random.usize(0..count);
        (one, (one + self.random.usize(1..count.max(2))) % count)
    }

    fn begin_move<M: Message>(&mut self, shards: &mut SimulatedShards<M>) {
        let shard = self.random.u32(0..shards.shard_count());
        let to =
            (self.random.usize(0..shards.node_count()), self.random.u16(0..shards.core_count()));
        let asked = self.random.usize(0..shards.node_count());
        self.moves.extend(shards.begin_move(asked, shard, to));
    }

    fn clog<M: Message>(&mut self, shards: &mut SimulatedShards<M>) {
        let (one, other) = self.two_nodes(shards);
        if self.random.bool() {
            let pause = Duration::from_millis(self.random.u64(1..300));
            shards.afflict(one, other, StreamFault::Stall(pause));
        } else {
            let most_ns =
                *self.random.choice(&[200_000, 5_000_000, 50_000_000]).unwrap_or(&200_000);
            shards.network().conduct(|conduct| conduct.latency_ns = 20_000..=most_ns);
        }
    }

    fn partition<M: Message>(&mut self, shards: &mut SimulatedShards<M>) {
        let count = shards.node_count();
        let mut ones = Vec::new();
        if self.random.bool() {
            ones.push(self.random.usize(0..count));
        } else {
            let random = &mut self.random;
            ones.extend((0..count).filter(|_| random.bool()));
        }
        let others: Vec<usize> = (0..count).filter(|node| !ones.contains(node)).collect();
        match self.random.u8(0..4) {
            0 => cut(shards, &ones, &others),
            1 => cut(shards, &others, &ones),
            _ => shards.partition(&ones, &others),
        }
        if self.random.bool() {
            ones.iter().for_each(|node| shards.store().cut_off(*node));
        }
    }

    fn end<M: Message>(&mut self, shards: &mut SimulatedShards<M>, node: usize) {
        let life = shards.incarnation(node);
        self.acknowledged.remove(&life);
        if shards.place(node, 0).is_some() {
            shards.crash(node);
            self.report.restarted += 1;
        }
    }

    fn start<M: Message>(&mut self, shards: &mut SimulatedShards<M>, node: usize) {
        self.ended.remove(&node);
        if shards.place(node, 0).is_none() {
            shards.start(node);
        }
    }

    fn command<M: Message>(
        &mut self,
        shards: &mut SimulatedShards<M>,
        (node, core): (usize, u16),
        entity: u64,
        message: &impl Fn(Command) -> M,
    ) {
        let Some(entities) = shards.entities(node) else { return };
        let Ok(shard) = entities.shard_of(entity) else { return };
        let life = shards.incarnation(node);
        let count = self.senders.len() as u16;
        let sender = *self.senders.entry((life, core)).or_insert(count);
        let answers = self.acknowledged.entry(life).or_insert_with(|| shards.at(node).probe());
        let (number, reply_to) = (self.commands.len() as u64, answers.actor());
        let message = message(Command { number, entity, reply_to });
        let sent = if core == shards.core_count() {
            shards.tell(node, entity, &message)
        } else {
            shards.tell_from((node, core), entity, message)
        };
        self.report.refused += u64::from(sent.is_err());
        self.commands.push(Sent { sender, entity, shard, handled: 0, is_acknowledged: false });
    }

    /// Lets so much time pass, and looks after each step of it.
    fn pass<M: Message>(
        &mut self,
        shards: &mut SimulatedShards<M>,
        witness: &Witness,
        time: Duration,
        step: Duration,
    ) -> Result<(), Broken> {
        let end = shards.now() + time;
        while shards.now() < end {
            let left = end - shards.now();
            shards.run_for(left.min(step));
            self.look(shards, witness)?;
        }
        Ok(())
    }

    /// Looks at the shards, at what entities have done since the last look, and at times at the views of the nodes.
    fn look<M: Message>(
        &mut self,
        shards: &mut SimulatedShards<M>,
        witness: &Witness,
    ) -> Result<(), Broken> {
        shards.check()?;
        self.steps += 1;
        if self.steps.is_multiple_of(8) {
            let now_ns = shards.now_ns();
            let nodes = 0..shards.node_count();
            let awake: Vec<bool> = nodes
                .map(|node| shards.awake_at_ns(node) + AWAKE_NS <= now_ns.max(AWAKE_NS))
                .collect();
            self.views.look(shards, |node| awake[node])?;
        }
        for handled in witness.take() {
            self.handled(shards, handled)?;
        }
        self.delivered = (0..shards.shard_count()).map(|shard| shards.delivers(shard)).collect();
        for answers in self.acknowledged.values() {
            for _ in 0..answers.waiting() {
                let command = answers.next().number;
                let sent = self.commands.get_mut(command as usize).filter(|sent| sent.handled > 0);
                let Some(sent) = sent else { return Err(Broken::NotDone { command }) };
                sent.is_acknowledged = true;
            }
        }
        Ok(())
    }

    fn handled<M: Message>(
        &mut self,
        shards: &mut SimulatedShards<M>,
        Handled { number: command, node }: Handled,
    ) -> Result<(), Broken> {
        let Some(sent) = self.commands.get_mut(command as usize) else {
            return Err(Broken::NotOnce { entity: 0, command, times: 1 });
        };
        sent.handled += 1;
        let (entity, sender, shard) = (sent.entity, sent.sender, sent.shard);
        if sent.handled > 1 {
            return Err(Broken::NotOnce { entity, command, times: sent.handled });
        }
        self.report.handled += 1;
        if let Some(node) = node
            && let Some(before) = self.delivered[shard as usize]
            && let Some((place, stood_still)) = lost(shards, shard, node, before)
        {
            let owner = before.0;
            if !stood_still {
                return Err(Broken::DoneTooLate { entity, command, place, owner });
            }
            self.report.handled_late += 1;
            return Ok(());
        }
        if let Some(later) = self.last.insert((sender, entity), command)
            && later > command
        {
            return Err(Broken::OutOfOrder { entity, sender, earlier: command, later });
        }
        Ok(())
    }

    /// Nothing goes wrong any more.
    fn heal<M: Message>(&mut self, shards: &mut SimulatedShards<M>) {
        shards.heal_network();
        shards.network().conduct(|conduct| conduct.latency_ns = 20_000..=200_000);
        shards.store().set_faults(StoreFaults::delays());
    }

    /// Lets everything come to rest; nodes that have ended begin again.
    fn rest<M: Message>(
        &mut self,
        shards: &mut SimulatedShards<M>,
        witness: &Witness,
    ) -> Result<(), Broken> {
        let end = shards.now() + Duration::from_secs(REST_SECONDS);
        let mut islands_at = shards.now() + Duration::from_secs(ISLAND_SECONDS);
        let mut resting = 0;
        loop {
            self.pass(shards, witness, CALM_STEP, CALM_STEP)?;
            self.restart_ended(shards);
            if shards.now() > islands_at && !shards.has_one_view() {
                islands_at = shards.now() + Duration::from_secs(ISLAND_SECONDS / 3);
                self.restart_island(shards);
            }
            let moves = self.moves.iter().filter(|ended| ended.waiting() == 0).count();
            if moves > 0 && !self.storm.loses() {
                if shards.now() > end {
                    return Err(Broken::MoveNotEnded { moves, seconds: REST_SECONDS });
                }
                continue;
            }
            match shards.check_rest() {
                Ok(()) if self.ended.is_empty() && resting == RESTING_LOOKS => {
                    return self.look(shards, witness);
                }
                Ok(()) => resting += u32::from(self.ended.is_empty()),
                Err(missing) if shards.now() > end => {
                    let (seconds, what) = (REST_SECONDS, missing.to_string());
                    return Err(Broken::NoRest { seconds, what });
                }
                Err(_) => resting = 0,
            }
        }
    }

    /// A first seed that begins while it reaches no other one begins a cluster of its own, and clusters do not merge:
    /// who runs them has to start the nodes of the smaller one again.
    fn restart_island<M: Message>(&mut self, shards: &mut SimulatedShards<M>) {
        let count = shards.node_count();
        let is_small = |node: &usize| 2 * shards.handle(*node).members().len() <= count;
        if let Some(node) = { 0..count }.rev().find(is_small) {
            self.report.islands += 1;
            self.end(shards, node);
            self.start(shards, node);
        }
    }

    /// Nodes that have stopped, or were ended, begin again after a second.
    fn restart_ended<M: Message>(&mut self, shards: &mut SimulatedShards<M>) {
        let now_ns = shards.now_ns();
        for node in 0..shards.node_count() {
            let is_over = shards.place(node, 0).is_none() || shards.stopped(node).is_some();
            if !is_over {
                self.ended.remove(&node);
            } else if *self.ended.entry(node).or_insert(now_ns) + 1_000_000_000 < now_ns {
                self.end(shards, node);
                self.start(shards, node);
            }
        }
    }

    /// Every entity answers to every node.
    fn all_answer<M: Message>(
        &mut self,
        shards: &mut SimulatedShards<M>,
        witness: &Witness,
        message: &impl Fn(Command) -> M,
    ) -> Result<(), Broken> {
        let first = self.commands.len();
        for entity in 0..self.storm.entities {
            for node in 0..shards.node_count() {
                let core = self.random.u16(0..=shards.core_count());
                self.command(shards, (node, core), entity, message);
            }
        }
        let end = shards.now() + ANSWERED_WITHIN;
        loop {
            self.pass(shards, witness, CALM_STEP, CALM_STEP)?;
            let unanswered =
                self.commands.iter().skip(first).filter(|sent| !sent.is_acknowledged).count();
            if unanswered == 0 {
                return Ok(());
            }
            if shards.now() > end {
                let seconds = ANSWERED_WITHIN.as_secs();
                let what = format!("{unanswered} commands are not answered");
                return Err(Broken::NoRest { seconds, what });
            }
        }
    }

    fn judge<M: Message>(
        mut self,
        shards: &mut SimulatedShards<M>,
    ) -> Result<ClusterStormReport, Broken> {
        self.report.sent = self.commands.len() as u64;
        let acknowledged = self.commands.iter().filter(|sent| sent.is_acknowledged);
        self.report.acknowledged = acknowledged.count() as u64;
        let ended = self.moves.iter().filter(|ended| ended.waiting() > 0);
        let outcomes = ended.map(|ended| ended.next().outcome);
        let moved = outcomes.filter(|outcome| matches!(outcome, MoveOutcome::Moved { .. }));
        self.report.moved = moved.count() as u64;
        self.report.owners_changed = shards.store().history().len() as u64;
        for node in 0..shards.node_count() {
            for core in 0..shards.core_count() {
                self.report.refused += shards.refused(node, core).len() as u64;
                let figures = shards.figures(node, core).unwrap_or_default();
                self.report.refused += figures.refused_broken
                    + figures.refused_full
                    + figures.refused_sends
                    + figures.refused_over
                    + figures.refused_moving;
            }
        }
        let ClusterStormReport { sent, handled, acknowledged, refused, .. } = self.report;
        let are_lost = handled + refused < sent || acknowledged != handled;
        if are_lost && !self.storm.loses() {
            return Err(Broken::Lost { sent, handled, acknowledged, refused });
        }
        Ok(self.report)
    }
}

impl<M: Message> SimulatedShards<M> {
    /// Nodes reach each other, and the store.
    fn heal_network(&mut self) {
        self.heal();
        for node in 0..self.node_count() {
            self.store().connect(node);
        }
    }
}

/// Nothing arrives from some nodes at others; the other way stays as it is.
fn cut<M: Message>(shards: &mut SimulatedShards<M>, from: &[usize], to: &[usize]) {
    for one in from {
        for other in to {
            shards.network().cut(*one, *other);
        }
    }
}

/// Whether a life of a node has lost a shard to a place that delivered for it before, and has not got it since: where
/// that is, and whether the node has stood still.
fn lost<M: Message>(
    shards: &mut SimulatedShards<M>,
    shard: u32,
    life: u32,
    (owner, epoch): (Place, u64),
) -> Option<(Place, bool)> {
    if owner.node() == life {
        return None;
    }
    let history = shards.store().history();
    let has_got = history.iter().any(|change| {
        change.shard == shard
            && change.ownership.epoch.0 > epoch
            && change.ownership.owner.node() == life
    });
    let node = { 0..shards.node_count() }.find(|node| shards.incarnation(*node) == life)?;
    let place = shards.place(node, 0).filter(|_| !has_got)?;
    Some((place, shards.awake_at_ns(node) + AWAKE_NS > shards.now_ns()))
}
