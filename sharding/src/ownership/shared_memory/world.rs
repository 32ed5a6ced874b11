//! The store in memory with everything around it: what is under way, who listens, and what goes wrong.
//!
//! Invariants: events happen in the order of their times, those of one time in the order in which they were sent; a
//! node hears of changes in the order in which they happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::LEADERLESS_NS;
use super::faults::StoreFaults;
use super::records::Records;
use crate::ownership::{
    NodeRecord, Ownership, Place, RequestId, StoreAnswer, StoreNews, StoreQuestion, StoreRequest,
};

/// Changes that are remembered.
pub const HISTORY_LIMIT: usize = 65_536;
/// Changes that wait for a node that is cut off; beyond it the node is told how things stand instead.
const WATCH_LIMIT: usize = 65_536;

/// One change of an owner, as the store made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreChange {
    /// When.
    pub at_ns: u64,
    /// Of which type.
    pub entity_type: Arc<str>,
    /// Which shard.
    pub shard: u32,
    /// Its record since.
    pub ownership: Ownership<Place>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) faults: StoreFaults,
    pub(super) cut_off: BTreeSet<usize>,
    pub(super) records: Records,
    pub(super) history: VecDeque<StoreChange>,
    now_ns: u64,
    random: fastrand::Rng,
    sequence: u64,
    arrivals: BTreeMap<(u64, u64), Arrival>,
    connections: BTreeMap<u64, Connection>,
    leaderless_until_ns: u64,
}

/// Something on its way to the store; it arrives even if its sender is gone by then.
#[derive(Debug)]
struct Arrival {
    node: usize,
    connection: u64,
    call: Call,
}

/// What a node sends.
#[derive(Debug)]
pub(super) enum Call {
    /// A question; the time to live is that of a registration.
    Question { id: RequestId, question: StoreQuestion, ttl_ns: u64 },
    /// Keep the lease.
    Keep { sent_ns: u64, ttl_ns: u64 },
}

/// What comes back.
#[derive(Debug)]
pub(super) enum Reply {
    /// To a question.
    Question(RequestId, StoreNews),
    /// To a request to keep the lease; none if it is gone.
    Kept { sent_ns: u64, ttl_ns: Option<u64> },
}

