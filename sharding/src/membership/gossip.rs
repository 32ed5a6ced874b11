//! The view of the cluster that nodes give to each other, and what two views make together.
//!
//! Invariants: clock, seen set and reachability name members only; no member has a tombstone. Merging is commutative,
//! associative and idempotent (but for the seen set, which a merge empties: nobody has seen the result yet).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3;

use super::member::{Member, MemberId, Status};
use super::reachability::Reachability;
use super::settings::{MEMBER_LIMIT, NAME_LIMIT_BYTES, ROLE_LIMIT, TOMBSTONE_LIMIT};
use super::vector_clock::VectorClock;

/// A view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gossip {
    /// Who is a member.
    pub members: BTreeMap<MemberId, Member>,
    /// Who has seen exactly this view.
    pub seen: BTreeSet<MemberId>,
    /// Who does not reach whom.
    pub reachability: Reachability,
    /// Which changes are in this view.
    pub clock: VectorClock,
    /// Who was removed, and when that is forgotten: in a node by its own clock, in a message in nanoseconds from now.
    pub tombstones: BTreeMap<MemberId, u64>,
}

/// Why a view that came is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GossipError {
    /// More of something than a view may have.
    #[error(
        "a view with {count} {what}, where {limit} are the limit; give the cluster fewer nodes"
    )]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A part of the view names somebody who is no member of it.
    #[error(
        "a view whose {part} names {id}, who is no member of it; the sender runs another version or forges"
    )]
    Stranger {
        /// Which part.
        part: &'static str,
        /// Whom.
        id: MemberId,
    },
}

impl Gossip {
    /// What two views make together. Nobody has seen it yet.
    pub fn merge(&mut self, other: &Gossip) {
        for (&id, &forgotten_ns) in &other.tombstones {
            let ours = self.tombstones.entry(id).or_insert(forgotten_ns);
            *ours = (*ours).min(forgotten_ns);
        }
        for (id, theirs) in &other.members {
            match self.members.get_mut(id) {
                Some(ours) => ours.merge(theirs),
                None => {
                    self.members.insert(*id, theirs.clone());
                }
            }
        }
        self.clock.merge(&other.clock);
        self.reachability.merge(&other.reachability);
        self.seen.clear();
        self.bury();
    }

    /// Takes everything out that has a tombstone.
    fn bury(&mut self) {
        self.members.retain(|id, _| !self.tombstones.contains_key(id));
        let members = &self.members;
        self.seen.retain(|id| members.contains_key(id));
        self.reachability.retain(|id| members.contains_key(id));
        self.clock.retain(|id| members.contains_key(id));
    }

    /// Writes a change down: one more by this member, which alone has seen it.
    pub(super) fn changed_by(&mut self, id: MemberId) {
        self.clock.advance(id);
        self.seen.clear();
        self.seen.insert(id);
    }

    /// Gives the member a status; returns whether that is allowed.
    pub(super) fn set_status(&mut self, id: &MemberId, next: Status) -> bool {
        let Some(member) = self.members.get_mut(id) else { return false };
        let allowed = member.status.may_become(next);
        if allowed {
            member.status = next;
        }
        allowed
    }

    /// Removes a member for good.
    pub(super) fn remove(&mut self, id: MemberId, forgotten_ns: u64) {
        self.tombstones.insert(id, forgotten_ns);
        self.bury();
        if self.tombstones.len() > TOMBSTONE_LIMIT
            && let Some((&oldest, _)) = self.tombstones.iter().min_by_key(|(_, at_ns)| **at_ns)
        {
            self.tombstones.remove(&oldest);
        }
    }

    /// Whether both views say the same, whoever has seen them.
    pub(super) fn says_the_same(&self, other: &Gossip) -> bool {
        self.members == other.members && self.reachability == other.reachability
    }

    /// Everyone that cannot be reached, by the word of members that are not down.
    pub fn unreachable(&self) -> BTreeSet<MemberId> {
        self.reachability.unreachable(|observer| !self.is_down(observer))
    }

