//! Two entities whose names have one hash: the journal finds records by the hash, and must not take one entity's for
//! the other's.

use std::cell::RefCell;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_journal::format::commit_frame::FRAME_HEADER_BYTES;
use mainspring_journal::format::dictionary::EntityEntry;
use mainspring_journal::log::recovery::FoundFrame;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::{PersistRejected, PersistenceSignal, RecoveryFailed};
use mainspring_journal::testkit::SimulatedJournal;
use mainspring_journal::{
    Change, DurableState, Effect, EventSourced, Persistent, Stored, event, events, state,
};

#[message]
enum Command {
    Add { amount: u64, reply_to: ActorRef<Total> },
}

#[message]
#[derive(Debug, PartialEq)]
struct Total {
    total: u64,
    stored: bool,
}

#[event(name = "counter.added", version = 1)]
struct Added {
    amount: u64,
}

#[events]
enum CounterEvent {
    Added(Added),
}

thread_local! {
    /// Why entities of this test were not recovered.
    static FAILED: RefCell<Vec<RecoveryFailed>> = const { RefCell::new(Vec::new()) };
}

fn keep(signal: &PersistenceSignal) {
    if let PersistenceSignal::RecoveryFailed(failed) = signal {
        FAILED.with_borrow_mut(|all| all.push(failed.clone()));
    }
}

#[state(name = "counter", version = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

impl EventSourced for Counter {
    type Command = Command;
    type Event = CounterEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        let ArchivedCommand::Add { amount, reply_to } = command;
        Effect::persist(Added { amount: amount.to_native() })
            .then_reply(*reply_to, |counter: &Self| Total { total: counter.total, stored: true })
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, CounterEvent>) {
        let ArchivedCounterEvent::Added(added) = event;
        self.total += added.amount.to_native();
    }

    fn on_rejected(&self, command: &Archived<Command>, _: &PersistRejected) -> Effect<Self> {
        let ArchivedCommand::Add { reply_to, .. } = command;
        Effect::reply(*reply_to, Total { total: self.total, stored: false })
    }

    fn on_signal(&self, _: &mut Context<'_, Persistent<Self>>, signal: &PersistenceSignal) {
        keep(signal);
    }
}

#[state(name = "balance", version = 1)]
#[derive(Default)]
struct Balance {
    total: u64,
}

impl DurableState for Balance {
    type Command = Command;

    fn on_command(&self, command: &Archived<Command>) -> Change<Self> {
        let ArchivedCommand::Add { amount, reply_to } = command;
        Change::store(Balance { total: self.total + amount.to_native() })
            .then_reply(*reply_to, |balance: &Self| Total { total: balance.total, stored: true })
    }

    fn on_signal(&self, _: &mut Context<'_, Stored<Self>>, signal: &PersistenceSignal) {
        keep(signal);
    }
}

/// An id that collides with every other one that this makes. Of a name of 17 to 128 bytes XXH3 multiplies two halves of
/// the last 16 bytes, each taken with known bytes by exclusive or: where the first half is those bytes, the product is
/// 0 whatever the second half is.
fn colliding(number: u64) -> Vec<u8> {
    let zeroing = [0xDE, 0xD4, 0x6D, 0xE9, 0x83, 0x90, 0x97, 0xDB];
    [zeroing, number.to_be_bytes()].concat()
}

fn hash(entity_type: &str, id: Vec<u8>) -> u64 {
    EntityEntry { entity_type: entity_type.to_owned(), id }.hash()
}

fn started(journal: &SimulatedJournal, seed: u64) -> Simulation {
    FAILED.with_borrow_mut(Vec::clear);
    let mut sim = Simulation::seeded(seed);
    journal.install(&sim.at(0)).expect("a journal that can be opened");
    sim.run_for(Duration::from_millis(5));
    sim
}

fn counter(sim: &mut Simulation, id: u64) -> ActorRef<Command> {
    let new = move || Persistent::new(&colliding(id)[..], Counter::default);
    let actor = sim.at(0).spawn(new);
    sim.run_for(Duration::from_millis(50));
    actor
}

fn balance(sim: &mut Simulation, id: u64) -> ActorRef<Command> {
    let actor = sim.at(0).spawn(move || Stored::new(&colliding(id)[..], Balance::default));
    sim.run_for(Duration::from_millis(50));
    actor
}

fn add(sim: &mut Simulation, to: ActorRef<Command>, amount: u64) -> Option<Total> {
    let probe = sim.probe::<Total>();
    sim.tell(to, &Command::Add { amount, reply_to: probe.actor() });
    sim.run_for(Duration::from_millis(50));
    (probe.waiting() > 0).then(|| probe.next())
}

