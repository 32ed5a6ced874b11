//! Streams of frames, cut anywhere, damaged anywhere.

use mainspring::Address;
use mainspring::actor::StopReason;
use mainspring::frame::{FLAG_FOREIGN, FLAG_LOCAL, FOREIGN_PREFIX_BYTES, ForeignPrefix, Header};
use proptest::prelude::*;

use super::fields::header_bytes;
use super::*;

/// A frame of a test, with its own bytes.
#[derive(Clone, Debug)]
enum Owned {
    User { to: Address, archive: Vec<u8>, checksum: bool },
    Credit(u64, u64),
    Control(u64, ControlBody),
    ControlAck(u64),
    Heartbeat(u64),
    HeartbeatEcho(u64),
    ChunkFirst { archive: Vec<u8>, rest: u32 },
    Chunk(Vec<u8>),
    Goodbye(u8, String),
}

impl Owned {
    fn append_to(&self, out: &mut Vec<u8>) {
        let written = match self {
            Owned::User { to, archive, checksum } => {
                let frame = OutgoingFrame { to: *to, from_core: 3, fingerprint: 9, archive };
                frame.append_to(out, ORDINARY_LIMIT_BYTES, *checksum)
            }
            Owned::ChunkFirst { archive, rest } => {
                LinkFrame::ChunkFirst(first_chunk(archive, *rest)).append_to(out)
            }
            link => link.link_frame().append_to(out),
        };
        written.expect("frames of the tests can be sent");
    }

    fn link_frame(&self) -> LinkFrame<'_> {
        match self {
            Owned::Credit(consumed_bytes, consumed_frames) => LinkFrame::Credit {
                consumed_bytes: *consumed_bytes,
                consumed_frames: *consumed_frames,
            },
            Owned::Control(sequence, body) => {
                LinkFrame::Control { sequence: *sequence, body: *body }
            }
            Owned::ControlAck(sequence) => LinkFrame::ControlAck { sequence: *sequence },
            Owned::Heartbeat(sent_at_ns) => LinkFrame::Heartbeat { sent_at_ns: *sent_at_ns },
            Owned::HeartbeatEcho(at) => LinkFrame::HeartbeatEcho { sent_at_ns: *at },
            Owned::ChunkFirst { archive, rest } => {
                LinkFrame::ChunkFirst(first_chunk(archive, *rest))
            }
            Owned::Chunk(bytes) => LinkFrame::Chunk { bytes },
            Owned::Goodbye(code, text) => {
                LinkFrame::Goodbye { reason: GoodbyeReason::from_code(*code), text }
            }
            Owned::User { .. } => unreachable!("a message is no link frame"),
        }
    }

    fn is_what(&self, frame: Frame<'_>) -> bool {
        match (self, frame) {
            (Owned::User { to, archive, checksum }, Frame::User(user)) => {
                let Header { word1, .. } = user.header;
                user.archive == archive.as_slice()
                    && user.prefix.core == to.core()
                    && user.prefix.sender == 3
                    && user.prefix.fingerprint == 9
                    && user.header.port() == to.port()
                    && word1 == to.words().1
                    && (user.header.flags() & FLAG_CHECKSUM != 0) == *checksum
            }
            (Owned::User { .. }, _) | (_, Frame::User(_)) => false,
            (owned, Frame::Link(link)) => owned.link_frame() == link,
        }
    }
}

fn first_chunk(bytes: &[u8], rest: u32) -> ChunkFirst<'_> {
    let total_bytes = bytes.len() as u32 + rest;
    let header =
        Header::new(FOREIGN_PREFIX_BYTES as u32 + total_bytes, 2, KIND_USER, FLAG_FOREIGN, 5, 6);
    let prefix = ForeignPrefix { fingerprint: 7, core: 1, sender: 0, word: 0 };
    ChunkFirst { header, prefix, total_bytes, bytes }
}

