//! Two ends that come to terms or do not, and third parties between them.

use proptest::prelude::*;

use super::message::{Kind, Step, read};
use super::*;
use crate::wire::{Lane, LinkFrame};

const SECOND_NS: u64 = 1_000_000_000;
const DIALLED: Dialled = Dialled { lane: Lane::Ordinary, index: 3, expected_incarnation: 0 };

fn one() -> LocalNode {
    LocalNode { started_at_ns: 111, ..LocalNode::new("bank", "one", 0xA1, 0x11, 4) }
}

fn two() -> LocalNode {
    LocalNode { started_at_ns: 222, ..LocalNode::new("bank", "two", 0xB2, 0x22, 8) }
}

fn keys(files: &[&[u8]]) -> Keys {
    let keys = files.iter().map(|file| Key::from_file_bytes(file).expect("long enough"));
    Keys::new(keys.collect()).expect("few enough")
}

fn key() -> Keys {
    keys(&[b"a key that both nodes have"])
}

fn initiator(node: LocalNode, keys: Keys) -> (Handshake, Vec<u8>) {
    Handshake::initiate(node, DIALLED, keys, [1; 32], 0).expect("a good node")
}

fn responder(node: LocalNode, keys: Keys) -> Handshake {
    Handshake::respond(node, keys, [2; 32], 0).expect("a good node")
}

fn anyone(_: &Hello) -> Result<(), RefusalReason> {
    Ok(())
}

fn nobody(peer: &Hello) -> Result<(), RefusalReason> {
    panic!("what is known of {} is looked at too early", peer.name)
}

type Outcome = Result<Peer, HandshakeError>;

/// One end, with what it was sent and has not taken.
struct End {
    handshake: Handshake,
    unread: Vec<u8>,
    outcome: Option<Outcome>,
    sent: Vec<Vec<u8>>,
}

impl End {
    fn new(handshake: Handshake) -> End {
        End { handshake, unread: Vec::new(), outcome: None, sent: Vec::new() }
    }

    /// Takes bytes; gives what it sends.
    fn hear(
        &mut self,
        bytes: &[u8],
        verdict: &mut dyn FnMut(&Hello) -> Result<(), RefusalReason>,
    ) -> Vec<u8> {
        if self.outcome.is_some() {
            return Vec::new();
        }
        self.unread.extend_from_slice(bytes);
        let answer = match self.handshake.receive(&self.unread, 1, verdict) {
            Ok(progress) => {
                self.unread.drain(..progress.consumed_bytes);
                assert!(progress.wanted_bytes <= MESSAGE_LIMIT_BYTES);
                let done = progress.wanted_bytes == 0;
                assert_eq!(done, progress.peer.is_some(), "done means that there is a peer");
                self.outcome = progress.peer.map(|peer| Ok(*peer));
                progress.to_send
            }
            Err(error) => {
                let answer = error.answer().unwrap_or_default();
                self.outcome = Some(Err(error));
                answer
            }
        };
        self.sent.push(answer.clone());
        answer
    }
}

/// Lets two ends talk until nobody says anything. `change` sees every message on its way, counted from 0.
fn converse_through(
    (initiator, hello): (Handshake, Vec<u8>),
    responder: Handshake,
    mut change: impl FnMut(usize, Vec<u8>) -> Vec<u8>,
) -> (End, End) {
    let (mut one, mut two) = (End::new(initiator), End::new(responder));
    one.sent.push(hello.clone());
    let (mut messages, mut on_its_way) = (0, hello);
    while !on_its_way.is_empty() {
        let bytes = change(messages, on_its_way);
        let to = if messages % 2 == 0 { &mut two } else { &mut one };
        on_its_way = to.hear(&bytes, &mut anyone);
        messages += 1;
    }
    (one, two)
}

fn converse(
    initiator: (Handshake, Vec<u8>),
    responder: Handshake,
) -> (Option<Outcome>, Option<Outcome>) {
    let (one, two) = converse_through(initiator, responder, |_, bytes| bytes);
    (one.outcome, two.outcome)
}

fn both_open(outcomes: (Option<Outcome>, Option<Outcome>)) -> (Peer, Peer) {
    match outcomes {
        (Some(Ok(one)), Some(Ok(two))) => (one, two),
        failed => panic!("{failed:?}"),
    }
}

