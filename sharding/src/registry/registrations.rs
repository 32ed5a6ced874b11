//! The machine: what all nodes have registered, as one of them sees it.
//!
//! News of this node is pushed to all others soon after it happens. Whatever is lost is found again: in each round a
//! node compares a digest of its versions with one other node, chosen at random, and when they differ both say which
//! versions they have and send each other what is newer, also of third nodes.
//!
//! Invariants: a view holds nothing that its node did not register; the column of a node that is no member is not held;
//! the same inputs give the same outputs.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use xxhash_rust::xxh3::xxh3_64;

use super::column::{Column, Registered, Update, UpdateRefusal};
use super::limits::{COLUMNS_AN_ANSWER, ENTRY_LIMIT, LISTING_LIMIT, NAME_LIMIT_BYTES};
use super::message::{Input, Message, Output, RegisterError, ServiceName};
use crate::membership::MEMBER_LIMIT;

/// When the machine does what nobody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long news wait for others, to go with them, in nanoseconds.
    pub gather_ns: u64,
    /// From one comparison with another node to the next, in nanoseconds.
    pub round_ns: u64,
    /// Where the sequence of choices begins.
    pub random_seed: u64,
}

impl Default for Settings {
    /// News go after 10 ms, comparisons are a second apart.
    fn default() -> Self {
        Settings { gather_ns: 10_000_000, round_ns: 1_000_000_000, random_seed: 0 }
    }
}

/// What was not used, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// From nodes, or about nodes, that are no members.
    pub from_strangers: u64,
    /// Messages that break a limit or an invariant.
    pub malformed: u64,
    /// Updates before which others are missing; a later round brings both.
    pub gaps: u64,
}

/// All registrations that this node knows.
#[derive(Debug)]
pub struct Registrations<A> {
    me: u32,
    settings: Settings,
    /// Of each member.
    columns: BTreeMap<u32, Column<A>>,
    unreachable: BTreeSet<u32>,
    /// Who is listed, by service: what can be reached.
    services: BTreeMap<ServiceName, BTreeMap<A, u32>>,
    changed: BTreeSet<ServiceName>,
    /// The version of this node's column that was sent to all.
    pushed: u64,
    push_due_ns: Option<u64>,
    next_round_ns: u64,
    random: Rng,
    counters: Counters,
}

impl<A: Registered> Registrations<A> {
    /// Of a node that is alone.
    pub fn new(me: u32, settings: Settings) -> Self {
        Registrations {
            me,
            columns: BTreeMap::from([(me, Column::new())]),
            unreachable: BTreeSet::new(),
            services: BTreeMap::new(),
            changed: BTreeSet::new(),
            pushed: 0,
            push_due_ns: None,
            next_round_ns: 0,
            random: Rng::with_seed(settings.random_seed ^ u64::from(me)),
            settings,
            counters: Counters::default(),
        }
    }

    /// Registers an actor of this node for a service; whether it was not registered before.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changed.
    pub fn register(&mut self, now_ns: u64, name: &str, actor: A) -> Result<bool, RegisterError> {
        if name.len() > NAME_LIMIT_BYTES {
            let (bytes, limit) = (name.len(), NAME_LIMIT_BYTES);
            return Err(RegisterError::NameTooLong { bytes, limit });
        }
        if actor.node() != self.me {
            return Err(RegisterError::NotOfThisNode { name: name.to_owned() });
        }
        if self.columns.get(&self.me).is_some_and(|own| own.entry_count() >= ENTRY_LIMIT) {
            return Err(RegisterError::Full { name: name.to_owned(), limit: ENTRY_LIMIT });
        }
        Ok(self.change(now_ns, name, actor, true))
    }

    /// Takes an actor of this node out of a service; whether it was there.
    pub fn deregister(&mut self, now_ns: u64, name: &str, actor: A) -> bool {
        self.change(now_ns, name, actor, false)
    }

    /// Takes an actor of this node out of all services: it has ended.
    pub fn ended(&mut self, now_ns: u64, is_it: impl Fn(A) -> bool) {
        let Some(own) = self.columns.get(&self.me) else { return };
        let entries = own.entries().filter(|(_, actor)| is_it(*actor));
        let entries: Vec<(String, A)> =
            entries.map(|(name, actor)| (name.to_owned(), actor)).collect();
        for (name, actor) in entries {
            self.change(now_ns, &name, actor, false);
        }
    }

