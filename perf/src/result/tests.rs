//! The written form of a result is fixed: its keys, what is left out, and the table.

use super::*;

fn full() -> RunResult {
    RunResult {
        scenario: "ping-pong".into(),
        messages: 1_000_000,
        figures: Figures {
            ns_per_message: Some(7.5),
            best_ns_per_message: Some(7.0),
            messages_per_second: Some(133_333_333.0),
            bytes_per_actor: Some(57.5),
            calibration_ns: Some(2_000_000.0),
            p50_ns: Some(500),
            p99_ns: Some(600),
            p999_ns: Some(900),
            max_ns: Some(12_345),
            limit_name: Some("raw".into()),
            limit_ns: Some(5.0),
            ratio_to_limit: Some(1.5),
            allocations_per_message: Some(0.0),
            syscalls_per_message: Some(0.25),
            worst_ns_per_message: Some(9.0),
            best_limit_ns: Some(4.5),
            limit_p50_ns: Some(400),
            limit_p99_ns: Some(450),
            p50_ratio_to_limit: Some(1.25),
            latency_sample: Some("round trip".into()),
            heap_bytes_per_actor: Some(48.0),
            system_calls: Some(BTreeMap::from([("futex".into(), 3)])),
            system_calls_counted_over: Some(12),
        },
        rounds: 9,
        cpus: vec![0, 1],
        idle: Some("busy".into()),
        verdict: Verdict::Valid,
        reasons: Vec::new(),
    }
}

fn keys(json: &str) -> Vec<&str> {
    // Only the outer object is indented by two spaces.
    let lines = json.lines().filter_map(|line| line.strip_prefix("  \""));
    lines.filter_map(|line| line.split('"').next()).collect()
}

#[test]
fn the_json_keys_stand_in_their_fixed_order() {
    let json = full().to_json().expect("it can be written");
    assert_eq!(
        keys(&json),
        [
            "scenario",
            "messages",
            "ns_per_message",
            "best_ns_per_message",
            "messages_per_second",
            "bytes_per_actor",
            "calibration_ns",
            "p50_ns",
            "p99_ns",
            "p999_ns",
            "max_ns",
            "limit_name",
            "limit_ns",
            "ratio_to_limit",
            "allocations_per_message",
            "syscalls_per_message",
            "worst_ns_per_message",
            "best_limit_ns",
            "limit_p50_ns",
            "limit_p99_ns",
            "p50_ratio_to_limit",
            "latency_sample",
            "heap_bytes_per_actor",
            "system_calls",
            "system_calls_counted_over",
            "rounds",
            "cpus",
            "idle",
            "verdict",
            "reasons",
        ]
    );
}

#[test]
fn what_does_not_apply_is_left_out() {
    let bare = RunResult { figures: Figures::default(), idle: None, ..full() };
    let json = bare.to_json().expect("it can be written");
    assert_eq!(keys(&json), ["scenario", "messages", "rounds", "cpus", "verdict", "reasons"]);
}

fn too_busy() -> Judgement {
    Judgement { verdict: Verdict::Invalid, reasons: vec!["too busy".into()] }
}

#[test]
fn an_invalid_run_shows_what_was_counted_and_no_time_but_its_calibration() {
    let result = full().judged(too_busy());
    let json = result.to_json().expect("it can be written");
    assert_eq!(
        keys(&json),
        [
            "scenario",
            "messages",
            "bytes_per_actor",
            "calibration_ns",
            "limit_name",
            "allocations_per_message",
            "syscalls_per_message",
            "heap_bytes_per_actor",
            "system_calls",
            "system_calls_counted_over",
            "rounds",
            "cpus",
            "idle",
            "verdict",
            "reasons"
        ]
    );
    let table = result.to_string();
    assert!(table.starts_with("ping-pong: invalid\n  because too busy\n"), "{table}");
    assert!(!table.contains("ns a message"), "{table}");
}

#[test]
fn an_invalid_run_that_is_shown_all_the_same_says_that_it_is_invalid() {
    let result = full().judged_but_whole(too_busy());
    assert_eq!(result.figures, full().figures);
    assert_eq!((result.verdict, result.reasons), (Verdict::Invalid, vec!["too busy".into()]));
}

#[test]
fn the_table_of_a_full_run_reads_well() {
    let expected = "\
ping-pong: valid
  rounds            9 of 1 000 000 messages
  CPUs              0,1, idle profile busy
  ns a message      median 7.50, best 7.00, worst 9.00
  messages a second 133 333 333
  raw limit         raw 5.00 ns a message, best 4.50; this is 1.50 times that
  latency           ns, one sample is a round trip
                    p50 500, p99 600, p99.9 900, max 12 345
                    the limit's p50 400, p99 450; this p50 is 1.25 times that
  bytes an actor    57.5 beyond its state, 48.0 of them on the heap
  allocations       0 a message
  system calls      0.25 a message (over 12 messages, futex 3)
  calibration       2 000 000 ns
";
    assert_eq!(full().to_string(), expected);
}
