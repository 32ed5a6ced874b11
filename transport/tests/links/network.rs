//! A network of connections: in each direction frames arrive in order or not at all, and a connection that is cut
//! delivers some of what was under way and loses the rest.
//!
//! What two connections carry arrives in any order. An end may learn late that its connection is gone, or not before
//! it sends something.

use std::collections::{BTreeMap, VecDeque};

use mainspring_transport::link::credit::Volume;
use mainspring_transport::link::identity::{Incarnation, NodeId};
use mainspring_transport::link::wanted::ConnectionKey;

use crate::ledger::Message;

pub type ConnectionId = u32;

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Initiator,
    Responder,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Initiator => Side::Responder,
            Side::Responder => Side::Initiator,
        }
    }
}

/// What is sent, as a value.
#[derive(Clone, Debug)]
pub enum Frame {
    Hello { node: NodeId, incarnation: Incarnation, key: ConnectionKey },
    Welcome { incarnation: Incarnation },
    Refused { by: Incarnation, is_quarantine: bool },
    User { message: Message, bytes: u64 },
    ChunkFirst { message: Message, total_bytes: u32, bytes: Vec<u8> },
    Chunk { bytes: Vec<u8> },
    Credit(Volume),
    Control { sequence: u64, body: u64 },
    ControlAck { sequence: u64 },
    Heartbeat { sent_at_ns: u64 },
    HeartbeatEcho { sent_at_ns: u64 },
}

/// When something reaches an end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    pub at_ns: u64,
    pub connection: ConnectionId,
    pub side: Side,
    pub is_end: bool,
}

#[derive(Debug, Default)]
struct Pipe {
    frames: VecDeque<(u64, Frame)>,
    last_at_ns: u64,
    is_cut: bool,
    /// The sending end was told that the connection is gone.
    is_end_told: bool,
}

#[derive(Debug)]
struct Connection {
    ends: [usize; 2],
    pipes: [Pipe; 2],
}

/// All connections that ever were.
pub struct Network {
    random: fastrand::Rng,
    connections: BTreeMap<ConnectionId, Connection>,
    next_id: ConnectionId,
    /// Nothing passes between two places before this time.
    blocked_until_ns: BTreeMap<(usize, usize), u64>,
    slowness_ns: u64,
}

impl Network {
    pub fn new(seed: u64, slowness_ns: u64) -> Network {
        Network {
            random: fastrand::Rng::with_seed(seed),
            connections: BTreeMap::new(),
            next_id: 1,
            blocked_until_ns: BTreeMap::new(),
            slowness_ns,
        }
    }

    pub fn dial(&mut self, from: usize, to: usize) -> ConnectionId {
        let id = self.next_id;
        self.next_id += 1;
        self.connections
            .insert(id, Connection { ends: [from, to], pipes: [Pipe::default(), Pipe::default()] });
        id
    }

    /// The place at an end.
    pub fn place(&self, connection: ConnectionId, side: Side) -> usize {
        self.connections[&connection].ends[side as usize]
    }

    /// Which end of a connection a place has.
    pub fn side_of(&self, connection: ConnectionId, place: usize) -> Side {
        match self.connections[&connection].ends[0] == place {
            true => Side::Initiator,
            false => Side::Responder,
        }
    }

    /// Connections of which not both directions are cut.
    pub fn open(&self) -> Vec<ConnectionId> {
        let open = self.connections.iter().filter(|(_, c)| c.pipes.iter().any(|pipe| !pipe.is_cut));
        open.map(|(id, _)| *id).collect()
    }

    pub fn block(&mut self, one: usize, other: usize, until_ns: u64) {
        let until = self.blocked_until_ns.entry((one.min(other), one.max(other))).or_default();
        *until = until_ns.max(*until);
    }

