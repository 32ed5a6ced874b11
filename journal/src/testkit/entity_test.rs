//! One event-sourced entity under test: events it has, a command it gets, and what comes of it.

use std::rc::Rc;

use mainspring::message::Reply;
use mainspring::testkit::Simulation;
use mainspring::{OnFailure, Restart};

use super::SimulatedJournal;
use super::actor_test::{ActorTest, StoredRecord, TestedActor};
use super::bench::{Bench, aligned};
use crate::device::{CoreJournal, GroupRecord};
use crate::entity::EntityId;
use crate::format::RecordKind;
use crate::schema::{EventBuffer, Events, Layout, Reader, SchemaError};
use crate::sourced::{EventSourced, Persistent};

/// Events that are stored at once for [`EntityTest::given`].
const GIVEN_AT_ONCE: usize = 64;

/// An event-sourced entity under test, on a simulated core with a simulated journal.
///
/// For a [`DurableState`](crate::DurableState) there is [`StoredTest`](super::StoredTest). Beside what a test expects,
/// these are checked by themselves: each command, each event and each state is written, read and written again, and
/// must be the same; events must be numbered without a hole.
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
pub type EntityTest<E> = ActorTest<Persistent<E>>;

impl<E: EventSourced> ActorTest<Persistent<E>>
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
        let named = id.clone();
        let spawn = move |sim: &mut Simulation| {
            let (id, make) = (named.clone(), Rc::clone(&make));
            let new = move || {
                let make = Rc::clone(&make);
                Persistent::new(id.clone(), move || make())
            };
            let restart = OnFailure::Restart(Restart::at_most(1));
            sim.at(0).spawn_with(new, |spawn| spawn.on_failure(restart).start())
        };
        ActorTest { bench: Bench::new(journal, id, spawn) }
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
        self.bench.store(|core, after, store| {
            for (chunk, after) in events.chunks(GIVEN_AT_ONCE).zip((after..).step_by(GIVEN_AT_ONCE))
            {
                let mut buffer = EventBuffer::new();
                let write = |event: &E::Event| event.write(&mut buffer);
                let places = chunk.iter().map(write).collect::<Result<Vec<_>, _>>();
                let places = places.expect("events that fit");
                let events = chunk.iter().zip(places).zip(after + 1..);
                let records: Vec<_> = events
                    .map(|((event, place), sequence)| GroupRecord {
                        kind: RecordKind::Event,
                        layout: declared::<E>(core, event),
                        sequence,
                        payload: buffer.get(place),
                    })
                    .collect();
                store(&records, after);
            }
        });
        self
    }
}

impl<E: EventSourced> TestedActor for Persistent<E>
where
    E::Command: Reply,
{
    type State = E;
    type Stored = E::Event;
    const WHY_STATES_DIFFER: &'static str = "`on_event` depends on something else than state and event, or a snapshot \
         leaves something out";

    fn stored(record: &StoredRecord<'_>) -> Option<E::Event> {
        let StoredRecord { kind, sequence, layout, payload } = *record;
        if kind != RecordKind::Event {
            return None;
        }
        let Some(layout) = layout else {
            panic!("event {sequence} has a layout that its segment does not have");
        };
        let reader = E::Event::reader(&layout.name, layout.version, layout.fingerprint);
        match reader.and_then(|reader| read_event::<E>(reader, payload)) {
            Ok(event) => {
                assert_same_event::<E>(&event);
                Some(event)
            }
            Err(error) => panic!("event {sequence} cannot be read: {error}"),
        }
    }
}

/// The journal's number of an event's layout.
fn declared<E: EventSourced>(core: &CoreJournal, event: &E::Event) -> Option<usize> {
    let layout = E::Event::LAYOUTS.get(event.layout()).copied();
    layout.and_then(|layout| core.declare(layout).ok())
}

fn read_event<E: EventSourced>(reader: Reader, payload: &[u8]) -> Result<E::Event, SchemaError> {
    let mut read = Err(SchemaError::ForeignReader);
    E::Event::read(reader, payload, &mut |event| read = E::Event::own(event))?;
    read
}

#[track_caller]
fn assert_same_event<E: EventSourced>(event: &E::Event) {
    let layout = E::Event::LAYOUTS.get(event.layout()).copied();
    let Some(Layout { name, version, fingerprint }) = layout else {
        panic!("an event without a layout")
    };
    let written = |event: &E::Event| {
        let mut buffer = EventBuffer::new();
        match event.write(&mut buffer) {
            Ok(place) => aligned(buffer.get(place)),
            Err(error) => panic!("{error}"),
        }
    };
    let archive = written(event);
    let reader = E::Event::reader(name, version, fingerprint);
    match reader.and_then(|reader| read_event::<E>(reader, &archive)) {
        Ok(again) => assert!(
            written(&again)[..] == archive[..],
            "the event `{name}` is another one after it was written and read"
        ),
        Err(error) => panic!("the event `{name}` cannot be read: {error}"),
    }
}
