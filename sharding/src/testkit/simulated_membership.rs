//! Machines of membership alone, without actors and links, in virtual time: what clusters of a thousand nodes are
//! simulated with.
//!
//! Delay, loss, doubles, partitions, crashes, restarts and pauses come from a seed, and the same calls are the same
//! run. After every step that is not routine each node is held to the invariants: legal transitions, a clock no larger
//! than the members, and nobody who was removed comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use fastrand::Rng;

use crate::cluster::wire::Outgoing;
use crate::membership::{
    ClusterMessage, Event, Input, MemberId, Membership, Output, Settings, Status, StopReason,
};

const MS: u64 = 1_000_000;
/// How often each machine is told the time.
const TICK_NS: u64 = 20 * MS;
/// The first so many nodes are seeds.
const SEEDS: usize = 3;

/// See the module's header. Nodes are named by their number, from 0.
pub struct SimulatedMembership {
    pub(crate) now_ns: u64,
    pub(crate) loss_percent: u8,
    pub(crate) double_percent: u8,
    /// A message is on its way for up to so long.
    pub(crate) delay_ns: u64,
    /// The side of each node; nodes of different sides do not hear each other.
    pub(crate) sides: Vec<u8>,
    pub(crate) nodes: Vec<Node>,
    random: Rng,
    sent: u64,
    /// Of all that was sent, if that is counted.
    sent_bytes: Option<u64>,
    ways: BTreeMap<(u64, u64), (usize, usize, ClusterMessage)>,
    settings: Settings,
}

pub(crate) struct Node {
    pub machine: Membership,
    pub runs: bool,
    pub paused: bool,
    pub stopped: Option<StopReason>,
    pub events: Vec<Event>,
    known: BTreeMap<MemberId, Status>,
    removed: BTreeSet<MemberId>,
}

impl SimulatedMembership {
    /// That many nodes, of which the first three are seeds; all begin to join at once.
    ///
    /// # Panics
    /// In the test whose settings make no sense, or that asks for more nodes than there are ports.
    pub fn seeded(seed: u64, count: usize, settings: Settings) -> SimulatedMembership {
        let seeds = (0..count.min(SEEDS)).map(address).collect();
        let settings = Settings { seeds, ..settings };
        let mut cluster = SimulatedMembership {
            now_ns: 0,
            loss_percent: 0,
            double_percent: 0,
            delay_ns: 2 * MS,
            sides: vec![0; count],
            nodes: Vec::new(),
            random: Rng::with_seed(seed),
            sent: 0,
            sent_bytes: None,
            ways: BTreeMap::new(),
            settings,
        };
        cluster.nodes = (0..count).map(|index| cluster.node(index, 1)).collect();
        cluster
    }

    /// Lets virtual time pass, in nanoseconds.
    ///
    /// # Panics
    /// When a node breaks an invariant.
    pub fn run_for(&mut self, ns: u64) {
        let end_ns = self.now_ns + ns;
        while self.now_ns < end_ns {
            let tick_ns = (self.now_ns / TICK_NS + 1) * TICK_NS;
            while let Some(way) = self.ways.first_entry().filter(|way| way.key().0 <= tick_ns) {
                let ((at_ns, _), (from, to, message)) = way.remove_entry();
                self.now_ns = self.now_ns.max(at_ns);
                if self.sides[from] == self.sides[to] {
                    self.step(to, Input::Received(message));
                }
            }
            self.now_ns = tick_ns;
            (0..self.nodes.len()).for_each(|index| self.step(index, Input::Tick));
        }
    }

    /// Runs until all nodes that run agree; returns the virtual time it took, in nanoseconds.
    ///
    /// # Panics
    /// When they do not within the limit; the message says what they see.
    pub fn agree_within(&mut self, limit_ns: u64, members: usize) -> u64 {
        let from_ns = self.now_ns;
        while !self.agrees(members) {
            let passed_ns = self.now_ns - from_ns;
            assert!(
                passed_ns < limit_ns,
                "no one view of {members} within {limit_ns} ns:\n{}",
                self
            );
            self.run_for(TICK_NS);
        }
        self.now_ns - from_ns
    }

    /// Whether all nodes that run have one view, of so many members, all up, that all have seen.
    pub fn agrees(&self, members: usize) -> bool {
        let running: Vec<&Node> = self.nodes.iter().filter(|node| node.runs).collect();
        let first = running[0].machine.view();
        let numbers: BTreeSet<_> = first.members.values().map(|member| member.up_number).collect();
        let is_good = |node: &&Node| {
            let view = node.machine.view();
            let up = view.members.values().all(|member| member.status == Status::Up);
            node.machine.is_member() && up && view.has_converged() && view.members == first.members
        };
        running.iter().all(is_good) && first.members.len() == members && numbers.len() == members
    }

