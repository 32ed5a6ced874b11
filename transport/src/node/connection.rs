//! One connection after its handshake: bytes that came become frames, frames that wait become bytes.
//!
//! Promises: frames are handed over in order, each once; a frame that cannot be handed over now stays in the receive
//! buffer with all behind it, and the sender runs out of credit; all that waits goes in one send, and at most one send
//! is under way. What the peer is not known to have consumed is reported when the connection ends.
//!
//! On the bulk lane a message is put together from its pieces in memory that was reserved when its first one came, and
//! handed over when it is whole; while it cannot be, its last piece stays where it is.
//!
//! Refuses: whatever the wire does not allow ([`Broken`] ends the connection), and more than was granted.
//!
//! Invariants: only frames of messages, and pieces of them, count as credit, so that what the ends tell each other
//! never waits for it.

use mainspring::frame::{ForeignPrefix, HEADER_BYTES, Header};
use mainspring::net::{SendBuffer, Taken};
use mainspring::peer::{Belief, BulkMessage, FrameBytes, Outbox};

use crate::handshake::Peer;
use crate::link::chunks::{
    ChunkError, ChunkRefusal, ChunkSettings, Outgoing, Piece, Progress, Reassembly, Whole,
};
use crate::link::credit::{CreditError, ReceiveCredit, SendCredit, Volume};
use crate::link::keepalive::Keepalive;
use crate::link::slow_peer::{SlowPeer, SlowPeerSettings, SlowStep};
use crate::link::wanted::ConnectionKey;
use crate::trust::belief_in;
use crate::wire::{
    ChunkFirst, Decoder, FLAG_CHECKSUM, Frame, GOODBYE_TEXT_LIMIT_BYTES, GoodbyeReason, Lane,
    LinkFrame, Step, WireError, checksum_of, seal, verify_checksum,
};

/// Frames handed over in one go, so that the core's other work is not kept waiting.
const FRAMES_A_VIEW: usize = 1_024;

/// Bytes of pieces that go in one send. More would only wait in the kernel.
const BULK_SEND_BYTES: usize = 256 << 10;

/// What is known of a connection when its handshake is over.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Its number; no two of a node's life have the same.
    pub serial: u64,
    /// What it is for.
    pub key: ConnectionKey,
    /// Who is at the other end.
    pub peer: Peer,
    /// Bytes that this node lets the peer have under way.
    pub window_bytes: u64,
    /// When it is slow.
    pub slow_peer: SlowPeerSettings,
    /// After how long a silence it is unreachable.
    pub unreachable_after_ns: u64,
    /// Whether this core's messages to the peer go this way.
    pub sends: bool,
    /// Limits of large messages from the peer.
    pub chunks: ChunkSettings,
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Credit(#[from] CreditError),
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    #[error("{0}")]
    Link(String),
}

/// Who takes the frames of a connection.
pub(super) trait FrameSink {
    /// A message. False when it cannot be taken now: it is offered again.
    fn message(&mut self, header: Header, payload: &[u8], belief: Belief) -> bool;

    /// A large message, put together. False when it cannot be taken now: it is offered again.
    fn large(&mut self, head: LargeHead, archive: &[u8], belief: Belief) -> bool;

    /// A large message is not taken; its pieces are thrown away.
    fn refused(&mut self, head: LargeHead, reason: ChunkRefusal);

    /// A frame of the link itself, other than credit and pieces of messages.
    ///
    /// # Errors
    /// Why the connection must end.
    fn link(&mut self, frame: LinkFrame<'_>) -> Result<(), Broken>;
}

/// What stands before a large message: its header, as if it came in one frame, and its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LargeHead {
    pub header: Header,
    pub prefix: ForeignPrefix,
}

/// Large messages that wait for a connection.
pub(super) type BulkQueue = Outgoing<LargeHead, BulkMessage>;

