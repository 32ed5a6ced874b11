//! A load sends what is due whatever happens, counts what it could not send, and ends in time.

use super::*;
use crate::load::schedule::Arrivals;

const MS: u64 = 1_000_000;

/// 1,000 messages a second: 10 ms of warm-up, 100 ms that are measured, from time 0 on.
fn pacer() -> Pacer {
    let schedule = Schedule::new(Arrivals::Uniform, 1_000, 0).expect("a fine rate");
    let stretches = Stretches { warm_up_ns: 10 * MS, measured_ns: 100 * MS };
    Pacer::new(Demand::AtRate(schedule), stretches, 0)
}

/// Sends everything that is due at this time; how many messages those were.
fn send_all(pacer: &mut Pacer, now_ns: u64) -> u64 {
    let mut sent = 0;
    while let Step::Send(stamp) = pacer.step(now_ns) {
        assert_eq!(stamp.sent_ns, now_ns);
        pacer.sent(stamp);
        sent += 1;
    }
    sent
}

#[test]
fn messages_are_sent_when_they_are_due_and_not_before() {
    let mut pacer = pacer();
    assert_eq!(send_all(&mut pacer, 0), 1);
    assert_eq!(send_all(&mut pacer, MS - 1), 0);
    assert_eq!(send_all(&mut pacer, MS), 1);
    assert_eq!(send_all(&mut pacer, 5 * MS), 4);
}

#[test]
fn answers_that_stay_away_do_not_slow_the_load_down() {
    let mut pacer = pacer();
    let sent: u64 = (0..110).map(|time| send_all(&mut pacer, time * MS)).sum();
    assert_eq!(sent, 110);
    assert_eq!(pacer.step(110 * MS), Step::Wait);
    let tally = pacer.finish();
    assert_eq!((tally.scheduled, tally.sent, tally.sent_in_all), (100, 100, 110));
    assert_eq!((tally.late, tally.sum_in_all), (0, 109 * 110 / 2));
}

#[test]
fn a_load_is_over_when_all_answers_are_in_and_not_before_its_time() {
    let mut pacer = pacer();
    for time in 0..110 {
        let sent = send_all(&mut pacer, time * MS);
        pacer.answered(sent);
    }
    assert_eq!(pacer.step(110 * MS - 1), Step::Wait);
    assert_eq!(pacer.step(110 * MS), Step::Finished);
}

#[test]
fn answers_are_awaited_for_so_long_and_no_longer() {
    let mut pacer = pacer();
    (0..110).for_each(|time| _ = send_all(&mut pacer, time * MS));
    assert_eq!(pacer.step(110 * MS), Step::Wait);
    pacer.answered(100);
    pacer.failed();
    assert_eq!(pacer.step(110 * MS + DRAIN_LIMIT_NS - 1), Step::Wait);
    assert_eq!(pacer.step(110 * MS + DRAIN_LIMIT_NS), Step::Finished);
}

#[test]
fn a_generator_that_stalls_is_late_and_makes_up_for_it() {
    let mut pacer = pacer();
    (0..50).for_each(|time| _ = send_all(&mut pacer, time * MS));
    assert_eq!(send_all(&mut pacer, 70 * MS), 21);
    (71..110).for_each(|time| _ = send_all(&mut pacer, time * MS));
    let tally = pacer.finish();
    assert_eq!((tally.scheduled, tally.sent), (100, 100));
    // Those that were due from 50 to 68 ms; the one of 69 ms was one interval late and no more.
    assert_eq!((tally.late, tally.interval_ns), (19, MS));
    assert_eq!(tally.lateness_ns.max() / MS, 20);
}

#[test]
fn a_service_that_takes_nothing_for_a_while_does_not_make_the_generator_late() {
    let mut pacer = pacer();
    (0..50).for_each(|time| _ = send_all(&mut pacer, time * MS));
    for time in 50..70 {
        let Step::Send(stamp) = pacer.step(time * MS) else { panic!("one is due at {time} ms") };
        assert_eq!((stamp.number, stamp.scheduled_ns), (50, 50 * MS));
        pacer.refused(stamp);
    }
    (70..110).for_each(|time| _ = send_all(&mut pacer, time * MS));
    let tally = pacer.finish();
    assert_eq!((tally.scheduled, tally.sent, tally.refused), (100, 100, 20));
    assert_eq!((tally.late, tally.lateness_ns.max()), (0, 0));
}

#[test]
fn what_is_not_sent_within_the_grace_stays_unsent_and_is_counted() {
    let mut pacer = pacer();
    (0..50).for_each(|time| _ = send_all(&mut pacer, time * MS));
    assert_eq!(pacer.step(110 * MS + SEND_GRACE_NS), Step::Wait);
    pacer.answered(50);
    assert_eq!(pacer.step(110 * MS + SEND_GRACE_NS), Step::Finished);
    let tally = pacer.finish();
    assert_eq!((tally.scheduled, tally.sent, tally.sent_in_all), (100, 40, 50));
}

#[test]
fn a_request_to_stop_ends_the_load_there() {
    let mut pacer = pacer();
    (0..60).for_each(|time| _ = send_all(&mut pacer, time * MS));
    pacer.stop(60 * MS);
    assert_eq!(pacer.step(60 * MS), Step::Wait);
    pacer.answered(60);
    assert_eq!(pacer.step(61 * MS), Step::Finished);
    let tally = pacer.finish();
    assert_eq!((tally.scheduled, tally.sent), (50, 50));
    assert_eq!((tally.measured_ns, tally.stopped_after_ns), (50 * MS, Some(60 * MS)));
}

#[test]
fn a_request_to_stop_during_the_warm_up_leaves_nothing_measured() {
    let mut pacer = pacer();
    (0..5).for_each(|time| _ = send_all(&mut pacer, time * MS));
    pacer.answered(5);
    pacer.stop(5 * MS);
    assert_eq!(pacer.step(5 * MS), Step::Finished);
    let tally = pacer.finish();
    assert_eq!((tally.scheduled, tally.sent, tally.measured_ns), (0, 0, 0));
}

#[test]
fn a_window_keeps_so_many_messages_under_way() {
    let stretches = Stretches { warm_up_ns: 10 * MS, measured_ns: 100 * MS };
    let mut pacer = Pacer::new(Demand::Window(8), stretches, 0);
    assert_eq!(send_all(&mut pacer, 0), 8);
    assert_eq!(pacer.step(MS), Step::Wait);
    pacer.answered(3);
    assert_eq!(send_all(&mut pacer, 2 * MS), 3);
    pacer.failed();
    assert_eq!(send_all(&mut pacer, 20 * MS), 1);
    pacer.answered(8);
    assert_eq!(pacer.step(110 * MS), Step::Finished);
    let tally = pacer.finish();
    assert_eq!((tally.scheduled, tally.sent, tally.sent_in_all), (1, 1, 12));
}
