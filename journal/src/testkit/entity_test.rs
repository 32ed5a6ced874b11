//! One event-sourced entity under test: events it has, a command it gets, and what comes of it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use mainspring::frame::archive::write_boxed;
use mainspring::message::{Message, Reply};
use mainspring::testkit::{Probe, Simulation};
use mainspring::{ActorRef, OnFailure, Restart};

use super::SimulatedJournal;
use super::entity_outcome::{Ending, EntityOutcome};
use crate::device::{CoreJournal, Group, GroupRecord};
use crate::entity::{EntityId, shard_of};
use crate::format::RecordKind;
use crate::format::record::Records;
use crate::log::DeclaredEntity;
use crate::schema::{EventBuffer, Events, Layout, Reader, SchemaError, State};
use crate::sourced::{EventSourced, Persistent};

/// Virtual time in which everything that a command leads to has come to rest.
const REST: Duration = Duration::from_millis(200);

/// Events that are stored at once for [`EntityTest::given`].
const GIVEN_AT_ONCE: usize = 64;

/// An entity under test, on a simulated core with a simulated journal.
///
/// Beside what a test expects, these are checked by themselves: each command, each event and each state is written,
/// read and written again, and must be the same; events must be numbered without a hole.
///
/// ```
/// # use mainspring::prelude::*;
/// # use mainspring_journal::schema::ArchivedEvent;
/// # use mainspring_journal::{Effect, EventSourced, event, events, state};
/// # #[message]
/// # pub enum Command { Add { amount: u64, reply_to: ActorRef<Total> } }
/// # #[message]
/// # pub struct Total { pub total: u64 }
/// # #[event(name = "sum.added", version = 1)]
/// # pub struct Added { pub amount: u64 }
/// # #[events]
/// # pub enum SumEvent { Added(Added) }
/// # #[state(name = "sum", version = 1)]
/// # #[derive(Default)]
/// # pub struct Sum { pub total: u64 }
/// # impl EventSourced for Sum {
/// #     type Command = Command;
/// #     type Event = SumEvent;
/// #     fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
/// #         let ArchivedCommand::Add { amount, reply_to } = command;
/// #         Effect::persist(Added { amount: amount.to_native() })
/// #             .then_reply(*reply_to, |sum: &Self| Total { total: sum.total })
/// #     }
/// #     fn on_event(&mut self, event: ArchivedEvent<'_, SumEvent>) {
/// #         let ArchivedSumEvent::Added(added) = event;
/// #         self.total += added.amount.to_native();
/// #     }
/// # }
/// use mainspring_journal::testkit::EntityTest;
///
/// let mut test = EntityTest::new("a", Sum::default);
/// test.given([Added { amount: 2 }]);
/// test.when(|reply_to| Command::Add { amount: 3, reply_to })
///     .expect_persisted(|event| matches!(event, SumEvent::Added(Added { amount: 3 })))
///     .expect_reply(|reply: &Total| reply.total == 5)
///     .expect_state(|sum| sum.total == 5);
/// test.restart_and_compare();
/// ```
pub struct EntityTest<E: EventSourced> {
    id: EntityId,
    make: Rc<dyn Fn() -> E>,
    journal: SimulatedJournal,
    seen: Rc<RefCell<Seen>>,
    running: Option<Running<E>>,
    lives: u64,
}

