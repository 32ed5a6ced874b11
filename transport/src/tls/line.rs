//! What is known of one secured socket, and what comes next for it.
//!
//! Invariant: while a line is open, at most one send of the device above and one of the sockets below are under way.

use std::net::SocketAddr;

use mainspring::net::{CloseCause, ListenerId, SendBuffer};

use super::failure::TlsFailure;
use super::plaintext::Plaintext;
use super::session::Session;

/// How a connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Dialled,
    Accepted(ListenerId),
    Adopted,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The connection below is not there yet.
    Connecting,
    /// The handshake is under way, and the device above knows of nothing.
    Securing,
    Open,
    /// On its way to another core.
    Leaving,
    /// The device above wants no more of it: what was to be sent is sent, and the end is told.
    Closing,
    /// Over for the device above. The peer gets the alert that says why.
    Lingering,
}

/// A send of the sockets below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flight {
    None,
    /// Of the handshake, an alert, an update of keys.
    Own,
    /// With the end of the send that the device above waits for.
    WithHeld,
}

/// What the device above is to be told.
pub(super) enum News {
    /// The connection is there.
    Secured(Origin, Option<SocketAddr>),
    /// Bytes, to be [put back](Line::took).
    Bytes(Plaintext),
    /// An empty send is done.
    Sent(SendBuffer),
    /// The connection cannot go on.
    Failed(TlsFailure),
    PeerFinished,
}

/// See the module's header.
pub(super) struct Line {
    pub session: Session,
    pub origin: Origin,
    pub peer: Option<SocketAddr>,
    pub stage: Stage,
    pub flight: Flight,
    /// The plaintext of the send that the device above waits for.
    pub held: Option<SendBuffer>,
    pub paused: bool,
    pub below_paused: bool,
    pub finishing: bool,
    /// The sockets below were told to finish, to close or to detach.
    pub below_ends: bool,
    pub below_peer_finished: bool,
    pub deadline_ns: Option<u64>,
    /// To be told when what came before was.
    pub doomed: Option<TlsFailure>,
    told_peer_finished: bool,
    /// Bytes there must be before the device above is called.
    needed: usize,
    /// Bytes that it has seen and not taken.
    shown: usize,
}

impl Line {
    pub fn new(session: Session, origin: Origin, peer: Option<SocketAddr>, stage: Stage) -> Line {
        Line {
            session,
            origin,
            peer,
            stage,
            flight: Flight::None,
            held: None,
            paused: false,
            below_paused: false,
            finishing: false,
            below_ends: false,
            below_peer_finished: false,
            deadline_ns: None,
            doomed: None,
            told_peer_finished: false,
            needed: 1,
            shown: 0,
        }
    }

    /// Whether the device above has it and may do something with it.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// What is next to be told, if anything.
    pub fn next_news(&mut self) -> Option<News> {
        if self.stage == Stage::Securing && self.session.is_secured() {
            self.stage = Stage::Open;
            return Some(News::Secured(self.origin, self.peer));
        }
        let is_sent = self.flight == Flight::None && !self.session.has_outgoing();
        if is_sent
            && self.stage != Stage::Lingering
            && let Some(held) = self.held.take()
        {
            return Some(News::Sent(held));
        }
        if self.may_show() {
            return Some(News::Bytes(self.session.lend_plaintext()));
        }
        if let Some(failure) = self.doomed.take() {
            return Some(News::Failed(failure));
        }
        if self.may_tell_end() {
            self.told_peer_finished = true;
            return Some(News::PeerFinished);
        }
        None
    }

    /// The device above was shown `bytes` and is done with `taken`; it wants so many more together.
    ///
    /// # Errors
    /// It wants more than may be held.
    pub fn took(&mut self, bytes: usize, taken: usize, wanted: usize) -> Result<(), CloseCause> {
        let taken = taken.min(bytes);
        self.shown = bytes - taken;
        // Who takes nothing is not shown the same again.
        let moves_on = taken > 0 && wanted > 0;
        self.needed = if moves_on { wanted } else { wanted.max(self.shown + 1) };
        let limit_bytes = self.session.plaintext_limit_bytes();
        let saw_everything = self.session.peer_finished();
        if self.needed > limit_bytes && !self.paused && !saw_everything && self.is_open() {
            return Err(CloseCause::ReceiveMemory { wanted_bytes: self.needed, limit_bytes });
        }
        Ok(())
    }

    pub fn resume(&mut self) {
        self.paused = false;
        (self.needed, self.shown) = (1, 0);
    }

    /// Whether the sockets below are to hold bytes back.
    pub fn holds_back(&self) -> bool {
        match self.stage {
            Stage::Open => self.paused || !self.session.has_room(),
            Stage::Leaving => true,
            _ => false,
        }
    }

    fn may_show(&self) -> bool {
        let held = self.session.plaintext().len();
        let enough = held >= self.needed || (self.session.peer_finished() && held > self.shown);
        self.is_open() && !self.paused && held > 0 && enough
    }

    fn may_tell_end(&self) -> bool {
        self.is_open() && !self.paused && self.session.peer_finished() && !self.told_peer_finished
    }
}
