//! One TLS connection as a machine without sockets: ciphertext in, plaintext out, and the other way round.
//!
//! Promises: plaintext comes as the peer wrote it, in order, or not at all; the peer's word that its stream ends there
//! (close_notify) is told apart from an end without it; after a failure nothing more is decrypted or encrypted, and
//! what is left to send is the alert that tells the peer.
//!
//! Refuses: more ciphertext than may be undecided ([`UNDECIDED_LIMIT_BYTES`]), and ciphertext at all while as much
//! plaintext waits as was allowed: the caller keeps it.
//!
//! Invariants: what waits undecided is the beginning of one record or handshake message, so sending never makes
//! plaintext come; at most the allowed plaintext and that of [`UNDECIDED_LIMIT_BYTES`] waits.

use std::sync::Arc;

use mainspring::net::{STREAM_ALIGN, SendBuffer};
use mainspring::rkyv::util::AlignedVec;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, ServerConfig};

use super::failure::TlsFailure;
use super::plaintext::Plaintext;

/// Ciphertext of which it is not known yet what it says: the longest handshake message (64 KiB) in records.
pub(super) const UNDECIDED_LIMIT_BYTES: usize = 96 << 10;

/// Ciphertext is taken in pieces of so many bytes, so that little more plaintext comes than may wait.
const PIECE_BYTES: usize = 16 << 10;

/// Plaintext of one record at most (RFC 8446, section 5.1), and what its ciphertext has more.
const RECORD_BYTES: usize = 16 << 10;
const RECORD_OVERHEAD_BYTES: usize = 22;

/// An update of keys that goes before other records.
const KEY_UPDATE_BYTES: usize = 64;

/// Records that a failure leaves to be sent.
const LAST_RECORDS: usize = 4;

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// What is to be written when the connection is secured.
enum Writing<'a> {
    Nothing,
    Bytes(&'a [u8]),
    End,
}

/// How far a look at the ciphertext got.
enum Step {
    /// There may be more.
    Again,
    /// Nothing happens until more comes.
    Done,
    /// The peer's stream ends here.
    PeerFinished,
    /// The connection is secured, and what was to be written is.
    Written,
}

/// See the module's header.
pub(super) struct Session {
    side: Side,
    /// Ciphertext that was not decrypted yet.
    undecided: Vec<u8>,
    plaintext: Plaintext,
    plaintext_limit_bytes: usize,
    outgoing: AlignedVec<STREAM_ALIGN>,
    is_secured: bool,
    peer_finished: bool,
    finished: bool,
    failure: Option<TlsFailure>,
}

impl Session {
    /// The side that dialled, towards a peer whose certificate is for `name`. Its first words are to be sent.
    ///
    /// # Errors
    /// [`TlsFailure`].
    pub fn dial(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        plaintext_limit_bytes: usize,
    ) -> Result<Session, TlsFailure> {
        let side = UnbufferedClientConnection::new(config, name)
            .map_err(|error| TlsFailure::of(&error, false))?;
        let mut session = Session::new(Side::Client(side), plaintext_limit_bytes);
        session.look(Writing::Nothing)?;
        Ok(session)
    }

    /// The side that was dialled.
    ///
    /// # Errors
    /// [`TlsFailure`].
    pub fn answer(
        config: Arc<ServerConfig>,
        plaintext_limit_bytes: usize,
    ) -> Result<Session, TlsFailure> {
        let side = UnbufferedServerConnection::new(config)
            .map_err(|error| TlsFailure::of(&error, false))?;
        Ok(Session::new(Side::Server(side), plaintext_limit_bytes))
    }

    fn new(side: Side, plaintext_limit_bytes: usize) -> Session {
        Session {
            side,
            undecided: Vec::new(),
            plaintext: Plaintext::default(),
            plaintext_limit_bytes,
            outgoing: AlignedVec::new(),
            is_secured: false,
            peer_finished: false,
            finished: false,
            failure: None,
        }
    }

    /// Whether the handshake is over, so that plaintext goes both ways.
    pub fn is_secured(&self) -> bool {
        self.is_secured
    }

    /// Whether the peer has said that its stream ends behind the plaintext that is there.
    pub fn peer_finished(&self) -> bool {
        self.peer_finished
    }

    /// Whether this side has said that its stream ends.
    pub fn has_finished(&self) -> bool {
        self.finished
    }

    /// Whether ciphertext is taken: not while too much plaintext waits.
    pub fn has_room(&self) -> bool {
        self.plaintext.len() < self.plaintext_limit_bytes
    }

    /// Bytes of plaintext that may be wanted together.
    pub fn plaintext_limit_bytes(&self) -> usize {
        self.plaintext_limit_bytes
    }

