//! The directory of a core: makes the shadows of that core when they are first heard of, and knows them all.
//!
//! Each party belongs to one core, by a hash of its code. Whoever does not know a shadow yet tells its directory; the
//! directory passes the flight on and answers with the shadow's address, so that the next flight goes there directly.
//! Invariant: one shadow a party, however many ask at the same time.

use super::ingest::IngestMessage;
use super::latency::{Latency, Recorded};
use super::party::Party;
use super::shadow::{Seen, Shadow, ShadowMessage};
use mainspring::message::owned;
use mainspring::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a directory understands.
#[message]
pub enum DirectoryMessage {
    /// A flight for a party whose shadow the sender does not know.
    Forward { party: Party, seen: Seen, from: ActorRef<IngestMessage> },
    /// Which shadows are here?
    List { reply_to: ActorRef<Roster> },
    /// How many messages were handled here?
    Handled { reply_to: ActorRef<Handled> },
    /// What were their latencies?
    Latencies { reply_to: ActorRef<Recorded> },
}

/// The shadows of one core, in order.
#[message]
pub struct Roster {
    pub shadows: Vec<(Party, ActorRef<ShadowMessage>)>,
}

/// How many messages the shadows of one core have handled.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handled {
    pub messages: u64,
}

/// The actor that makes and lists the shadows of its core.
pub struct Directory {
    shadows: BTreeMap<Party, ActorRef<ShadowMessage>>,
    latency: Rc<RefCell<Latency>>,
}

impl Directory {
    /// A directory without shadows.
    pub fn new() -> Directory {
        Directory { shadows: BTreeMap::new(), latency: Rc::new(RefCell::new(Latency::new())) }
    }

    /// The shadow of a party, made now if there is none; `None` at the core's limit of actors.
    fn shadow(
        &mut self,
        ctx: &mut Context<'_, Self>,
        party: Party,
    ) -> Option<ActorRef<ShadowMessage>> {
        if let Some(shadow) = self.shadows.get(&party) {
            return Some(*shadow);
        }
        let shadow = ctx.spawn_value(Shadow::new(self.latency.clone())).ok()?;
        self.shadows.insert(party, shadow);
        Some(shadow)
    }
}

impl Actor for Directory {
    type Message = DirectoryMessage;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<DirectoryMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedDirectoryMessage::Forward { party, seen, from } => {
                let (Ok(party), Ok(seen)) = (owned::<Party>(party), owned::<Seen>(seen)) else {
                    return Next::Fault;
                };
                // Without a shadow the flight is lost, and the comparison at the end names the party.
                if let Some(shadow) = self.shadow(ctx, party) {
                    ctx.tell(shadow, &ShadowMessage::Seen(seen));
                    ctx.tell(*from, &IngestMessage::Known { party, shadow });
                }
            }
            ArchivedDirectoryMessage::List { reply_to } => {
                let shadows = self.shadows.iter().map(|(party, shadow)| (*party, *shadow));
                ctx.tell(*reply_to, &Roster { shadows: shadows.collect() });
            }
            ArchivedDirectoryMessage::Handled { reply_to } => {
                ctx.tell(*reply_to, &Handled { messages: self.latency.borrow().messages() });
            }
            ArchivedDirectoryMessage::Latencies { reply_to } => {
                ctx.tell(*reply_to, &self.latency.borrow().recorded());
            }
        }
        Next::Same
    }
}
