//! Frames from other nodes: from bytes that nobody vouches for to a turn.
//!
//! The device that received a frame hands it over on its core; if it is for another core it goes through that core's
//! ring, still marked. The core that owns the receiver compares the fingerprint with what the receiver takes, checks
//! the archive, and only then dispatches the frame without its prefix. A client's thread does the same when it reads.

use super::Core;
use super::dead_letters::Reason;
use super::local_queue::RawFrame;
use super::names::FindName;
use super::stash::StoredFrame;
use super::{KIND_OUTWARD, KIND_OUTWARD_BULK, KIND_USER};
use crate::address::{Address, CLIENT_CORE_BASE, PORT_NAMES, PORT_REPLY};
use crate::frame::foreign::MessageInfo;
use crate::frame::validation::References;
use crate::frame::{FLAG_FOREIGN, FOREIGN_PREFIX_BYTES, FRAME_ALIGN, ForeignPrefix, Header};
use crate::peer::{Belief, Envelope, NoRoom};

/// Compares references with the actors of a core.
pub(crate) struct Judge<'a> {
    pub core: &'a Core,
    pub belief: Belief,
}

impl References for Judge<'_> {
    fn is_possible(&self, reference: Address, fingerprint: u64) -> bool {
        if reference.node() != self.core.node() {
            return true;
        }
        let known =
            (reference.core() == self.core.index()).then(|| self.core.accepts(reference)).flatten();
        known.map_or(self.belief.is_believed(), |info| info.fingerprint == fingerprint)
    }
}

