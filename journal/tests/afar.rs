//! Entities that run on another core than their log: everything that holds for near ones holds for them.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::format::RecordKind;
use mainspring_journal::format::record::Records;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::{
    PersistRejected, PersistenceSettings, PersistenceSignal, Retention,
};
use mainspring_journal::testkit::SimulatedJournals;
use mainspring_journal::{
    Change, DurableState, Effect, EventSourced, Persistent, Stored, event, events, state,
};

#[message]
enum Command {
    Add { amount: u64, reply_to: ActorRef<Answer> },
    AddAll { amounts: Vec<u64>, reply_to: ActorRef<Answer> },
    Large { bytes: u64, reply_to: ActorRef<Answer> },
    Later { amount: u64, reply_to: ActorRef<Answer> },
    Open { reply_to: ActorRef<Answer> },
    Get { reply_to: ActorRef<Answer> },
}

#[message]
#[derive(Debug, PartialEq)]
enum Answer {
    Sum { sum: u64, events: u64 },
    Rejected { amount: u64, reason: String },
}

#[event(name = "tally.added", version = 1)]
struct Added {
    amount: u64,
    padding: Vec<u8>,
}

#[event(name = "tally.opened", version = 1)]
struct Opened;

#[events]
enum TallyEvent {
    Added(Added),
    Opened(Opened),
}

#[state(name = "tally", version = 1)]
#[derive(Default)]
struct Tally {
    sum: u64,
    events: u64,
    open: bool,
}

impl Tally {
    fn answer(&self) -> Answer {
        Answer::Sum { sum: self.sum, events: self.events }
    }
}

fn added(amount: u64) -> Added {
    Added { amount, padding: Vec::new() }
}

impl EventSourced for Tally {
    type Command = Command;
    type Event = TallyEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Add { amount, reply_to } => {
                Effect::persist(added(amount.to_native())).then_reply(*reply_to, Tally::answer)
            }
            ArchivedCommand::AddAll { amounts, reply_to } => {
                let events = amounts.iter().map(|amount| added(amount.to_native()).into());
                Effect::persist_all(events).then_reply(*reply_to, Tally::answer)
            }
            ArchivedCommand::Large { bytes, reply_to } => {
                let padding = vec![7; bytes.to_native() as usize];
                Effect::persist(Added { amount: 1, padding }).then_reply(*reply_to, Tally::answer)
            }
            ArchivedCommand::Later { .. } if !self.open => Effect::stash(),
            ArchivedCommand::Later { amount, reply_to } => {
                Effect::persist(added(amount.to_native())).then_reply(*reply_to, Tally::answer)
            }
            ArchivedCommand::Open { reply_to } => {
                Effect::persist(Opened).then_reply(*reply_to, Tally::answer).then_unstash()
            }
            ArchivedCommand::Get { reply_to } => Effect::reply(*reply_to, self.answer()),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, TallyEvent>) {
        self.events += 1;
        match event {
            ArchivedTallyEvent::Added(added) => self.sum += added.amount.to_native(),
            ArchivedTallyEvent::Opened(_) => self.open = true,
        }
    }

    fn on_rejected(&self, command: &Archived<Command>, reason: &PersistRejected) -> Effect<Self> {
        let reason = reason.to_string();
        match command {
            ArchivedCommand::Add { amount, reply_to } => {
                let amount = amount.to_native();
                Effect::reply(*reply_to, Answer::Rejected { amount, reason })
            }
            ArchivedCommand::Large { reply_to, .. } => {
                Effect::reply(*reply_to, Answer::Rejected { amount: 0, reason })
            }
            _ => Effect::none(),
        }
    }

    fn on_signal(&self, ctx: &mut Context<'_, Persistent<Self>>, signal: &PersistenceSignal) {
        if let Ok(log) = ctx.lookup::<LogCommand>("log") {
            ctx.tell(log, &LogCommand::Heard { signal: format!("{signal:?} ") });
        }
    }
}

