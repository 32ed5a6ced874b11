//! The way in for threads that are no core: any thread of the process, those of other runtimes too.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::Ask;
use super::error::ClientError;
use super::inbox::Inbox;
use super::mailbox::{ASKS_LIMIT, Mailbox};
use super::running::Shared;
use crate::address::{ActorRef, Address, CLIENT_CORE_BASE, PORT_REPLY};
use crate::core::names::{FindName, NameFound, names_of};
use crate::core::send::{SPACIOUS_ROOM_BYTES, TellError, push_bytes};
use crate::core::{KIND_OUTWARD, KIND_OUTWARD_BULK};
use crate::frame::{FLAG_FOREIGN, FOREIGN_PREFIX_BYTES, ForeignPrefix, Header, archive};
use crate::message::{Message, Reply};
use crate::ring::Producer;

/// A thread's lanes to the cores of a node, and back. It may move to another thread; two threads use two clients.
///
/// Dropping it ends the sending. Its inboxes and the questions that are under way stay what they are; its place among
/// the node's clients is free when they are gone, too.
pub struct Client {
    place: Arc<Place>,
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    lanes: RefCell<Vec<Producer>>,
}

/// One of the places that a node has for clients, and the way back from its cores.
pub(super) struct Place {
    shared: Arc<Shared>,
    /// `None` if the node had no room for one more.
    number: Option<u16>,
}

impl Client {
    pub(super) fn new(
        shared: Arc<Shared>,
        mailbox: Arc<Mailbox>,
        lanes: Vec<Producer>,
        number: Option<u16>,
    ) -> Self {
        let place = Arc::new(Place { shared: Arc::clone(&shared), number });
        Client { place, shared, mailbox, lanes: RefCell::new(lanes) }
    }

    /// Sends a message. Whether a route leads to an actor of another node, a core finds out: if none does, the message
    /// is a dead letter.
    ///
    /// # Errors
    /// [`TellError`]; nothing was sent.
    pub fn tell<M: Message>(&self, to: ActorRef<M>, message: &M) -> Result<(), TellError> {
        self.write(to, message)?;
        self.publish(self.core_for(to.address()));
        Ok(())
    }

    /// Sends several messages to one actor, published together. How many were sent: all, or as many as the lane
    /// had room for.
    pub fn tell_all<'m, M: Message>(
        &self,
        to: ActorRef<M>,
        messages: impl IntoIterator<Item = &'m M>,
    ) -> usize {
        let sent = messages.into_iter().take_while(|message| self.write(to, message).is_ok());
        let sent = sent.count();
        if sent > 0 {
            self.publish(self.core_for(to.address()));
        }
        sent
    }

    fn write<M: Message>(&self, to: ActorRef<M>, message: &M) -> Result<(), TellError> {
        if self.place.number.is_none() || !self.shared.is_accepting() {
            return Err(TellError::Gone);
        }
        let mut lanes = self.lanes.borrow_mut();
        if to.node() != self.shared.incarnation {
            let core = self.core_for(to.address());
            let lane = lanes.get_mut(core as usize).ok_or(TellError::Gone)?;
            return write_outward(lane, to, message, self.shared.limits.message_bytes);
        }
        let lane = lanes.get_mut(to.core() as usize).ok_or(TellError::Gone)?;
        let (place, me) = to.words();
        let upper = place >> 48 << 32;
        let room_bytes = const { archive::room_bytes::<M>() };
        if let Ok(mut claim) = lane.claim(room_bytes) {
            if let Ok(length) = archive::write(message, claim.payload()) {
                let header = Header { word0: upper | length as u64, word1: me };
                return claim.commit(header).map_err(|_| TellError::Full);
            }
        } else if room_bytes <= lane.largest_payload_bytes() {
            return Err(TellError::Full);
        }
        let spacious_bytes = SPACIOUS_ROOM_BYTES.min(lane.largest_payload_bytes());
        if let Ok(mut claim) = lane.claim(spacious_bytes)
            && let Ok(length) = archive::write(message, claim.payload())
        {
            let header = Header { word0: upper | length as u64, word1: me };
            return claim.commit(header).map_err(|_| TellError::Full);
        }
        write_large(lane, upper, me, message, self.shared.limits.message_bytes)
    }

    /// The core that takes messages for an address: its own, or one that passes them on to its node.
    fn core_for(&self, to: Address) -> u16 {
        if to.node() == self.shared.incarnation {
            return to.core();
        }
        to.core() % (self.shared.injectors.len() as u16).max(1)
    }

    fn publish(&self, core: u16) {
        if let Some(lane) = self.lanes.borrow_mut().get_mut(core as usize)
            && lane.publish()
        {
            self.shared.wake(core);
        }
    }

    /// Asks a question: `request` gets the address for the answer. The result is a future; [`Ask::wait`] blocks
    /// instead. The message is sent at once, whether the future is awaited or not.
    pub fn ask<M: Message, R: Reply>(
        &self,
        to: ActorRef<M>,
        request: impl FnOnce(ActorRef<R>) -> M,
        deadline: Duration,
    ) -> Ask<R> {
        let Some((slot, generation)) = self.mailbox.open_ask() else {
            return Ask::refused(ClientError::TooMany { limit: ASKS_LIMIT });
        };
        let reply_to = self.address::<R>(PORT_REPLY, slot, generation);
        if let Err(error) = self.tell(to, &request(reply_to)) {
            self.mailbox.close_ask(slot);
            return Ask::refused(error.into());
        }
        Ask::waiting(
            Arc::clone(&self.place),
            Arc::clone(&self.mailbox),
            Arc::clone(&self.shared.deadlines),
            slot,
            Instant::now() + deadline,
            reply_to,
        )
    }

    /// Asks a node, this one or another by its incarnation, who has a name there.
    pub fn lookup_on(
        &self,
        node: u32,
        name: impl Into<String>,
        deadline: Duration,
    ) -> Ask<NameFound> {
        let name = name.into();
        self.ask(names_of(node), |reply_to| FindName { name, reply_to }, deadline)
    }

    /// A new address of this client: what actors tell it can be read from the inbox, on any thread.
    ///
    /// # Errors
    /// [`ClientError::TooMany`] at the limit of inboxes.
    pub fn inbox<M: Reply>(&self) -> Result<Inbox<M>, ClientError> {
        let Some((number, generation)) = self.mailbox.open_inbox() else {
            return Err(ClientError::TooMany { limit: super::mailbox::INBOXES_LIMIT });
        };
        let actor = self.address(0, number, generation);
        Ok(Inbox::new(Arc::clone(&self.place), Arc::clone(&self.mailbox), number, actor))
    }

    /// Frames that came for nobody: answers after their deadline, messages for inboxes that were dropped.
    pub fn strays(&self) -> u64 {
        self.mailbox.strays()
    }

    fn address<M>(&self, port: u16, slot: u32, generation: u32) -> ActorRef<M> {
        let core = CLIENT_CORE_BASE + self.place.number.unwrap_or(u16::MAX - CLIENT_CORE_BASE);
        let to = u64::from(self.shared.incarnation) | u64::from(core) << 32 | u64::from(port) << 48;
        ActorRef::from_words(to, u64::from(slot) | u64::from(generation) << 32)
    }
}

