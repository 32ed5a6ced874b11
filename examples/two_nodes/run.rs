//! One run: be the side that answers, the side that measures, or both.

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use mainspring::LookupError;
use mainspring::prelude::*;
use mainspring_transport::{LinkedNode, Links, Transport, TransportError};

use crate::far::{Drain, Wall};
use crate::message::{Ball, DRAIN, Item, WALL};
use crate::near::{Measured, Player, Source};
use crate::options::Options;
use crate::raw;
use crate::report::Report;

/// How long the nodes may take to find each other, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a measurement may take beyond its length.
const SLACK: Duration = Duration::from_secs(20);

/// Bytes of a ball besides its payload, on the wire: the link's prefix and header, the number, the reference and where
/// the payload lies.
const BALL_BYTES: usize = 80;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{reason}")]
    Impossible { reason: String },
    #[error("cannot {doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("cannot {doing}: {source}")]
    Runtime { doing: &'static str, source: Box<dyn Error + Send + Sync> },
    #[error("no node was linked within {} s: does one listen on {address}, with the same key?", PATIENCE.as_secs())]
    NotLinked { address: SocketAddr },
    #[error("{what} did not end within {limit_s} s")]
    Stalled { what: &'static str, limit_s: u64 },
    #[error("{count} messages were lost or came out of order")]
    OutOfOrder { count: u64 },
}

/// Does what the command line says.
///
/// # Errors
/// [`RunError`].
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), RunError> {
    let printed = |source| RunError::Io { doing: "print".into(), source };
    match (options.listen, options.connect) {
        (Some(address), _) => {
            let far = Far::start(options, address)?;
            let (link, bare) = (far.address, far.raw);
            writeln!(out, "listening on {link}, for the bare connection on {bare}")
                .map_err(printed)?;
            out.flush().map_err(printed)?;
            far.serve(options.once)
        }
        (None, Some(address)) => {
            let raw = raw_address(options, address)?;
            let report = measure(options, address, raw, options.cpu)?;
            write!(out, "{report}").map_err(printed)
        }
        (None, None) => {
            let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
            let cpus = two_cpus(options)?;
            let far = Far::start(&Options { cpu: Some(cpus[1]), ..options.clone() }, loopback)?;
            let report = measure(options, far.address, far.raw, Some(cpus[0]))?;
            far.end()?;
            write!(out, "{report}").map_err(printed)
        }
    }
}

/// The node that answers, and the bare connection beside it.
struct Far {
    node: Node,
    links: Links,
    address: SocketAddr,
    raw: SocketAddr,
}

impl Far {
    fn start(options: &Options, address: SocketAddr) -> Result<Far, RunError> {
        let raw = raw_address(options, address)?;
        let bound = TcpListener::bind(raw).and_then(|bound| Ok((bound.local_addr()?, bound)));
        let (raw, listener) =
            bound.map_err(|source| RunError::Io { doing: format!("listen on {raw}"), source })?;
        let polls = options.cpu;
        thread::Builder::new()
            .name("bare".into())
            .spawn(move || {
                pin(polls);
                raw::serve(&listener);
            })
            .map_err(|source| RunError::Io { doing: "start a thread".into(), source })?;
        let transport = Transport::new().listen(&address.to_string())?;
        let (node, links) = start("far", options, transport, options.cpu)?;
        node.actor(Wall::default).on_core(0).named(WALL).start().map_err(of("make the wall"))?;
        node.actor(Drain::default).on_core(0).named(DRAIN).start().map_err(of("make the drain"))?;
        let address = links.wait_listening(PATIENCE).ok_or(RunError::NotLinked { address })?;
        Ok(Far { node, links, address, raw })
    }

    /// Answers until the process is ended, or until the one node that came has gone.
    fn serve(self, once: bool) -> Result<(), RunError> {
        let forever = Duration::from_secs(u64::from(u32::MAX));
        let is_there = |nodes: &[LinkedNode]| !nodes.is_empty();
        self.links.wait_until(forever, is_there);
        self.links.wait_until(forever, |nodes| once && nodes.is_empty());
        self.end()
    }

    fn end(self) -> Result<(), RunError> {
        self.node.shutdown(PATIENCE).map_err(of("end the node"))
    }
}

