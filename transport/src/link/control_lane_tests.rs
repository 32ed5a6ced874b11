//! Control frames over connections that come and go, and against peers that claim what cannot be.

use proptest::prelude::*;

use super::*;

const PEER: u32 = 0xabcd;
const SECOND_NS: u64 = 1_000_000_000;

fn lane(settings: ControlSettings) -> ControlLane<u32> {
    let mut lane = ControlLane::new(settings, PEER);
    lane.connected();
    lane
}

fn sent(lane: &mut ControlLane<u32>, now_ns: u64) -> Vec<(u64, u32)> {
    std::iter::from_fn(|| lane.next_to_send(now_ns).map(|(sequence, m)| (sequence, *m))).collect()
}

#[test]
fn frames_wait_for_a_connection_and_go_again_on_the_next_one() {
    let mut lane = ControlLane::new(ControlSettings::default(), PEER);
    assert_eq!(lane.push(10), Ok(1));
    assert_eq!(lane.push(20), Ok(2));
    assert_eq!(sent(&mut lane, 0), []);
    lane.connected();
    assert_eq!(sent(&mut lane, 0), [(1, 10), (2, 20)]);
    lane.disconnected();
    assert_eq!(lane.next_deadline_ns(), None);
    assert_eq!(lane.push(30), Ok(3));
    lane.connected();
    assert_eq!(lane.record_acknowledgement(1, 5), Ok(1), "the peer had the first");
    assert_eq!(sent(&mut lane, 5), [(2, 20), (3, 30)]);
    assert_eq!((lane.waiting(), lane.resent()), (2, 1));
}

#[test]
fn what_is_not_acknowledged_goes_again_after_a_second_then_two() {
    let mut lane = lane(ControlSettings::default());
    lane.push(10).unwrap();
    assert_eq!(sent(&mut lane, 0), [(1, 10)]);
    assert!(!lane.tick(SECOND_NS - 1));
    assert!(lane.tick(SECOND_NS));
    assert_eq!(sent(&mut lane, SECOND_NS), [(1, 10)]);
    assert_eq!(lane.next_deadline_ns(), Some(3 * SECOND_NS));
    assert!(lane.tick(3 * SECOND_NS));
    assert_eq!(sent(&mut lane, 3 * SECOND_NS), [(1, 10)]);
    assert_eq!(lane.record_acknowledgement(1, 4 * SECOND_NS), Ok(1));
    assert_eq!(lane.next_deadline_ns(), None);
    lane.push(20).unwrap();
    sent(&mut lane, 5 * SECOND_NS);
    assert_eq!(lane.next_deadline_ns(), Some(6 * SECOND_NS), "an answer ends the doubling");
}

#[test]
fn an_acknowledgement_moves_the_deadline_of_the_rest() {
    let mut lane = lane(ControlSettings::default());
    lane.push(10).unwrap();
    lane.push(20).unwrap();
    sent(&mut lane, 0);
    lane.record_acknowledgement(1, 900).unwrap();
    assert_eq!(lane.next_deadline_ns(), Some(SECOND_NS + 900));
}

#[test]
fn no_more_than_the_limits_wait_or_are_under_way() {
    let limits = ControlSettings { waiting_limit: 3, under_way_limit: 2, ..Default::default() };
    let mut lane = lane(limits);
    for message in 1..=3 {
        lane.push(message).unwrap();
    }
    assert_eq!(lane.push(4), Err(ControlLaneFull { message: 4, waiting: 3 }));
    assert_eq!(sent(&mut lane, 0), [(1, 1), (2, 2)]);
    lane.record_acknowledgement(1, 0).unwrap();
    assert_eq!(sent(&mut lane, 0), [(3, 3)]);
    assert_eq!(lane.push(4), Ok(4));
}

#[test]
fn a_receiver_takes_each_frame_once_and_acknowledges_again() {
    let mut lane = lane(ControlSettings::default());
    assert_eq!(lane.acknowledgement(), None);
    assert_eq!(lane.receive(PEER, 1), Ok(Received::New));
    assert_eq!(lane.receive(PEER, 2), Ok(Received::New));
    assert_eq!(lane.acknowledgement(), Some(2));
    assert_eq!(lane.acknowledgement(), None);
    assert_eq!(lane.receive(PEER, 1), Ok(Received::Duplicate));
    assert_eq!(lane.acknowledgement(), Some(2));
    lane.disconnected();
    assert_eq!(lane.acknowledgement(), None);
    lane.connected();
    assert_eq!(lane.acknowledgement(), Some(2), "so that the peer can forget them");
    assert_eq!(lane.duplicates(), 1);
}

#[test]
fn a_peer_that_claims_what_cannot_be_is_found_out() {
    let mut lane = lane(ControlSettings::default());
    assert_eq!(lane.receive(PEER, 2), Err(ControlError::Gap { found: 2, delivered: 0 }));
    let other = lane.receive(PEER + 1, 1);
    assert_eq!(other, Err(ControlError::OtherIncarnation { found: PEER + 1, expected: PEER }));
    lane.push(10).unwrap();
    lane.push(20).unwrap();
    let unsent = lane.record_acknowledgement(1, 0);
    assert_eq!(unsent, Err(ControlError::NeverSent { found: 1, sent: 0 }));
    sent(&mut lane, 0);
    lane.record_acknowledgement(2, 0).unwrap();
    let back = lane.record_acknowledgement(1, 0);
    assert_eq!(back, Err(ControlError::WentBack { found: 1, before: 2 }));
    assert_eq!(lane.record_acknowledgement(2, 0), Ok(0), "the same again is none");
    assert_eq!(lane.receive(PEER, 0), Ok(Received::Duplicate), "sequences begin at 1");
}