fn address() -> impl Strategy<Value = Address> {
    any::<(u64, u64)>().prop_map(|(to, me)| Address::from_words(to, me))
}

fn body() -> impl Strategy<Value = ControlBody> {
    let reason = prop_oneof![
        Just(StopReason::Stopped),
        Just(StopReason::Failed),
        Just(StopReason::NoActor),
        Just(StopReason::Shutdown),
        Just(StopReason::Unreachable),
    ];
    (0..3, address(), address(), reason).prop_map(|(which, actor, watcher, reason)| match which {
        0 => ControlBody::Watch { actor, watcher },
        1 => ControlBody::Unwatch { actor, watcher },
        _ => ControlBody::Terminated { actor, watcher, reason },
    })
}

fn user() -> impl Strategy<Value = Owned> {
    let archive = prop::collection::vec(any::<u8>(), 1..300);
    (address(), archive, any::<bool>()).prop_map(|(to, archive, checksum)| Owned::User {
        to,
        archive,
        checksum,
    })
}

fn frame_of(lane: Lane) -> BoxedStrategy<Owned> {
    let both = prop_oneof![
        any::<(u64, u64)>().prop_map(|(bytes, frames)| Owned::Credit(bytes, frames)),
        (any::<u8>(), ".{0,60}").prop_map(|(code, text)| Owned::Goodbye(code, text)),
    ];
    match lane {
        Lane::Ordinary => prop_oneof![3 => user(), 1 => both].boxed(),
        Lane::Control => prop_oneof![
            (any::<u64>(), body()).prop_map(|(sequence, body)| Owned::Control(sequence, body)),
            any::<u64>().prop_map(Owned::ControlAck),
            any::<u64>().prop_map(Owned::Heartbeat),
            any::<u64>().prop_map(Owned::HeartbeatEcho),
            both,
        ]
        .boxed(),
        Lane::Bulk => {
            let bytes = || prop::collection::vec(any::<u8>(), 1..300);
            prop_oneof![
                user(),
                bytes().prop_map(Owned::Chunk),
                (bytes(), 0..1_000_000u32)
                    .prop_map(|(archive, rest)| Owned::ChunkFirst { archive, rest }),
                both,
            ]
            .boxed()
        }
    }
}

fn stream() -> impl Strategy<Value = (Lane, Vec<Owned>)> {
    prop_oneof![Just(Lane::Ordinary), Just(Lane::Control), Just(Lane::Bulk)].prop_flat_map(|lane| {
        prop::collection::vec(frame_of(lane), 1..20).prop_map(move |all| (lane, all))
    })
}

fn bytes_of(frames: &[Owned]) -> Vec<u8> {
    let mut stream = Vec::new();
    frames.iter().for_each(|frame| frame.append_to(&mut stream));
    stream
}

