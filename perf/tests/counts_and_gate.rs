//! `counts` and `gate` as a user meets them, with real children under real counters.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainspring-perf"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn perf(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the binary starts")
}

/// As on a machine without valgrind.
fn perf_alone(arguments: &[&str]) -> Output {
    program(arguments).env("PATH", "/nonexistent").output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn counted(output: &Output) -> Value {
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    json["counts"][0].clone()
}

/// Whether a quantity has no figure because this machine cannot count it; the reason is printed then.
fn is_skipped(counts: &Value, quantity: &str) -> bool {
    let reason = counts["not_counted"][quantity].as_str();
    if let Some(reason) = reason {
        println!("skipped {quantity}: {reason}");
    }
    reason.is_some()
}

/// A baseline of one test. Deleted at its end.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        File(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_message_that_is_a_system_call_counts_as_exactly_one() {
    let output = perf(&["counts", "raw-system-call", "--json"]);
    let counts = counted(&output);
    assert_eq!(output.status.code(), Some(0), "{counts}");
    let figures = &counts["per_thousand_messages"];
    assert_eq!(figures["allocations"], 0.0, "{counts}");
    if !is_skipped(&counts, "system_calls") {
        assert_eq!(figures["system_calls"], 1_000.0, "{counts}");
        assert_eq!(figures["io_uring_enter"], 0.0, "{counts}");
        assert_eq!(figures["syncs"], 0.0, "{counts}");
    }
    if !is_skipped(&counts, "instructions") {
        let a_message = figures["instructions"].as_f64().expect("a number") / 1_000.0;
        // A call through the C library in a loop: not fewer than the loop needs, nor as many as a thread's start.
        assert!((3.0..300.0).contains(&a_message), "{counts}");
    }
    assert_eq!(figures["wire_bytes"], Value::Null);
}

#[test]
fn a_core_that_sleeps_by_default_is_counted_under_valgrind_too() {
    let output = perf(&["counts", "savina-ping-pong", "--json"]);
    let counts = counted(&output);
    assert_eq!(output.status.code(), Some(0), "{counts}");
    if !is_skipped(&counts, "instructions") {
        let figures = &counts["per_thousand_messages"];
        assert!(figures["instructions"].as_f64().expect("a number") > 0.0, "{counts}");
    }
}

#[test]
fn without_valgrind_the_rest_is_counted_and_the_remedy_is_printed() {
    let output = perf_alone(&["counts", "raw-memory-loop"]);
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{table}");
    if cfg!(target_arch = "x86_64") {
        assert!(table.contains("apt-get install valgrind"), "{table}");
    }
    let row = table.lines().find(|line| line.starts_with("raw-memory-loop ")).expect("a row");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[1..3], ["-", "0"], "{table}");
}

#[test]
fn a_count_over_the_baseline_fails_with_one_line_and_one_below_asks_for_an_update() {
    let file = File::new("rises.json");
    let update =
        ["gate", "raw-system-call", "raw-memory-loop", "--update", "--baseline", file.path()];
    let output = perf_alone(&update);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let gate = ["gate", "--baseline", file.path()];
    let output = perf_alone(&gate);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("2 scenarios counted, nothing rose\n"));

    let kept = fs::read_to_string(file.path()).expect("the baseline was written");
    let mut doctored: Value = serde_json::from_str(&kept).expect("JSON");
    let calls = &mut doctored["scenarios"]["raw-system-call"]["system_calls"];
    if calls.is_null() {
        println!("skipped: system calls cannot be counted here");
        return;
    }
    calls["total"] = 999.into();
    fs::write(file.path(), doctored.to_string()).expect("writable");
    let output = perf_alone(&gate);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    let what = "raw-system-call: system calls per 1,000 messages went from 999 to 1,000 (+0.1 %)";
    assert!(complaint.contains(what), "{complaint}");

    doctored["scenarios"]["raw-system-call"]["system_calls"]["total"] = 1_001.into();
    fs::write(file.path(), doctored.to_string()).expect("writable");
    let output = perf_alone(&gate);
    let notes = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{notes}");
    assert!(notes.contains("fell: raw-system-call: system calls"), "{notes}");
}

#[test]
fn what_cannot_be_counted_is_one_line_with_a_remedy_and_exit_code_2() {
    let broken = File::new("broken.json");
    fs::write(broken.path(), "[]").expect("writable");
    let stranger = File::new("stranger.json");
    let good = ["gate", "raw-memory-loop", "--update", "--baseline", stranger.path()];
    assert_eq!(perf_alone(&good).status.code(), Some(0));
    let kept = fs::read_to_string(stranger.path()).expect("the baseline was written");
    fs::write(stranger.path(), kept.replace("raw-memory-loop", "gone")).expect("writable");
    let cases: [(&[&str], &str); 7] = [
        (&["counts", "no-such-scenario"], "`mainspring-perf list` shows all"),
        (&["counts", "raw-memory-loop", "--against", "no-such-branch"], "git"),
        (&["counts", "raw-memory-loop", "--against=--help"], "name a commit"),
        (&["counts", "raw-memory-loop", "--cores", "4095"], "choose among these"),
        (&["gate", "--baseline", "no-such-file.json"], "make it with `gate --update SCENARIO..`"),
        (&["gate", "--baseline", broken.path()], "make it anew with `gate --update`"),
        (&["gate", "--baseline", stranger.path()], "`mainspring-perf list` shows all"),
    ];
    for (arguments, remedy) in cases {
        let output = perf(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(remedy), "{message}");
    }
}