#[test]
fn two_nodes_know_each_other_afterwards() {
    for (keys, authenticated) in [(Keys::NONE, false), (key(), true)] {
        let local = LocalNode { max_frame_bytes: 9_000, initial_credit_bytes: 77, ..one() };
        let (of_one, of_two) =
            both_open(converse(initiator(local, keys.clone()), responder(two(), keys)));
        let expected = Peer {
            role: Role::Initiator,
            node_id: 0xB2,
            name: "two".into(),
            incarnation: 0x22,
            started_at_ns: 222,
            cores: 8,
            lane: Lane::Ordinary,
            index: 3,
            authenticated,
            version: CURRENT_VERSION,
            features: 0,
            checksums: false,
            max_frame_bytes: 256 * 1024,
            ordinary_frame_bytes: 256 * 1024,
            initial_credit_bytes: 256 * 1024,
            own_max_frame_bytes: 9_000,
        };
        assert_eq!(of_one, expected);
        let expected = Peer {
            role: Role::Responder,
            node_id: 0xA1,
            name: "one".into(),
            incarnation: 0x11,
            started_at_ns: 111,
            cores: 4,
            max_frame_bytes: 9_000,
            ordinary_frame_bytes: 9_000,
            initial_credit_bytes: 77,
            own_max_frame_bytes: 256 * 1024,
            ..expected
        };
        assert_eq!(of_two, expected);
    }
}

#[test]
fn limits_of_other_lanes_are_their_own() {
    let dialled = Dialled { lane: Lane::Control, ..DIALLED };
    let small = LocalNode { max_frame_bytes: 9_000, ..one() };
    let dial = Handshake::initiate(small, dialled, Keys::NONE, [1; 32], 0).expect("a good node");
    let (of_one, of_two) = both_open(converse(dial, responder(two(), Keys::NONE)));
    for peer in [of_one, of_two] {
        let limits = (peer.max_frame_bytes, peer.own_max_frame_bytes);
        assert_eq!(limits, (Lane::Control.limit_bytes(), Lane::Control.limit_bytes()));
    }
}

#[test]
fn checksums_are_used_if_either_side_asks() {
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        let (local, remote) =
            (LocalNode { checksums: first, ..one() }, LocalNode { checksums: second, ..two() });
        let (of_one, of_two) =
            both_open(converse(initiator(local, key()), responder(remote, key())));
        assert_eq!((of_one.checksums, of_two.checksums), (first || second, first || second));
    }
}

proptest! {
    #[test]
    fn bytes_may_come_in_any_pieces(pieces in prop::collection::vec(1..200usize, 1..60), keyed: bool) {
        let keys = if keyed { key() } else { Keys::NONE };
        let (handshake, hello) = initiator(one(), keys.clone());
        let mut ends = [End::new(responder(two(), keys)), End::new(handshake)];
        let mut pipes = [hello, Vec::new()];
        let mut pieces = pieces.into_iter().cycle();
        while pipes.iter().any(|pipe| !pipe.is_empty()) {
            for to in 0..2 {
                let there = pipes[to].len().min(pieces.next().expect("it never ends"));
                let piece: Vec<u8> = pipes[to].drain(..there).collect();
                let answer = ends[to].hear(&piece, &mut anyone);
                pipes[1 - to].extend(answer);
            }
        }
        let [two, one] = ends;
        both_open((one.outcome, two.outcome));
    }

    #[test]
    fn with_a_key_a_bit_flipped_on_its_way_closes_no_deal(
        message in 0..5usize,
        place in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let (one, two) = converse_through(initiator(one(), key()), responder(two(), key()), |number, mut bytes| {
            if number == message {
                let place = place.index(bytes.len());
                bytes[place] ^= 1 << bit;
            }
            bytes
        });
        let both = matches!((&one.outcome, &two.outcome), (Some(Ok(_)), Some(Ok(_))));
        prop_assert!(!both, "both ends are open though message {} was changed", message);
        // The responder is open last, and only after everything was as it should be.
        prop_assert!(!matches!(two.outcome, Some(Ok(_))));
    }

    #[test]
    fn any_bytes_are_an_error_or_a_wish_for_more(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        begin in 0..3usize,
        keyed: bool,
    ) {
        let keys = if keyed { key() } else { Keys::NONE };
        let (mut handshake, hello) = initiator(one(), keys.clone());
        let mut bytes = [[&[], b"MSPRLINK".as_slice(), &hello][begin], &bytes].concat();
        let mut other = responder(two(), keys);
        let _ = other.receive(&bytes, 1, &mut anyone);
        let _ = handshake.receive(&bytes, 1, &mut anyone);
        bytes.truncate(bytes.len() / 2);
        let _ = other.receive(&bytes, 2, &mut anyone);
    }
}

