//! Strangers that do not get through the handshake: each ends its own connection, is counted and named in the log.

use std::io::{Read, Write};
use std::net::TcpListener;

use mainspring_transport::Transport;
use mainspring_transport::handshake::{
    Dialled, Key, Keys, LocalNode, RefusalReason, Version, VersionRange,
};
use mainspring_transport::wire::Lane;

use crate::ledger::{Ledger, Sender};
use crate::log::Mark;
use crate::scene::{Scene, start, wait_figures};
use crate::stranger::{CONTROL, Greeted, Stranger, hello_of, somebody};
use crate::{Outcome, PATIENCE, log};

/// The longest handshake message, and the beginning of any.
const MAGIC: &[u8; 8] = b"MSPRLINK";

/// A message of the handshake that says it has so many bytes, with those that are there.
fn envelope(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
    let mut message = MAGIC.to_vec();
    message.extend_from_slice(&[kind, 0, 0, 0]);
    message.extend_from_slice(&length.to_le_bytes());
    message.extend_from_slice(body);
    message.resize(message.len().next_multiple_of(16), 0);
    message
}

#[test]
fn who_says_something_else_than_a_hello_is_told_nothing() -> Outcome {
    let scene = Scene::new("garbage", Transport::new())?;
    let noise: Vec<u8> = (0..100_000).map(|_| fastrand::u8(..) | 0x80).collect();
    let garbage: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", &[0; 64], b"MSPRLINX", &noise];
    for (count, garbage) in (1..).zip(garbage) {
        let mut stranger = Stranger::new(scene.address)?;
        stranger.say(garbage);
        assert!(stranger.rest()?.is_empty());
        scene.wait_figures(|figures| figures.garbage == count);
        let line = stranger.line_with(&[]);
        assert!(line.contains("is no handshake"), "{line}");
    }
    scene.end()
}

#[test]
fn garbage_behind_a_hello_ends_the_handshake() -> Outcome {
    let scene = Scene::new("half-greeted", Transport::new())?;
    let (_, hello) = hello_of(somebody("half", 1), Keys::NONE)?;
    let mut stranger = Stranger::new(scene.address)?;
    stranger.say(&hello);
    assert_eq!(stranger.hear::<8>()?, *MAGIC);
    stranger.say(b"GET / HTTP/1.1\r\n\r\n");
    stranger.rest()?;
    scene.wait_figures(|figures| figures.garbage == 1);
    stranger.line_with(&["is no handshake"]);
    scene.end()
}

#[test]
fn messages_that_declare_too_much_or_are_not_due_are_refused() -> Outcome {
    let scene = Scene::new("malformed", Transport::new())?;
    let bad = [
        envelope(1, 0, &[]),
        envelope(1, 4_081, &[]),
        envelope(1, u32::MAX, &[]),
        envelope(9, 16, &[0; 16]),
        envelope(1, 4_080, &[0; 4_080]),
        // A proof and a welcome before any hello.
        envelope(2, 32, &[7; 32]),
        envelope(3, 16, &[0; 16]),
    ];
    for (count, bad) in (1..).zip(bad) {
        let mut stranger = Stranger::new(scene.address)?;
        stranger.say(&bad);
        let heard = stranger.rest()?;
        assert_eq!((&heard[..8], heard[8]), (MAGIC.as_slice(), 4), "refused");
        let refused = |figures: &mainspring_transport::LinkFigures| {
            figures.refused(RefusalReason::Malformed) + figures.refused(RefusalReason::Version)
        };
        scene.wait_figures(|figures| refused(figures) == count);
        stranger.line_with(&["refused the peer"]);
    }
    scene.end()
}

