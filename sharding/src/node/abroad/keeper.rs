//! The records of who owns which shard, where no store keeps them: the oldest member does, in its memory.
//!
//! When the oldest is gone the next oldest asks all members what they know, and keeps the records from then on. Its
//! epochs begin above all that were before, because its number in the order of members is part of them, and it is
//! believed from the moment at which it was told what is known: what an older keeper still says does not count.
//!
//! Promises what the membership promises, and no more: while two sides of a partition both take themselves for the
//! cluster, each has a keeper, and a shard has an owner on each. A resolver sees to it that one side stops.
//!
//! Invariants: a keeper decides nothing before all members have answered; the term that a node has answered to never
//! falls. Bounds: one record a shard.

use std::collections::BTreeSet;

use crate::ownership::{Epoch, MemoryOwnership, Ownership, Place, StoreAnswer, StoreRequest};

/// The part of an epoch that is the keeper's number.
const TERM_SHIFT: u32 = 32;

/// Shards of a type whose records the members keep: what a member knows is one message.
pub(crate) const KEPT_SHARDS_LIMIT: u32 = 4_096;

/// How far a node is with the records.
#[derive(Debug)]
enum State {
    /// Another member keeps them, or nobody yet.
    Elsewhere,
    /// Waits for what these members know.
    Counting {
        waiting: BTreeSet<u64>,
        records: Vec<Option<Ownership<Place>>>,
    },
    Keeping(MemoryOwnership<Place>),
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Keeper {
    me: u64,
    shard_count: u32,
    /// The highest that this node has heard of.
    term: u64,
    state: State,
}

impl Keeper {
    /// A node that keeps nothing.
    pub fn new(me: u64, shard_count: u32) -> Keeper {
        Keeper { me, shard_count, term: 0, state: State::Elsewhere }
    }

    /// The term that this node has answered to, or keeps.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Who is the oldest now, with its number, and who the other members are. Whom to ask for what they know; each is
    /// asked until it has [answered](Self::counted).
    pub fn look(
        &mut self,
        oldest: Option<(u64, u64)>,
        members: &BTreeSet<u64>,
        known: &[Option<Ownership<Place>>],
    ) -> Vec<u64> {
        let Some((_, term)) = oldest.filter(|(incarnation, _)| *incarnation == self.me) else {
            self.state = State::Elsewhere;
            return Vec::new();
        };
        if matches!(self.state, State::Elsewhere) && term >= self.term {
            self.term = term;
            let waiting = members.iter().copied().filter(|member| *member != self.me).collect();
            self.state = State::Counting { waiting, records: known.to_vec() };
        }
        let State::Counting { waiting, .. } = &mut self.state else { return Vec::new() };
        waiting.retain(|member| members.contains(member));
        let waiting: Vec<u64> = waiting.iter().copied().collect();
        self.finish();
        waiting
    }

    /// A keeper of a term asks what this node knows: whether it is told, and believed from now on.
    pub fn asked(&mut self, term: u64) -> bool {
        let is_new = term >= self.term;
        if is_new {
            self.term = term;
        }
        is_new
    }

    /// A member has said what it knows.
    pub fn counted(
        &mut self,
        term: u64,
        member: u64,
        told: impl Iterator<Item = (u32, Ownership<Place>)>,
    ) {
        if term != self.term {
            return;
        }
        let State::Counting { waiting, records } = &mut self.state else { return };
        for (shard, ownership) in told {
            let Some(record) = records.get_mut(shard as usize) else { continue };
            if record.is_none_or(|known| known.epoch < ownership.epoch) {
                *record = Some(ownership);
            }
        }
        waiting.remove(&member);
        self.finish();
    }

    /// The places that can own shards now.
    pub fn set_places(&mut self, places: &[Place]) {
        if let State::Keeping(ledger) = &mut self.state {
            ledger.set_present(places.iter().copied());
        }
    }

