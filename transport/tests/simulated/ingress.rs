//! A server in a simulation: the same code as on real sockets, with callers on another node.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use mainspring::device::{Device, DeviceTurn, Extension};
use mainspring::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenerId, Network, SendBuffer, SendFailed,
    SocketError, SocketHandler, SocketId, SocketOptions, Sockets, Taken,
};
use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_transport::Ingress;
use mainspring_transport::ingress::{Connection, Output, Received};
use mainspring_transport::testkit::SimulatedNetwork;

use crate::SECOND;

const SERVER: &str = "10.0.0.1:6380";
const CALLERS: usize = 16;

#[message]
struct Nothing;

/// Sends back what it gets.
struct Echo;

impl Actor for Echo {
    type Message = Nothing;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Nothing>) -> Next<Self> {
        Next::Same
    }
}

impl Connection for Echo {
    fn received(
        &mut self,
        _: &mut Context<Self>,
        bytes: &[u8],
        out: &mut Output<'_>,
    ) -> Received<Self> {
        match out.write(bytes) {
            Ok(()) => Received::taken(bytes.len()),
            Err(_) => Received::taken(0),
        }
    }
}

/// What became of one caller.
#[derive(Default)]
struct Call {
    text: Vec<u8>,
    echo: Vec<u8>,
    end: Option<CloseCause>,
}

type Calls = Rc<RefCell<Vec<(SocketId, Call)>>>;

/// Calls the server so many times at once, each time with a text of its own.
struct Callers {
    sockets: Rc<dyn Sockets>,
    calls: Calls,
    to: SocketAddr,
}

impl Callers {
    fn with_call<T>(&self, socket: SocketId, change: impl FnOnce(&mut Call) -> T) -> T {
        let mut calls = self.calls.borrow_mut();
        let call = calls.iter_mut().find(|(of, _)| *of == socket);
        change(&mut call.expect("the network tells of sockets of this device alone").1)
    }
}

impl SocketHandler for Callers {
    fn accepted(&mut self, _: ListenerId, _: SocketId, _: SocketAddr) {
        panic!("it does not listen");
    }

    fn accept_failed(&mut self, _: ListenerId, failure: AcceptFailure) {
        panic!("{failure}");
    }

    fn connected(&mut self, socket: SocketId) {
        let text = self.with_call(socket, |call| SendBuffer::from(call.text.as_slice()));
        self.sockets.send(socket, text).expect("nothing is in flight");
    }

    fn connect_failed(&mut self, _: SocketId, error: SocketError) {
        panic!("{error}");
    }

    fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Taken {
        let is_whole = self.with_call(socket, |call| {
            call.echo.extend_from_slice(bytes);
            call.echo.len() >= call.text.len()
        });
        if is_whole {
            self.sockets.finish_sending(socket);
        }
        Taken::of(bytes.len())
    }

    fn sent(&mut self, _: SocketId, _: SendBuffer, result: Result<(), SendFailed>) {
        result.expect("the server takes everything");
    }

    fn peer_finished(&mut self, socket: SocketId) {
        self.sockets.close(socket);
    }

    fn closed(&mut self, socket: SocketId, cause: CloseCause) {
        self.with_call(socket, |call| call.end = Some(cause));
    }

    fn detached(&mut self, _: SocketId, _: DetachedSocket) {
        panic!("nothing is detached");
    }
}

impl Device for Callers {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let is_time = turn.now_ns() >= SECOND.as_nanos() as u64;
        let mut done = 0;
        if is_time && self.calls.borrow().is_empty() {
            for caller in 0..CALLERS {
                let options = SocketOptions::default();
                let socket = self.sockets.connect(self.to, options).expect("there is room");
                let text = (0..caller * 4_000 + 1).map(|at| (at * 7 + caller) as u8).collect();
                let call = Call { text, ..Call::default() };
                self.calls.borrow_mut().push((socket, call));
                done += 1;
            }
        }
        let sockets = Rc::clone(&self.sockets);
        done + sockets.poll(self, CALLERS)
    }

    fn has_work(&mut self) -> bool {
        self.sockets.has_events()
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.calls.borrow().is_empty().then_some(SECOND.as_nanos() as u64)
    }
}

#[test]
fn a_server_answers_all_its_callers_however_the_network_cuts_their_words() {
    for seed in 1..=20 {
        let mut sim = Simulation::seeded(seed).nodes(2).cores(2);
        let network = SimulatedNetwork::seeded(seed);
        network.conduct(|conduct| {
            conduct.window_bytes = 4 << 10;
            conduct.one_small_piece_in = 2;
        });
        let server = Ingress::tcp(SERVER).expect("it is an address").serve(|_| Echo);
        let calls = Calls::default();
        for core in 0..2 {
            sim.at(0).core(core).install(|seat| {
                network.install(seat, 0);
                server.install(seat);
            });
        }
        sim.at(1).install(|seat| {
            network.install(seat, 1);
            let sockets = seat.shared::<Network>().expect("it has just been installed").sockets();
            let to = SERVER.parse().expect("it is an address");
            seat.add_device(Box::new(Callers { sockets, calls: Rc::clone(&calls), to }));
        });
        sim.run_for(20 * SECOND);
        let calls = calls.borrow();
        assert_eq!(calls.len(), CALLERS);
        for (_, call) in calls.iter() {
            assert!(call.echo == call.text, "{} of {}", call.echo.len(), call.text.len());
            assert_eq!(call.end, Some(CloseCause::Closed));
        }
        let served: Vec<u64> = (0..2).map(|core| network.counters(0, core).accepted).collect();
        assert!(served.iter().all(|served| *served > 0), "both cores serve: {served:?}");
        assert_eq!((network.streams(), network.bytes_under_way()), (0, 0));
    }
}