    /// Takes one input; what is to be done is pushed, in order. `now_ns` never falls.
    pub fn step(&mut self, now_ns: u64, input: Input<A>, outputs: &mut Vec<Output<A>>) {
        match input {
            Input::Members(members) => self.set_members(now_ns, members),
            Input::Unreachable(nodes) => self.set_unreachable(nodes),
            Input::Received { from, message } => self.received(from, message, outputs),
            Input::Tick => {}
        }
        self.push(now_ns, outputs);
        self.round(now_ns, outputs);
        outputs.extend(std::mem::take(&mut self.changed).into_iter().map(Output::Changed));
    }

    /// When it wants a tick.
    pub fn due_ns(&self) -> u64 {
        self.push_due_ns.unwrap_or(u64::MAX).min(self.next_round_ns)
    }

    /// Whom a service has, as far as this node knows and reaches them, by address: [`LISTING_LIMIT`] at most.
    pub fn listing(&self, service: &ServiceName) -> Vec<A> {
        let actors = self.services.get(service).into_iter().flat_map(BTreeMap::keys);
        actors.take(LISTING_LIMIT).copied().collect()
    }

    /// The nodes whose registrations are held, this one among them, and the version of each.
    pub fn versions(&self) -> impl Iterator<Item = (u32, u64)> {
        self.columns.iter().map(|(node, column)| (*node, column.version()))
    }

    /// The copy of what a member has registered.
    pub fn column(&self, node: u32) -> Option<&Column<A>> {
        self.columns.get(&node)
    }

