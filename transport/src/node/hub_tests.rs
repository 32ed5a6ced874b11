//! What the hub decides, without sockets.

use super::*;
use crate::handshake::{CURRENT_VERSION, NONCE_BYTES};
use crate::node::notice::{CONTACTS_LIMIT, ConnectError, Links};

const SECOND_NS: u64 = 1_000_000_000;

fn hub() -> Hub {
    let local = LocalNode::new("bank", "hub", 1, 1, 2);
    Hub::new(Settings::default(), local, Notices::new(Links::default()), 0)
}

fn hub_with_contact() -> Hub {
    let local = LocalNode::new("bank", "hub", 1, 1, 2);
    let contacts = vec![SocketAddr::from(([127, 0, 0, 1], 7355))];
    let settings = Settings { contacts, ..Settings::default() };
    Hub::new(settings, local, Notices::new(Links::default()), 0)
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
        features: FEATURE_BULK,
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

/// The wish for the bulk connection that the control connection `serial` would carry.
fn wish(hub: &mut Hub, serial: u64, now_ns: u64) -> Option<u64> {
    let mut wish = None;
    hub.write_control(serial, now_ns, true, |frame| {
        if let LinkFrame::BulkWanted { waiting_bytes } = frame {
            wish = Some(*waiting_bytes);
        }
    });
    wish
}

fn dials(hub: &mut Hub) -> Vec<Attempt> {
    let dialled = |order| match order {
        Order::Dial { attempt, .. } => Some(attempt),
        _ => None,
    };
    orders(hub).into_iter().filter_map(dialled).collect()
}

#[test]
fn who_was_dialled_asks_for_the_bulk_connection_once() {
    let mut hub = hub();
    let serial = serial_of(hub.greeted(peer(7, 7, CONTROL), None, 1));
    assert_eq!(wish(&mut hub, serial, 1), None);
    (0..3).for_each(|_| hub.want_bulk(7, 1_000, 2));
    assert_eq!(wish(&mut hub, serial, 2), Some(1_000));
    hub.want_bulk(7, 2_000, 3);
    assert_eq!(wish(&mut hub, serial, 3), None, "it was asked for");
    let bulk = serial_of(hub.greeted(peer(7, 7, BULK), None, 4));
    assert_ne!(bulk, serial);
    hub.tick(5);
    assert!(dials(&mut hub).is_empty(), "it does not know where to");
    // After a loss of everything it is asked for again.
    hub.ended(bulk, DownReason::Reset, Volume::NONE, 6);
    hub.ended(serial, DownReason::Reset, Volume::NONE, 6);
    let serial = serial_of(hub.greeted(peer(7, 7, CONTROL), None, 7));
    hub.want_bulk(7, 3_000, 8);
    assert_eq!(wish(&mut hub, serial, 8), Some(3_000));
}

#[test]
fn who_has_dialled_makes_the_bulk_connection_when_it_is_wanted_by_either() {
    for is_asked in [false, true] {
        let mut hub = hub_with_contact();
        hub.tick(0);
        assert_eq!(dials(&mut hub), [Attempt::Contact(0)]);
        let of_control = Peer { role: Role::Initiator, ..peer(7, 7, CONTROL) };
        let serial = serial_of(hub.greeted(of_control, Some(Attempt::Contact(0)), 1));
        let bulk = Attempt::Further(NodeId(7), BULK);
        hub.tick(2);
        assert!(!dials(&mut hub).contains(&bulk), "nobody wants it yet");
        match is_asked {
            false => hub.want_bulk(7, 1_000, 3),
            true => {
                let frame = LinkFrame::BulkWanted { waiting_bytes: 1_000 };
                assert!(hub.control_frame(serial, &frame, 3).is_ok_and(|news| news.is_none()));
            }
        }
        assert_eq!(wish(&mut hub, serial, 3), None, "it dials itself");
        hub.tick(4);
        assert!(dials(&mut hub).contains(&bulk));
    }
}

#[test]
fn a_silent_control_connection_takes_all_others_of_its_node_with_it() {
    let mut hub = hub();
    let ordinary = ConnectionKey { lane: Lane::Ordinary, index: 1 };
    let place = |hub: &mut Hub, key| serial_of(hub.greeted(peer(7, 7, key), None, 1));
    let serials = [CONTROL, ordinary, BULK].map(|key| place(&mut hub, key));
    let other = serial_of(hub.greeted(peer(8, 8, CONTROL), None, 1));
    orders(&mut hub);
    // Heartbeats of one go on; of the other nothing comes, and its connections never fail.
    for beat in 1..=21 {
        let now_ns = beat * SECOND_NS / 2;
        let frame = LinkFrame::Heartbeat { sent_at_ns: now_ns };
        assert!(hub.control_frame(other, &frame, now_ns).is_ok());
        for serial in [serials[0], other] {
            hub.write_control(serial, now_ns, true, |_| {});
        }
    }
    let mut dropped: Vec<(u16, u64)> = orders(&mut hub)
        .into_iter()
        .filter_map(|order| match order {
            Order::Drop { core, serial, reason: DownReason::Unreachable } => Some((core, serial)),
            _ => None,
        })
        .collect();
    dropped.sort_unstable();
    assert_eq!(dropped, [(0, serials[0]), (0, serials[2]), (1, serials[1])]);
}

#[test]
fn a_node_that_shuts_down_lets_in_who_is_linked_and_nobody_else() {
    let mut hub = hub();
    serial_of(hub.greeted(peer(7, 7, CONTROL), None, 1));
    let hello = |node_id: u128, incarnation: u32| {
        let local = LocalNode::new("bank", "peer", node_id, incarnation, 2);
        let local = LocalNode { started_at_ns: u64::from(incarnation), ..local };
        let dialled = Dialled { lane: Lane::Bulk, index: 0, expected_incarnation: 0 };
        Hello::of(&local, dialled, false, [0; NONCE_BYTES])
    };
    let is_in = |hub: &Hub, node_id, incarnation| hub.verdict(&hello(node_id, incarnation)).is_ok();
    assert!(is_in(&hub, 8, 8));
    hub.close_to_strangers();
    assert!(is_in(&hub, 7, 7), "messages to it may wait for a connection");
    assert!(!is_in(&hub, 7, 9) && !is_in(&hub, 8, 8));
    hub.leave();
    assert!(!is_in(&hub, 7, 7));
}

#[test]
fn a_node_that_has_another_number_of_cores_than_it_said_before_is_refused() {
    let mut hub = hub();
    serial_of(hub.greeted(peer(7, 7, CONTROL), None, 1));
    let last = ConnectionKey { lane: Lane::Ordinary, index: 7 };
    let placed = hub.greeted(Peer { cores: 8, ..peer(7, 7, last) }, None, 2);
    assert!(matches!(placed, Placed::Refused(RefusalReason::Malformed)));
    let placed = hub.greeted(peer(7, 7, ConnectionKey { index: 1, ..last }), None, 3);
    serial_of(placed);
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

/// A hub that the program may give addresses to.
fn hub_that_dials() -> (Hub, Links) {
    let local = LocalNode::new("bank", "hub", 9, 9, 2);
    let links = Links::default();
    links.prepare(&[], None, true);
    (Hub::new(Settings::default(), local, Notices::new(links.clone()), 0), links)
}

fn port(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn an_address_that_is_named_later_is_dialled_until_it_is_taken_back() {
    let (mut hub, links) = hub_that_dials();
    hub.tick(0);
    assert!(dials(&mut hub).is_empty());
    links.connect(port(1)).expect("it may be dialled");
    assert!(hub.has_new_contacts());
    hub.take_up_contacts(1);
    hub.tick(1);
    let [attempt] = dials(&mut hub)[..] else { panic!("one dials") };
    hub.dial_failed(attempt, None, 2);
    hub.tick(SECOND_NS);
    assert_eq!(dials(&mut hub), [attempt], "it is tried again");
    assert!(links.disconnect(port(1)) && !links.disconnect(port(1)));
    hub.take_up_contacts(SECOND_NS);
    assert!(matches!(orders(&mut hub)[..], [Order::Abandon(abandoned)] if abandoned == attempt));
    // Named again it is somebody new: what is still said of the old attempt does not count.
    links.connect(port(1)).expect("it may be dialled");
    hub.take_up_contacts(2 * SECOND_NS);
    hub.tick(2 * SECOND_NS);
    let [again] = dials(&mut hub)[..] else { panic!("one dials") };
    assert_ne!(again, attempt);
}

#[test]
fn an_address_that_is_taken_back_loses_its_link_and_nothing_else_does() {
    let (mut hub, links) = hub_that_dials();
    links.connect(port(1)).expect("it may be dialled");
    hub.take_up_contacts(0);
    hub.tick(0);
    let attempt = dials(&mut hub)[0];
    let dialled = Peer { role: Role::Initiator, ..peer(7, 7, CONTROL) };
    let serial = serial_of(hub.greeted(dialled, Some(attempt), 1));
    serial_of(hub.greeted(peer(8, 8, CONTROL), None, 1));
    assert_eq!(links.nodes()[0].dialled_at, Some(port(1)));
    assert_eq!(links.nodes()[1].dialled_at, None);
    hub.tick(2);
    orders(&mut hub);
    links.disconnect(port(1));
    hub.take_up_contacts(3);
    let dropped = |order: &Order| match order {
        Order::Drop { serial, .. } => Some(*serial),
        _ => None,
    };
    let dropped: Vec<u64> = orders(&mut hub).iter().filter_map(dropped).collect();
    assert_eq!(dropped, [serial]);
    hub.ended(serial, DownReason::Closed, Volume::NONE, 4);
    hub.tick(20 * SECOND_NS);
    assert!(dials(&mut hub).is_empty());
}

#[test]
fn who_dials_a_node_that_is_linked_already_leaves_the_link_alone() {
    let (mut hub, links) = hub_that_dials();
    let serial = serial_of(hub.greeted(peer(7, 7, CONTROL), None, 0));
    orders(&mut hub);
    links.connect(port(1)).expect("it may be dialled");
    hub.take_up_contacts(1);
    hub.tick(1);
    let attempt = dials(&mut hub)[0];
    // The connection of the node with the smaller id stays, and this node's is larger.
    let dialled = Peer { role: Role::Initiator, ..peer(7, 7, CONTROL) };
    let placed = hub.greeted(dialled, Some(attempt), 2);
    assert!(matches!(placed, Placed::Refused(RefusalReason::Duplicate)));
    hub.dial_failed(attempt, Some(RefusalReason::Duplicate), 2);
    (1..60).for_each(|second| hub.tick(second * SECOND_NS));
    assert!(!dials(&mut hub).contains(&attempt), "a second one would end the link");
    // When the link is lost, this node dials too.
    hub.ended(serial, DownReason::Reset, Volume::NONE, 60 * SECOND_NS);
    hub.tick(70 * SECOND_NS);
    assert!(dials(&mut hub).contains(&attempt));
}

#[test]
fn what_may_not_be_dialled_is_refused_with_its_reason() {
    let address = SocketAddr::from(([10, 0, 0, 1], 7355));
    let links = Links::default();
    assert_eq!(links.connect(address), Err(ConnectError::NotStarted { address }));
    links.prepare(&[], None, true);
    assert_eq!(links.connect(address), Err(ConnectError::Insecure { address }));
    links.prepare(&[], None, false);
    assert_eq!(links.connect(address), Ok(()));
    let rest = (1..CONTACTS_LIMIT as u16).map(port);
    rest.for_each(|address| links.connect(address).expect("there is room"));
    assert_eq!(links.connect(address), Ok(()), "it is one of them");
    let one_more = SocketAddr::from(([10, 0, 0, 2], 7355));
    let refused = ConnectError::TooMany { address: one_more, limit: CONTACTS_LIMIT };
    assert_eq!(links.connect(one_more), Err(refused));
}
