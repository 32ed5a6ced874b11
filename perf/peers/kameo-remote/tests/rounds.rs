//! Both programs come to their sums, on one CPU and on two, with the far node in a process of its own.
#![forbid(unsafe_code)]

use std::process::Command;

/// The program itself refuses a sum that is wrong.
#[test]
fn a_short_round_of_both_programs_comes_to_its_sum() {
    for program in ["remote-ping-pong", "remote-stream"] {
        for cores in ["0", "0,1"] {
            let mut contestant = Command::new(env!("CARGO_BIN_EXE_peer-kameo-remote"));
            contestant.args(["round", program, "--messages", "1000", "--cores", cores]);
            let output = contestant.output().expect("the program starts");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.starts_with("messages=1000 "), "{program} on {cores}: {output:?}");
        }
    }
}
