//! Where the entity types of a node put their questions to the ownership store, and the device that brings the answers.
//!
//! One stands on core 0 of a node in a cluster. It keeps the node present in the store, and the [`Tenure`] of all its
//! cores in step with the lease: when the lease is lost, the tenure is closed before anybody is told.
//!
//! Invariants: an answer goes to who asked, once; all other news goes to all. Bounds: the store's limit of questions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use mainspring::device::{Device, DeviceTurn};

use super::tenure::Tenure;
use crate::ownership::{ClusterStore, NodeRecord, RequestId, StoreFull, StoreNews, StoreQuestion};

/// After how long a node that the store has not registered asks again.
const REGISTER_NS: u64 = 1_000_000_000;

/// How long the answer to a registration is waited for, if the store does not say itself that none comes.
const REGISTERED_WITHIN_NS: u64 = 5_000_000_000;

/// Who hears what the store says.
pub(crate) type Listener = Rc<dyn Fn(&mut DeviceTurn<'_>, &StoreNews)>;

/// See the module's header.
pub(crate) struct StoreDesk {
    inner: RefCell<Inner>,
    tenure: Arc<Tenure>,
}

struct Inner {
    store: Box<dyn ClusterStore + Send>,
    record: NodeRecord,
    last_id: u64,
    /// Which listener asked.
    asked: BTreeMap<RequestId, usize>,
    listeners: Vec<Listener>,
    registration: Registration,
}

/// How far the node's own registration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registration {
    /// To be asked for at this time.
    Due(u64),
    /// The answer is waited for until this time.
    Asked(RequestId, u64),
    Present,
    /// Given back, or lost.
    Over,
}

impl StoreDesk {
    /// One that registers the node at its first poll.
    pub fn new(
        store: Box<dyn ClusterStore + Send>,
        record: NodeRecord,
        tenure: Arc<Tenure>,
    ) -> StoreDesk {
        let inner = Inner {
            store,
            record,
            last_id: 0,
            asked: BTreeMap::new(),
            listeners: Vec::new(),
            registration: Registration::Due(0),
        };
        StoreDesk { inner: RefCell::new(inner), tenure }
    }

    /// Adds one who hears what the store says: the number by which it asks.
    pub fn listen(&self, listener: Listener) -> usize {
        let listeners = &mut self.inner.borrow_mut().listeners;
        listeners.push(listener);
        listeners.len() - 1
    }

    /// Puts a question; the answer comes to the listener under the number that is returned.
    pub fn ask(
        &self,
        now_ns: u64,
        listener: usize,
        question: StoreQuestion,
    ) -> Result<RequestId, StoreFull> {
        let inner = &mut *self.inner.borrow_mut();
        if question == StoreQuestion::Resign {
            inner.registration = Registration::Over;
            self.tenure.close();
        }
        let id = inner.ask(now_ns, question)?;
        inner.asked.insert(id, listener);
        Ok(id)
    }

    /// Nobody waits for this answer any more.
    pub fn forget(&self, id: RequestId) {
        self.inner.borrow_mut().asked.remove(&id);
    }

    /// What is new, and who is to hear of each.
    fn take_news(&self, now_ns: u64) -> Vec<(StoreNews, Vec<Listener>)> {
        let inner = &mut *self.inner.borrow_mut();
        if let Registration::Due(due_ns) | Registration::Asked(_, due_ns) = inner.registration
            && due_ns <= now_ns
        {
            let record = inner.record.clone();
            inner.registration = match inner.ask(now_ns, StoreQuestion::Register(record)) {
                Ok(id) => Registration::Asked(id, now_ns.saturating_add(REGISTERED_WITHIN_NS)),
                Err(_) => Registration::Due(now_ns + REGISTER_NS),
            };
        }
        let mut news = Vec::new();
        inner.store.poll(now_ns, &mut news);
        news.into_iter().map(|one| self.address(now_ns, inner, one)).collect()
    }

    /// Does what this news means for the node itself, and says who is to hear of it.
    fn address(
        &self,
        now_ns: u64,
        inner: &mut Inner,
        news: StoreNews,
    ) -> (StoreNews, Vec<Listener>) {
        let all = inner.listeners.clone();
        let to = match &news {
            StoreNews::LeaseKept { until_ns } => {
                self.tenure.keep_until(*until_ns);
                Vec::new()
            }
            StoreNews::LeaseLost => {
                self.tenure.close();
                inner.registration = Registration::Over;
                tracing::error!(
                    "the lease at the ownership store is lost: all shards of this node stop"
                );
                all
            }
            StoreNews::Registered(id) if inner.has_asked_by(*id) => {
                inner.registration = Registration::Present;
                all
            }
            StoreNews::Failed(id, error) if inner.has_asked_by(*id) => {
                tracing::warn!(%error, "this node is not registered with the ownership store; it tries again");
                inner.registration = Registration::Due(now_ns + REGISTER_NS);
                Vec::new()
            }
            StoreNews::Answer(id, _)
            | StoreNews::Records(id, _)
            | StoreNews::Failed(id, _)
            | StoreNews::Resigned(id)
            | StoreNews::Lease(id, _)
            | StoreNews::Registered(id) => {
                let asker = inner.asked.remove(id);
                asker.and_then(|asker| inner.listeners.get(asker).cloned()).into_iter().collect()
            }
            _ => all,
        };
        (news, to)
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        let inner = self.inner.borrow();
        let register_ns = match inner.registration {
            Registration::Due(due_ns) | Registration::Asked(_, due_ns) => Some(due_ns),
            _ => None,
        };
        register_ns.into_iter().chain(inner.store.next_deadline_ns()).min()
    }
}

impl Inner {
    /// Whether the node waits for its registration under this number.
    fn has_asked_by(&self, id: RequestId) -> bool {
        matches!(self.registration, Registration::Asked(asked, _) if asked == id)
    }

    fn ask(&mut self, now_ns: u64, question: StoreQuestion) -> Result<RequestId, StoreFull> {
        let id = RequestId(self.last_id + 1);
        self.store.ask(now_ns, id, question)?;
        self.last_id = id.0;
        Ok(id)
    }
}

/// Polls the store of a [`StoreDesk`].
pub(crate) struct StoreDevice(pub Rc<StoreDesk>);

impl Device for StoreDevice {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let news = self.0.take_news(turn.now_ns());
        let count = news.len();
        for (one, listeners) in news {
            for listener in listeners {
                listener(turn, &one);
            }
        }
        count
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.0.next_deadline_ns()
    }
}
