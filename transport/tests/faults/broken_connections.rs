//! Each fault of the proxy, in the handshake and behind it: the link comes back, and nothing comes twice or out of
//! order.

use std::time::{Duration, Instant};

use mainspring_transport::handshake::Key;
use mainspring_transport::link::events::{DownReason, LinkEvent};
use mainspring_transport::wire::Lane;
use mainspring_transport::{LinkFigures, Transport};

use crate::ledger::{Ledger, Sender};
use crate::proxy::{Fault, Proxy, Rule, Way};
use crate::scene::{Scene, start};
use crate::{Outcome, PATIENCE};

/// Bytes that follow from each note's number: most of its frame.
const FILLER_BYTES: usize = 4_000;

/// Notes in a row.
const NOTES: usize = 8;

/// What both nodes have seen of a fault.
struct Seen {
    dialler: Vec<LinkEvent>,
    listener_figures: LinkFigures,
    dialler_figures: LinkFigures,
}

/// Links a node to the scene's through a proxy that does this, sends both ways until it has happened, and then until
/// the link is whole again: what was sent came at most once and in order.
fn suffer(scene: &Scene, from: u32, rule: Rule, transport: Transport) -> Outcome<Seen> {
    let before = scene.links.figures();
    let proxy = Proxy::new(scene.address, &[rule])?;
    let transport = transport.connect(&proxy.address.to_string())?;
    let (node, links) = start(&format!("dialler-{from}"), transport)?;
    let own_ledger = node.spawn(Ledger::default)?;
    let mut there = Sender::new(node.client(), scene.ledger, from, FILLER_BYTES);
    let mut back = Sender::new(scene.node.client(), own_ledger, from, FILLER_BYTES);
    let end = Instant::now() + PATIENCE;
    while proxy.fired() < rule.times {
        assert!(Instant::now() < end, "{rule:?}: it did not happen");
        there.send(NOTES);
        back.send(NOTES);
        // Not too much at once, and not too little.
        links.wait_until(Duration::from_millis(1), |_| false);
    }
    links.wait_for_nodes(1, PATIENCE).ok_or_else(|| format!("{rule:?}: not linked again"))?;
    for sender in [&mut there, &mut back] {
        let account = sender.settle()?;
        assert_eq!(account.wrong, 0, "{rule:?}: {account:?}");
        assert!(account.count <= sender.made(), "{rule:?}: {account:?}");
    }
    let (dialler, _) = links.take_events();
    let dialler_figures = links.figures();
    node.shutdown(PATIENCE)?;
    let after = scene.links.figures();
    assert!(after.accepted > before.accepted);
    Ok(Seen { dialler, listener_figures: after, dialler_figures })
}

/// The reasons for which connections of a lane ended.
fn ends(events: &[LinkEvent], wanted: Lane) -> Vec<DownReason> {
    let of_lane = |event: &LinkEvent| match event {
        LinkEvent::Down { connection, reason, .. } if connection.lane == wanted => Some(*reason),
        _ => None,
    };
    events.iter().filter_map(of_lane).collect()
}

/// Bytes of the stream at which something is broken off: in the first envelope, in the hello, at its end, in and
/// behind the last message, in a frame's header and in frames.
const PLACES: [u64; 9] = [0, 7, 16, 130, 176, 200, 230, 4_321, 60_000];

fn every_place(name: &str, fault: fn(u64) -> Fault) -> Outcome {
    let scene = Scene::new(name, Transport::new())?;
    let mut from = 0;
    for lane in [Lane::Control, Lane::Ordinary] {
        for way in [Way::ToListener, Way::ToDialler] {
            // Little goes over the control lane.
            let places = PLACES.iter().filter(|place| lane == Lane::Ordinary || **place < 300);
            for place in places {
                from += 1;
                let rule = Rule { lane, way, fault: fault(*place), times: 1 };
                let seen = suffer(&scene, from, rule, Transport::new())?;
                if *place > 1_000 {
                    let reasons = ends(&seen.dialler, lane);
                    let is_network = |reason: &DownReason| {
                        matches!(reason, DownReason::ClosedByPeer | DownReason::Reset)
                    };
                    assert!(
                        !reasons.is_empty() && reasons.iter().all(is_network),
                        "{rule:?}: {:?}",
                        seen.dialler
                    );
                }
                if *place < 100 {
                    assert!(seen.dialler_figures.left > 0, "{rule:?}: {:?}", seen.dialler_figures);
                }
                assert_eq!(seen.listener_figures.protocol_errors, 0, "{rule:?}");
            }
        }
    }
    scene.end()
}

#[test]
fn a_stream_that_is_truncated_anywhere_is_linked_again() -> Outcome {
    every_place("truncated", Fault::Truncate)
}

#[test]
fn a_stream_that_is_reset_anywhere_is_linked_again() -> Outcome {
    every_place("reset", Fault::Reset)
}

#[test]
fn a_stream_that_is_half_closed_anywhere_is_linked_again() -> Outcome {
    every_place("half-closed", Fault::HalfClose)
}

#[test]
fn with_a_key_a_bit_that_flips_in_a_handshake_ends_that_one_and_no_other() -> Outcome {
    let key = Key::from_file_bytes(b"thirty-two bytes of a key, random")?;
    let scene = Scene::new_with_key("flipped-hello", key.clone())?;
    // A byte of each field of a hello, of the proof behind it, and of the welcome.
    let places = [9, 12, 16, 20, 21, 33, 50, 52, 60, 64, 67, 70, 80, 90, 136, 180, 215, 240];
    for (from, place) in (1..).zip(places) {
        for way in [Way::ToListener, Way::ToDialler] {
            let from = from * 2 + u32::from(way == Way::ToDialler);
            let rule = Rule { lane: Lane::Control, way, fault: Fault::Flip(place, 4), times: 1 };
            let seen = suffer(&scene, from, rule, Transport::new().key(key.clone()))?;
            let (ours, theirs) = (seen.dialler_figures, seen.listener_figures);
            let is_said = ours.garbage + ours.all_refused() + ours.left > 0
                || theirs.garbage + theirs.all_refused() > 0
                || ours.disconnections > 0;
            assert!(is_said, "{rule:?}: {ours:?}, {theirs:?}");
        }
    }
    scene.end()
}

#[test]
fn with_checksums_a_bit_that_flips_in_a_message_ends_the_connection_before_an_actor_sees_it()
-> Outcome {
    let scene = Scene::new("flipped-message", Transport::new().checksums(true))?;
    for (from, place) in [(1, 10_000), (2, 30_003), (3, 70_001)] {
        for way in [Way::ToListener, Way::ToDialler] {
            let from = from * 2 + u32::from(way == Way::ToDialler);
            let fault = Fault::Flip(place, 0x10);
            let rule = Rule { lane: Lane::Ordinary, way, fault, times: 1 };
            let before = scene.links.figures();
            let seen = suffer(&scene, from, rule, Transport::new())?;
            let found = match way {
                Way::ToListener => seen.listener_figures.protocol_errors - before.protocol_errors,
                Way::ToDialler => seen.dialler_figures.protocol_errors,
            };
            assert_eq!(found, 1, "{rule:?}: {:?}", seen.dialler);
        }
    }
    scene.end()
}