#[message]
struct Heard {
    signal: String,
}

/// Names that it was given, as one text: revisions can be told from it.
#[state(name = "badge", version = 1)]
#[derive(Default)]
struct Badge {
    sum: u64,
}

impl DurableState for Badge {
    type Command = Command;

    fn on_command(&self, command: &Archived<Command>) -> Change<Self> {
        let answer = |badge: &Self| Answer::Sum { sum: badge.sum, events: 0 };
        match command {
            ArchivedCommand::Add { amount, reply_to } => {
                Change::store(Badge { sum: self.sum + amount.to_native() })
                    .then_reply(*reply_to, answer)
            }
            ArchivedCommand::Open { reply_to } => Change::delete().then_reply(*reply_to, answer),
            ArchivedCommand::Get { reply_to } => Change::reply(*reply_to, answer(self)),
            _ => Change::none(),
        }
    }

    fn on_rejected(&self, command: &Archived<Command>, reason: &PersistRejected) -> Change<Self> {
        let reason = reason.to_string();
        match command {
            ArchivedCommand::Add { amount, reply_to } => {
                let amount = amount.to_native();
                Change::reply(*reply_to, Answer::Rejected { amount, reason })
            }
            _ => Change::none(),
        }
    }
}

/// A node with two cores, whose journals have made their first segments.
fn started(journals: &SimulatedJournals, seed: u64) -> Simulation {
    let mut sim = Simulation::seeded(seed).cores(2);
    journals.install(&mut sim).expect("journals that can be opened");
    sim.run_for(Duration::from_millis(5));
    sim
}

/// An id whose log is that of core 0 in a node of two cores.
fn id_of_core_0() -> u64 {
    (1..).find(|id| home_is_0(*id)).expect("an id")
}

/// Whether the log of an entity is that of core 0 in a node of two cores.
fn home_is_0(id: u64) -> bool {
    let journals = SimulatedJournals::seeded(1, 2);
    let mut sim = started(&journals, 1);
    let tally = tally_on(&mut sim, 1, id);
    let probe = sim.probe::<Answer>();
    add(&mut sim, tally, 1, &probe);
    sim.run_for(Duration::from_millis(5));
    records(&journals, 0) > 0
}

fn records(journals: &SimulatedJournals, core: u16) -> usize {
    let mut records = 0;
    let read = journals.core(core).read(core.into(), &mut |frame| {
        records += frame.header.record_count as usize;
    });
    read.expect("a log that can be read");
    records
}

fn tally_on(sim: &mut Simulation, core: u16, id: u64) -> ActorRef<Command> {
    sim.at(0).core(core).spawn_with(
        move || Persistent::new(id, Tally::default),
        |spawn| spawn.on_failure(OnFailure::Restart(Restart::at_most(5))).start(),
    )
}

fn badge_on(sim: &mut Simulation, core: u16, id: u64) -> ActorRef<Command> {
    sim.at(0).core(core).spawn_with(
        move || Stored::new(id, Badge::default),
        |spawn| spawn.on_failure(OnFailure::Restart(Restart::at_most(5))).start(),
    )
}

fn add(sim: &mut Simulation, to: ActorRef<Command>, amount: u64, probe: &Probe<Answer>) {
    sim.tell(to, &Command::Add { amount, reply_to: probe.actor() });
}

#[track_caller]
fn sum(sim: &mut Simulation, of: ActorRef<Command>) -> (u64, u64) {
    let probe = sim.probe::<Answer>();
    sim.tell(of, &Command::Get { reply_to: probe.actor() });
    sim.run_for(Duration::from_millis(50));
    match probe.next() {
        Answer::Sum { sum, events } => (sum, events),
        other => panic!("{other:?}"),
    }
}

fn stop(sim: &mut Simulation, actor: ActorRef<Command>) {
    sim.stop(actor);
    sim.run_for(Duration::from_millis(5));
}