#[test]
fn a_restart_of_the_peer_gives_back_what_was_for_the_old_one() {
    let mut lane = lane(ControlSettings::default());
    for message in [10, 20, 30] {
        lane.push(message).unwrap();
    }
    sent(&mut lane, 0);
    lane.receive(PEER, 1).unwrap();
    lane.record_acknowledgement(1, 0).unwrap();
    assert!(lane.restarted(PEER).is_empty(), "the same incarnation");
    assert_eq!(lane.restarted(PEER + 1), [20, 30]);
    lane.connected();
    assert_eq!(sent(&mut lane, 0), []);
    assert_eq!(lane.push(40), Ok(1));
    assert_eq!(lane.receive(PEER + 1, 1), Ok(Received::New));
}

/// One thing that happens between two nodes.
#[derive(Clone, Copy, Debug)]
enum Event {
    Push,
    Carry(usize),
    Acknowledge,
    Reconnect,
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Push),
        3 => (1usize..8).prop_map(Event::Carry),
        2 => Just(Event::Acknowledge),
        1 => Just(Event::Reconnect),
        1 => (0..2 * SECOND_NS).prop_map(Event::Wait),
    ]
}

proptest! {
    /// Whatever is lost with connections, everything arrives once and in order as soon as one of them lives.
    #[test]
    fn everything_arrives_once_and_in_order(events in prop::collection::vec(event(), 1..300)) {
        let limits = ControlSettings { under_way_limit: 5, ..Default::default() };
        let (mut sender, mut receiver) = (lane(limits), lane(limits));
        let (mut pushed, mut taken, mut now_ns) = (0u32, Vec::new(), 0);
        let mut wire: Vec<(u64, u32)> = Vec::new();
        for event in events.into_iter().chain([Event::Reconnect]) {
            wire.extend(sent(&mut sender, now_ns));
            match event {
                Event::Push => {
                    sender.push(pushed).unwrap();
                    pushed += 1;
                }
                Event::Carry(count) => for (sequence, message) in wire.drain(..count.min(wire.len())) {
                    if receiver.receive(PEER, sequence).unwrap() == Received::New {
                        taken.push(message);
                    }
                },
                Event::Acknowledge => if let Some(sequence) = receiver.acknowledgement() {
                    sender.record_acknowledgement(sequence, now_ns).unwrap();
                },
                Event::Reconnect => {
                    wire.clear();
                    sender.connected();
                    receiver.connected();
                }
                Event::Wait(for_ns) => {
                    now_ns += for_ns;
                    sender.tick(now_ns);
                }
            }
        }
        while sender.waiting() > 0 {
            for (sequence, message) in sent(&mut sender, now_ns) {
                if receiver.receive(PEER, sequence).unwrap() == Received::New {
                    taken.push(message);
                }
            }
            let sequence = receiver.acknowledgement().expect("something was received");
            sender.record_acknowledgement(sequence, now_ns).unwrap();
        }
        prop_assert_eq!(taken, (0..pushed).collect::<Vec<_>>());
        prop_assert_eq!(sender.next_deadline_ns(), None);
    }

    /// Whatever a peer claims: nothing is taken twice or out of order, nothing is forgotten that was not sent, and no
    /// more waits than may.
    #[test]
    fn no_claim_of_a_peer_confuses_the_lane(
        claims in prop::collection::vec((0u8..6, prop_oneof![0u64..20, any::<u64>()]), 0..200),
    ) {
        let limits = ControlSettings { waiting_limit: 8, under_way_limit: 3, ..Default::default() };
        let mut lane = lane(limits);
        let (mut pushed, mut taken) = (0, 0);
        for (now_ns, (step, claimed)) in (0..).zip(claims) {
            let (waited, sent_before) = (lane.waiting(), lane.sent);
            match step {
                0 => pushed += u64::from(lane.push(0).is_ok()),
                1 => drop(sent(&mut lane, now_ns)),
                2 => lane.connected(),
                3 => drop(lane.tick(claimed)),
                4 => if lane.receive(PEER, claimed) == Ok(Received::New) {
                    taken += 1;
                    prop_assert_eq!(claimed, taken);
                },
                _ => match lane.record_acknowledgement(claimed, now_ns) {
                    Ok(count) => {
                        prop_assert!(claimed <= sent_before);
                        prop_assert_eq!(lane.waiting() + count, waited);
                    }
                    Err(_) => prop_assert_eq!(lane.waiting(), waited),
                },
            }
            prop_assert!(lane.waiting() <= limits.waiting_limit);
            prop_assert_eq!(lane.acknowledged + lane.waiting() as u64, pushed);
        }
    }
}
