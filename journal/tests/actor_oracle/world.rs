//! Entities on simulated cores, and what happens to them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::device::CoreJournal;
use mainspring_journal::format::RecordKind;
use mainspring_journal::format::record::Records;
use mainspring_journal::sourced::{PersistenceSettings, Retention};
use mainspring_journal::testkit::SimulatedJournals;

use crate::entity::{ANSWERS_EARLY, Answer, Command, FORGETS_IDS, actor};
use crate::observer::Observer;

const ENTITIES: usize = 4;
/// Cores of the node where entities hop between them.
const CORES: u16 = 3;
/// Lives of the node, each ended by a power cut.
const LIVES: u64 = 3;

/// What is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// The device takes writes for durable that were never synced.
    SkipsSync,
    /// The device says of writes that fail that they are durable.
    HidesFailures,
    /// The entity answers without waiting for its events.
    AnswersEarly,
    /// The entity does not know commands that come twice.
    ForgetsIds,
    /// Old segments are dropped before the copies of what they hold are durable.
    DropsEarly,
}

/// What the entities of a world do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A little of everything.
    Mixed,
    /// A lot of work for one entity at a time, so that segments die while other entities have little in them.
    Bursts,
    /// As `Mixed`, with entities that stop on one core and start on another one, which may be slow.
    Hops,
}

/// How often things have happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub commands: u64,
    pub answered: u64,
    pub refused: u64,
    pub failed_writes: u64,
    pub stopped: u64,
    pub repeated: u64,
    pub crashes: u64,
    pub deletions: u64,
    pub segments_dropped: u64,
    pub bytes_copied: u64,
    pub hops: u64,
}

impl Counted {
    pub fn add(&mut self, other: Counted) {
        self.commands += other.commands;
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed_writes += other.failed_writes;
        self.stopped += other.stopped;
        self.repeated += other.repeated;
        self.crashes += other.crashes;
        self.deletions += other.deletions;
        self.segments_dropped += other.segments_dropped;
        self.bytes_copied += other.bytes_copied;
        self.hops += other.hops;
    }

    pub fn happened_all(&self) -> bool {
        let Counted { commands, answered, refused, failed_writes, .. } = *self;
        let Counted { stopped, repeated, crashes, deletions, .. } = *self;
        let all =
            [commands, answered, refused, failed_writes, stopped, repeated, crashes, deletions];
        all.iter().all(|count| *count > 0)
    }
}

pub struct World {
    random: fastrand::Rng,
    journals: SimulatedJournals,
    cores: u16,
    observers: Vec<Observer>,
    /// Commands that were sent and may be sent again.
    adds: Vec<Vec<(u64, u32)>>,
    groups: u64,
    counted: Counted,
    pace: Pace,
    /// Who has most of the work, in bursts.
    busy: usize,
}

/// One life of the node.
struct Life {
    sim: Simulation,
    journals: Vec<Rc<CoreJournal>>,
    probes: Vec<Probe<Answer>>,
    actors: Vec<ActorRef<Command>>,
}

impl World {
    /// Everything that this seed says; what is wrong with it.
    pub fn run(seed: u64, pace: Pace, flaw: Flaw) -> Result<Counted, String> {
        ANSWERS_EARLY.set(flaw == Flaw::AnswersEarly);
        FORGETS_IDS.set(flaw == Flaw::ForgetsIds);
        let mut world = World::new(seed, pace, flaw);
        for life in 0..LIVES {
            let mut node = world.begin(seed * LIVES + life)?;
            let steps = match pace {
                Pace::Mixed | Pace::Hops => world.random.usize(5..40),
                Pace::Bursts => world.random.usize(50..200),
            };
            for _ in 0..steps {
                world.step(&mut node);
            }
            world.hear(&node)?;
            world.count(&node);
            drop(node);
            world.journals.crash();
            world.counted.crashes += 1;
        }
        world.begin(seed)?;
        Ok(world.counted)
    }

