//! Stands between a node that dials and one that listens, and breaks their connections.
//!
//! Each connection is carried by two threads with a buffer each, so the memory is bounded, and a side that does not
//! read holds up the other. The lane of a connection is read from its hello. Waiting is here the fault itself, never a
//! means to let something happen.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use mainspring_transport::wire::Lane;
use socket2::SockRef;

use crate::PATIENCE;

/// Connections that one proxy carries, over its life.
const CONNECTIONS_LIMIT: usize = 1_000;

/// Bytes that wait in each direction of a connection.
const BUFFER_BYTES: usize = 16 << 10;

/// So much of a hello says which lane it is for.
const BEGINNING_BYTES: usize = 22;

/// What is done to one direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Each piece is kept for so long.
    Delay(Duration),
    /// From this byte on nothing more goes through, and nothing is closed.
    Stall(u64),
    /// After this byte the stream is finished, both ways.
    Truncate(u64),
    /// After this byte both sides see a reset.
    Reset(u64),
    /// After this byte this direction is finished, the other goes on.
    HalfClose(u64),
    /// A bit of this byte is turned.
    Flip(u64, u8),
    /// So many bytes a second.
    Throttle(u64),
}

/// Which way the bytes go that a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToListener,
    ToDialler,
}

/// What is done to the next connections of a lane.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub lane: Lane,
    pub way: Way,
    pub fault: Fault,
    /// How many connections it is done to.
    pub times: usize,
}

/// See the module's header.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    /// Faults that have happened.
    fired: usize,
    connections: Vec<Weak<Connection>>,
    is_over: bool,
}

/// One connection: its two sockets.
struct Connection {
    dialler: TcpStream,
    listener: TcpStream,
    is_reset: AtomicBool,
}

impl Proxy {
    /// A proxy of its own port for what listens at `to`.
    pub fn new(to: SocketAddr, rules: &[Rule]) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State { rules: rules.to_vec(), ..State::default() });
        let shared = Arc::new(Shared { to, state, changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().take(CONNECTIONS_LIMIT) {
                let (Ok(stream), false) = (stream, accepting.lock().is_over) else { return };
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || shared.carry(stream));
            }
        });
        Ok(Proxy { address, shared })
    }

    /// Faults that have happened so far.
    pub fn fired(&self) -> usize {
        self.shared.lock().fired
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.shared.lock();
            state.is_over = true;
            std::mem::take(&mut state.connections)
        };
        self.shared.changed.notify_all();
        for connection in connections.iter().filter_map(Weak::upgrade) {
            for stream in [&connection.dialler, &connection.listener] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Connection {
    /// Ends it so that both sides see a reset: the sockets are closed when its threads have seen this.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::Release);
        for stream in [&self.dialler, &self.listener] {
            // It may have ended already.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            let _ = stream.shutdown(Shutdown::Read);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries one connection. An end of it that fails is an end of it.
    fn carry(self: Arc<Shared>, dialler: TcpStream) {
        let mut beginning = [0; BEGINNING_BYTES];
        if (&dialler).read_exact(&mut beginning).is_err() {
            return;
        }
        let Ok(listener) = TcpStream::connect(self.to) else { return };
        for stream in [&dialler, &listener] {
            // Small pieces go at once, as from the nodes.
            let _ = stream.set_nodelay(true);
        }
        let is_reset = AtomicBool::new(false);
        let connection = Arc::new(Connection { dialler, listener, is_reset });
        let rule = self.begin(&connection, beginning[BEGINNING_BYTES - 1]);
        let fault = |way| rule.filter(|rule| rule.way == way).map(|rule| rule.fault);
        let (shared, connection) = (&*self, &*connection);
        let Connection { dialler, listener, .. } = connection;
        let [there, back] = [Way::ToListener, Way::ToDialler].map(fault);
        let there = Pump { shared, connection, from: dialler, to: listener, fault: there };
        let back = Pump { shared, connection, from: listener, to: dialler, fault: back };
        std::thread::scope(|scope| {
            scope.spawn(move || back.run(&[]));
            there.run(&beginning);
        });
    }

    /// A connection begins: what is done to it.
    fn begin(&self, connection: &Arc<Connection>, lane: u8) -> Option<Rule> {
        let mut state = self.lock();
        state.connections.push(Arc::downgrade(connection));
        let rule =
            state.rules.iter_mut().find(|rule| rule.times > 0 && rule.lane.code() == lane)?;
        rule.times -= 1;
        Some(*rule)
    }

    fn fire(&self) {
        self.lock().fired += 1;
    }

    /// Waits for the end of the proxy, at most for so long; whether it has come.
    fn wait(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut state = self.lock();
        while !state.is_over {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

/// One direction of a connection.
struct Pump<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    from: &'a TcpStream,
    to: &'a TcpStream,
    fault: Option<Fault>,
}

impl Pump<'_> {
    /// Carries bytes until an end, `first` those that were read already.
    fn run(self, first: &[u8]) {
        let mut buffer = [0; BUFFER_BYTES];
        buffer[..first.len()].copy_from_slice(first);
        let (mut length, mut at) = (first.len(), 0);
        if matches!(self.fault, Some(Fault::Delay(_) | Fault::Throttle(_))) {
            self.shared.fire();
        }
        loop {
            if !self.pass(&mut buffer[..length], at) {
                return;
            }
            at += length as u64;
            length = match (&*self.from).read(&mut buffer) {
                Ok(0) if !self.connection.is_reset.load(Ordering::Acquire) => {
                    let _ = self.to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(0) => return,
                Err(_) => return self.connection.reset(),
                Ok(length) => length,
            };
        }
    }

    /// Passes bytes on that begin at `at` of the stream; whether it goes on.
    fn pass(&self, bytes: &mut [u8], at: u64) -> bool {
        let end = at + bytes.len() as u64;
        let here = |byte: u64| (at..end).contains(&byte).then(|| byte - at);
        match self.fault {
            None => self.write(bytes),
            Some(Fault::Delay(time)) => !self.shared.wait(time) && self.write(bytes),
            Some(Fault::Throttle(bytes_a_second)) => {
                let nanoseconds = bytes.len() as u64 * 1_000_000_000 / bytes_a_second.max(1);
                self.write(bytes) && !self.shared.wait(Duration::from_nanos(nanoseconds))
            }
            Some(Fault::Flip(byte, mask)) => {
                if let Some(index) = here(byte) {
                    bytes[index as usize] ^= mask;
                    self.shared.fire();
                }
                self.write(bytes)
            }
            Some(
                Fault::Stall(byte)
                | Fault::Truncate(byte)
                | Fault::Reset(byte)
                | Fault::HalfClose(byte),
            ) => match here(byte) {
                None => self.write(bytes),
                Some(before) => {
                    self.write(&bytes[..before as usize]);
                    self.break_off();
                    false
                }
            },
        }
    }

    fn write(&self, bytes: &[u8]) -> bool {
        let written = (&*self.to).write_all(bytes);
        if written.is_err() {
            self.connection.reset();
        }
        written.is_ok()
    }

    fn break_off(&self) {
        match self.fault {
            Some(Fault::Truncate(_)) => {
                for stream in [self.from, self.to] {
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
            Some(Fault::Reset(_)) => self.connection.reset(),
            Some(Fault::HalfClose(_)) => {
                let _ = self.to.shutdown(Shutdown::Write);
            }
            _ => {}
        }
        self.shared.fire();
        if matches!(self.fault, Some(Fault::Stall(_))) {
            while !self.shared.wait(PATIENCE) {}
        }
    }
}
