//! The program as its users meet it: exit codes, and what stands on stdout and stderr.

use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HEADER: &str =
    "time,carrier,origin,destination,distance,tail,departure_delay,arrival_delay,air_time";

fn flights(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flights"))
        .args(arguments)
        // A loaded machine holds turns up, and the runtime warns of that: not what these tests look at.
        .env("RUST_LOG", "off")
        .output()
        .expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A compressed file in the folder that cargo keeps for this test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    std::fs::write(&path, encoder.finish().unwrap()).unwrap();
    path
}

#[test]
fn a_missing_file_exits_2_and_is_named() {
    let output = flights(&["--data", "no/such/file.csv.gz"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no/such/file.csv.gz: cannot be opened"),
        "{}",
        stderr(&output)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_truncated_file_exits_2_and_is_named_with_a_line() {
    let rows = "2013-01-01T10:15Z,UA,EWR,IAH,1400,N14228,2,11,227\n".repeat(1_000);
    let path = file("truncated.csv.gz", &format!("{HEADER}\n{rows}"));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let output = flights(&["--data", path.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("truncated.csv.gz:") && message.contains("is truncated"), "{message}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_malformed_row_exits_2_and_is_named_with_its_line() {
    let path = file(
        "malformed.csv.gz",
        &format!("{HEADER}\n2013-01-01T10:15Z,UA,EWR,IAH,1400,N14228,2,late,227\n"),
    );
    let output = flights(&["--data", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("malformed.csv.gz:2: column `arrival_delay`: `late`"), "{message}");
}

#[test]
fn a_file_without_flights_exits_2() {
    let path = file("empty.csv.gz", &format!("{HEADER}\n"));
    let output = flights(&["--data", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no flight"), "{}", stderr(&output));
}

#[test]
fn a_bad_command_line_exits_2_and_help_exits_0() {
    assert_eq!(flights(&["--cores", "none"]).status.code(), Some(2));
    let help = flights(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for option in ["--data", "--cores", "--idle", "--repeat", "--pace", "--json"] {
        assert!(String::from_utf8_lossy(&help.stdout).contains(option), "{option}");
    }
}

/// Flights of two carriers, two aircraft and four airports.
fn schedule(name: &str) -> PathBuf {
    let row = |i: usize| {
        let outcome = ["2,-11,227", "NA,NA,NA", "40,NA,NA"][i % 3];
        let airports = ["EWR,IAH", "JFK,MIA"][i % 2];
        format!("2013-01-01T10:{:02}Z,C{},{airports},100,N{},{outcome}\n", i / 10, i % 2, i % 2)
    };
    file(name, &format!("{HEADER}\n{}", (0..600).map(row).collect::<String>()))
}

fn json(arguments: &[&str]) -> serde_json::Value {
    let output = flights(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stderr.is_empty(), "no bar where nobody watches: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON on stdout")
}

#[test]
fn a_run_gives_totals_that_equal_the_fold_for_any_cores_idle_profile_and_passes() {
    let path = schedule("schedule.csv.gz");
    for (cores, idle, passes) in [("1", "busy", 1), ("2", "eco", 3), ("3", "hybrid", 2)] {
        let repeat = passes.to_string();
        let data = path.to_str().unwrap();
        let arguments = ["--data", data, "--cores", cores, "--idle", idle, "--repeat", &repeat];
        let report = json(&[&arguments[..], &["--json"]].concat());
        assert_eq!(report["check"]["first_difference"], serde_json::Value::Null);
        assert_eq!(report["check"]["compared"], 8);
        assert_eq!(report["run"]["messages"], 4 * 600 * passes);
        assert_eq!(report["run"]["idle"], idle);
        let per_core = report["run"]["messages_per_core"].as_array().unwrap();
        assert_eq!(per_core.len().to_string(), cores);
        let sum: u64 = per_core.iter().map(|core| core.as_u64().unwrap()).sum();
        assert_eq!(report["run"]["messages"], sum);
        assert_eq!(report["carriers"][0]["flights"], 300 * passes);
    }
}

#[test]
fn the_data_beside_the_program_gives_known_totals() {
    let report = json(&["--json"]);
    assert_eq!(report["flights"], 336_776);
    assert_eq!(
        report["actors"],
        serde_json::json!({"aircraft": 4043, "airports": 107, "carriers": 16})
    );
    // Four messages a flight, and three for each of the 2,512 that had no aircraft.
    assert_eq!(report["run"]["messages"], 4 * 336_776 - 2_512);
    assert_eq!(report["carriers"][0]["carrier"], "AS");
    assert_eq!(report["busiest_aircraft"][0]["tail"], "N725MQ");
    assert_eq!(report["busiest_aircraft"][0]["flights"], 575);
    let newark = &report["airports"][0];
    assert_eq!((&newark["airport"], &newark["flights"]), (&"EWR".into(), &120_835.into()));
    let latency = &report["run"]["latency_ns"];
    let [p50, p99, p999, max] =
        ["p50", "p99", "p999", "max"].map(|key| latency[key].as_u64().unwrap());
    assert!(0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max, "{latency}");
}

#[test]
fn a_table_has_its_parts_and_a_pace_is_kept() {
    let path = schedule("paced.csv.gz");
    // An hour in a second: the last flight is due 59 minutes after the first.
    let started = std::time::Instant::now();
    let output = flights(&["--data", path.to_str().unwrap(), "--pace", "3600"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(started.elapsed().as_millis() >= 983, "{:?}", started.elapsed());
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "Carriers by mean arrival delay",
        "Busiest aircraft",
        "Airports:",
        "3600 times real time",
        "by core:",
        "latency: p50",
        "all 8 totals equal",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn more_cores_than_cpus_work_with_a_warning() {
    let path = schedule("crowded.csv.gz");
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = (cpus + 1).to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_flights"))
        .args(["--data", path.to_str().unwrap(), "--cores", &cores])
        .env("RUST_LOG", "warn")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("more cores than CPUs"), "{}", stderr(&output));
}