#[test]
fn an_answer_leaves_only_when_its_event_is_durable_in_the_other_cores_log() {
    let id = id_of_core_0();
    let journals = SimulatedJournals::seeded(2, 2);
    let mut sim = started(&journals, 2);
    let tally = tally_on(&mut sim, 1, id);
    let probe = sim.at(0).core(1).probe::<Answer>();
    sim.run_for(Duration::from_millis(1));
    add(&mut sim, tally, 5, &probe);
    sim.run_for(Duration::from_micros(40));
    probe.expect_nothing();
    sim.run_for(Duration::from_micros(40));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Sum { sum, .. } if *sum == 5));
    assert!(records(&journals, 0) > 0, "it stands in the log of its core");
    assert_eq!(records(&journals, 1), 0, "and in no other");
    stop(&mut sim, tally);
    sim.assert_quiet_within(Duration::from_millis(50));
}

#[test]
fn what_was_answered_is_there_after_the_power_was_cut_on_whichever_core_it_recovers() {
    let id = id_of_core_0();
    for seed in 1..=100 {
        let journals = SimulatedJournals::seeded(seed, 2);
        let mut sim = started(&journals, seed);
        let tally = tally_on(&mut sim, 1, id);
        let probe = sim.probe::<Answer>();
        for amount in 1..=30 {
            add(&mut sim, tally, amount, &probe);
        }
        sim.run_for(Duration::from_micros(300 + seed * 13));
        let mut answered = 0;
        while probe.waiting() > 0 {
            let Answer::Sum { sum, .. } = probe.next() else { panic!("a sum") };
            answered = sum;
        }
        drop(probe);
        drop(sim);
        journals.crash();
        for core in [0, 1] {
            let mut sim = started(&journals, seed + 1_000);
            let tally = tally_on(&mut sim, core, id);
            let (sum, events) = sum(&mut sim, tally);
            assert!(sum >= answered, "seed {seed}: {sum} of {answered}");
            assert_eq!(sum, events * (events + 1) / 2, "seed {seed}: in order, without a hole");
        }
    }
}

#[test]
fn an_entity_that_moves_between_cores_goes_on_where_it_was() {
    let id = id_of_core_0();
    let mut journals = SimulatedJournals::seeded(3, 2);
    journals.set(|journal| {
        journal.core.persistence = PersistenceSettings {
            snapshot_every: 4,
            keep_snapshots: 2,
            retention: Retention::ToSnapshot,
            commands_remembered: 8,
        };
    });
    let mut sim = started(&journals, 3);
    let probe = sim.probe::<Answer>();
    for round in 0..6_u64 {
        let tally = tally_on(&mut sim, (round % 2) as u16, id);
        assert_eq!(sum(&mut sim, tally), (round * 17, round * 17));
        for _ in 0..17 {
            add(&mut sim, tally, 1, &probe);
        }
        sim.run_for(Duration::from_millis(5));
        stop(&mut sim, tally);
    }
    assert_eq!(probe.waiting(), 102);
    let mut kinds = [0_u32; 2];
    let read = journals.core(0).read(0, &mut |frame| {
        for record in Records::new(frame.records, frame.header.record_count).flatten() {
            match record.header.kind {
                RecordKind::State => kinds[0] += 1,
                RecordKind::Deletion => kinds[1] += 1,
                _ => {}
            }
        }
    });
    read.expect("a log that can be read");
    assert!(kinds[0] >= 24 && kinds[1] >= 12, "snapshots and deletions: {kinds:?}");
}

