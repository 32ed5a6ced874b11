//! What a store in memory holds: nodes under their leases, leases by name, and the owners of shards.
//!
//! Invariants: one revision counts every change of an owner, and is the epoch of the record that the change made; a
//! node is present as long as its lease is here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RECORD_LIMIT;
use crate::ownership::verdict::{Grant, judge};
use crate::ownership::{
    Epoch, LeaseAnswer, NamedLease, NodeRecord, Ownership, Place, StoreAnswer, StoreError,
    StoreRequest,
};

#[derive(Debug, Default)]
pub(super) struct Records {
    revision: u64,
    owners: BTreeMap<Arc<str>, BTreeMap<u32, Ownership<Place>>>,
    count: usize,
    leases: BTreeMap<u64, HeldLease>,
    /// Those by name: who has one, for how long, and when it ends.
    named: BTreeMap<Arc<str>, (NamedLease, u64, u64)>,
}

/// The presence of one node.
#[derive(Debug)]
struct HeldLease {
    node: NodeRecord,
    /// Who may keep it.
    connection: u64,
    ttl_ns: u64,
    ends_ns: u64,
}

impl Records {
    pub(super) fn record(&self, entity_type: &str, shard: u32) -> Option<Ownership<Place>> {
        self.owners.get(entity_type)?.get(&shard).copied()
    }

    pub(super) fn all_of(&self, entity_type: &str) -> Vec<(u32, Ownership<Place>)> {
        let shards = self.owners.get(entity_type).into_iter().flatten();
        shards.map(|(shard, record)| (*shard, *record)).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<str>, u32, Ownership<Place>)> {
        self.owners.iter().flat_map(|(entity_type, shards)| {
            shards.iter().map(move |(shard, record)| (entity_type, *shard, *record))
        })
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.leases.values().map(|lease| &lease.node)
    }

    pub(super) fn is_present(&self, incarnation: u64) -> bool {
        self.leases.contains_key(&incarnation)
    }

    /// Decides one question about a shard.
    pub(super) fn decide(
        &mut self,
        entity_type: &Arc<str>,
        request: &StoreRequest<Place>,
    ) -> Result<StoreAnswer<Place>, StoreError> {
        let current = self.record(entity_type, request.shard());
        let grant = match judge(request, current, |place| self.is_present(place.incarnation)) {
            Ok(Some(grant)) => grant,
            Ok(None) => return Ok(StoreAnswer::Found(current)),
            Err(reason) => return Ok(StoreAnswer::Refused { reason, current }),
        };
        if current.is_none() {
            if self.count >= RECORD_LIMIT {
                let reason =
                    format!("it holds {RECORD_LIMIT} records, its limit; use fewer shards");
                return Err(StoreError::Other { addresses: "memory".to_owned(), reason });
            }
            self.count += 1;
        }
        self.revision += 1;
        let Grant { owner, given_by } = grant;
        let record = Ownership { owner, epoch: Epoch(self.revision), given_by };
        self.owners.entry(entity_type.clone()).or_default().insert(request.shard(), record);
        Ok(StoreAnswer::Changed(record))
    }

    /// A node is present from now on. Whether it was before, through the same connection.
    pub(super) fn register(
        &mut self,
        node: NodeRecord,
        connection: u64,
        ttl_ns: u64,
        ends_ns: u64,
    ) -> Result<bool, StoreError> {
        let incarnation = node.incarnation;
        let before = self.leases.get(&incarnation);
        if let Some(other) = before.filter(|other| other.connection != connection) {
            let address = other.node.address.clone();
            return Err(StoreError::IncarnationTaken { incarnation, address });
        }
        let again = before.is_some();
        self.leases.insert(incarnation, HeldLease { node, connection, ttl_ns, ends_ns });
        Ok(again)
    }

    /// Moves the end of a lease. Whether it was still there.
    pub(super) fn keep(&mut self, incarnation: u64, connection: u64, ends_ns: u64) -> bool {
        match self.leases.get_mut(&incarnation) {
            Some(lease) if lease.connection == connection => {
                lease.ends_ns = ends_ns;
                true
            }
            _ => false,
        }
    }

    /// Ends a lease of this connection. Whether there was one.
    pub(super) fn resign(&mut self, incarnation: u64, connection: u64) -> bool {
        let ours =
            self.leases.get(&incarnation).is_some_and(|lease| lease.connection == connection);
        ours && self.leases.remove(&incarnation).is_some()
    }

    /// Decides who has a lease by name.
    pub(super) fn acquire(
        &mut self,
        at_ns: u64,
        lease: NamedLease,
        ttl_ns: u64,
        ends_ns: u64,
    ) -> LeaseAnswer {
        let held = self.named.get(&lease.name).filter(|(_, _, ends_ns)| *ends_ns > at_ns);
        match held {
            Some((held, ..)) if held.incarnation != lease.incarnation => {
                LeaseAnswer::Refused { holder: held.incarnation }
            }
            Some((held, ..)) if held.request > lease.request => LeaseAnswer::Acquired,
            _ => {
                self.named.insert(lease.name.clone(), (lease, ttl_ns, ends_ns));
                LeaseAnswer::Acquired
            }
        }
    }

    /// Ends a lease by name, if it is this one.
    pub(super) fn release(&mut self, lease: &NamedLease) -> LeaseAnswer {
        self.named.retain(|_, (held, ..)| held != lease);
        LeaseAnswer::Released
    }

    /// Who has a lease by name at that time.
    pub(super) fn holder(&self, at_ns: u64, name: &str) -> Option<u64> {
        let (held, _, ends_ns) = self.named.get(name)?;
        (*ends_ns > at_ns).then_some(held.incarnation)
    }

    /// The lease that ends first, and when.
    pub(super) fn next_end(&self) -> Option<(u64, u64)> {
        self.leases.iter().map(|(incarnation, lease)| (lease.ends_ns, *incarnation)).min()
    }

    /// The lease has ended.
    pub(super) fn expire(&mut self, incarnation: u64) {
        self.leases.remove(&incarnation);
    }

    /// All leases begin anew, with what a lease of that length gets.
    pub(super) fn renew_all(&mut self, mut ends_ns: impl FnMut(u64) -> u64) {
        for lease in self.leases.values_mut() {
            lease.ends_ns = lease.ends_ns.max(ends_ns(lease.ttl_ns));
        }
        for (_, ttl_ns, end_ns) in self.named.values_mut() {
            *end_ns = (*end_ns).max(ends_ns(*ttl_ns));
        }
    }
}
