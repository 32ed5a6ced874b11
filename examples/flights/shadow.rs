//! The shadow of an aircraft, an airport or a carrier: an actor that keeps its totals and tells them when asked.

use super::latency::{Latency, Stamp};
use super::party::Role;
use super::record::Flight;
use super::totals::Totals;
use mainspring::message::owned;
use mainspring::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// What a shadow understands.
#[message]
pub enum ShadowMessage {
    /// A flight it takes part in.
    Seen(Seen),
    /// What has it seen so far?
    Report { reply_to: ActorRef<Totals> },
}

/// One flight, told to one of its parties.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub sent: Stamp,
    pub role: Role,
    pub flight: Flight,
}

/// An actor for one party. Cannot fail: a message that does not read back as a flight ends its turn as a fault.
pub struct Shadow {
    totals: Totals,
    latency: Rc<RefCell<Latency>>,
}

impl Shadow {
    /// A shadow that has seen nothing. `latency` is the recorder of its core.
    pub fn new(latency: Rc<RefCell<Latency>>) -> Shadow {
        Shadow { totals: Totals::default(), latency }
    }
}

impl Actor for Shadow {
    type Message = ShadowMessage;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<ShadowMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedShadowMessage::Seen(seen) => {
                let Ok(seen) = owned::<Seen>(seen) else { return Next::Fault };
                self.totals.add(seen.role, &seen.flight);
                self.latency.borrow_mut().record(seen.sent);
            }
            ArchivedShadowMessage::Report { reply_to } => ctx.tell(*reply_to, &self.totals),
        }
        Next::Same
    }
}
