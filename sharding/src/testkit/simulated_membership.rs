//! A cluster of machines in virtual time: delay, loss, doubles, partitions, crashes, restarts, pauses, from a seed.
//!
//! After every step but beats each node is held to the invariants: legal transitions, a clock no larger than the
//! members, and nobody who was removed comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use fastrand::Rng;

use super::super::*;

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;
const TICK_NS: u64 = 20 * MS;

pub struct Cluster {
    pub now_ns: u64,
    pub loss_percent: u8,
    pub double_percent: u8,
    pub delay_ns: u64,
    /// The side of each node; nodes of different sides do not hear each other.
    pub sides: Vec<u8>,
    pub nodes: Vec<Node>,
    random: Rng,
    sent: u64,
    ways: BTreeMap<(u64, u64), (usize, usize, ClusterMessage)>,
    settings: Settings,
}

pub struct Node {
    pub machine: Membership,
    pub runs: bool,
    pub paused: bool,
    pub stopped: Option<StopReason>,
    pub events: Vec<Event>,
    known: BTreeMap<MemberId, Status>,
    removed: BTreeSet<MemberId>,
}

impl Cluster {
    /// That many nodes, of which the first three are seeds; all begin to join at once.
    pub fn seeded(seed: u64, count: usize, settings: Settings) -> Cluster {
        let seeds = (0..count.min(3)).map(address).collect();
        let settings = Settings { seeds, ..settings };
        let mut cluster = Cluster {
            now_ns: 0,
            loss_percent: 0,
            double_percent: 0,
            delay_ns: 2 * MS,
            sides: vec![0; count],
            nodes: Vec::new(),
            random: Rng::with_seed(seed),
            sent: 0,
            ways: BTreeMap::new(),
            settings,
        };
        cluster.nodes = (0..count).map(|index| cluster.node(index, 1)).collect();
        cluster
    }

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

    /// Runs until all nodes that run agree, or panics; returns the time it took.
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

    pub fn step(&mut self, index: usize, input: Input) {
        let node = &mut self.nodes[index];
        if !node.runs || node.paused {
            return;
        }
        let is_beat = matches!(
            input,
            Input::Received(
                ClusterMessage::Heartbeat { .. } | ClusterMessage::HeartbeatReply { .. }
            )
        );
        let mut outputs = Vec::new();
        node.machine.step(self.now_ns, input, &mut outputs);
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
        if is_beat {
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

    pub fn restart_with(&mut self, index: usize, settings: Settings) {
        let settings = Settings { seeds: self.settings.seeds.clone(), ..settings };
        let whole = std::mem::replace(&mut self.settings, settings);
        self.restart(index);
        self.settings = whole;
    }

    pub fn id(&self, index: usize) -> MemberId {
        self.nodes[index].machine.id()
    }

    pub fn status(&self, viewer: usize, of: usize) -> Option<Status> {
        let view = self.nodes[viewer].machine.view();
        view.members.get(&self.id(of)).map(|member| member.status)
    }

    pub fn sent(&self) -> u64 {
        self.sent
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

pub fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], index as u16 + 1))
}

impl std::fmt::Display for Cluster {
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