#[test]
fn commands_wait_in_order_while_events_are_on_their_way() {
    let id = id_of_core_0();
    Simulation::for_seeds(1..=30, |mut sim| {
        let journals = SimulatedJournals::seeded(sim.seed(), 2);
        sim = sim.cores(2);
        journals.install(&mut sim).expect("journals");
        let tally = tally_on(&mut sim, 1, id);
        let probe = sim.probe::<Answer>();
        sim.tell(tally, &Command::Later { amount: 100, reply_to: probe.actor() });
        sim.tell(tally, &Command::AddAll { amounts: vec![1, 2, 3], reply_to: probe.actor() });
        add(&mut sim, tally, 4, &probe);
        sim.tell(tally, &Command::Get { reply_to: probe.actor() });
        sim.tell(tally, &Command::Open { reply_to: probe.actor() });
        add(&mut sim, tally, 5, &probe);
        sim.run_for(Duration::from_millis(50));
        let mut heard = Vec::new();
        while probe.waiting() > 0 {
            let Answer::Sum { sum, events } = probe.next() else { panic!("a sum") };
            heard.push((sum, events));
        }
        assert_eq!(heard, [(6, 3), (10, 4), (10, 4), (10, 5), (110, 6), (115, 7)]);
    });
}

#[test]
fn a_full_disk_rejects_the_command_that_it_hits_and_no_other() {
    let id = id_of_core_0();
    let mut journals = SimulatedJournals::seeded(4, 2);
    journals.set(|journal| {
        journal.log.segment_bytes = 1 << 16;
        journal.set_conduct(|conduct| conduct.segment_bytes = 1 << 16);
    });
    let mut sim = started(&journals, 4);
    let tally = tally_on(&mut sim, 1, id);
    let probe = sim.probe::<Answer>();
    sim.run_for(Duration::from_millis(5));
    journals.core(0).set_space(false);
    let mut accepted = 0;
    let mut rejected = 0;
    for _ in 0..40 {
        sim.tell(tally, &Command::Large { bytes: 16 << 10, reply_to: probe.actor() });
        sim.run_for(Duration::from_millis(5));
        match probe.next() {
            Answer::Sum { .. } => accepted += 1,
            Answer::Rejected { reason, .. } => {
                assert!(reason.contains("the journal is full"), "{reason}");
                rejected += 1;
            }
        }
    }
    assert!(accepted > 2 && rejected > 10, "{accepted} accepted, {rejected} rejected");
    assert_eq!(sum(&mut sim, tally), (accepted, accepted), "the state did not change");
    journals.core(0).set_space(true);
    sim.run_for(Duration::from_millis(50));
    add(&mut sim, tally, 1, &probe);
    sim.run_for(Duration::from_millis(50));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Sum { .. }));
    // One that is refused among others that are not.
    journals.core(0).reject_next();
    for amount in [10, 20, 30] {
        add(&mut sim, tally, amount, &probe);
    }
    sim.run_for(Duration::from_millis(20));
    probe.expect(
        |answer| matches!(answer, ArchivedAnswer::Rejected { amount, .. } if *amount == 10),
    );
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Sum { .. }));
    probe.expect(|answer| matches!(answer, ArchivedAnswer::Sum { .. }));
    assert_eq!(sum(&mut sim, tally).0, accepted + 51);
}

#[test]
fn a_write_that_fails_stops_the_entity_with_the_outcome_unknown_and_later_ones_are_refused() {
    let id = id_of_core_0();
    let journals = SimulatedJournals::seeded(5, 2);
    let mut sim = started(&journals, 5);
    let log = sim.at(0).core(1).spawn_with(Log::default, |spawn| spawn.named("log").start());
    let tally = tally_on(&mut sim, 1, id);
    let probe = sim.probe::<Answer>();
    sim.run_for(Duration::from_millis(1));
    journals.core(0).fail_next_write();
    add(&mut sim, tally, 1, &probe);
    sim.run_for(Duration::from_millis(1));
    probe.expect_nothing();
    sim.run_for(Duration::from_secs(60));
    let heard = sim.probe::<Heard>();
    sim.tell(log, &LogCommand::Tell { reply_to: heard.actor() });
    sim.run_for(Duration::from_millis(1));
    let signals = heard.next().signal;
    assert!(signals.contains("PersistFailed"), "{signals}");
    assert!(signals.contains("RecoveryFailed(Read(Poisoned))"), "{signals}");
    drop((probe, heard));
    drop(sim);
    // The next life learns what is true.
    let mut sim = started(&journals, 6);
    let tally = tally_on(&mut sim, 1, id);
    let (sum, events) = sum(&mut sim, tally);
    assert!(sum == events && events <= 1);
}