/// Measures the bare connection, then the link.
fn measure(
    options: &Options,
    address: SocketAddr,
    raw: SocketAddr,
    cpu: Option<u32>,
) -> Result<Report, RunError> {
    let (length, payload) = (Duration::from_secs(options.seconds), options.payload as usize);
    let message_bytes = (BALL_BYTES + payload).next_multiple_of(16);
    let polls = options.idle.polls();
    let bare = thread::Builder::new().name("bare".into()).spawn(move || {
        pin(cpu);
        let trip = raw::round_trips(raw, polls, message_bytes, length)?;
        Ok::<_, io::Error>((trip, raw::stream(raw, length)?))
    });
    let bare = bare.and_then(|thread| match thread.join() {
        Ok(measured) => measured,
        Err(_) => Err(io::Error::other("the thread of the bare connection panicked")),
    });
    let speak = format!("speak with {raw} over a bare connection");
    let (raw_round_trip, raw_stream) =
        bare.map_err(|source| RunError::Io { doing: speak, source })?;

    let transport = Transport::new().connect(&address.to_string())?;
    let (node, links) = start("near", options, transport, cpu)?;
    let found = links.wait_for_nodes(1, PATIENCE).ok_or(RunError::NotLinked { address })?;
    let far = found[0].incarnation;
    let wall = find::<Ball>(&node, far, WALL)?;
    let drain = find::<Item>(&node, far, DRAIN)?;
    let inbox = node.client().inbox::<Measured>();
    let inbox = inbox.map_err(of("make an inbox"))?;
    let told = inbox.actor();
    let wait = |what| match inbox.wait(length + SLACK) {
        Ok(Some(measured)) if measured.out_of_order == 0 => Ok(measured),
        Ok(Some(measured)) => Err(RunError::OutOfOrder { count: measured.out_of_order }),
        Ok(None) => Err(RunError::Stalled { what, limit_s: (length + SLACK).as_secs() }),
        Err(error) => Err(of("read the inbox")(error)),
    };
    node.spawn(move || Player::new(wall, told, length, payload)).map_err(of("make the player"))?;
    let round_trip = wait("the round trips")?.round_trip();
    node.spawn(move || Source::new(drain, told, length, payload)).map_err(of("make the source"))?;
    let stream = wait("the stream")?.stream();
    node.shutdown(PATIENCE).map_err(of("end the node"))?;
    let path = format!("to {address}");
    Ok(Report {
        path,
        payload_bytes: payload,
        message_bytes,
        polls,
        raw_round_trip,
        raw_stream,
        round_trip,
        stream,
    })
}

fn start(
    name: &str,
    options: &Options,
    mut transport: Transport,
    cpu: Option<u32>,
) -> Result<(Node, Links), RunError> {
    if let Some(path) = &options.key_file {
        transport = transport.key_file(path)?;
    }
    let links = transport.links();
    let cores = cpu.map_or(Cores::count(1), |cpu| Cores::list([cpu]));
    let node = Node::builder().name(name).cores(cores).idle(options.idle.profile());
    let node = node.with(transport).start().map_err(of("start a node"))?;
    Ok((node, links))
}

/// Who has a name on the other node. It is known there a moment after its actor was made.
fn find<M: Message>(node: &Node, far: u32, name: &str) -> Result<ActorRef<M>, RunError> {
    let ends = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = node.client().lookup_on(far, name, PATIENCE).wait();
        let answer = answer.map_err(of("ask for a name"))?;
        match answer.actor::<M>() {
            Err(LookupError::Unknown { .. }) if std::time::Instant::now() < ends => {
                thread::yield_now();
            }
            found => return found.map_err(of("find an actor")),
        }
    }
}

fn of<E: Error + Send + Sync + 'static>(doing: &'static str) -> impl FnOnce(E) -> RunError {
    move |source| RunError::Runtime { doing, source: source.into() }
}

fn raw_address(options: &Options, address: SocketAddr) -> Result<SocketAddr, RunError> {
    if let Some(raw) = options.raw {
        return Ok(raw);
    }
    let port = match address.port() {
        0 => 0,
        port => port.checked_add(1).ok_or_else(|| RunError::Impossible {
            reason: format!(
                "{address} has no next port: say with --raw where the bare connection is"
            ),
        })?,
    };
    Ok(SocketAddr::new(address.ip(), port))
}

/// A CPU for each of the two nodes of one process.
fn two_cpus(options: &Options) -> Result<[u32; 2], RunError> {
    let all = core_affinity::get_core_ids().unwrap_or_default();
    let mut cpus = all.iter().map(|core| core.id as u32);
    let first = options.cpu.or_else(|| cpus.clone().next());
    let second = cpus.find(|cpu| Some(*cpu) != first);
    match (first, second) {
        (Some(first), Some(second)) => Ok([first, second]),
        _ => Err(RunError::Impossible {
            reason: "two nodes in one process need two CPUs: run two_nodes twice, with --listen and --connect".into(),
        }),
    }
}

/// Keeps a thread of the bare connection where the node will be. Where that cannot be, the scheduler decides.
fn pin(cpu: Option<u32>) {
    if let Some(id) = cpu {
        core_affinity::set_for_current(core_affinity::CoreId { id: id as usize });
    }
}
