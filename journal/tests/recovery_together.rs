//! Entities that recover at the same time: what they share, and what they do not.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::device::CoreJournal;
use mainspring_journal::format::RecordKind;
use mainspring_journal::format::commit_frame::FRAME_HEADER_BYTES;
use mainspring_journal::format::record::{RECORD_HEADER_BYTES, Records};
use mainspring_journal::log::SegmentFile;
use mainspring_journal::log::recovery::FoundFrame;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::testkit::SimulatedJournal;
use mainspring_journal::{Effect, EventSourced, Persistent, event, events, state};

#[message]
enum Command {
    Add { from: u64, count: u64, reply_to: ActorRef<Answer> },
    Report { reply_to: ActorRef<Answer> },
}

#[message]
#[derive(Debug)]
struct Answer {
    sum: u64,
    events: u64,
}

#[event(name = "together.added", version = 1)]
struct Added {
    number: u64,
    ballast: [u8; 48],
}

#[events]
enum CounterEvent {
    Added(Added),
}

#[state(name = "together.counter", version = 1)]
#[derive(Default)]
struct Counter {
    sum: u64,
    events: u64,
    last: u64,
}

impl EventSourced for Counter {
    type Command = Command;
    type Event = CounterEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        let answer = |counter: &Counter| Answer { sum: counter.sum, events: counter.events };
        match command {
            ArchivedCommand::Add { from, count, reply_to } => {
                let numbers = from.to_native()..from.to_native() + count.to_native();
                let added = |number| Added { number, ballast: [7; 48] }.into();
                Effect::persist_all(numbers.map(added)).then_reply(*reply_to, answer)
            }
            ArchivedCommand::Report { reply_to } => Effect::reply(*reply_to, answer(self)),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, CounterEvent>) {
        let ArchivedCounterEvent::Added(added) = event;
        let number = added.number.to_native();
        // One that comes out of turn spoils the sum.
        self.sum += if number > self.last { number } else { 1 << 40 };
        self.last = number;
        self.events += 1;
    }
}

fn spawn(sim: &mut Simulation, id: u64) -> ActorRef<Command> {
    sim.at(0).spawn_with(
        move || Persistent::new(id, Counter::default),
        |spawn| spawn.on_failure(OnFailure::Restart(Restart::at_most(3))).start(),
    )
}

/// A journal with small segments, so that most of what it holds is found by footers.
fn journal(seed: u64) -> SimulatedJournal {
    let mut journal = SimulatedJournal::seeded(seed);
    journal.set_conduct(|conduct| {
        conduct.segment_bytes = 256 << 10;
        conduct.segment_ns = 10_000;
    });
    journal.log.segment_bytes = 256 << 10;
    journal.core.persistence.snapshot_every = 0;
    journal
}

fn opened(journal: &SimulatedJournal, seed: u64) -> (Simulation, std::rc::Rc<CoreJournal>) {
    let mut sim = Simulation::seeded(seed);
    let core = journal.install(&sim.at(0)).expect("a journal that can be opened");
    sim.run_for(Duration::from_millis(5));
    (sim, core)
}

/// So many entities, each with `rounds` events, which lie scattered over the log.
fn fill(journal: &SimulatedJournal, entities: u64, rounds: u64) {
    let (mut sim, _) = opened(journal, 1);
    let actors: Vec<_> = (0..entities).map(|id| spawn(&mut sim, id)).collect();
    let probe = sim.probe::<Answer>();
    for round in 0..rounds {
        for actors in actors.chunks(200) {
            for actor in actors {
                let add = Command::Add { from: round + 1, count: 1, reply_to: probe.actor() };
                sim.tell(*actor, &add);
            }
            sim.run_for(Duration::from_millis(1));
        }
    }
    sim.run_for(Duration::from_millis(20));
    assert_eq!(probe.waiting() as u64, entities * rounds);
}

fn ask(sim: &mut Simulation, actor: ActorRef<Command>, probe: &Probe<Answer>) {
    sim.tell(actor, &Command::Report { reply_to: probe.actor() });
}

/// The answers that have come; each must be of an entity with the events 1 to `rounds`.
fn take(probe: &Probe<Answer>, rounds: u64) -> u64 {
    let mut taken = 0;
    while probe.waiting() > 0 {
        let answer = probe.next();
        assert_eq!((answer.events, answer.sum), (rounds, rounds * (rounds + 1) / 2));
        taken += 1;
    }
    taken
}

#[test]
fn many_entities_that_recover_at_once_share_what_is_read() {
    const ENTITIES: u64 = 3_000;
    const ROUNDS: u64 = 4;
    let journal = journal(1);
    fill(&journal, ENTITIES, ROUNDS);
    assert!(journal.footers() > 4, "{} footers", journal.footers());
    let (mut sim, core) = opened(&journal, 2);
    let probe = sim.probe::<Answer>();
    for id in 0..ENTITIES {
        let actor = spawn(&mut sim, id);
        ask(&mut sim, actor, &probe);
    }
    sim.run_for(Duration::from_millis(500));
    assert_eq!(take(&probe, ROUNDS), ENTITIES);
    let figures = core.figures();
    assert_eq!(figures.readings, ENTITIES);
    // Alone, each of them would need a read for each event, and two for each footer that knows it.
    assert!(figures.reads < ENTITIES / 4, "{figures:?}");
    // 144 bytes a record and 16 a posting, and in the worst case the log as often as there are cohorts.
    assert!(figures.read_bytes < 6 * ENTITIES * ROUNDS * 160, "{figures:?}");
}

