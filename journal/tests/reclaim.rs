//! Segments are given back in a simulation, and the power is cut at every moment of it.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_journal::device::JournalFigures;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::Retention;
use mainspring_journal::testkit::{Fate, SimulatedJournal};
use mainspring_journal::{Effect, EventSourced, Persistent, event, events, state};

#[message]
enum Command {
    Add { reply_to: ActorRef<Count> },
    Tell { reply_to: ActorRef<Count> },
}

#[message]
#[derive(Debug)]
struct Count {
    count: u64,
}

#[event(name = "counter.added", version = 1)]
struct Added {
    filling: Vec<u8>,
}

#[events]
enum CounterEvent {
    Added(Added),
}

#[state(name = "counter", version = 1)]
#[derive(Default)]
struct Counter {
    count: u64,
}

impl EventSourced for Counter {
    type Command = Command;
    type Event = CounterEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        let answer = |counter: &Self| Count { count: counter.count };
        match command {
            ArchivedCommand::Add { reply_to } => {
                Effect::persist(Added { filling: vec![7; 1_000] }).then_reply(*reply_to, answer)
            }
            ArchivedCommand::Tell { reply_to } => Effect::reply(*reply_to, answer(self)),
        }
    }

    fn on_event(&mut self, _: ArchivedEvent<'_, CounterEvent>) {
        self.count += 1;
    }
}

/// A journal of short segments whose entities give up what their last snapshot stands for.
fn journal(seed: u64) -> SimulatedJournal {
    let mut journal = SimulatedJournal::seeded(seed);
    journal.log.segment_bytes = 12 * 4_096;
    journal.core.persistence.snapshot_every = 4;
    journal.core.persistence.keep_snapshots = 1;
    journal.core.persistence.retention = Retention::ToSnapshot;
    journal.core.reclaim.bytes_per_second = 1 << 30;
    journal.set_conduct(|conduct| {
        conduct.segment_bytes = 12 * 4_096;
        conduct.segment_ns = 100_000;
    });
    journal
}

fn counter(sim: &mut Simulation, id: u64) -> ActorRef<Command> {
    let make = move || Persistent::new(id, Counter::default);
    sim.at(0).spawn_with(make, |spawn| spawn.start())
}

/// What the counters 1 and 2 are when the journal is opened.
fn counts(journal: &SimulatedJournal) -> Result<[u64; 2], String> {
    let mut sim = Simulation::seeded(1);
    journal.install(&sim.at(0)).map_err(|error| error.to_string())?;
    let mut counts = [0; 2];
    for (id, count) in (1..).zip(&mut counts) {
        let counter = counter(&mut sim, id);
        let probe = sim.probe::<Count>();
        sim.tell(counter, &Command::Tell { reply_to: probe.actor() });
        sim.run_for(Duration::from_millis(10));
        if probe.waiting() == 0 {
            return Err(format!("counter {id} did not recover"));
        }
        *count = probe.next().count;
    }
    Ok(counts)
}

/// Counter 1 is added to so often and then left alone, counter 2 until so many segments were dropped or so much was
/// tried. `each` gets the journal at every moment, and what counter 2 has answered.
fn run(
    journal: &SimulatedJournal,
    idle: u64,
    segments: u64,
    each: &mut dyn FnMut(u64),
) -> JournalFigures {
    let mut sim = Simulation::seeded(1);
    let core = journal.install(&sim.at(0)).expect("a journal that can be opened");
    sim.run_for(Duration::from_millis(2));
    let (left_alone, busy) = (counter(&mut sim, 1), counter(&mut sim, 2));
    let probe = sim.probe::<Count>();
    for _ in 0..idle {
        sim.tell(left_alone, &Command::Add { reply_to: probe.actor() });
        sim.run_for(Duration::from_millis(1));
        probe.next();
    }
    let mut answered = 0;
    for _ in 0..2_000 {
        sim.tell(busy, &Command::Add { reply_to: probe.actor() });
        for _ in 0..20 {
            sim.run_for(Duration::from_micros(5));
            while probe.waiting() > 0 {
                answered = probe.next().count;
            }
            each(answered);
        }
        if core.figures().segments_dropped >= segments {
            break;
        }
    }
    // Nothing is left under way: the next life would take it for its own.
    sim.run_for(Duration::from_millis(20));
    core.figures()
}

/// The power is cut at every moment while segments are given back, in several ways. What is broken first.
fn first_broken(journal: &SimulatedJournal) -> (Option<String>, JournalFigures, u64) {
    let (mut broken, mut crashes) = (None, 0);
    let figures = run(journal, 14, 4, &mut |answered| {
        let things = journal.disk().unsynced();
        for way in 0..if things > 0 && broken.is_none() { 5 } else { 0 } {
            let after = journal.fork();
            match way {
                0 => after.disk().crash_with(&mut |_| Fate::Lost),
                // The names alone, which come first.
                1 => after.disk().crash_with(&mut |thing| match thing {
                    0 => Fate::Kept,
                    _ => Fate::Lost,
                }),
                2 => after.disk().crash_with(&mut |_| Fate::Kept),
                _ => after.crash(),
            }
            crashes += 1;
            match counts(&after) {
                Ok([14, busy]) if busy >= answered => {}
                found => broken = Some(format!("{found:?} of 14 and at least {answered}")),
            }
        }
    });
    (broken, figures, crashes)
}

#[test]
fn every_crash_while_a_segment_is_given_back_leaves_all_that_is_needed() {
    let (broken, figures, crashes) = first_broken(&journal(1));
    println!("{crashes} crashes: {figures:?}");
    assert_eq!(broken, None);
    assert!(figures.segments_dropped >= 4 && figures.bytes_copied_forward > 0, "{figures:?}");
    assert!(crashes > 1_000, "{crashes}");
}

#[test]
fn a_crash_behind_a_segment_that_was_dropped_too_early_is_found_out() {
    let journal = journal(1);
    journal.drop_segments_early();
    let (broken, ..) = first_broken(&journal);
    assert!(broken.is_some(), "it went unseen");
}

#[test]
fn an_event_that_is_kept_for_ever_keeps_its_segment_unless_it_may_be_moved() {
    let mut journal = journal(2);
    // Two events without a snapshot: nothing of that counter was ever given up.
    let figures = run(&journal, 2, 4, &mut |_| {});
    assert_eq!((figures.segments_dropped, figures.bytes_copied_forward), (0, 0), "{figures:?}");
    journal.core.reclaim.moves_all_events = true;
    let figures = run(&journal, 0, 4, &mut |_| {});
    assert!(figures.segments_dropped >= 4 && figures.bytes_copied_forward > 2_000, "{figures:?}");
    assert_eq!(counts(&journal).map(|counts| counts[0]), Ok(2));
}
