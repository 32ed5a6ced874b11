//! One handshake, from the first byte to the agreement or the refusal.
//!
//! Invariants: what is known of other nodes is asked for once, with a greeting whose sender was authenticated where
//! this node has a key; the responder computes a proof only for an initiator that has given a right one; after an
//! error or the end no byte is taken any more.

use super::error::HandshakeError;
use super::hello::{FORMAT_FINGERPRINT, Hello, NONCE_BYTES};
use super::key::Keys;
use super::local_node::{Dialled, LocalNode, LocalNodeError};
use super::message::{self, Kind, NoMessage, Step};
use super::peer::Peer;
use super::refusal::RefusalReason;
use super::version::{Version, VersionRange};
use crate::wire::fields::{is_zero, put, u16_at, u64_at};

/// How long a handshake may take from its beginning.
pub const DEADLINE_NS: u64 = 5_000_000_000;

const WELCOME_BYTES: usize = 16;

/// Asked about a peer: whether what this node knows of other nodes speaks against it.
type Verdict<'a> = &'a mut dyn FnMut(&Hello) -> Result<(), RefusalReason>;

/// Which end of a connection a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It dialled.
    Initiator,
    /// It was dialled.
    Responder,
}

/// One handshake.
///
/// ```
/// use mainspring_transport::handshake::{Dialled, Handshake, Keys, LocalNode};
/// use mainspring_transport::wire::Lane;
///
/// let dialled = Dialled { lane: Lane::Control, index: 0, expected_incarnation: 0 };
/// let (one, two) = (LocalNode::new("bank", "one", 1, 11, 4), LocalNode::new("bank", "two", 2, 22, 4));
/// // In earnest: 32 bytes from the operating system.
/// let (mut initiator, hello) = Handshake::initiate(one, dialled, Keys::NONE, [1; 32], 0)?;
/// let mut responder = Handshake::respond(two, Keys::NONE, [2; 32], 0)?;
///
/// let mut anyone = |_: &_| Ok(());
/// let hello = responder.receive(&hello, 10, &mut anyone)?.to_send;
/// let welcome = initiator.receive(&hello, 20, &mut anyone)?;
/// assert_eq!(welcome.peer.expect("the initiator is done").name, "two");
/// let peer = responder.receive(&welcome.to_send, 30, &mut anyone)?.peer;
/// assert_eq!(peer.expect("so is the responder").incarnation, 11);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    local: LocalNode,
    keys: Keys,
    nonce: [u8; NONCE_BYTES],
    /// What the initiator wants; a responder learns it from the greeting.
    dialled: Option<Dialled>,
    deadline_ns: u64,
    /// Every byte of the handshake that is to be proved.
    transcript: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitHello,
    AwaitProof { peer: Hello, version: Version },
    AwaitWelcome { peer: Hello, version: Version },
    Done,
    Failed(HandshakeError),
}

/// What became of received bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// So many of the bytes were taken. The rest is to be shown again, with more behind it; when the handshake is
    /// over, it is frames.
    pub consumed_bytes: usize,
    /// There is nothing to do before so many bytes are there behind those that were taken; 0 when the handshake is
    /// over.
    pub wanted_bytes: usize,
    /// To be sent now.
    pub to_send: Vec<u8>,
    /// The other end, when the handshake is over. What it says of itself must be compared once more with what is
    /// known of other nodes: other handshakes may have ended since the verdict was asked for.
    pub peer: Option<Box<Peer>>,
}

impl Role {
    /// What a proof begins with. Both have the same length, and neither is the other's.
    pub(super) const fn words(self) -> &'static [u8; 16] {
        match self {
            Role::Initiator => b"initiator proves",
            Role::Responder => b"responder proves",
        }
    }
}

impl Handshake {
    /// Begins the handshake of a connection that this node has dialled; the bytes are to be sent. `nonce` must be
    /// fresh random bytes.
    ///
    /// # Errors
    ///
    /// [`LocalNodeError`] if `local` is not what a node can say of itself.
    pub fn initiate(
        local: LocalNode,
        dialled: Dialled,
        keys: Keys,
        nonce: [u8; NONCE_BYTES],
        now_ns: u64,
    ) -> Result<(Handshake, Vec<u8>), LocalNodeError> {
        let mut handshake = Handshake::new(Role::Initiator, local, keys, nonce, now_ns)?;
        let hello = handshake.greet(dialled);
        handshake.dialled = Some(dialled);
        Ok((handshake, hello))
    }