/// Presents a node that is refused for `reason`.
fn refused(
    scene: &Scene,
    local: LocalNode,
    dialled: Dialled,
    keys: Keys,
    reason: RefusalReason,
) -> Outcome {
    let before = scene.links.figures();
    let mut stranger = Stranger::new(scene.address)?;
    let greeted = stranger.greet(local, dialled, keys)?;
    match greeted {
        Greeted::Refused(said) => assert_eq!(said, reason),
        // Some are refused when their own part is over already.
        Greeted::In(_) => assert!(!stranger.rest()?.is_empty(), "{reason}: it is told"),
        Greeted::Closed => panic!("{reason}: it is told"),
    }
    let after = scene.wait_figures(|figures| figures.refused(reason) > before.refused(reason));
    assert_eq!(after.all_refused(), before.all_refused() + 1, "{reason}: once");
    let line = stranger.line_with(&[]);
    assert!(line.contains(&reason.to_string()), "{line}");
    Ok(())
}

#[test]
fn a_node_that_does_not_fit_is_refused_with_the_reason() -> Outcome {
    use RefusalReason::{
        DuplicateIncarnation, KeyNotWanted, Malformed, OlderIncarnation, OtherIncarnation,
        SelfConnect, System,
    };
    let scene = Scene::new("choosy", Transport::new())?;
    let mut known_stranger = Stranger::new(scene.address)?;
    let peer = known_stranger.greet(somebody("known", 1), CONTROL, Keys::NONE)?;
    let Greeted::In(own) = peer else { panic!("let in, not {peer:?}") };
    let somebody = || somebody("unfit", 2);
    let none = || Keys::NONE;

    let other_system = LocalNode { system: "another".to_owned(), ..somebody() };
    refused(&scene, other_system, CONTROL, none(), System)?;
    let major = Version { major: 9, minor: 0 };
    let versions = VersionRange { oldest: major, newest: major };
    let newer = LocalNode { versions, ..somebody() };
    refused(&scene, newer, CONTROL, none(), RefusalReason::Version)?;
    let itself = LocalNode { node_id: own.node_id, ..somebody() };
    refused(&scene, itself, CONTROL, none(), SelfConnect)?;
    let same = LocalNode { incarnation: own.incarnation, ..somebody() };
    refused(&scene, same, CONTROL, none(), DuplicateIncarnation)?;
    let incarnation = scene.bystander.incarnation();
    let bystander = LocalNode { incarnation, ..somebody() };
    refused(&scene, bystander, CONTROL, none(), DuplicateIncarnation)?;
    let expected_incarnation = own.incarnation ^ 1;
    let restarted = Dialled { expected_incarnation, ..CONTROL };
    refused(&scene, somebody(), restarted, none(), OtherIncarnation)?;
    let key = Key::from_file_bytes(b"a key that nobody asked for, 32 b")?;
    refused(&scene, somebody(), CONTROL, Keys::new(vec![key])?, KeyNotWanted)?;
    let crowded = LocalNode { cores: 2_000, ..somebody() };
    refused(&scene, crowded, CONTROL, none(), Malformed)?;
    for (lane, index) in [(Lane::Control, 1), (Lane::Ordinary, 1), (Lane::Ordinary, u16::MAX)] {
        let nowhere = Dialled { lane, index, ..CONTROL };
        refused(&scene, somebody(), nowhere, none(), Malformed)?;
    }
    let (known, earlier) = (crate::stranger::somebody("known", 1), 0xFA00_0003);
    let mut later = LocalNode { incarnation: 0xFA00_0004, started_at_ns: 2, ..known.clone() };
    let mut stranger = Stranger::new(scene.address)?;
    assert!(matches!(stranger.greet(later.clone(), CONTROL, Keys::NONE)?, Greeted::In(_)));
    let leftover = LocalNode { incarnation: earlier, started_at_ns: 1, ..known };
    refused(&scene, leftover, CONTROL, none(), OlderIncarnation)?;
    later.incarnation += 1;
    refused(&scene, later, CONTROL, none(), DuplicateIncarnation)?;
    // Their node would wait for their goodbyes.
    drop((known_stranger, stranger));
    scene.end()
}

