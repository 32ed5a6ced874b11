//! Sockets as a device of a core sees them: stream connections that complete, and never block.
//!
//! A device asks the core's [`Network`] for [`Sockets`] of its own and keeps them. It starts what it wants, and once
//! per poll it calls [`Sockets::poll`] with a [`SocketHandler`], which is told what has become of it. Behind the trait
//! stands the driver of a host, which does this on the core's io_uring, or the network of a simulation.
//!
//! Promises:
//! - **Life of a socket.** The first that a handler hears of a socket is [`accepted`](SocketHandler::accepted) or
//!   [`connected`](SocketHandler::connected), except for one that was [adopted](Sockets::adopt), which is there at
//!   once; the last is [`closed`](SocketHandler::closed), [`connect_failed`](SocketHandler::connect_failed) or
//!   [`detached`](SocketHandler::detached), exactly one of them. From then on its [`SocketId`] means nothing, to the
//!   end of the core: calls with it do nothing, and [`Sockets::send`] gives the bytes back.
//! - **Receiving.** Bytes come in order, each exactly once unless they were not taken, and as one contiguous view. Byte
//!   k of the stream, counted from the first byte of the connection, lies at an address congruent to k modulo
//!   [`STREAM_ALIGN`]. So what starts at a multiple of 16 in the stream can be read where it lies.
//! - **Sending.** One send at a time for each socket. Its buffer is the driver's until
//!   [`sent`](SocketHandler::sent) gives it back, which happens once for every send that was accepted, before the
//!   socket's last event.
//! - **Backpressure.** What a handler does not take waits in memory that is bounded for each socket; then the driver
//!   stops receiving, and the sender is held up by the stream's own flow control.
//!
//! Refuses: datagrams, names instead of addresses, and timers: whoever wants a deadline has one of its own and calls
//! [`Sockets::abort`]. A layer that stands between a device and its sockets may have deadlines: it hears the time by
//! [`Sockets::tick`].
//!
//! Invariants: a handler is called from [`Sockets::poll`] alone, with sockets of that device alone. It may call
//! everything in [`Sockets`] but `poll`, which does nothing then.

mod send_buffer;
mod settings;

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

pub use send_buffer::SendBuffer;
pub use settings::{
    DEFAULT_BACKLOG, DEFAULT_RECEIVE_BYTES, LEAST_RECEIVE_BYTES, ListenOptions, MOST_RECEIVE_BYTES,
    SocketOptions,
};

/// What is at a multiple of this in the stream is at a multiple of this in memory.
pub const STREAM_ALIGN: usize = 16;

/// One connection, from its start to its last event. Two sockets of a core never have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId {
    slot: u32,
    generation: u32,
}

/// One listener, until it is [stopped](Sockets::stop_listening).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId {
    slot: u32,
    generation: u32,
}

macro_rules! slot_and_generation {
    ($id:ident) => {
        impl $id {
            /// For drivers: the id of what is in a slot, in one generation of that slot.
            pub const fn new(slot: u32, generation: u32) -> Self {
                $id { slot, generation }
            }

            /// The slot: a small number, used again. For tables.
            pub const fn slot(self) -> u32 {
                self.slot
            }

            /// Which use of the slot this is.
            pub const fn generation(self) -> u32 {
                self.generation
            }
        }
    };
}

slot_and_generation!(SocketId);
slot_and_generation!(ListenerId);

/// Where the devices of a core get their sockets. A node leaves one on every core, and a simulation with a network
/// does too: [`Seat::shared`](crate::device::Seat::shared) finds it.
pub struct Network {
    open: Box<dyn Fn() -> Rc<dyn Sockets>>,
}

impl Network {
    /// For drivers: a network that makes sockets for a device with `open`.
    pub fn new(open: impl Fn() -> Rc<dyn Sockets> + 'static) -> Network {
        Network { open: Box::new(open) }
    }

