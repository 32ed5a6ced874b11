//! One socket as its device sees it: what is to be told, and what was asked for.

use std::net::SocketAddr;

use mainspring::net::{CloseCause, ListenerId, SendBuffer, SendFailed, SocketError};

use super::received::ReceivedBytes;

/// Something that is done once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    No,
    Due,
    Done,
}

pub(super) enum Announce {
    Accepted(ListenerId, SocketAddr),
    Connected,
}

/// How a socket leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Close(CloseCause),
    ConnectFailed(SocketError),
    Detach,
}

pub(super) struct Sending {
    pub buffer: SendBuffer,
    pub done_bytes: usize,
}

/// See the module's header.
pub(super) struct Socket {
    pub owner: usize,
    /// The stream and the side of it, as long as the socket has one.
    pub stream: Option<(u64, usize)>,
    pub is_connecting: bool,
    pub received: ReceivedBytes,
    pub receive_bytes: usize,
    /// How many bytes of the stream were taken.
    pub position: u64,
    /// How many bytes must be held before the handler is called.
    needed: usize,
    /// How many of the held bytes the handler has seen.
    shown: usize,
    pub is_paused: bool,
    pub peer_finished: Told,
    pub announce: Option<Announce>,
    pub sending: Option<Sending>,
    pub sent: Option<(SendBuffer, Result<(), SendFailed>)>,
    pub finish: Told,
    pub ending: Option<Ending>,
    /// A handler looks at its bytes.
    pub is_lent: bool,
    /// It is in the list of its owner.
    pub is_listed: bool,
}

impl Socket {
    pub fn new(owner: usize, stream: (u64, usize), receive_bytes: usize) -> Socket {
        Socket {
            owner,
            stream: Some(stream),
            is_connecting: false,
            received: ReceivedBytes::at(0),
            receive_bytes,
            position: 0,
            needed: 1,
            shown: 0,
            is_paused: false,
            peer_finished: Told::No,
            announce: None,
            sending: None,
            sent: None,
            finish: Told::No,
            ending: None,
            is_lent: false,
            is_listed: false,
        }
    }

    /// Begins to leave. One that leaves in good order already may still fail.
    pub fn end(&mut self, ending: Ending) {
        let in_order =
            matches!(self.ending, Some(Ending::Close(CloseCause::Closed) | Ending::Detach));
        let fails = matches!(ending, Ending::Close(cause) if cause != CloseCause::Closed);
        if self.ending.is_none() || (in_order && fails) {
            self.ending = Some(ending);
        }
        if !self.leaves_in_order() {
            self.drop_send();
        }
    }

    pub fn leaves_in_order(&self) -> bool {
        matches!(self.ending, Some(Ending::Close(CloseCause::Closed) | Ending::Detach))
    }

    pub fn has_news(&self) -> bool {
        self.announce.is_some()
            || self.sent.is_some()
            || self.may_show()
            || self.may_tell_end_of_stream()
            || self.is_over()
    }

    pub fn may_show(&self) -> bool {
        let open = matches!(self.ending, None | Some(Ending::Close(CloseCause::Failed(_))));
        let held = self.received.len();
        let enough = held >= self.needed || (self.peer_finished != Told::No && held > self.shown);
        open && !self.is_paused && !self.is_lent && held > 0 && enough
    }

    pub fn may_tell_end_of_stream(&self) -> bool {
        self.peer_finished == Told::Due && !self.is_paused && self.ending.is_none()
    }

    pub fn is_over(&self) -> bool {
        self.ending.is_some() && !self.is_lent && self.sending.is_none()
    }

    /// Bytes that it has room for.
    pub fn room_bytes(&self) -> usize {
        let takes =
            self.ending.is_none() && !self.is_paused && !self.is_lent && !self.is_connecting;
        if takes { self.receive_bytes.saturating_sub(self.received.len()) } else { 0 }
    }

    /// The handler was shown `bytes` and is done with `taken`; it wants so many more together.
    pub fn took(&mut self, bytes: usize, taken: usize, wanted: usize) {
        let taken = taken.min(bytes);
        self.received.take(taken);
        self.position += taken as u64;
        self.shown = bytes - taken;
        // A handler that takes nothing is not shown the same again.
        let moves_on = taken > 0 && wanted > 0;
        self.needed = if moves_on { wanted } else { wanted.max(self.shown + 1) };
        let saw_everything = self.peer_finished != Told::No && self.shown == self.received.len();
        if self.needed > self.receive_bytes && !self.is_paused && !saw_everything {
            let (wanted_bytes, limit_bytes) = (self.needed, self.receive_bytes);
            self.end(Ending::Close(CloseCause::ReceiveMemory { wanted_bytes, limit_bytes }));
        }
    }

    pub fn resume(&mut self) {
        self.is_paused = false;
        (self.needed, self.shown) = (1, 0);
    }

    /// Goes on with a stream whose bytes before `position` were taken elsewhere.
    pub fn continues(&mut self, unread: &[u8], position: u64, peer_finished: bool) {
        self.received = ReceivedBytes::at(position);
        self.received.append(unread);
        self.position = position;
        if peer_finished {
            self.peer_finished = Told::Due;
        }
    }

    /// The send in flight comes to nothing more.
    fn drop_send(&mut self) {
        let Some(Sending { buffer, done_bytes }) = self.sending.take() else { return };
        let error = match self.ending {
            Some(Ending::Close(CloseCause::Failed(error))) => error,
            _ => SocketError::Aborted,
        };
        self.sent = Some((buffer, Err(SendFailed { sent_bytes: done_bytes, error })));
    }
}