#[test]
fn both_sides_learn_why_they_do_not_come_together() {
    let newer = VersionRange {
        oldest: Version { major: 2, minor: 0 },
        newest: Version { major: 2, minor: 4 },
    };
    for (node, keys, reason) in [
        (LocalNode { versions: newer, ..two() }, Keys::NONE, RefusalReason::Version),
        (LocalNode { system: "shop".into(), ..two() }, Keys::NONE, RefusalReason::System),
        (LocalNode { node_id: 0xA1, ..two() }, Keys::NONE, RefusalReason::SelfConnect),
        (one(), Keys::NONE, RefusalReason::SelfConnect),
        (LocalNode { incarnation: 0x11, ..two() }, Keys::NONE, RefusalReason::DuplicateIncarnation),
        (two(), key(), RefusalReason::KeyWanted),
    ] {
        let (one, two) = converse(initiator(one(), Keys::NONE), responder(node, keys));
        let (one, two) = (one.expect("it ended"), two.expect("it ended"));
        let (one, two) = (one.expect_err("refused"), two.expect_err("refused"));
        assert_eq!((one.reason(), two.reason()), (Some(reason), Some(reason)));
        assert!(matches!(one, HandshakeError::RefusedByPeer { .. }), "{one}");
        assert!(matches!(two, HandshakeError::Refused { .. }), "{two}");
        assert_eq!(one.to_string().lines().count(), 1);
    }
    let (one, two) = converse(initiator(one(), key()), responder(two(), Keys::NONE));
    assert_eq!(
        two.expect("ended").expect_err("refused").reason(),
        Some(RefusalReason::KeyNotWanted)
    );
    assert_eq!(
        one.expect("ended").expect_err("refused").reason(),
        Some(RefusalReason::KeyNotWanted)
    );
}

#[test]
fn a_node_that_was_restarted_is_not_who_was_dialled() {
    for (expected_incarnation, right) in [(0, true), (0x22, true), (0x21, false)] {
        let dialled = Dialled { expected_incarnation, ..DIALLED };
        let dial = Handshake::initiate(one(), dialled, key(), [1; 32], 0).expect("a good node");
        let (one, two) = converse(dial, responder(two(), key()));
        let reason = |outcome: Option<Outcome>| outcome.expect("ended").err().map(|e| e.reason());
        let expected = (!right).then_some(Some(RefusalReason::OtherIncarnation));
        assert_eq!((reason(one), reason(two)), (expected, expected));
    }
}

#[test]
fn archives_of_another_layout_are_refused() {
    let (_, mut hello) = initiator(one(), Keys::NONE);
    hello[16 + 64] ^= 1;
    let error = responder(two(), Keys::NONE).receive(&hello, 1, &mut nobody);
    assert_eq!(error.expect_err("refused").reason(), Some(RefusalReason::Format));
}

#[test]
fn nothing_known_of_others_is_looked_at_before_the_peer_has_proved_itself() {
    let (mut handshake, hello) = initiator(one(), key());
    let mut other = responder(two(), key());
    let answer = other.receive(&hello, 1, &mut nobody).expect("a good hello").to_send;
    handshake.receive(&answer, 1, &mut nobody).expect("a good hello");
}

#[test]
fn a_verdict_is_told_to_both_sides() {
    for keys in [Keys::NONE, key()] {
        let (mut handshake, hello) = initiator(one(), keys.clone());
        let mut other = End::new(responder(two(), keys));
        let mut asked = 0;
        let mut quarantined = |peer: &Hello| {
            asked += 1;
            assert_eq!((peer.node_id, peer.incarnation, peer.started_at_ns), (0xA1, 0x11, 111));
            Err(RefusalReason::Quarantined)
        };
        let mut answer = other.hear(&hello, &mut quarantined);
        if other.outcome.is_none() {
            let proof = handshake.receive(&answer, 1, &mut anyone).expect("a good hello").to_send;
            answer = other.hear(&proof, &mut quarantined);
        }
        let error = handshake.receive(&answer, 1, &mut anyone).expect_err("refused");
        let HandshakeError::RefusedByPeer { reason: RefusalReason::Quarantined, text } = error
        else {
            panic!("{error}")
        };
        assert!(text.contains("incarnation 00000011"), "{text}");
        assert_eq!(asked, 1);
    }
}

