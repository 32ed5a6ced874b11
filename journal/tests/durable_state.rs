//! Actors whose state is kept whole, on a simulated journal: what survives, what is refused, what is told.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::durable::OnDamage;
use mainspring_journal::sourced::{PersistRejected, PersistenceSignal};
use mainspring_journal::testkit::SimulatedJournal;
use mainspring_journal::{Change, DurableState, Stored, state};

#[message]
enum Command {
    Set { value: u64, reply_to: ActorRef<Answer> },
    SetAfter { value: u64, revision: u64, reply_to: ActorRef<Answer> },
    Delete { reply_to: ActorRef<Answer> },
    Later { reply_to: ActorRef<Answer> },
    Get { reply_to: ActorRef<Answer> },
    Close,
}

#[message]
#[derive(Debug, PartialEq)]
enum Answer {
    Value { value: u64, stored: bool },
    Conflict { revision: u64 },
    Rejected,
}

#[message]
struct Heard {
    signal: String,
}

/// What the entities say of their journal.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Actor for Log {
    type Message = Heard;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.register("log");
        Next::Same
    }

    fn receive(&mut self, _: &mut Context<'_, Self>, heard: &Archived<Heard>) -> Next<Self> {
        self.0.borrow_mut().push(heard.signal.to_string());
        Next::Same
    }
}

impl Log {
    fn spawn(sim: &mut Simulation) -> Log {
        let log = Log::default();
        let heard = log.clone();
        sim.spawn(move || heard.clone());
        sim.run_for(Duration::from_millis(1));
        log
    }

    fn has(&self, signal: &str) -> bool {
        self.0.borrow().iter().any(|heard| heard.starts_with(signal))
    }
}

#[state(name = "cell", version = 1)]
#[derive(Default)]
struct Cell {
    value: u64,
    stored: bool,
    padding: Vec<u8>,
}

impl Cell {
    fn answer(&self) -> Answer {
        Answer::Value { value: self.value, stored: self.stored }
    }
}

fn stored(value: u64) -> Cell {
    Cell { value, stored: true, padding: vec![value as u8; 100] }
}

impl DurableState for Cell {
    type Command = Command;

    fn on_command(&self, command: &Archived<Command>) -> Change<Self> {
        match command {
            ArchivedCommand::Set { value, reply_to }
            | ArchivedCommand::SetAfter { value, reply_to, .. } => {
                Change::store(stored(value.to_native()))
                    .then_reply(*reply_to, Cell::answer)
                    .then_unstash()
            }
            ArchivedCommand::Delete { reply_to } => {
                Change::delete().then_reply(*reply_to, Cell::answer)
            }
            ArchivedCommand::Later { .. } if !self.stored => Change::stash(),
            ArchivedCommand::Later { reply_to } | ArchivedCommand::Get { reply_to } => {
                Change::reply(*reply_to, self.answer())
            }
            ArchivedCommand::Close => Change::stop(),
        }
    }

    fn expected_revision(&self, command: &Archived<Command>) -> Option<u64> {
        match command {
            ArchivedCommand::SetAfter { revision, .. } => Some(revision.to_native()),
            _ => None,
        }
    }

    fn on_conflict(&self, command: &Archived<Command>, revision: u64) -> Change<Self> {
        match command {
            ArchivedCommand::SetAfter { reply_to, .. } => {
                Change::reply(*reply_to, Answer::Conflict { revision })
            }
            _ => Change::none(),
        }
    }

    fn on_rejected(&self, command: &Archived<Command>, _: &PersistRejected) -> Change<Self> {
        match command {
            ArchivedCommand::Set { reply_to, .. } => Change::reply(*reply_to, Answer::Rejected),
            _ => Change::none(),
        }
    }

    fn on_signal(&self, ctx: &mut Context<'_, Stored<Self>>, signal: &PersistenceSignal) {
        if let Ok(log) = ctx.lookup::<Heard>("log") {
            ctx.tell(log, &Heard { signal: format!("{signal:?}") });
        }
    }
}

