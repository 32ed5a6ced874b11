//! The lease that decides a partition, asked for at the store that the nodes share.
//!
//! A store of its own connection, polled by the cluster's actor. An answer that is unknown, or does not come, is asked
//! for again as long as the resolver waits: to have what one has already is no harm.
//!
//! Bounds: [`ASKED_LIMIT`] questions without an answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::downing::{Input, LEASE_ANSWER_NS, LeaseCall};
use crate::ownership::{
    ClusterStore, LeaseAnswer, NamedLease, OpenStore, RequestId, StoreError, StoreNews,
    StoreQuestion,
};

/// The name of the lease.
pub const RESOLVER_LEASE: &str = "downing";
/// After how long a question without an answer is put again.
const AGAIN_NS: u64 = 2_500_000_000;
/// After how long one whose outcome is unknown is.
const SOON_NS: u64 = 500_000_000;
/// Questions without an answer that are remembered.
const ASKED_LIMIT: usize = 64;

/// A store that is open.
pub(super) type Opened = Box<dyn ClusterStore + Send>;

/// Where a store waits between its opening, before the cores run, and its actor.
#[derive(Default)]
pub(super) struct OpenedStore(Mutex<Option<Opened>>);

impl fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenedStore")
    }
}

impl OpenedStore {
    pub fn open(&self, store: &dyn OpenStore) -> Result<(), StoreError> {
        let opened = store.open()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(())
    }

    pub fn take(&self) -> Option<Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// See the module's header.
pub(super) struct LeaseDesk {
    store: Opened,
    incarnation: u64,
    name: Arc<str>,
    wanted: Option<Wanted>,
    /// The request by which this node has had the lease last.
    held: Option<u64>,
    last_id: u64,
    /// For which request a question was put.
    asked: BTreeMap<RequestId, u64>,
}

/// A request of the resolver.
#[derive(Clone, Copy)]
struct Wanted {
    request: u64,
    ttl_ns: u64,
    again_ns: u64,
    until_ns: u64,
}

impl LeaseDesk {
    pub fn new(store: Opened, incarnation: u64) -> LeaseDesk {
        let (name, asked) = (Arc::from(RESOLVER_LEASE), BTreeMap::new());
        LeaseDesk { store, incarnation, name, wanted: None, held: None, last_id: 0, asked }
    }

    /// The resolver wants this; a lease that it gets is for so long.
    pub fn call(&mut self, now_ns: u64, call: LeaseCall, ttl_ns: u64) {
        match call {
            LeaseCall::Acquire { request } => {
                let until_ns = now_ns.saturating_add(LEASE_ANSWER_NS);
                self.wanted = Some(Wanted { request, ttl_ns, again_ns: now_ns, until_ns });
                self.ask_if_due(now_ns);
            }
            LeaseCall::Release => {
                self.wanted = None;
                if let Some(request) = self.held.take() {
                    // A lease that is not given back ends by itself.
                    self.ask(now_ns, StoreQuestion::ReleaseLease(self.lease(request)));
                }
            }
        }
    }

    /// What the store has said.
    pub fn poll(&mut self, now_ns: u64) -> Vec<Input> {
        let (mut news, mut inputs) = (Vec::new(), Vec::new());
        self.store.poll(now_ns, &mut news);
        for one in news {
            match one {
                StoreNews::Lease(id, answer) => inputs.extend(self.answered(now_ns, id, answer)),
                StoreNews::Failed(id, error) => {
                    tracing::warn!(%error, "the lease that decides was not asked for; again");
                    self.answered(now_ns, id, LeaseAnswer::Unknown);
                }
                _ => {}
            }
        }
        self.ask_if_due(now_ns);
        inputs
    }

    fn answered(&mut self, now_ns: u64, id: RequestId, answer: LeaseAnswer) -> Option<Input> {
        let request = self.asked.remove(&id)?;
        let wanted = self.wanted.filter(|wanted| wanted.request == request);
        match answer {
            LeaseAnswer::Acquired => {
                self.held = Some(request);
                self.wanted = self.wanted.filter(|_| wanted.is_none());
                Some(Input::Acquired { request })
            }
            LeaseAnswer::Refused { holder } => {
                tracing::warn!(holder, "another node has the lease that decides");
                self.wanted = self.wanted.filter(|_| wanted.is_none());
                Some(Input::Refused { request })
            }
            LeaseAnswer::Unknown => {
                if let Some(wanted) = self.wanted.as_mut().filter(|it| it.request == request) {
                    wanted.again_ns = now_ns.saturating_add(SOON_NS);
                }
                None
            }
            LeaseAnswer::Released => None,
        }
    }

    fn ask_if_due(&mut self, now_ns: u64) {
        let Some(wanted) = self.wanted.as_mut().filter(|wanted| wanted.again_ns <= now_ns) else {
            return;
        };
        wanted.again_ns = now_ns.saturating_add(AGAIN_NS);
        let Wanted { request, ttl_ns, until_ns, .. } = *wanted;
        if until_ns <= now_ns {
            self.wanted = None;
            return;
        }
        let lease = self.lease(request);
        if let Some(id) = self.ask(now_ns, StoreQuestion::AcquireLease { lease, ttl_ns }) {
            if self.asked.len() >= ASKED_LIMIT {
                self.asked.pop_first();
            }
            self.asked.insert(id, request);
        }
    }

    fn ask(&mut self, now_ns: u64, question: StoreQuestion) -> Option<RequestId> {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.store.ask(now_ns, id, question).ok().map(|()| id)
    }

    fn lease(&self, request: u64) -> NamedLease {
        NamedLease { name: Arc::clone(&self.name), incarnation: self.incarnation, request }
    }
}