#[test]
fn an_initiator_has_a_verdict_too() {
    for keys in [Keys::NONE, key()] {
        let (handshake, hello) = initiator(one(), keys.clone());
        let (mut one, mut two) = (End::new(handshake), End::new(responder(two(), keys)));
        let mut answer = hello;
        let mut older = |_: &Hello| Err(RefusalReason::OlderIncarnation);
        while one.outcome.is_none() {
            let to_one = two.hear(&answer, &mut anyone);
            answer = one.hear(&to_one, &mut older);
        }
        two.hear(&answer, &mut anyone);
        let error = two.outcome.expect("it ended").expect_err("refused");
        assert_eq!(error.reason(), Some(RefusalReason::OlderIncarnation));
    }
}

#[test]
fn nodes_with_different_keys_do_not_talk_and_give_nothing_away() {
    let other = keys(&[b"a key that no other node has"]);
    let (one, two) =
        converse_through(initiator(one(), key()), responder(two(), other), |_, bytes| bytes);
    let error = two.outcome.expect("it ended").expect_err("refused");
    assert_eq!(error.reason(), Some(RefusalReason::ProofWrong));
    let error = one.outcome.expect("it ended").expect_err("refused");
    assert_eq!(error.reason(), Some(RefusalReason::ProofWrong));
    // A greeting and a refusal: nothing that was made with the responder's key.
    let kinds: Vec<Kind> = two.sent.iter().map(|message| kind_of(message)).collect();
    assert_eq!(kinds, [Kind::Hello, Kind::Refused]);
}