/// Where the messages come from that a connection sends.
pub(super) enum Source<'a> {
    /// None do.
    Nothing,
    /// The outbox of its core.
    Outbox(&'a mut Outbox),
    /// The large messages of its node.
    Bulk(&'a mut BulkQueue),
}

impl Source<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Source::Nothing => true,
            Source::Outbox(outbox) => outbox.is_empty(),
            Source::Bulk(queue) => queue.is_empty(),
        }
    }

    /// Bytes that wait there.
    pub fn waiting_bytes(&self) -> usize {
        match self {
            Source::Nothing => 0,
            Source::Outbox(outbox) => outbox.len_bytes(),
            Source::Bulk(queue) => queue.waiting_bytes(),
        }
    }
}

/// How far the end is of a connection that this node ends in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// It goes on.
    No,
    /// A goodbye is said when nothing waits any more.
    Wanted(GoodbyeReason),
    /// It was said: nothing more is sent.
    Said,
}

/// See the module's header.
pub(super) struct Connection {
    pub facts: Facts,
    belief: Belief,
    decoder: Decoder,
    send_credit: SendCredit,
    receive_credit: ReceiveCredit,
    slow_peer: SlowPeer,
    keepalive: Keepalive,
    /// The peer has consumed something since it was looked at last.
    has_moved: bool,
    /// The large message that is being put together.
    reassembly: Reassembly<LargeHead>,
    /// The one that is whole, until it is handed over.
    whole: Option<Whole<LargeHead>>,
    /// Frames of the link, to go before anything else.
    urgent: Vec<u8>,
    /// Frames of messages that have left the outbox and wait for credit.
    queued: FrameBytes,
    spare: Option<FrameBytes>,
    in_flight: bool,
    farewell: Farewell,
    /// The first frame of the next view was counted as received.
    head_counted: bool,
    /// Frames wait, because a receiver's core has no room or because there were too many for one poll.
    pub blocked: bool,
    /// The peer's core has the connection too: something has come from it.
    pub is_heard: bool,
}

impl Connection {
    /// A connection, with the handshake's last send under way or not.
    ///
    /// # Errors
    /// [`Broken`]: the peer grants too little.
    pub fn new(facts: Facts, in_flight: bool) -> Result<Connection, Broken> {
        let frame_limit_bytes = u64::from(facts.peer.own_max_frame_bytes) + HEADER_BYTES as u64 * 2;
        let reassembly = Reassembly::new(facts.chunks);
        let mut connection = Connection {
            belief: belief_in(&facts.peer),
            decoder: facts.peer.decoder(),
            send_credit: SendCredit::new(facts.peer.initial_credit_bytes)?,
            receive_credit: ReceiveCredit::new(facts.window_bytes, frame_limit_bytes),
            slow_peer: SlowPeer::new(facts.slow_peer),
            keepalive: Keepalive::new(facts.unreachable_after_ns),
            has_moved: false,
            reassembly,
            whole: None,
            urgent: Vec::new(),
            queued: FrameBytes::new(),
            spare: None,
            in_flight,
            farewell: Farewell::No,
            head_counted: false,
            blocked: false,
            is_heard: false,
            facts,
        };
        // Says that the connection has reached its core.
        connection.say(&LinkFrame::Credit { consumed_bytes: 0, consumed_frames: 0 });
        Ok(connection)
    }