    /// Decides a question, if this node keeps the records.
    pub fn decide(&mut self, request: StoreRequest<Place>) -> Option<StoreAnswer<Place>> {
        match &mut self.state {
            State::Keeping(ledger) => Some(ledger.decide(request)),
            _ => None,
        }
    }

    /// Whether this node keeps the records.
    pub fn keeps(&self) -> bool {
        matches!(self.state, State::Keeping(_))
    }

    /// All records, if this node keeps them.
    pub fn records(&self) -> Vec<(u32, Ownership<Place>)> {
        let State::Keeping(ledger) = &self.state else { return Vec::new() };
        let record = |shard| Some((shard, ledger.record(shard)?));
        (0..self.shard_count).filter_map(record).collect()
    }

    fn finish(&mut self) {
        let State::Counting { waiting, records } = &mut self.state else { return };
        if waiting.is_empty() {
            let highest = records.iter().flatten().map(|record| record.epoch.0).max().unwrap_or(0);
            let revision = highest.max(self.term << TERM_SHIFT);
            let records = std::mem::take(records);
            self.state = State::Keeping(MemoryOwnership::restored(records, Epoch(revision)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(incarnation: u64) -> Place {
        Place { incarnation, core: 0 }
    }

    fn members(all: &[u64]) -> BTreeSet<u64> {
        all.iter().copied().collect()
    }

    fn take(keeper: &mut Keeper, expected: Epoch, to: u64) -> Ownership<Place> {
        match keeper.decide(StoreRequest::TakeOver { shard: 0, expected, to: place(to) }) {
            Some(StoreAnswer::Changed(record)) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_next_oldest_asks_everybody_before_it_decides_and_its_epochs_are_higher() {
        let mut first = Keeper::new(1, 1);
        assert!(first.look(Some((1, 1)), &members(&[1]), &[None]).is_empty());
        first.set_places(&[place(1), place(2), place(3)]);
        let record = take(&mut first, Epoch::NONE, 3);

        let mut second = Keeper::new(2, 1);
        assert!(second.look(Some((1, 1)), &members(&[1, 2, 3]), &[None]).is_empty());
        assert!(!second.keeps());
        assert_eq!(second.look(Some((2, 2)), &members(&[2, 3]), &[None]), [3]);
        assert_eq!(second.decide(StoreRequest::Read { shard: 0 }), None, "3 has not answered");
        second.counted(2, 3, [(0, record)].into_iter());
        second.set_places(&[place(2), place(3)]);
        let found = second.decide(StoreRequest::Read { shard: 0 });
        assert_eq!(found, Some(StoreAnswer::Found(Some(record))));
        second.set_places(&[place(2)]);
        assert!(take(&mut second, record.epoch, 2).epoch > record.epoch);
    }

    #[test]
    fn who_is_removed_is_not_waited_for_and_an_older_keeper_is_not_believed_again() {
        let mut keeper = Keeper::new(2, 1);
        assert_eq!(keeper.look(Some((2, 5)), &members(&[2, 3]), &[None]), [3]);
        assert!(keeper.look(Some((2, 5)), &members(&[2]), &[None]).is_empty());
        assert!(keeper.keeps());
        let mut other = Keeper::new(3, 1);
        assert!(other.asked(5) && !other.asked(4) && other.asked(5));
        assert_eq!(other.term(), 5);
    }

    #[test]
    fn what_a_member_says_of_another_term_or_shard_is_not_taken() {
        let mut keeper = Keeper::new(2, 1);
        keeper.look(Some((2, 5)), &members(&[2, 3]), &[None]);
        let record = Ownership { owner: place(9), epoch: Epoch(7), given_by: None };
        keeper.counted(4, 3, [(0, record)].into_iter());
        assert!(!keeper.keeps());
        keeper.counted(5, 3, [(1, record)].into_iter());
        assert_eq!(keeper.records(), []);
        assert!(keeper.keeps());
    }
}