fn kind_of(message: &[u8]) -> Kind {
    match read(message) {
        Ok(Step::Message { kind, .. }) => kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_replaced_while_both_are_accepted() {
    let (old, new) = (b"the key of last year".as_slice(), b"the key of this year".as_slice());
    for (first, second, talk) in [
        (keys(&[old, new]), keys(&[old]), true),
        (keys(&[old, new]), keys(&[new, old]), true),
        (keys(&[new, old]), keys(&[old, new]), true),
        (keys(&[new]), keys(&[new, old]), true),
        (keys(&[new, old]), keys(&[old]), false),
        (keys(&[old, new]), keys(&[new]), false),
    ] {
        let (one, two) = converse(initiator(one(), first), responder(two(), second));
        let open = matches!((one, two), (Some(Ok(_)), Some(Ok(_))));
        assert_eq!(open, talk);
    }
}

#[test]
fn a_recorded_handshake_cannot_be_played_again() {
    let (one_end, two_end) =
        converse_through(initiator(one(), key()), responder(two(), key()), |_, bytes| bytes);
    assert!(matches!(two_end.outcome, Some(Ok(_))));
    let mut another = Handshake::respond(two(), key(), [3; 32], 0).expect("a good node");
    another.receive(&one_end.sent[0], 1, &mut nobody).expect("a hello is a hello");
    let error = another.receive(&one_end.sent[1], 1, &mut nobody).expect_err("an old proof");
    assert_eq!(error.reason(), Some(RefusalReason::ProofWrong));
    let (mut again, _) =
        Handshake::initiate(one(), DIALLED, key(), [4; 32], 0).expect("a good node");
    again.receive(&two_end.sent[0], 1, &mut nobody).expect("a hello is a hello");
    let error = again.receive(&two_end.sent[1], 1, &mut nobody).expect_err("an old proof");
    assert_eq!(error.reason(), Some(RefusalReason::ProofWrong));
}

#[test]
fn what_is_sent_back_to_its_maker_proves_nothing() {
    let (mut handshake, hello) = initiator(one(), key());
    let error = handshake.receive(&hello, 1, &mut nobody).expect_err("its own hello");
    assert_eq!(error.reason(), Some(RefusalReason::SelfConnect));

    // Somebody without the key says hello in another node's name, and sends the proof back that it is given.
    let (mut handshake, hello) = initiator(one(), key());
    let mut stranger = responder(two(), keys(&[b"any other key will do"]));
    let answer = stranger.receive(&hello, 1, &mut nobody).expect("a good hello").to_send;
    let proof = handshake.receive(&answer, 1, &mut nobody).expect("a good hello").to_send;
    let error = handshake.receive(&proof, 1, &mut nobody).expect_err("its own proof");
    assert_eq!(error.reason(), Some(RefusalReason::ProofWrong));
}

#[test]
fn a_proof_made_for_one_node_is_worth_nothing_to_another() {
    // The node in the middle is dialled by one, and dials two in the name of one with what it hears.
    let (mut handshake, hello) = initiator(one(), key());
    let mut middle = responder(LocalNode { node_id: 0xC3, incarnation: 0x33, ..two() }, key());
    let mut other = Handshake::respond(two(), key(), [5; 32], 0).expect("a good node");
    let from_middle = middle.receive(&hello, 1, &mut nobody).expect("a good hello").to_send;
    other.receive(&hello, 1, &mut nobody).expect("a good hello");
    let proof = handshake.receive(&from_middle, 1, &mut nobody).expect("a good hello").to_send;
    let error = other.receive(&proof, 1, &mut nobody).expect_err("made for the middle");
    assert_eq!(error.reason(), Some(RefusalReason::ProofWrong));
}

#[test]
fn bytes_that_come_slowly_run_into_the_deadline() {
    let (mut handshake, hello) = initiator(one(), key());
    let mut other = responder(two(), key());
    for (second, _) in hello.iter().enumerate().take(5) {
        let now_ns = second as u64 * SECOND_NS;
        let progress = other.receive(&hello[..=second], now_ns, &mut nobody);
        assert_eq!(progress.expect("still time").wanted_bytes, 16);
    }
    assert_eq!(other.deadline_ns(), DEADLINE_NS);
    assert_eq!(other.tick(DEADLINE_NS - 1), Ok(()));
    let late = other.receive(&hello, DEADLINE_NS, &mut nobody).expect_err("too late");
    assert_eq!(late.reason(), Some(RefusalReason::TooSlow));
    assert_eq!(other.tick(0), Err(late.clone()), "it stays so");
    let answer = late.answer().expect("the peer is told");
    let told = handshake.receive(&answer, 1, &mut nobody).expect_err("refused");
    assert_eq!(told.reason(), Some(RefusalReason::TooSlow));
}

#[test]
fn the_end_of_a_handshake_is_not_too_late_for_anything() {
    let (mut handshake, hello) = initiator(one(), Keys::NONE);
    let mut other = responder(two(), Keys::NONE);
    let answer = other.receive(&hello, 1, &mut anyone).expect("a good hello").to_send;
    let welcome = handshake.receive(&answer, 1, &mut anyone).expect("a good hello").to_send;
    assert_eq!(handshake.tick(u64::MAX), Ok(()));
    let mut bytes = welcome.clone();
    LinkFrame::Credit { consumed_bytes: 0, consumed_frames: 0 }
        .append_to(&mut bytes)
        .expect("a small frame");
    let progress = other.receive(&bytes, 1, &mut anyone).expect("a welcome");
    assert_eq!(progress.consumed_bytes, welcome.len(), "frames are not for the handshake");
    let mut decoder = progress.peer.expect("it is over").decoder();
    decoder.next(&bytes[welcome.len()..]).expect("a frame at once behind the handshake");
    let nothing = other.receive(&bytes[welcome.len()..], u64::MAX, &mut anyone);
    assert_eq!(nothing, Ok(Progress::default()));
}

#[test]
fn messages_out_of_turn_are_refused() {
    let proof = Kind::Proof.message(&[0; 32]);
    let welcome = Kind::Welcome.message(&[0; 16]);
    let (_, hello) = initiator(one(), Keys::NONE);
    for bytes in [proof, welcome, [hello.clone(), hello].concat()] {
        let error = responder(two(), Keys::NONE).receive(&bytes, 1, &mut anyone);
        assert_eq!(error.expect_err("out of turn").reason(), Some(RefusalReason::Malformed));
    }
}

#[test]
fn garbage_is_told_nothing() {
    let error = responder(two(), key()).receive(b"GET / HTTP/1.1\r\n", 1, &mut nobody);
    let error = error.expect_err("no handshake");
    assert_eq!((error.clone(), error.answer()), (HandshakeError::Garbage, None));
}

#[test]
fn an_answer_for_another_connection_is_refused() {
    for (offset, byte) in [(5, Lane::Bulk.code()), (6, 9)] {
        let (mut handshake, hello) = initiator(one(), Keys::NONE);
        let mut other = responder(two(), Keys::NONE);
        let mut answer = other.receive(&hello, 1, &mut anyone).expect("a good hello").to_send;
        answer[16 + offset] = byte;
        let error = handshake.receive(&answer, 1, &mut nobody).expect_err("another connection");
        assert_eq!(error.reason(), Some(RefusalReason::Malformed));
    }
}

#[test]
fn a_hello_that_contradicts_itself_is_refused() {
    let (_, hello) = initiator(one(), Keys::NONE);
    for (offset, byte) in [
        (4, 4),      // an unknown flag
        (5, 3),      // an unknown lane
        (32, 0),     // incarnation 0
        (48, 0),     // no core
        (49, 0x80),  // more cores than there are numbers
        (50, 0),     // no system
        (50, 65),    // a system's name that is too long
        (51, 0),     // no name
        (51, 200),   // a name beyond the end
        (54, 0),     // frames of 0 bytes
        (104, 0xFF), // no UTF-8
        (104, b'\n'),
    ] {
        let mut bad = hello.clone();
        bad[16 + offset] = byte;
        let error = responder(two(), Keys::NONE).receive(&bad, 1, &mut nobody);
        let reason = error.expect_err("it contradicts itself").reason();
        assert_eq!(reason, Some(RefusalReason::Malformed), "{offset}: {byte}");
    }
    let short = Kind::Hello.message(&hello[16..16 + 103]);
    responder(two(), Keys::NONE).receive(&short, 1, &mut nobody).expect_err("too short");
}

#[test]
fn a_peer_one_minor_version_newer_is_met_at_the_older_version() {
    let newest = Version { major: 1, minor: 1 };
    let newer = |node: LocalNode| {
        let versions = VersionRange { newest, ..VersionRange::CURRENT };
        LocalNode { versions, features: u64::MAX, ..node }
    };
    for keys in [Keys::NONE, key()] {
        for (first, second, version) in [
            (newer(one()), two(), CURRENT_VERSION),
            (one(), newer(two()), CURRENT_VERSION),
            (newer(one()), newer(two()), newest),
        ] {
            let (of_one, of_two) = both_open(converse(
                initiator(first, keys.clone()),
                responder(second, keys.clone()),
            ));
            assert_eq!((of_one.version, of_two.version), (version, version));
            assert_eq!(of_one.features, of_two.features);
            assert_eq!(of_one.features != 0, version == newest, "only what both have");
        }
    }
}

#[test]
fn what_a_newer_hello_says_more_is_proved_too() {
    let keys = key();
    let (_, hello) = initiator(one(), keys.clone());
    let Ok(Step::Message { body, .. }) = read(&hello) else { panic!("a good hello") };
    let longer = Kind::Hello.message(&[body, &[7; 200]].concat());
    let changed = Kind::Hello.message(&[body, &[8; 200]].concat());
    for (proved, right) in [(&longer, true), (&changed, false), (&hello, false)] {
        let mut other = responder(two(), keys.clone());
        let answer = other.receive(&longer, 1, &mut nobody).expect("more than is known").to_send;
        let transcript = [proved.as_slice(), &answer].concat();
        let proof = keys.first().expect("one key").proof(Role::Initiator, &transcript);
        let outcome = other.receive(&Kind::Proof.message(proof.as_bytes()), 1, &mut anyone);
        assert_eq!(outcome.is_ok(), right);
    }
}

#[test]
fn a_refusal_of_a_newer_version_is_understood() {
    let mut bytes = Kind::Refused.message(&[200, b'x', 0xFF]);
    let (mut handshake, _) = initiator(one(), Keys::NONE);
    let error = handshake.receive(&bytes, 1, &mut nobody).expect_err("refused");
    let HandshakeError::RefusedByPeer { reason: RefusalReason::Other(200), text } = error else {
        panic!("{error}")
    };
    assert_eq!(text, "x\u{FFFD}");
    // One that refuses before it has heard anything, as at too many connections.
    bytes = refusal(RefusalReason::TooManyConnections, "");
    let error = initiator(one(), key()).0.receive(&bytes, 1, &mut nobody).expect_err("refused");
    assert_eq!(error.reason(), Some(RefusalReason::TooManyConnections));
}
