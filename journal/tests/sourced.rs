//! Event-sourced actors on a simulated journal: what survives, what is refused, what is told.

use std::cell::RefCell;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::format::RecordKind;
use mainspring_journal::format::record::Records;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::{
    PersistRejected, PersistenceSettings, PersistenceSignal, RecoveryFailed, Retention,
};
use mainspring_journal::testkit::SimulatedJournal;
use mainspring_journal::{Effect, EventSourced, Persistent, event, events, state};

#[message]
enum Command {
    Deposit { amount: u64, id: u64, reply_to: ActorRef<Answer> },
    Move { amounts: Vec<u64>, reply_to: ActorRef<Answer> },
    Guarded { amount: u64, after: u64, reply_to: ActorRef<Answer> },
    Later { reply_to: ActorRef<Answer> },
    Open { reply_to: ActorRef<Answer> },
    Balance { reply_to: ActorRef<Answer> },
    Count { reply_to: ActorRef<Answer> },
    Close,
}

#[message]
#[derive(Debug)]
enum Answer {
    Balance { balance: u64, events: u64 },
    Duplicate,
    Conflict { sequence: u64 },
    Rejected { full: bool },
}

#[event(name = "account.deposited", version = 1)]
struct Deposited {
    amount: u64,
}

#[event(name = "account.opened", version = 1)]
struct Opened;

#[events]
enum AccountEvent {
    Deposited(Deposited),
    Opened(Opened),
}

#[state(name = "account", version = 1)]
#[derive(Default)]
struct Account {
    balance: u64,
    events: u64,
    open: bool,
}

impl Account {
    fn answer(&self) -> Answer {
        Answer::Balance { balance: self.balance, events: self.events }
    }
}

impl EventSourced for Account {
    type Command = Command;
    type Event = AccountEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Deposit { amount, reply_to, .. }
            | ArchivedCommand::Guarded { amount, reply_to, .. } => {
                Effect::persist(Deposited { amount: amount.to_native() })
                    .then_reply(*reply_to, Account::answer)
            }
            ArchivedCommand::Move { amounts, reply_to } => {
                let deposited = |amount: &rkyv_u64| Deposited { amount: amount.to_native() }.into();
                Effect::persist_all(amounts.iter().map(deposited))
                    .then_reply(*reply_to, Account::answer)
            }
            ArchivedCommand::Later { .. } if !self.open => Effect::stash(),
            ArchivedCommand::Later { reply_to } | ArchivedCommand::Balance { reply_to } => {
                Effect::reply(*reply_to, self.answer())
            }
            ArchivedCommand::Open { reply_to } => {
                Effect::persist(Opened).then_reply(*reply_to, Account::answer).then_unstash()
            }
            ArchivedCommand::Count { reply_to } => {
                let (small, strict, large) = (*reply_to, 2_u128, [3_u64; 32]);
                let to = *reply_to;
                Effect::persist(Opened)
                    .then_reply(small, |_| Answer::Conflict { sequence: 1 })
                    .then_reply(to, move |_| Answer::Conflict { sequence: strict as u64 })
                    .then_reply(to, move |_| Answer::Conflict { sequence: large[31] })
            }
            ArchivedCommand::Close => Effect::stop(),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, AccountEvent>) {
        self.events += 1;
        match event {
            ArchivedAccountEvent::Deposited(deposited) => {
                self.balance += deposited.amount.to_native()
            }
            ArchivedAccountEvent::Opened(_) => self.open = true,
        }
    }

    fn command_id(&self, command: &Archived<Command>) -> Option<u128> {
        match command {
            ArchivedCommand::Deposit { id, .. } if *id != 0 => Some(u128::from(id.to_native())),
            _ => None,
        }
    }

    fn on_duplicate(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Deposit { reply_to, .. } => {
                Effect::reply(*reply_to, Answer::Duplicate)
            }
            _ => Effect::none(),
        }
    }

    fn expected_sequence(&self, command: &Archived<Command>) -> Option<u64> {
        match command {
            ArchivedCommand::Guarded { after, .. } => Some(after.to_native()),
            _ => None,
        }
    }

    fn on_conflict(&self, command: &Archived<Command>, sequence: u64) -> Effect<Self> {
        match command {
            ArchivedCommand::Guarded { reply_to, .. } => {
                Effect::reply(*reply_to, Answer::Conflict { sequence })
            }
            _ => Effect::none(),
        }
    }

    fn on_rejected(&self, command: &Archived<Command>, reason: &PersistRejected) -> Effect<Self> {
        let full = reason.to_string().contains("is full");
        match command {
            ArchivedCommand::Deposit { reply_to, .. } => {
                Effect::reply(*reply_to, Answer::Rejected { full })
            }
            _ => Effect::none(),
        }
    }

    fn on_signal(&self, ctx: &mut Context<'_, Persistent<Self>>, signal: &PersistenceSignal) {
        if let Ok(log) = ctx.lookup::<Heard>("log") {
            ctx.tell(log, &Heard { signal: format!("{signal:?}") });
        }
    }

    fn settings(journal: PersistenceSettings) -> PersistenceSettings {
        PersistenceSettings { snapshot_every: 10, commands_remembered: 4, ..journal }
    }
}

