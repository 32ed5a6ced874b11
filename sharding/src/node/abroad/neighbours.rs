//! Who else is in the cluster, as the entities of one type see it, and when this node may begin with them.
//!
//! A node begins when it is a full member, the store knows that it is present, and every other member has taken its
//! places in and made its own known: then nobody meets a place that it has never heard of. A member that joins later
//! waits for this node in the same way.
//!
//! Invariant: `begun` never turns back. Bounds: as many neighbours as the cluster has members.

use std::collections::{BTreeMap, BTreeSet};

use crate::allocation::{NodeStanding, NodeStatus};
use crate::membership::Status;

/// After how long a greeting that got no answer is said again.
const GREET_NS: u64 = 250_000_000;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub status: Status,
    pub is_reachable: bool,
    pub has_role: bool,
    pub app_version: String,
    pub up_number: Option<u64>,
}

#[derive(Debug)]
struct Neighbour {
    standing: Standing,
    /// Cores, once it has introduced itself and all regions here know it.
    cores: Option<u16>,
    /// Whether all its regions know those of this node.
    has_welcomed: bool,
    greet_ns: u64,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Neighbours {
    me: u64,
    cores: u16,
    members: BTreeMap<u64, Neighbour>,
    leader: Option<u64>,
    is_present: bool,
    has_begun: bool,
}

impl Neighbours {
    /// Alone, and not begun.
    pub fn new(me: u64, cores: u16) -> Neighbours {
        let members = BTreeMap::new();
        Neighbours { me, cores, members, leader: None, is_present: false, has_begun: false }
    }

    /// A member is like this now.
    pub fn set(&mut self, incarnation: u64, standing: Standing) {
        if let Some(known) = self.members.get_mut(&incarnation) {
            known.standing = standing;
            return;
        }
        let cores = (incarnation == self.me).then_some(self.cores);
        let neighbour = Neighbour { standing, cores, has_welcomed: false, greet_ns: 0 };
        self.members.insert(incarnation, neighbour);
    }

    /// A member is no more.
    pub fn remove(&mut self, incarnation: u64) {
        self.members.remove(&incarnation);
    }

    /// Whether somebody is a member.
    pub fn has(&self, incarnation: u64) -> bool {
        self.members.contains_key(&incarnation)
    }

    /// Who acts for all.
    pub fn set_leader(&mut self, leader: Option<u64>) {
        self.leader = leader;
    }

    /// Who acts for all.
    pub fn leader(&self) -> Option<u64> {
        self.leader
    }

    /// Whether this node acts for all, and has begun.
    pub fn leads(&self) -> bool {
        self.has_begun && self.leader == Some(self.me)
    }

    /// What this node is.
    pub fn own_status(&self) -> Option<Status> {
        self.members.get(&self.me).map(|me| me.standing.status)
    }

    /// The store knows that this node is present.
    pub fn set_present(&mut self) {
        self.is_present = true;
    }

    /// All regions of this node know the places of a member.
    pub fn known(&mut self, incarnation: u64, cores: u16) {
        if let Some(neighbour) = self.members.get_mut(&incarnation) {
            neighbour.cores = Some(cores);
        }
    }

    /// All regions of a member know the places of this node.
    pub fn welcomed_by(&mut self, incarnation: u64) {
        if let Some(neighbour) = self.members.get_mut(&incarnation) {
            neighbour.has_welcomed = true;
        }
    }

    /// Whom to greet now.
    pub fn take_due(&mut self, now_ns: u64) -> Vec<u64> {
        let others = self.members.iter_mut().filter(|(incarnation, _)| **incarnation != self.me);
        let due = others.filter(|(_, other)| !other.has_welcomed && other.greet_ns <= now_ns);
        let greeted = due.map(|(incarnation, other)| {
            other.greet_ns = now_ns.saturating_add(GREET_NS);
            *incarnation
        });
        greeted.collect()
    }

    /// Begins, if that is possible now. Whether it did.
    pub fn begin(&mut self) -> bool {
        let is_up = self.own_status().is_some_and(Status::counts);
        let is_met = |(id, neighbour): (&u64, &Neighbour)| {
            let is_met = neighbour.cores.is_some() && neighbour.has_welcomed;
            *id == self.me || is_met || !works(neighbour.standing.status)
        };
        if self.has_begun || !is_up || !self.is_present || !self.members.iter().all(is_met) {
            return false;
        }
        self.has_begun = true;
        true
    }

    /// Whether no other member could take what this node has.
    pub fn is_last(&self) -> bool {
        let mut others = self.members.iter().filter(|(incarnation, _)| **incarnation != self.me);
        !others.any(|(_, other)| other.standing.status == Status::Up)
    }

    /// Whether this node takes part.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The member that came up first, and its number among all that did.
    pub fn oldest(&self) -> Option<(u64, u64)> {
        let working = self.members.iter().filter(|(_, member)| works(member.standing.status));
        let numbered = working.filter_map(|(id, member)| Some((member.standing.up_number?, *id)));
        numbered.min().map(|(number, incarnation)| (incarnation, number))
    }

