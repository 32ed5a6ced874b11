//! Sockets of a real node: devices find them on every core, and a node that ends lets go of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainspring::Node;
use mainspring::device::{Device, DeviceTurn, Extension, NodePlan, Seat};
use mainspring::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenOptions, ListenerId, Network, SendBuffer,
    SendFailed, SocketError, SocketHandler, SocketId, Sockets, Taken,
};
use mainspring::node::cores::Cores;
use mainspring::node::idle::IdleProfile;
use mainspring::prelude::*;

const LONG: Duration = Duration::from_secs(20);
const PROFILES: [IdleProfile; 3] =
    [IdleProfile::Busy, IdleProfile::Hybrid { spin: Duration::from_micros(30) }, IdleProfile::Eco];

/// Puts an echo onto every core, each with a port of its own.
#[derive(Default, Clone)]
struct Echoes {
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    /// Each core also has a future under way, so that it sleeps in its executor.
    waits_for_ever: bool,
}

impl Extension for Echoes {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn prepare(&self, _: &NodePlan) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        let network = seat.shared::<Network>().expect("a node leaves a network on every core");
        let sockets = network.sockets();
        let any = "127.0.0.1:0".parse().expect("an address");
        let (_, address) = sockets.listen(any, ListenOptions::default()).expect("a port is free");
        self.addresses.lock().expect("not poisoned").push(address);
        if self.waits_for_ever {
            seat.spawn(Waiting).expect("there is room for an actor");
        }
        seat.add_device(Box::new(EchoDevice { sockets: sockets.clone(), echo: Echo { sockets } }));
    }
}

#[message]
struct Nothing;

/// Has a future under way for ever.
struct Waiting;

impl Actor for Waiting {
    type Message = Nothing;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.pipe(std::future::pending::<()>(), |_: &mut Self, _, ()| Next::Same);
        Next::Same
    }

    fn receive(&mut self, _: &mut Context<'_, Self>, _: &Archived<Nothing>) -> Next<Self> {
        Next::Same
    }
}

struct EchoDevice {
    sockets: Rc<dyn Sockets>,
    echo: Echo,
}

struct Echo {
    sockets: Rc<dyn Sockets>,
}

impl Device for EchoDevice {
    fn poll(&mut self, _: &mut DeviceTurn<'_>) -> usize {
        self.sockets.poll(&mut self.echo, 64)
    }

    fn has_work(&mut self) -> bool {
        self.sockets.has_events()
    }
}

impl SocketHandler for Echo {
    fn accepted(&mut self, _: ListenerId, _: SocketId, _: SocketAddr) {}
    fn accept_failed(&mut self, _: ListenerId, _: AcceptFailure) {}
    fn connected(&mut self, _: SocketId) {}
    fn connect_failed(&mut self, _: SocketId, _: SocketError) {}

    fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Taken {
        match self.sockets.send(socket, SendBuffer::from(bytes)) {
            Ok(()) => Taken::of(bytes.len()),
            Err(_) => {
                self.sockets.pause(socket);
                Taken::of(0)
            }
        }
    }

    fn sent(&mut self, socket: SocketId, _: SendBuffer, _: Result<(), SendFailed>) {
        self.sockets.resume(socket);
    }

    fn peer_finished(&mut self, socket: SocketId) {
        self.sockets.close(socket);
    }

    fn closed(&mut self, _: SocketId, _: CloseCause) {}
    fn detached(&mut self, _: SocketId, _: DetachedSocket) {}
}

fn node_with(echoes: &Echoes, idle: IdleProfile) -> Node {
    let builder = Node::builder().cores(Cores::count(2)).idle(idle);
    builder.with(echoes.clone()).start().expect("the node starts")
}

#[test]
fn every_core_answers_in_every_idle_profile() {
    for idle in PROFILES {
        a_hundred_questions_are_answered(&Echoes::default(), idle);
    }
}

#[test]
fn a_core_that_sleeps_in_its_executor_hears_of_its_sockets() {
    for idle in PROFILES {
        let echoes = Echoes { waits_for_ever: true, ..Echoes::default() };
        a_hundred_questions_are_answered(&echoes, idle);
    }
}

fn a_hundred_questions_are_answered(echoes: &Echoes, idle: IdleProfile) {
    let node = node_with(echoes, idle);
    let addresses = echoes.addresses.lock().expect("not poisoned").clone();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        let mut peer = TcpStream::connect(address).expect("somebody listens");
        peer.set_read_timeout(Some(LONG)).expect("a time");
        for round in 0..100_u8 {
            let question = [round; 64];
            peer.write_all(&question).expect("written");
            let mut answer = [0; 64];
            peer.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, question);
        }
    }
    // Not in order: that would wait for futures that never end.
    drop(node);
}

#[test]
fn a_node_that_is_dropped_lets_go_of_its_connections() {
    let echoes = Echoes::default();
    let node = node_with(&echoes, IdleProfile::Eco);
    let addresses = echoes.addresses.lock().expect("not poisoned").clone();
    let mut peers: Vec<TcpStream> = addresses
        .iter()
        .map(|address| TcpStream::connect(address).expect("somebody listens"))
        .collect();
    for peer in &mut peers {
        peer.set_read_timeout(Some(LONG)).expect("a time");
        peer.write_all(b"?").expect("written");
        peer.read_exact(&mut [0]).expect("an answer");
    }
    // More than the peer takes: a send is in flight when the node goes.
    let flood = vec![7; 8 << 20];
    peers[0].set_nonblocking(true).expect("a flag");
    while peers[0].write(&flood).is_ok() {}
    peers[0].set_nonblocking(false).expect("a flag");
    drop(node);
    for peer in &mut peers {
        // The end, or a reset where bytes were left unread; not a time-out.
        if let Err(error) = peer.read_to_end(&mut Vec::new()) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}
