//! The parent of a core's connections: it makes their actors, and hears of their ends.

use std::cell::RefCell;
use std::rc::Rc;

use mainspring::prelude::*;

/// Ends of connections' actors that the device has not seen yet.
pub(super) type Ends = Rc<RefCell<Vec<(Address, StopReason)>>>;

/// Nobody sends it anything.
#[message]
pub(super) struct Nothing;

/// See the module's header.
pub(super) struct Warden {
    pub ends: Ends,
}

impl Actor for Warden {
    type Message = Nothing;

    const TRACKS_CHILDREN: bool = true;

    fn receive(&mut self, _: &mut Context<'_, Self>, _: &Archived<Nothing>) -> Next<Self> {
        Next::Same
    }

    fn signal(&mut self, _: &mut Context<'_, Self>, signal: &Signal) -> Next<Self> {
        if let Signal::ChildStopped { actor, reason } = signal {
            self.ends.borrow_mut().push((*actor, *reason));
        }
        Next::Same
    }
}
