//! What is read is what was written, and what no view can be is refused.

use std::net::{IpAddr, SocketAddr};

use mainspring::frame::archive::write_boxed;
use mainspring::frame::validation::read_checked;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

const LIMIT_BYTES: usize = 4 << 20;

/// Sent and received.
fn carried(message: &ClusterMessage) -> Result<ClusterMessage, WireError> {
    match Outgoing::from(message) {
        Outgoing::Small(word) => read(&word),
        Outgoing::Large(word) => {
            let archive = write_boxed(&word, LIMIT_BYTES).expect("it fits");
            let word = read_checked::<LargeWord>(archive.as_slice()).expect("it is one");
            ClusterMessage::try_from(word)
        }
        Outgoing::Pulse(pulse) => {
            let archive = write_boxed(&pulse, LIMIT_BYTES).expect("it fits");
            let pulse = read_checked::<Pulse>(archive.as_slice()).expect("it is one");
            // Who it is from and for is known from the link.
            let (from, to) = ends(message);
            assert_eq!(pulse.sender(), link_of(&from));
            Ok(pulse.message(from, to))
        }
    }
}

fn ends(message: &ClusterMessage) -> (MemberId, MemberId) {
    match message {
        ClusterMessage::Heartbeat { from, to, .. }
        | ClusterMessage::HeartbeatReply { from, to, .. }
        | ClusterMessage::GossipDigest { from, to, .. } => (*from, *to),
        other => panic!("{other:?} travels as a word"),
    }
}

fn read(word: &Word) -> Result<ClusterMessage, WireError> {
    let archive = write_boxed(word, LIMIT_BYTES).expect("it fits");
    ClusterMessage::try_from(read_checked::<Word>(archive.as_slice()).expect("it is one"))
}

fn id(number: u16) -> MemberId {
    MemberId { address: ([10, 0, 0, 1], number).into(), incarnation: u64::from(number) }
}

fn ids() -> impl Strategy<Value = MemberId> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|ip| IpAddr::from(ip).to_canonical()),
    ];
    (ip, any::<u16>(), any::<u64>()).prop_map(|(ip, port, incarnation)| MemberId {
        address: SocketAddr::new(ip, port),
        incarnation,
    })
}

fn configurations() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(".{0,8}", ".{0,8}", 0..4)
}

fn refusals() -> impl Strategy<Value = NackReason> {
    prop_oneof![
        Just(NackReason::NotInitialised),
        Just(NackReason::Leaving),
        Just(NackReason::TooLarge),
        any::<u32>().prop_map(|limit| NackReason::Full { limit: limit as usize }),
        any::<u64>().prop_map(|incarnation| NackReason::LaterLife { incarnation }),
        (".{0,8}", option::of(".{0,8}"), option::of(".{0,8}")).prop_map(|(name, ours, theirs)| {
            NackReason::ConfigurationDiffers { name, ours, theirs }
        }),
    ]
}

/// Views that keep the invariant: everybody in a part of them is a member.
fn views() -> impl Strategy<Value = Gossip> {
    let of_member = (
        0..Status::ALL.len(),
        btree_set(".{0,8}", 0..3),
        ".{0,8}",
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        option::of((any::<u64>(), vec((any::<usize>(), any::<bool>()), 0..4))),
        any::<bool>(),
    );
    let members = btree_map(ids(), of_member, 0..12);
    (members, btree_map(ids(), any::<u64>(), 0..4)).prop_map(|(members, tombstones)| {
        let ids: Vec<MemberId> = members.keys().copied().collect();
        let (mut gossip, mut rows, mut clock) = (Gossip::default(), Vec::new(), Vec::new());
        for (id, (status, roles, app_version, up_number, changes, row, has_seen)) in members {
            let status = Status::ALL[status];
            gossip.members.insert(id, Member { id, status, roles, app_version, up_number });
            clock.extend(changes.map(|changes| (id, changes)));
            if has_seen {
                gossip.seen.insert(id);
            }
            if let Some((version, subjects)) = row {
                let standing =
                    |gone| if gone { Standing::Terminated } else { Standing::Unreachable };
                let subject = |(at, gone): (usize, bool)| (ids[at % ids.len()], standing(gone));
                rows.push((
                    id,
                    Row { version, subjects: subjects.into_iter().map(subject).collect() },
                ));
            }
        }
        gossip.clock = clock.into_iter().collect();
        gossip.reachability = rows.into_iter().collect();
        gossip.tombstones = tombstones;
        gossip
    })
}

