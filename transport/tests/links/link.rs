//! All that one node has of one peer: its connections, its lanes, what waits.

use std::collections::{BTreeMap, VecDeque};

use mainspring_transport::link::chunks::{ChunkSettings, Outgoing, Piece, Progress, Reassembly};
use mainspring_transport::link::connections::{Connections, DialledBy, Verdict};
use mainspring_transport::link::control_lane::{ControlLane, ControlSettings, Received};
use mainspring_transport::link::credit::{ReceiveCredit, SendCredit, Volume};
use mainspring_transport::link::dialing::{DialStep, Dialer};
use mainspring_transport::link::liveness::{Liveness, Reachability};
use mainspring_transport::link::slow_peer::{SlowPeer, SlowPeerSettings, SlowStep};
use mainspring_transport::link::wanted::{ConnectionKey, Pairing};
use mainspring_transport::wire::Lane;

use crate::budgets::{Budget, Charges};
use crate::ledger::{Deed, Message};
use crate::network::{ConnectionId, Frame};
use crate::node::{Flaw, NodeSettings, Outputs};

/// Header, prefix and padding, for the sums.
const FRAME_BYTES: u64 = 32;
/// The largest ordinary message of a storm; the largest piece of a bulk one is smaller.
pub const MESSAGE_LIMIT_BYTES: u64 = 20_000;

#[derive(Clone, Copy, Debug)]
pub struct LinkSettings {
    pub window_bytes: u64,
    pub report_within_ns: u64,
    pub chunks: ChunkSettings,
    pub slow_peer: SlowPeerSettings,
}

/// One connection that stands.
struct Standing {
    connection: ConnectionId,
    send: SendCredit,
    receive: ReceiveCredit,
    /// Come, and not consumed before a time.
    held: VecDeque<(u64, u64, Frame)>,
    /// Ordinary messages that were sent, for a driver that sends them again.
    sent: Vec<(Message, u64)>,
    slow_peer: SlowPeer,
}

/// What is kept of a connection's place while connections come and go.
struct Place {
    waiting: VecDeque<(Message, u64)>,
    budget: Budget,
    outgoing: Outgoing<Message, Vec<u8>>,
    reassembly: Reassembly<Message>,
    standing: Option<Standing>,
    /// Of connections that are gone, for a driver that still reads it.
    left: VecDeque<(u64, u64, Frame)>,
}

pub struct Link {
    /// The number of this node's incarnation.
    own: u32,
    settings: NodeSettings,
    pairing: Pairing,
    is_smaller: bool,
    pub connections: Connections<ConnectionId>,
    pub dialers: BTreeMap<ConnectionKey, Dialer>,
    places: BTreeMap<ConnectionKey, Place>,
    peer_budget: Budget,
    pub control: Option<ControlLane<u64>>,
    /// What the next control frame says: their number, with this incarnation of the peer.
    pub next_control: u64,
    liveness: Option<Liveness>,
    random: fastrand::Rng,
}

const BULK: ConnectionKey = ConnectionKey { lane: Lane::Bulk, index: 0 };

impl Link {
    pub fn new(
        own: u32,
        (own_cores, peer_cores): (u16, u16),
        is_smaller: bool,
        settings: NodeSettings,
        seed: u64,
        now_ns: u64,
    ) -> Link {
        let pairing = Pairing::new(own_cores, peer_cores).expect("few cores");
        let mut link = Link {
            own,
            settings,
            pairing,
            is_smaller,
            connections: Connections::new(is_smaller),
            dialers: BTreeMap::new(),
            places: BTreeMap::new(),
            peer_budget: Budget::new(settings.outbox.peer_limit_bytes),
            control: None,
            next_control: 1,
            liveness: None,
            random: fastrand::Rng::with_seed(seed),
        };
        for wanted in pairing.wanted() {
            link.want(wanted.key, now_ns);
        }
        link
    }

