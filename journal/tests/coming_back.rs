//! Entities that come back soon: what the log has written last is in memory, and they wait for nobody else's writes.

use std::rc::Rc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::device::CoreJournal;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::testkit::{SimulatedJournal, SimulatedJournals};
use mainspring_journal::{
    Change, DurableState, Effect, EventSourced, Persistent, Stored, event, events, state,
};

#[message]
enum Command {
    Add { reply_to: ActorRef<Answer> },
    Report { reply_to: ActorRef<Answer> },
}

#[message]
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    count: u64,
}

#[event(name = "back.added", version = 1)]
struct Added {
    ballast: [u8; 48],
}

#[events]
enum TallyEvent {
    Added(Added),
}

#[state(name = "back.tally", version = 1)]
#[derive(Default)]
struct Tally {
    count: u64,
}

impl EventSourced for Tally {
    type Command = Command;
    type Event = TallyEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        let answer = |tally: &Tally| Answer { count: tally.count };
        match command {
            ArchivedCommand::Add { reply_to } => {
                Effect::persist(Added { ballast: [7; 48] }).then_reply(*reply_to, answer)
            }
            ArchivedCommand::Report { reply_to } => Effect::reply(*reply_to, answer(self)),
        }
    }

    fn on_event(&mut self, _: ArchivedEvent<'_, TallyEvent>) {
        self.count += 1;
    }
}

#[state(name = "back.badge", version = 1)]
#[derive(Default)]
struct Badge {
    count: u64,
}

impl DurableState for Badge {
    type Command = Command;

    fn on_command(&self, command: &Archived<Command>) -> Change<Self> {
        match command {
            ArchivedCommand::Add { reply_to } => Change::store(Badge { count: self.count + 1 })
                .then_reply(*reply_to, |badge| Answer { count: badge.count }),
            ArchivedCommand::Report { reply_to } => {
                Change::reply(*reply_to, Answer { count: self.count })
            }
        }
    }
}

fn opened(journal: &SimulatedJournal, seed: u64) -> (Simulation, Rc<CoreJournal>) {
    let mut sim = Simulation::seeded(seed);
    let core = journal.install(&sim.at(0)).expect("a journal that can be opened");
    sim.run_for(Duration::from_millis(5));
    (sim, core)
}

fn tally(sim: &mut Simulation, core: u16, id: u64) -> ActorRef<Command> {
    let make = move || Persistent::new(id, Tally::default);
    sim.at(0).core(core).spawn_with(make, |spawn| spawn.start())
}

fn badge(sim: &mut Simulation, core: u16, id: u64) -> ActorRef<Command> {
    let make = move || Stored::new(id, Badge::default);
    sim.at(0).core(core).spawn_with(make, |spawn| spawn.start())
}

fn add(sim: &mut Simulation, to: ActorRef<Command>, probe: &Probe<Answer>) {
    sim.tell(to, &Command::Add { reply_to: probe.actor() });
}

fn ask(sim: &mut Simulation, of: ActorRef<Command>, probe: &Probe<Answer>) {
    sim.tell(of, &Command::Report { reply_to: probe.actor() });
}

/// How often the device was read while 200 entities of both kinds, each changed three times, left and came back.
fn reads_when_they_come_back(limit_bytes: usize) -> u64 {
    let mut journal = SimulatedJournal::seeded(1);
    journal.core.recent_limit_bytes = limit_bytes;
    let (mut sim, core) = opened(&journal, 1);
    let probe = sim.probe::<Answer>();
    let start = |sim: &mut Simulation, id: u64| match id % 2 {
        0 => tally(sim, 0, id),
        _ => badge(sim, 0, id),
    };
    let first: Vec<_> = (0..200).map(|id| start(&mut sim, id)).collect();
    for _ in 0..3 {
        first.iter().for_each(|actor| add(&mut sim, *actor, &probe));
    }
    sim.run_for(Duration::from_millis(20));
    assert_eq!(probe.waiting(), 600);
    first.iter().for_each(|actor| sim.stop(*actor));
    sim.run_for(Duration::from_millis(5));
    let before = core.figures().reads;
    let probe = sim.probe::<Answer>();
    for id in 0..200 {
        let again = start(&mut sim, id);
        ask(&mut sim, again, &probe);
    }
    sim.run_for(Duration::from_millis(50));
    assert_eq!(probe.waiting(), 200);
    while probe.waiting() > 0 {
        assert_eq!(probe.next(), Answer { count: 3 });
    }
    core.figures().reads - before
}

#[test]
fn entities_that_come_back_soon_are_made_from_what_is_in_memory() {
    assert_eq!(reads_when_they_come_back(8 << 20), 0);
}

#[test]
fn those_whose_records_are_not_in_memory_any_more_are_read_from_the_device() {
    assert!(reads_when_they_come_back(8 << 10) > 0);
    assert!(reads_when_they_come_back(0) > 0);
}

