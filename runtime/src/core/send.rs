//! Sending: from a reference and a message to a frame in the right queue.
//!
//! The common case, an actor of the same core, serialises straight into the local queue. Everything else takes a cold
//! way that gets a copy of the message's bytes, because a message whose address escapes would be built on the stack
//! first, which costs more than the whole send.

use super::dead_letters::Reason;
use super::dispatch::shielded;
use super::large::FLAG_LARGE;
use super::local_queue::{LARGEST_PAYLOAD_BYTES, PushError};
use super::stash::StoredFrame;
use super::{Core, KIND_STOP, KIND_USER, PLACE_MASK};
use crate::address::{ActorRef, Address, CLIENT_CORE_BASE, LocalRef, PORT_REPLY};
use crate::frame::{FLAG_LOCAL, FOREIGN_PREFIX_BYTES, ForeignPrefix, Header, archive};
use crate::message::{EnclosedView, LocalMessage, Message};
use crate::ring::{BoxedPayload, Producer};

/// The room that a message with data out of line gets in a ring at first.
pub(crate) const SPACIOUS_ROOM_BYTES: usize = 1024;

/// Why a message was not sent. Nothing changed, and the message is still the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TellError {
    /// The queue or ring to the receiver is full. Send again later, or less.
    #[error("the queue to the receiver is full; send again later")]
    Full,
    /// The message is larger than any queue takes.
    #[error(
        "the message is larger than {limit_bytes} bytes, the limit of a message; send it in parts"
    )]
    Oversized {
        /// The largest message, in bytes.
        limit_bytes: usize,
    },
    /// The receiver lives on another node, and no route leads there.
    #[error("no route leads to the receiver's node")]
    NoRoute,
    /// The receiver's core or client does not exist any more.
    #[error("the receiver's core or client does not exist any more")]
    Gone,
    /// A local payload of the message was sent before or could not be kept.
    #[error("a local payload of the message was sent before, or too many are under way")]
    LocalPayload,
}

impl TellError {
    pub(crate) fn reason(self) -> Reason {
        match self {
            TellError::Full | TellError::LocalPayload => Reason::Full,
            TellError::Oversized { .. } => Reason::Oversized,
            TellError::NoRoute => Reason::NoRoute,
            TellError::Gone => Reason::ClientGone,
        }
    }
}

impl Core {
    /// Sends a message as part of the running turn.
    #[inline(always)]
    pub(crate) fn send<M: Message>(
        &mut self,
        to: ActorRef<M>,
        message: &M,
    ) -> Result<(), TellError> {
        let (place, me) = to.words();
        if place & PLACE_MASK == self.place {
            let room_bytes = const { archive::room_bytes::<M>() };
            let pushed = self
                .queue
                .push_with(place >> 48 << 32, me, room_bytes, |room| archive::write(message, room));
            match pushed {
                Ok(()) => Ok(()),
                Err(error) => shielded(message, |copy| self.send_large(place, me, copy, error)),
            }
        } else {
            shielded(message, |copy| self.send_elsewhere(place, me, copy))
        }
    }

    /// A message that did not fit the room of an ordinary frame, or found the queue full.
    #[cold]
    #[inline(never)]
    fn send_large<M: Message>(
        &mut self,
        place: u64,
        me: u64,
        message: &M,
        error: PushError,
    ) -> Result<(), TellError> {
        if error == PushError::Full {
            return Err(TellError::Full);
        }
        let limit_bytes = self.limits.message_bytes;
        let bytes = archive::write_boxed(message, limit_bytes)
            .map_err(|too_large| TellError::Oversized { limit_bytes: too_large.limit_bytes })?;
        let upper = place >> 48 << 32;
        let length = bytes.as_slice().len();
        if length <= LARGEST_PAYLOAD_BYTES {
            return self
                .queue
                .push_with(upper, me, length, |room| copy_into(room, bytes.as_slice()))
                .map_err(|_| TellError::Full);
        }
        let header = Header { word0: upper | length as u64, word1: me };
        self.push_large(StoredFrame::from_buffer(header, bytes))
    }

    /// Queues a frame that is kept outside the queue.
    fn push_large(&mut self, frame: StoredFrame) -> Result<(), TellError> {
        let header = frame.header;
        let number = self.large.insert(frame).map_err(|_| TellError::Full)?;
        self.dirty = true;
        let upper = (header.port() as u64) << 32 | (FLAG_LARGE as u64) << 56;
        let bytes = number.to_le_bytes();
        let pushed =
            self.queue.push_with(upper, header.word1, bytes.len(), |room| copy_into(room, &bytes));
        if pushed.is_err() {
            self.large.take_back(number);
        }
        pushed.map_err(|_| TellError::Full)
    }

    /// A message for another core, a client, or another node.
    #[inline(never)]
    fn send_elsewhere<M: Message>(
        &mut self,
        place: u64,
        me: u64,
        message: &M,
    ) -> Result<(), TellError> {
        let sent = if place as u32 == self.node() {
            self.write_elsewhere(place, me, message)
        } else {
            self.send_to_node(Address::from_words(place, me), message)
        };
        if self.observed && sent.is_ok() {
            self.observe_sent_elsewhere(Address::from_words(place, me));
        }
        sent
    }