#[message]
enum LogCommand {
    Heard { signal: String },
    Tell { reply_to: ActorRef<Heard> },
}

/// Gathers what entities are told.
#[derive(Default)]
struct Log {
    heard: String,
}

impl Actor for Log {
    type Message = LogCommand;

    fn receive(&mut self, ctx: &mut Context<Self>, command: &Archived<LogCommand>) -> Next<Self> {
        match command {
            ArchivedLogCommand::Heard { signal } => self.heard.push_str(signal),
            ArchivedLogCommand::Tell { reply_to } => {
                ctx.tell(*reply_to, &Heard { signal: self.heard.clone() });
            }
        }
        Next::Same
    }
}

#[test]
fn of_two_lives_of_an_entity_the_one_that_did_not_write_last_is_refused() {
    let id = id_of_core_0();
    let journals = SimulatedJournals::seeded(7, 2);
    let mut sim = started(&journals, 7);
    let near = tally_on(&mut sim, 0, id);
    let far = tally_on(&mut sim, 1, id);
    let probe = sim.probe::<Answer>();
    sim.run_for(Duration::from_millis(5));
    for (first, second) in [(near, far), (far, near)] {
        add(&mut sim, first, 1, &probe);
        sim.run_for(Duration::from_millis(5));
        add(&mut sim, second, 2, &probe);
        sim.run_for(Duration::from_millis(5));
        let heard = [probe.next(), probe.next()];
        let refused = heard.iter().filter(|answer| {
            matches!(answer, Answer::Rejected { reason, .. } if reason.contains("somebody else"))
        });
        assert_eq!(refused.count(), 1, "{heard:?}");
    }
    for actor in [near, far] {
        stop(&mut sim, actor);
    }
    let tally = tally_on(&mut sim, 1, id);
    let (sum, events) = sum(&mut sim, tally);
    assert_eq!((sum, events), (3, 2), "only those of one writer were taken");
}

#[test]
fn a_state_that_is_kept_whole_moves_between_cores_with_its_revision() {
    let id = id_of_core_0();
    let journals = SimulatedJournals::seeded(8, 2);
    let mut sim = started(&journals, 8);
    let mut expected = 0;
    for round in 0..60_u64 {
        let badge = badge_on(&mut sim, (round % 2) as u16, id);
        let probe = sim.probe::<Answer>();
        assert_eq!(sum(&mut sim, badge), (expected, 0), "round {round}");
        if round % 10 == 9 {
            sim.tell(badge, &Command::Open { reply_to: probe.actor() });
            expected = 0;
        } else {
            add(&mut sim, badge, round, &probe);
            expected += round;
        }
        sim.run_for(Duration::from_millis(2));
        probe
            .expect(|answer| matches!(answer, ArchivedAnswer::Sum { sum, .. } if *sum == expected));
        drop(probe);
        if round % 7 == 0 {
            drop(sim);
            journals.crash();
            sim = started(&journals, round);
        } else {
            stop(&mut sim, badge);
        }
    }
    let far = badge_on(&mut sim, 1, id);
    sim.run_for(Duration::from_millis(5));
    let probe = sim.probe::<Answer>();
    journals.core(0).reject_next();
    for amount in [1_000, 2_000] {
        add(&mut sim, far, amount, &probe);
    }
    sim.run_for(Duration::from_millis(5));
    probe.expect(
        |answer| matches!(answer, ArchivedAnswer::Rejected { amount, .. } if *amount == 1_000),
    );
    probe.expect(
        |answer| matches!(answer, ArchivedAnswer::Sum { sum, .. } if *sum == expected + 2_000),
    );
}

