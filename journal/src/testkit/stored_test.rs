//! One entity whose state is kept whole under test: values it has, a command it gets, and what comes of it.

use std::rc::Rc;

use mainspring::message::Reply;
use mainspring::testkit::Simulation;
use mainspring::{OnFailure, Restart};

use super::SimulatedJournal;
use super::actor_test::{ActorTest, StoredRecord, TestedActor};
use super::bench::{Bench, aligned, archive_of, same_again};
use crate::device::GroupRecord;
use crate::durable::{DurableState, Stored};
use crate::entity::EntityId;
use crate::format::RecordKind;
use crate::log::BlockBuffer;

/// An entity with a [`DurableState`] under test, on a simulated core with a simulated journal.
///
/// Beside what a test expects, these are checked by themselves: each command and each state is written, read and
/// written again, and must be the same; revisions must be numbered without a hole.
///
/// ```
/// # use mainspring::prelude::*;
/// # use mainspring_journal::{Change, DurableState, state};
/// # #[message]
/// # pub enum Command { Rename { name: String, reply_to: ActorRef<Name> }, Forget }
/// # #[message]
/// # pub struct Name { pub name: String }
/// # #[state(name = "profile", version = 1)]
/// # #[derive(Default)]
/// # pub struct Profile { pub name: String }
/// # impl DurableState for Profile {
/// #     type Command = Command;
/// #     fn on_command(&self, command: &Archived<Command>) -> Change<Self> {
/// #         match command {
/// #             ArchivedCommand::Rename { name, reply_to } => {
/// #                 Change::store(Profile { name: name.to_string() })
/// #                     .then_reply(*reply_to, |profile: &Self| Name { name: profile.name.clone() })
/// #             }
/// #             ArchivedCommand::Forget => Change::delete(),
/// #         }
/// #     }
/// # }
/// use mainspring_journal::testkit::{StoredTest, StoredValue};
///
/// let mut test = StoredTest::new("ada", Profile::default);
/// test.given([Profile { name: "Augusta".into() }]);
/// test.when(|reply_to| Command::Rename { name: "Ada".into(), reply_to })
///     .expect_persisted(|value| matches!(value, StoredValue::State(profile) if profile.name == "Ada"))
///     .expect_reply(|reply: &Name| reply.name == "Ada");
/// test.restart_and_compare();
/// test.tell(&Command::Forget)
///     .expect_persisted(|value| matches!(value, StoredValue::Deleted))
///     .expect_state(|profile| profile.name.is_empty());
/// ```
pub type StoredTest<D> = ActorTest<Stored<D>>;

/// What a command stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredValue<D> {
    /// A state.
    State(D),
    /// That the state is the one before the first change again.
    Deleted,
}

impl<D: DurableState> ActorTest<Stored<D>>
where
    D::Command: Reply,
{
    /// An entity that was never changed.
    pub fn new(id: impl Into<EntityId>, make: impl Fn() -> D + 'static) -> Self {
        Self::on(SimulatedJournal::seeded(1), id, make)
    }

    /// An entity on this journal: with other settings, or with entities that are there already.
    pub fn on(
        journal: SimulatedJournal,
        id: impl Into<EntityId>,
        make: impl Fn() -> D + 'static,
    ) -> Self {
        let (id, make) = (id.into(), Rc::new(make));
        let named = id.clone();
        let spawn = move |sim: &mut Simulation| {
            let (id, make) = (named.clone(), Rc::clone(&make));
            let new = move || {
                let make = Rc::clone(&make);
                Stored::new(id.clone(), move || make())
            };
            let restart = OnFailure::Restart(Restart::at_most(1));
            sim.at(0).spawn_with(new, |spawn| spawn.on_failure(restart).start())
        };
        ActorTest { bench: Bench::new(journal, id, spawn) }
    }

    /// The entity has had these states as well, one after the other.
    ///
    /// # Panics
    /// When one cannot be stored, or is not the same when it was read.
    #[track_caller]
    pub fn given(&mut self, states: impl IntoIterator<Item = D>) -> &mut Self {
        let archives: Vec<BlockBuffer> = states.into_iter().map(|state| checked(&state)).collect();
        self.bench.store(|core, after, store| {
            let layout = core.declare(D::LAYOUT).ok();
            for (payload, after) in archives.iter().zip(after..) {
                let (kind, sequence) = (RecordKind::State, after + 1);
                store(&[GroupRecord { kind, layout, sequence, payload }], after);
            }
        });
        self
    }
}

impl<D: DurableState> TestedActor for Stored<D>
where
    D::Command: Reply,
{
    type State = D;
    type Stored = StoredValue<D>;
    const WHY_STATES_DIFFER: &'static str = "`make` does not give the same state each time";

    fn stored(record: &StoredRecord<'_>) -> Option<StoredValue<D>> {
        let StoredRecord { kind, sequence, layout, payload } = *record;
        match (kind, layout) {
            (RecordKind::Deletion, _) => Some(StoredValue::Deleted),
            (RecordKind::State, Some(layout)) => {
                let reader = D::reader(&layout.name, layout.version, layout.fingerprint);
                match reader.and_then(|reader| D::read(reader, payload)) {
                    Ok(state) => Some(StoredValue::State(state)),
                    Err(error) => panic!("revision {sequence} cannot be read: {error}"),
                }
            }
            (RecordKind::State, None) => {
                panic!("revision {sequence} has a layout that its segment does not have")
            }
            _ => None,
        }
    }
}

/// The archive of a state that is the same when it was read.
#[track_caller]
fn checked<D: DurableState>(state: &D) -> BlockBuffer {
    let archive = archive_of(state).and_then(|archive| same_again::<D>(&archive).map(|()| archive));
    match archive {
        Ok(archive) => aligned(&archive),
        Err(why) => panic!("the state `{}` cannot be given: {why}", D::LAYOUT.name),
    }
}
