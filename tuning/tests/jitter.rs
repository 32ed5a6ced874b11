//! The jitter meter as its command shows it, on the machine at hand.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn run(arguments: &[&str]) -> (u8, String, String) {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("mainspring-tune").chain(arguments.iter().copied());
    let code = mainspring_tuning::command::run(arguments.map(Into::into), &mut out, &mut errors);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(errors))
}

#[test]
fn every_gap_has_a_cause_and_the_files_hold_them_all() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("jitter-files");
    let _ = fs::remove_dir_all(&folder);
    let cpu = mainspring_tuning::system::affinity().expect("a mask").first().expect("a CPU");
    let (cpu, path) = (cpu.to_string(), folder.to_str().expect("text"));
    let arguments = ["jitter", "--cpus", &cpu, "--seconds", "1", "--out", path];
    let (code, out, errors) = run(&[&arguments[..], &["--json"]].concat());
    assert_eq!((code, errors.as_str()), (0, ""));
    let result: Value = serde_json::from_str(&out).expect("an object");
    let measured = &result["cpus"][0];
    let causes = measured["causes"].as_array().expect("a list");
    let sum = |key: &str| causes.iter().filter_map(|cause| cause[key].as_u64()).sum::<u64>();
    assert_eq!(Some(sum("gaps")), measured["gaps"].as_u64());
    assert_eq!(Some(sum("lost_ns")), measured["lost_ns"].as_u64());
    let number = |key: &str| measured[key].as_u64().expect("a number");
    assert!(number("measured_ns") + number("looking_ns") >= 1_000_000_000, "{measured}");
    assert!(number("p50_ns") <= number("p99_ns") && number("p99_ns") <= number("max_ns"));

    let text = fs::read_to_string(folder.join(format!("cpu-{cpu}.hgrm"))).expect("a file");
    let foot = text.lines().find(|line| line.starts_with("#[Max")).expect("a foot");
    let count =
        foot.rsplit('=').next().and_then(|rest| rest.trim_end_matches(']').trim().parse().ok());
    assert_eq!(count, measured["gaps"].as_u64(), "{foot}");

    let (code, _, errors) = run(&arguments);
    assert_eq!(code, 2, "the files are there already");
    assert!(errors.contains("name a new folder"), "{errors}");
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    let machines = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machines/two-socket-smt");
    let recorded = machines.to_str().expect("text");
    for (arguments, told) in [
        (&["--cpus", "8191"][..], "CPUs 8191 may not be used by this process; choose among"),
        (&["--cpus", "3-1"], "the range 3-1 ends before it begins"),
        (&["--cpus", ""], "name at least one"),
        (&["--seconds", "0"], "0 is not in 1..=3600"),
        (&["--seconds", "3601"], "3601 is not in 1..=3600"),
        (&["--threshold-ns", "5"], "5 is not in 100..=1000000000"),
        (&["--root", recorded], "jitter measures the machine that it runs on; leave out --root"),
    ] {
        let (code, out, errors) = run(&[&["jitter"][..], arguments].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.contains(told) && errors.lines().count() == 1, "{arguments:?}: {errors}");
    }
}