    /// What has come and was not taken.
    pub fn plaintext(&self) -> &Plaintext {
        &self.plaintext
    }

    /// The plaintext, to be looked at while the session does something else. It is [put back](Self::put_back).
    pub fn lend_plaintext(&mut self) -> Plaintext {
        std::mem::take(&mut self.plaintext)
    }

    /// See [`lend_plaintext`](Self::lend_plaintext).
    pub fn put_back(&mut self, lent: Plaintext) {
        let newer = std::mem::replace(&mut self.plaintext, lent);
        self.plaintext.append(newer.view());
    }

    /// Takes ciphertext, and says how much: all, unless too much plaintext waits.
    ///
    /// # Errors
    /// [`TlsFailure`]: the connection is over, and [`take_outgoing`](Self::take_outgoing) has what the peer is told.
    pub fn receive(&mut self, ciphertext: &[u8]) -> Result<usize, TlsFailure> {
        let mut taken = 0;
        while taken < ciphertext.len() && self.has_room() {
            if let Some(failure) = self.failure {
                return Err(failure);
            }
            if self.peer_finished {
                // Whatever follows is not part of the stream.
                return Ok(ciphertext.len());
            }
            let room = UNDECIDED_LIMIT_BYTES - self.undecided.len();
            if room == 0 {
                return Err(self.fail(TlsFailure::Broken));
            }
            let piece = PIECE_BYTES.min(room).min(ciphertext.len() - taken);
            self.undecided.extend_from_slice(&ciphertext[taken..taken + piece]);
            taken += piece;
            self.look(Writing::Nothing)?;
        }
        Ok(taken)
    }

    /// The stream below has ended.
    ///
    /// # Errors
    /// [`TlsFailure`]: the peer has not said that it would.
    pub fn end_of_ciphertext(&mut self) -> Result<(), TlsFailure> {
        match (self.peer_finished, self.is_secured) {
            (true, _) => Ok(()),
            (false, true) => Err(self.fail(TlsFailure::CutOff)),
            (false, false) => Err(self.fail(TlsFailure::Left)),
        }
    }

    /// Encrypts all of `plaintext`; not before the connection is secured, nor after its end.
    ///
    /// # Errors
    /// [`TlsFailure`].
    pub fn send(&mut self, plaintext: &[u8]) -> Result<(), TlsFailure> {
        if !self.is_secured || self.finished {
            return Err(self.failure.unwrap_or(TlsFailure::Own));
        }
        if plaintext.is_empty() {
            return Ok(());
        }
        self.look(Writing::Bytes(plaintext))
    }

    /// Tells the peer that this side's stream ends here.
    pub fn finish(&mut self) {
        if !self.finished && self.is_secured && self.failure.is_none() {
            // A failure has its own last words.
            let _ = self.look(Writing::End);
        }
        self.finished = true;
    }

    /// What is to be sent to the peer now.
    pub fn take_outgoing(&mut self) -> Option<SendBuffer> {
        if self.outgoing.is_empty() {
            return None;
        }
        Some(SendBuffer::from(std::mem::take(&mut self.outgoing)))
    }

    /// Whether [`take_outgoing`](Self::take_outgoing) has something.
    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Looks at the ciphertext that is there, and writes what is to be written.
    fn look(&mut self, mut writing: Writing<'_>) -> Result<(), TlsFailure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        loop {
            let (discarded, step) = self.step(&mut writing);
            self.undecided.drain(..discarded.min(self.undecided.len()));
            match step {
                Ok(Step::Again) => {}
                Ok(Step::PeerFinished) => self.peer_finished = true,
                Ok(Step::Done) => break,
                Ok(Step::Written) => {
                    self.is_secured |= !self.is_handshaking();
                    break;
                }
                Err(failure) => return Err(self.fail(failure)),
            }
        }
        if self.undecided.is_empty() {
            self.undecided = Vec::new();
        }
        Ok(())
    }

    fn step(&mut self, writing: &mut Writing<'_>) -> (usize, Result<Step, TlsFailure>) {
        let Session { side, undecided, plaintext, outgoing, is_secured, .. } = self;
        match side {
            Side::Client(side) => {
                let status = side.process_tls_records(undecided);
                take_step(status, plaintext, outgoing, writing, *is_secured)
            }
            Side::Server(side) => {
                let status = side.process_tls_records(undecided);
                take_step(status, plaintext, outgoing, writing, *is_secured)
            }
        }
    }

    fn is_handshaking(&self) -> bool {
        match &self.side {
            Side::Client(side) => side.is_handshaking(),
            Side::Server(side) => side.is_handshaking(),
        }
    }

    /// Whether records wait to be taken as they are.
    fn has_records(&self) -> bool {
        match &self.side {
            Side::Client(side) => side.wants_write(),
            Side::Server(side) => side.wants_write(),
        }
    }

    /// Nothing more is decrypted or encrypted; the peer is to be told. The library is asked for records that it has,
    /// and for nothing else: it must not look at the ciphertext behind an error.
    fn fail(&mut self, failure: TlsFailure) -> TlsFailure {
        self.failure = Some(failure);
        for _ in 0..LAST_RECORDS {
            if !self.has_records() || self.step(&mut Writing::Nothing).1.is_err() {
                break;
            }
        }
        self.undecided = Vec::new();
        failure
    }
}

