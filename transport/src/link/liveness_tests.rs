//! Peers that beat regularly, irregularly, not at all; and a node that was stopped itself.

use proptest::prelude::*;

use super::*;

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000 * MILLISECOND_NS;

/// Beats `count` times, with the given interval; the time afterwards.
fn beats(liveness: &mut Liveness, begin_ns: u64, every_ns: u64, count: u64) -> u64 {
    let mut now_ns = begin_ns;
    for _ in 0..count {
        now_ns += every_ns;
        liveness.heartbeat(now_ns);
        assert_eq!(liveness.tick(now_ns).change, None);
    }
    now_ns
}

/// Calls at every deadline, as a driver does, until then; the changes and when they came.
fn changes_until(liveness: &mut Liveness, until_ns: u64) -> Vec<(u64, Reachability)> {
    let mut changes = Vec::new();
    while let Some(now_ns) = liveness.next_deadline_ns().filter(|at_ns| *at_ns <= until_ns) {
        changes.extend(liveness.tick(now_ns).change.map(|change| (now_ns, change)));
    }
    changes
}

#[test]
fn heartbeats_go_out_at_once_and_every_half_second() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 5);
    assert_eq!(liveness.tick(5).heartbeat_ns, Some(5));
    assert_eq!(liveness.tick(6).heartbeat_ns, None);
    assert_eq!(liveness.next_deadline_ns(), Some(500 * MILLISECOND_NS + 5));
    let at_ns = 500 * MILLISECOND_NS + 5;
    assert_eq!(liveness.tick(at_ns).heartbeat_ns, Some(at_ns));
}

#[test]
fn a_regular_peer_is_suspect_soon_and_unreachable_after_ten_seconds() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 0);
    let last_ns = beats(&mut liveness, 0, 500 * MILLISECOND_NS, 100);
    let changes = changes_until(&mut liveness, last_ns + 30 * SECOND_NS);
    let suspect_ns = last_ns + 500 * MILLISECOND_NS + 561_200_000 + 1;
    let unreachable_ns = last_ns + 10 * SECOND_NS;
    let expected =
        [(suspect_ns, Reachability::Suspect), (unreachable_ns, Reachability::Unreachable)];
    assert_eq!(changes, expected);
    assert_eq!(liveness.next_deadline_ns(), None);
    assert_eq!(liveness.tick(unreachable_ns + SECOND_NS), Beat::default(), "it is final");
    assert_eq!(liveness.heard(unreachable_ns + SECOND_NS), None);
}

#[test]
fn an_irregular_peer_is_given_more_time() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 0);
    let mut now_ns = 0;
    for _ in 0..INTERVALS {
        now_ns = beats(&mut liveness, now_ns, 200 * MILLISECOND_NS, 1);
        now_ns = beats(&mut liveness, now_ns, 800 * MILLISECOND_NS, 1);
    }
    // Mean 500 ms, deviation 300 ms.
    assert_eq!(liveness.suspect_after_ns(), 500 * MILLISECOND_NS + 5_612 * 300_000);
}

#[test]
fn any_byte_ends_a_suspicion() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 0);
    let last_ns = beats(&mut liveness, 0, 500 * MILLISECOND_NS, 3);
    assert_eq!(changes_until(&mut liveness, last_ns + 9 * SECOND_NS).len(), 1);
    let heard_ns = last_ns + 9 * SECOND_NS;
    assert_eq!(liveness.heard(heard_ns), Some(Reachability::Reachable));
    assert_eq!(liveness.heard(heard_ns), None, "said once");
    let changes = changes_until(&mut liveness, heard_ns + 10 * SECOND_NS);
    assert_eq!(changes.last(), Some(&(heard_ns + 10 * SECOND_NS, Reachability::Unreachable)));
}

#[test]
fn a_pause_of_this_node_is_not_held_against_the_peer() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 0);
    let last_ns = beats(&mut liveness, 0, 500 * MILLISECOND_NS, 10);
    let awake_ns = last_ns + 60 * SECOND_NS;
    let beat = liveness.tick(awake_ns);
    assert_eq!((beat.heartbeat_ns, beat.change), (Some(awake_ns), None));
    let changes = changes_until(&mut liveness, awake_ns + 10 * SECOND_NS);
    assert_eq!(changes.last().map(|(_, change)| *change), Some(Reachability::Unreachable));
    assert_eq!(liveness.suspect_after_ns(), 1_061_200_000, "the pause is no interval of the peer");
}

#[test]
fn the_round_trip_follows_the_echoes() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 0);
    assert_eq!(liveness.round_trip(), None);
    liveness.tick(0);
    liveness.echo(0, 800).unwrap();
    assert_eq!(liveness.round_trip(), Some(RoundTrip { smoothed_ns: 800, deviation_ns: 400 }));
    liveness.tick(SECOND_NS);
    liveness.echo(SECOND_NS, SECOND_NS + 1_600).unwrap();
    assert_eq!(liveness.round_trip(), Some(RoundTrip { smoothed_ns: 900, deviation_ns: 500 }));
}

#[test]
fn only_the_last_of_many_heartbeats_is_answered() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 0);
    assert_eq!(liveness.take_echo(), None);
    for sent_at_ns in 1..=1_000 {
        liveness.owe_echo(sent_at_ns);
    }
    assert_eq!(liveness.take_echo(), Some(1_000));
    assert_eq!(liveness.take_echo(), None, "it was answered");
}

#[test]
fn an_echo_may_skip_heartbeats() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 0);
    for sent_ns in [0, SECOND_NS, 2 * SECOND_NS] {
        assert_eq!(liveness.tick(sent_ns).heartbeat_ns, Some(sent_ns));
    }
    liveness.echo(2 * SECOND_NS, 2 * SECOND_NS + 5).unwrap();
    assert!(liveness.echo(SECOND_NS, 2 * SECOND_NS + 6).is_err(), "an earlier one is too late");
}

#[test]
fn an_echo_of_no_heartbeat_is_found_out() {
    let mut liveness = Liveness::new(LivenessSettings::default(), 100);
    assert!(liveness.echo(100, 110).is_err(), "none was sent yet");
    liveness.tick(100);
    for found_ns in [99, 101, u64::MAX] {
        let error = EchoError { found_ns, from_ns: 100, until_ns: 100 };
        assert_eq!(liveness.echo(found_ns, 110), Err(error));
    }
    liveness.echo(100, 110).unwrap();
    assert!(liveness.echo(100, 120).is_err(), "it was answered");
}

proptest! {
    /// Whatever the intervals: a silence of the settled time ends the connection then, no earlier and no later, if
    /// deadlines are kept.
    #[test]
    fn unreachable_comes_exactly_at_its_time(
        intervals_ns in prop::collection::vec(1..10 * SECOND_NS, 0..100),
    ) {
        let mut liveness = Liveness::new(LivenessSettings::default(), 0);
        let mut now_ns = 0;
        for interval_ns in intervals_ns {
            now_ns += interval_ns;
            let early = changes_until(&mut liveness, now_ns);
            prop_assert!(early.iter().all(|(_, change)| *change == Reachability::Suspect));
            liveness.heartbeat(now_ns);
        }
        let changes = changes_until(&mut liveness, now_ns + 11 * SECOND_NS);
        let last = changes.last().copied();
        prop_assert_eq!(last, Some((now_ns + 10 * SECOND_NS, Reachability::Unreachable)));
    }
}