    /// Hands over the frames of a view.
    ///
    /// # Errors
    /// [`Broken`]: the connection must end.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now_ns: u64,
        sink: &mut dyn FrameSink,
    ) -> Result<Taken, Broken> {
        let mut at = 0;
        for _ in 0..FRAMES_A_VIEW {
            let (frame, stride) = match self.decoder.next(&bytes[at..])? {
                Step::Need(wanted) => return Ok(Taken { bytes: at, wanted }),
                Step::Frame { frame, bytes } => (frame, bytes),
            };
            self.is_heard = true;
            match frame {
                Frame::User(message) => {
                    if !std::mem::replace(&mut self.head_counted, true) {
                        self.receive_credit.record_received(stride as u64)?;
                    }
                    let word0 = message.header.word0 & !(u64::from(FLAG_CHECKSUM) << 56);
                    let header = Header { word0, ..message.header };
                    let payload = &message.bytes[HEADER_BYTES..][..header.len() as usize];
                    if !sink.message(header, payload, self.belief) {
                        self.blocked = true;
                        return Ok(Taken::of(at));
                    }
                    self.head_counted = false;
                    self.receive_credit.record_consumed(stride as u64, now_ns);
                }
                Frame::Link(LinkFrame::Credit { consumed_bytes, consumed_frames }) => {
                    let reported = Volume { bytes: consumed_bytes, frames: consumed_frames };
                    self.has_moved |= self.send_credit.record_report(reported)? != Volume::NONE;
                }
                Frame::Link(piece @ (LinkFrame::ChunkFirst(_) | LinkFrame::Chunk { .. })) => {
                    if !self.take_piece(&piece, stride as u64, sink)? {
                        self.blocked = true;
                        return Ok(Taken::of(at));
                    }
                    self.receive_credit.record_consumed(stride as u64, now_ns);
                }
                Frame::Link(frame) => sink.link(frame)?,
            }
            at += stride;
        }
        // The rest is shown again in the next poll.
        self.blocked = at < bytes.len();
        Ok(Taken::of(at))
    }

    /// A frame of the link is to go.
    pub fn say(&mut self, frame: &LinkFrame<'_>) {
        if self.has_left() {
            return;
        }
        // What is written here is made by this node from its own limits; a frame that does not encode is not sent.
        if let Err(error) = frame.append_to(&mut self.urgent) {
            tracing::error!(%error, "a frame of a link could not be written");
        }
    }

    /// This node ends the connection: when all that waits has gone, a goodbye follows, and nothing after it.
    pub fn leave(&mut self, reason: GoodbyeReason) {
        if self.farewell == Farewell::No {
            self.farewell = Farewell::Wanted(reason);
        }
    }

    /// Whether the goodbye of this node is said.
    pub fn has_left(&self) -> bool {
        self.farewell == Farewell::Said
    }

    /// The peer ends the connection: what of its messages was consumed, if that can still be said.
    pub fn last_report(&mut self) -> Option<SendBuffer> {
        let may_say = !self.in_flight && self.farewell != Farewell::Said;
        let report = self.receive_credit.report_all().filter(|_| may_say)?;
        let (consumed_bytes, consumed_frames) = (report.bytes, report.frames);
        self.urgent.clear();
        self.say(&LinkFrame::Credit { consumed_bytes, consumed_frames });
        Some(SendBuffer::from(self.urgent.as_slice()))
    }

    /// Why this node ends the connection now, if that can still be said.
    pub fn last_words(&mut self, reason: GoodbyeReason, text: &str) -> Option<SendBuffer> {
        if self.in_flight || self.has_left() {
            return None;
        }
        let text = &text[..text.floor_char_boundary(GOODBYE_TEXT_LIMIT_BYTES)];
        self.urgent.clear();
        self.say(&LinkFrame::Goodbye { reason, text });
        Some(SendBuffer::from(self.urgent.as_slice()))
    }

    /// Whether no send is under way.
    pub fn may_send(&self) -> bool {
        !self.in_flight
    }

    /// The next bytes to send, all that may go, if no send is under way.
    pub fn next_send(&mut self, source: &mut Source<'_>, now_ns: u64) -> Option<SendBuffer> {
        if self.in_flight || self.has_left() {
            return None;
        }
        let due = self.receive_credit.report_due(now_ns);
        let is_silent = due.is_none() && self.keepalive.is_due(now_ns);
        let said_again = is_silent.then(|| {
            self.receive_credit.report_all().unwrap_or_else(|| self.receive_credit.consumed())
        });
        if let Some(report) = due.or(said_again) {
            let (consumed_bytes, consumed_frames) = (report.bytes, report.frames);
            self.say(&LinkFrame::Credit { consumed_bytes, consumed_frames });
        }
        if self.queued.is_empty()
            && self.send_credit.available_bytes() > 0
            && let Source::Outbox(outbox) = source
            && !outbox.is_empty()
        {
            let spare = self.spare.take().unwrap_or_default();
            (self.queued, _) = outbox.take(spare);
            self.seal_queued();
        }
        let mut bytes = self.take_within_credit();
        if let Source::Bulk(queue) = source {
            self.cut_pieces(queue, &mut bytes);
        }
        if let Farewell::Wanted(reason) = self.farewell
            && self.queued.is_empty()
            && source.is_empty()
        {
            self.say(&LinkFrame::Goodbye { reason, text: "" });
            self.farewell = Farewell::Said;
        }
        if bytes.is_empty() && self.urgent.is_empty() {
            self.keep_spare(bytes);
            return None;
        }
        bytes.extend_from_slice(&self.urgent);
        self.urgent.clear();
        self.in_flight = true;
        self.keepalive.spoke(now_ns);
        Some(SendBuffer::from(bytes))
    }

    /// Whether [`next_send`](Self::next_send) would give anything.
    pub fn wants_to_send(&self, source: &Source<'_>) -> bool {
        let has_messages = !self.queued.is_empty() || !source.is_empty();
        let may = self.send_credit.available_bytes() > 0;
        let has_goodbye = matches!(self.farewell, Farewell::Wanted(_)) && !has_messages;
        let has_words = !self.urgent.is_empty() || has_goodbye;
        !self.in_flight && !self.has_left() && (has_words || (has_messages && may))
    }

    /// The send under way has ended, and here is its memory.
    pub fn sent(&mut self, buffer: SendBuffer) {
        self.in_flight = false;
        self.keep_spare(buffer.into_bytes());
    }

    /// Looks whether the peer is slow, with so many bytes waiting in the outbox.
    pub fn observe(&mut self, outbox_bytes: usize, now_ns: u64) -> Option<SlowStep> {
        let has_moved = std::mem::take(&mut self.has_moved);
        if self.facts.key.lane == Lane::Bulk && has_moved {
            // A large message takes its time: its peer is slow if it takes nothing of it.
            return self.slow_peer.observe(0, now_ns);
        }
        self.slow_peer.observe(outbox_bytes + self.queued.len(), now_ns)
    }

    /// Messages that were given to the socket so far, and those that were handed over.
    pub fn carried(&self) -> (Volume, Volume) {
        (self.send_credit.sent(), self.receive_credit.consumed())
    }

    /// When it wants to be looked at though nothing happens.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let may_speak = !self.in_flight && !self.has_left();
        let keepalive = may_speak.then(|| self.keepalive.next_deadline_ns());
        let credit = self.receive_credit.next_deadline_ns();
        [credit, keepalive, self.slow_peer.next_deadline_ns()].into_iter().flatten().min()
    }

    /// Messages that were sent and are not known to be consumed, and those that left the outbox and were not sent.
    pub fn maybe_lost(&self) -> (Volume, u64) {
        let (mut unsent, mut at) = (0, 0);
        while at < self.queued.len() {
            at += header_at(&self.queued, at).stride();
            unsent += 1;
        }
        (self.send_credit.maybe_lost(), unsent)
    }

    /// A piece of a large message has come. False when the message is whole and cannot be handed over now.
    fn take_piece(
        &mut self,
        piece: &LinkFrame<'_>,
        stride: u64,
        sink: &mut dyn FrameSink,
    ) -> Result<bool, Broken> {
        if self.whole.is_none() {
            self.receive_credit.record_received(stride)?;
            let progress = match piece {
                LinkFrame::ChunkFirst(first) => {
                    let head = LargeHead { header: first.header, prefix: first.prefix };
                    self.reassembly.first(head, first.total_bytes, first.bytes)?
                }
                LinkFrame::Chunk { bytes } => self.reassembly.next(bytes)?,
                _ => return Ok(true),
            };
            match progress {
                Progress::Whole(whole) => {
                    let LargeHead { header, prefix } = whole.head;
                    verify_checksum(header.flags(), prefix, whole.bytes.as_slice())?;
                    self.whole = Some(whole);
                }
                Progress::Refused { head, reason } => sink.refused(head, reason),
                Progress::Begun | Progress::Discarded => {}
            }
        }
        let Some(whole) = &self.whole else { return Ok(true) };
        let word0 = whole.head.header.word0 & !(u64::from(FLAG_CHECKSUM) << 56);
        let header = Header { word0, ..whole.head.header };
        let archive = whole.bytes.as_slice();
        if !sink.large(LargeHead { header, ..whole.head }, archive, self.belief) {
            return Ok(false);
        }
        self.reassembly.release(archive.len());
        self.whole = None;
        Ok(true)
    }

    /// Appends pieces of large messages as far as there is credit, and not too many at a time.
    fn cut_pieces(&mut self, queue: &mut BulkQueue, bytes: &mut FrameBytes) {
        while bytes.len() < BULK_SEND_BYTES
            && self.send_credit.available_bytes() > 0
            && let Some(piece) = queue.next_piece()
        {
            let (start, checksums) = (bytes.len(), self.facts.peer.checksums);
            let frame = frame_of(&piece, checksums);
            bytes.resize(start + frame.frame_bytes(), 0);
            match frame.write_to(&mut bytes[start..]) {
                Ok(stride) => self.send_credit.record_sent(stride as u64),
                Err(error) => {
                    tracing::error!(%error, "a piece of a message could not be written");
                    bytes.resize(start, 0);
                }
            }
        }
    }

    /// Frames that may go now; what may not stays queued. A frame may begin as long as there is credit for a byte.
    fn take_within_credit(&mut self) -> FrameBytes {
        let mut at = 0;
        while at < self.queued.len() && self.send_credit.available_bytes() > 0 {
            let stride = header_at(&self.queued, at).stride();
            self.send_credit.record_sent(stride as u64);
            at += stride;
        }
        let mut rest = FrameBytes::new();
        if at < self.queued.len() {
            rest.extend_from_slice(&self.queued[at..]);
        }
        let mut bytes = std::mem::replace(&mut self.queued, rest);
        bytes.resize(at, 0);
        bytes
    }

    /// Puts checksums into what came from the outbox, if the two nodes have agreed on them.
    fn seal_queued(&mut self) {
        if !self.facts.peer.checksums {
            return;
        }
        let mut at = 0;
        while at < self.queued.len() {
            let stride = header_at(&self.queued, at).stride();
            if let Err(error) = seal(&mut self.queued[at..at + stride]) {
                tracing::error!(%error, "a frame from an outbox could not be sealed");
            }
            at += stride;
        }
    }

    fn keep_spare(&mut self, mut bytes: FrameBytes) {
        if self.spare.is_none() && bytes.capacity() <= SPARE_BYTES {
            bytes.clear();
            self.spare = Some(bytes);
        }
    }
}

/// Memory of a send that is kept for the next one; more is given back.
const SPARE_BYTES: usize = 1 << 20;

/// A piece of a large message, as it goes. The first one has the checksum of all, if there is to be one.
fn frame_of<'a>(piece: &Piece<'a, LargeHead>, checksums: bool) -> LinkFrame<'a> {
    if piece.offset_bytes > 0 {
        return LinkFrame::Chunk { bytes: piece.bytes };
    }
    let LargeHead { mut header, mut prefix } = piece.head;
    if checksums {
        prefix.word = checksum_of(prefix, piece.whole);
        header.word0 |= u64::from(FLAG_CHECKSUM) << 56;
    }
    let total_bytes = piece.whole.len() as u32;
    LinkFrame::ChunkFirst(ChunkFirst { header, prefix, total_bytes, bytes: piece.bytes })
}

/// The header of the frame that begins there.
fn header_at(bytes: &[u8], at: usize) -> Header {
    let word = |at: usize| {
        let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
        u64::from_le_bytes(word.unwrap_or_default())
    };
    Header { word0: word(at), word1: word(at + 8) }
}