#[message]
struct Heard {
    signal: String,
}

/// What numbers look like in an archive.
#[allow(non_camel_case_types)]
type rkyv_u64 = Archived<u64>;

/// An account on the journal's core.
fn spawn(sim: &mut Simulation, id: &'static str) -> ActorRef<Command> {
    sim.at(0).spawn_with(
        move || Persistent::new(id, Account::default),
        |spawn| spawn.on_failure(OnFailure::Restart(Restart::at_most(5))).start(),
    )
}

fn deposit(sim: &mut Simulation, to: ActorRef<Command>, amount: u64, probe: &Probe<Answer>) {
    sim.tell(to, &Command::Deposit { amount, id: 0, reply_to: probe.actor() });
}

fn balance(sim: &mut Simulation, of: ActorRef<Command>) -> (u64, u64) {
    let probe = sim.probe::<Answer>();
    sim.tell(of, &Command::Balance { reply_to: probe.actor() });
    sim.run_for(Duration::from_millis(50));
    let mut seen = None;
    probe.expect(|answer| {
        if let ArchivedAnswer::Balance { balance, events } = answer {
            seen = Some((balance.to_native(), events.to_native()));
        }
        true
    });
    seen.expect("a balance")
}

/// A simulation whose journal has made its first segments.
fn started(journal: &SimulatedJournal, seed: u64) -> Simulation {
    let mut sim = Simulation::seeded(seed);
    journal.install(&sim.at(0)).expect("a journal that can be opened");
    sim.run_for(Duration::from_millis(5));
    sim
}

#[test]
fn an_answer_leaves_only_when_its_event_is_durable() {
    let journal = SimulatedJournal::seeded(1);
    let mut sim = started(&journal, 1);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    sim.run_for(Duration::from_millis(1));
    deposit(&mut sim, account, 5, &probe);
    sim.run_for(Duration::from_micros(40));
    probe.expect_nothing();
    sim.run_for(Duration::from_micros(40));
    probe.expect(
        |answer| matches!(answer, ArchivedAnswer::Balance { balance, .. } if *balance == 5),
    );
}

#[test]
fn what_a_command_leads_to_happens_once_and_in_order_whatever_it_carries() {
    let journal = SimulatedJournal::seeded(1);
    let mut sim = started(&journal, 1);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    sim.tell(account, &Command::Count { reply_to: probe.actor() });
    sim.run_for(Duration::from_millis(50));
    for number in 1..=3 {
        probe.expect(
            |answer| matches!(answer, ArchivedAnswer::Conflict { sequence } if *sequence == number),
        );
    }
    probe.expect_nothing();
}