#[test]
fn a_node_without_the_key_is_refused_and_gets_no_proof() -> Outcome {
    let key = |text: &str| Key::from_file_bytes(text.as_bytes());
    let right = key("the right key, of thirty-two bytes")?;
    let scene = Scene::new_with_key("locked", right.clone())?;
    let somebody = somebody("keyless", 3);
    let wrong = Keys::new(vec![key("a wrong key, of thirty-three bytes")?])?;
    refused(&scene, somebody.clone(), CONTROL, Keys::NONE, RefusalReason::KeyWanted)?;
    refused(&scene, somebody.clone(), CONTROL, wrong, RefusalReason::ProofWrong)?;
    let incarnation = scene.bystander.incarnation();
    let twin = LocalNode { incarnation, ..somebody.clone() };
    refused(&scene, twin.clone(), CONTROL, Keys::NONE, RefusalReason::KeyWanted)?;
    let reason = RefusalReason::DuplicateIncarnation;
    refused(&scene, twin, CONTROL, Keys::new(vec![right.clone()])?, reason)?;
    let mut friend = Stranger::new(scene.address)?;
    let greeted = friend.greet(somebody, CONTROL, Keys::new(vec![right])?)?;
    assert!(matches!(greeted, Greeted::In(_)), "{greeted:?}");
    drop(friend);
    scene.end()
}

#[test]
fn who_hangs_up_in_the_middle_of_a_handshake_is_counted_and_logged() -> Outcome {
    let scene = Scene::new("impatient", Transport::new())?;
    let (_, hello) = hello_of(somebody("gone", 4), Keys::NONE)?;
    for (count, there) in (1..).zip([0, 8, 40, hello.len()]) {
        let mut stranger = Stranger::new(scene.address)?;
        stranger.say(&hello[..there]);
        stranger.hang_up()?;
        scene.wait_figures(|figures| figures.left == count);
        stranger.line_with(&["its handshake broke off"]);
    }
    scene.end()
}

#[test]
fn a_node_that_is_told_to_connect_to_itself_does_not_and_goes_on() -> Outcome {
    log::begin();
    let since = Mark::now();
    // The port is free again when the node comes.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let transport = Transport::new().listen(&address)?.connect(&address)?;
    let (node, links) = start("narcissus", transport)?;
    let figures =
        wait_figures(&links, |figures| figures.refused_by_peers(RefusalReason::SelfConnect) == 1);
    assert_eq!(figures.refused(RefusalReason::SelfConnect), 1);
    since.line_with(&[&format!("peer={address} "), "a node dialled itself"]);
    let (other, others) = start("echo", Transport::new().connect(&address)?)?;
    others.wait_for_nodes(1, PATIENCE).ok_or("others are let in")?;
    assert_eq!(links.figures().dialled, 1, "it does not try again");
    other.shutdown(PATIENCE)?;
    node.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_node_that_dials_something_else_tries_again_until_a_node_is_there() -> Outcome {
    log::begin();
    let since = Mark::now();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let (dialler, links) = start("hopeful", Transport::new().connect(&address)?)?;
    let answers: [&[u8]; 3] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", &envelope(1, u32::MAX, &[]), &[]];
    for answer in answers {
        let (mut stream, _) = listener.accept()?;
        let mut hello = [0; 64];
        stream.read_exact(&mut hello)?;
        stream.write_all(answer)?;
    }
    let figures = wait_figures(&links, |figures| figures.left == 1);
    assert_eq!((figures.garbage, figures.refused(RefusalReason::Malformed)), (1, 1));
    let peer = format!("peer={address} ");
    since.line_with(&[&peer, "dialled=true", "is no handshake"]);
    // Another system's node has the address for a while.
    drop(listener);
    let other = Transport::new().system("another").listen(&address)?;
    let (other, _) = start("other-system", other)?;
    wait_figures(&links, |figures| figures.refused_by_peers(RefusalReason::System) == 1);
    other.shutdown(PATIENCE)?;
    let (node, _) = start("longed-for", Transport::new().listen(&address)?)?;
    links.wait_for_nodes(1, PATIENCE).ok_or("it is linked at last")?;
    let ledger = node.spawn(Ledger::default)?;
    Sender::new(dialler.client(), ledger, 1, 0).settle()?;
    dialler.shutdown(PATIENCE)?;
    node.shutdown(PATIENCE)?;
    Ok(())
}
