//! The written form of a load is fixed: its keys, what an invalid one leaves out, and the table.

use super::*;
use crate::latency;
use crate::load::pacer::Sent;
use crate::load::recorder::{Answered, Interval};
use crate::load::schedule::Arrivals;
use crate::result_folder::interval_log::IntervalLog;
use crate::result_folder::timestamp::Timestamp;
use std::time::Duration;

fn measured() -> Measured {
    let of = |value| {
        let mut histogram = latency::empty_histogram();
        histogram.record_n(value, 100).expect("within the bounds");
        histogram
    };
    let interval = Interval { start_ns: 0, end_ns: 0, response_ns: of(900) };
    Measured {
        sent: Sent {
            scheduled: 100,
            sent: 100,
            sent_in_all: 120,
            sum_in_all: 0,
            failed_in_all: 0,
            lateness_ns: of(30),
            late: 0,
            interval_ns: 10_000_000,
            refused: 3,
            measured_from_ns: 0,
            measured_ns: 1_000_000_000,
            stopped_after_ns: None,
        },
        answered: Answered {
            answered: 100,
            answered_in_all: 120,
            sum_in_all: 0,
            response_ns: of(900),
            service_ns: of(800),
            last_ns: 999_000_000,
            interval,
        },
        log: IntervalLog::default(),
        began: Timestamp::now(),
    }
}

fn result(verdict: Verdict, show_invalid: bool) -> LoadResult {
    let measured = measured();
    let settings = LoadSettings {
        drive: Drive::Rate { per_second: 100, arrivals: Arrivals::Poisson },
        measured: Duration::from_secs(1),
        payload_bytes: 32,
        cpus: vec![0, 1],
        idle: None,
    };
    let facts = facts(&measured, &settings);
    let parts = Parts {
        scenario: "a-scenario",
        response: "an answer",
        settings: &settings,
        idle: "busy".into(),
        measured: &measured,
        facts: &facts,
        calibration_ns: 2_000_000.0,
        show_invalid,
    };
    LoadResult::new(&parts, Judgement { verdict, reasons: vec!["a reason".into()] })
}

#[test]
fn the_json_keys_stand_in_their_fixed_order() {
    let json = result(Verdict::Valid, false).to_json().expect("it can be written");
    let lines = json.lines().filter_map(|line| line.strip_prefix("  \""));
    let keys: Vec<&str> = lines.filter_map(|line| line.split('"').next()).collect();
    assert_eq!(
        keys,
        [
            "scenario",
            "response",
            "offered_per_second",
            "arrivals",
            "payload_bytes",
            "warm_up_seconds",
            "measured_seconds",
            "achieved_per_second",
            "response_p50_ns",
            "response_p90_ns",
            "response_p99_ns",
            "response_p999_ns",
            "response_max_ns",
            "service_p50_ns",
            "service_p90_ns",
            "service_p99_ns",
            "service_p999_ns",
            "service_max_ns",
            "scheduled",
            "sent",
            "answered",
            "refused",
            "late",
            "lateness_p99_ns",
            "lateness_p999_ns",
            "lateness_max_ns",
            "calibration_ns",
            "cpus",
            "idle",
            "verdict",
            "reasons",
        ]
    );
}

#[test]
fn an_invalid_load_has_no_headline_figures_unless_they_are_asked_for() {
    let hidden = result(Verdict::Invalid, false);
    assert_eq!(hidden.figures, LoadFigures::default());
    assert!(!hidden.to_json().expect("it can be written").contains("response_p"), "{hidden}");
    assert!(!hidden.to_string().contains("p50"), "{hidden}");
    assert_eq!((hidden.scheduled, hidden.answered), (100, 100));
    let shown = result(Verdict::Invalid, true);
    assert_eq!(shown.figures.response_p99_ns, Some(900));
}

#[test]
fn the_table_names_rates_times_and_reasons() {
    let text = result(Verdict::Degraded, false).to_string();
    for part in [
        "a-scenario: degraded",
        "because a reason",
        "100 a second, poisson, payload 32 bytes",
        "p50 900, p90 900, p99 900, p99.9 900, max 900",
        "p50 800, p90 800",
        "100 due, 100 sent, 100 answered",
        "ns, p99 30, p99.9 30, max 30",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn what_is_judged_is_what_was_measured() {
    let settings = LoadSettings {
        drive: Drive::Window(8),
        measured: Duration::from_secs(1),
        payload_bytes: 0,
        cpus: vec![0],
        idle: None,
    };
    let facts = facts(&measured(), &settings);
    assert_eq!(facts.offered_per_second(), Some(100.0));
    assert_eq!(facts.achieved_per_second(), Some(100.0));
    let names: Vec<&str> = facts.late_at.iter().map(|at| at.name).collect();
    assert_eq!(names, ["p50", "p90", "p99", "p99.9", "max"]);
    assert!(facts.late_at.iter().all(|at| (at.lateness_ns, at.response_ns) == (30, 900)));
}
