//! The least that two threads need to speak over a TCP connection on loopback: what links between nodes are set beside.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::pinned_pair::{self, ask_all};
use super::{Description, Outcome, Round, Scenario, ScenarioError, check};

/// Bytes of a message on the wire, as a small message of a link takes them.
const MESSAGE_BYTES: usize = 64;

/// Bytes of one write of the stream: many messages go together, as on a link.
const WRITE_BYTES: usize = 64 << 10;

const WARM_UP_ROUND_TRIPS: u64 = 2_000;

/// Two pinned threads hand 64 bytes to and fro.
pub struct RawSocketPair {
    description: &'static Description,
    spins: bool,
}

/// Both poll their socket.
pub static SPINNING: RawSocketPair = RawSocketPair {
    description: &Description {
        name: "raw-socket-spinning",
        measures: "one hop of 64 bytes over TCP on loopback, between two threads that poll their sockets",
        cpus_needed: 2,
        limit: None,
        default_messages: 100_000,
        counted_messages: 10_000,
        latency_sample: Some("round trip of two messages"),
        actor_state_bytes: None,
        idle: None,
    },
    spins: true,
};

/// Both sleep in the kernel.
pub static BLOCKING: RawSocketPair = RawSocketPair {
    description: &Description {
        name: "raw-socket-blocking",
        measures: "one hop of 64 bytes over TCP on loopback, between two threads that sleep in the kernel",
        cpus_needed: 2,
        limit: None,
        default_messages: 40_000,
        counted_messages: 4_000,
        latency_sample: Some("round trip of two messages"),
        actor_state_bytes: None,
        idle: None,
    },
    spins: false,
};

impl Scenario for RawSocketPair {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn yields(&self) -> bool {
        !self.spins
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let round_trips = round.messages.div_ceil(2);
        let last = WARM_UP_ROUND_TRIPS + round_trips;
        let (mut here, mut there) = pair(self.spins).map_err(io("make a connection"))?;
        let asking = || {
            let mut failed = None;
            let mut hop = |number| {
                if failed.is_none() {
                    failed = hop(&mut here, number).err();
                }
            };
            (1..=WARM_UP_ROUND_TRIPS).for_each(&mut hop);
            let latencies = ask_all(round.section, WARM_UP_ROUND_TRIPS + 1..=last, hop);
            (latencies, failed)
        };
        let answering = || answer_all(&mut there, last);
        let cpus = [round.cpu(0)?, round.cpu(1)?];
        let ((latencies, failed), sum) = pinned_pair::run(cpus, asking, answering)?;
        if let Some(source) = failed {
            return Err(ScenarioError::Io { doing: "speak over a socket", source });
        }
        let sum = sum.map_err(io("answer over a socket"))?;
        check("the sum of what was answered", last * (last + 1) / 2, sum)?;
        Ok(Outcome { messages: round_trips * 2, latencies, sum: None })
    }
}

/// One pinned thread writes, another reads.
pub struct RawSocketStream {
    description: &'static Description,
    message_bytes: u64,
}

/// Messages as small as they get.
pub static STREAM: RawSocketStream = RawSocketStream {
    description: &Description {
        name: "raw-socket-stream",
        measures: "64 bytes in a stream over TCP on loopback, written and read 64 KiB at a time",
        cpus_needed: 2,
        limit: None,
        default_messages: 3_000_000,
        counted_messages: 200_000,
        latency_sample: None,
        actor_state_bytes: None,
        idle: None,
    },
    message_bytes: MESSAGE_BYTES as u64,
};

/// As many bytes as a message of 10 KiB takes.
pub static STREAM_10K: RawSocketStream = RawSocketStream {
    description: &Description {
        name: "raw-socket-stream-10k",
        measures: "10,304 bytes in a stream over TCP on loopback, written and read 64 KiB at a time",
        cpus_needed: 2,
        limit: None,
        default_messages: 100_000,
        counted_messages: 2_000,
        latency_sample: None,
        actor_state_bytes: None,
        idle: None,
    },
    message_bytes: 10_304,
};

impl Scenario for RawSocketStream {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn yields(&self) -> bool {
        true
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let writes = (round.messages * self.message_bytes).div_ceil(WRITE_BYTES as u64);
        let (mut here, mut there) = pair(false).map_err(io("make a connection"))?;
        let writing = || {
            let bytes = vec![1; WRITE_BYTES];
            std::thread::sleep(round.section.purpose().pause());
            round.section.begin();
            let written = (0..writes).try_for_each(|_| here.write_all(&bytes));
            let mut end = [0; 1];
            let read = written.and_then(|()| here.read_exact(&mut end));
            round.section.end();
            read
        };
        let reading = || {
            let (mut bytes, mut left) = (vec![0; WRITE_BYTES], writes * WRITE_BYTES as u64);
            while left > 0 {
                match there.read(&mut bytes)? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    count => left -= count as u64,
                }
            }
            there.write_all(&[1])
        };
        let cpus = [round.cpu(0)?, round.cpu(1)?];
        let (written, read) = pinned_pair::run(cpus, writing, reading)?;
        written.map_err(io("write a stream"))?;
        read.map_err(io("read a stream"))?;
        let messages = writes * WRITE_BYTES as u64 / self.message_bytes;
        Ok(Outcome { messages, latencies: None, sum: None })
    }
}

/// The two ends of a connection.
fn pair(spins: bool) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let here = TcpStream::connect(listener.local_addr()?)?;
    let (there, _) = listener.accept()?;
    for end in [&here, &there] {
        end.set_nodelay(true)?;
        end.set_nonblocking(spins)?;
    }
    Ok((here, there))
}

/// Sends a number and waits until it comes back.
fn hop(socket: &mut TcpStream, number: u64) -> io::Result<()> {
    let mut bytes = [0; MESSAGE_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    socket.write_all(&bytes)?;
    if read(socket)? == number { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

fn answer_all(socket: &mut TcpStream, last: u64) -> io::Result<u64> {
    let mut sum = 0;
    loop {
        let number = read(socket)?;
        sum += number;
        let mut bytes = [0; MESSAGE_BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        socket.write_all(&bytes)?;
        if number >= last {
            return Ok(sum);
        }
    }
}

/// The next message; polls a socket that does not block.
fn read(socket: &mut TcpStream) -> io::Result<u64> {
    let (mut bytes, mut filled) = ([0; MESSAGE_BYTES], 0);
    while filled < MESSAGE_BYTES {
        match socket.read(&mut bytes[filled..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[..8]);
    Ok(u64::from_le_bytes(number))
}

fn io(doing: &'static str) -> impl FnOnce(io::Error) -> ScenarioError {
    move |source| ScenarioError::Io { doing, source }
}
