//! Times are recorded from the schedule and from the sending, by the second too, and never corrected. The pacer and
//! the recorder together, on a made-up clock, show what a service does to those who wait for it.

use super::*;
use crate::load::pacer::{Demand, Pacer, Step};
use crate::load::schedule::{Arrivals, Schedule};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

fn stretches(warm_up_ns: u64, measured_ns: u64) -> Stretches {
    Stretches { warm_up_ns, measured_ns }
}

/// A load of 1,000 messages a second against a service on a made-up clock that goes on in steps of 10 us. The service
/// answers one message after the other and has room for so many; `busy_ns` says how long it takes for the message with
/// this number.
fn drive(measured_ns: u64, room: usize, busy_ns: impl Fn(u64) -> u64) -> Answered {
    let stretches = stretches(0, measured_ns);
    let schedule = Schedule::new(Arrivals::Uniform, 1_000, 0).expect("a fine rate");
    let mut pacer = Pacer::new(Demand::AtRate(schedule), stretches, 0);
    let mut recorder = Recorder::new(stretches, 0);
    let mut under_way = std::collections::VecDeque::new();
    let (mut now_ns, mut free_at_ns) = (0, 0);
    loop {
        while let Some((stamp, done_ns)) = under_way.front().copied()
            && done_ns <= now_ns
        {
            recorder.answered(stamp, done_ns);
            pacer.answered(1);
            under_way.pop_front();
        }
        match pacer.step(now_ns) {
            Step::Finished => return recorder.finish(),
            Step::Wait => now_ns += 10_000,
            Step::Send(stamp) if under_way.len() >= room => {
                pacer.refused(stamp);
                now_ns += 10_000;
            }
            Step::Send(stamp) => {
                pacer.sent(stamp);
                free_at_ns = now_ns.max(free_at_ns) + busy_ns(stamp.number);
                under_way.push_back((stamp, free_at_ns));
            }
        }
    }
}

#[test]
fn every_hundredth_message_held_for_2_ms_shows_from_the_99th_percentile_on() {
    let answered = drive(SECOND, 100, |number| if number % 100 == 99 { 2 * MS } else { 10_000 });
    let response = |quantile| answered.response_ns.value_at_quantile(quantile);
    assert_eq!(answered.answered, 1_000);
    assert!(response(0.98) < 50_000, "{}", response(0.98));
    // Each of them lets the next one wait for a millisecond.
    assert!((MS..2 * MS).contains(&response(0.985)), "{}", response(0.985));
    assert!(response(0.995) >= 2 * MS, "{}", response(0.995));
    assert!(response(1.0) >= 2 * MS && response(1.0) < 2 * MS + 10_000, "{}", response(1.0));
}

#[test]
fn a_service_that_stalls_for_100_ms_is_late_for_all_who_were_due_meanwhile() {
    let stalled = |room| drive(SECOND, room, |number| if number == 500 { 100 * MS } else { 1_000 });
    // Whether they could be sent meanwhile or not.
    for answered in [stalled(1_000), stalled(4)] {
        let late = answered.response_ns.count_between(2 * MS, 200 * MS);
        assert!((97..=100).contains(&late), "{late}");
        // Half of them waited for more than half of the stall.
        let half = answered.response_ns.count_between(50 * MS, 200 * MS);
        assert!((48..=52).contains(&half), "{half}");
    }
}

#[test]
fn the_service_time_leaves_out_those_who_could_not_be_sent() {
    let answered = drive(SECOND, 4, |number| if number == 500 { 100 * MS } else { 1_000 });
    let late = answered.service_ns.count_between(2 * MS, 200 * MS);
    assert_eq!(late, 4, "those that were under way when the service stood still");
}

#[test]
fn response_counts_from_the_schedule_and_service_from_the_sending() {
    let mut recorder = Recorder::new(stretches(0, SECOND), 0);
    recorder.answered(Stamp { number: 0, scheduled_ns: 1_000, sent_ns: 5_000 }, 6_000);
    let answered = recorder.finish();
    assert!(answered.response_ns.equivalent(answered.response_ns.max(), 5_000));
    assert!(answered.service_ns.equivalent(answered.service_ns.max(), 1_000));
    assert_eq!((answered.response_ns.len(), answered.service_ns.len()), (1, 1));
}

#[test]
fn messages_of_the_warm_up_are_counted_and_not_recorded() {
    let mut recorder = Recorder::new(stretches(MS, SECOND), 7 * MS);
    recorder.answered(Stamp { number: 3, scheduled_ns: 8 * MS - 1, sent_ns: 8 * MS }, 9 * MS);
    recorder.answered(Stamp { number: 4, scheduled_ns: 8 * MS, sent_ns: 8 * MS }, 9 * MS);
    let answered = recorder.finish();
    assert_eq!((answered.answered, answered.answered_in_all, answered.sum_in_all), (1, 2, 7));
    assert_eq!((answered.response_ns.len(), answered.last_ns), (1, MS));
}

#[test]
fn every_answer_is_in_one_interval() {
    let mut recorder = Recorder::new(stretches(0, 3 * SECOND), 0);
    let mut intervals = Vec::new();
    for number in 0..300 {
        let sent_ns = number * 10 * MS;
        recorder.answered(Stamp { number, scheduled_ns: sent_ns, sent_ns }, sent_ns + MS);
        if recorder.interval_is_over() {
            intervals.push(recorder.take_interval(latency::empty_histogram()));
        }
    }
    let answered = recorder.finish();
    intervals.push(answered.interval.clone());
    let counts: Vec<u64> = intervals.iter().map(|interval| interval.response_ns.len()).collect();
    assert_eq!(counts, [101, 100, 99]);
    assert_eq!(intervals[0].start_ns, 0);
    assert!(intervals.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns));
    let mut sum = latency::empty_histogram();
    intervals.iter().for_each(|interval| sum.add(&interval.response_ns).expect("same bounds"));
    assert_eq!(sum, answered.response_ns);
}
