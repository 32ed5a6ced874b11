//! What tests of single entities have in common, whatever their state is made of: a simulated core with a simulated
//! journal, one entity on it, and everything that was seen of its state.
//!
//! Each state that the entity comes to is written, read and written again, and must be the same; the first one that is
//! not fails the test at its next step.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use mainspring::ActorRef;
use mainspring::frame::archive::write_boxed;
use mainspring::message::{Message, Reply};
use mainspring::testkit::{Probe, Simulation};

use super::SimulatedJournal;
use super::actor_test::StoredRecord;
use super::entity_outcome::Ending;
use crate::device::{CoreJournal, Group, GroupRecord};
use crate::entity::{EntityId, shard_of};
use crate::format::RecordKind;
use crate::format::dictionary::SchemaEntry;
use crate::format::record::Records;
use crate::log::{BlockBuffer, DeclaredEntity};
use crate::schema::{EventBuffer, Layout, SchemaError, State};

/// Virtual time in which everything that a command leads to has come to rest.
const REST: Duration = Duration::from_millis(200);

/// How the entity is started.
type Spawn<C> = Box<dyn Fn(&mut Simulation) -> ActorRef<C>>;

/// An entity with the state `S` that takes the commands `C`.
pub(super) struct Bench<S, C> {
    id: EntityId,
    spawn: Spawn<C>,
    journal: SimulatedJournal,
    seen: Rc<RefCell<Seen>>,
    running: Option<Running<C>>,
    lives: u64,
    state: PhantomData<S>,
}

/// A core on which the journal is open.
pub(super) struct Running<C> {
    pub sim: Simulation,
    pub core: Rc<CoreJournal>,
    entity: Option<ActorRef<C>>,
}

/// What was seen of the state.
#[derive(Default)]
struct Seen {
    sequence: u64,
    /// Its archive; none before it has recovered.
    state: Option<Vec<u8>>,
    /// The first thing that was wrong with it.
    wrong: Option<String>,
}