#[test]
fn an_entity_that_starts_on_another_core_is_made_from_the_memory_of_its_logs_core() {
    let journals = SimulatedJournals::seeded(2, 2);
    let mut sim = Simulation::seeded(2).cores(2);
    let cores = journals.install(&mut sim).expect("journals that can be opened");
    sim.run_for(Duration::from_millis(5));
    let probe = sim.probe::<Answer>();
    for round in 1..=6_u64 {
        let on = (round % 2) as u16;
        let actors: Vec<_> = (0..100).map(|id| badge(&mut sim, on, id)).collect();
        actors.iter().for_each(|actor| add(&mut sim, *actor, &probe));
        sim.run_for(Duration::from_millis(20));
        assert_eq!(probe.waiting(), 100);
        while probe.waiting() > 0 {
            assert_eq!(probe.next(), Answer { count: round });
        }
        actors.iter().for_each(|actor| sim.stop(*actor));
        sim.run_for(Duration::from_millis(5));
    }
    let reads: Vec<u64> = cores.iter().map(|core| core.figures().reads).collect();
    assert_eq!(reads, [0, 0]);
}

#[test]
fn an_entity_that_starts_does_not_wait_for_what_others_write() {
    let mut journal = SimulatedJournal::seeded(3);
    for limit_bytes in [0, 8 << 20] {
        journal.core.recent_limit_bytes = limit_bytes;
        let (mut sim, _) = opened(&journal, 3);
        let probe = sim.probe::<Answer>();
        let one = badge(&mut sim, 0, 1);
        add(&mut sim, one, &probe);
        sim.run_for(Duration::from_millis(5));
        let before = probe.next();
        sim.stop(one);
        sim.run_for(Duration::from_millis(5));
        journal.set_conduct(|conduct| conduct.write_ns = 50_000_000);
        let other = badge(&mut sim, 0, 2);
        add(&mut sim, other, &probe);
        sim.run_for(Duration::from_millis(1));
        let one = badge(&mut sim, 0, 1);
        ask(&mut sim, one, &probe);
        sim.run_for(Duration::from_millis(1));
        assert_eq!(probe.waiting(), 1, "the other's write is under way: {limit_bytes}");
        assert_eq!(probe.next(), before);
        journal.set_conduct(|conduct| conduct.write_ns = 50_000);
        sim.run_for(Duration::from_millis(60));
    }
}

#[test]
fn an_entity_that_starts_waits_for_what_it_wrote_itself() {
    for limit_bytes in [0, 8 << 20] {
        let mut journal = SimulatedJournal::seeded(4);
        journal.core.recent_limit_bytes = limit_bytes;
        let (mut sim, _) = opened(&journal, 4);
        let probe = sim.probe::<Answer>();
        let one = tally(&mut sim, 0, 1);
        add(&mut sim, one, &probe);
        sim.run_for(Duration::from_millis(5));
        assert_eq!(probe.next(), Answer { count: 1 });
        journal.set_conduct(|conduct| conduct.write_ns = 50_000_000);
        add(&mut sim, one, &probe);
        sim.run_for(Duration::from_micros(20));
        // Its second event is on its way to the device and was answered for to nobody.
        sim.stop(one);
        sim.run_for(Duration::from_micros(20));
        let one = tally(&mut sim, 0, 1);
        ask(&mut sim, one, &probe);
        sim.run_for(Duration::from_millis(40));
        assert_eq!(probe.waiting(), 0, "nobody may see what a crash could still take");
        sim.run_for(Duration::from_millis(20));
        assert_eq!(probe.next(), Answer { count: 2 });
    }
}

#[test]
fn an_entity_that_comes_back_soon_does_not_wait_for_many_that_are_read_from_the_device() {
    let journal = SimulatedJournal::seeded(5);
    let (mut sim, _) = opened(&journal, 5);
    let probe = sim.probe::<Answer>();
    for id in 1..=600 {
        let cold = badge(&mut sim, 0, id);
        add(&mut sim, cold, &probe);
    }
    sim.run_for(Duration::from_millis(50));
    assert_eq!(probe.waiting(), 600);
    drop((sim, probe));
    let (mut sim, core) = opened(&journal, 6);
    let (many, one) = (sim.probe::<Answer>(), sim.probe::<Answer>());
    let hot = badge(&mut sim, 0, 0);
    add(&mut sim, hot, &one);
    sim.run_for(Duration::from_millis(5));
    assert_eq!(one.next(), Answer { count: 1 });
    sim.stop(hot);
    journal.set_conduct(|conduct| conduct.read_ns = 20_000_000);
    for id in 1..=600 {
        let cold = badge(&mut sim, 0, id);
        ask(&mut sim, cold, &many);
    }
    sim.run_for(Duration::from_millis(1));
    let hot = badge(&mut sim, 0, 0);
    ask(&mut sim, hot, &one);
    sim.run_for(Duration::from_millis(1));
    assert_eq!((one.waiting(), many.waiting()), (1, 0), "{:?}", core.figures());
    assert_eq!(one.next(), Answer { count: 1 });
    sim.run_for(Duration::from_secs(1));
    assert_eq!(many.waiting(), 600);
}