    /// Sockets of one device. What happens to them is told to whoever polls this handle, and to nobody else.
    pub fn sockets(&self) -> Rc<dyn Sockets> {
        (self.open)()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

/// The sockets of one device. None of the calls waits for anything.
pub trait Sockets {
    /// Listens on an address; also says which address it is, for a port of 0. Connections are accepted from now on.
    ///
    /// # Errors
    /// [`ListenError`]; nothing is left open.
    fn listen(
        &self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> Result<(ListenerId, SocketAddr), ListenError>;

    /// Accepts no more. Connections that were not announced yet are closed.
    fn stop_listening(&self, listener: ListenerId);

    /// Begins a connection. [`connected`](SocketHandler::connected) or
    /// [`connect_failed`](SocketHandler::connect_failed) says how that went; until then nothing can be sent.
    ///
    /// # Errors
    /// [`ConnectRefused`]; nothing was begun.
    fn connect(&self, to: SocketAddr, options: SocketOptions) -> Result<SocketId, ConnectRefused>;

    /// Sends all of a buffer's bytes. [`sent`](SocketHandler::sent) gives the buffer back when all of them are with
    /// the kernel, or when no more will be.
    ///
    /// # Errors
    /// [`SendRefused`] with the buffer; nothing was sent.
    fn send(&self, socket: SocketId, bytes: SendBuffer) -> Result<(), SendRefused>;

    /// Tells the peer that nothing more comes, after what is in flight. The other direction stays open.
    fn finish_sending(&self, socket: SocketId);

    /// [`received`](SocketHandler::received) is not called until [`resume`](Self::resume). When the memory for
    /// received bytes is full, the sender is held up.
    fn pause(&self, socket: SocketId);

    /// Ends a [pause](Self::pause). Bytes that were not taken are shown again.
    fn resume(&self, socket: SocketId);

    /// Closes a socket when the send in flight has ended; nothing more is received. It waits for that as long as the
    /// peer lets it wait. What the peer has not read yet may be lost if bytes arrive that nobody takes: a peer that is
    /// to get everything is told by [`finish_sending`](Self::finish_sending), and closed when it has finished too.
    fn close(&self, socket: SocketId);

    /// Closes a socket now. What is in flight ends with an error; the peer's next call fails (a reset).
    fn abort(&self, socket: SocketId);

    /// Gives a connection up without closing it, so that another core can [adopt](Self::adopt) it: when the send in
    /// flight has ended and nothing more is being received, [`detached`](SocketHandler::detached) gives it with the
    /// bytes that were not taken.
    fn detach(&self, socket: SocketId);

    /// Takes a connection that was detached elsewhere, or any connected stream. It is receiving from the start.
    ///
    /// # Errors
    /// [`AdoptRefused`] with the connection.
    fn adopt(&self, connection: DetachedSocket) -> Result<SocketId, AdoptRefused>;

    /// Tells `handler` what has happened, for at most `budget` sockets and listeners; for how many it did.
    fn poll(&self, handler: &mut dyn SocketHandler, budget: usize) -> usize;

    /// Whether [`poll`](Self::poll) would tell anything.
    fn has_events(&self) -> bool;

    /// What time it is, on the core's clock. A device says so before each [`poll`](Self::poll), for layers that end
    /// what takes too long; a driver has no use for it.
    fn tick(&self, _now_ns: u64) {}

    /// When a layer wants to be polled though nothing happens.
    fn next_deadline_ns(&self) -> Option<u64> {
        None
    }

    /// What the network of this core has counted since it was made, for all its devices.
    fn counters(&self) -> SocketCounters;
}

/// What a device does about its sockets. Each method is an event; see the [module](self) for their order.
pub trait SocketHandler {
    /// There is a connection.
    fn accepted(&mut self, listener: ListenerId, socket: SocketId, peer: SocketAddr);

    /// A connection could not be accepted. The listener goes on.
    fn accept_failed(&mut self, listener: ListenerId, failure: AcceptFailure);

    /// The connection is there.
    fn connected(&mut self, socket: SocketId);

    /// The connection will not be; the socket is gone. [`SocketError::Aborted`] says that this side gave it up.
    fn connect_failed(&mut self, socket: SocketId, error: SocketError);

    /// Bytes have come. `bytes` starts with the first one that was not taken before, and is not empty.
    fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Taken;

    /// A send has ended, and here is its buffer.
    fn sent(&mut self, socket: SocketId, bytes: SendBuffer, result: Result<(), SendFailed>);

    /// The peer sends nothing more. All that it has sent was shown, unless the socket is paused: then this comes
    /// after the rest. Sending goes on until this side ends it.
    fn peer_finished(&mut self, socket: SocketId);

    /// The socket is gone.
    fn closed(&mut self, socket: SocketId, cause: CloseCause);

    /// The socket is gone from this core, and here is its connection.
    fn detached(&mut self, socket: SocketId, connection: DetachedSocket);
}

/// What a handler did with received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many bytes it is done with, from the first. The rest is shown again, with more behind it.
    pub bytes: usize,
    /// How many bytes there must be after those, at least, before it wants to be called again; if it took some and so
    /// many are there already, that is at once. 0: when there are new ones, whatever was left. A handler that cannot
    /// go on for another reason than lack of bytes calls [`Sockets::pause`].
    pub wanted: usize,
}

impl Taken {
    /// These bytes are done with, and any new ones are welcome.
    pub const fn of(bytes: usize) -> Taken {
        Taken { bytes, wanted: 0 }
    }
}

/// Why a socket closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseCause {
    /// [`Sockets::close`].
    #[error("closed by this side")]
    Closed,
    /// [`Sockets::abort`].
    #[error("reset by this side")]
    Aborted,
    /// The connection failed.
    #[error("{0}")]
    Failed(SocketError),
    /// The handler left bytes and wanted more of them together than the socket may hold.
    #[error(
        "{wanted_bytes} bytes of the stream were wanted at once, and the socket's memory for received bytes holds \
         {limit_bytes}; ask for more with SocketOptions::receive_bytes, or take them in parts"
    )]
    ReceiveMemory {
        /// Bytes wanted.
        wanted_bytes: usize,
        /// Bytes that can be held together.
        limit_bytes: usize,
    },
    /// The driver found that the kernel did not do what it promises, which must not be passed on as a stream.
    #[error("the received bytes are not where the kernel says, so they are not used: {what}")]
    Corrupt {
        /// What does not hold.
        what: &'static str,
    },
}

