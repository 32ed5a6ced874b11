//! The program as a user starts it: killed again and again, and proved in the end.

mod program;

use std::process::Output;

use program::{folder, json, stderr};

fn orders(arguments: &[&str]) -> Output {
    program::run(env!("CARGO_BIN_EXE_orders"), arguments)
}

#[test]
fn all_orders_end_and_are_proved_though_the_process_is_killed_and_the_proof_can_be_made_again() {
    let data = folder("orders-killed");
    let path = data.to_str().unwrap();
    let same = ["--orders", "300", "--seed", "3", "--data", path, "--allow-buffered", "--json"];
    let run = [&same[..], &["--crash-every", "80", "--window", "16"]].concat();
    let report = json(&orders(&run), 0);
    // A life ends after 40 to 119 more orders, and then up to 20 ms later.
    let crashes = report["run"]["crashes"].as_u64().unwrap();
    assert!((1..=7).contains(&crashes), "{crashes} crashes");
    assert_eq!(report["run"]["recovery_us"]["count"], crashes + 1);
    assert!(report["run"]["commit_ns"]["p50"].as_u64().unwrap() > 0);
    let proof = &report["proof"];
    assert_eq!((&proof["orders"], &proof["violations"]), (&300.into(), &0.into()));
    let (done, compensated) =
        (proof["done"].as_u64().unwrap(), proof["compensated"].as_u64().unwrap());
    assert_eq!(done + compensated, 300);
    assert!(done > 200 && compensated > 5, "{done} done, {compensated} compensated");
    assert_eq!(proof["parcels"], done);

    let again = json(&orders(&[&same[..], &["--prove"]].concat()), 0);
    assert_eq!(again["run"], serde_json::Value::Null);
    assert_eq!(again["proof"], report["proof"]);

    // More orders than were run: the proof says which one is missing.
    let more = ["--orders", "301", "--seed", "3", "--data", path, "--allow-buffered", "--prove"];
    let output = orders(&more);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("order 301 has not ended: New"), "{}", stderr(&output));
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn a_directory_with_something_in_it_is_refused_and_stays_as_it_is() {
    let data = folder("orders-taken");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("note"), "mine").unwrap();
    let output = orders(&["--data", data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not empty"), "{}", stderr(&output));
    assert_eq!(std::fs::read(data.join("note")).unwrap(), b"mine");
    let _ = std::fs::remove_dir_all(&data);
}

#[test]
fn impossible_command_lines_exit_2_with_one_line_or_the_usage() {
    let absent = folder("orders-absent");
    let absent = absent.to_str().unwrap();
    for arguments in [
        &["--orders", "0"][..],
        &["--orders", "100000", "--crash-every", "1"],
        &["--prove"],
        &["--prove", "--data", absent],
        &["--cores", "none"],
    ] {
        let output = orders(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).is_empty() && output.stdout.is_empty());
    }
    let help = orders(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(help.contains("--crash-every") && !help.contains("--child"));
}
