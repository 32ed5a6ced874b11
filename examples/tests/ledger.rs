//! The ledger as its users meet it: a process that ends in the middle of a transaction, and the next one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn ledger(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ledger"))
        .arg("--data")
        .arg(data)
        .args(arguments)
        .env("RUST_LOG", "off")
        .output()
        .expect("the program starts")
}

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

#[test]
fn a_table_whose_process_ended_in_a_transaction_is_right_to_the_cent_after_the_next_run() {
    let data = folder("ledger-aborted");
    let few = ["--accounts", "20", "--deposits", "1500"];
    for batch in ["2", "3"] {
        let ended = ledger(&data, &[&few[..], &["--abort-in-batch", batch]].concat());
        assert!(!ended.status.success(), "it was to end in batch {batch}");
    }
    let output = ledger(&data, &few);
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    assert_eq!(out.matches("20 rows, 0 differ from their actors: right").count(), 2, "{out}");
    std::fs::remove_dir_all(&data).expect("it was there");
}

#[test]
fn a_command_line_that_means_nothing_exits_2() {
    let output = ledger(Path::new("unused"), &["--accounts", "0"]);
    assert_eq!(output.status.code(), Some(2));
}
