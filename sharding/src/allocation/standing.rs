//! What nodes and cores have while a plan is made: a survey, and the assignments chosen so far applied to it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{AppVersion, Assignment, NodeStatus, Reason, Survey};
use crate::ownership::Place;

/// A plan being made.
pub(super) struct Standing<'a> {
    /// By incarnation.
    pub nodes: BTreeMap<u64, Node<'a>>,
    pub assignments: Vec<Assignment>,
    assigned: BTreeSet<u32>,
}

/// One member.
pub(super) struct Node<'a> {
    pub cores: Vec<Core>,
    /// Shards on all its cores, also on those it does not have.
    pub shards: u32,
    /// Shards may come to its open cores: it has the role, is reached and is not joining or down.
    is_fit: bool,
    is_leaving: bool,
    has_role: bool,
    can_give: bool,
    version: AppVersion<'a>,
    /// What decides between nodes of one version, the lowest first: the age, if that is to decide.
    age: u64,
}

/// One of its cores.
#[derive(Clone, Copy)]
pub(super) struct Core {
    pub shards: u32,
    /// Not drained.
    pub is_open: bool,
}

impl<'a> Standing<'a> {
    /// As surveyed. Shards on their way count where they go, if that is known.
    pub fn of(
        survey: &Survey<'a>,
        on_oldest: bool,
        targets: &BTreeMap<u32, Place>,
        is_drained: impl Fn(Place) -> bool,
    ) -> Self {
        let mut nodes = BTreeMap::new();
        for node in survey.nodes {
            let incarnation = node.incarnation;
            let core = |core| Core { shards: 0, is_open: !is_drained(Place { incarnation, core }) };
            let is_fit = node.can_give() && node.has_role && !survey.absent.contains(&incarnation);
            nodes.entry(incarnation).or_insert_with(|| Node {
                cores: (0..node.cores).map(core).collect(),
                shards: 0,
                is_fit,
                is_leaving: node.status == NodeStatus::Leaving,
                has_role: node.has_role,
                can_give: node.can_give(),
                version: AppVersion(node.app_version),
                age: if on_oldest { node.up_number.unwrap_or(u64::MAX) } else { 0 },
            });
        }
        let mut standing = Standing { nodes, assignments: Vec::new(), assigned: BTreeSet::new() };
        for (shard, home) in (0..).zip(survey.homes) {
            let target = targets.get(&shard).copied();
            if let Some(place) = target.or(*home) {
                standing.count(place, 1);
            }
        }
        standing
    }

    /// The shard goes there, as if it had been done.
    pub fn assign(&mut self, shard: u32, from: Option<Place>, to: Place, reason: Reason) {
        if let Some(from) = from {
            self.count(from, -1);
        }
        self.count(to, 1);
        self.assigned.insert(shard);
        self.assignments.push(Assignment { shard, to, reason });
    }

    /// Whether the plan has something for this shard already.
    pub fn is_assigned(&self, shard: u32) -> bool {
        self.assigned.contains(&shard)
    }

    /// Whether the owner can give its shards away.
    pub fn can_give(&self, home: Place) -> bool {
        self.nodes.get(&home.incarnation).is_some_and(|node| node.can_give)
    }

    /// Why a shard cannot stay.
    pub fn reason_to_leave(&self, home: Place) -> Option<Reason> {
        let node = self.nodes.get(&home.incarnation)?;
        match node.cores.get(usize::from(home.core)) {
            _ if node.is_leaving => Some(Reason::Leaving),
            Some(core) if node.has_role => (!core.is_open).then_some(Reason::Drained),
            _ => Some(Reason::Unfit),
        }
    }

    /// Whether a shard may go there now.
    pub fn admits(&self, place: Place) -> bool {
        let node = self.nodes.get(&place.incarnation).filter(|node| node.admits(false));
        let core = node.and_then(|node| node.cores.get(usize::from(place.core)));
        core.is_some_and(|core| core.is_open)
    }

    /// Where a shard without an owner goes; to a leaving node only if that is allowed and there is no other.
    pub fn best_place(&self, may_leave: bool) -> Option<Place> {
        let (incarnation, node) = self.best_node(may_leave)?;
        Some(Place { incarnation, core: node.emptiest_core()? })
    }

    /// The node of the best place.
    pub fn best_node(&self, may_leave: bool) -> Option<(u64, &Node<'a>)> {
        let open = self.nodes.iter().filter(|(_, node)| node.admits(may_leave));
        let best = open.min_by_key(|(_, node)| {
            (node.is_leaving, Reverse(node.version), node.age, node.shards)
        });
        best.map(|(incarnation, node)| (*incarnation, node))
    }

    /// The best core of a node that takes shards; none if it does not.
    pub fn best_core(&self, incarnation: u64) -> Option<Place> {
        let node = self.nodes.get(&incarnation).filter(|node| node.admits(false))?;
        Some(Place { incarnation, core: node.emptiest_core()? })
    }

    fn count(&mut self, place: Place, difference: i32) {
        let Some(node) = self.nodes.get_mut(&place.incarnation) else { return };
        node.shards = node.shards.saturating_add_signed(difference);
        if let Some(core) = node.cores.get_mut(usize::from(place.core)) {
            core.shards = core.shards.saturating_add_signed(difference);
        }
    }
}

impl Node<'_> {
    /// Whether it takes shards, as one that leaves if that is allowed.
    pub fn admits(&self, may_leave: bool) -> bool {
        let is_fit = self.is_fit && (may_leave || !self.is_leaving);
        is_fit && self.cores.iter().any(|core| core.is_open)
    }

    /// The open core with the fewest shards, and of these the first.
    pub fn emptiest_core(&self) -> Option<u16> {
        let open = (0..).zip(&self.cores).filter(|(_, core)| core.is_open);
        open.min_by_key(|(_, core)| core.shards).map(|(number, _)| number)
    }
}
