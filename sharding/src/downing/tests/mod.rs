//! A cluster whose network is broken: every node decides by itself, and what one decides its side carries out.

mod clean_partitions;
mod indirect;
mod lease;
mod settling;

use std::collections::BTreeSet;

use super::{
    Decision, Downing, DowningSettings, Input, LeaseCall, Outputs, Strategy, Unreachable, View,
    ViewMember,
};
use crate::membership::{MemberId, Status};

pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// The node whose address ends in `number`.
pub(super) fn id(number: u8) -> MemberId {
    MemberId { address: ([10, 0, 0, number], 7000).into(), incarnation: 1 }
}

/// The number of a member.
fn number(id: MemberId) -> u8 {
    match id.address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(_) => unreachable!("nodes of tests have addresses of version 4"),
    }
}

/// A member that came up in the order of the numbers; the odd ones have the role `odd`.
pub(super) fn member(number: u8, status: Status) -> ViewMember {
    let up_number =
        (!matches!(status, Status::Joining | Status::WeaklyUp)).then_some(number.into());
    let roles = if number % 2 == 1 { vec!["odd".to_owned()] } else { Vec::new() };
    ViewMember { id: id(number), status, up_number, roles }
}

/// Members 1 to `count`, all up.
pub(super) fn all_up(count: u8) -> Vec<ViewMember> {
    (1..=count).map(|number| member(number, Status::Up)).collect()
}

/// Nodes between which gossip still travels, and their common view.
struct Side {
    members: Vec<ViewMember>,
    records: Vec<Unreachable>,
    numbers: Vec<u8>,
    /// When these nodes found out.
    since_ns: u64,
}

impl Side {
    fn view(&self, this: u8) -> View {
        let seen: Vec<MemberId> = self.numbers.iter().copied().map(id).collect();
        View::new(id(this), self.members.clone(), &self.records, &seen).expect("a view")
    }
}

struct Node {
    number: u8,
    side: usize,
    downing: Downing,
    wake_at_ns: Option<u64>,
    runs: bool,
}

/// All sides, every node of them, and a store with one lease.
pub(super) struct Cluster {
    sides: Vec<Side>,
    nodes: Vec<Node>,
    lease: Option<u8>,
    pub(super) decisions: Vec<Decision>,
}

impl Cluster {
    /// A cluster of which no part has found anything yet.
    pub(super) fn new() -> Self {
        Self { sides: Vec::new(), nodes: Vec::new(), lease: None, decisions: Vec::new() }
    }

    /// Adds the nodes `numbers`, which have that view of the members since then and find those unreachable to which
    /// `is_broken` says that their link is.
    pub(super) fn with_side(
        mut self,
        strategy: &Strategy,
        members: &[ViewMember],
        numbers: &[u8],
        since_ns: u64,
        is_broken: impl Fn(u8, u8) -> bool,
    ) -> Self {
        let lost = |observer: u8| {
            let subjects = members.iter().map(|m| number(m.id)).filter(move |n| *n != observer);
            let subjects = subjects.filter(|subject| is_broken(observer, *subject));
            let record = |subject| Unreachable { observer: id(observer), subject: id(subject) };
            subjects.map(record).collect::<Vec<_>>()
        };
        let records = numbers.iter().flat_map(|observer| lost(*observer)).collect();
        let side = Side { members: members.to_vec(), records, numbers: numbers.to_vec(), since_ns };
        for number in numbers {
            let settings = DowningSettings::of(strategy.clone());
            let downing = Downing::new(settings).expect("settings");
            let side = self.sides.len();
            let wake_at_ns = None;
            self.nodes.push(Node { number: *number, side, downing, wake_at_ns, runs: true });
        }
        self.sides.push(side);
        self
    }

    /// Splits the members into sides that do not reach each other at all, seen alike by all.
    pub(super) fn split(strategy: &Strategy, members: &[ViewMember], sides: &[Vec<u8>]) -> Self {
        let apart = |a: u8, b: u8| !sides.iter().any(|side| side.contains(&a) && side.contains(&b));
        let with =
            |cluster: Self, side: &Vec<u8>| cluster.with_side(strategy, members, side, 0, apart);
        sides.iter().fold(Self::new(), with)
    }

    /// Runs until nobody waits for anything. Returns who still runs.
    pub(super) fn settle(&mut self) -> Vec<u8> {
        for place in 0..self.nodes.len() {
            let (side, number) = (self.nodes[place].side, self.nodes[place].number);
            let (view, since_ns) = (self.sides[side].view(number), self.sides[side].since_ns);
            self.step(since_ns, place, Input::View(view));
        }
        let next = |nodes: &[Node]| {
            let waiting = nodes.iter().enumerate().filter(|(_, node)| node.runs);
            waiting.filter_map(|(place, node)| Some((node.wake_at_ns?, place))).min()
        };
        for _ in 0..10_000 {
            match next(&self.nodes) {
                Some((now_ns, place)) => self.step(now_ns, place, Input::Tick),
                None => {
                    return self.nodes.iter().filter(|n| n.runs).map(|n| n.number).collect();
                }
            }
        }
        panic!("the nodes go on waking for ever");
    }

    fn step(&mut self, now_ns: u64, place: usize, input: Input) {
        let node = &mut self.nodes[place];
        if !node.runs {
            return;
        }
        let (number, side) = (node.number, node.side);
        let Outputs { decision, lease, wake_at_ns } = node.downing.step(now_ns, input);
        node.wake_at_ns = wake_at_ns;
        match lease {
            Some(LeaseCall::Acquire { request }) => {
                let is_ours = *self.lease.get_or_insert(number) == number;
                let answer =
                    if is_ours { Input::Acquired { request } } else { Input::Refused { request } };
                self.step(now_ns, place, answer);
            }
            Some(LeaseCall::Release) if self.lease == Some(number) => self.lease = None,
            Some(LeaseCall::Release) | None => {}
        }
        if let Some(decision) = decision {
            self.carry_out(now_ns, side, &decision.down);
            self.decisions.push(decision);
        }
    }

    /// The members of a side hear of a decision at once.
    fn carry_out(&mut self, now_ns: u64, side: usize, down: &[MemberId]) {
        for member in &mut self.sides[side].members {
            if down.contains(&member.id) {
                member.status = Status::Down;
            }
        }
        for place in 0..self.nodes.len() {
            if self.nodes[place].side != side {
                continue;
            }
            if down.contains(&id(self.nodes[place].number)) {
                self.nodes[place].runs = false;
            } else {
                let view = self.sides[side].view(self.nodes[place].number);
                self.step(now_ns, place, Input::View(view));
            }
        }
    }
}

/// Which of the sides have members that run.
pub(super) fn survivors(sides: &[Vec<u8>], running: &[u8]) -> BTreeSet<usize> {
    let survives = |side: &&Vec<u8>| side.iter().any(|number| running.contains(number));
    sides.iter().enumerate().filter(|(_, side)| survives(side)).map(|(place, _)| place).collect()
}