    #[inline(always)]
    fn write_elsewhere<M: Message>(
        &mut self,
        place: u64,
        me: u64,
        message: &M,
    ) -> Result<(), TellError> {
        let (index, port) = self.way_to(place)?;
        let limit_bytes = self.limits.message_bytes;
        let Some(outbound) = &mut self.outbounds[index] else { return Err(TellError::Gone) };
        if outbound.jammed {
            return Err(TellError::Full);
        }
        let lane = if port == PORT_REPLY { outbound.reply_lane() } else { &mut outbound.user };
        let upper = (port as u64) << 32;
        let room_bytes = const { archive::room_bytes::<M>() };
        let ordinary = room_bytes <= lane.largest_payload_bytes();
        let written = match lane.claim(room_bytes) {
            Err(_) if ordinary => return Err(TellError::Full),
            Err(_) => false,
            Ok(mut claim) => match archive::write(message, claim.payload()) {
                Ok(length) => {
                    let header = Header { word0: upper | length as u64, word1: me };
                    claim.commit(header).is_ok()
                }
                Err(_) => false,
            },
        };
        if written {
            return Ok(());
        }
        // Data out of line: most such messages fit here.
        let spacious_bytes = SPACIOUS_ROOM_BYTES.min(lane.largest_payload_bytes());
        if let Ok(mut claim) = lane.claim(spacious_bytes)
            && let Ok(length) = archive::write(message, claim.payload())
        {
            let header = Header { word0: upper | length as u64, word1: me };
            return claim.commit(header).map_err(|_| TellError::Full);
        }
        let bytes = archive::write_boxed(message, limit_bytes)
            .map_err(|too_large| TellError::Oversized { limit_bytes: too_large.limit_bytes })?;
        let bytes = bytes.as_slice();
        let header = Header { word0: upper | bytes.len() as u64, word1: me };
        push_bytes(lane, header, bytes, limit_bytes)
    }

    /// Sends a message that was archived before, as part of the running turn.
    pub(crate) fn send_enclosed<M: Message>(
        &mut self,
        to: ActorRef<M>,
        message: EnclosedView<'_, M>,
    ) -> Result<(), TellError> {
        let (place, me) = to.words();
        if place as u32 != self.node() {
            return self.send_archive_to_node::<M>(to.address(), message.bytes());
        }
        self.send_bytes(place, me, KIND_USER, message.bytes())
    }

    /// Asks an actor to stop when it has handled what was sent to it before, as part of the running turn. A client's
    /// address and that of an answer name no actor.
    pub(crate) fn send_stop(&mut self, to: Address) -> Result<(), TellError> {
        if to.core() >= CLIENT_CORE_BASE || to.port() == PORT_REPLY {
            return Err(TellError::Gone);
        }
        let (place, me) = to.words();
        // A frame is never empty.
        self.send_bytes(place & PLACE_MASK, me, KIND_STOP, &[0])
    }

    /// A frame with these bytes.
    fn send_bytes(&mut self, place: u64, me: u64, kind: u8, bytes: &[u8]) -> Result<(), TellError> {
        let limit_bytes = self.limits.message_bytes;
        if bytes.len() > limit_bytes {
            return Err(TellError::Oversized { limit_bytes });
        }
        let upper = place >> 48 << 32 | u64::from(kind) << 48;
        let header = Header { word0: upper | bytes.len() as u64, word1: me };
        if place & PLACE_MASK != self.place {
            let (index, _) = self.way_to(place)?;
            let Some(outbound) = &mut self.outbounds[index] else { return Err(TellError::Gone) };
            if outbound.jammed {
                return Err(TellError::Full);
            }
            let reply = (place >> 48) as u16 == PORT_REPLY;
            let lane = if reply { outbound.reply_lane() } else { &mut outbound.user };
            return push_bytes(lane, header, bytes, limit_bytes);
        }
        if bytes.len() > LARGEST_PAYLOAD_BYTES {
            return self.push_large(StoredFrame::new(header, bytes));
        }
        self.queue
            .push_with(upper, me, bytes.len(), |room| copy_into(room, bytes))
            .map_err(|_| TellError::Full)
    }