#[test]
fn one_that_comes_while_many_recover_does_not_wait_for_them() {
    let journal = journal(2);
    fill(&journal, 600, 4);
    let (mut sim, _) = opened(&journal, 3);
    journal.set_conduct(|conduct| conduct.read_ns = 5_000_000);
    let (many, one) = (sim.probe::<Answer>(), sim.probe::<Answer>());
    for id in 1..600 {
        let actor = spawn(&mut sim, id);
        ask(&mut sim, actor, &many);
    }
    sim.run_for(Duration::from_millis(1));
    let actor = spawn(&mut sim, 0);
    ask(&mut sim, actor, &one);
    let mut waited_ms = 0;
    while one.waiting() == 0 && waited_ms < 1_000 {
        sim.run_for(Duration::from_millis(1));
        waited_ms += 1;
    }
    // Two reads for each of some footers, one for its layouts, and one for its records.
    assert!(waited_ms <= 60, "{waited_ms} ms");
    sim.run_for(Duration::from_secs(2));
    assert_eq!(take(&many, 4) + take(&one, 4), 600);
}

#[test]
fn a_damaged_record_fails_only_its_own_entity() {
    let journal = journal(3);
    fill(&journal, 300, 3);
    let (file, bit) = bit_of_one_event(&journal);
    let (mut sim, _) = opened(&journal, 4);
    journal.disk().flip_bit(file, bit);
    let probe = sim.probe::<Answer>();
    for id in 0..300 {
        let actor = spawn(&mut sim, id);
        ask(&mut sim, actor, &probe);
    }
    sim.run_for(Duration::from_secs(5));
    assert_eq!(take(&probe, 3), 299);
}

/// A bit of the payload of an event in the middle of the log.
fn bit_of_one_event(journal: &SimulatedJournal) -> (SegmentFile, u64) {
    let mut found = Vec::new();
    let visit = &mut |frame: &FoundFrame<'_>| {
        for record in Records::new(frame.records, frame.header.record_count).flatten() {
            if record.header.kind == RecordKind::Event {
                let offset = frame.offset as usize + FRAME_HEADER_BYTES + record.offset;
                found.push((frame.file, (offset + RECORD_HEADER_BYTES + 20) as u64 * 8));
            }
        }
    };
    journal.read(0, visit).expect("a log that can be read");
    found[found.len() / 2]
}

#[test]
fn those_whose_read_has_failed_are_tried_again() {
    let journal = journal(4);
    fill(&journal, 600, 4);
    for failures in 1..=3 {
        let (mut sim, core) = opened(&journal, 4 + failures);
        let probe = sim.probe::<Answer>();
        (0..failures).for_each(|_| journal.fail_next_read());
        for id in 0..600 {
            let actor = spawn(&mut sim, id);
            ask(&mut sim, actor, &probe);
        }
        sim.run_for(Duration::from_secs(5));
        assert_eq!(take(&probe, 4), 600, "{failures}");
        let again = core.figures().readings - 600;
        assert!(again > 0 && again <= 600 * failures, "{failures}: {again} were tried again");
    }
}

#[test]
fn long_histories_come_in_order_alone_and_among_others() {
    const EVENTS: u64 = 12_000;
    let journal = journal(5);
    let (mut sim, _) = opened(&journal, 5);
    let long: Vec<_> = (1_000..1_020).map(|id| spawn(&mut sim, id)).collect();
    let probe = sim.probe::<Answer>();
    for from in (1..EVENTS).step_by(500) {
        for actor in &long[..3] {
            sim.tell(*actor, &Command::Add { from, count: 500, reply_to: probe.actor() });
        }
        sim.run_for(Duration::from_millis(2));
    }
    drop(probe);
    drop(sim);
    for readers in [1, 3, 20] {
        let (mut sim, _) = opened(&journal, readers);
        let probe = sim.probe::<Answer>();
        for id in 1_000..1_000 + readers {
            let actor = spawn(&mut sim, id);
            ask(&mut sim, actor, &probe);
        }
        sim.run_for(Duration::from_secs(1));
        let answers: Vec<_> =
            (0..probe.waiting()).map(|_| probe.next()).filter(|one| one.events > 0).collect();
        assert_eq!(answers.len() as u64, readers.min(3));
        for Answer { sum, events } in answers {
            assert_eq!((events, sum), (EVENTS, EVENTS * (EVENTS + 1) / 2));
        }
    }
}

#[test]
fn readers_that_are_gone_leave_nothing_behind() {
    let journal = journal(6);
    fill(&journal, 400, 2);
    let (mut sim, core) = opened(&journal, 6);
    for step in 0..6 {
        let actors: Vec<_> = (0..400).map(|id| spawn(&mut sim, id)).collect();
        sim.run_for(Duration::from_micros(1 + step * 60));
        actors.iter().for_each(|actor| sim.stop(*actor));
        sim.run_for(Duration::from_millis(5));
    }
    let probe = sim.probe::<Answer>();
    let actor = spawn(&mut sim, 3);
    ask(&mut sim, actor, &probe);
    sim.run_for(Duration::from_millis(5));
    assert_eq!(take(&probe, 2), 1);
    assert!(core.figures().readings > 400);
}
