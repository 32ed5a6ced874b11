//! Connections of version 1.0 as they were recorded: today's code writes the same bytes, reads them, and talks to
//! nodes one minor version newer or older. `captures/README.md` says what is in which file.

use std::path::Path;

use mainspring::Address;
use mainspring::actor::StopReason;
use mainspring::frame::{FLAG_FOREIGN, FOREIGN_PREFIX_BYTES, ForeignPrefix, Header};
use mainspring_transport::handshake::{
    Dialled, Handshake, HandshakeError, Hello, Key, Keys, LocalNode, Peer, RefusalReason, Version,
    VersionRange, refusal,
};
use mainspring_transport::wire::{
    ChunkFirst, ControlBody, Decoder, FLAG_CHECKSUM, Frame, GoodbyeReason, Lane, LinkFrame,
    OutgoingFrame, Step, checksum_of,
};

const VERSION_1_0: Version = Version { major: 1, minor: 0 };
const VERSION_1_1: Version = Version { major: 1, minor: 1 };
const DIALLED: Dialled = Dialled { lane: Lane::Ordinary, index: 3, expected_incarnation: 0 };
const ARCHIVE: &[u8] = b"an archive of 26 bytes, so";

/// The bytes of a file: hexadecimal digits, with comments behind `#`.
fn capture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
    let digits: Vec<u32> = lines
        .flat_map(str::chars)
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| digit.to_digit(16).unwrap_or_else(|| panic!("{path:?}: {digit:?}")))
        .collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// Fails with the whole of both, line by line, so that the difference can be seen.
