//! Two nodes in one process, linked over loopback, each of one core on a CPU of its own: messages take the way through
//! the kernel that they take between machines, without the wire.
//!
//! Both are programs of the contest.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use mainspring::prelude::*;
use mainspring_perf_contest::program::REMOTE_STREAM_ACTORS;
use mainspring_transport::{Links, Transport};

use super::number::{Sink, Totals};
use super::ping_pong::{Answering, Asking};
use super::stage::{Course, SHUTDOWN_LIMIT, Stage, runtime};
use super::tell_cross_core::{Finish, Receiver, Sender, Source, WARM_UP};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::load::{Load, OpenLoop};
use crate::section::Purpose;

/// How long the two may take to find each other.
const LINK_LIMIT: Duration = Duration::from_secs(20);

/// Two actors of two nodes hand a number to and fro.
pub struct RemotePingPong {
    description: &'static Description,
    warm_up_round_trips: u64,
}

/// On cores that poll.
pub static PING_PONG: RemotePingPong = RemotePingPong {
    description: &Description {
        name: "remote-ping-pong",
        measures: "one hop between actors of two linked nodes, on cores that poll",
        cpus_needed: 2,
        limit: Some("raw-socket-spinning"),
        default_messages: 100_000,
        counted_messages: 10_000,
        latency_sample: Some("round trip of two messages"),
        actor_state_bytes: None,
        idle: Some(IdleProfile::Busy),
    },
    warm_up_round_trips: 5_000,
};

/// On cores that sleep at every hop.
pub static PING_PONG_ECO: RemotePingPong = RemotePingPong {
    description: &Description {
        name: "remote-ping-pong-eco",
        measures: "one hop between actors of two linked nodes, on cores that sleep until they are woken",
        cpus_needed: 2,
        limit: Some("raw-socket-blocking"),
        default_messages: 40_000,
        counted_messages: 4_000,
        latency_sample: Some("round trip of two messages"),
        actor_state_bytes: None,
        idle: Some(IdleProfile::Eco),
    },
    warm_up_round_trips: 1_000,
};

impl Scenario for RemotePingPong {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let round_trips = round.messages.div_ceil(2);
        let warm_up = self.warm_up_round_trips;
        let (stage, course, far) = linked(round)?;
        let totals = Arc::new(Totals::default());
        let of_answering = Arc::clone(&totals);
        let answering = far
            .actor(move || Answering::new(&of_answering))
            .start()
            .map_err(runtime("make the actor that answers"))?;
        let asking = if course.purpose() == Purpose::Latency {
            let make = move || Asking::<true>::new(answering, warm_up, round_trips, &course);
            stage.node().actor(make).start()
        } else {
            let make = move || Asking::<false>::new(answering, warm_up, round_trips, &course);
            stage.node().actor(make).start()
        };
        asking.map_err(runtime("make the actor that asks"))?;
        let latencies = stage.finish()?;
        end(far)?;
        totals.check_numbers(warm_up + round_trips)?;
        let sum = Some(totals.measured_sum(warm_up, round_trips));
        Ok(Outcome { messages: round_trips * 2, latencies, sum })
    }
}

/// One sender on one node, its receivers on the other.
pub struct RemoteStream;

/// See [`RemoteStream`].
pub static STREAM: RemoteStream = RemoteStream;