impl<S: State + 'static, C: Reply> Bench<S, C> {
    pub fn new(
        journal: SimulatedJournal,
        id: EntityId,
        spawn: impl Fn(&mut Simulation) -> ActorRef<C> + 'static,
    ) -> Self {
        Bench {
            id,
            spawn: Box::new(spawn),
            journal,
            seen: Rc::default(),
            running: None,
            lives: 0,
            state: PhantomData,
        }
    }

    pub fn journal(&self) -> &SimulatedJournal {
        &self.journal
    }

    /// Makes records the entity's, which is stopped for that, as its last ones.
    #[track_caller]
    pub fn store(&mut self, records: impl FnOnce(&CoreJournal, u64, &mut Store<'_>)) {
        self.stop();
        let mut entity = self.declared();
        let shard = shard_of(&self.id, self.journal.shard_count);
        let Running { sim, core, .. } = self.run();
        let after = core.sequence_of(entity.hash());
        let (core, shard) = (Rc::clone(core), core.claim(shard));
        records(&core, after, &mut |records, after| {
            let now_ns = sim.now().as_nanos() as u64;
            let group = Group { entity: &mut entity, shard, after, records };
            if let Err(refused) = core.append(now_ns, group) {
                panic!("what is given was refused: {refused}");
            }
            sim.run_for(REST);
        });
    }

    /// Sends a command and waits until all is at rest: how it ended, and the entity's sequence before it.
    #[track_caller]
    pub fn send(&mut self, command: &C) -> (Ending, u64) {
        let running = self.start();
        let probe = running.sim.probe::<C>();
        assert_same_command(&mut running.sim, &probe, command);
        let refused = refusals(&running.core);
        let Some(entity) = running.entity else { unreachable!("`start` has made it") };
        running.sim.tell(entity, command);
        let before = self.last_sequence();
        let Running { sim, core, .. } = self.run();
        sim.run_for(REST);
        let ending = match () {
            () if core.is_poisoned() => Ending::Unknown,
            () if refusals(core) > refused => Ending::Rejected,
            () => Ending::Done,
        };
        self.assert_nothing_wrong();
        (ending, before)
    }

    /// Cuts the power, opens the journal again and lets the entity recover.
    #[track_caller]
    pub fn restart(&mut self) {
        self.running = None;
        self.journal.crash();
        *self.seen.borrow_mut() = Seen::default();
        self.start();
    }

    /// The same, and compares the state with the one before.
    #[track_caller]
    pub fn restart_and_compare(&mut self, why_they_differ: &str) {
        self.start();
        let (state, sequence) = self.current();
        self.restart();
        let (recovered, recovered_sequence) = self.current();
        let name = S::LAYOUT.name;
        assert_eq!(
            recovered_sequence, sequence,
            "the last number of `{name}` in the journal after a restart"
        );
        assert!(
            recovered == state,
            "the state `{name}` that was recovered is not the one before the restart: {why_they_differ}"
        );
    }

    /// The state as it is now.
    #[track_caller]
    pub fn state(&mut self) -> S {
        self.start();
        let (state, _) = self.current();
        read_state(&state).expect("what was written can be read back")
    }

    /// The last state that was seen, and its number.
    pub fn last_seen(&self) -> (Option<S>, u64) {
        let seen = self.seen.borrow();
        let state = seen.state.as_deref().map(read_state).and_then(Result::ok);
        (state, seen.sequence)
    }

    /// The entity runs and has recovered, or cannot.
    #[track_caller]
    pub fn start(&mut self) -> &mut Running<C> {
        self.run();
        if let Some(running) = &mut self.running
            && running.entity.is_none()
        {
            running.entity = Some((self.spawn)(&mut running.sim));
            running.sim.run_for(REST);
            self.assert_nothing_wrong();
        }
        self.run()
    }

    /// The journal is open; the entity may not run.
    #[track_caller]
    fn run(&mut self) -> &mut Running<C> {
        let Bench { journal, seen, running, lives, .. } = self;
        running.get_or_insert_with(|| {
            *lives += 1;
            let mut sim = Simulation::seeded(*lives);
            let core = match journal.install(&sim.at(0)) {
                Ok(core) => core,
                Err(error) => panic!("the journal cannot be opened: {error}"),
            };
            let seen = Rc::clone(seen);
            core.hooks().watch(Box::new(move |_, sequence, state| {
                seen.borrow_mut().look::<S>(sequence, state);
            }));
            sim.run_for(REST);
            Running { sim, core, entity: None }
        })
    }

    fn stop(&mut self) {
        if let Some(Running { sim, entity, .. }) = &mut self.running
            && let Some(entity) = entity.take()
        {
            sim.stop(entity);
            sim.run_for(REST);
        }
    }

    #[track_caller]
    fn current(&self) -> (Vec<u8>, u64) {
        let seen = self.seen.borrow();
        let Some(state) = seen.state.clone() else {
            panic!("`{}` has no state: it did not recover", S::LAYOUT.name);
        };
        (state, seen.sequence)
    }

    fn declared(&self) -> DeclaredEntity {
        match DeclaredEntity::new(S::LAYOUT.name, self.id.as_bytes()) {
            Ok(entity) => entity,
            Err(error) => panic!("{error}"),
        }
    }

    fn last_sequence(&mut self) -> u64 {
        let entity = self.declared().hash();
        self.run().core.sequence_of(entity)
    }

    /// The entity's records behind this number, as the disk holds them.
    #[track_caller]
    pub fn stored(&self, after: u64, take: &mut dyn FnMut(StoredRecord<'_>)) {
        let entity = self.declared().hash();
        let mut layouts: Vec<(u64, SchemaEntry)> = Vec::new();
        let read = self.journal.read(0, &mut |frame| {
            let segment_id = frame.header.segment_id;
            for record in Records::new(frame.records, frame.header.record_count).flatten() {
                let header = record.header;
                if header.kind == RecordKind::Schema {
                    let entry = SchemaEntry::decode(record.payload).ok();
                    layouts.extend(entry.map(|entry| (segment_id, entry)));
                } else if header.entity == entity && header.entity_sequence > after {
                    let is_meant = |(segment, entry): &&(u64, SchemaEntry)| {
                        (*segment, entry.number) == (segment_id, header.schema)
                    };
                    let layout = layouts.iter().find(is_meant).map(|(_, entry)| entry);
                    let (kind, sequence) = (header.kind, header.entity_sequence);
                    let payload = &aligned(record.payload)[..];
                    take(StoredRecord { kind, sequence, layout, payload });
                }
            }
        });
        if let Err(error) = read {
            panic!("the journal cannot be read: {error}");
        }
    }

    #[track_caller]
    fn assert_nothing_wrong(&self) {
        if let Some(wrong) = &self.seen.borrow().wrong {
            panic!("{wrong}");
        }
    }
}

/// Appends one group behind a number, and waits until it is durable.
pub(super) type Store<'s> = dyn FnMut(&[GroupRecord<'_>], u64) + 's;

