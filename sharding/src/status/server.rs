//! The thread that serves connections: sockets and the clock for what [`Connection`] and [`Service`] decide.
//!
//! It waits in `poll`, for as long as nothing comes and nothing is due, and is never that of a core. Bound:
//! [`CONNECTIONS_LIMIT`]; who comes beyond it waits until another one is done, which takes five seconds at most.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connection::Connection;
use super::service::Service;

/// Connections at a time.
pub const CONNECTIONS_LIMIT: usize = 16;
/// Bytes that are read in one go.
const READ_BYTES: usize = 4_096;
/// How long nobody is let in after that has failed, as when the process has no more files.
const PAUSE: Duration = Duration::from_millis(100);

/// A status server that serves. It stops when this is dropped.
#[derive(Debug)]
pub struct RunningStatusServer {
    address: SocketAddr,
    /// Closed to end the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl RunningStatusServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn start(listener: TcpListener, service: Service) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let mut server = Server {
            listener,
            stopped,
            service,
            connections: Vec::new(),
            began: Instant::now(),
            paused_until: None,
        };
        let thread =
            thread::Builder::new().name("status".to_owned()).spawn(move || server.run())?;
        Ok(RunningStatusServer { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for RunningStatusServer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the status server has panicked");
        }
    }
}

struct Server {
    listener: TcpListener,
    stopped: UnixStream,
    service: Service,
    connections: Vec<(TcpStream, Connection)>,
    began: Instant,
    paused_until: Option<Instant>,
}

/// What `poll` has said.
struct Woken {
    is_stopped: bool,
    somebody_comes: bool,
    /// Of each connection, whether it can be read and written.
    ready: Vec<bool>,
}

impl Server {
    fn run(&mut self) {
        loop {
            let woken = match self.wait() {
                Ok(woken) => woken,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "the status server cannot wait for connections, and ends");
                    return;
                }
            };
            if woken.is_stopped {
                return;
            }
            let now_ns = self.now_ns();
            for ((socket, connection), is_ready) in self.connections.iter_mut().zip(woken.ready) {
                connection.look(now_ns);
                if is_ready && connection.reads() {
                    take_in(socket, connection, &self.service);
                }
                send(socket, connection);
            }
            self.connections.retain(|(_, connection)| !connection.is_over());
            if woken.somebody_comes {
                self.let_in();
            }
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Waits until there is something to do.
    fn wait(&mut self) -> io::Result<Woken> {
        let now = Instant::now();
        self.paused_until = self.paused_until.filter(|until| *until > now);
        let lets_in = self.connections.len() < CONNECTIONS_LIMIT && self.paused_until.is_none();
        let mut waited_for = vec![PollFd::new(&self.stopped, PollFlags::IN)];
        for (socket, connection) in &self.connections {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, connection.reads());
            flags.set(PollFlags::OUT, !connection.unsent().is_empty());
            waited_for.push(PollFd::new(socket, flags));
        }
        if lets_in {
            waited_for.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        let timeout = self.patience().and_then(|patience| Timespec::try_from(patience).ok());
        poll(&mut waited_for, timeout.as_ref())?;
        let mut ready = waited_for.iter().map(|one| !one.revents().is_empty());
        let is_stopped = ready.next().unwrap_or(true);
        let connections = ready.by_ref().take(self.connections.len()).collect();
        let somebody_comes = ready.next().unwrap_or(false);
        Ok(Woken { is_stopped, somebody_comes, ready: connections })
    }

    /// How long there is nothing to do but for what comes; none if for ever.
    fn patience(&self) -> Option<Duration> {
        let now_ns = self.now_ns();
        let deadlines = self.connections.iter().map(|(_, connection)| connection.deadline_ns());
        let next = deadlines.min().map(|at| Duration::from_nanos(at.saturating_sub(now_ns)));
        let pause = self.paused_until.map(|until| until.saturating_duration_since(Instant::now()));
        next.into_iter().chain(pause).min()
    }

    fn let_in(&mut self) {
        while self.connections.len() < CONNECTIONS_LIMIT {
            match self.listener.accept() {
                Ok((socket, _)) => match socket.set_nonblocking(true) {
                    Ok(()) => self.connections.push((socket, Connection::new(self.now_ns()))),
                    Err(error) => tracing::debug!(%error, "a connection is not served"),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!(%error, "the status server lets nobody in for a moment");
                    self.paused_until = Some(Instant::now() + PAUSE);
                    return;
                }
            }
        }
    }
}

/// Reads what has come, once; the rest is there at the next look.
fn take_in(mut socket: &TcpStream, connection: &mut Connection, service: &Service) {
    let mut bytes = [0; READ_BYTES];
    match socket.read(&mut bytes) {
        Ok(0) => connection.ended(),
        Ok(count) => {
            connection.received(bytes.get(..count).unwrap_or_default(), |request| {
                service.answer(request)
            });
        }
        Err(error) => pass(&error, connection),
    }
}

/// Writes what goes out at once.
fn send(mut socket: &TcpStream, connection: &mut Connection) {
    while !connection.unsent().is_empty() {
        match socket.write(connection.unsent()) {
            Ok(0) => return connection.broke(),
            Ok(count) => {
                if connection.sent(count) && socket.shutdown(Shutdown::Write).is_err() {
                    connection.broke();
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => return pass(&error, connection),
        }
    }
}

fn pass(error: &io::Error, connection: &mut Connection) {
    if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
        connection.broke();
    }
}
