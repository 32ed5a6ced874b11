//! Who is told what happens in the cluster, and who holds up its exit.

use mainspring::prelude::*;

use super::event::ClusterEvent;

/// Actors of a node that subscribe to its cluster.
pub const SUBSCRIBERS_LIMIT: usize = 1_024;

#[derive(Clone, Copy, Debug)]
struct Subscriber {
    actor: ActorRef<ClusterEvent>,
    holds_exit: bool,
}

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    all: Vec<Subscriber>,
}

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscribed {
    New,
    Already,
    Refused,
}

impl Subscribers {
    /// One more, or one that changes its mind about the exit.
    pub fn add(&mut self, actor: ActorRef<ClusterEvent>, holds_exit: bool) -> Subscribed {
        if let Some(known) = self.all.iter_mut().find(|known| known.actor == actor) {
            known.holds_exit = holds_exit;
            return Subscribed::Already;
        }
        if self.all.len() >= SUBSCRIBERS_LIMIT {
            return Subscribed::Refused;
        }
        self.all.push(Subscriber { actor, holds_exit });
        Subscribed::New
    }

    pub fn remove(&mut self, actor: ActorRef<ClusterEvent>) {
        self.all.retain(|known| known.actor != actor);
    }

    /// An actor is gone, with all its ports.
    pub fn gone(&mut self, actor: Address) {
        let is_its = |known: &Subscriber| {
            let own = known.actor.address();
            own.node() == actor.node()
                && own.core() == actor.core()
                && own.words().1 == actor.words().1
        };
        self.all.retain(|known| !is_its(known));
    }

    /// It has handed over what it had.
    pub fn ready(&mut self, actor: ActorRef<ClusterEvent>) {
        if let Some(known) = self.all.iter_mut().find(|known| known.actor == actor) {
            known.holds_exit = false;
        }
    }

    pub fn hold_exit(&self) -> bool {
        self.all.iter().any(|known| known.holds_exit)
    }

    pub fn actors(&self) -> impl Iterator<Item = ActorRef<ClusterEvent>> {
        self.all.iter().map(|known| known.actor)
    }
}
