//! The program as a user starts it: killed once under load, and proved in the end, or not.

mod program;

use std::process::Output;

use program::{folder, json, stderr};

fn shadows(arguments: &[&str]) -> Output {
    program::run(env!("CARGO_BIN_EXE_shadows"), arguments)
}

#[test]
fn every_update_that_was_acknowledged_is_there_though_shards_moved_and_the_process_was_killed() {
    let data = folder("shadows-killed");
    let path = data.to_str().unwrap();
    let small = ["--devices", "2000", "--updates", "20000", "--active", "300", "--window", "64"];
    let moving = ["--moves", "20", "--cores", "n:2", "--seed", "3", "--data", path];
    let output = shadows(&[&small[..], &moving, &["--allow-buffered", "--json"]].concat());
    let report = json(&output, 0);
    let proof = &report["proof"];
    assert_eq!((&proof["devices"], &proof["violations"]), (&2_000.into(), &0.into()), "{proof}");
    assert!(proof["acknowledged"].as_u64().unwrap() >= 22_000, "{proof}");
    let load = &report["load"];
    assert_eq!((&load["moved"], &load["not_moved"]), (&20.into(), &0.into()), "{load}");
    assert!(load["blackout_ns"]["count"].as_u64().unwrap() > 0, "{load}");
    let regions = &load["regions"];
    assert!(regions["left_limit"].as_u64().unwrap() > 0, "{regions}");
    assert_eq!(regions["failed"], 0, "{regions}");
    assert_eq!(report["restart"]["activation_ns"]["count"], 1_000);
    assert!(data.join("journal").is_dir(), "a directory that was named is kept");
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn an_acknowledged_update_that_was_not_stored_is_found_by_the_proof() {
    let data = folder("shadows-forgets");
    let output = shadows(&[
        "--devices",
        "500",
        "--updates",
        "3000",
        "--forget-every",
        "100",
        "--data",
        data.to_str().unwrap(),
        "--allow-buffered",
        "--json",
    ]);
    let report = json(&output, 1);
    assert!(report["proof"]["violations"].as_u64().unwrap() > 0);
    let text = stderr(&output);
    assert!(text.contains("the proof fails: device ") && text.contains("acknowledged"), "{text}");
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn a_directory_with_something_in_it_is_refused_and_stays_as_it_is() {
    let data = folder("shadows-taken");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("note"), "mine").unwrap();
    let output = shadows(&["--data", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not empty"), "{}", stderr(&output));
    assert_eq!(std::fs::read(data.join("note")).unwrap(), b"mine");
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn impossible_command_lines_exit_2_with_one_line_or_the_usage() {
    for arguments in [
        &["--devices", "0"][..],
        &["--skew", "3"],
        &["--cores", "none"],
        &["--cores", "65000"],
        &["--life", "load"],
    ] {
        let output = shadows(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).is_empty() && output.stdout.is_empty());
    }
    let help = shadows(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(
        help.contains("--moves") && !help.contains("--forget-every") && !help.contains("--life")
    );
}
