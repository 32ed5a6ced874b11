//! One entity under test, whatever its state is made of: a command it gets, what comes of it, and what fails meanwhile.

use std::collections::VecDeque;

use mainspring::message::Reply;
use mainspring::testkit::Simulation;
use mainspring::{Actor, ActorRef};

use super::SimulatedJournal;
use super::bench::Bench;
use super::entity_outcome::{Ending, EntityOutcome};
use crate::format::RecordKind;
use crate::format::dictionary::SchemaEntry;
use crate::schema::State;

/// An entity under test, on a simulated core with a simulated journal: an [`EntityTest`](super::EntityTest) or a
/// [`StoredTest`](super::StoredTest).
pub struct ActorTest<A: TestedActor> {
    pub(super) bench: Bench<A::State, A::Message>,
}

/// An actor on a journal that can be tested so: [`Persistent`](crate::Persistent) and [`Stored`](crate::Stored).
pub trait TestedActor: Actor<Message: Reply> {
    /// Its state.
    type State: State + 'static;
    /// What a command stores.
    type Stored;
    /// What is wrong when its state is another one after a restart.
    const WHY_STATES_DIFFER: &'static str;

    /// What a record of the entity stores; none if it is of another kind.
    ///
    /// # Panics
    /// When it cannot be read: the test fails.
    fn stored(record: &StoredRecord<'_>) -> Option<Self::Stored>;
}

/// A record of the entity, as the disk holds it.
#[derive(Clone, Copy, Debug)]
pub struct StoredRecord<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// Its place in the entity's sequence.
    pub sequence: u64,
    /// The layout of its payload, if it has one.
    pub layout: Option<&'a SchemaEntry>,
    /// Its payload, which starts where archives may be read.
    pub payload: &'a [u8],
}

impl<A: TestedActor> ActorTest<A> {
    /// Sends a command that wants answers of the type `R`, and says what came of it.
    ///
    /// # Panics
    /// When command, what it stored or the state are not the same after they were written and read.
    #[track_caller]
    #[must_use = "look at what came of the command"]
    pub fn when<R: Reply>(
        &mut self,
        command: impl FnOnce(ActorRef<R>) -> A::Message,
    ) -> EntityOutcome<A::Stored, A::State, R> {
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
    /// When command, what it stored or the state are not the same after they were written and read.
    #[track_caller]
    #[must_use = "look at what came of the command"]
    pub fn tell(&mut self, command: &A::Message) -> EntityOutcome<A::Stored, A::State, ()> {
        self.send(command)
    }

    /// The next write of the journal fails: what becomes of what it holds is not known. The entity takes nothing until
    /// the test is [restarted](ActorTest::restart).
    pub fn fail_next(&mut self) -> &mut Self {
        self.bench.start();
        self.bench.journal().fail_next_write();
        self
    }

    /// What is stored next is refused as by a journal without room.
    pub fn reject_next(&mut self) -> &mut Self {
        self.bench.start();
        self.bench.journal().reject_next();
        self
    }

    /// The next read of the entity's records fails: it does not recover at its next start, but at the one after.
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
        self.bench.restart_and_compare(A::WHY_STATES_DIFFER);
        self
    }

    /// The state as it is now.
    ///
    /// # Panics
    /// When the entity has not recovered.
    #[track_caller]
    pub fn state(&mut self) -> A::State {
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
    fn send<R>(&mut self, command: &A::Message) -> EntityOutcome<A::Stored, A::State, R> {
        let (ending, before) = self.bench.send(command);
        let stored = if ending == Ending::Unknown { VecDeque::new() } else { self.stored(before) };
        let (state, sequence) = self.bench.last_seen();
        EntityOutcome { stored, replies: VecDeque::new(), state, sequence, ending }
    }

    /// What was stored behind this number, as the disk holds it.
    #[track_caller]
    fn stored(&self, after: u64) -> VecDeque<A::Stored> {
        let mut all = VecDeque::new();
        let mut last = after;
        self.bench.stored(after, &mut |record| {
            let Some(stored) = A::stored(&record) else { return };
            assert_eq!(record.sequence, last + 1, "numbers in the journal");
            last = record.sequence;
            all.push_back(stored);
        });
        all
    }
}