    /// What was not used.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn change(&mut self, now_ns: u64, name: &str, actor: A, is_there: bool) -> bool {
        let Some(own) = self.columns.get_mut(&self.me) else { return false };
        if !own.change(name, actor, is_there) {
            return false;
        }
        let due_ns = now_ns.saturating_add(self.settings.gather_ns);
        self.push_due_ns.get_or_insert(due_ns);
        let service = ServiceName { name: name.to_owned(), fingerprint: actor.fingerprint() };
        self.list(service, actor, self.me, is_there);
        true
    }

    fn set_members(&mut self, now_ns: u64, mut members: BTreeSet<u32>) {
        members.insert(self.me);
        while members.len() > MEMBER_LIMIT {
            members.pop_last();
        }
        let gone: Vec<u32> =
            self.columns.keys().filter(|node| !members.contains(node)).copied().collect();
        for node in gone {
            self.unlist(node);
            self.columns.remove(&node);
        }
        for node in members {
            self.columns.entry(node).or_insert_with(|| {
                self.next_round_ns = now_ns;
                Column::new()
            });
        }
    }

    fn set_unreachable(&mut self, nodes: BTreeSet<u32>) {
        let before = std::mem::replace(&mut self.unreachable, nodes);
        let lost: Vec<u32> = self.unreachable.difference(&before).copied().collect();
        let back: Vec<u32> = before.difference(&self.unreachable).copied().collect();
        lost.into_iter().for_each(|node| self.unlist(node));
        back.into_iter().for_each(|node| self.relist(node));
    }

    fn received(&mut self, from: u32, message: Message<A>, outputs: &mut Vec<Output<A>>) {
        if !self.columns.contains_key(&from) || from == self.me {
            self.counters.from_strangers += 1;
            return;
        }
        match message {
            Message::Digest { digest } => {
                if digest != self.digest() {
                    outputs.push(Output::Send(from, self.own_versions(false)));
                }
            }
            Message::Versions { versions, is_answer } => {
                if versions.len() > MEMBER_LIMIT {
                    self.counters.malformed += 1;
                    return;
                }
                self.compare(from, &versions.into_iter().collect(), is_answer, outputs);
            }
            Message::Update { node, update } => self.update(node, update),
        }
    }

    /// Sends another node what it lacks, and asks it for what is lacking here.
    fn compare(
        &mut self,
        other: u32,
        theirs: &BTreeMap<u32, u64>,
        is_answer: bool,
        outputs: &mut Vec<Output<A>>,
    ) {
        let version_there = |node: &u32| theirs.get(node).copied().unwrap_or(0);
        let of_others = self.columns.iter().filter(|(node, _)| **node != other);
        let updates = of_others.filter_map(|(node, column)| {
            let update = column.since(version_there(node))?;
            Some(Output::Send(other, Message::Update { node: *node, update }))
        });
        outputs.extend(updates.take(COLUMNS_AN_ANSWER));
        let is_behind = self.versions().any(|(node, version)| version < version_there(&node));
        if is_behind && !is_answer {
            outputs.push(Output::Send(other, self.own_versions(true)));
        }
    }

    fn update(&mut self, node: u32, update: Update<A>) {
        if node == self.me {
            return;
        }
        let Some(column) = self.columns.get_mut(&node) else {
            self.counters.from_strangers += 1;
            return;
        };
        let before: BTreeSet<(String, A)> = owned_entries(column);
        match column.update(node, update) {
            Ok(()) => {}
            Err(UpdateRefusal::Old) => return,
            Err(UpdateRefusal::Gap) => {
                self.counters.gaps += 1;
                return;
            }
            Err(UpdateRefusal::Malformed) => {
                self.counters.malformed += 1;
                return;
            }
        }
        let after = owned_entries(column);
        for (name, actor) in before.symmetric_difference(&after) {
            let is_there = after.contains(&(name.clone(), *actor));
            let fingerprint = actor.fingerprint();
            self.list(ServiceName { name: name.clone(), fingerprint }, *actor, node, is_there);
        }
    }

    /// Sends what is new of this node to all others, when it has waited long enough.
    fn push(&mut self, now_ns: u64, outputs: &mut Vec<Output<A>>) {
        if self.push_due_ns.is_none_or(|due_ns| now_ns < due_ns) {
            return;
        }
        self.push_due_ns = None;
        let Some(own) = self.columns.get(&self.me) else { return };
        // What is too much for a message goes to each who finds that it is behind.
        if let Some(update @ Update::Changes(_)) = own.since(self.pushed) {
            let others = self.columns.keys().filter(|node| **node != self.me);
            let message = |node: &u32| {
                let message = Message::Update { node: self.me, update: update.clone() };
                Output::Send(*node, message)
            };
            outputs.extend(others.map(message));
        }
        self.pushed = own.version();
    }

    /// Compares with another node, when it is time.
    fn round(&mut self, now_ns: u64, outputs: &mut Vec<Output<A>>) {
        if now_ns < self.next_round_ns {
            return;
        }
        self.next_round_ns = now_ns.saturating_add(self.settings.round_ns);
        let others: Vec<u32> =
            self.columns.keys().filter(|node| **node != self.me).copied().collect();
        let reached: Vec<u32> =
            others.iter().filter(|node| !self.unreachable.contains(node)).copied().collect();
        let among = if reached.is_empty() { &others } else { &reached };
        if let Some(other) = self.random.choice(among) {
            outputs.push(Output::Send(*other, Message::Digest { digest: self.digest() }));
        }
    }

    /// Equal when members and versions are.
    fn digest(&self) -> u64 {
        let words = self.versions().flat_map(|(node, version)| [u64::from(node), version]);
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        xxh3_64(&bytes)
    }

    fn own_versions(&self, is_answer: bool) -> Message<A> {
        Message::Versions { versions: self.versions().collect(), is_answer }
    }

    fn unlist(&mut self, node: u32) {
        self.list_all(node, false);
    }

    fn relist(&mut self, node: u32) {
        self.list_all(node, true);
    }

    fn list_all(&mut self, node: u32, is_there: bool) {
        let Some(column) = self.columns.get(&node) else { return };
        for (name, actor) in owned_entries(column) {
            let service = ServiceName { name, fingerprint: actor.fingerprint() };
            self.list_now(service, actor, node, is_there);
        }
    }

    fn list(&mut self, service: ServiceName, actor: A, node: u32, is_there: bool) {
        if !self.unreachable.contains(&node) {
            self.list_now(service, actor, node, is_there);
        }
    }

    fn list_now(&mut self, service: ServiceName, actor: A, node: u32, is_there: bool) {
        let actors = self.services.entry(service.clone()).or_default();
        match is_there {
            true => drop(actors.insert(actor, node)),
            false => drop(actors.remove(&actor)),
        }
        if actors.is_empty() {
            self.services.remove(&service);
        }
        self.changed.insert(service);
    }
}

fn owned_entries<A: Registered>(column: &Column<A>) -> BTreeSet<(String, A)> {
    column.entries().map(|(name, actor)| (name.to_owned(), actor)).collect()
}
