//! Peers that are in, and then send what no node sends: their connection ends, and nobody else's.

use mainspring::frame::Header;
use mainspring_transport::Transport;
use mainspring_transport::handshake::{Dialled, Keys};
use mainspring_transport::link::events::{DownReason, LinkEvent};
use mainspring_transport::wire::{
    ControlBody, Decoder, Frame, GoodbyeReason, KIND_USER, Lane, LinkFrame, Step,
};

use crate::Outcome;
use crate::log::Mark;
use crate::scene::{Scene, wait_event};
use crate::stranger::{CONTROL, Greeted, ORDINARY, Stranger, somebody};

/// A frame with this header and as many zeroes as it says, but not more than a few.
fn frame(bytes: u32, kind: u8, flags: u8) -> Vec<u8> {
    let header = Header::new(bytes, 0, kind, flags, 0, 0);
    let mut frame = [header.word0.to_le_bytes(), header.word1.to_le_bytes()].concat();
    frame.resize(16 + (bytes as usize).min(4_096).next_multiple_of(16), 0);
    frame
}

fn link_frame(frame: &LinkFrame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.append_to(&mut bytes).expect("it can be written");
    bytes
}

/// The goodbye behind a handshake, if there is one.
fn goodbye_in(heard: &[u8], lane: Lane) -> Option<(GoodbyeReason, String)> {
    let (mut decoder, mut at) = (Decoder::new(lane), 0);
    while let Ok(Step::Frame { frame, bytes }) = decoder.next(&heard[at..]) {
        if let Frame::Link(LinkFrame::Goodbye { reason, text }) = frame {
            return Some((reason, text.to_owned()));
        }
        at += bytes;
    }
    None
}

/// Greets as a node of its own and sends `bytes`: the connection must end for a reason with this word.
fn sends(scene: &Scene, number: u32, dialled: Dialled, bytes: &[u8], word: &str) -> Outcome {
    let name = format!("evil-{number}");
    let (before, since) = (scene.links.figures(), Mark::now());
    let mut stranger = Stranger::new(scene.address)?;
    let greeted = stranger.greet(somebody(&name, number), dialled, Keys::NONE)?;
    assert!(matches!(greeted, Greeted::In(_)), "{greeted:?}");
    stranger.say(bytes);
    let heard = stranger.rest()?;
    // What it has sent and was not read makes a reset of the end; then the goodbye may get lost.
    if bytes.len() < 10_000 {
        let (reason, text) = goodbye_in(&heard, dialled.lane).ok_or("it is told why")?;
        assert_eq!(reason, GoodbyeReason::ProtocolError);
        assert!(text.contains(word), "{text}");
    }
    let after = scene.wait_figures(|figures| figures.protocol_errors > before.protocol_errors);
    assert_eq!(after.protocol_errors, before.protocol_errors + 1, "{word}");
    let line = since.line_with(&["a link ends", &format!("peer=\"{name}\"")]);
    assert!(line.contains(word), "{line}");
    let is_broken = |event: &LinkEvent| {
        matches!(event, LinkEvent::Down { reason: DownReason::ProtocolBroken, .. })
    };
    wait_event(&scene.links, is_broken)?;
    Ok(())
}

#[test]
fn a_peer_that_sends_what_no_node_sends_loses_its_connection() -> Outcome {
    let scene = Scene::new("besieged", Transport::new())?;
    let noise: Vec<u8> = (0..100_000).map(|_| fastrand::u8(1..)).collect();
    let first_chunk = frame(64, 0x85, 0);
    let reported = LinkFrame::Credit { consumed_bytes: u64::MAX, consumed_frames: u64::MAX };
    let of_lane_of_messages: [(Vec<u8>, &str); 12] = [
        (noise, "frame"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "frame"),
        (frame(u32::MAX, KIND_USER, 0x10), "declares 4294967295 bytes"),
        (frame(300_000, KIND_USER, 0x10), "declares 300000 bytes"),
        (frame(0, KIND_USER, 0x10), "no payload"),
        (frame(16, KIND_USER, 0x10), "not its length"),
        (frame(64, KIND_USER, 0), "flags"),
        (frame(64, KIND_USER, 0x30), "flags"),
        (frame(64, 0x90, 0), "unknown kind"),
        (first_chunk, "lane"),
        (link_frame(&LinkFrame::Heartbeat { sent_at_ns: 1 }), "lane"),
        (link_frame(&reported), "consumed"),
    ];
    for (number, (bytes, word)) in (1..).zip(&of_lane_of_messages) {
        sends(&scene, number, ORDINARY, bytes, word)?;
    }
    scene.end()
}

#[test]
fn no_kind_that_belongs_inside_a_node_is_taken_from_a_peer() -> Outcome {
    let scene = Scene::new("secretive", Transport::new())?;
    for kind in [1, 2, 3, 17, 64, 126, 127] {
        for (dialled, number) in [(ORDINARY, 100), (CONTROL, 300)] {
            let number = number + u32::from(kind);
            sends(&scene, number, dialled, &frame(64, kind, 0x10), "internal kind")?;
        }
    }
    scene.end()
}

#[test]
fn news_that_are_not_the_peers_to_tell_end_its_connection() -> Outcome {
    let scene = Scene::new("slandered", Transport::new())?;
    let actor = scene.ledger.address();
    // The peer says that an actor of this node has ended, to whoever watches it here.
    let lie = ControlBody::Terminated {
        actor,
        watcher: actor,
        reason: mainspring::actor::StopReason::Stopped,
    };
    let lie = link_frame(&LinkFrame::Control { sequence: 1, body: lie });
    sends(&scene, 500, CONTROL, &lie, "not between this node and the one that sent it")?;
    let watcher = mainspring::Address::new(somebody("", 501).incarnation, 0, 0, 1, 1);
    let ahead = ControlBody::Watch { actor, watcher };
    let ahead = link_frame(&LinkFrame::Control { sequence: 9, body: ahead });
    sends(&scene, 501, CONTROL, &ahead, "control frame 9 came after 0")?;
    let acknowledged = link_frame(&LinkFrame::ControlAck { sequence: 7 });
    sends(&scene, 502, CONTROL, &acknowledged, "control frame 7 is acknowledged; 0 were sent")?;
    scene.end()
}
