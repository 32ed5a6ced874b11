//! Memory of nodes whose peers take nothing.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_transport::testkit::SimulatedLinks;

use crate::SECOND;
use crate::ledger::Shared;
use crate::talker::{Talk, Talker};

const WINDOW_BYTES: usize = 64 << 10;
const OUTBOX_BYTES: usize = 128 << 10;
const FRAME_BYTES: usize = 16 << 10;
const SENT: u64 = 20_000;

/// Two nodes, linked, with an actor on each.
struct Pair {
    sim: SimulatedLinks,
    ledger: Shared,
    actors: Vec<ActorRef<Talk>>,
}

fn pair(seed: u64) -> Pair {
    let sim = Simulation::seeded(seed).nodes(2);
    let mut sim = SimulatedLinks::with(sim, |_, transport| {
        transport
            .window_bytes(WINDOW_BYTES as u64)
            .outbox_bytes(OUTBOX_BYTES)
            .max_frame_bytes(FRAME_BYTES as u32)
    });
    let ledger = Shared::default();
    let mut actors = Vec::new();
    for node in 0..2 {
        let ledger = Shared::clone(&ledger);
        let make = move || Talker::new(node as u64, Shared::clone(&ledger));
        actors.push(sim.at(node).spawn(make));
    }
    sim.assert_linked_within(SECOND);
    Pair { sim, ledger, actors }
}

impl Pair {
    /// One tells the other much more than there is room for, a little at a time.
    fn tell_much(&mut self) {
        for _ in 0..SENT / 100 {
            let tell = Talk::TellIt { to: self.actors[1], of: 1, count: 100 };
            self.sim.tell(self.actors[0], &tell);
            self.sim.run_for(Duration::from_millis(10));
            let under_way = self.sim.network().bytes_under_way();
            assert!(under_way <= WINDOW_BYTES + 2 * FRAME_BYTES, "{under_way} bytes under way");
        }
    }

    fn refused(&mut self) -> u64 {
        self.sim.at(0).counters().dead_letters.of(Reason::Full)
    }

    fn check_all_accounted(&mut self) {
        let refused = self.refused();
        let ledger = self.ledger.borrow();
        assert!(ledger.broken().is_empty(), "{:?}", ledger.broken());
        assert!(refused > 0, "more was sent than there was room for");
        assert_eq!(ledger.received() + refused, SENT);
        assert_eq!(ledger.missing(0, 1), refused);
    }
}

#[test]
fn what_waits_for_a_node_out_of_reach_is_bounded_and_goes_when_it_is_back() {
    for seed in 1..=5 {
        let mut pair = pair(seed);
        pair.sim.partition([0], [1]);
        pair.tell_much();
        let came_before = pair.ledger.borrow().received();
        pair.sim.heal();
        pair.sim.run_for(10 * SECOND);
        // Shorter than the silence after which a node is gone: the connection has lasted.
        pair.check_all_accounted();
        let kept = pair.ledger.borrow().received() - came_before;
        let room = OUTBOX_BYTES * 2 + WINDOW_BYTES + FRAME_BYTES;
        assert!(kept > 0 && kept as usize * 48 <= room, "{kept} messages waited");
        assert_eq!(pair.sim.network().bytes_under_way(), 0);
    }
}

#[test]
fn a_node_that_does_nothing_for_a_while_holds_its_peer_up_and_loses_nothing() {
    for seed in 1..=5 {
        let mut pair = pair(seed);
        pair.sim.stall(1, 3 * SECOND);
        pair.tell_much();
        pair.sim.run_for(10 * SECOND);
        pair.check_all_accounted();
        assert_eq!(pair.sim.network().bytes_under_way(), 0);
        let memory_bytes = pair.sim.network().counters(1, 0).receive_memory_bytes;
        // The buffer of a socket grows by doubling, up to the two frames that it has to hold.
        let of_socket = 5 * FRAME_BYTES as u64;
        let sockets = pair.sim.network().counters(1, 0).open;
        assert!(memory_bytes <= sockets * of_socket, "{memory_bytes} bytes of {sockets} sockets");
    }
}