#[test]
fn many_entities_from_afar_wait_for_room_and_none_is_forgotten() {
    let mut journals = SimulatedJournals::seeded(9, 3);
    journals.set(|journal| {
        journal.log.pending_limit_bytes = 1 << 14;
        journal.core.recovery_permits = 8;
    });
    let mut sim = Simulation::seeded(9).cores(3);
    journals.install(&mut sim).expect("journals");
    let probe = sim.probe::<Answer>();
    let tallies: Vec<_> = (0..1_500).map(|id| tally_on(&mut sim, (id % 3) as u16, id)).collect();
    for round in 1..=3_u64 {
        for tally in &tallies {
            add(&mut sim, *tally, round, &probe);
        }
    }
    sim.run_for(Duration::from_secs(2));
    assert_eq!(probe.waiting(), 4_500);
    for tally in &tallies[..20] {
        assert_eq!(sum(&mut sim, *tally), (6, 3));
    }
    for tally in tallies {
        sim.stop(tally);
    }
    sim.assert_quiet_within(Duration::from_millis(50));
}

#[test]
fn a_reading_ends_with_its_reader_on_the_other_core_too() {
    let id = id_of_core_0();
    let mut journals = SimulatedJournals::seeded(10, 2);
    // From the device, so that it takes some time.
    journals.set(|journal| journal.core.recent_limit_bytes = 0);
    let mut sim = started(&journals, 10);
    let probe = sim.probe::<Answer>();
    let tally = tally_on(&mut sim, 1, id);
    for _ in 0..40 {
        sim.tell(tally, &Command::Large { bytes: 20 << 10, reply_to: probe.actor() });
    }
    sim.run_for(Duration::from_millis(100));
    stop(&mut sim, tally);
    drop(probe);
    // Stopped at every stage of its recovery; nothing may be left behind.
    for pause_us in (0..900).step_by(7) {
        let tally = tally_on(&mut sim, 1, id);
        sim.run_for(Duration::from_micros(pause_us));
        sim.stop(tally);
        sim.run_until_idle();
    }
    sim.assert_quiet_within(Duration::from_millis(50));
    let tally = tally_on(&mut sim, 1, id);
    assert_eq!(sum(&mut sim, tally), (40, 40));
}

#[test]
fn a_life_on_the_core_of_the_log_begins_behind_what_an_earlier_one_has_sent_from_afar() {
    let id = id_of_core_0();
    for seed in 1..=40 {
        let mut journals = SimulatedJournals::seeded(seed, 2);
        // From some seed on, the log has no room for a second event at once.
        journals.set(|journal| {
            journal.log.pending_limit_bytes = if seed > 20 { 4_096 } else { 1 << 20 }
        });
        let mut sim = started(&journals, seed);
        let far = tally_on(&mut sim, 1, id);
        let other = (id + 1..).find(|other| home_is_0(*other)).expect("an id");
        let near = tally_on(&mut sim, 0, other);
        let probe = sim.probe::<Answer>();
        sim.run_for(Duration::from_millis(5));
        // The core of the log is late: what is sent to it lies there.
        sim.at(0).core(0).stall(Duration::from_micros(200));
        for bytes in [3_000, 3_000] {
            sim.tell(near, &Command::Large { bytes, reply_to: probe.actor() });
        }
        add(&mut sim, far, 5, &probe);
        sim.run_for(Duration::from_micros(seed % 20 * 11));
        sim.stop(far);
        sim.run_until_idle();
        let near = tally_on(&mut sim, 0, id);
        let (sum, events) = sum(&mut sim, near);
        assert!((sum, events) == (5, 1) || (sum, events) == (0, 0), "{sum} of {events}");
        let probe = sim.probe::<Answer>();
        add(&mut sim, near, 1, &probe);
        sim.run_for(Duration::from_millis(20));
        let answer = probe.next();
        assert_eq!(answer, Answer::Sum { sum: sum + 1, events: events + 1 }, "seed {seed}");
    }
}