    /// The members that have shards, or may.
    pub fn working(&self) -> BTreeSet<u64> {
        let working = self.members.iter().filter(|(_, member)| works(member.standing.status));
        working.map(|(incarnation, _)| *incarnation).collect()
    }

    /// The members for the allocation.
    pub fn standings(&self) -> Vec<NodeStanding<'_>> {
        self.members
            .iter()
            .map(|(incarnation, neighbour)| neighbour.standing(*incarnation))
            .collect()
    }
}

/// Whether a member of this status has shards, or may.
fn works(status: Status) -> bool {
    matches!(status, Status::Up | Status::Leaving | Status::Exiting)
}

impl Neighbour {
    fn standing(&self, incarnation: u64) -> NodeStanding<'_> {
        let Standing { status, is_reachable, has_role, app_version, up_number } = &self.standing;
        let status = match status {
            // Nothing goes to a node whose places are not known here yet.
            Status::Up if self.cores.is_none() => NodeStatus::Joining,
            Status::Joining | Status::WeaklyUp => NodeStatus::Joining,
            Status::Up => NodeStatus::Up,
            Status::Leaving | Status::Exiting => NodeStatus::Leaving,
            Status::Down => NodeStatus::Down,
        };
        NodeStanding {
            incarnation,
            cores: self.cores.unwrap_or(0),
            status,
            has_role: *has_role,
            app_version,
            is_reachable: *is_reachable,
            up_number: *up_number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(status: Status) -> Standing {
        Standing {
            status,
            is_reachable: true,
            has_role: true,
            app_version: "1".to_owned(),
            up_number: Some(1),
        }
    }

    /// This node is 1 and up, 2 is up as well.
    fn two() -> Neighbours {
        let mut neighbours = Neighbours::new(1, 4);
        neighbours.set(1, standing(Status::Up));
        neighbours.set(2, standing(Status::Up));
        neighbours.set_present();
        neighbours
    }

    #[test]
    fn a_node_begins_when_it_has_met_everybody_that_works_and_they_have_met_it() {
        let mut neighbours = two();
        assert_eq!(neighbours.take_due(0), [2]);
        assert!(!neighbours.begin());
        neighbours.known(2, 3);
        assert!(!neighbours.begin(), "2 does not know this node yet");
        neighbours.welcomed_by(2);
        assert!(neighbours.begin() && neighbours.has_begun());
        assert!(!neighbours.begin(), "it has begun");
    }

    #[test]
    fn a_node_does_not_begin_before_the_store_knows_it_or_before_it_is_up() {
        let mut neighbours = Neighbours::new(1, 4);
        neighbours.set(1, standing(Status::Up));
        assert!(!neighbours.begin());
        neighbours.set_present();
        neighbours.set(1, standing(Status::WeaklyUp));
        assert!(!neighbours.begin());
        neighbours.set(1, standing(Status::Up));
        assert!(neighbours.begin());
    }

    #[test]
    fn who_is_joining_down_or_removed_is_not_waited_for() {
        let mut neighbours = two();
        neighbours.set(2, standing(Status::Joining));
        neighbours.set(3, standing(Status::Down));
        neighbours.set(4, standing(Status::Exiting));
        assert!(!neighbours.begin(), "4 still has shards");
        neighbours.remove(4);
        assert!(neighbours.begin());
    }

    #[test]
    fn a_greeting_is_said_again_until_it_is_answered_and_never_to_oneself() {
        let mut neighbours = two();
        assert_eq!(neighbours.take_due(0), [2]);
        assert!(neighbours.take_due(GREET_NS - 1).is_empty());
        assert_eq!(neighbours.take_due(GREET_NS), [2]);
        neighbours.welcomed_by(2);
        assert!(neighbours.take_due(10 * GREET_NS).is_empty());
    }

    #[test]
    fn nothing_goes_to_a_node_whose_places_are_not_known() {
        let mut neighbours = two();
        let status = |neighbours: &Neighbours| neighbours.standings()[1].status;
        assert_eq!(status(&neighbours), NodeStatus::Joining);
        neighbours.known(2, 3);
        assert_eq!(status(&neighbours), NodeStatus::Up);
        assert_eq!(neighbours.standings()[1].cores, 3);
        assert_eq!(neighbours.standings()[0].cores, 4, "its own");
    }

    #[test]
    fn the_oldest_is_the_one_that_came_up_first_among_those_that_work() {
        let mut neighbours = two();
        neighbours.set(1, Standing { up_number: Some(7), ..standing(Status::Up) });
        neighbours.set(2, Standing { up_number: Some(3), ..standing(Status::Leaving) });
        neighbours.set(3, Standing { up_number: Some(1), ..standing(Status::Down) });
        assert_eq!(neighbours.oldest(), Some((2, 3)));
        assert_eq!(neighbours.working(), [1, 2].into());
        assert!(neighbours.is_last(), "the other one leaves");
    }
}