/// A message for an actor of another node, for a core to pass on.
fn write_outward<M: Message>(
    lane: &mut Producer,
    to: ActorRef<M>,
    message: &M,
    limit_bytes: usize,
) -> Result<(), TellError> {
    let (place, me) = to.words();
    let (fingerprint, core, sender) = (M::FINGERPRINT, to.core(), CLIENT_CORE_BASE);
    let prefix = ForeignPrefix { fingerprint, core, sender, word: to.node() };
    let header = |archive_bytes: usize| {
        let payload_bytes = (FOREIGN_PREFIX_BYTES + archive_bytes) as u32;
        let port = (place >> 48) as u16;
        let kind = if M::BULK { KIND_OUTWARD_BULK } else { KIND_OUTWARD };
        Header::new(payload_bytes, port, kind, FLAG_FOREIGN, me as u32, (me >> 32) as u32)
    };
    let room_bytes = FOREIGN_PREFIX_BYTES + SPACIOUS_ROOM_BYTES;
    if let Ok(mut claim) = lane.claim(room_bytes.min(lane.largest_payload_bytes())) {
        let (front, room) = claim.payload().split_at_mut(FOREIGN_PREFIX_BYTES);
        front.copy_from_slice(&prefix.to_bytes());
        if let Ok(length) = archive::write(message, room) {
            return claim.commit(header(length)).map_err(|_| TellError::Full);
        }
    }
    let archive = archive::write_boxed(message, limit_bytes)
        .map_err(|large| TellError::Oversized { limit_bytes: large.limit_bytes })?;
    let archive = archive.as_slice();
    let whole = [&prefix.to_bytes()[..], archive].concat();
    push_bytes(lane, header(archive.len()), &whole, limit_bytes)
}

/// A message that did not fit an ordinary frame.
fn write_large<M: Message>(
    lane: &mut Producer,
    upper: u64,
    me: u64,
    message: &M,
    limit_bytes: usize,
) -> Result<(), TellError> {
    let bytes = archive::write_boxed(message, limit_bytes)
        .map_err(|large| TellError::Oversized { limit_bytes: large.limit_bytes })?;
    let bytes = bytes.as_slice();
    let header = Header { word0: upper | bytes.len() as u64, word1: me };
    push_bytes(lane, header, bytes, limit_bytes)
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.shared.detach_client(number);
        }
    }
}