struct Running<E: EventSourced> {
    sim: Simulation,
    core: Rc<CoreJournal>,
    entity: Option<ActorRef<E::Command>>,
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

impl<E: EventSourced> EntityTest<E>
where
    E::Command: Reply,
{
    /// An entity that has no events yet.
    pub fn new(id: impl Into<EntityId>, make: impl Fn() -> E + 'static) -> Self {
        Self::on(SimulatedJournal::seeded(1), id, make)
    }

    /// An entity on this journal: with other settings, or with entities that are there already.
    pub fn on(
        journal: SimulatedJournal,
        id: impl Into<EntityId>,
        make: impl Fn() -> E + 'static,
    ) -> Self {
        let (id, make) = (id.into(), Rc::new(make));
        EntityTest { id, make, journal, seen: Rc::default(), running: None, lives: 0 }
    }

    /// The entity has had these events as well.
    ///
    /// # Panics
    /// When one cannot be stored, or is not the same when it was read.
    #[track_caller]
    pub fn given<I>(&mut self, events: I) -> &mut Self
    where
        I: IntoIterator<Item: Into<E::Event>>,
    {
        let events: Vec<E::Event> = events.into_iter().map(Into::into).collect();
        for event in &events {
            assert_same_event::<E>(event);
        }
        self.stop();
        let mut entity = self.declared();
        let shard = shard_of(&self.id, self.journal.shard_count);
        let running = self.run();
        for chunk in events.chunks(GIVEN_AT_ONCE) {
            append::<E>(running, &mut entity, shard, chunk);
        }
        self
    }

    /// Sends a command that wants answers of the type `R`, and says what came of it.
    ///
    /// # Panics
    /// When command, events or state are not the same after they were written and read.
    #[track_caller]
    #[must_use = "look at what came of the command"]
    pub fn when<R: Reply>(
        &mut self,
        command: impl FnOnce(ActorRef<R>) -> E::Command,
    ) -> EntityOutcome<E, R> {
        let probe = self.start().sim.probe::<R>();
        let mut outcome = self.send(&command(probe.actor()));
        while probe.waiting() > 0 {
            outcome.replies.push_back(probe.next());
        }
        outcome
    }

    /// Sends a command that wants no answer, and says what came of it.
    ///
    /// # Panics
    /// When command, events or state are not the same after they were written and read.
    #[track_caller]
    #[must_use = "look at what came of the command"]
    pub fn tell(&mut self, command: &E::Command) -> EntityOutcome<E, ()> {
        self.send(command)
    }

    /// The next write of the journal fails: what becomes of its events is not known. The entity takes nothing until the
    /// test is [restarted](EntityTest::restart).
    pub fn fail_next(&mut self) -> &mut Self {
        self.start();
        self.journal.fail_next_write();
        self
    }

    /// The next events are refused as by a journal without room.
    pub fn reject_next(&mut self) -> &mut Self {
        self.start();
        self.journal.reject_next();
        self
    }

    /// The next read of the entity's events fails: it does not recover at its next start, but at the one after.
    pub fn fail_next_read(&mut self) -> &mut Self {
        self.journal.fail_next_read();
        self
    }

    /// Cuts the power, opens the journal again and lets the entity recover.
    #[track_caller]
    pub fn restart(&mut self) -> &mut Self {
        self.running = None;
        self.journal.crash();
        *self.seen.borrow_mut() = Seen::default();
        self.start();
        self
    }

    /// Cuts the power, opens the journal again, lets the entity recover, and compares its state with the one before.
    ///
    /// # Panics
    /// When they differ, or the entity does not recover.
    #[track_caller]
    pub fn restart_and_compare(&mut self) -> &mut Self {
        self.start();
        let (state, sequence) = self.current();
        self.restart();
        let (recovered, recovered_sequence) = self.current();
        assert_eq!(
            recovered_sequence,
            sequence,
            "the number of the last event of `{}` after a restart",
            E::LAYOUT.name
        );
        assert!(
            recovered == state,
            "the state `{}` that was recovered is not the one before the restart: `on_event` depends on something \
             else than state and event, or a snapshot leaves something out",
            E::LAYOUT.name
        );
        self
    }

    /// The state as it is now.
    ///
    /// # Panics
    /// When the entity has not recovered.
    #[track_caller]
    pub fn state(&mut self) -> E {
        self.start();
        let (state, _) = self.current();
        read_state::<E>(&state).expect("what was written can be read back")
    }

    /// The simulation that the entity runs in, until the next restart.
    pub fn simulation(&mut self) -> &mut Simulation {
        &mut self.start().sim
    }

    /// The journal, to fail or to be damaged.
    pub fn journal(&self) -> &SimulatedJournal {
        &self.journal
    }

    #[track_caller]
    fn send<R>(&mut self, command: &E::Command) -> EntityOutcome<E, R> {
        let running = self.start();
        let probe = running.sim.probe::<E::Command>();
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
        let events = if ending == Ending::Unknown { VecDeque::new() } else { self.stored(before) };
        self.assert_nothing_wrong();
        let seen = self.seen.borrow();
        let state = seen.state.as_deref().map(read_state::<E>).and_then(Result::ok);
        let (replies, sequence) = (VecDeque::new(), seen.sequence);
        EntityOutcome { events, replies, state, sequence, ending }
    }

    /// The entity runs and has recovered, or cannot.
    #[track_caller]
    fn start(&mut self) -> &mut Running<E> {
        let (id, make) = (self.id.clone(), Rc::clone(&self.make));
        let running = self.run();
        if running.entity.is_none() {
            let new = move || {
                let make = Rc::clone(&make);
                Persistent::new(id.clone(), move || make())
            };
            let restart = OnFailure::Restart(Restart::at_most(1));
            let entity =
                running.sim.at(0).spawn_with(new, |spawn| spawn.on_failure(restart).start());
            running.entity = Some(entity);
            running.sim.run_for(REST);
            self.assert_nothing_wrong();
        }
        self.run()
    }

    /// The journal is open; the entity may not run.
    #[track_caller]
    fn run(&mut self) -> &mut Running<E> {
        let EntityTest { journal, seen, running, lives, .. } = self;
        running.get_or_insert_with(|| {
            *lives += 1;
            let mut sim = Simulation::seeded(*lives);
            let core = match journal.install(&sim.at(0)) {
                Ok(core) => core,
                Err(error) => panic!("the journal cannot be opened: {error}"),
            };
            let seen = Rc::clone(seen);
            core.hooks().watch(Box::new(move |_, sequence, state| {
                look::<E>(&mut seen.borrow_mut(), sequence, state);
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
            panic!("`{}` has no state: it did not recover", E::LAYOUT.name);
        };
        (state, seen.sequence)
    }

    fn declared(&self) -> DeclaredEntity {
        match DeclaredEntity::new(E::LAYOUT.name, self.id.as_bytes()) {
            Ok(entity) => entity,
            Err(error) => panic!("{error}"),
        }
    }

    fn last_sequence(&mut self) -> u64 {
        let entity = self.declared().hash();
        self.run().core.sequence_of(entity)
    }

    /// The events behind this number, as the disk holds them.
    #[track_caller]
    fn stored(&self, after: u64) -> VecDeque<E::Event> {
        let entity = self.declared().hash();
        let mut layouts: Vec<(u64, u16, Layout)> = Vec::new();
        let mut events = VecDeque::new();
        let mut last = after;
        let read = self.journal.read(0, &mut |frame| {
            let segment_id = frame.header.segment_id;
            for record in Records::new(frame.records, frame.header.record_count).flatten() {
                let header = record.header;
                if header.kind == RecordKind::Schema {
                    let known = layout_of::<E>(record.payload);
                    layouts.extend(known.map(|(number, layout)| (segment_id, number, layout)));
                } else if (header.kind, header.entity) == (RecordKind::Event, entity)
                    && header.entity_sequence > after
                {
                    assert_eq!(header.entity_sequence, last + 1, "numbers of events");
                    last = header.entity_sequence;
                    let mut found = layouts.iter();
                    let found = found.find(|(segment, number, _)| {
                        (*segment, *number) == (segment_id, header.schema)
                    });
                    let event =
                        found.map(|(_, _, layout)| read_event::<E>(*layout, record.payload));
                    match event {
                        Some(Ok(event)) => events.push_back(event),
                        Some(Err(error)) => panic!("event {last} cannot be read: {error}"),
                        None => panic!("event {last} has a layout that its segment does not have"),
                    }
                }
            }
        });
        if let Err(error) = read {
            panic!("the journal cannot be read: {error}");
        }
        events.iter().for_each(assert_same_event::<E>);
        events
    }

    #[track_caller]
    fn assert_nothing_wrong(&self) {
        if let Some(wrong) = &self.seen.borrow().wrong {
            panic!("{wrong}");
        }
    }
}

/// Groups that were refused for good.
fn refusals(core: &CoreJournal) -> u64 {
    let figures = core.figures();
    figures.refused_full + figures.refused_other
}

#[track_caller]
fn append<E: EventSourced>(
    Running { sim, core, .. }: &mut Running<E>,
    entity: &mut DeclaredEntity,
    shard: u32,
    events: &[E::Event],
) {
    let mut buffer = EventBuffer::new();
    let after = core.sequence_of(entity.hash());
    let places = events.iter().map(|event| {
        let layout = E::Event::LAYOUTS.get(event.layout()).copied();
        let layout = layout.and_then(|layout| core.declare(layout).ok());
        (layout, event.write(&mut buffer).expect("an event that fits"))
    });
    let places: Vec<_> = places.collect();
    let records: Vec<_> = places
        .iter()
        .zip(after + 1..)
        .map(|((layout, place), sequence)| GroupRecord {
            kind: RecordKind::Event,
            layout: *layout,
            sequence,
            payload: buffer.get(place.clone()),
        })
        .collect();
    let now_ns = sim.now().as_nanos() as u64;
    if let Err(refused) = core.append(now_ns, Group { entity, shard, after, records: &records }) {
        panic!("the events that are given were refused: {refused}");
    }
    sim.run_for(REST);
}

/// Takes a state down, and what is wrong with it.
fn look<E: EventSourced>(seen: &mut Seen, sequence: u64, state: &dyn Any) {
    let Some(state) = state.downcast_ref::<E>() else { return };
    match archive_of(state) {
        Ok(archive) => {
            seen.sequence = sequence;
            let again = read_state::<E>(&archive).map_err(|error| error.to_string());
            let again = again.and_then(|state| archive_of(&state));
            if again.as_ref() != Ok(&archive) {
                let name = E::LAYOUT.name;
                let why = again.err().unwrap_or_else(|| "it was another one".to_owned());
                seen.wrong.get_or_insert(format!(
                    "the state `{name}` after event {sequence} was written, read and written again: {why}"
                ));
            }
            seen.state = Some(archive);
        }
        Err(error) => {
            seen.wrong.get_or_insert(error);
        }
    }
}

fn archive_of<E: EventSourced>(state: &E) -> Result<Vec<u8>, String> {
    let mut buffer = EventBuffer::new();
    match state.write(&mut buffer) {
        Ok(place) => Ok(buffer.get(place).to_vec()),
        Err(error) => Err(error.to_string()),
    }
}

fn read_state<E: State>(archive: &[u8]) -> Result<E, SchemaError> {
    let Layout { name, version, fingerprint } = E::LAYOUT;
    // Archives are read where they are aligned.
    let mut aligned = crate::log::BlockBuffer::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    E::read(E::reader(name, version, fingerprint)?, &aligned)
}

/// A layout of a dictionary record, if events of this type are read with it.
fn layout_of<E: EventSourced>(payload: &[u8]) -> Option<(u16, Layout)> {
    let entry = crate::format::dictionary::SchemaEntry::decode(payload).ok()?;
    let known = E::Event::READABLE.iter().find(|layout| {
        (layout.name, layout.version, layout.fingerprint)
            == (entry.name.as_str(), entry.version, entry.fingerprint)
    })?;
    Some((entry.number, *known))
}

fn read_event<E: EventSourced>(layout: Layout, payload: &[u8]) -> Result<E::Event, SchemaError> {
    let Layout { name, version, fingerprint } = layout;
    let reader: Reader = E::Event::reader(name, version, fingerprint)?;
    let mut aligned = crate::log::BlockBuffer::with_capacity(payload.len());
    aligned.extend_from_slice(payload);
    let mut read = Err(SchemaError::ForeignReader);
    E::Event::read(reader, &aligned, &mut |event| read = E::Event::own(event))?;
    read
}

#[track_caller]
fn assert_same_event<E: EventSourced>(event: &E::Event) {
    let layout = E::Event::LAYOUTS.get(event.layout()).copied();
    let Some(layout) = layout else { panic!("an event without a layout") };
    let written = |event: &E::Event| {
        let mut buffer = EventBuffer::new();
        match event.write(&mut buffer) {
            Ok(place) => buffer.get(place).to_vec(),
            Err(error) => panic!("{error}"),
        }
    };
    let archive = written(event);
    match read_event::<E>(layout, &archive) {
        Ok(again) => assert!(
            written(&again) == archive,
            "the event `{}` is another one after it was written and read",
            layout.name
        ),
        Err(error) => panic!("the event `{}` cannot be read: {error}", layout.name),
    }
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