fn stored(total: u64) -> Option<Total> {
    Some(Total { total, stored: true })
}

/// The reasons since the last start, each with the other entity's name.
fn failures() -> Vec<RecoveryFailed> {
    FAILED.with_borrow_mut(std::mem::take)
}

fn same_hash(entity_type: &str, id: u64) -> RecoveryFailed {
    let other = format!("`{entity_type}` {}", colliding(id).escape_ascii());
    RecoveryFailed::SameHash { other }
}

#[test]
fn an_entity_never_takes_the_events_of_another_one_with_the_same_hash_for_its_own() {
    assert_eq!(hash("counter", colliding(1)), hash("counter", colliding(2)));
    let journal = SimulatedJournal::seeded(1);
    let mut sim = started(&journal, 1);
    let first = counter(&mut sim, 1);
    assert_eq!(add(&mut sim, first, 5), stored(5));
    // What the other one has written stands in the segment that takes records.
    let second = counter(&mut sim, 2);
    assert_eq!(add(&mut sim, second, 1), None);
    assert_eq!(failures(), [same_hash("counter", 1)]);
    for amount in 1..=400 {
        assert_eq!(add(&mut sim, first, amount).map(|total| total.stored), Some(true));
    }
    assert!(journal.footers() > 0, "a segment is sealed");
    drop(sim);
    journal.crash();
    // After a restart most of it is found by footers.
    let mut sim = started(&journal, 2);
    let second = counter(&mut sim, 2);
    assert_eq!(add(&mut sim, second, 1), None);
    assert_eq!(failures(), [same_hash("counter", 1)]);
    let first = counter(&mut sim, 1);
    assert_eq!(add(&mut sim, first, 1), stored(5 + 400 * 401 / 2 + 1));
    assert_eq!(failures(), []);
}

#[test]
fn of_two_new_entities_with_the_same_hash_the_second_to_write_is_refused() {
    let journal = SimulatedJournal::seeded(3);
    let mut sim = started(&journal, 3);
    let (first, second) = (counter(&mut sim, 1), counter(&mut sim, 2));
    assert_eq!(add(&mut sim, second, 7), stored(7));
    assert_eq!(add(&mut sim, first, 5), Some(Total { total: 0, stored: false }));
    drop(sim);
    journal.crash();
    let mut sim = started(&journal, 4);
    let (first, second) = (counter(&mut sim, 1), counter(&mut sim, 2));
    assert_eq!((add(&mut sim, first, 1), add(&mut sim, second, 1)), (None, stored(8)));
    assert_eq!(failures(), [same_hash("counter", 2)]);
}

#[test]
fn a_value_of_another_entity_with_the_same_hash_is_not_taken_either() {
    assert_eq!(hash("balance", colliding(8)), hash("balance", colliding(9)));
    let journal = SimulatedJournal::seeded(5);
    let mut sim = started(&journal, 5);
    let first = balance(&mut sim, 8);
    assert_eq!(add(&mut sim, first, 5), stored(5));
    let second = balance(&mut sim, 9);
    assert_eq!(add(&mut sim, second, 1), None);
    assert_eq!(failures(), [same_hash("balance", 8)]);
    assert_eq!(add(&mut sim, first, 5), stored(10));
}

#[test]
fn a_damaged_name_costs_no_entity_its_state() {
    let mut journal = SimulatedJournal::seeded(6);
    // From the device, which is what this is about.
    journal.core.recent_limit_bytes = 0;
    let mut sim = started(&journal, 6);
    let before = counter(&mut sim, 1);
    assert_eq!(add(&mut sim, before, 5), stored(5));
    damage_name(&journal, "counter", colliding(1));
    let after = counter(&mut sim, 1);
    assert_eq!(add(&mut sim, after, 1), stored(6));
    assert_eq!(failures(), []);
}

/// Turns over a bit of the record that names an entity.
fn damage_name(journal: &SimulatedJournal, entity_type: &str, id: Vec<u8>) {
    let name = EntityEntry { entity_type: entity_type.to_owned(), id }.encode();
    let mut found = None;
    let mut look = |frame: &FoundFrame<'_>| {
        let place = frame.records.windows(name.len()).position(|bytes| bytes == name);
        let offset = frame.offset + FRAME_HEADER_BYTES as u64;
        found = found.or(place.map(|place| (frame.file, (offset + place as u64) * 8)));
    };
    journal.read(0, &mut look).expect("a log that can be read");
    let (file, bit) = found.expect("the record is there");
    journal.disk().flip_bit(file, bit);
}
