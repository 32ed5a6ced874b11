//! Ownership records in memory: the store of a single node, and of simulations.
//!
//! Promises what [`OwnershipStore`] asks for, within one process: a restart begins with no owners. Epochs come from one
//! counter over all shards, as a store's revision does, so no two changes share one. Nothing here is ever unknown.

use std::collections::{BTreeSet, VecDeque};

use super::verdict::{Grant, judge};
use super::{
    Epoch, Home, Ownership, OwnershipStore, RequestId, StoreAnswer, StoreFull, StoreRefusal,
    StoreRequest,
};

/// Answers that wait to be fetched.
const WAITING_LIMIT: usize = 65_536;

/// The records of one entity type's shards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemoryOwnership<H> {
    records: Vec<Option<Ownership<H>>>,
    present: BTreeSet<H>,
    revision: u64,
    answers: VecDeque<(RequestId, StoreAnswer<H>)>,
}

impl<H: Home> MemoryOwnership<H> {
    /// No shard has an owner; the given places are present.
    pub fn new(shard_count: u32, present: impl IntoIterator<Item = H>) -> MemoryOwnership<H> {
        MemoryOwnership {
            records: vec![None; shard_count as usize],
            present: present.into_iter().collect(),
            revision: 0,
            answers: VecDeque::new(),
        }
    }

    /// With these records, by shard; nobody is present. Epochs go on above `revision`.
    pub(crate) fn restored(
        records: Vec<Option<Ownership<H>>>,
        revision: Epoch,
    ) -> MemoryOwnership<H> {
        let (present, answers) = (BTreeSet::new(), VecDeque::new());
        MemoryOwnership { records, present, revision: revision.0, answers }
    }

    /// These places are present, and no others.
    pub(crate) fn set_present(&mut self, places: impl IntoIterator<Item = H>) {
        self.present = places.into_iter().collect();
    }

    /// The record of a shard, if it has ever had an owner.
    pub fn record(&self, shard: u32) -> Option<Ownership<H>> {
        self.records.get(shard as usize).copied().flatten()
    }

    /// The place can own shards from now on.
    pub fn join(&mut self, place: H) {
        self.present.insert(place);
    }

    /// The place is absent from now on: its shards can be taken over, and none can be given to it.
    pub fn leave(&mut self, place: H) {
        self.present.remove(&place);
    }

    /// Whether the place can own shards.
    pub fn is_present(&self, place: H) -> bool {
        self.present.contains(&place)
    }

    /// Decides one question at once.
    pub fn decide(&mut self, request: StoreRequest<H>) -> StoreAnswer<H> {
        let current = self.record(request.shard());
        if request.shard() as usize >= self.records.len() {
            return StoreAnswer::Refused { reason: StoreRefusal::NoSuchShard, current: None };
        }
        let grant = match judge(&request, current, |place| self.is_present(place)) {
            Ok(Some(grant)) => grant,
            Ok(None) => return StoreAnswer::Found(current),
            Err(reason) => return StoreAnswer::Refused { reason, current },
        };
        self.revision += 1;
        let Grant { owner, given_by } = grant;
        let record = Ownership { owner, epoch: Epoch(self.revision), given_by };
        self.records[request.shard() as usize] = Some(record);
        StoreAnswer::Changed(record)
    }
}

impl<H: Home> OwnershipStore<H> for MemoryOwnership<H> {
    fn ask(
        &mut self,
        _now_ns: u64,
        id: RequestId,
        request: StoreRequest<H>,
    ) -> Result<(), StoreFull> {
        if self.answers.len() >= WAITING_LIMIT {
            return Err(StoreFull { limit: WAITING_LIMIT });
        }
        let answer = self.decide(request);
        self.answers.push_back((id, answer));
        Ok(())
    }

    fn next_answer(&mut self, _now_ns: u64) -> Option<(RequestId, StoreAnswer<H>)> {
        self.answers.pop_front()
    }
}