/// Why a connection failed, or what was done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Nobody listens there.
    #[error("the peer refuses the connection")]
    Refused,
    /// The peer reset the connection.
    #[error("the peer has reset the connection")]
    Reset,
    /// Something was sent after the stream was finished, or the peer reads nothing more.
    #[error("the peer takes nothing more")]
    Broken,
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// There is no way to the peer.
    #[error("no route to the peer")]
    Unreachable,
    /// This side gave it up.
    #[error("given up by this side")]
    Aborted,
    /// A layer that secures the stream could not, or found bytes that the peer has not written.
    #[error("the connection is not secure: {what}")]
    Insecure {
        /// Why.
        what: &'static str,
    },
    /// The stream ended without its sender's word that this is its end.
    #[error("the stream was cut off: its sender has not said that it ends here")]
    CutOff,
    /// Any other error number of the system.
    #[error("{}", io::Error::from_raw_os_error(*.0))]
    Other(i32),
}

impl SocketError {
    /// The error of a number of the system (`errno`, positive).
    pub fn from_code(code: i32) -> SocketError {
        match io::Error::from_raw_os_error(code).kind() {
            io::ErrorKind::ConnectionRefused => SocketError::Refused,
            io::ErrorKind::ConnectionReset => SocketError::Reset,
            io::ErrorKind::BrokenPipe => SocketError::Broken,
            io::ErrorKind::TimedOut => SocketError::TimedOut,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                SocketError::Unreachable
            }
            _ => SocketError::Other(code),
        }
    }
}

/// A send ended before all of its bytes were with the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{error}; {sent_bytes} bytes of this send were with the kernel before")]
pub struct SendFailed {
    /// How many bytes the kernel took. Whether the peer got them is not known.
    pub sent_bytes: usize,
    /// What happened.
    pub error: SocketError,
}

/// A send was not accepted; here is its buffer.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; nothing was sent")]
pub struct SendRefused {
    /// The buffer.
    pub bytes: SendBuffer,
    /// Why.
    pub reason: SendRefusal,
}

/// Why a send was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendRefusal {
    /// There is no such socket, or it is closing.
    #[error("the socket is gone or closing")]
    Gone,
    /// The connection is not there yet.
    #[error("the connection is not there yet; send when it is connected")]
    Connecting,
    /// The one send that a socket has at a time is under way.
    #[error("a send of this socket is in flight; send the rest when it has ended")]
    InFlight,
    /// After [`Sockets::finish_sending`].
    #[error("this side has finished sending")]
    Finished,
}

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Too many listeners.
    #[error("{address}: the core has {limit} listeners, which is the limit; stop one first")]
    Full {
        /// The address asked for.
        address: SocketAddr,
        /// Listeners that a core may have.
        limit: usize,
    },
    /// The options make no sense.
    #[error("{address}: {reason}")]
    Options {
        /// The address asked for.
        address: SocketAddr,
        /// What is wrong with them.
        reason: String,
    },
    /// The system refused.
    #[error(
        "cannot listen on {address}: {source}. Check that the address is this machine's, that nobody else listens \
         there, and the limit on descriptors (ulimit -n)"
    )]
    System {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A connection was not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectRefused {
    /// Too many sockets.
    #[error(
        "{address}: the core has {limit} sockets, which is the limit; close one, or raise limits.sockets"
    )]
    Full {
        /// The peer's address.
        address: SocketAddr,
        /// Sockets that a core may have.
        limit: usize,
    },
    /// The options make no sense.
    #[error("{address}: {reason}")]
    Options {
        /// The peer's address.
        address: SocketAddr,
        /// What is wrong with them.
        reason: String,
    },
    /// The system gave no socket.
    #[error("no socket for {address}: {source}. Check the limit on descriptors (ulimit -n)")]
    System {
        /// The peer's address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A connection could not be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptFailure {
    /// The core has as many sockets as it may have; the connection was closed.
    #[error(
        "the core has {limit} sockets, which is the limit (limits.sockets); the connection was closed"
    )]
    Full {
        /// Sockets that a core may have.
        limit: usize,
    },
    /// The system refused. If descriptors or memory are used up, the listener waits a while before it tries again.
    #[error("the system gives no connection: {0}")]
    System(SocketError),
}