    /// Sends from one end. What is sent into a connection that is cut is lost, and the end learns it.
    pub fn send(
        &mut self,
        connection: ConnectionId,
        from: Side,
        frame: Frame,
        now_ns: u64,
    ) -> Option<Notice> {
        let at_ns = self.arrival_ns(connection, now_ns);
        let pipe = self.pipe(connection, from);
        if pipe.is_cut {
            return self.tell_end(connection, from, at_ns);
        }
        pipe.last_at_ns = at_ns.max(pipe.last_at_ns);
        let at_ns = pipe.last_at_ns;
        pipe.frames.push_back((at_ns, frame));
        Some(Notice { at_ns, connection, side: from.other(), is_end: false })
    }

    /// The next frame for an end, if it has arrived.
    pub fn take(&mut self, connection: ConnectionId, to: Side, now_ns: u64) -> Option<Frame> {
        let pipe = self.pipe(connection, to.other());
        if pipe.frames.front()?.0 > now_ns {
            return None;
        }
        pipe.frames.pop_front().map(|(_, frame)| frame)
    }

    /// One end closes the connection: it takes nothing any more; what it sent arrives, and then its end.
    pub fn close(&mut self, connection: ConnectionId, by: Side, now_ns: u64) -> Vec<Notice> {
        let at_ns = self.arrival_ns(connection, now_ns);
        let incoming = self.pipe(connection, by.other());
        incoming.is_cut = true;
        incoming.frames.clear();
        let outgoing = self.pipe(connection, by);
        outgoing.is_cut = true;
        outgoing.is_end_told = true;
        let at_ns = at_ns.max(outgoing.last_at_ns);
        self.tell_end(connection, by.other(), at_ns).into_iter().collect()
    }

    /// The connection breaks: of what is under way a prefix arrives. Each end that is in `told` learns it after a time
    /// of its own, and so does one whose frames were lost, because nobody confirms them. Another one learns it when it
    /// sends.
    pub fn cut(&mut self, connection: ConnectionId, told: &[Side], now_ns: u64) -> Vec<Notice> {
        let mut learns = told.to_vec();
        for side in [Side::Initiator, Side::Responder] {
            let under_way = self.pipe(connection, side).frames.len();
            let kept = self.random.usize(0..=under_way);
            let pipe = self.pipe(connection, side);
            pipe.frames.truncate(kept);
            pipe.is_cut = true;
            if kept < under_way {
                learns.push(side);
            }
        }
        let mut notices = Vec::new();
        for side in learns {
            let at_ns = self.arrival_ns(connection, now_ns);
            let at_ns = at_ns.max(self.pipe(connection, side.other()).last_at_ns);
            notices.extend(self.tell_end(connection, side, at_ns));
        }
        notices
    }

    /// A node dies: nothing more arrives at it, of what it sent a prefix does, and its peers learn it.
    pub fn die(&mut self, place: usize, now_ns: u64) -> Vec<Notice> {
        let mut notices = Vec::new();
        for connection in self.open() {
            let ends = self.connections[&connection].ends;
            let Some(at) = ends.iter().position(|end| *end == place) else { continue };
            let peer = if at == 0 { Side::Responder } else { Side::Initiator };
            self.pipe(connection, peer).frames.clear();
            notices.extend(self.cut(connection, &[peer], now_ns));
        }
        notices
    }

    fn tell_end(&mut self, connection: ConnectionId, side: Side, at_ns: u64) -> Option<Notice> {
        let pipe = self.pipe(connection, side);
        if std::mem::replace(&mut pipe.is_end_told, true) {
            return None;
        }
        Some(Notice { at_ns, connection, side, is_end: true })
    }

    fn arrival_ns(&mut self, connection: ConnectionId, now_ns: u64) -> u64 {
        let [a, b] = self.connections[&connection].ends;
        let blocked = self.blocked_until_ns.get(&(a.min(b), a.max(b))).copied().unwrap_or(0);
        // One in sixteen takes long.
        let most_ns =
            if self.random.u8(0..16) == 0 { 20 * self.slowness_ns } else { self.slowness_ns };
        now_ns.max(blocked) + self.random.u64(1..=most_ns)
    }

    fn pipe(&mut self, connection: ConnectionId, from: Side) -> &mut Pipe {
        let connection = self.connections.get_mut(&connection).expect("it was dialled");
        &mut connection.pipes[from as usize]
    }
}
