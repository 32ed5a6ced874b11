//! One node's access to a store in memory.
//!
//! Invariants: each question is answered once at most, what comes later is dropped; the lease is kept by polls alone,
//! so a node that stands still loses it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainspring::device::Alarm;

use super::ANSWER_WITHIN_NS;
use super::world::{Call, Reply, World};
use crate::ownership::{
    ClusterStore, Lease, LeaseAnswer, LeaseSettings, QUESTION_LIMIT, RequestId, StoreAnswer,
    StoreError, StoreFull, StoreNews, StoreQuestion,
};

/// The access of one node to a [`SharedMemory`](super::SharedMemory).
pub struct SharedMemoryNode {
    world: Arc<Mutex<World>>,
    connection: u64,
    lease: Lease,
    /// Questions that wait, and when they were put.
    waiting: BTreeMap<RequestId, Waiting>,
    /// In the order in which they were put.
    deadlines: VecDeque<(u64, RequestId)>,
    /// Which life of which node, once it has asked to be present.
    incarnation: Option<u64>,
}

#[derive(Clone, Copy)]
struct Waiting {
    sent_ns: u64,
    about: About,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Presence,
    Ownership,
    Records,
    NamedLease,
}

impl fmt::Debug for SharedMemoryNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemoryNode")
            .field("incarnation", &self.incarnation)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl SharedMemoryNode {
    pub(super) fn new(
        world: Arc<Mutex<World>>,
        node: usize,
        lease: LeaseSettings,
    ) -> SharedMemoryNode {
        let connection = lock(&world).connect(node);
        SharedMemoryNode {
            world,
            connection,
            lease: Lease::new(lease),
            waiting: BTreeMap::new(),
            deadlines: VecDeque::new(),
            incarnation: None,
        }
    }

    /// Until when this node may use what it owns; none while it has no lease.
    pub fn lease_until_ns(&self) -> Option<u64> {
        self.lease.until_ns()
    }

    fn take_reply(&mut self, now_ns: u64, reply: Reply, news: &mut Vec<StoreNews>) {
        let (id, answer) = match reply {
            Reply::Question(id, answer) => (id, answer),
            Reply::Kept { sent_ns, ttl_ns: Some(ttl_ns) } => {
                let kept = self.lease.kept(now_ns, sent_ns, ttl_ns);
                news.extend(kept.map(|until_ns| StoreNews::LeaseKept { until_ns }));
                return;
            }
            Reply::Kept { ttl_ns: None, .. } => {
                if self.lease.end() {
                    news.push(StoreNews::LeaseLost);
                }
                return;
            }
        };
        let Some(asked) = self.waiting.remove(&id) else { return };
        let registered = matches!(answer, StoreNews::Registered(_));
        news.push(answer);
        if registered {
            let ttl_ns = self.lease.settings().ttl_ns;
            let until_ns = self.lease.granted(asked.sent_ns, ttl_ns);
            news.push(StoreNews::LeaseKept { until_ns });
        }
    }

    fn take_change(&mut self, change: StoreNews, news: &mut Vec<StoreNews>) {
        let me = self.incarnation;
        let gone =
            matches!(change, StoreNews::NodeAbsent { incarnation } if Some(incarnation) == me);
        news.push(change);
        if gone && self.lease.end() {
            news.push(StoreNews::LeaseLost);
        }
    }

    /// What has waited too long.
    fn give_up(&mut self, now_ns: u64, news: &mut Vec<StoreNews>) {
        while let Some(&(due_ns, id)) = self.deadlines.front() {
            let open = self.waiting.get(&id).copied();
            let open =
                open.filter(|asked| asked.sent_ns.saturating_add(ANSWER_WITHIN_NS) == due_ns);
            if open.is_some() && due_ns > now_ns {
                return;
            }
            self.deadlines.pop_front();
            let Some(asked) = open else { continue };
            self.waiting.remove(&id);
            if lock(&self.world).draw_silence() {
                continue;
            }
            news.push(match asked.about {
                About::Ownership => StoreNews::Answer(id, StoreAnswer::Unknown),
                About::NamedLease => StoreNews::Lease(id, LeaseAnswer::Unknown),
                About::Presence | About::Records => {
                    let reason = "no answer in time".to_owned();
                    let addresses = "memory".to_owned();
                    StoreNews::Failed(id, StoreError::Unreachable { addresses, reason })
                }
            });
        }
    }
}

impl ClusterStore for SharedMemoryNode {
    fn ask(
        &mut self,
        now_ns: u64,
        id: RequestId,
        question: StoreQuestion,
    ) -> Result<(), StoreFull> {
        if self.waiting.len() >= QUESTION_LIMIT {
            return Err(StoreFull { limit: QUESTION_LIMIT });
        }
        let about = match &question {
            StoreQuestion::Register(node) => {
                self.incarnation = Some(node.incarnation);
                About::Presence
            }
            StoreQuestion::Resign => {
                self.lease.end();
                About::Presence
            }
            StoreQuestion::Ownership { .. } => About::Ownership,
            StoreQuestion::ReadAll { .. } => About::Records,
            StoreQuestion::AcquireLease { .. } | StoreQuestion::ReleaseLease(_) => {
                About::NamedLease
            }
        };
        self.waiting.insert(id, Waiting { sent_ns: now_ns, about });
        self.deadlines.push_back((now_ns.saturating_add(ANSWER_WITHIN_NS), id));
        let ttl_ns = self.lease.settings().ttl_ns;
        lock(&self.world).send(now_ns, self.connection, Call::Question { id, question, ttl_ns });
        Ok(())
    }

    fn poll(&mut self, now_ns: u64, news: &mut Vec<StoreNews>) {
        let world = self.world.clone();
        lock(&world).advance(now_ns);
        loop {
            let Some(reply) = lock(&world).next_reply(now_ns, self.connection) else { break };
            self.take_reply(now_ns, reply, news);
        }
        loop {
            let Some(change) = lock(&world).next_change(now_ns, self.connection) else { break };
            self.take_change(change, news);
        }
        self.give_up(now_ns, news);
        if self.lease.take_renewal(now_ns) {
            let ttl_ns = self.lease.settings().ttl_ns;
            let keep = Call::Keep { sent_ns: now_ns, ttl_ns };
            lock(&world).send(now_ns, self.connection, keep);
        }
        if self.lease.take_loss(now_ns) {
            news.push(StoreNews::LeaseLost);
        }
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        let world = lock(&self.world).next_deadline_ns(self.connection);
        let waiting = self.deadlines.front().map(|(due_ns, _)| *due_ns);
        [world, waiting, self.lease.next_deadline_ns()].into_iter().flatten().min()
    }

    /// Polls are due when [`next_deadline_ns`](ClusterStore::next_deadline_ns) says: nobody rings.
    fn use_alarm(&mut self, _alarm: Alarm) {}
}

impl Drop for SharedMemoryNode {
    fn drop(&mut self) {
        lock(&self.world).disconnect(self.connection);
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
