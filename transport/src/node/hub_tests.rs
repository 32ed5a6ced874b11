//! What the hub decides, without sockets.

use super::*;
use crate::handshake::CURRENT_VERSION;
use crate::node::notice::Links;

const SECOND_NS: u64 = 1_000_000_000;

fn hub() -> Hub {
    let local = LocalNode::new("bank", "hub", 1, 1, 2);
    Hub::new(Settings::default(), local, Notices::new(Links::default()), 0)
}

fn peer(node_id: u128, incarnation: u32, key: ConnectionKey) -> Peer {
    Peer {
        role: Role::Responder,
        node_id,
        name: format!("peer-{node_id}"),
        incarnation,
        started_at_ns: u64::from(incarnation),
        cores: 2,
        lane: key.lane,
        index: key.index,
        authenticated: true,
        version: CURRENT_VERSION,
        features: 0,
        checksums: false,
        max_frame_bytes: 256 << 10,
        ordinary_frame_bytes: 256 << 10,
        initial_credit_bytes: 1 << 20,
        own_max_frame_bytes: 256 << 10,
    }
}

fn serial_of(placed: Placed) -> u64 {
    match placed {
        Placed::On { facts, .. } => facts.serial,
        Placed::Refused(reason) => panic!("refused: {reason}"),
    }
}

fn orders(hub: &mut Hub) -> Vec<Order> {
    std::iter::from_fn(|| hub.next_order()).collect()
}

fn lives_over(hub: &mut Hub) -> Vec<u32> {
    let over = |order| match order {
        Order::Gone { incarnation, is_over: true } => Some(incarnation),
        _ => None,
    };
    orders(hub).into_iter().filter_map(over).collect()
}

#[test]
fn more_nodes_than_the_table_holds_may_come_and_go() {
    let mut hub = hub();
    for (n, now_ns) in (10..10 + 2 * PEERS_LIMIT as u32).zip(1..) {
        let now_ns = now_ns * 20 * SECOND_NS;
        let serial = serial_of(hub.greeted(peer(u128::from(n), n, CONTROL), None, now_ns));
        hub.ended(serial, DownReason::ClosedByPeer, Volume::NONE, now_ns);
        // Its silence counts from now on, a heartbeat at a time.
        (1..40).for_each(|beat| hub.tick(now_ns + beat * SECOND_NS / 2));
        orders(&mut hub);
    }
    assert!(hub.nodes.len() <= PEERS_LIMIT);
}

#[test]
fn the_lane_of_large_messages_is_refused_as_long_as_nothing_reads_it() {
    let bulk = ConnectionKey { lane: Lane::Bulk, index: 0 };
    let placed = hub().greeted(peer(7, 7, bulk), None, 1);
    assert!(matches!(placed, Placed::Refused(RefusalReason::Malformed)));
}

#[test]
fn a_restart_ends_a_life_that_had_only_counted_as_unreachable() {
    let mut hub = hub();
    let serial = serial_of(hub.greeted(peer(7, 7, CONTROL), None, 1));
    hub.ended(serial, DownReason::Reset, Volume::NONE, 2);
    (1..40).for_each(|beat| hub.tick(beat * SECOND_NS / 2));
    assert!(lives_over(&mut hub).is_empty(), "it may come back");
    serial_of(hub.greeted(peer(7, 8, CONTROL), None, 30 * SECOND_NS));
    assert_eq!(lives_over(&mut hub), [7]);
}
