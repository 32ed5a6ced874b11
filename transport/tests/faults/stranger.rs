//! A peer made by hand: raw bytes, or a handshake and then anything.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use mainspring_transport::handshake::{
    Dialled, Handshake, HandshakeError, Keys, LocalNode, Peer, RefusalReason,
};
use mainspring_transport::wire::Lane;

use crate::log::Mark;
use crate::{Outcome, PATIENCE};

/// More than a node says to anybody here.
const HEARD_LIMIT_BYTES: usize = 1 << 20;

/// A connection to a node.
pub struct Stranger {
    stream: TcpStream,
    /// Its own address, as the node's log has it.
    address: SocketAddr,
    since: Mark,
}

/// How a node's handshake with a stranger ended.
#[derive(Debug)]
pub enum Greeted {
    /// The stranger is in.
    In(Box<Peer>),
    /// It is not, and was told why.
    Refused(RefusalReason),
    /// The node has closed the connection without a word.
    Closed,
}

/// The control lane.
pub const CONTROL: Dialled = Dialled { lane: Lane::Control, index: 0, expected_incarnation: 0 };

/// The first connection for messages.
pub const ORDINARY: Dialled = Dialled { lane: Lane::Ordinary, index: 0, expected_incarnation: 0 };

/// A node of one core that is there only on paper.
pub fn somebody(name: &str, number: u32) -> LocalNode {
    LocalNode::new("mainspring", name, u128::from(number) << 64 | 0xFA, 0xFA00_0000 | number, 1)
}

/// The first message of somebody who dials.
pub fn hello_of(local: LocalNode, keys: Keys) -> Outcome<(Handshake, Vec<u8>)> {
    Ok(Handshake::initiate(local, CONTROL, keys, random_nonce(), 0)?)
}

fn random_nonce() -> [u8; 32] {
    std::array::from_fn(|_| fastrand::u8(..))
}

impl Stranger {
    pub fn new(to: SocketAddr) -> Outcome<Stranger> {
        let since = Mark::now();
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let address = stream.local_addr()?;
        Ok(Stranger { stream, address, since })
    }

    /// The one line in the log about this connection with all of these words, as soon as it is there.
    pub fn line_with(&self, words: &[&str]) -> String {
        let address = format!("peer={} ", self.address);
        self.since.line_with(&[&[address.as_str()], words].concat())
    }

    /// Sends bytes. A node that has closed already does not take them, which is seen in [`rest`](Self::rest).
    pub fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Ends the connection.
    pub fn hang_up(&self) -> Outcome {
        Ok(self.stream.shutdown(Shutdown::Both)?)
    }

    /// The next bytes that the node says.
    pub fn hear<const BYTES: usize>(&mut self) -> Outcome<[u8; BYTES]> {
        let mut heard = [0; BYTES];
        self.stream.read_exact(&mut heard)?;
        Ok(heard)
    }

    /// All that the node still says until it ends the connection, which it must.
    pub fn rest(&mut self) -> Outcome<Vec<u8>> {
        let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(heard),
                Ok(more) => heard.extend_from_slice(&buffer[..more]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(heard),
                Err(error) => return Err(error.into()),
            }
            assert!(heard.len() < HEARD_LIMIT_BYTES, "it goes on and on");
        }
    }

    /// Goes through the handshake as far as the node lets it.
    pub fn greet(&mut self, local: LocalNode, dialled: Dialled, keys: Keys) -> Outcome<Greeted> {
        let begun = Handshake::initiate(local, dialled, keys, random_nonce(), 0)?;
        let (mut handshake, hello) = begun;
        self.say(&hello);
        let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let more = match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(Greeted::Closed),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Ok(Greeted::Closed);
                }
                more => more?,
            };
            heard.extend_from_slice(&buffer[..more]);
            let progress = match handshake.receive(&heard, 1, &mut |_| Ok(())) {
                Err(HandshakeError::RefusedByPeer { reason, .. }) => {
                    return Ok(Greeted::Refused(reason));
                }
                progress => progress?,
            };
            self.say(&progress.to_send);
            heard.drain(..progress.consumed_bytes);
            if let Some(peer) = progress.peer {
                return Ok(Greeted::In(peer));
            }
        }
    }
}