    /// Takes a message, if it fits.
    pub fn push(&mut self, message: Message, bytes: u64, core_budget: &mut Budget) -> bool {
        let key = if message.flow.is_bulk {
            BULK
        } else {
            self.pairing.route(message.flow.from_core, message.flow.to_core)
        };
        self.want(key, 0);
        let place = self.places.get_mut(&key).expect("wanted");
        if message.flow.is_bulk {
            return place.outgoing.push(message, vec![message.id as u8; bytes as usize]).is_ok();
        }
        let bytes = bytes + FRAME_BYTES;
        let (connection, peer) = (&mut place.budget, &mut self.peer_budget);
        let is_charged =
            Charges { connection, peer, core: core_budget }.charge(bytes as usize).is_ok();
        if is_charged {
            place.waiting.push_back((message, bytes));
        }
        is_charged
    }

    pub fn tick_dialers(&mut self, now_ns: u64) -> Vec<(ConnectionKey, DialStep)> {
        let steps = self.dialers.iter_mut();
        steps.filter_map(|(key, dialer)| Some((*key, dialer.tick(now_ns)?))).collect()
    }

    pub fn dialer_failed(&mut self, key: ConnectionKey, now_ns: u64) {
        if let Some(dialer) = self.dialers.get_mut(&key) {
            dialer.failed(now_ns);
        }
    }

    pub fn stop_dialers(&mut self) {
        for dialer in self.dialers.values_mut() {
            dialer.stop();
        }
    }

    /// The control lane with an incarnation of the peer, which is new or was known.
    pub fn begin_control(&mut self, settings: ControlSettings, incarnation: u32, now_ns: u64) {
        match &mut self.control {
            Some(control) => {
                if control.incarnation() != incarnation {
                    control.restarted(incarnation);
                    self.next_control = 1;
                }
            }
            None => {
                self.control = Some(ControlLane::new(settings, incarnation));
                self.next_control = 1;
                self.dialers.values_mut().for_each(|dialer| dialer.start(now_ns));
            }
        }
    }

    /// A connection offers itself for a key: nothing if it is a duplicate, else the one that it replaces, and whether
    /// an attempt of ours has to be abandoned.
    pub fn offer(
        &mut self,
        key: ConnectionKey,
        connection: ConnectionId,
        dialled_by: DialledBy,
        now_ns: u64,
    ) -> Option<(Option<ConnectionId>, bool)> {
        self.want(key, now_ns);
        let Verdict::Keep { instead_of, .. } = self.connections.offer(key, connection, dialled_by)
        else {
            return None;
        };
        let is_dialling = self.dialers.get_mut(&key).expect("wanted").connected(dialled_by, now_ns);
        let abandons = is_dialling && !self.is_smaller;
        Some((instead_of, abandons))
    }

    pub fn begin_lane(&mut self, key: ConnectionKey, connection: ConnectionId, now_ns: u64) {
        let settings = self.settings.link;
        let receive = ReceiveCredit::new(settings.window_bytes, MESSAGE_LIMIT_BYTES + FRAME_BYTES);
        let place = self.places.get_mut(&key).expect("wanted");
        place.standing = Some(Standing {
            connection,
            send: SendCredit::new(settings.window_bytes).expect("large enough"),
            receive: receive.with_report_within(settings.report_within_ns),
            held: VecDeque::new(),
            sent: Vec::new(),
            slow_peer: SlowPeer::new(settings.slow_peer),
        });
        if key.lane == Lane::Control {
            self.control.as_mut().expect("admitted").connected();
            self.liveness = Some(Liveness::new(self.settings.liveness, now_ns));
        }
    }

    /// The connection is gone: says what may be lost with it and drops what came and was not consumed.
    pub fn end_lane(
        &mut self,
        key: ConnectionKey,
        connection: ConnectionId,
        core_budget: &mut Budget,
        outputs: &mut Outputs,
        now_ns: u64,
    ) {
        if self.connections.closed(key, connection) {
            self.dialers.get_mut(&key).expect("wanted").lost(now_ns);
        }
        let place = self.places.get_mut(&key).expect("wanted");
        let Some(standing) = place.standing.take_if(|s| s.connection == connection) else { return };
        if let Some((message, _)) = place.outgoing.disconnected() {
            outputs.deeds.push(Deed::DeadLetter { message: message.id });
        }
        place.reassembly.disconnected();
        let maybe_lost = self.repeat_or_forget(key, standing);
        let place = self.places.get_mut(&key).expect("wanted");
        outputs.deeds.push(Deed::Ended { connection, from: self.own, maybe_lost });
        if key.lane == Lane::Ordinary && self.settings.flaw != Some(Flaw::SendsAgain) {
            let (connection, peer) = (&mut place.budget, &mut self.peer_budget);
            Charges { connection, peer, core: core_budget }.give_back(maybe_lost.bytes as usize);
        }
        if key.lane == Lane::Control {
            self.liveness = None;
            if let Some(control) = &mut self.control {
                control.disconnected();
            }
        }
    }