    /// Whether this many members that are not down, or more, do not reach the subject. One observer alone may be the
    /// one whose network is broken: decisions to down somebody ask for two.
    pub fn is_unreachable_by_at_least(&self, observers: usize, subject: &MemberId) -> bool {
        self.reachability.observers_of(subject, |observer| !self.is_down(observer)) >= observers
    }

    /// Whether all agree: every member that is up or leaving has seen this view, and whoever cannot be reached is on
    /// the way out.
    pub fn has_converged(&self) -> bool {
        let seen = |member: &Member| !member.status.counts() || self.seen.contains(&member.id);
        let is_ending = |id| self.members.get(id).is_none_or(|member| member.status.is_ending());
        self.members.values().all(seen) && self.unreachable().iter().all(is_ending)
    }

    /// Who acts for all, as `viewer` sees it: the first by address that is up or leaving and can be reached; before
    /// anybody is up, the first that joins. No election: two sides of a partition have one each.
    pub fn leader(&self, viewer: &MemberId) -> Option<MemberId> {
        let unreachable = self.unreachable();
        let is_here = |member: &&Member| member.id == *viewer || !unreachable.contains(&member.id);
        let mut up = self.members.values().filter(is_here).filter(|member| member.status.counts());
        let mut other = self.members.values().filter(is_here);
        up.next()
            .or_else(|| other.find(|member| !member.status.is_ending()))
            .map(|member| member.id)
    }

    /// The same on every node that has this very view, seen by the same members.
    pub fn digest(&self) -> u64 {
        let mut hasher = Xxh3::new();
        self.clock.hash(&mut hasher);
        self.seen.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether a view from elsewhere keeps limits and invariants.
    ///
    /// # Errors
    /// [`GossipError`] names the first that it breaks.
    pub fn check(&self) -> Result<(), GossipError> {
        let within = |what, count, limit| {
            if count > limit { Err(GossipError::TooMany { what, count, limit }) } else { Ok(()) }
        };
        within("members", self.members.len(), MEMBER_LIMIT)?;
        within("tombstones", self.tombstones.len(), TOMBSTONE_LIMIT)?;
        for member in self.members.values() {
            within("roles of a member", member.roles.len(), ROLE_LIMIT)?;
            let longest = member.roles.iter().map(String::len).max().unwrap_or(0);
            let bytes = longest.max(member.app_version.len());
            within("bytes in a role or version", bytes, NAME_LIMIT_BYTES)?;
        }
        let known = |part, id: &MemberId| {
            let is_member = self.members.contains_key(id);
            if is_member { Ok(()) } else { Err(GossipError::Stranger { part, id: *id }) }
        };
        self.members.iter().filter(|(id, member)| **id != member.id).try_for_each(|(id, _)| {
            Err(GossipError::Stranger { part: "list of members", id: *id })
        })?;
        self.seen.iter().try_for_each(|id| known("seen set", id))?;
        self.clock.entries().try_for_each(|(id, _)| known("clock", id))?;
        for (observer, row) in self.reachability.rows() {
            known("reachability", observer)?;
            row.subjects.keys().try_for_each(|id| known("reachability", id))?;
        }
        let buried = self.members.keys().find(|id| self.tombstones.contains_key(id));
        buried.map_or(Ok(()), |id| Err(GossipError::Stranger { part: "tombstones", id: *id }))
    }

    /// For a message: tombstones in nanoseconds from now.
    pub(super) fn outbound(&self, now_ns: u64) -> Gossip {
        let mut sent = self.clone();
        sent.tombstones.values_mut().for_each(|at_ns| *at_ns = at_ns.saturating_sub(now_ns));
        sent
    }

    /// From a message: tombstones by this node's clock.
    pub(super) fn inbound(&self, now_ns: u64) -> Gossip {
        let mut taken = self.clone();
        taken.tombstones.values_mut().for_each(|in_ns| *in_ns = in_ns.saturating_add(now_ns));
        taken
    }

    fn is_down(&self, id: &MemberId) -> bool {
        self.members.get(id).is_none_or(|member| member.status == Status::Down)
    }
}