/// A cell that goes back to the value before when the last one is damaged.
#[state(name = "lenient", version = 1)]
#[derive(Default)]
struct Lenient {
    value: u64,
}

#[message]
enum LenientCommand {
    Set { value: u64 },
    Get { reply_to: ActorRef<Answer> },
}

impl DurableState for Lenient {
    type Command = LenientCommand;

    fn on_command(&self, command: &Archived<LenientCommand>) -> Change<Self> {
        match command {
            ArchivedLenientCommand::Set { value } => {
                Change::store(Lenient { value: value.to_native() })
            }
            ArchivedLenientCommand::Get { reply_to } => {
                Change::reply(*reply_to, Answer::Value { value: self.value, stored: true })
            }
        }
    }

    fn on_damage() -> OnDamage {
        OnDamage::UsePrevious
    }
}

fn started(journal: &SimulatedJournal, seed: u64) -> Simulation {
    let mut sim = Simulation::seeded(seed);
    journal.install(&sim.at(0)).expect("a journal that can be opened");
    sim.run_for(Duration::from_millis(5));
    sim
}

fn spawn(sim: &mut Simulation) -> ActorRef<Command> {
    sim.at(0).spawn_with(
        || Stored::new("a", Cell::default),
        |spawn| spawn.on_failure(OnFailure::Restart(Restart::at_most(2))).start(),
    )
}

fn set(sim: &mut Simulation, to: ActorRef<Command>, value: u64, probe: &Probe<Answer>) {
    sim.tell(to, &Command::Set { value, reply_to: probe.actor() });
}

fn get(sim: &mut Simulation, of: ActorRef<Command>) -> Answer {
    let probe = sim.probe();
    sim.tell(of, &Command::Get { reply_to: probe.actor() });
    probe.next()
}