    /// Gives a node an input.
    ///
    /// # Panics
    /// As [`run_for`](Self::run_for).
    pub fn step(&mut self, index: usize, input: Input) {
        let node = &mut self.nodes[index];
        if !node.runs || node.paused {
            return;
        }
        let is_routine = input.is_routine();
        let mut outputs = Vec::new();
        node.machine.step(self.now_ns, input, &mut outputs);
        let is_quiet = outputs.is_empty();
        for output in outputs {
            match output {
                Output::Send(to, message) => self.send(index, to, message),
                Output::Event(event) => self.nodes[index].hear(event),
                Output::Stop(reason) => {
                    self.nodes[index].stopped = Some(reason);
                    self.nodes[index].runs = false;
                }
            }
        }
        if is_routine && (is_quiet || self.nodes[index].machine.is_member()) {
            return;
        }
        let view = self.nodes[index].machine.view();
        assert!(view.check().is_ok(), "{:?}", view.check());
        assert!(view.clock.entries().len() <= view.members.len(), "more entries than members");
    }

    /// Ends a node without a word; the others find out.
    pub fn crash(&mut self, index: usize) {
        self.nodes[index].runs = false;
    }

    /// Begins the next life of a node at its address.
    pub fn restart(&mut self, index: usize) {
        let incarnation = self.id(index).incarnation + 1;
        self.nodes[index] = self.node(index, incarnation);
    }

    /// As [`restart`](Self::restart), with settings of its own, but for the seeds.
    pub fn restart_with(&mut self, index: usize, settings: Settings) {
        let settings = Settings { seeds: self.settings.seeds.clone(), ..settings };
        let whole = std::mem::replace(&mut self.settings, settings);
        self.restart(index);
        self.settings = whole;
    }

    /// Who a node is, in its present life.
    pub fn id(&self, index: usize) -> MemberId {
        self.nodes[index].machine.id()
    }

    /// How far a node has come, as another one sees it.
    pub fn status(&self, viewer: usize, of: usize) -> Option<Status> {
        let view = self.nodes[viewer].machine.view();
        view.members.get(&self.id(of)).map(|member| member.status)
    }

    /// Messages that were sent since the simulation began.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// From now on counts the bytes of what is sent, as frames of a link have it: header, prefix and archive.
    pub fn count_bytes(&mut self) {
        self.sent_bytes = Some(0);
    }

    /// Bytes that were sent since they are counted.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.unwrap_or(0)
    }

    /// From now on so many of a hundred messages are lost.
    pub fn set_loss_percent(&mut self, percent: u8) {
        self.loss_percent = percent;
    }

    /// The virtual time, in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Whether, as the viewer sees it, a node is marked as unreachable by two members or more.
    pub fn is_suspected(&self, viewer: usize, node: usize) -> bool {
        self.nodes[viewer].machine.view().is_unreachable_by_at_least(2, &self.id(node))
    }

    /// How often a node has heard that somebody is unreachable.
    pub fn suspicions(&self) -> usize {
        let is_suspicion = |event: &&Event| match event {
            Event::ReachabilityChanged(unreachable) => !unreachable.is_empty(),
            _ => false,
        };
        self.nodes.iter().flat_map(|node| &node.events).filter(is_suspicion).count()
    }

    fn node(&mut self, index: usize, incarnation: u64) -> Node {
        let id = MemberId { address: address(index), incarnation };
        let settings = Settings { random_seed: self.random.u64(..), ..self.settings.clone() };
        Node {
            machine: Membership::new(id, settings).expect("settings"),
            runs: true,
            paused: false,
            stopped: None,
            events: Vec::new(),
            known: BTreeMap::new(),
            removed: BTreeSet::new(),
        }
    }

    fn send(&mut self, from: usize, to: SocketAddr, message: ClusterMessage) {
        let to = usize::from(to.port()) - 1;
        let copies = 1 + u8::from(self.random.u8(..100) < self.double_percent);
        for _ in 0..copies {
            self.sent += 1;
            if let Some(bytes) = &mut self.sent_bytes {
                *bytes += Outgoing::from(&message).frame_bytes();
            }
            if self.random.u8(..100) >= self.loss_percent {
                let at_ns = self.now_ns + self.random.u64(1..=self.delay_ns);
                self.ways.insert((at_ns, self.sent), (from, to, message.clone()));
            }
        }
    }
}

impl Node {
    fn hear(&mut self, event: Event) {
        match &event {
            Event::MemberChanged(member) => {
                assert!(!self.removed.contains(&member.id), "{} came back", member.id);
                if let Some(known) = self.known.insert(member.id, member.status) {
                    assert!(leads_to(known, member.status), "{known:?} to {:?}", member.status);
                }
            }
            Event::MemberRemoved(member) => {
                self.removed.insert(member.id);
            }
            _ => {}
        }
        self.events.push(event);
    }
}

/// Whether one or more legal transitions lead from one status to the other: gossip may skip some.
fn leads_to(from: Status, to: Status) -> bool {
    from == to || Status::ALL.into_iter().any(|next| from.may_become(next) && leads_to(next, to))
}

fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], index as u16 + 1))
}

impl std::fmt::Display for SimulatedMembership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for node in &self.nodes {
            let view = node.machine.view();
            let members = view.members.values().map(|m| format!("{}:{:?}", m.id, m.status));
            let members: Vec<String> = members.collect();
            let (id, seen, counters) =
                (node.machine.id(), view.seen.len(), node.machine.counters());
            writeln!(f, "{id} runs={} seen={seen} {counters:?} {members:?}", node.runs)?;
        }
        Ok(())
    }
}
