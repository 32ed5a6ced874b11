//! Nothing comes any more, little comes, or late.

use std::time::Duration;

use mainspring_transport::Transport;
use mainspring_transport::handshake::RefusalReason;
use mainspring_transport::link::events::{DownReason, GoneReason, LinkEvent};
use mainspring_transport::wire::Lane;

use crate::ledger::{Ledger, Sender};
use crate::proxy::{Fault, Proxy, Rule, Way};
use crate::scene::{Scene, start, wait_event};
use crate::{Outcome, PATIENCE};

#[test]
fn a_link_on_which_everything_comes_late_stands_and_keeps_the_order() -> Outcome {
    let scene = Scene::new("late", Transport::new())?;
    let rules = [Lane::Control, Lane::Ordinary].map(|lane| {
        let fault = Fault::Delay(Duration::from_millis(10));
        Rule { lane, way: Way::ToListener, fault, times: 1 }
    });
    let proxy = Proxy::new(scene.address, &rules)?;
    let (node, links) = start("patient", Transport::new().connect(&proxy.address.to_string())?)?;
    links.wait_for_nodes(1, PATIENCE).ok_or("not linked")?;
    let mut sender = Sender::new(node.client(), scene.ledger, 1, 100);
    for _ in 0..20 {
        assert!(sender.send(5), "there is room");
        let account = sender.ask(PATIENCE)?;
        assert_eq!((account.count, account.wrong), (sender.made(), 0));
    }
    assert_eq!(proxy.fired(), 2);
    assert_eq!(links.figures().disconnections, 0);
    node.shutdown(PATIENCE)?;
    scene.end()
}

#[test]
fn a_link_on_which_little_gets_through_holds_up_its_sender_and_stands() -> Outcome {
    let scene = Scene::new("narrow", Transport::new().window_bytes(64 << 10))?;
    let fault = Fault::Throttle(4 << 20);
    let rule = Rule { lane: Lane::Ordinary, way: Way::ToListener, fault, times: 1 };
    let proxy = Proxy::new(scene.address, &[rule])?;
    let transport = Transport::new().connect(&proxy.address.to_string())?;
    let (node, links) = start("hurried", transport.outbox_bytes(1 << 20))?;
    links.wait_for_nodes(1, PATIENCE).ok_or("not linked")?;
    let mut sender = Sender::new(node.client(), scene.ledger, 1, 4_000);
    // Far more than the outbox takes: some is refused, the rest comes in order.
    for _ in 0..200 {
        sender.send(16);
    }
    let account = sender.settle()?;
    assert_eq!(account.wrong, 0, "{account:?}");
    assert_eq!(links.figures().disconnections, 0);
    node.shutdown(PATIENCE)?;
    scene.end()
}

#[test]
fn a_node_from_which_nothing_comes_any_more_is_gone_and_comes_back() -> Outcome {
    for (way, name) in [(Way::ToListener, "stalled-there"), (Way::ToDialler, "stalled-back")] {
        let beats = |transport: Transport| {
            transport.heartbeats(Duration::from_millis(200), Duration::from_secs(3))
        };
        let scene = Scene::new(name, beats(Transport::new()))?;
        let rule = Rule { lane: Lane::Control, way, fault: Fault::Stall(400), times: 1 };
        let proxy = Proxy::new(scene.address, &[rule])?;
        let transport = Transport::new().connect(&proxy.address.to_string())?;
        let (node, links) = start(&format!("{name}-dialler"), beats(transport))?;
        let own_ledger = node.spawn(Ledger::default)?;
        links.wait_for_nodes(1, PATIENCE).ok_or("not linked")?;
        let mut there = Sender::new(node.client(), scene.ledger, 1, 100);
        let mut back = Sender::new(scene.node.client(), own_ledger, 1, 100);
        there.settle()?;
        let is_gone = |event: &LinkEvent| {
            matches!(event, LinkEvent::Gone { reason: GoneReason::Unreachable, .. })
        };
        // Who hears nothing ends the link; the other side hears of that at once, or hears nothing itself.
        match way {
            Way::ToListener => wait_event(&scene.links, is_gone)?,
            Way::ToDialler => wait_event(&links, is_gone)?,
        };
        links.wait_for_nodes(1, PATIENCE).ok_or("not linked again")?;
        for sender in [&mut there, &mut back] {
            let account = sender.settle()?;
            assert_eq!(account.wrong, 0, "{name}: {account:?}");
        }
        node.shutdown(PATIENCE)?;
        scene.end()?;
    }
    Ok(())
}

#[test]
fn a_connection_for_messages_that_stalls_is_slow_then_ended_and_made_again() -> Outcome {
    let scene = Scene::new("stalled-messages", Transport::new().window_bytes(64 << 10))?;
    let fault = Fault::Stall(100_000);
    let rule = Rule { lane: Lane::Ordinary, way: Way::ToListener, fault, times: 1 };
    let proxy = Proxy::new(scene.address, &[rule])?;
    let transport = Transport::new().connect(&proxy.address.to_string())?;
    let transport = transport.slow_peers(256 << 10, Duration::from_millis(500));
    let (node, links) = start("stalled-messages-dialler", transport)?;
    links.wait_for_nodes(1, PATIENCE).ok_or("not linked")?;
    let mut sender = Sender::new(node.client(), scene.ledger, 1, 4_000);
    while proxy.fired() == 0 {
        sender.send(1);
    }
    // More than the window and the mark together.
    for _ in 0..200 {
        while !sender.send(1) {
            std::thread::yield_now();
        }
    }
    wait_event(&links, |event| matches!(event, LinkEvent::SlowPeer { .. }))?;
    let down = wait_event(&links, |event| matches!(event, LinkEvent::Down { .. }))?;
    let LinkEvent::Down { connection, maybe_lost, reason, .. } = down else { unreachable!() };
    assert_eq!((connection.lane, reason), (Lane::Ordinary, DownReason::SlowPeer));
    assert!(maybe_lost.frames > 0 && maybe_lost.bytes <= (64 << 10) + (256 << 10));
    links.wait_for_nodes(1, PATIENCE).ok_or("not linked again")?;
    let account = sender.settle()?;
    assert_eq!(account.wrong, 0, "{account:?}");
    node.shutdown(PATIENCE)?;
    scene.end()
}

#[test]
fn a_handshake_that_stalls_ends_at_its_deadline_and_another_is_begun() -> Outcome {
    let scene = Scene::new("stalled-handshake", Transport::new())?;
    // The listener has a part of the hello, and waits.
    let fault = Fault::Stall(100);
    let rule = Rule { lane: Lane::Control, way: Way::ToListener, fault, times: 1 };
    let proxy = Proxy::new(scene.address, &[rule])?;
    let (node, links) =
        start("stalled-dialler", Transport::new().connect(&proxy.address.to_string())?)?;
    scene.wait_figures(|figures| figures.refused(RefusalReason::TooSlow) == 1);
    links.wait_for_nodes(1, PATIENCE).ok_or("not linked")?;
    Sender::new(node.client(), scene.ledger, 1, 0).settle()?;
    node.shutdown(PATIENCE)?;
    scene.end()
}