/// The revision, by being wrong about it.
fn revision(sim: &mut Simulation, of: ActorRef<Command>) -> u64 {
    let probe = sim.probe();
    let revision = u64::MAX;
    sim.tell(of, &Command::SetAfter { value: 0, revision, reply_to: probe.actor() });
    match probe.next() {
        Answer::Conflict { revision } => revision,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_leaves_only_when_the_new_state_is_durable() {
    let journal = SimulatedJournal::seeded(1);
    let mut sim = started(&journal, 1);
    let cell = spawn(&mut sim);
    let probe = sim.probe();
    sim.run_for(Duration::from_millis(1));
    set(&mut sim, cell, 5, &probe);
    sim.run_for(Duration::from_micros(40));
    probe.expect_nothing();
    sim.run_for(Duration::from_micros(40));
    assert_eq!((probe.waiting(), probe.next()), (1, Answer::Value { value: 5, stored: true }));
}

#[test]
fn the_last_answered_value_is_there_after_the_power_was_cut_or_one_that_was_asked_for_later() {
    for seed in 1..=200 {
        let journal = SimulatedJournal::seeded(seed);
        let mut sim = started(&journal, seed);
        let cell = spawn(&mut sim);
        let probe = sim.probe();
        for value in 1..=40 {
            set(&mut sim, cell, value, &probe);
        }
        sim.run_for(Duration::from_micros(300 + seed * 17));
        let mut answered = 0;
        while probe.waiting() > 0 {
            answered += 1;
            assert_eq!(probe.next(), Answer::Value { value: answered, stored: true });
        }
        drop(probe);
        drop(sim);
        journal.crash();
        let mut sim = started(&journal, seed + 1_000);
        let cell = spawn(&mut sim);
        let revision = revision(&mut sim, cell);
        assert!((answered..=40).contains(&revision), "seed {seed}: {revision} of {answered}");
        let is_stored = revision > 0;
        assert_eq!(get(&mut sim, cell), Answer::Value { value: revision, stored: is_stored });
    }
}

#[test]
fn a_deleted_state_is_the_first_one_again_and_its_revision_goes_on_also_after_a_restart() {
    let journal = SimulatedJournal::seeded(2);
    let mut sim = started(&journal, 2);
    let cell = spawn(&mut sim);
    let probe = sim.probe();
    set(&mut sim, cell, 7, &probe);
    sim.tell(cell, &Command::Delete { reply_to: probe.actor() });
    assert_eq!(probe.next(), Answer::Value { value: 7, stored: true });
    assert_eq!(probe.next(), Answer::Value { value: 0, stored: false });
    assert_eq!(revision(&mut sim, cell), 2);
    drop(probe);
    drop(sim);
    let mut sim = started(&journal, 3);
    let cell = spawn(&mut sim);
    assert_eq!(get(&mut sim, cell), Answer::Value { value: 0, stored: false });
    assert_eq!(revision(&mut sim, cell), 2);
    let probe = sim.probe();
    let change = Command::SetAfter { value: 9, revision: 2, reply_to: probe.actor() };
    sim.tell(cell, &change);
    assert_eq!(probe.next(), Answer::Value { value: 9, stored: true });
    drop(probe);
    drop(sim);
    let mut sim = started(&journal, 4);
    let cell = spawn(&mut sim);
    assert_eq!(get(&mut sim, cell), Answer::Value { value: 9, stored: true });
    assert_eq!(revision(&mut sim, cell), 3);
}

#[test]
fn a_command_that_expects_another_revision_changes_nothing_and_is_told_so() {
    let journal = SimulatedJournal::seeded(5);
    let mut sim = started(&journal, 5);
    let cell = spawn(&mut sim);
    let probe = sim.probe();
    for value in [1, 2] {
        sim.tell(cell, &Command::SetAfter { value, revision: 0, reply_to: probe.actor() });
    }
    assert_eq!(probe.next(), Answer::Value { value: 1, stored: true });
    assert_eq!(probe.next(), Answer::Conflict { revision: 1 });
    assert_eq!(get(&mut sim, cell), Answer::Value { value: 1, stored: true });
}

#[test]
fn commands_that_are_put_off_come_when_there_is_a_state() {
    let journal = SimulatedJournal::seeded(6);
    let mut sim = started(&journal, 6);
    let cell = spawn(&mut sim);
    let (probe, later) = (sim.probe(), sim.probe());
    sim.tell(cell, &Command::Later { reply_to: later.actor() });
    sim.run_for(Duration::from_millis(5));
    later.expect_nothing();
    set(&mut sim, cell, 3, &probe);
    assert_eq!(later.next(), Answer::Value { value: 3, stored: true });
}

#[test]
fn an_entity_that_was_stopped_is_found_again_as_it_was() {
    let journal = SimulatedJournal::seeded(7);
    let mut sim = started(&journal, 7);
    let cell = spawn(&mut sim);
    let probe = sim.probe();
    // More than are kept before the journal is told that older ones are not needed.
    for value in 1..=50 {
        set(&mut sim, cell, value, &probe);
    }
    sim.tell(cell, &Command::Close);
    sim.run_for(Duration::from_millis(20));
    assert_eq!(probe.waiting(), 50);
    let cell = spawn(&mut sim);
    assert_eq!(get(&mut sim, cell), Answer::Value { value: 50, stored: true });
    assert_eq!(revision(&mut sim, cell), 50);
}

#[test]
fn a_damaged_last_value_is_never_taken_for_an_older_one_or_for_none() {
    for values in [1, 2, 40] {
        let mut journal = SimulatedJournal::seeded(8);
        // From the device, which is what this is about.
        journal.core.recent_limit_bytes = 0;
        let mut sim = started(&journal, 8);
        let log = Log::spawn(&mut sim);
        let cell = spawn(&mut sim);
        let probe = sim.probe();
        for value in 1..=values {
            set(&mut sim, cell, value, &probe);
        }
        sim.run_for(Duration::from_millis(20));
        sim.stop(cell);
        sim.run_for(Duration::from_millis(20));
        journal.damage_last_state();
        let before = probe.waiting();
        let cell = spawn(&mut sim);
        set(&mut sim, cell, 99, &probe);
        sim.tell(cell, &Command::Get { reply_to: probe.actor() });
        sim.run_for(Duration::from_secs(60));
        assert_eq!(probe.waiting(), before, "{values} values");
        let damaged = format!("RecoveryFailed(Damaged {{ sequence: {values}");
        assert!(log.has(&damaged), "{:?}", log.0.borrow());
    }
}

#[test]
fn a_failed_write_fails_its_actor_with_an_unknown_outcome_and_the_next_life_learns_the_truth() {
    for seed in 1..=50 {
        let journal = SimulatedJournal::seeded(seed);
        let mut sim = started(&journal, seed);
        let log = Log::spawn(&mut sim);
        let cell = spawn(&mut sim);
        let probe = sim.probe();
        set(&mut sim, cell, 1, &probe);
        assert_eq!(probe.next(), Answer::Value { value: 1, stored: true });
        journal.fail_next_write();
        set(&mut sim, cell, 2, &probe);
        probe.expect_nothing_for(Duration::from_millis(2));
        assert!(log.has("PersistFailed"));
        drop(probe);
        drop(sim);
        journal.crash();
        let mut sim = started(&journal, seed + 1_000);
        let cell = spawn(&mut sim);
        let value = revision(&mut sim, cell);
        assert!((1..=2).contains(&value), "seed {seed}: {value}");
        assert_eq!(get(&mut sim, cell), Answer::Value { value, stored: true });
    }
}

#[test]
fn a_full_journal_refuses_a_state_before_anything_is_written_and_goes_on_when_there_is_room() {
    let journal = SimulatedJournal::seeded(10);
    let mut sim = started(&journal, 10);
    let cell = spawn(&mut sim);
    let probe = sim.probe();
    journal.set_space(false);
    let (mut answered, mut refused) = (0, 0);
    // Three segments of 1 MiB were ready or open; a commit takes 4 KiB.
    for value in 1..=900 {
        set(&mut sim, cell, value, &probe);
        match probe.next() {
            Answer::Value { .. } => answered = value,
            Answer::Rejected => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(answered > 400 && refused > 10, "{answered} answered, {refused} refused");
    assert_eq!(get(&mut sim, cell), Answer::Value { value: answered, stored: true });
    assert_eq!(revision(&mut sim, cell), answered);
    journal.set_space(true);
    sim.run_for(Duration::from_secs(5));
    set(&mut sim, cell, 1_000, &probe);
    assert_eq!(probe.next(), Answer::Value { value: 1_000, stored: true });
}

#[test]
fn where_the_type_says_so_the_value_before_stands_in_for_a_damaged_one() {
    let mut journal = SimulatedJournal::seeded(9);
    // From the device, which is what this is about.
    journal.core.recent_limit_bytes = 0;
    let mut sim = started(&journal, 9);
    let cell = sim.spawn(|| Stored::new("a", Lenient::default));
    for value in 1..=40 {
        sim.tell(cell, &LenientCommand::Set { value });
        sim.run_for(Duration::from_millis(1));
    }
    sim.stop(cell);
    sim.run_for(Duration::from_millis(5));
    journal.damage_last_state();
    let cell = sim.spawn(|| Stored::new("a", Lenient::default));
    let probe = sim.probe();
    sim.tell(cell, &LenientCommand::Get { reply_to: probe.actor() });
    assert_eq!(probe.next(), Answer::Value { value: 39, stored: true });
    // It goes on behind the damaged one.
    sim.tell(cell, &LenientCommand::Set { value: 77 });
    sim.run_for(Duration::from_millis(5));
    sim.stop(cell);
    sim.run_for(Duration::from_millis(5));
    let cell = sim.spawn(|| Stored::new("a", Lenient::default));
    sim.tell(cell, &LenientCommand::Get { reply_to: probe.actor() });
    assert_eq!(probe.next(), Answer::Value { value: 77, stored: true });
}