/// Plaintext that at most so many bytes of ciphertext hold, in whole records.
pub(super) fn plaintext_within(ciphertext_bytes: usize) -> usize {
    ciphertext_bytes / (RECORD_BYTES + RECORD_OVERHEAD_BYTES) * RECORD_BYTES
}

/// Does what one state of the connection asks for. How many bytes of ciphertext are done with then.
fn take_step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    plaintext: &mut Plaintext,
    outgoing: &mut AlignedVec<STREAM_ALIGN>,
    writing: &mut Writing<'_>,
    is_secured: bool,
) -> (usize, Result<Step, TlsFailure>) {
    let UnbufferedStatus { mut discard, state } = status;
    let state = match state {
        Ok(state) => state,
        Err(error) => return (discard, Err(TlsFailure::of(&error, is_secured))),
    };
    let step = match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        plaintext.append(record.payload);
                        discard += record.discard;
                    }
                    Err(error) => return (discard, Err(TlsFailure::of(&error, is_secured))),
                }
            }
            Ok(Step::Again)
        }
        ConnectionState::EncodeTlsData(mut record) => {
            let written = into_room(outgoing, 0, |room| {
                record.encode(room).map_err(|error| match error {
                    EncodeError::InsufficientSize(wanted) => Some(wanted.required_size),
                    EncodeError::AlreadyEncoded => None,
                })
            });
            written.map(|()| Step::Again)
        }
        ConnectionState::TransmitTlsData(records) => {
            records.done();
            Ok(Step::Again)
        }
        ConnectionState::WriteTraffic(traffic) => {
            write(traffic, outgoing, writing).map(|()| Step::Written)
        }
        ConnectionState::PeerClosed => Ok(Step::PeerFinished),
        ConnectionState::BlockedHandshake | ConnectionState::Closed => Ok(Step::Done),
        // Nobody is offered to send before its handshake is over.
        ConnectionState::ReadEarlyData(_) => Err(TlsFailure::Broken),
        _ => Err(TlsFailure::Own),
    };
    (discard, step)
}

fn write<Data>(
    mut traffic: WriteTraffic<'_, Data>,
    outgoing: &mut AlignedVec<STREAM_ALIGN>,
    writing: &mut Writing<'_>,
) -> Result<(), TlsFailure> {
    let wanted = |error| match error {
        EncryptError::InsufficientSize(wanted) => Some(wanted.required_size),
        EncryptError::EncryptExhausted => None,
    };
    match std::mem::replace(writing, Writing::Nothing) {
        Writing::Nothing => Ok(()),
        Writing::Bytes(bytes) => {
            let records = bytes.len().div_ceil(RECORD_BYTES);
            let room = bytes.len() + records * RECORD_OVERHEAD_BYTES + KEY_UPDATE_BYTES;
            into_room(outgoing, room, |room| traffic.encrypt(bytes, room).map_err(wanted))
        }
        Writing::End => into_room(outgoing, KEY_UPDATE_BYTES, |room| {
            traffic.queue_close_notify(room).map_err(wanted)
        }),
    }
}

/// Has `fill` write behind what is to be sent, into this much room or as much as it says that it wants.
fn into_room(
    outgoing: &mut AlignedVec<STREAM_ALIGN>,
    room_bytes: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), TlsFailure> {
    let before = outgoing.len();
    let mut room_bytes = room_bytes;
    // A second time if the first says how much room is wanted.
    for _ in 0..2 {
        outgoing.resize(before + room_bytes, 0);
        match fill(&mut outgoing[before..]) {
            Ok(written) => {
                outgoing.resize(before + written, 0);
                return Ok(());
            }
            Err(Some(wanted_bytes)) => room_bytes = wanted_bytes,
            Err(None) => break,
        }
    }
    outgoing.resize(before, 0);
    Err(TlsFailure::Own)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