/// What the store knows of one node that talks to it.
#[derive(Debug, Default)]
struct Connection {
    node: usize,
    incarnation: Option<u64>,
    replies: BTreeMap<(u64, u64), Reply>,
    changes: VecDeque<(u64, StoreNews)>,
    last_change_due_ns: u64,
    /// Nodes that it was told are present.
    told: BTreeSet<u64>,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            faults: StoreFaults::none(),
            cut_off: BTreeSet::new(),
            records: Records::default(),
            history: VecDeque::new(),
            now_ns: 0,
            random: fastrand::Rng::with_seed(seed),
            sequence: 0,
            arrivals: BTreeMap::new(),
            connections: BTreeMap::new(),
            leaderless_until_ns: 0,
        }
    }

    pub(super) fn connect(&mut self, node: usize) -> u64 {
        let connection = self.next_number();
        self.connections.insert(connection, Connection { node, ..Connection::default() });
        connection
    }

    /// The node of the connection is gone; its lease ends by itself.
    pub(super) fn disconnect(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    /// Sends something to the store, unless it is lost.
    pub(super) fn send(&mut self, now_ns: u64, connection: u64, call: Call) {
        self.advance(now_ns);
        let faults = self.faults;
        let Some(node) = self.connections.get(&connection).map(|sender| sender.node) else {
            return;
        };
        if StoreFaults::happens(faults.lost_percent, &mut self.random) {
            return;
        }
        let mut due_ns = now_ns.saturating_add(faults.delay_ns(&mut self.random));
        if StoreFaults::happens(faults.late_percent, &mut self.random) {
            due_ns = due_ns.saturating_add(self.random.u64(0..=faults.late_max_ns));
        }
        let key = (due_ns, self.next_number());
        self.arrivals.insert(key, Arrival { node, connection, call });
        self.advance(now_ns);
    }

    /// Whether a question that gets no answer in time is not even called unknown.
    pub(super) fn draw_silence(&mut self) -> bool {
        StoreFaults::happens(self.faults.silent_percent, &mut self.random)
    }

    /// Lets everything happen that is due.
    pub(super) fn advance(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        loop {
            let arrival = self.arrivals.first_key_value().map(|(key, _)| *key);
            let end = self.records.next_end();
            let arrives_first = match (arrival, end) {
                (Some(arrival), Some(end)) => arrival.0 <= end.0,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if arrives_first && arrival.is_some_and(|(due_ns, _)| due_ns <= self.now_ns) {
                if let Some(((due_ns, _), arrival)) = self.arrivals.pop_first() {
                    self.arrive(due_ns, arrival);
                }
            } else if let Some((ends_ns, incarnation)) =
                end.filter(|(ends_ns, _)| !arrives_first && *ends_ns <= self.now_ns)
            {
                self.records.expire(incarnation);
                self.tell_all(ends_ns, &StoreNews::NodeAbsent { incarnation });
            } else {
                return;
            }
        }
    }

    /// The next reply to a node that is due.
    pub(super) fn next_reply(&mut self, now_ns: u64, connection: u64) -> Option<Reply> {
        let listener = self.connections.get_mut(&connection)?;
        let cut = self.cut_off.contains(&listener.node);
        while listener.replies.first_key_value()?.0.0 <= now_ns {
            let (_, reply) = listener.replies.pop_first()?;
            if !cut {
                return Some(reply);
            }
        }
        None
    }

    /// The next change that a node is to hear of.
    pub(super) fn next_change(&mut self, now_ns: u64, connection: u64) -> Option<StoreNews> {
        let listener = self.connections.get_mut(&connection)?;
        let is_due = listener.changes.front()?.0 <= now_ns;
        if !is_due || self.cut_off.contains(&listener.node) {
            return None;
        }
        let (_, news) = listener.changes.pop_front()?;
        match &news {
            StoreNews::NodePresent(node) => {
                listener.told.insert(node.incarnation);
            }
            StoreNews::NodeAbsent { incarnation } => {
                listener.told.remove(incarnation);
            }
            _ => {}
        }
        Some(news)
    }

    /// When something happens in the store or for this node.
    pub(super) fn next_deadline_ns(&self, connection: u64) -> Option<u64> {
        let listener = self.connections.get(&connection)?;
        let reached = !self.cut_off.contains(&listener.node);
        let change = listener.changes.front().map(|(due_ns, _)| *due_ns).filter(|_| reached);
        let reply = listener.replies.first_key_value().map(|((due_ns, _), _)| *due_ns);
        let arrival = self.arrivals.first_key_value().map(|((due_ns, _), _)| *due_ns);
        let end = self.records.next_end().map(|(ends_ns, _)| ends_ns);
        [change, reply, arrival, end].into_iter().flatten().min()
    }

    /// Who has a lease by name now.
    pub(super) fn holder(&self, name: &str) -> Option<u64> {
        self.records.holder(self.now_ns, name)
    }

    /// Nothing is decided for a while, and all leases begin anew after it.
    pub(super) fn change_leader(&mut self, now_ns: u64) {
        self.advance(now_ns);
        self.leaderless_until_ns = self.now_ns.saturating_add(LEADERLESS_NS);
        let World { records, random, faults, leaderless_until_ns, .. } = self;
        records.renew_all(|ttl_ns| {
            leaderless_until_ns.saturating_add(faults.lease_ns(ttl_ns, random))
        });
    }

    fn arrive(&mut self, at_ns: u64, arrival: Arrival) {
        let Arrival { node, connection, call } = arrival;
        if self.cut_off.contains(&node) {
            return;
        }
        if at_ns < self.leaderless_until_ns {
            if self.random.bool() {
                let key = (self.leaderless_until_ns, self.next_number());
                self.arrivals.insert(key, Arrival { node, connection, call });
            }
            return;
        }
        let reply = match call {
            Call::Keep { sent_ns, ttl_ns } => self.keep(at_ns, connection, sent_ns, ttl_ns),
            Call::Question { id, question, ttl_ns } => {
                Reply::Question(id, self.answer(at_ns, connection, id, question, ttl_ns))
            }
        };
        self.reply(at_ns, connection, reply);
    }

    fn keep(&mut self, at_ns: u64, connection: u64, sent_ns: u64, ttl_ns: u64) -> Reply {
        let ends_ns = at_ns.saturating_add(self.faults.lease_ns(ttl_ns, &mut self.random));
        let incarnation = self.connections.get(&connection).and_then(|known| known.incarnation);
        let kept = incarnation.is_some_and(|mine| self.records.keep(mine, connection, ends_ns));
        Reply::Kept { sent_ns, ttl_ns: kept.then_some(ttl_ns) }
    }

    fn answer(
        &mut self,
        at_ns: u64,
        connection: u64,
        id: RequestId,
        question: StoreQuestion,
        ttl_ns: u64,
    ) -> StoreNews {
        match question {
            StoreQuestion::Register(node) => self.register(at_ns, connection, id, node, ttl_ns),
            StoreQuestion::Ownership { entity_type, request } => {
                self.decide(at_ns, id, &entity_type, &request)
            }
            StoreQuestion::ReadAll { entity_type } => {
                StoreNews::Records(id, self.records.all_of(&entity_type))
            }
            StoreQuestion::Resign => {
                self.resign(at_ns, connection);
                StoreNews::Resigned(id)
            }
            StoreQuestion::AcquireLease { lease, ttl_ns } => {
                let ends_ns = at_ns.saturating_add(self.faults.lease_ns(ttl_ns, &mut self.random));
                StoreNews::Lease(id, self.records.acquire(at_ns, lease, ttl_ns, ends_ns))
            }
            StoreQuestion::ReleaseLease(lease) => {
                StoreNews::Lease(id, self.records.release(&lease))
            }
        }
    }

    fn decide(
        &mut self,
        at_ns: u64,
        id: RequestId,
        entity_type: &Arc<str>,
        request: &StoreRequest<Place>,
    ) -> StoreNews {
        let answer = match self.records.decide(entity_type, request) {
            Ok(answer) => answer,
            Err(error) => return StoreNews::Failed(id, error),
        };
        if let StoreAnswer::Changed(ownership) = answer {
            let (entity_type, shard) = (entity_type.clone(), request.shard());
            if self.history.len() >= HISTORY_LIMIT {
                self.history.pop_front();
            }
            self.history.push_back(StoreChange {
                at_ns,
                entity_type: entity_type.clone(),
                shard,
                ownership,
            });
            self.tell_all(at_ns, &StoreNews::Changed { entity_type, shard, ownership });
        }
        StoreNews::Answer(id, answer)
    }

    fn register(
        &mut self,
        at_ns: u64,
        connection: u64,
        id: RequestId,
        node: NodeRecord,
        ttl_ns: u64,
    ) -> StoreNews {
        let ends_ns = at_ns.saturating_add(self.faults.lease_ns(ttl_ns, &mut self.random));
        let mine = self.connections.get(&connection).and_then(|known| known.incarnation);
        if mine.is_some_and(|mine| mine != node.incarnation) {
            self.resign(at_ns, connection);
        }
        match self.records.register(node.clone(), connection, ttl_ns, ends_ns) {
            Err(error) => return StoreNews::Failed(id, error),
            Ok(again) if again => {
                let incarnation = node.incarnation;
                self.tell_all(at_ns, &StoreNews::NodeAbsent { incarnation });
            }
            Ok(_) => {}
        }
        self.tell_all(at_ns, &StoreNews::NodePresent(node.clone()));
        let due_ns = at_ns.saturating_add(self.faults.delay_ns(&mut self.random));
        if let Some(listener) = self.connections.get_mut(&connection) {
            listener.incarnation = Some(node.incarnation);
            listener.begin(due_ns, &self.records);
        }
        StoreNews::Registered(id)
    }

    fn resign(&mut self, at_ns: u64, connection: u64) {
        let Some(listener) = self.connections.get_mut(&connection) else { return };
        let Some(incarnation) = listener.incarnation.take() else { return };
        listener.changes.clear();
        if self.records.resign(incarnation, connection) {
            self.tell_all(at_ns, &StoreNews::NodeAbsent { incarnation });
        }
    }

    fn reply(&mut self, at_ns: u64, connection: u64, reply: Reply) {
        if StoreFaults::happens(self.faults.lost_percent, &mut self.random) {
            return;
        }
        let due_ns = at_ns.saturating_add(self.faults.delay_ns(&mut self.random));
        let key = (due_ns, self.next_number());
        if let Some(listener) = self.connections.get_mut(&connection) {
            listener.replies.insert(key, reply);
        }
    }

    fn tell_all(&mut self, at_ns: u64, news: &StoreNews) {
        let World { connections, records, random, faults, .. } = self;
        for listener in connections.values_mut().filter(|known| known.incarnation.is_some()) {
            let due_ns = at_ns.saturating_add(faults.delay_ns(random));
            if listener.changes.len() < WATCH_LIMIT {
                listener.tell(due_ns, news.clone());
            } else {
                listener.begin_again(due_ns, records);
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

impl Connection {
    fn tell(&mut self, due_ns: u64, news: StoreNews) {
        // One stream: nothing on it overtakes.
        self.last_change_due_ns = self.last_change_due_ns.max(due_ns);
        self.changes.push_back((self.last_change_due_ns, news));
    }

    /// What the node hears from here on begins with who is present, and who is no more.
    fn begin(&mut self, due_ns: u64, records: &Records) {
        self.changes.clear();
        let told: Vec<u64> = self.told.iter().copied().collect();
        for incarnation in told.into_iter().filter(|&gone| !records.is_present(gone)) {
            self.tell(due_ns, StoreNews::NodeAbsent { incarnation });
        }
        for node in records.nodes() {
            self.tell(due_ns, StoreNews::NodePresent(node.clone()));
        }
    }

    /// Too much was missed: how things stand, instead of how they came to.
    fn begin_again(&mut self, due_ns: u64, records: &Records) {
        self.begin(due_ns, records);
        for (entity_type, shard, ownership) in records.all() {
            let entity_type = entity_type.clone();
            self.tell(due_ns, StoreNews::Changed { entity_type, shard, ownership });
        }
    }
}
