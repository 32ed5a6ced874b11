//! A bare TCP connection over the same path: the least that two threads need.
//!
//! The side that connects says in its first bytes what it wants: round trips of so many bytes, or a stream that it ends
//! by closing its half; the other answers a stream with the count of bytes that it took.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::latency::{Laps, RoundTrip};

/// Round trips before the first that counts.
const WARM_UP: u64 = 2_000;

/// Bytes of one write of a stream: many messages go together, as on a link.
const WRITE_BYTES: usize = 64 << 10;

/// The largest message that a stranger may ask for.
const MOST_MESSAGE_BYTES: usize = 1 << 20;

/// A side that says nothing for so long has gone.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// Polls of a socket between two looks at the clock.
const POLLS_A_LOOK: u32 = 65_536;

/// Bytes that say what is wanted: what, whether to poll, and how large a message is.
const WISH_BYTES: usize = 8;

const ROUND_TRIPS: u8 = b'r';
const STREAM: u8 = b's';

/// Serves one connection after the other. Errors end a connection, not the service.
pub fn serve(listener: &TcpListener) {
    for connection in listener.incoming() {
        let served = connection.and_then(serve_one);
        if let Err(error) = served {
            tracing::debug!(%error, "a bare connection ended");
        }
    }
}

fn serve_one(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(IDLE_LIMIT))?;
    let mut wish = [0; WISH_BYTES];
    connection.read_exact(&mut wish)?;
    let [what, polls, _, _, size @ ..] = wish;
    let size = u32::from_le_bytes(size) as usize;
    if size == 0 || size > MOST_MESSAGE_BYTES {
        return Err(ErrorKind::InvalidData.into());
    }
    connection.set_nonblocking(polls == 1)?;
    match what {
        ROUND_TRIPS => {
            let mut message = vec![0; size];
            loop {
                read_all(&mut connection, &mut message)?;
                write_all(&mut connection, &message)?;
            }
        }
        STREAM => {
            let (mut bytes, mut taken) = (vec![0; WRITE_BYTES], 0_u64);
            connection.set_nonblocking(false)?;
            loop {
                match connection.read(&mut bytes)? {
                    0 => break,
                    count => taken += count as u64,
                }
            }
            connection.write_all(&taken.to_le_bytes())
        }
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

/// Round trips of messages of so many bytes.
pub fn round_trips(
    to: SocketAddr,
    polls: bool,
    size: usize,
    length: Duration,
) -> io::Result<RoundTrip> {
    let mut connection = open(to, ROUND_TRIPS, polls, size)?;
    connection.set_nonblocking(polls)?;
    let mut message = vec![0; size];
    let mut hop = || {
        write_all(&mut connection, &message)?;
        read_all(&mut connection, &mut message)
    };
    (0..WARM_UP).try_for_each(|_| hop())?;
    let (began, mut laps) = (Instant::now(), Laps::begin());
    while began.elapsed() < length {
        hop()?;
        laps.lap();
    }
    Ok(laps.finish())
}

/// A stream, 64 KiB at a time: the bytes that came to the other side, and how long that took.
pub fn stream(to: SocketAddr, length: Duration) -> io::Result<(u64, Duration)> {
    let mut connection = open(to, STREAM, false, WRITE_BYTES)?;
    let (bytes, began) = (vec![0; WRITE_BYTES], Instant::now());
    while began.elapsed() < length {
        connection.write_all(&bytes)?;
    }
    connection.shutdown(Shutdown::Write)?;
    let mut taken = [0; 8];
    connection.read_exact(&mut taken)?;
    Ok((u64::from_le_bytes(taken), began.elapsed()))
}

fn open(to: SocketAddr, what: u8, polls: bool, size: usize) -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect_timeout(&to, IDLE_LIMIT)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(IDLE_LIMIT))?;
    let mut wish = [what, u8::from(polls), 0, 0, 0, 0, 0, 0];
    wish[4..].copy_from_slice(&(size as u32).to_le_bytes());
    connection.write_all(&wish)?;
    Ok(connection)
}

/// As the standard library's, also on a socket that is polled.
fn read_all(connection: &mut TcpStream, mut bytes: &mut [u8]) -> io::Result<()> {
    let mut patience = Patience::default();
    while !bytes.is_empty() {
        match connection.read(bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes = &mut bytes[count..],
            Err(error) => patience.after(error)?,
        }
    }
    Ok(())
}

fn write_all(connection: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    let mut patience = Patience::default();
    while !bytes.is_empty() {
        match connection.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) => patience.after(error)?,
        }
    }
    Ok(())
}

/// How long a socket that is polled may do nothing.
#[derive(Default)]
struct Patience {
    polls: u32,
    since: Option<Instant>,
}

impl Patience {
    fn after(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            ErrorKind::Interrupted => return Ok(()),
            ErrorKind::WouldBlock => {}
            _ => return Err(error),
        }
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(POLLS_A_LOOK) {
            let since = *self.since.get_or_insert_with(Instant::now);
            if since.elapsed() > IDLE_LIMIT {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        std::hint::spin_loop();
        Ok(())
    }
}
