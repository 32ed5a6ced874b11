//! A ledger of a service: pieces of an article, money of a customer, parcels that a depot can take.
//!
//! It is an event-sourced actor, and its events are the effects: what it has written is done. It knows everything that
//! it was ever asked for by its key, so a request that comes again has the same answer and no second effect.
//!
//! Invariants: what was taken under a key is taken once and given back once at most. A key that was refused, or given
//! back before it was taken, is barred: a request that comes late has no effect any more.

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::PersistenceSettings;
use mainspring_journal::{Effect, EventSourced, event, events, state};

use super::meter;
use super::order::{OrderCommand, Outcome};

/// What a ledger understands.
#[message]
pub enum LedgerCommand {
    /// Take `amount`; `declined` if the service has decided otherwise. Nobody hears the answer without a `reply_to`.
    Take { key: u64, amount: u64, declined: bool, reply_to: Option<ActorRef<OrderCommand>> },
    /// Give back what was taken under this key.
    GiveBack { key: u64, reply_to: Option<ActorRef<OrderCommand>> },
    /// What do you hold?
    Statement { reply_to: ActorRef<Statement> },
    /// Have you recovered?
    Ready { reply_to: ActorRef<Ready> },
}

/// A ledger takes commands.
#[message]
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// What it holds.
    pub balance: i64,
}

/// All that a ledger holds.
#[message]
#[derive(Clone, Debug, Default)]
pub struct Statement {
    /// What it held before the first order.
    pub start: i64,
    /// What it holds now.
    pub balance: i64,
    /// What was done under each key.
    pub entries: Vec<Entry>,
}

/// What was done under one key.
#[message(name = "ledger.entry")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: u64,
    /// How much.
    pub amount: u64,
    /// How often it was taken.
    pub taken: u32,
    /// How often it was given back.
    pub given_back: u32,
    /// Whether nothing may be taken under this key any more.
    pub barred: bool,
}

/// Something was taken.
#[event(name = "ledger.taken", version = 1)]
pub struct Taken {
    /// The key.
    pub key: u64,
    /// How much.
    pub amount: u64,
}

/// What was taken under this key was given back.
#[event(name = "ledger.given_back", version = 1)]
pub struct GivenBack {
    /// The key.
    pub key: u64,
}

/// Nothing was taken under this key, and nothing will be.
#[event(name = "ledger.barred", version = 1)]
pub struct Barred {
    /// The key.
    pub key: u64,
}

/// What may happen to a ledger.
#[events]
pub enum LedgerEvent {
    /// See [`Taken`].
    Taken(Taken),
    /// See [`GivenBack`].
    GivenBack(GivenBack),
    /// See [`Barred`].
    Barred(Barred),
}

/// A ledger.
#[state(name = "ledger", version = 1)]
pub struct Ledger {
    start: i64,
    balance: i64,
    /// By key, rising.
    entries: Vec<Entry>,
}

impl Ledger {
    /// A ledger that holds so much.
    pub fn holding(start: u64) -> Ledger {
        let start = start as i64;
        Ledger { start, balance: start, entries: Vec::new() }
    }

    fn place(&self, key: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&key, |entry| entry.key)
    }

    fn entry(&self, key: u64) -> Option<&Entry> {
        self.place(key).ok().and_then(|place| self.entries.get(place))
    }

    /// The entry of a key, made if there is none.
    fn entry_mut(&mut self, key: u64) -> &mut Entry {
        let place = self.place(key).unwrap_or_else(|place| {
            let entry = Entry { key, amount: 0, taken: 0, given_back: 0, barred: false };
            self.entries.insert(place, entry);
            place
        });
        &mut self.entries[place]
    }

    fn take(&self, key: u64, amount: u64, declined: bool, to: Asker) -> Effect<Self> {
        match self.entry(key) {
            Some(entry) if entry.barred => to.answer(Effect::none(), key, Outcome::Refused),
            Some(_) => to.answer(Effect::none(), key, Outcome::Taken),
            None if declined || self.balance < amount as i64 => {
                to.answer(persist(Barred { key }), key, Outcome::Refused)
            }
            None => to.answer(persist(Taken { key, amount }), key, Outcome::Taken),
        }
    }

    fn give_back(&self, key: u64, to: Asker) -> Effect<Self> {
        let effect = match self.entry(key) {
            Some(entry) if entry.barred => Effect::none(),
            Some(_) => persist(GivenBack { key }),
            None => persist(Barred { key }),
        };
        to.answer(effect, key, Outcome::GivenBack)
    }

    fn statement(&self) -> Statement {
        Statement { start: self.start, balance: self.balance, entries: self.entries.clone() }
    }
}

fn persist(event: impl Into<LedgerEvent>) -> Effect<Ledger> {
    Effect::persist(event).then_run(meter::persisted())
}

/// Who wants to hear an answer.
#[derive(Clone, Copy)]
struct Asker(Option<ActorRef<OrderCommand>>);

impl Asker {
    /// The answer leaves when the events of `effect` are durable.
    fn answer(self, effect: Effect<Ledger>, key: u64, outcome: Outcome) -> Effect<Ledger> {
        match self.0 {
            None => effect,
            Some(order) => {
                effect.then_reply(order, move |_| OrderCommand::Answered { key, outcome })
            }
        }
    }
}

impl EventSourced for Ledger {
    type Command = LedgerCommand;
    type Event = LedgerEvent;

    fn on_command(&self, command: &Archived<LedgerCommand>) -> Effect<Self> {
        match command {
            ArchivedLedgerCommand::Take { key, amount, declined, reply_to } => {
                let to = Asker(reply_to.as_ref().copied());
                self.take(key.to_native(), amount.to_native(), *declined, to)
            }
            ArchivedLedgerCommand::GiveBack { key, reply_to } => {
                self.give_back(key.to_native(), Asker(reply_to.as_ref().copied()))
            }
            ArchivedLedgerCommand::Statement { reply_to } => {
                Effect::reply(*reply_to, self.statement())
            }
            ArchivedLedgerCommand::Ready { reply_to } => {
                Effect::reply(*reply_to, Ready { balance: self.balance })
            }
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, LedgerEvent>) {
        match event {
            ArchivedLedgerEvent::Taken(taken) => {
                let amount = taken.amount.to_native();
                self.balance -= amount as i64;
                let entry = self.entry_mut(taken.key.to_native());
                entry.amount = amount;
                entry.taken += 1;
            }
            ArchivedLedgerEvent::GivenBack(given_back) => {
                let entry = self.entry_mut(given_back.key.to_native());
                entry.given_back += 1;
                entry.barred = true;
                self.balance += entry.amount as i64;
            }
            ArchivedLedgerEvent::Barred(barred) => {
                self.entry_mut(barred.key.to_native()).barred = true;
            }
        }
    }

    fn settings(journal: PersistenceSettings) -> PersistenceSettings {
        PersistenceSettings { snapshot_every: 100, ..journal }
    }
}
