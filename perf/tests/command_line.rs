//! The binary as a user meets it: its output, its exit codes, and that its counts are exact.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mainspring_perf::raw::affinity;
use mainspring_perf::raw::trace::{self, ChildEnd, TraceError};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mainspring-perf"))
}

fn perf(arguments: &[&str]) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Whether this container lets a process trace its child; if not, the reason is printed.
fn counted(arguments: &[&str], limit: Duration) -> Option<Result<trace::SystemCalls, TraceError>> {
    let mut child = program();
    child.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match trace::count_system_calls(child, limit) {
        Err(error @ TraceError::NotStarted(_)) => {
            println!("skipped: {error}");
            None
        }
        outcome => Some(outcome),
    }
}

const LONG_ENOUGH: Duration = Duration::from_secs(120);

#[test]
fn a_tracer_counts_exactly_the_calls_between_the_marks() {
    let arguments = ["counted", "raw-system-call", "--messages", "1234"];
    let Some(calls) = counted(&arguments, LONG_ENOUGH) else { return };
    let calls = calls.expect("the child runs to its end");
    assert_eq!(calls.total(), 1234, "{calls:?}");
    assert_eq!(calls.by_number.get(&(libc::SYS_getppid as u64)), Some(&1234));
}

#[test]
fn a_tracer_counts_the_calls_of_all_threads() {
    if affinity::allowed_cpus().expect("readable").len() < 2 {
        println!("skipped: two pinned threads need two CPUs");
        return;
    }
    let arguments = ["counted", "raw-eventfd", "--messages", "1000"];
    let Some(calls) = counted(&arguments, LONG_ENOUGH) else { return };
    let calls = calls.expect("the child runs to its end");
    // 500 round trips of two reads and two writes. The other side may enter its first read before the section begins
    // and its next one before it ends, so one read more or less belongs to the section.
    let reads = calls.by_number.get(&(libc::SYS_read as u64)).copied().unwrap_or(0);
    let writes = calls.by_number.get(&(libc::SYS_write as u64)).copied().unwrap_or(0);
    assert_eq!(writes, 1000, "{calls:?}");
    assert!(reads.abs_diff(1000) <= 1, "{calls:?}");
}

#[test]
fn a_message_through_two_atomics_makes_no_system_call() {
    if affinity::allowed_cpus().expect("readable").len() < 2 {
        println!("skipped: two pinned threads need two CPUs");
        return;
    }
    let arguments = ["counted", "raw-two-atomics", "--messages", "1000"];
    let Some(calls) = counted(&arguments, LONG_ENOUGH) else { return };
    let calls = calls.expect("the child runs to its end");
    assert_eq!(calls.total(), 0, "{calls:?}");
}

#[test]
fn a_message_of_a_system_that_just_runs_makes_no_system_call() {
    if affinity::allowed_cpus().expect("readable").len() < 2 {
        println!("skipped: two cores that never sleep need two CPUs");
        return;
    }
    let arguments = ["counted", "steady-state", "--messages", "12000"];
    let Some(calls) = counted(&arguments, LONG_ENOUGH) else { return };
    let calls = calls.expect("the child runs to its end");
    assert_eq!(calls.total(), 0, "{calls:?}");
}

#[test]
fn a_hop_between_sleeping_cores_makes_the_calls_that_sleep_and_wake() {
    if affinity::allowed_cpus().expect("readable").len() < 2 {
        println!("skipped: two cores need two CPUs");
        return;
    }
    let arguments = ["counted", "ping-pong-cross-core-eco", "--messages", "1000"];
    let Some(calls) = counted(&arguments, LONG_ENOUGH) else { return };
    let calls = calls.expect("the child runs to its end");
    let others = |number: &&u64| {
        ![libc::SYS_write, libc::SYS_io_uring_enter].contains(&(**number as libc::c_long))
    };
    assert_eq!(calls.by_number.keys().find(others), None, "{calls:?}");
    let wakes = calls.by_number.get(&(libc::SYS_write as u64)).copied().unwrap_or(0);
    assert!((1..=1010).contains(&wakes), "at most one wake-up a hop: {calls:?}");
}

#[test]
fn a_child_that_fails_is_reported_with_its_exit_code() {
    let Some(calls) = counted(&["counted", "no-such-scenario"], LONG_ENOUGH) else { return };
    assert!(matches!(calls, Err(TraceError::ChildFailed(ChildEnd::Code(2)))), "{calls:?}");
}

#[test]
fn a_child_without_marks_has_no_section() {
    let Some(calls) = counted(&["list"], LONG_ENOUGH) else { return };
    assert!(matches!(calls, Err(TraceError::NoSection { marks_seen: 0 })), "{calls:?}");
}

#[test]
fn a_child_that_takes_too_long_is_killed() {
    let arguments = ["counted", "raw-system-call", "--messages", "1000000000"];
    let Some(calls) = counted(&arguments, Duration::from_millis(300)) else { return };
    assert!(matches!(calls, Err(TraceError::TimedOut { .. })), "{calls:?}");
}

#[test]
fn list_shows_what_can_be_run() {
    let output = perf(&["list"]);
    assert_eq!(output.status.code(), Some(0));
    let listed = text(&output.stdout);
    for name in ["raw-two-atomics", "raw-eventfd", "raw-memory-loop", "raw-system-call"] {
        assert!(listed.contains(name), "{listed}");
    }
}

#[test]
fn a_run_prints_json_with_counted_figures() {
    let out = std::env::temp_dir().join(format!("mainspring-counted-{}", std::process::id()));
    let folder = out.to_str().expect("UTF-8");
    let arguments = ["run", "raw-memory-loop", "--json", "--rounds", "2", "--messages", "51200"];
    let output = perf(&[&arguments[..], &["--out", folder]].concat());
    std::fs::remove_dir_all(&out).expect("the run has made it");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["scenario"], "raw-memory-loop");
    assert_eq!(json["messages"], 51_200);
    if json["verdict"] == "invalid" {
        println!("figures not checked: {}", json["reasons"]);
        assert_eq!(output.status.code(), Some(1));
        return;
    }
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(json["allocations_per_message"], 0.0);
    assert!(json["calibration_ns"].as_f64().expect("a number") > 0.0);
    assert!(json["ns_per_message"].as_f64() >= json["best_ns_per_message"].as_f64());
}

#[test]
fn what_cannot_be_run_is_one_line_with_a_remedy_and_exit_code_2() {
    let cases: [(&[&str], &str); 5] = [
        (&["run", "no-such-scenario"], "`mainspring-perf list` shows all"),
        (&["run", "raw-memory-loop", "--rounds", "0"], "choose 1 to 1000"),
        (&["run", "raw-memory-loop", "--messages", "0"], "choose 1 to 1000000000"),
        (&["run", "raw-memory-loop", "--cores", "4095"], "choose among these"),
        (&["run", "raw-memory-loop", "--idle", "busy"], "leave --idle out"),
    ];
    for (arguments, remedy) in cases {
        let output = perf(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(remedy), "{message}");
    }
}
