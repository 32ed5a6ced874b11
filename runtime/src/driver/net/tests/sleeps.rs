//! A core that sleeps hears of its sockets, wherever it sleeps. A sleep of the executor lasts an hour in these tests,
//! so a wake-up that is lost ends in the time-out of the peer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::mpsc;

use super::{LIMITS, LONG, SocketHandler, SocketId, Sockets};
use crate::driver::net::CoreNet;
use crate::driver::rig::{PROFILES, Rig};
use crate::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenOptions, ListenerId, SendBuffer, SendFailed,
    SocketError, Taken,
};

struct Echo(Rc<dyn Sockets>);

impl SocketHandler for Echo {
    fn accepted(&mut self, _: ListenerId, _: SocketId, _: std::net::SocketAddr) {}
    fn accept_failed(&mut self, _: ListenerId, _: AcceptFailure) {}
    fn connected(&mut self, _: SocketId) {}
    fn connect_failed(&mut self, _: SocketId, _: SocketError) {}
    fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Taken {
        self.0.send(socket, SendBuffer::from(bytes)).expect("the peer waits for its answer");
        Taken::of(bytes.len())
    }
    fn sent(&mut self, _: SocketId, _: SendBuffer, _: Result<(), SendFailed>) {}
    fn peer_finished(&mut self, socket: SocketId) {
        self.0.close(socket);
    }
    fn closed(&mut self, _: SocketId, _: CloseCause) {}
    fn detached(&mut self, _: SocketId, _: DetachedSocket) {}
}

#[test]
fn every_question_is_answered_wherever_the_core_sleeps() {
    for idle in PROFILES {
        for future_under_way in [false, true] {
            let (tell, told) = mpsc::channel();
            let rig = Rig::start(idle, move |mut core, ring| {
                let net = CoreNet::new(ring, LIMITS);
                let sockets = net.network().sockets();
                let any = "127.0.0.1:0".parse().expect("an address");
                let listening = sockets.listen(any, ListenOptions::default());
                tell.send(listening.expect("a port is free").1).expect("somebody waits");
                if future_under_way {
                    core.tasks.push(Box::pin(std::future::pending()));
                }
                let mut echo = Echo(sockets.clone());
                core.on_completed = Box::new(move |completion| {
                    assert!(net.completed(completion));
                    sockets.poll(&mut echo, 64);
                });
                core
            });
            let address = told.recv_timeout(LONG).expect("it listens");
            let mut peer = TcpStream::connect(address).expect("somebody listens");
            peer.set_read_timeout(Some(LONG)).expect("a time");
            for round in 0..200_u8 {
                peer.write_all(&[round; 48]).expect("written");
                let mut answer = [0; 48];
                peer.read_exact(&mut answer).expect("an answer");
                assert_eq!(answer, [round; 48]);
            }
            rig.finish();
        }
    }
}
