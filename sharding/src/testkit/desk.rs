//! An actor on each core that sends what a test wants sent from there.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use mainspring::message::Message;
use mainspring::prelude::*;

use crate::node::{EntityRef, EntityTarget, EntityTellError};

/// What waits to be sent, and what became of it.
pub(super) struct Outbox<M> {
    waiting: VecDeque<(EntityRef<M>, M)>,
    refused: Vec<EntityTellError>,
}

/// The test's end of a desk.
pub(super) struct Desk<M> {
    pub actor: ActorRef<SendNext>,
    outbox: Rc<RefCell<Outbox<M>>>,
}

/// Send the message that has waited longest.
#[message(name = "mainspring.sharding.testkit.send_next")]
pub(super) struct SendNext {}

/// The actor of a desk.
pub(super) struct Clerk<M>(Rc<RefCell<Outbox<M>>>);

impl<M: Message> Desk<M> {
    /// `spawn` puts the actor onto its core.
    pub fn new(spawn: impl FnOnce(Box<dyn FnMut() -> Clerk<M>>) -> ActorRef<SendNext>) -> Self {
        let outbox = Outbox { waiting: VecDeque::new(), refused: Vec::new() };
        let outbox = Rc::new(RefCell::new(outbox));
        let shared = Rc::clone(&outbox);
        let actor = spawn(Box::new(move || Clerk(Rc::clone(&shared))));
        Desk { actor, outbox }
    }

    /// Puts a message behind those that wait. It is sent when [`SendNext`] comes.
    pub fn put(&self, to: EntityRef<M>, message: M) {
        self.outbox.borrow_mut().waiting.push_back((to, message));
    }

    /// What was refused since the last call.
    pub fn take_refused(&self) -> Vec<EntityTellError> {
        std::mem::take(&mut self.outbox.borrow_mut().refused)
    }
}

impl<M: Message> Actor for Clerk<M> {
    type Message = SendNext;

    fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<SendNext>) -> Next<Self> {
        let mut outbox = self.0.borrow_mut();
        if let Some((to, message)) = outbox.waiting.pop_front()
            && let Err(error) = to.tell(ctx, &message)
        {
            outbox.refused.push(error);
        }
        Next::Same
    }
}