    /// Begins the handshake of a connection that this node has accepted. `nonce` must be fresh random bytes.
    ///
    /// # Errors
    ///
    /// [`LocalNodeError`] if `local` is not what a node can say of itself.
    pub fn respond(
        local: LocalNode,
        keys: Keys,
        nonce: [u8; NONCE_BYTES],
        now_ns: u64,
    ) -> Result<Handshake, LocalNodeError> {
        Handshake::new(Role::Responder, local, keys, nonce, now_ns)
    }

    /// Takes bytes of the peer, which begin where the last call left off.
    ///
    /// `verdict` is asked at most once in a handshake, whether what this node knows of other nodes speaks against
    /// the peer: an incarnation that is older, quarantined or another node's, or too many nodes. It must change
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] says why the connection cannot be; send its [`answer`](HandshakeError::answer) and close
    /// the connection. Every later call says the same.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now_ns: u64,
        verdict: Verdict<'_>,
    ) -> Result<Progress, HandshakeError> {
        self.tick(now_ns)?;
        let progress = self.advance(bytes, verdict);
        if let Err(error) = &progress {
            self.state = State::Failed(error.clone());
        }
        progress
    }

    /// Looks whether the handshake takes too long. To be called at [`deadline_ns`](Self::deadline_ns).
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] with [`RefusalReason::TooSlow`] if it does, and the error of an earlier call.
    pub fn tick(&mut self, now_ns: u64) -> Result<(), HandshakeError> {
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            State::Done => Ok(()),
            _ if now_ns < self.deadline_ns => Ok(()),
            waiting => {
                let due = match waiting {
                    State::AwaitHello => "its hello",
                    State::AwaitProof { .. } => "its proof",
                    _ => "its welcome",
                };
                let seconds = DEADLINE_NS / 1_000_000_000;
                let detail = format!("{due} did not come within {seconds} seconds");
                let error = HandshakeError::refused(RefusalReason::TooSlow, detail);
                self.state = State::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// When the handshake must be over.
    pub const fn deadline_ns(&self) -> u64 {
        self.deadline_ns
    }

    fn new(
        role: Role,
        local: LocalNode,
        keys: Keys,
        nonce: [u8; NONCE_BYTES],
        now_ns: u64,
    ) -> Result<Handshake, LocalNodeError> {
        local.check()?;
        let deadline_ns = now_ns.saturating_add(DEADLINE_NS);
        let (transcript, state) = (Vec::new(), State::AwaitHello);
        Ok(Handshake { role, local, keys, nonce, dialled: None, deadline_ns, transcript, state })
    }

    fn advance(&mut self, bytes: &[u8], verdict: Verdict<'_>) -> Result<Progress, HandshakeError> {
        let mut progress = Progress::default();
        while !matches!(self.state, State::Done) {
            let rest = &bytes[progress.consumed_bytes..];
            match message::read(rest).map_err(no_message)? {
                Step::Need(bytes) => {
                    progress.wanted_bytes = bytes;
                    break;
                }
                Step::Message { kind, body, bytes } => {
                    progress.consumed_bytes += bytes.len();
                    let answer = &mut progress.to_send;
                    progress.peer = self.take(kind, body, bytes, verdict, answer)?;
                }
            }
        }
        Ok(progress)
    }

    fn take(
        &mut self,
        kind: Kind,
        body: &[u8],
        bytes: &[u8],
        verdict: Verdict<'_>,
        answer: &mut Vec<u8>,
    ) -> Result<Option<Box<Peer>>, HandshakeError> {
        let state = std::mem::replace(&mut self.state, State::Done);
        match (state, kind) {
            (_, Kind::Refused) => Err(refused_by_peer(body)),
            (State::AwaitHello, Kind::Hello) => self.take_hello(body, bytes, verdict, answer),
            (State::AwaitProof { peer, version }, Kind::Proof) => {
                self.take_proof(peer, version, body, bytes, answer, verdict)
            }
            (State::AwaitWelcome { peer, version }, Kind::Welcome) => {
                check_welcome(body, version, peer.features & self.local.features)?;
                Ok(Some(self.finish(peer, version)))
            }
            (_, kind) => Err(malformed(format!("a {kind:?} that was not due"))),
        }
    }

    fn take_hello(
        &mut self,
        body: &[u8],
        bytes: &[u8],
        verdict: Verdict<'_>,
        answer: &mut Vec<u8>,
    ) -> Result<Option<Box<Peer>>, HandshakeError> {
        let version = self.common_version(body)?;
        let peer = Hello::read(body).map_err(malformed)?;
        self.check_hello(&peer)?;
        self.transcript.extend_from_slice(bytes);
        if self.keys.is_empty() {
            verdict(&peer).map_err(|reason| refused_by_verdict(reason, &peer))?;
        }
        match self.role {
            Role::Responder => {
                let Hello { lane, index, incarnation, .. } = peer;
                answer.extend(self.greet(Dialled {
                    lane,
                    index,
                    expected_incarnation: incarnation,
                }));
                self.state = if self.keys.is_empty() {
                    State::AwaitWelcome { peer, version }
                } else {
                    State::AwaitProof { peer, version }
                };
                Ok(None)
            }
            Role::Initiator => match self.keys.first() {
                Some(key) => {
                    let proof = key.proof(Role::Initiator, &self.transcript);
                    let message = Kind::Proof.message(proof.as_bytes());
                    self.transcript.extend_from_slice(&message);
                    answer.extend(message);
                    self.state = State::AwaitProof { peer, version };
                    Ok(None)
                }
                None => Ok(Some(self.welcome(peer, version, answer))),
            },
        }
    }

    fn take_proof(
        &mut self,
        peer: Hello,
        version: Version,
        body: &[u8],
        bytes: &[u8],
        answer: &mut Vec<u8>,
        verdict: Verdict<'_>,
    ) -> Result<Option<Box<Peer>>, HandshakeError> {
        let proof = body.try_into().map_err(|_| malformed("a proof of another length"))?;
        let key = match self.role {
            Role::Responder => self.keys.proved(Role::Initiator, &self.transcript, proof),
            // The responder answers with the key that the initiator has proved to hold.
            Role::Initiator => self
                .keys
                .first()
                .filter(|key| key.accepts(Role::Responder, &self.transcript, proof)),
        };
        let wrong = || HandshakeError::refused(RefusalReason::ProofWrong, "its proof is wrong");
        let key = key.ok_or_else(wrong)?;
        verdict(&peer).map_err(|reason| refused_by_verdict(reason, &peer))?;
        match self.role {
            Role::Responder => {
                self.transcript.extend_from_slice(bytes);
                let proof = key.proof(Role::Responder, &self.transcript);
                answer.extend(Kind::Proof.message(proof.as_bytes()));
                self.state = State::AwaitWelcome { peer, version };
                Ok(None)
            }
            Role::Initiator => Ok(Some(self.welcome(peer, version, answer))),
        }
    }

    /// The own greeting, which is to be proved with everything else.
    fn greet(&mut self, dialled: Dialled) -> Vec<u8> {
        let has_key = !self.keys.is_empty();
        let hello = Hello::of(&self.local, dialled, has_key, self.nonce).message();
        self.transcript.extend_from_slice(&hello);
        hello
    }

    /// The last word of an initiator.
    fn welcome(&mut self, peer: Hello, version: Version, answer: &mut Vec<u8>) -> Box<Peer> {
        let mut body = [0; WELCOME_BYTES];
        put(&mut body, 0, &version.code().to_le_bytes());
        put(&mut body, 8, &(peer.features & self.local.features).to_le_bytes());
        answer.extend(Kind::Welcome.message(&body));
        self.finish(peer, version)
    }

    fn finish(&mut self, peer: Hello, version: Version) -> Box<Peer> {
        self.state = State::Done;
        self.transcript = Vec::new();
        Box::new(Peer::of(peer, &self.local, self.role, version))
    }

    fn common_version(&self, body: &[u8]) -> Result<Version, HandshakeError> {
        let theirs =
            Hello::versions_in(body).ok_or_else(|| malformed("a hello without versions"))?;
        let ours: VersionRange = self.local.versions;
        ours.common(theirs).ok_or_else(|| {
            let detail = format!("this node speaks {ours}, the peer {theirs}");
            HandshakeError::refused(RefusalReason::Version, detail)
        })
    }

    /// What a greeting proves wrong by itself, whoever has sent it.
    fn check_hello(&self, peer: &Hello) -> Result<(), HandshakeError> {
        let local = &self.local;
        let (reason, detail) = if peer.format != FORMAT_FINGERPRINT {
            let detail = format!("{:016x} here, {:016x} there", FORMAT_FINGERPRINT, peer.format);
            (RefusalReason::Format, detail)
        } else if peer.system != local.system {
            (RefusalReason::System, format!("{:?} here, {:?} there", local.system, peer.system))
        } else if peer.node_id == local.node_id {
            (RefusalReason::SelfConnect, format!("node id {:032x}", peer.node_id))
        } else if peer.incarnation == local.incarnation {
            (RefusalReason::DuplicateIncarnation, format!("{:08x} on both", peer.incarnation))
        } else if ![0, local.incarnation].contains(&peer.expected_incarnation) {
            let (theirs, ours) = (peer.expected_incarnation, local.incarnation);
            (RefusalReason::OtherIncarnation, format!("{theirs:08x} expected, {ours:08x} is here"))
        } else if self.keys.is_empty() && peer.has_key {
            (RefusalReason::KeyNotWanted, "only the peer has a key".to_owned())
        } else if !self.keys.is_empty() && !peer.has_key {
            (RefusalReason::KeyWanted, "only the peer has no key".to_owned())
        } else {
            return self.check_dialled(peer);
        };
        Err(HandshakeError::Refused { reason, detail })
    }

    /// Whether the node that answers is the one that was dialled, for what it was dialled for.
    fn check_dialled(&self, peer: &Hello) -> Result<(), HandshakeError> {
        let Some(Dialled { lane, index, expected_incarnation }) = self.dialled else {
            return Ok(());
        };
        if (peer.lane, peer.index) != (lane, index) {
            return Err(malformed("an answer for another connection"));
        }
        if ![0, peer.incarnation].contains(&expected_incarnation) {
            let detail =
                format!("{expected_incarnation:08x} expected, it is {:08x}", peer.incarnation);
            return Err(HandshakeError::refused(RefusalReason::OtherIncarnation, detail));
        }
        Ok(())
    }
}

fn no_message(fault: NoMessage) -> HandshakeError {
    match fault {
        NoMessage::Garbage => HandshakeError::Garbage,
        NoMessage::Malformed(detail) => malformed(detail),
    }
}

fn malformed(detail: impl Into<String>) -> HandshakeError {
    HandshakeError::refused(RefusalReason::Malformed, detail)
}

fn refused_by_verdict(reason: RefusalReason, peer: &Hello) -> HandshakeError {
    let detail = format!("node {:032x}, incarnation {:08x}", peer.node_id, peer.incarnation);
    HandshakeError::refused(reason, detail)
}

fn refused_by_peer(body: &[u8]) -> HandshakeError {
    let (code, text) = body.split_first().unwrap_or((&0, &[]));
    let text = &text[..text.len().min(super::refusal::REFUSAL_TEXT_LIMIT_BYTES)];
    let text = String::from_utf8_lossy(text).into_owned();
    HandshakeError::RefusedByPeer { reason: RefusalReason::from_code(*code), text }
}

fn check_welcome(body: &[u8], version: Version, features: u64) -> Result<(), HandshakeError> {
    let agreed = body.len() == WELCOME_BYTES
        && u16_at(body, 0) == version.code()
        && is_zero(&body[2..8])
        && u64_at(body, 8) == features;
    if agreed { Ok(()) } else { Err(malformed("a welcome to something else than was agreed")) }
}