impl Seen {
    /// Takes a state down, and what is wrong with it.
    fn look<S: State + 'static>(&mut self, sequence: u64, state: &dyn Any) {
        let Some(state) = state.downcast_ref::<S>() else { return };
        match archive_of(state) {
            Ok(archive) => {
                self.sequence = sequence;
                if let Err(why) = same_again::<S>(&archive) {
                    let name = S::LAYOUT.name;
                    self.wrong.get_or_insert(format!(
                        "the state `{name}` of number {sequence} was written, read and written again: {why}"
                    ));
                }
                self.state = Some(archive);
            }
            Err(error) => {
                self.wrong.get_or_insert(error);
            }
        }
    }
}

/// Whether a state is the same when it was read and written again.
pub(super) fn same_again<S: State>(archive: &[u8]) -> Result<(), String> {
    let again = read_state::<S>(archive).map_err(|error| error.to_string())?;
    if archive_of(&again)? == archive { Ok(()) } else { Err("it was another one".to_owned()) }
}

pub(super) fn archive_of<S: State>(state: &S) -> Result<Vec<u8>, String> {
    let mut buffer = EventBuffer::new();
    match state.write(&mut buffer) {
        Ok(place) => Ok(buffer.get(place).to_vec()),
        Err(error) => Err(error.to_string()),
    }
}

fn read_state<S: State>(archive: &[u8]) -> Result<S, SchemaError> {
    let Layout { name, version, fingerprint } = S::LAYOUT;
    S::read(S::reader(name, version, fingerprint)?, &aligned(archive))
}

/// Archives are read where they are aligned.
pub(super) fn aligned(payload: &[u8]) -> BlockBuffer {
    let mut aligned = BlockBuffer::with_capacity(payload.len());
    aligned.extend_from_slice(payload);
    aligned
}

/// Groups that were refused for good.
fn refusals(core: &CoreJournal) -> u64 {
    let figures = core.figures();
    figures.refused_full + figures.refused_other
}

#[track_caller]
fn assert_same_command<C: Reply>(sim: &mut Simulation, probe: &Probe<C>, command: &C) {
    sim.tell(probe.actor(), command);
    let again = probe.next();
    assert!(
        archive_of_command(&again) == archive_of_command(command),
        "the command `{}` is another one after it was written and read",
        C::NAME
    );
}

#[track_caller]
fn archive_of_command<C: Message>(command: &C) -> Vec<u8> {
    match write_boxed(command, usize::MAX >> 1) {
        Ok(archive) => archive.as_slice().to_vec(),
        Err(error) => panic!("the command `{}` cannot be written: {error}", C::NAME),
    }
}
