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