impl Core {
    /// What an address of this core takes, if somebody lives there.
    fn accepts(&self, address: Address) -> Option<&'static MessageInfo> {
        let me = address.words().1;
        match address.port() {
            PORT_REPLY => self.asks.answer_of(address.slot(), address.generation()),
            PORT_NAMES => Some(MessageInfo::of::<FindName>()),
            0 => self.slots.actor_info(me).map(|info| info.message),
            port => self.ports.message(port, self.slots.actor_info(me)?.type_id),
        }
    }

    /// Hands over a frame from another node.
    pub(crate) fn deliver_foreign(
        &mut self,
        header: Header,
        payload: &[u8],
        belief: Belief,
    ) -> Result<(), NoRoom> {
        let is_user = header.kind() == KIND_USER && header.flags() == FLAG_FOREIGN;
        let Some((prefix, _)) = ForeignPrefix::split(payload).filter(|_| is_user) else {
            self.count_dead_letter(Reason::UnknownKind, header, payload.len());
            return Ok(());
        };
        if prefix.core == self.index() {
            self.counters.turns += 1;
            self.counters.foreign_messages += 1;
            self.dispatch_foreign(header, payload, belief);
            return Ok(());
        }
        let prefix = ForeignPrefix { word: u32::from(belief.is_believed()), ..prefix };
        self.pass_on(header, prefix, &payload[FOREIGN_PREFIX_BYTES..])
    }

    /// Hands over a large message from another node, put together from its pieces.
    pub(crate) fn deliver_large(
        &mut self,
        header: Header,
        prefix: ForeignPrefix,
        archive: &[u8],
        belief: Belief,
    ) -> Result<(), NoRoom> {
        if prefix.core != self.index() {
            let prefix = ForeignPrefix { word: u32::from(belief.is_believed()), ..prefix };
            return self.pass_on(header, prefix, archive);
        }
        self.counters.turns += 1;
        self.counters.foreign_messages += 1;
        let inner = without_prefix(header, archive.len());
        match archive.as_ptr().addr().is_multiple_of(FRAME_ALIGN) {
            true => self.dispatch_checked(prefix, inner, archive, belief),
            false => {
                let copy = StoredFrame::new(inner, archive);
                self.dispatch_checked(prefix, inner, copy.bytes(), belief);
            }
        }
        Ok(())
    }

    /// Copies a frame from another node into the ring of the core or client that it is for.
    fn pass_on(
        &mut self,
        header: Header,
        prefix: ForeignPrefix,
        archive: &[u8],
    ) -> Result<(), NoRoom> {
        let place = u64::from(self.node()) | u64::from(prefix.core) << 32;
        let to = Address::from_words(place | u64::from(header.port()) << 48, header.word1);
        let passed = self.send_foreign(to, header, prefix, archive);
        self.commit_turn();
        match passed {
            Ok(()) => {
                self.counters.foreign_messages += 1;
                Ok(())
            }
            // Who reads a client's ring may be anybody, and takes its time.
            Err(super::send::TellError::Full) if prefix.core < CLIENT_CORE_BASE => {
                Err(NoRoom { core: prefix.core })
            }
            Err(error) => {
                self.dead_letter(error.reason(), to, archive.len());
                Ok(())
            }
        }
    }

    /// A frame from another node has come to the core of its receiver.
    pub(crate) fn take_foreign(&mut self, frame: RawFrame) {
        let header = frame.header;
        match ForeignPrefix::split(frame.bytes()) {
            Some((prefix, _)) if matches!(header.kind(), KIND_OUTWARD | KIND_OUTWARD_BULK) => {
                self.send_outward(prefix, frame);
            }
            Some((prefix, _)) => {
                let belief = Belief::new(prefix.word != 0);
                self.dispatch_foreign(header, frame.bytes(), belief);
            }
            None => self.count_dead_letter(Reason::UnknownKind, header, frame.payload_len()),
        }
    }

    /// Runs the turn that a frame from another node asks for, if it is what its receiver takes.
    fn dispatch_foreign(&mut self, header: Header, payload: &[u8], belief: Belief) {
        let Some((prefix, archive)) = ForeignPrefix::split(payload) else { return };
        let inner = without_prefix(header, archive.len());
        if !archive.as_ptr().addr().is_multiple_of(FRAME_ALIGN) {
            let copy = StoredFrame::new(inner, archive);
            return self.dispatch_checked(prefix, inner, copy.bytes(), belief);
        }
        self.dispatch_checked(prefix, inner, archive, belief);
    }

    fn dispatch_checked(
        &mut self,
        prefix: ForeignPrefix,
        header: Header,
        archive: &[u8],
        belief: Belief,
    ) {
        let to = Address::from_words(self.place | u64::from(header.port()) << 48, header.word1);
        let Some(info) = self.accepts(to) else {
            let reason = match header.port() {
                PORT_REPLY => Reason::LateReply,
                0 => Reason::NoActor,
                _ if self.slots.actor_info(header.word1).is_some() => Reason::UnknownPort,
                _ => Reason::NoActor,
            };
            return self.count_dead_letter(reason, header, archive.len());
        };
        if info.fingerprint != prefix.fingerprint {
            return self.foreign_refused(Reason::SchemaMismatch, header, info, &prefix.fingerprint);
        }
        if let Err(malformed) = info.check(archive, &Judge { core: self, belief }) {
            return self.foreign_refused(Reason::Malformed, header, info, &malformed);
        }
        self.dispatch_from_ring(header, archive);
    }

    #[cold]
    fn foreign_refused(
        &mut self,
        reason: Reason,
        header: Header,
        info: &MessageInfo,
        found: &dyn std::fmt::Display,
    ) {
        if self.may_log_refused() {
            let (core, wanted, reason) = (self.index(), info.name, reason.name());
            tracing::warn!(core, wanted, reason, %found, "a message from another node was refused");
        }
        self.count_dead_letter(reason, header, 0);
    }

    /// At most one line a second.
    fn may_log_refused(&mut self) -> bool {
        let due = self.now_ns >= self.refusal_logged_ns.saturating_add(1_000_000_000);
        let first = self.refusal_logged_ns == 0;
        if due || first {
            self.refusal_logged_ns = self.now_ns.max(1);
        }
        due || first
    }

    /// A client's message for another node.
    fn send_outward(&mut self, prefix: ForeignPrefix, frame: RawFrame) {
        let node = prefix.word;
        let (port, me) = (frame.header.port(), frame.header.word1);
        let wire = ForeignPrefix { word: 0, ..prefix };
        let archive = &frame.bytes()[FOREIGN_PREFIX_BYTES..];
        let envelope = Envelope { port, me, prefix: wire };
        let sent = match frame.header.kind() {
            KIND_OUTWARD_BULK => self.send_bulk_archive_to_node(node, envelope, archive),
            _ => self.send_envelope_to_node(node, envelope, archive),
        };
        self.commit_turn();
        if let Err(error) = sent {
            let to = u64::from(node) | u64::from(prefix.core) << 32 | u64::from(port) << 48;
            self.tell_failed(Address::from_words(to, me), error);
        }
    }
}

/// The header of a frame from another node as a core dispatches it.
fn without_prefix(header: Header, archive_bytes: usize) -> Header {
    let upper = header.word0 & (0xFFFF << 32);
    Header { word0: upper | archive_bytes as u64, word1: header.word1 }
}