/// A connection was not taken; here it is.
#[derive(Debug, thiserror::Error)]
#[error("the connection was not taken: {reason}")]
pub struct AdoptRefused {
    /// The connection.
    pub connection: DetachedSocket,
    /// Why, and what to do.
    pub reason: String,
}

/// A connection between two cores: what [`Sockets::detach`] gives and [`Sockets::adopt`] takes. Dropping it closes it.
pub struct DetachedSocket {
    connection: Box<dyn Any + Send>,
    /// Received and not taken.
    unread: Vec<u8>,
    position_bytes: u64,
    peer_finished: bool,
    receive_bytes: usize,
}

impl DetachedSocket {
    /// For drivers: a connection of their own kind, whose stream was taken up to byte `position_bytes`, with the bytes
    /// that were received after that. `receive_bytes` is that of its [`SocketOptions`].
    pub fn new(
        connection: impl Any + Send,
        unread: Vec<u8>,
        position_bytes: u64,
        peer_finished: bool,
        receive_bytes: usize,
    ) -> DetachedSocket {
        let connection = Box::new(connection);
        DetachedSocket { connection, unread, position_bytes, peer_finished, receive_bytes }
    }

    /// For drivers: the connection, if it is one of their kind.
    ///
    /// # Errors
    /// The whole comes back if it is not.
    pub fn into_connection<T: Any>(mut self) -> Result<(T, DetachedSocket), DetachedSocket> {
        match self.connection.downcast::<T>() {
            Ok(connection) => {
                self.connection = Box::new(());
                Ok((*connection, self))
            }
            Err(connection) => {
                self.connection = connection;
                Err(self)
            }
        }
    }

    /// For drivers: the connection that [`into_connection`](Self::into_connection) took out is put back.
    pub fn with_connection(self, connection: impl Any + Send) -> DetachedSocket {
        DetachedSocket { connection: Box::new(connection), ..self }
    }

    /// Bytes that were received and not taken.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// How many bytes of the stream were taken.
    pub fn position_bytes(&self) -> u64 {
        self.position_bytes
    }

    /// Whether the peer sends nothing more after the unread bytes.
    pub fn peer_finished(&self) -> bool {
        self.peer_finished
    }

    /// How many bytes of the stream may be wanted together.
    pub fn receive_bytes(&self) -> usize {
        self.receive_bytes
    }
}

impl From<TcpStream> for DetachedSocket {
    /// A stream of which nothing was read yet, or whose next byte counts as its first one.
    fn from(stream: TcpStream) -> DetachedSocket {
        DetachedSocket::new(stream, Vec::new(), 0, false, DEFAULT_RECEIVE_BYTES)
    }
}

impl fmt::Debug for DetachedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetachedSocket")
            .field("unread_bytes", &self.unread.len())
            .field("position_bytes", &self.position_bytes)
            .field("peer_finished", &self.peer_finished)
            .finish_non_exhaustive()
    }
}

/// What the network of one core has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SocketCounters {
    /// Sockets that are open now.
    pub open: u64,
    /// Memory for received bytes that open sockets have now.
    pub receive_memory_bytes: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that could not be accepted.
    pub accepts_failed: u64,
    /// Connections made.
    pub connected: u64,
    /// Connections that could not be made.
    pub connects_failed: u64,
    /// Sockets closed, for whatever cause.
    pub closed: u64,
    /// Of those, because of an error.
    pub failed: u64,
    /// Receives that brought bytes.
    pub receives: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Of those, bytes that were copied so that a view is contiguous.
    pub moved_bytes: u64,
    /// Sends that ended well.
    pub sends: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

#[cfg(test)]
#[path = "net/tests.rs"]
mod tests;
