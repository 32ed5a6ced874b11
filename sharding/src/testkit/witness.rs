//! What a storm tells entities to do, and how it learns what became of it.

use std::sync::{Arc, Mutex, PoisonError};

use mainspring::prelude::*;

/// One command of a storm, to be made into a message of the entity's.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its number. Of two commands of one sender for one entity, the later one has the higher number.
    pub number: u64,
    /// The id of the entity that it is for.
    pub entity: u64,
    /// To whom the entity says that it has been done.
    pub reply_to: ActorRef<Acknowledged>,
}

/// An entity has done a command.
#[message(name = "mainspring.sharding.testkit.acknowledged")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its number.
    pub number: u64,
}

/// Sees what entities do, in the order in which they do it: messages from several cores could not tell the order.
///
/// Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    handled: Arc<Mutex<Vec<Handled>>>,
}

/// A command that an entity has done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handled {
    pub number: u64,
    /// The life of the node on which it was done, if the entity said so.
    pub node: Option<u32>,
}

impl Witness {
    /// Nothing has been done.
    pub fn new() -> Self {
        Witness::default()
    }

    /// An entity does a command: called once where it has its effect, before it is acknowledged.
    pub fn handled(&self, number: u64) {
        self.log().push(Handled { number, node: None });
    }

    /// As [`handled`](Self::handled), by this actor: in a cluster it is seen whether its node was the one to do it.
    pub fn handled_by<M: ?Sized>(&self, entity: ActorRef<M>, number: u64) {
        self.log().push(Handled { number, node: Some(entity.node()) });
    }

    /// What was done since the last call, in order.
    pub(super) fn take(&self) -> Vec<Handled> {
        std::mem::take(&mut *self.log())
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Vec<Handled>> {
        self.handled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