    /// What may be lost with a connection; an honest driver does nothing else with it.
    fn repeat_or_forget(&mut self, key: ConnectionKey, standing: Standing) -> Volume {
        let maybe_lost = standing.send.maybe_lost();
        let place = self.places.get_mut(&key).expect("wanted");
        match self.settings.flaw {
            Some(Flaw::ForgetsMaybeLost) => return Volume::NONE,
            Some(Flaw::ReadsOldConnections) => place.left = standing.held,
            Some(Flaw::SendsAgain) => {
                let kept = standing.sent.len().saturating_sub(maybe_lost.frames as usize);
                for (message, bytes) in standing.sent.into_iter().skip(kept).rev() {
                    place.waiting.push_front((message, bytes));
                }
            }
            _ => {}
        }
        maybe_lost
    }

    /// What waits is for nobody any more.
    pub fn drop_waiting(&mut self, core_budget: &mut Budget, outputs: &mut Outputs) {
        let settings = self.settings.link.chunks;
        for place in self.places.values_mut() {
            for (message, _) in place.waiting.drain(..) {
                outputs.deeds.push(Deed::DeadLetter { message: message.id });
            }
            let (connection, peer) = (&mut place.budget, &mut self.peer_budget);
            Charges { connection, peer, core: core_budget }.close_connection();
            while let Some(piece) = place.outgoing.next_piece() {
                if piece.offset_bytes == 0 {
                    outputs.deeds.push(Deed::DeadLetter { message: piece.head.id });
                }
            }
            place.outgoing = Outgoing::new(settings);
        }
    }

    pub fn receive(
        &mut self,
        key: ConnectionKey,
        frame: Frame,
        core_budget: &mut Budget,
        outputs: &mut Outputs,
        now_ns: u64,
    ) {
        if let Some(liveness) = &mut self.liveness {
            liveness.heard(now_ns);
        }
        let answer = match (&frame, frame_bytes(&frame)) {
            (_, Some(bytes)) => self.hold(key, frame, bytes, now_ns),
            (Frame::Credit(report), _) => {
                let place = self.places.get_mut(&key).expect("wanted");
                let standing = place.standing.as_mut().expect("it stands");
                standing.send.record_report(*report).map_err(|e| e.to_string()).map(|fresh| {
                    if key.lane == Lane::Ordinary {
                        let (connection, peer) = (&mut place.budget, &mut self.peer_budget);
                        let mut charges = Charges { connection, peer, core: core_budget };
                        charges.give_back(fresh.bytes as usize);
                    }
                })
            }
            _ => self.receive_control(frame, outputs, now_ns),
        };
        if let Err(error) = answer {
            outputs.deeds.push(Deed::Error(error));
        }
    }

    /// Consumes what was held for long enough; connections of peers that are too slow.
    pub fn consume(&mut self, outputs: &mut Outputs, now_ns: u64) -> Vec<ConnectionId> {
        let mut too_slow = Vec::new();
        for place in self.places.values_mut() {
            let Some(standing) = &mut place.standing else { continue };
            while standing.held.front().is_some_and(|(due_ns, ..)| *due_ns <= now_ns) {
                let (_, bytes, frame) = standing.held.pop_front().expect("just seen");
                if self.settings.flaw != Some(Flaw::ConsumesEarly) {
                    standing.receive.record_consumed(bytes, now_ns);
                }
                let deed = consume_frame(&mut place.reassembly, frame, self.own);
                outputs.deeds.extend(deed.unwrap_or_else(|error| Some(Deed::Error(error))));
            }
            for (_, _, frame) in place.left.drain(..) {
                let deed = consume_frame(&mut place.reassembly, frame, self.own);
                outputs.deeds.extend(deed.unwrap_or(None));
            }
            let waiting = place.budget.used_bytes();
            if standing.slow_peer.observe(waiting, now_ns) == Some(SlowStep::Disconnect) {
                too_slow.push(standing.connection);
            }
        }
        too_slow
    }