fn assert_captured(name: &str, bytes: &[u8]) {
    let lines = |bytes: &[u8]| -> String {
        let lines = bytes.chunks(16).map(|line| {
            let words =
                line.chunks(4).map(|word| word.iter().map(|b| format!("{b:02x}")).collect());
            words.collect::<Vec<String>>().join(" ")
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let (recorded, now) = (lines(&capture(name)), lines(bytes));
    assert!(recorded == now, "{name} was\n{recorded}\nand is now\n{now}");
}

fn one() -> LocalNode {
    LocalNode {
        started_at_ns: 1_795_000_000_000_000_001,
        initial_credit_bytes: 262_144,
        ..LocalNode::new("bank", "one", 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF, 0xA1A2_A3A4, 4)
    }
}

fn two() -> LocalNode {
    LocalNode {
        started_at_ns: 1_795_000_000_000_000_002,
        checksums: true,
        ..LocalNode::new("bank", "two", 0xFFEE_DDCC_BBAA_9988_7766_5544_3322_1100, 0xB1B2_B3B4, 16)
    }
}

fn newer(node: LocalNode) -> LocalNode {
    let versions = VersionRange { oldest: VERSION_1_0, newest: VERSION_1_1 };
    LocalNode { versions, features: 0x8000_0000_0000_0001, ..node }
}

fn keys() -> Keys {
    let key = Key::from_file_bytes(b"the key of the captures\n").expect("long enough");
    Keys::new(vec![key]).expect("one key")
}

fn anyone(_: &Hello) -> Result<(), RefusalReason> {
    Ok(())
}

fn initiate(node: LocalNode, keys: Keys) -> (Handshake, Vec<u8>) {
    Handshake::initiate(node, DIALLED, keys, [0x11; 32], 0).expect("a good node")
}

fn respond(node: LocalNode, keys: Keys) -> Handshake {
    Handshake::respond(node, keys, [0x22; 32], 0).expect("a good node")
}

/// Gives a node everything that its peer has said, and takes what it says.
fn hear(mut handshake: Handshake, bytes: &[u8]) -> (Vec<u8>, Peer) {
    let progress = handshake.receive(bytes, 1, &mut anyone).expect("it is as recorded");
    assert_eq!(progress.consumed_bytes, bytes.len());
    (progress.to_send, *progress.peer.expect("the handshake is over"))
}

#[test]
fn a_handshake_is_written_and_read_as_it_was_recorded() {
    for (keys, files) in [
        (Keys::NONE, ["1.0-plain-initiator.hex", "1.0-plain-responder.hex"]),
        (keys(), ["1.0-keyed-initiator.hex", "1.0-keyed-responder.hex"]),
    ] {
        let [from_one, from_two] = files.map(capture);
        let (handshake, mut said) = initiate(one(), keys.clone());
        let (more, of_one) = hear(handshake, &from_two);
        said.extend(more);
        assert_captured(files[0], &said);
        let (said, of_two) = hear(respond(two(), keys.clone()), &from_one);
        assert_captured(files[1], &said);

        assert_eq!((of_one.name.as_str(), of_one.incarnation), ("two", 0xB1B2_B3B4));
        assert_eq!((of_two.name.as_str(), of_two.incarnation), ("one", 0xA1A2_A3A4));
        assert_eq!((of_one.cores, of_two.cores), (16, 4));
        for peer in [of_one, of_two] {
            assert_eq!((peer.lane, peer.index), (Lane::Ordinary, 3));
            assert_eq!((peer.authenticated, peer.checksums), (!keys.is_empty(), true));
            assert_eq!((peer.version, peer.features), (VERSION_1_0, 0));
        }
    }
}

#[test]
fn a_refusal_is_written_and_read_as_it_was_recorded() {
    let bytes = refusal(RefusalReason::Quarantined, "no ack since noon");
    assert_captured("1.0-refused.hex", &bytes);
    let (mut handshake, _) = initiate(one(), keys());
    let error = handshake.receive(&capture("1.0-refused.hex"), 1, &mut anyone);
    let text = "no ack since noon".to_owned();
    let refused = HandshakeError::RefusedByPeer { reason: RefusalReason::Quarantined, text };
    assert_eq!(error, Err(refused));
}

#[test]
fn a_node_one_minor_version_older_is_met_at_its_version() {
    let (_, peer) = hear(respond(newer(two()), Keys::NONE), &capture("1.0-plain-initiator.hex"));
    assert_eq!((peer.name.as_str(), peer.version, peer.features), ("one", VERSION_1_0, 0));
    let (handshake, _) = initiate(newer(one()), Keys::NONE);
    let (welcome, peer) = hear(handshake, &capture("1.0-plain-responder.hex"));
    assert_eq!((peer.name.as_str(), peer.version, peer.features), ("two", VERSION_1_0, 0));
    // The older node was recorded with this very welcome.
    assert!(capture("1.0-plain-initiator.hex").ends_with(&welcome));
}

#[test]
fn a_node_one_minor_version_newer_is_understood() {
    let (_, peer) = hear(respond(two(), Keys::NONE), &capture("1.1-plain-initiator.hex"));
    assert_eq!((peer.name.as_str(), peer.version, peer.features), ("one", VERSION_1_0, 0));
    let (handshake, _) = initiate(one(), Keys::NONE);
    let (_, peer) = hear(handshake, &capture("1.1-plain-responder.hex"));
    assert_eq!((peer.name.as_str(), peer.version, peer.features), ("two", VERSION_1_0, 0));
}

#[test]
fn frames_are_written_and_read_as_they_were_recorded() {
    for (name, lane, frames) in [
        ("1.0-ordinary.hex", Lane::Ordinary, ordinary as fn() -> Vec<Sent>),
        ("1.0-control.hex", Lane::Control, control),
        ("1.0-control-bulk.hex", Lane::Control, bulk_wanted),
        ("1.0-bulk.hex", Lane::Bulk, bulk),
    ] {
        let mut stream = Vec::new();
        frames().iter().for_each(|frame| frame.append_to(&mut stream));
        assert_captured(name, &stream);
        let recorded = capture(name);
        let (mut rest, mut decoder) = (recorded.as_slice(), Decoder::new(lane));
        for sent in frames() {
            let Step::Frame { frame, bytes } = decoder.next(rest).expect("as recorded") else {
                panic!("{name} ends within a frame")
            };
            sent.assert_is(frame);
            rest = &rest[bytes..];
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn the_example_of_the_documentation_is_as_recorded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wire.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let (_, example) = page.split_once("`1.0-ordinary.hex`:").expect("it has an example");
    let lines = example.lines().skip_while(|line| *line != "```text").skip(1);
    let digits = lines.take_while(|line| *line != "```").flat_map(|line| line[..35].split(' '));
    let recorded = capture("1.0-ordinary.hex");
    let frame = recorded[..64].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(digits.collect::<String>(), frame);
}

/// A frame of a capture.
enum Sent {
    User { checksum: bool },
    Link(LinkFrame<'static>),
}

impl Sent {
    fn append_to(&self, out: &mut Vec<u8>) {
        let written = match self {
            Sent::User { checksum } => message().append_to(out, 4_096, *checksum),
            Sent::Link(frame) => frame.append_to(out),
        };
        written.expect("it can be sent");
    }

    fn assert_is(&self, frame: Frame<'_>) {
        match (self, frame) {
            (Sent::Link(sent), Frame::Link(frame)) => assert_eq!(*sent, frame),
            (Sent::User { checksum }, Frame::User(frame)) => {
                let message = message();
                assert_eq!(frame.header, message.header(*checksum));
                assert_eq!(frame.prefix, message.prefix(*checksum));
                assert_eq!(frame.archive, ARCHIVE);
            }
            (_, frame) => panic!("{frame:?}"),
        }
    }
}

fn message() -> OutgoingFrame<'static> {
    OutgoingFrame {
        to: Address::new(0xB1B2_B3B4, 5, 2, 0x0102_0304, 7),
        from_core: 1,
        fingerprint: 0x0123_4567_89AB_CDEF,
        archive: ARCHIVE,
    }
}

fn ordinary() -> Vec<Sent> {
    vec![
        Sent::User { checksum: false },
        Sent::User { checksum: true },
        Sent::Link(LinkFrame::Credit { consumed_bytes: 65_536, consumed_frames: 1_000 }),
        Sent::Link(LinkFrame::Goodbye { reason: GoodbyeReason::Shutdown, text: "good night" }),
    ]
}

fn control() -> Vec<Sent> {
    let actor = Address::new(0xB1B2_B3B4, 5, 0, 0x0102_0304, 7);
    let watcher = Address::new(0xA1A2_A3A4, 1, 0, 0x0506_0708, 9);
    let reason = StopReason::Failed;
    let bodies = [
        ControlBody::Watch { actor, watcher },
        ControlBody::Unwatch { actor, watcher },
        ControlBody::Terminated { actor, watcher, reason },
    ];
    let numbered = (1..).zip(bodies).map(|(sequence, body)| LinkFrame::Control { sequence, body });
    let others = [
        LinkFrame::ControlAck { sequence: 3 },
        LinkFrame::Heartbeat { sent_at_ns: 123_456_789 },
        LinkFrame::HeartbeatEcho { sent_at_ns: 987_654_321 },
    ];
    numbered.chain(others).map(Sent::Link).collect()
}

fn bulk_wanted() -> Vec<Sent> {
    vec![Sent::Link(LinkFrame::BulkWanted { waiting_bytes: 40_000 })]
}

fn bulk() -> Vec<Sent> {
    let (bytes, rest) = ARCHIVE.split_at(10);
    let flags = FLAG_FOREIGN | FLAG_CHECKSUM;
    let header =
        Header::new((FOREIGN_PREFIX_BYTES + ARCHIVE.len()) as u32, 2, 0, flags, 0x0102_0304, 7);
    let prefix = ForeignPrefix { fingerprint: 0x0123_4567_89AB_CDEF, core: 5, sender: 1, word: 0 };
    let prefix = ForeignPrefix { word: checksum_of(prefix, ARCHIVE), ..prefix };
    let total_bytes = ARCHIVE.len() as u32;
    vec![
        Sent::Link(LinkFrame::ChunkFirst(ChunkFirst { header, prefix, total_bytes, bytes })),
        Sent::Link(LinkFrame::Chunk { bytes: rest }),
        Sent::User { checksum: true },
        Sent::Link(LinkFrame::Goodbye { reason: GoodbyeReason::Idle, text: "" }),
    ]
}
