//! Probes: actors whose messages the test looks at.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use rkyv::Archived;

use super::simulation::{open, run_for, run_until};
use super::world::World;
use crate::actor::{Actor, Next};
use crate::address::ActorRef;
use crate::context::Context;
use crate::core::schedule::nanoseconds;
use crate::frame::archive::OwnedArchive;
use crate::message::{Reply, owned};

/// Virtual time that a probe waits for a message unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(3);

type Inbox<M> = Rc<RefCell<VecDeque<OwnedArchive<M>>>>;

/// An actor that keeps what it gets, in order, for the test to look at.
///
/// Its methods run the simulation until the message has come or virtual time is up. They fail the test, which is
/// what they are for.
pub struct Probe<M: Reply> {
    world: Rc<RefCell<World>>,
    actor: ActorRef<M>,
    inbox: Inbox<M>,
}

impl<M: Reply> Probe<M> {
    pub(super) fn new(
        world: Rc<RefCell<World>>,
        spawn: impl FnOnce(Box<dyn FnMut() -> ProbeActor<M>>) -> ActorRef<M>,
    ) -> Self {
        let inbox = Inbox::<M>::default();
        let kept = Rc::clone(&inbox);
        let actor = spawn(Box::new(move || ProbeActor(Rc::clone(&kept))));
        Probe { world, actor, inbox }
    }

    /// The reference to give to the actors under test.
    pub fn actor(&self) -> ActorRef<M> {
        self.actor
    }

    /// The next message is `wanted`; it comes within [`PATIENCE`].
    ///
    /// # Panics
    /// When another message comes, or none.
    #[track_caller]
    pub fn expect(&self, wanted: impl FnOnce(&Archived<M>) -> bool) {
        self.expect_within(PATIENCE, wanted);
    }

    /// The next message is `wanted`; it comes within so much virtual time.
    ///
    /// # Panics
    /// When another message comes, or none.
    #[track_caller]
    pub fn expect_within(&self, time: Duration, wanted: impl FnOnce(&Archived<M>) -> bool) {
        let Some(message) = self.take_within(time) else {
            panic!("no {} came within {time:?}", M::NAME);
        };
        assert!(wanted(message.get()), "another {} came than the expected one", M::NAME);
    }

    /// The next message, as an owned value.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`].
    #[track_caller]
    pub fn next(&self) -> M {
        let Some(message) = self.take_within(PATIENCE) else {
            panic!("no {} came within {PATIENCE:?}", M::NAME);
        };
        owned(message.get()).expect("what was written can be read back")
    }

    /// Skips messages until one is `wanted`, which comes within so much virtual time. How many were skipped.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn fish_for(&self, time: Duration, mut wanted: impl FnMut(&Archived<M>) -> bool) -> usize {
        let end_ns = open(&self.world).now_ns().saturating_add(nanoseconds(time));
        let mut skipped = 0;
        loop {
            let left_ns = end_ns.saturating_sub(open(&self.world).now_ns());
            match self.take_within(Duration::from_nanos(left_ns)) {
                Some(message) if wanted(message.get()) => return skipped,
                Some(_) => skipped += 1,
                None => panic!("no such {} came within {time:?}; {skipped} others did", M::NAME),
            }
        }
    }

    /// Nothing comes while everything that is due happens.
    ///
    /// # Panics
    /// When a message is there.
    #[track_caller]
    pub fn expect_nothing(&self) {
        self.expect_nothing_for(Duration::ZERO);
    }

    /// Nothing comes within so much virtual time.
    ///
    /// # Panics
    /// When a message comes.
    #[track_caller]
    pub fn expect_nothing_for(&self, time: Duration) {
        run_for(&self.world, time);
        let came = self.inbox.borrow().len();
        assert!(came == 0, "{came} of {} came where none was expected", M::NAME);
    }

    /// Messages that have come and were not looked at.
    pub fn waiting(&self) -> usize {
        self.inbox.borrow().len()
    }

    fn take_within(&self, time: Duration) -> Option<OwnedArchive<M>> {
        let end_ns = open(&self.world).now_ns().saturating_add(nanoseconds(time));
        let inbox = &self.inbox;
        run_until(&self.world, end_ns, || !inbox.borrow().is_empty());
        self.inbox.borrow_mut().pop_front()
    }
}

/// The actor behind a probe.
pub(super) struct ProbeActor<M: Reply>(Inbox<M>);

impl<M: Reply> Actor for ProbeActor<M> {
    type Message = M;

    fn receive(&mut self, _: &mut Context<'_, Self>, message: &Archived<M>) -> Next<Self> {
        // Written anew from the owned value: the frame is gone when the test looks.
        let kept = owned::<M>(message).ok().and_then(|value| OwnedArchive::of(&value).ok());
        match kept {
            Some(kept) => {
                self.0.borrow_mut().push_back(kept);
                Next::Same
            }
            None => Next::Fault,
        }
    }
}