    /// A frame from another node for a core or a client of this one. Its prefix goes in front of its archive.
    pub(crate) fn send_foreign(
        &mut self,
        to: Address,
        header: Header,
        prefix: ForeignPrefix,
        archive: &[u8],
    ) -> Result<(), TellError> {
        let (place, _) = to.words();
        let (index, port) = self.way_to(place)?;
        let limit_bytes = self.limits.message_bytes;
        let Some(outbound) = &mut self.outbounds[index] else { return Err(TellError::Gone) };
        if outbound.jammed {
            return Err(TellError::Full);
        }
        let lane = if port == PORT_REPLY { outbound.reply_lane() } else { &mut outbound.user };
        let payload_bytes = FOREIGN_PREFIX_BYTES + archive.len();
        if let Ok(mut claim) = lane.claim(payload_bytes) {
            let (front, behind) =
                claim.payload()[..payload_bytes].split_at_mut(FOREIGN_PREFIX_BYTES);
            front.copy_from_slice(&prefix.to_bytes());
            behind.copy_from_slice(archive);
            return claim.commit(header).map_err(|_| TellError::Full);
        }
        if payload_bytes <= lane.largest_payload_bytes() {
            return Err(TellError::Full);
        }
        let oversized = TellError::Oversized { limit_bytes };
        let mut boxed = BoxedPayload::zeroed(payload_bytes).map_err(|_| oversized)?;
        let (front, behind) = boxed.as_mut_slice().split_at_mut(FOREIGN_PREFIX_BYTES);
        front.copy_from_slice(&prefix.to_bytes());
        behind.copy_from_slice(archive);
        lane.push_boxed(header, boxed).map_err(|_| TellError::Full)
    }

    /// Where a place's ring stands among the ways out, ready for the running turn to write to.
    #[inline]
    fn way_to(&mut self, place: u64) -> Result<(usize, u16), TellError> {
        let core = (place >> 32) as u16;
        if place as u32 != self.node() {
            return Err(TellError::NoRoute);
        }
        let index = match core {
            core if core < self.cores() => core as usize,
            core if core >= CLIENT_CORE_BASE => {
                self.cores() as usize + (core - CLIENT_CORE_BASE) as usize
            }
            _ => return Err(TellError::Gone),
        };
        match self.outbounds.get_mut(index) {
            Some(Some(outbound)) => {
                outbound.touch(self.turn);
                if !outbound.unpublished {
                    outbound.unpublished = true;
                    self.unpublished.push(index as u32);
                }
                Ok((index, (place >> 48) as u16))
            }
            _ => Err(TellError::Gone),
        }
    }

    /// The way out will be flushed at the end of the sweep.
    pub(crate) fn mark_unpublished(&mut self, index: usize) {
        if let Some(Some(outbound)) = self.outbounds.get_mut(index)
            && !outbound.unpublished
        {
            outbound.unpublished = true;
            self.unpublished.push(index as u32);
        }
    }

    /// Sends a message that may hold local payloads, as part of the running turn.
    pub(crate) fn send_local<M: LocalMessage>(
        &mut self,
        to: LocalRef<M>,
        message: &M,
    ) -> Result<(), TellError> {
        let (place, me) = to.words();
        if place as u32 != self.node() {
            return Err(TellError::NoRoute);
        }
        let frame = stored_local(place, me, message, self.limits.message_bytes)?;
        if place & PLACE_MASK == self.place {
            return self.push_large(frame);
        }
        let core = (place >> 32) as u16;
        if core >= self.cores() {
            return Err(TellError::Gone);
        }
        // A parcel owns the frame, and with it the local payloads, until it is opened.
        let parcel: super::control::Parcel =
            Box::new(move |core: &mut Core| core.dispatch_owned(frame));
        self.effect(super::turn::Effect::Parcel { core, parcel: Box::new(parcel) });
        Ok(())
    }

    /// Counts a message that a turn could not send.
    #[cold]
    #[inline(never)]
    pub(crate) fn tell_failed(&mut self, to: Address, error: TellError) {
        self.counters.refused_sends += 1;
        self.dead_letter(error.reason(), to, 0);
    }
}

/// A frame of its own for a message that may hold local payloads.
pub(crate) fn stored_local<M: LocalMessage>(
    place: u64,
    me: u64,
    message: &M,
    limit_bytes: usize,
) -> Result<StoredFrame, TellError> {
    let (buffer, flags) =
        archive::write_local_boxed(message, limit_bytes).map_err(|refusal| match refusal {
            archive::LocalRefusal::TooLarge { limit_bytes } => TellError::Oversized { limit_bytes },
            _ => TellError::LocalPayload,
        })?;
    let flags = flags & FLAG_LOCAL;
    let header = Header::new(
        buffer.as_slice().len() as u32,
        (place >> 48) as u16,
        KIND_USER,
        flags,
        me as u32,
        (me >> 32) as u32,
    );
    Ok(StoredFrame::from_buffer(header, buffer))
}

/// Appends a frame to a ring, boxed if it is too large for one.
pub(crate) fn push_bytes(
    lane: &mut Producer,
    header: Header,
    bytes: &[u8],
    limit_bytes: usize,
) -> Result<(), TellError> {
    if bytes.len() <= lane.largest_payload_bytes() {
        return lane.push(header, bytes).map_err(|_| TellError::Full);
    }
    let oversized = TellError::Oversized { limit_bytes };
    let mut boxed = BoxedPayload::zeroed(bytes.len()).map_err(|_| oversized)?;
    boxed.as_mut_slice().copy_from_slice(bytes);
    lane.push_boxed(header, boxed).map_err(|_| TellError::Full)
}

fn copy_into(room: &mut [u8], bytes: &[u8]) -> Result<usize, archive::Overflow> {
    let room = room.get_mut(..bytes.len()).ok_or(archive::Overflow)?;
    room.copy_from_slice(bytes);
    Ok(bytes.len())
}