#[test]
fn what_was_answered_is_there_after_the_power_was_cut() {
    for seed in 1..=200 {
        let journal = SimulatedJournal::seeded(seed);
        let mut sim = started(&journal, seed);
        let account = spawn(&mut sim, "a");
        let probe = sim.probe::<Answer>();
        for amount in 1..=30 {
            deposit(&mut sim, account, amount, &probe);
        }
        sim.run_for(Duration::from_micros(300 + seed * 13));
        let mut answered = 0;
        while let Some(balance) = next_balance(&probe) {
            answered = balance;
        }
        drop(probe);
        drop(sim);
        journal.crash();
        let mut sim = started(&journal, seed + 1_000);
        let account = spawn(&mut sim, "a");
        let (balance, events) = balance(&mut sim, account);
        assert!(balance >= answered, "seed {seed}: {balance} of {answered}");
        assert_eq!(balance, events * (events + 1) / 2, "seed {seed}: in order and without a hole");
    }
}

fn next_balance(probe: &Probe<Answer>) -> Option<u64> {
    if probe.waiting() == 0 {
        return None;
    }
    match probe.next() {
        Answer::Balance { balance, .. } => Some(balance),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_entity_goes_on_from_its_snapshot_and_the_events_behind_it() {
    let journal = SimulatedJournal::seeded(3);
    let mut sim = started(&journal, 3);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    for _ in 0..25 {
        deposit(&mut sim, account, 2, &probe);
    }
    sim.run_for(Duration::from_millis(20));
    assert_eq!(probe.waiting(), 25);
    drop(probe);
    drop(sim);
    let mut sim = started(&journal, 4);
    let core = journal.install(&sim.at(0)).expect("opened again");
    let account = spawn(&mut sim, "a");
    assert_eq!(balance(&mut sim, account), (50, 25));
    assert_eq!(core.figures().readings, 1);
}

#[test]
fn a_damaged_snapshot_is_made_good_by_the_one_before_and_more_events() {
    let mut journal = SimulatedJournal::seeded(5);
    // From the device, which is what this is about.
    journal.core.recent_limit_bytes = 0;
    let mut sim = started(&journal, 5);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    let log = sim.probe::<Heard>();
    for round in 0..4 {
        for _ in 0..10 {
            deposit(&mut sim, account, 3, &probe);
        }
        sim.run_for(Duration::from_millis(5 + round));
    }
    drop((probe, log));
    sim.stop(account);
    sim.run_for(Duration::from_millis(5));
    // The snapshot of event 40 is the last record of the log that is a state.
    journal.damage_last_state();
    let account = spawn(&mut sim, "a");
    assert_eq!(balance(&mut sim, account), (120, 40));
}

thread_local! {
    /// What entities that keep one snapshot were told.
    static HEARD: RefCell<Vec<PersistenceSignal>> = const { RefCell::new(Vec::new()) };
}

/// Keeps one snapshot, and no event that it stands for.
#[state(name = "thrifty", version = 1)]
#[derive(Default)]
struct Thrifty {
    balance: u64,
}

impl EventSourced for Thrifty {
    type Command = Command;
    type Event = AccountEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Deposit { amount, .. } => {
                Effect::persist(Deposited { amount: amount.to_native() })
            }
            _ => Effect::none(),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, AccountEvent>) {
        if let ArchivedAccountEvent::Deposited(deposited) = event {
            self.balance += deposited.amount.to_native();
        }
    }

    fn on_signal(&self, _: &mut Context<'_, Persistent<Self>>, signal: &PersistenceSignal) {
        HEARD.with_borrow_mut(|heard| heard.push(signal.clone()));
    }

    fn settings(journal: PersistenceSettings) -> PersistenceSettings {
        let retention = Retention::ToSnapshot;
        PersistenceSettings { snapshot_every: 1, keep_snapshots: 1, retention, ..journal }
    }
}

#[test]
fn an_entity_whose_only_snapshot_is_damaged_is_not_recovered_as_a_new_one() {
    let mut journal = SimulatedJournal::seeded(7);
    // From the device, which is what this is about.
    journal.core.recent_limit_bytes = 0;
    let mut sim = started(&journal, 7);
    let spawn = |sim: &mut Simulation| {
        sim.at(0).spawn_with(
            || Persistent::new("t", Thrifty::default),
            |spawn| spawn.on_failure(OnFailure::Stop).start(),
        )
    };
    let thrifty = spawn(&mut sim);
    let probe = sim.probe::<Answer>();
    for _ in 0..3 {
        deposit(&mut sim, thrifty, 5, &probe);
        sim.run_for(Duration::from_millis(5));
    }
    sim.stop(thrifty);
    sim.run_for(Duration::from_millis(5));
    // All events were given up for it.
    journal.damage_last_state();
    HEARD.take();
    spawn(&mut sim);
    sim.run_for(Duration::from_millis(50));
    let incomplete = RecoveryFailed::Incomplete { reached: 0, last: 3 };
    assert_eq!(HEARD.take(), [PersistenceSignal::RecoveryFailed(incomplete)]);
}

#[test]
fn a_group_of_events_is_there_as_a_whole_or_not_at_all() {
    for seed in 1..=100 {
        let journal = SimulatedJournal::seeded(seed);
        let mut sim = started(&journal, seed);
        let account = spawn(&mut sim, "a");
        let probe = sim.probe::<Answer>();
        sim.tell(account, &Command::Move { amounts: vec![1; 200], reply_to: probe.actor() });
        sim.run_for(Duration::from_micros(100 + seed));
        let answered = probe.waiting() > 0;
        drop(probe);
        drop(sim);
        journal.crash();
        let mut sim = started(&journal, seed);
        let account = spawn(&mut sim, "a");
        let (balance, _) = balance(&mut sim, account);
        assert!(balance == 200 || (balance == 0 && !answered), "seed {seed}: {balance}");
    }
}

#[test]
fn a_command_that_comes_twice_has_its_events_once_also_after_a_restart() {
    let journal = SimulatedJournal::seeded(6);
    let mut sim = started(&journal, 6);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    for id in [7, 8, 7] {
        sim.tell(account, &Command::Deposit { amount: 1, id, reply_to: probe.actor() });
    }
    sim.run_for(Duration::from_millis(5));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Balance { .. }));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Balance { .. }));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Duplicate));
    // A snapshot comes in between.
    for _ in 0..10 {
        deposit(&mut sim, account, 1, &probe);
    }
    sim.run_for(Duration::from_millis(5));
    drop(probe);
    drop(sim);
    let mut sim = started(&journal, 7);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    sim.tell(account, &Command::Deposit { amount: 1, id: 8, reply_to: probe.actor() });
    sim.run_for(Duration::from_millis(5));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Duplicate));
    drop(probe);
    assert_eq!(balance(&mut sim, account), (12, 12));
}

