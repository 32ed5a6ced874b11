//! One entity whose state is kept whole under test: values it has, a command it gets, and what comes of it.

use std::collections::VecDeque;
use std::rc::Rc;

use mainspring::message::Reply;
use mainspring::testkit::Simulation;
use mainspring::{ActorRef, OnFailure, Restart};

use super::SimulatedJournal;
use super::bench::{Bench, StoredRecord, aligned, archive_of, same_again};
use super::entity_outcome::{Ending, EntityOutcome};
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
pub struct StoredTest<D: DurableState> {
    bench: Bench<D, D::Command>,
}

/// What a command stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredValue<D> {
    /// A state.
    State(D),
    /// That the state is the one before the first change again.
    Deleted,
}

impl<D: DurableState> StoredTest<D>
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
        StoredTest { bench: Bench::new(journal, id, spawn) }
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

    /// Sends a command that wants answers of the type `R`, and says what came of it.
    ///
    /// # Panics
    /// When command or state are not the same after they were written and read.
    #[track_caller]
    #[must_use = "look at what came of the command"]
    pub fn when<R: Reply>(
        &mut self,
        command: impl FnOnce(ActorRef<R>) -> D::Command,
    ) -> EntityOutcome<StoredValue<D>, D, R> {
        let probe = self.bench.start().sim.probe::<R>();
        let mut outcome = self.send(&command(probe.actor()));
        while probe.waiting() > 0 {
            outcome.replies.push_back(probe.next());
        }
        outcome
    }

    /// Sends a command that wants no answer, and says what came of it.
    ///
    /// # Panics
    /// When command or state are not the same after they were written and read.
    #[track_caller]
    #[must_use = "look at what came of the command"]
    pub fn tell(&mut self, command: &D::Command) -> EntityOutcome<StoredValue<D>, D, ()> {
        self.send(command)
    }

    /// The next write of the journal fails: what becomes of the state is not known. The entity takes nothing until the
    /// test is [restarted](StoredTest::restart).
    pub fn fail_next(&mut self) -> &mut Self {
        self.bench.start();
        self.bench.journal().fail_next_write();
        self
    }

    /// The next state is refused as by a journal without room.
    pub fn reject_next(&mut self) -> &mut Self {
        self.bench.start();
        self.bench.journal().reject_next();
        self
    }

    /// The next read of the entity's state fails: it does not recover at its next start, but at the one after.
    pub fn fail_next_read(&mut self) -> &mut Self {
        self.bench.journal().fail_next_read();
        self
    }

    /// Cuts the power, opens the journal again and lets the entity recover.
    #[track_caller]
    pub fn restart(&mut self) -> &mut Self {
        self.bench.restart();
        self
    }

    /// Cuts the power, opens the journal again, lets the entity recover, and compares its state with the one before.
    ///
    /// # Panics
    /// When they differ, or the entity does not recover.
    #[track_caller]
    pub fn restart_and_compare(&mut self) -> &mut Self {
        self.bench.restart_and_compare("`make` does not give the same state each time");
        self
    }

    /// The state as it is now.
    ///
    /// # Panics
    /// When the entity has not recovered.
    #[track_caller]
    pub fn state(&mut self) -> D {
        self.bench.state()
    }

    /// The simulation that the entity runs in, until the next restart.
    pub fn simulation(&mut self) -> &mut Simulation {
        &mut self.bench.start().sim
    }

    /// The journal, to fail or to be damaged.
    pub fn journal(&self) -> &SimulatedJournal {
        self.bench.journal()
    }

    #[track_caller]
    fn send<R>(&mut self, command: &D::Command) -> EntityOutcome<StoredValue<D>, D, R> {
        let (ending, before) = self.bench.send(command);
        let stored = if ending == Ending::Unknown { VecDeque::new() } else { self.stored(before) };
        let (state, sequence) = self.bench.last_seen();
        EntityOutcome { stored, replies: VecDeque::new(), state, sequence, ending }
    }

    /// What was stored behind this revision, as the disk holds it.
    #[track_caller]
    fn stored(&self, after: u64) -> VecDeque<StoredValue<D>> {
        let mut values = VecDeque::new();
        let mut last = after;
        self.bench.stored(after, &mut |record| {
            let StoredRecord { kind, sequence, layout, payload } = record;
            let value = match (kind, layout) {
                (RecordKind::Deletion, _) => StoredValue::Deleted,
                (RecordKind::State, Some(layout)) => {
                    let reader = D::reader(&layout.name, layout.version, layout.fingerprint);
                    match reader.and_then(|reader| D::read(reader, payload)) {
                        Ok(state) => StoredValue::State(state),
                        Err(error) => panic!("revision {sequence} cannot be read: {error}"),
                    }
                }
                (RecordKind::State, None) => {
                    panic!("revision {sequence} has a layout that its segment does not have")
                }
                _ => return,
            };
            assert_eq!(sequence, last + 1, "revisions");
            last = sequence;
            values.push_back(value);
        });
        values
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