fn messages() -> impl Strategy<Value = ClusterMessage> {
    let view = || (ids(), ids(), views()).prop_map(|(from, to, view)| (from, to, Arc::new(view)));
    let numbered = || (ids(), ids(), any::<u64>());
    let joins = (ids(), btree_set(".{0,8}", 0..4), ".{0,8}", configurations());
    prop_oneof![
        (ids(), configurations())
            .prop_map(|(from, configuration)| ClusterMessage::InitJoin { from, configuration }),
        ids().prop_map(|from| ClusterMessage::InitJoinAck { from }),
        (ids(), refusals())
            .prop_map(|(from, reason)| ClusterMessage::InitJoinNack { from, reason }),
        joins.prop_map(|(id, roles, app_version, configuration)| ClusterMessage::Join {
            id,
            roles,
            app_version,
            configuration,
        }),
        view().prop_map(|(from, to, gossip)| ClusterMessage::Welcome { from, to, gossip }),
        view().prop_map(|(from, to, gossip)| ClusterMessage::GossipEnvelope { from, to, gossip }),
        numbered().prop_map(|(from, to, digest)| ClusterMessage::GossipDigest { from, to, digest }),
        (numbered(), btree_map(ids(), any::<u64>(), 0..8)).prop_map(
            |((from, to, digest), clock)| {
                let clock = clock.into_iter().collect();
                ClusterMessage::GossipStatus { from, to, clock, digest }
            }
        ),
        numbered().prop_map(|(from, to, sequence)| ClusterMessage::Heartbeat {
            from,
            to,
            sequence
        }),
        numbered().prop_map(|(from, to, sequence)| ClusterMessage::HeartbeatReply {
            from,
            to,
            sequence
        }),
        ids().prop_map(|from| ClusterMessage::ExitingConfirmed { from }),
    ]
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(message in messages()) {
        prop_assert_eq!(carried(&message), Ok(message));
    }
}

#[test]
fn a_beat_takes_three_times_the_header_on_a_link() {
    let (from, to) = (id(1), id(2));
    let beat = ClusterMessage::Heartbeat { from, to, sequence: u64::MAX };
    assert_eq!(Outgoing::from(&beat).frame_bytes(), 48);
}

fn view_of_members(members: u16) -> View {
    let mut gossip = Gossip::default();
    for number in 0..members {
        let (id, roles) = (id(number), BTreeSet::from(["carts".to_owned()]));
        let (status, app_version) = (Status::Up, "1.2.0".to_owned());
        let member = Member { id, status, roles, app_version, up_number: Some(number.into()) };
        gossip.members.insert(id, member);
    }
    View::of(id(0), id(1), false, &gossip)
}

fn read_view(view: View) -> Result<ClusterMessage, WireError> {
    read(&Word::View(view))
}

#[test]
fn a_view_of_a_thousand_members_goes_by_the_way_for_large_messages_and_one_of_fifty_does_not() {
    assert!(matches!(of_view(view_of_members(50)), Outgoing::Small(_)));
    assert!(matches!(of_view(view_of_members(1_000)), Outgoing::Large(_)));
}

#[test]
fn a_view_that_goes_by_the_ordinary_way_is_about_as_long_as_was_reckoned() {
    let view = view_of_members(400);
    let reckoned = view.about_bytes();
    let archive = write_boxed(&Word::View(view), LIMIT_BYTES).expect("it fits");
    let length = archive.as_slice().len();
    assert!(length <= reckoned + 512 && reckoned <= 2 * length, "{length}, reckoned {reckoned}");
}

#[test]
fn a_view_that_names_places_nobody_has_or_is_out_of_order_is_refused() {
    let mut view = view_of_members(3);
    view.seen.push(3);
    assert_eq!(read_view(view), Err(WireError::NoSuchPlace { place: 3, members: 3 }));
    let mut view = view_of_members(3);
    view.members.swap(0, 1);
    assert_eq!(read_view(view), Err(WireError::OutOfOrder));
    let mut view = view_of_members(3);
    let twice = view.members[2].clone();
    view.members.push(twice);
    assert_eq!(read_view(view), Err(WireError::OutOfOrder));
}

#[test]
fn a_view_of_more_members_than_a_cluster_may_have_is_refused() {
    let count = MEMBER_LIMIT + 1;
    let refused = read_view(view_of_members(count as u16));
    assert_eq!(refused, Err(WireError::TooMany { what: "members", count, limit: MEMBER_LIMIT }));
}