    fn new(seed: u64, pace: Pace, flaw: Flaw) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let cores = if pace == Pace::Hops { CORES } else { 1 };
        let mut journals = SimulatedJournals::seeded(seed, cores);
        let segment_bytes = 4_096 * random.u64(12..40);
        let frames_in_flight = random.usize(1..4);
        let persistence = PersistenceSettings {
            snapshot_every: [0, 3, 10][random.usize(0..3)],
            keep_snapshots: random.u32(1..4),
            retention: [Retention::KeepAll, Retention::ToSnapshot][random.usize(0..2)],
            commands_remembered: 64,
        };
        let (moves_all_events, live_limit_percent) = match pace {
            Pace::Bursts => (random.bool(), [0, 25, 60][random.usize(0..3)]),
            _ => (false, 0),
        };
        journals.set(|journal| {
            journal.log.segment_bytes = segment_bytes;
            journal.log.frames_in_flight_limit = frames_in_flight;
            journal.core.persistence = persistence;
            // Entities that come back are read from the device, from memory, or now one and now the other.
            journal.core.recent_limit_bytes = [0, 4_096, 8 << 20][(seed % 3) as usize];
            if pace == Pace::Bursts {
                journal.core.persistence.snapshot_every = 3;
                // More than are ever sent.
                journal.core.persistence.commands_remembered = 1_000;
                journal.core.persistence.retention = Retention::ToSnapshot;
                // In bursts little time passes.
                journal.core.reclaim.bytes_per_second = 1 << 30;
                journal.core.reclaim.moves_all_events = moves_all_events;
                journal.core.reclaim.live_limit_percent = live_limit_percent;
            }
            if flaw == Flaw::DropsEarly {
                journal.drop_segments_early();
            }
            journal.set_conduct(|conduct| {
                conduct.segment_bytes = segment_bytes;
                conduct.segment_ns = 100_000;
                conduct.skips_sync = flaw == Flaw::SkipsSync;
                conduct.hides_failures = flaw == Flaw::HidesFailures;
            });
        });
        let observers = (0..ENTITIES).map(|_| Observer::default()).collect();
        let adds = vec![Vec::new(); ENTITIES];
        let counted = Counted::default();
        World { random, journals, cores, observers, adds, groups: 0, counted, pace, busy: 0 }
    }

    /// The journals are opened, every entity recovers, and tells what it is.
    fn begin(&mut self, seed: u64) -> Result<Life, String> {
        self.journals.set(|journal| {
            journal.set_conduct(|conduct| {
                conduct.failing_writes = 0;
                conduct.has_space = true;
            });
        });
        let mut sim = Simulation::seeded(seed).cores(self.cores);
        let opened = self.journals.install(&mut sim);
        let journals = opened.map_err(|error| format!("a journal was not opened: {error}"))?;
        self.check_numbers()?;
        sim.run_for(Duration::from_millis(3));
        let actors = (0..ENTITIES).map(|entity| spawn(&mut sim, self.any_core(), entity)).collect();
        let probes = (0..ENTITIES).map(|_| sim.probe()).collect();
        let mut node = Life { sim, journals, probes, actors };
        for entity in 0..ENTITIES {
            let reply_to = node.probes[entity].actor();
            node.sim.tell(node.actors[entity], &Command::Tell { reply_to });
        }
        node.sim.run_for(Duration::from_millis(20));
        if let Some(entity) = node.probes.iter().position(|probe| probe.waiting() == 0) {
            return Err(format!("entity {entity} did not recover"));
        }
        self.hear(&node)?;
        Ok(node)
    }

    fn step(&mut self, node: &mut Life) {
        if self.random.u8(0..40) == 0 {
            self.busy = self.random.usize(0..ENTITIES);
        }
        let entity = match self.pace {
            Pace::Bursts if self.random.u8(0..10) > 0 => self.busy,
            _ => self.random.usize(0..ENTITIES),
        };
        let reply_to = node.probes[entity].actor();
        match self.random.u8(0..100) {
            0..=39 => {
                let count = if self.random.bool() { 1 } else { self.random.u32(2..60) };
                let group = self.group();
                self.adds[entity].push((group, count));
                self.send(node, entity, Command::Add { group, count, reply_to });
            }
            40..=49 => {
                let group = self.group();
                self.send(node, entity, Command::AddWhenOpen { group, reply_to });
            }
            50..=57 => {
                let group = self.group();
                self.send(node, entity, Command::Turn { group, reply_to });
            }
            58..=67 => {
                // One that nobody has answered for yet, or one that is known.
                if let Some((group, count)) = self.random.choice(&self.adds[entity]).copied() {
                    self.counted.repeated += 1;
                    self.send(node, entity, Command::Add { group, count, reply_to });
                }
            }
            68..=71 => self.send(node, entity, Command::Tell { reply_to }),
            72..=75 => {
                self.counted.stopped += 1;
                match self.random.bool() {
                    true => self.send(node, entity, Command::Stop),
                    false => node.sim.stop(node.actors[entity]),
                }
                let pause = self.random.u64(0..200);
                node.sim.run_for(Duration::from_micros(pause));
                node.sim.stop(node.actors[entity]);
                node.sim.run_until_idle();
                let core = self.any_core();
                self.counted.hops += u64::from(core != node.actors[entity].core());
                node.actors[entity] = spawn(&mut node.sim, core, entity);
            }
            76 => {
                self.counted.failed_writes += 1;
                let core = self.any_core();
                self.journals.core(core).fail_next_write();
            }
            77..=78 => {
                let core = self.any_core();
                self.journals.core(core).set_space(self.random.bool());
            }
            79 => {
                let core = self.any_core();
                self.journals.core(core).reject_next();
            }
            80..=83 if self.cores > 1 => {
                let core = self.any_core();
                let pause = Duration::from_micros(self.random.u64(1..300));
                node.sim.at(0).core(core).stall(pause);
            }
            _ => {
                let pause = self.random.u64(1..600);
                node.sim.run_for(Duration::from_micros(pause));
            }
        }
    }

    fn any_core(&mut self) -> u16 {
        if self.cores == 1 { 0 } else { self.random.u16(0..self.cores) }
    }

    fn count(&mut self, node: &Life) {
        for journal in &node.journals {
            let figures = journal.figures();
            self.counted.segments_dropped += figures.segments_dropped;
            self.counted.bytes_copied += figures.bytes_copied_forward;
        }
    }

    fn group(&mut self) -> u64 {
        self.groups += 1;
        self.groups
    }

    fn send(&mut self, node: &mut Life, entity: usize, command: Command) {
        self.counted.commands += 1;
        self.observers[entity].sent(&command);
        node.sim.tell(node.actors[entity], &command);
    }

    /// The observers take in what has been answered.
    fn hear(&mut self, node: &Life) -> Result<(), String> {
        for (entity, probe) in node.probes.iter().enumerate() {
            let observer = &mut self.observers[entity];
            while probe.waiting() > 0 {
                let heard = match probe.next() {
                    Answer::Done { group } => {
                        self.counted.answered += 1;
                        observer.done(group);
                        Ok(())
                    }
                    Answer::Refused { group } => {
                        self.counted.refused += 1;
                        observer.refused(group);
                        Ok(())
                    }
                    Answer::State { entries, events, digest } => {
                        observer.told(&entries, events, digest)
                    }
                };
                heard.map_err(|broken| format!("entity {entity}: {broken}"))?;
            }
        }
        Ok(())
    }

    /// The events of every entity stand in the log in order and without a hole.
    fn check_numbers(&mut self) -> Result<(), String> {
        (0..self.cores).try_for_each(|core| self.check_numbers_of(core))
    }

    fn check_numbers_of(&mut self, core: u16) -> Result<(), String> {
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        let mut broken = None;
        let mut deletions = 0;
        let mut first_segment = 0;
        let read = self.journals.core(core).read(core.into(), &mut |frame| {
            if first_segment == 0 {
                first_segment = frame.header.segment_id;
            }
            for record in Records::new(frame.records, frame.header.record_count).flatten() {
                let (entity, sequence) = (record.header.entity, record.header.entity_sequence);
                match record.header.kind {
                    // It stood elsewhere before, where it was counted.
                    _ if record.is_copy => {}
                    RecordKind::Event => {
                        // What stood before it may have been given back.
                        let unknown = if first_segment > 1 { sequence - 1 } else { 0 };
                        let before = last.insert(entity, sequence).unwrap_or(unknown);
                        if sequence != before + 1 {
                            broken = Some(format!("event {sequence} stands behind {before}"));
                        }
                    }
                    RecordKind::Deletion => deletions += 1,
                    _ => {}
                }
            }
        });
        self.counted.deletions += deletions;
        read.map_err(|error| format!("the log cannot be read: {error}"))?;
        broken.map_or(Ok(()), Err)
    }
}

fn spawn(sim: &mut Simulation, core: u16, entity: usize) -> ActorRef<Command> {
    sim.at(0).core(core).spawn_with(
        move || actor(entity as u64),
        |spawn| spawn.on_failure(OnFailure::Restart(Restart::at_most(3))).start(),
    )
}