    /// Heartbeats and resends; whether the peer has become unreachable.
    pub fn tick_liveness(&mut self, outputs: &mut Outputs, now_ns: u64) -> bool {
        if let Some(control) = &mut self.control {
            control.tick(now_ns);
        }
        let Some(liveness) = &mut self.liveness else { return false };
        let beat = liveness.tick(now_ns);
        let key = ConnectionKey { lane: Lane::Control, index: 0 };
        if let (Some(sent_at_ns), Some(connection)) = (beat.heartbeat_ns, self.connections.get(key))
        {
            outputs.send(connection, Frame::Heartbeat { sent_at_ns });
        }
        beat.change == Some(Reachability::Unreachable)
    }

    /// Sends all that may be sent.
    pub fn flush(&mut self, outputs: &mut Outputs, now_ns: u64) {
        for (key, place) in &mut self.places {
            let Some(standing) = &mut place.standing else { continue };
            let connection = standing.connection;
            if let (Lane::Control, Some(control)) = (key.lane, &mut self.control) {
                while let Some((sequence, body)) = control.next_to_send(now_ns) {
                    outputs.send(connection, Frame::Control { sequence, body: *body });
                }
                if let Some(sequence) = control.acknowledgement() {
                    outputs.send(connection, Frame::ControlAck { sequence });
                }
                if let Some(sent_at_ns) = self.liveness.as_mut().and_then(Liveness::take_echo) {
                    outputs.send(connection, Frame::HeartbeatEcho { sent_at_ns });
                }
            }
            let mut is_sending = false;
            while standing.send.available_bytes() > 0 {
                let Some((message, frame)) =
                    next_frame(place.waiting.pop_front(), &mut place.outgoing)
                else {
                    break;
                };
                standing.send.record_sent(frame_bytes(&frame).expect("of a user"));
                if let (Lane::Ordinary, Frame::User { bytes, .. }) = (key.lane, &frame) {
                    standing.sent.push((message, *bytes));
                }
                outputs.deeds.push(Deed::Sent { connection, message });
                outputs.send(connection, frame);
                is_sending = true;
            }
            let report = match is_sending {
                true => standing.receive.report_all(),
                false => standing.receive.report_due(now_ns),
            };
            if let Some(report) = report {
                outputs.send(connection, Frame::Credit(report));
            }
        }
    }

    pub fn next_deadline_ns(&self) -> Option<u64> {
        let dialers = self.dialers.values().filter_map(Dialer::next_deadline_ns);
        let standing = self.places.values().filter_map(|place| place.standing.as_ref());
        let lanes = standing.flat_map(|standing| {
            let held = standing.held.front().map(|(due_ns, ..)| *due_ns);
            [held, standing.receive.next_deadline_ns(), standing.slow_peer.next_deadline_ns()]
        });
        let control = self.control.as_ref().and_then(ControlLane::next_deadline_ns);
        let liveness = self.liveness.as_ref().and_then(Liveness::next_deadline_ns);
        dialers.chain(lanes.flatten()).chain(control).chain(liveness).min()
    }

    /// What the three budgets of the places add up to, for the invariants.
    pub fn used_bytes(&self) -> (usize, usize) {
        let sum = self.places.values().map(|place| place.budget.used_bytes()).sum();
        (sum, self.peer_budget.used_bytes())
    }

    /// What is reserved for large messages of the peer.
    pub fn reserved_bytes(&self) -> usize {
        self.places.values().map(|place| place.reassembly.reserved_bytes()).sum()
    }

    fn want(&mut self, key: ConnectionKey, now_ns: u64) {
        let (settings, random) = (&self.settings, &mut self.random);
        self.places.entry(key).or_insert_with(|| Place {
            waiting: VecDeque::new(),
            budget: Budget::new(settings.outbox.connection_limit_bytes),
            outgoing: Outgoing::new(settings.link.chunks),
            reassembly: Reassembly::new(settings.link.chunks),
            standing: None,
            left: VecDeque::new(),
        });
        let dialer = || Dialer::new(settings.dial, random.u64(..), now_ns);
        self.dialers.entry(key).or_insert_with(dialer);
    }