/// Reads `stream` as it arrives: each of `arrivals` is how many bytes come next; what is left comes at the end.
fn read_all(
    mut decoder: Decoder,
    stream: &[u8],
    arrivals: &[usize],
    mut take: impl FnMut(usize, Frame<'_>),
) -> Result<usize, WireError> {
    let (mut there, mut at, mut frames, mut wanted) = (0, 0, 0, 0);
    for arrival in arrivals.iter().copied().chain([stream.len()]) {
        there = (there + arrival).min(stream.len());
        while there - at >= wanted {
            match decoder.next(&stream[at..there])? {
                Step::Frame { frame, bytes } => {
                    take(frames, frame);
                    (at, frames, wanted) = (at + bytes, frames + 1, 0);
                }
                Step::Need(bytes) => {
                    assert!(bytes > there - at, "waits for {bytes} bytes and has them");
                    wanted = bytes;
                }
            }
        }
    }
    assert_eq!((decoder.frames(), decoder.bytes()), (frames as u64, at as u64));
    Ok(at)
}

proptest! {
    #[test]
    fn the_same_frames_come_out_however_the_stream_is_cut(
        (lane, frames) in stream(),
        arrivals in prop::collection::vec(0..90usize, 0..200),
    ) {
        let stream = bytes_of(&frames);
        prop_assert_eq!(stream.len() % 16, 0);
        let mut count = 0;
        let end = read_all(Decoder::new(lane), &stream, &arrivals, |number, frame| {
            assert!(frames[number].is_what(frame), "{:?} became {frame:?}", frames[number]);
            count += 1;
        });
        prop_assert_eq!(end, Ok(stream.len()));
        prop_assert_eq!(count, frames.len());
    }

    #[test]
    fn damage_gives_an_error_or_frames_but_never_a_panic(
        (lane, frames) in stream(),
        arrivals in prop::collection::vec(0..90usize, 0..20),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut stream = bytes_of(&frames);
        for (place, byte) in damage {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        let _ = read_all(Decoder::new(lane), &stream, &arrivals, |_, _| ());
    }

    #[test]
    fn a_flipped_bit_of_a_summed_message_is_found(
        archive in prop::collection::vec(any::<u8>(), 1..300),
        place in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let to = Address::new(1, 2, 3, 4, 5);
        let mut stream = bytes_of(&[Owned::User { to, archive: archive.clone(), checksum: true }]);
        // Behind the header, which the checksum does not cover.
        let place = 16 + place.index(FOREIGN_PREFIX_BYTES + archive.len());
        stream[place] ^= 1 << bit;
        let step = Decoder::new(Lane::Ordinary).next(&stream);
        prop_assert!(matches!(step, Err(WireError::Checksum { .. })), "{:?}", step);
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_from_the_header_alone() {
    for (lane, kind, flags) in [
        (Lane::Ordinary, KIND_USER, FLAG_FOREIGN),
        (Lane::Bulk, KIND_CHUNK, 0),
        (Lane::Bulk, KIND_USER, FLAG_FOREIGN),
    ] {
        let limit_bytes = lane.limit_bytes();
        for declared_bytes in [limit_bytes + 1, u32::MAX] {
            let header = header_bytes(Header::new(declared_bytes, 0, kind, flags, 0, 0));
            assert_eq!(
                Decoder::new(lane).next(&header),
                Err(WireError::TooLong { declared_bytes, limit_bytes, lane })
            );
        }
    }
    let mut small = Decoder::new(Lane::Ordinary).with_limit(100);
    let header = header_bytes(Header::new(101, 0, KIND_USER, FLAG_FOREIGN, 0, 0));
    assert!(matches!(small.next(&header), Err(WireError::TooLong { limit_bytes: 100, .. })));
}

#[test]
fn the_longest_frames_of_each_lane_pass() {
    let archive = vec![7; ORDINARY_LIMIT_BYTES as usize - FOREIGN_PREFIX_BYTES];
    let longest = Owned::User { to: Address::new(1, 1, 0, 1, 1), archive, checksum: true };
    let chunk = vec![7; CHUNK_LIMIT_BYTES];
    let first = Owned::ChunkFirst { archive: chunk.clone(), rest: 1 };
    for (lane, frames) in
        [(Lane::Ordinary, vec![longest]), (Lane::Bulk, vec![first, Owned::Chunk(chunk)])]
    {
        let stream = bytes_of(&frames);
        let end = read_all(Decoder::new(lane), &stream, &[1_000], |number, frame| {
            assert!(frames[number].is_what(frame));
        });
        assert_eq!(end, Ok(stream.len()));
    }
}

#[test]
fn what_stays_inside_a_node_is_refused_from_a_peer() {
    let refused = |kind: u8, flags: u8| {
        let header = header_bytes(Header::new(40, 0, kind, flags, 0, 0));
        Decoder::new(Lane::Ordinary).next(&header).expect_err("no peer may send this")
    };
    for kind in 1..FIRST_LINK_KIND {
        assert_eq!(refused(kind, FLAG_FOREIGN), WireError::InternalKind { kind });
    }
    for flags in (0..=u8::MAX).filter(|flags| flags & !FLAG_CHECKSUM != FLAG_FOREIGN) {
        assert_eq!(refused(KIND_USER, flags), WireError::Flags { kind: KIND_USER, flags });
    }
    let flags = FLAG_FOREIGN | FLAG_LOCAL;
    assert_eq!(refused(KIND_USER, flags), WireError::Flags { kind: KIND_USER, flags });
    for kind in KIND_BULK_WANTED + 1..=u8::MAX {
        assert_eq!(refused(kind, 0), WireError::UnknownKind { kind });
    }
}

#[test]
fn every_kind_has_its_lanes() {
    let on = |lane: Lane| -> Vec<u8> { (0..=u8::MAX).filter(|kind| lane.carries(*kind)).collect() };
    assert_eq!(on(Lane::Ordinary), [KIND_USER, KIND_CREDIT, KIND_GOODBYE]);
    let control =
        [KIND_CREDIT, KIND_CONTROL, KIND_CONTROL_ACK, KIND_HEARTBEAT, KIND_HEARTBEAT_ECHO];
    assert_eq!(on(Lane::Control), [control.as_slice(), &[KIND_GOODBYE, KIND_BULK_WANTED]].concat());
    let bulk = [KIND_USER, KIND_CREDIT, KIND_CHUNK_FIRST, KIND_CHUNK, KIND_GOODBYE];
    assert_eq!(on(Lane::Bulk), bulk);
    let header = header_bytes(Header::new(8, 0, KIND_HEARTBEAT, 0, 0, 0));
    let step = Decoder::new(Lane::Ordinary).next(&header);
    let wrong = WireError::WrongLane { kind: KIND_HEARTBEAT, lane: Lane::Ordinary };
    assert_eq!(step, Err(wrong));
}

#[test]
fn a_frame_without_payload_is_refused() {
    assert_eq!(
        Decoder::new(Lane::Ordinary).next(&[0; 64]),
        Err(WireError::Empty { kind: KIND_USER })
    );
    // A prefix and nothing behind it.
    let header = header_bytes(Header::new(16, 0, KIND_USER, FLAG_FOREIGN, 0, 0));
    let step = Decoder::new(Lane::Ordinary).next(&header);
    assert_eq!(step, Err(WireError::Length { kind: KIND_USER, declared_bytes: 16 }));
}

#[test]
fn padding_that_is_not_zero_is_refused() {
    let mut stream = bytes_of(&[Owned::Heartbeat(1)]);
    stream[31] = 1;
    let step = Decoder::new(Lane::Control).next(&stream);
    assert_eq!(step, Err(WireError::Reserved { kind: KIND_HEARTBEAT }));
}

#[test]
fn after_an_error_nothing_more_is_read() {
    let mut decoder = Decoder::new(Lane::Control);
    let error = decoder.next(&[0; 16]).expect_err("an empty frame");
    let good = bytes_of(&[Owned::Heartbeat(1)]);
    assert_eq!(decoder.next(&good), Err(error));
    assert_eq!(decoder.frames(), 0);
}

#[test]
fn where_checksums_were_agreed_no_message_comes_without() {
    let to = Address::new(1, 2, 3, 4, 5);
    let plain = Owned::User { to, archive: vec![1], checksum: false };
    let summed = Owned::User { to, archive: vec![1], checksum: true };
    let first = Owned::ChunkFirst { archive: vec![1], rest: 1 };
    for (frame, lane, refused) in
        [(plain, Lane::Ordinary, true), (summed, Lane::Ordinary, false), (first, Lane::Bulk, true)]
    {
        let step_is_error = |checksums: bool| {
            let stream = bytes_of(std::slice::from_ref(&frame));
            let mut decoder = Decoder::new(lane).with_checksums(checksums);
            decoder.next(&stream).err()
        };
        assert_eq!(step_is_error(true), refused.then_some(WireError::ChecksumMissing));
        assert_eq!(step_is_error(false), None);
    }
}