#[test]
fn a_command_that_expects_another_sequence_is_told_so() {
    let journal = SimulatedJournal::seeded(8);
    let mut sim = started(&journal, 8);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    sim.tell(account, &Command::Guarded { amount: 1, after: 0, reply_to: probe.actor() });
    sim.tell(account, &Command::Guarded { amount: 1, after: 0, reply_to: probe.actor() });
    sim.run_for(Duration::from_millis(5));
    probe.expect(
        |answer| matches!(answer, ArchivedAnswer::Balance { balance, .. } if *balance == 1),
    );
    probe
        .expect(|answer| matches!(answer, ArchivedAnswer::Conflict { sequence } if *sequence == 1));
}

#[test]
fn commands_that_are_put_off_come_when_their_time_has_come() {
    let journal = SimulatedJournal::seeded(9);
    let mut sim = started(&journal, 9);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    sim.tell(account, &Command::Later { reply_to: probe.actor() });
    deposit(&mut sim, account, 4, &probe);
    sim.run_for(Duration::from_millis(5));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Balance { events, .. } if *events == 1));
    probe.expect_nothing();
    sim.tell(account, &Command::Open { reply_to: probe.actor() });
    sim.run_for(Duration::from_millis(5));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Balance { events, .. } if *events == 2));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Balance { events, .. } if *events == 2));
}