    fn hold(
        &mut self,
        key: ConnectionKey,
        frame: Frame,
        bytes: u64,
        now_ns: u64,
    ) -> Result<(), String> {
        let place = self.places.get_mut(&key).expect("wanted");
        let standing = place.standing.as_mut().expect("it stands");
        standing.receive.record_received(bytes).map_err(|error| error.to_string())?;
        if self.settings.flaw == Some(Flaw::ConsumesEarly) {
            standing.receive.record_consumed(bytes, now_ns);
        }
        let due_ns = now_ns + self.random.u64(0..=self.settings.laziness_ns);
        let due_ns = due_ns.max(standing.held.back().map_or(0, |(due_ns, ..)| *due_ns));
        standing.held.push_back((due_ns, bytes, frame));
        Ok(())
    }

    fn receive_control(
        &mut self,
        frame: Frame,
        outputs: &mut Outputs,
        now_ns: u64,
    ) -> Result<(), String> {
        let (Some(control), Some(liveness)) = (&mut self.control, &mut self.liveness) else {
            return Err("a control frame without a control lane".to_owned());
        };
        match frame {
            Frame::Control { sequence, body } => {
                let from = control.incarnation();
                let received = control.receive(from, sequence).map_err(|e| e.to_string())?;
                if received == Received::New || self.settings.flaw == Some(Flaw::ActsTwice) {
                    outputs.deeds.push(Deed::ControlTaken { from, to: self.own, body });
                }
            }
            Frame::ControlAck { sequence } => {
                control.record_acknowledgement(sequence, now_ns).map_err(|e| e.to_string())?;
            }
            Frame::Heartbeat { sent_at_ns } => {
                liveness.heartbeat(now_ns);
                liveness.owe_echo(sent_at_ns);
            }
            Frame::HeartbeatEcho { sent_at_ns } => {
                liveness.echo(sent_at_ns, now_ns).map_err(|error| error.to_string())?;
            }
            other => return Err(format!("{other:?} after the handshake")),
        }
        Ok(())
    }
}

/// Bytes of a frame that counts for the credit.
fn frame_bytes(frame: &Frame) -> Option<u64> {
    match frame {
        Frame::User { bytes, .. } => Some(*bytes),
        Frame::ChunkFirst { bytes, .. } | Frame::Chunk { bytes } => {
            Some(bytes.len() as u64 + FRAME_BYTES)
        }
        _ => None,
    }
}

fn next_frame(
    small: Option<(Message, u64)>,
    outgoing: &mut Outgoing<Message, Vec<u8>>,
) -> Option<(Message, Frame)> {
    if let Some((message, bytes)) = small {
        return Some((message, Frame::User { message, bytes }));
    }
    let Piece { head: message, whole, offset_bytes, bytes } = outgoing.next_piece()?;
    let (bytes, total_bytes) = (bytes.to_vec(), whole.len() as u32);
    let frame = match offset_bytes {
        0 => Frame::ChunkFirst { message, total_bytes, bytes },
        _ => Frame::Chunk { bytes },
    };
    Some((message, frame))
}

fn consume_frame(
    reassembly: &mut Reassembly<Message>,
    frame: Frame,
    own: u32,
) -> Result<Option<Deed>, String> {
    let progress = match frame {
        Frame::User { message, .. } => {
            return Ok(Some(Deed::Delivered { message, at: own }));
        }
        Frame::ChunkFirst { message, total_bytes, bytes } => {
            reassembly.first(message, total_bytes, &bytes)
        }
        Frame::Chunk { bytes } => reassembly.next(&bytes),
        other => return Err(format!("{other:?} was held")),
    };
    Ok(match progress.map_err(|error| error.to_string())? {
        Progress::Whole(whole) => {
            let bytes = whole.bytes.as_slice();
            if bytes.iter().any(|byte| *byte != whole.head.id as u8) {
                return Err(format!("{:?} has other bytes", whole.head));
            }
            reassembly.release(bytes.len());
            Some(Deed::Delivered { message: whole.head, at: own })
        }
        Progress::Refused { head, .. } => Some(Deed::DeadLetter { message: head.id }),
        Progress::Begun | Progress::Discarded => None,
    })
}