static STREAM_DESCRIPTION: Description = Description {
    name: "remote-stream",
    measures: "one message of 24 bytes, 64 on the wire, in a stream to 1,000 actors of a linked node",
    cpus_needed: 2,
    limit: Some("raw-socket-stream"),
    default_messages: 3_000_000,
    counted_messages: 200_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for RemoteStream {
    fn description(&self) -> &'static Description {
        &STREAM_DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let (stage, course, far) = linked(round)?;
        let mut receivers = Vec::with_capacity(REMOTE_STREAM_ACTORS);
        for _ in 0..REMOTE_STREAM_ACTORS {
            let of_receiver = Arc::clone(&totals);
            let made = far.actor(move || Sink::<1, 0>::new(&of_receiver)).start();
            receivers.push(made.map_err(runtime("make a receiver"))?);
        }
        let of_finish = course.clone();
        let finish = far.actor(move || Finish::new(&of_finish)).start();
        let finish = finish.map_err(runtime("make who ends the section"))?;
        let make = move || Sender::new(receivers.clone(), finish, &course, measured);
        stage.node().actor(make).start().map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        end(far)?;
        totals.check_numbers(WARM_UP + measured)?;
        let sum = Some(totals.measured_sum(WARM_UP, measured));
        Ok(Outcome { messages: measured, latencies, sum })
    }

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for RemoteStream {
    fn response(&self) -> &'static str {
        "from when a message is due to its turn on the other node"
    }

    fn cpus_needed(&self) -> usize {
        2
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let cpu = *load.cpus.get(1).ok_or(ScenarioError::TooFewCpus { given: 1, needed: 2 })?;
        let (transport, links) = listening()?;
        let node = load.start_node_with(1, |builder| builder.with(transport))?;
        let far = far_node(&links, cpu, load.idle)?;
        let received = Arc::new(CachePadded::new(AtomicU64::new(0)));
        let receiver = far.actor(Receiver::maker(&load.course, &received)).start();
        let receiver = receiver.map_err(runtime("make the receiver"))?;
        let source = node.actor(Source::maker(load, receiver, &received)).start();
        source.map_err(runtime("make the generator"))?;
        let finished = load.finish(node);
        end(far)?;
        finished
    }
}

/// The stage on the first CPU, and a node on the second that is linked to it.
pub(super) fn linked(round: &Round<'_>) -> Result<(Stage, Course, Node), ScenarioError> {
    let (transport, links) = listening()?;
    let (stage, course) = Stage::start_with(round, 1, |builder| builder.with(transport))?;
    let far = far_node(&links, round.cpu(1)?, round.idle.unwrap_or(IdleProfile::Busy))?;
    Ok((stage, course, far))
}

/// A node on a CPU of its own that is linked to the one that has those links.
pub(super) fn far_node(
    links: &Links,
    cpu: usize,
    idle: IdleProfile,
) -> Result<Node, ScenarioError> {
    let address = links.wait_listening(LINK_LIMIT).ok_or(NOT_LINKED)?;
    let transport = Transport::new().connect(&address.to_string());
    let transport = transport.map_err(refused("say whom to connect to"))?;
    let others = transport.links();
    let far = Node::builder()
        .name("perf-far")
        .cores(Cores::list([cpu as u32]))
        .idle(idle)
        .with(transport)
        .start()
        .map_err(|source| ScenarioError::Runtime {
            doing: "start the other node",
            source: source.into(),
        })?;
    others.wait_for_nodes(1, LINK_LIMIT).ok_or(NOT_LINKED)?;
    links.wait_for_nodes(1, LINK_LIMIT).ok_or(NOT_LINKED)?;
    Ok(far)
}

/// What a node needs that another is to link to.
pub(super) fn listening() -> Result<(Transport, Links), ScenarioError> {
    let transport = Transport::new().listen("127.0.0.1:0");
    let transport = transport.map_err(refused("say where to listen"))?;
    let links = transport.links();
    Ok((transport, links))
}

const NOT_LINKED: ScenarioError = ScenarioError::Stalled { limit_seconds: LINK_LIMIT.as_secs() };

pub(super) fn end(far: Node) -> Result<(), ScenarioError> {
    far.shutdown(SHUTDOWN_LIMIT)
        .map_err(|source| ScenarioError::Runtime { doing: "shut the other node down", source })
}

fn refused(
    doing: &'static str,
) -> impl FnOnce(mainspring_transport::TransportError) -> ScenarioError {
    move |source| ScenarioError::Io { doing, source: std::io::Error::other(source) }
}