#[test]
fn a_full_journal_refuses_before_anything_is_written_and_goes_on_when_there_is_room() {
    let journal = SimulatedJournal::seeded(10);
    journal.set_conduct(|conduct| conduct.segment_ns = 10_000);
    let mut sim = started(&journal, 10);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    journal.set_space(false);
    let mut answered = 0;
    let mut refused = 0;
    // Three segments of 1 MiB were ready or open; a commit takes 4 KiB.
    for _ in 0..900 {
        deposit(&mut sim, account, 1, &probe);
        sim.run_for(Duration::from_micros(200));
        match probe.next() {
            Answer::Balance { .. } => answered += 1,
            Answer::Rejected { full } => {
                assert!(full);
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(answered > 400 && refused > 10, "{answered} answered, {refused} refused");
    assert_eq!(balance(&mut sim, account), (answered, answered));
    journal.set_space(true);
    sim.run_for(Duration::from_millis(5));
    deposit(&mut sim, account, 1, &probe);
    sim.run_for(Duration::from_millis(1));
    assert!(matches!(probe.next(), Answer::Balance { balance, .. } if balance == answered + 1));
}

#[test]
fn a_new_entity_beyond_the_limit_is_refused_before_anything_is_written_and_the_others_go_on() {
    let mut journal = SimulatedJournal::seeded(14);
    journal.core.entities_limit = 2;
    for life in 0..2 {
        let mut sim = started(&journal, 14 + life);
        let accounts = ["a", "b", "c"].map(|id| spawn(&mut sim, id));
        let probe = sim.probe::<Answer>();
        for (number, account) in accounts.into_iter().enumerate() {
            deposit(&mut sim, account, 5, &probe);
            sim.run_for(Duration::from_millis(50));
            match probe.next() {
                Answer::Balance { balance, .. } if number < 2 => {
                    assert_eq!(balance, 5 * (life + 1))
                }
                Answer::Rejected { full: false } if number == 2 => {}
                other => panic!("account {number}: {other:?}"),
            }
        }
        assert_eq!(balance(&mut sim, accounts[2]), (0, 0));
        drop(sim);
        journal.crash();
    }
    let mut entities = std::collections::BTreeSet::new();
    journal
        .read(0, &mut |frame| {
            let records = Records::new(frame.records, frame.header.record_count).flatten();
            let events = records.filter(|record| record.header.kind == RecordKind::Event);
            entities.extend(events.map(|event| event.header.entity));
        })
        .expect("a log that can be read");
    assert_eq!(entities.len(), 2);
}

#[test]
fn a_failed_write_fails_its_actor_with_an_unknown_outcome_and_the_next_life_learns_the_truth() {
    let journal = SimulatedJournal::seeded(11);
    let mut sim = started(&journal, 11);
    let log = sim.at(0).probe::<Heard>();
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    deposit(&mut sim, account, 1, &probe);
    sim.run_for(Duration::from_millis(2));
    probe.expect(
        |answer| matches!(answer, ArchivedAnswer::Balance { balance, .. } if *balance == 1),
    );
    journal.fail_next_write();
    deposit(&mut sim, account, 1, &probe);
    sim.run_for(Duration::from_millis(2));
    probe.expect_nothing();
    drop((probe, log));
    drop(sim);
    journal.crash();
    let mut sim = started(&journal, 12);
    let account = spawn(&mut sim, "a");
    let (balance, events) = balance(&mut sim, account);
    assert!(balance == events && (1..=2).contains(&balance), "{balance} {events}");
}

#[test]
fn an_actor_whose_records_cannot_be_read_is_tried_again_by_its_supervisor() {
    let mut journal = SimulatedJournal::seeded(13);
    // From the device, which is what this is about.
    journal.core.recent_limit_bytes = 0;
    let mut sim = started(&journal, 13);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    deposit(&mut sim, account, 9, &probe);
    sim.run_for(Duration::from_millis(2));
    sim.stop(account);
    sim.run_for(Duration::from_millis(2));
    journal.fail_next_read();
    let account = spawn(&mut sim, "a");
    assert_eq!(balance(&mut sim, account), (9, 1));
}

#[test]
fn entities_are_found_by_the_footers_of_sealed_segments_and_without_them() {
    for lose in [false, true] {
        let journal = SimulatedJournal::seeded(14);
        journal.set_conduct(|conduct| {
            conduct.segment_bytes = 64 << 10;
            conduct.segment_ns = 10_000;
        });
        let mut journal = journal;
        journal.log.segment_bytes = 64 << 10;
        let mut sim = started(&journal, 14);
        let names = ["a", "b", "c"];
        let accounts = names.map(|name| spawn(&mut sim, name));
        let probe = sim.probe::<Answer>();
        for round in 0..40 {
            for (amount, account) in (1..).zip(accounts) {
                deposit(&mut sim, account, amount, &probe);
            }
            sim.run_for(Duration::from_micros(500));
            assert_eq!(probe.waiting(), 3, "round {round}");
            (0..3).for_each(|_| {
                probe.next();
            });
        }
        let figures = journal.footers();
        assert!(figures >= 2, "{figures} footers");
        // Stopped and started again, while their records stand in sealed segments and in the open one.
        accounts.iter().for_each(|account| sim.stop(*account));
        sim.run_for(Duration::from_millis(5));
        for (amount, name) in (1..).zip(names) {
            let account = spawn(&mut sim, name);
            assert_eq!(balance(&mut sim, account), (40 * amount, 40), "lose {lose}, live");
        }
        drop(probe);
        drop(sim);
        if lose {
            journal.lose_footers();
        }
        let mut sim = started(&journal, 15);
        for (amount, name) in (1..).zip(names) {
            let account = spawn(&mut sim, name);
            assert_eq!(balance(&mut sim, account), (40 * amount, 40), "lose {lose}, opened again");
        }
    }
}

#[test]
fn a_write_that_cannot_even_begin_fails_those_who_wait_for_it() {
    let journal = SimulatedJournal::seeded(16);
    let mut sim = Simulation::seeded(16);
    let core = journal.install(&sim.at(0)).expect("a journal that can be opened");
    sim.run_for(Duration::from_millis(5));
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    sim.run_for(Duration::from_millis(1));
    let actors = sim.actors();
    let files: Vec<_> = journal.disk().file_names().collect();
    for file in files {
        journal.disk().remove(file).expect("a file that is there");
    }
    deposit(&mut sim, account, 1, &probe);
    sim.run_for(Duration::from_secs(1));
    probe.expect_nothing();
    assert_eq!(core.figures().failed_writes, 1);
    // It failed, could not recover from a journal that takes nothing, and stopped.
    assert_eq!(sim.actors(), actors - 1);
}

/// The places up to which events were given up, in the order of the log.
fn deletions(journal: &SimulatedJournal) -> Vec<u64> {
    let mut found = Vec::new();
    let read = journal.read(0, &mut |frame| {
        let records = Records::new(frame.records, frame.header.record_count).flatten();
        let deletions = records.filter(|record| record.header.kind == RecordKind::Deletion);
        found.extend(deletions.map(|record| record.header.entity_sequence));
    });
    read.expect("a log that can be read");
    found
}

#[test]
fn events_are_given_up_by_age_behind_a_kept_snapshot_also_after_a_restart() {
    let mut journal = SimulatedJournal::seeded(21);
    journal.core.persistence.retention = Retention::OlderThan { age_ms: 1_000 };
    journal.core.persistence.keep_snapshots = 1;
    let mut sim = started(&journal, 21);
    let account = spawn(&mut sim, "a");
    let probe = sim.probe::<Answer>();
    let ten = |sim: &mut Simulation, account| {
        (0..10).for_each(|_| deposit(sim, account, 1, &probe));
        sim.run_for(Duration::from_millis(100));
    };
    // Snapshots at 10 and 20, neither of them old.
    ten(&mut sim, account);
    ten(&mut sim, account);
    assert!(deletions(&journal).is_empty());
    sim.run_for(Duration::from_millis(1_500));
    // The one at 30 is not old, however many events there are.
    ten(&mut sim, account);
    assert_eq!(deletions(&journal), [20]);
    drop(sim);

    let mut sim = started(&journal, 22);
    let account = spawn(&mut sim, "a");
    // The clock of a new simulation begins anew: what it has found was written at 1.8 s.
    sim.run_for(Duration::from_millis(4_000));
    assert_eq!(balance(&mut sim, account), (30, 30));
    let probe = sim.probe::<Answer>();
    (0..10).for_each(|_| deposit(&mut sim, account, 1, &probe));
    sim.run_for(Duration::from_millis(100));
    assert_eq!(deletions(&journal), [20, 30]);
    assert_eq!(balance(&mut sim, account), (40, 40));
}
