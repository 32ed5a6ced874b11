//! Two processes and one journal. The second process is this test once more, told by its environment.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use mainspring_journal::directory::{DeviceOptions, Directory, Identity, LockError, OpenError};

/// Names the journal that a child is to hold.
const HOLDS: &str = "MAINSPRING_JOURNAL_TEST_HOLDS";
const TEST: &str =
    "second_process::a_journal_that_another_process_has_open_is_refused_until_it_ends";

fn open(path: &Path) -> Result<Directory, OpenError> {
    let identity = Identity { system: "orders".into(), shard_count: 16, cores: 1 };
    let any_device = DeviceOptions { allow_buffered: true, commit_method: None };
    Directory::open(path, &identity, &any_device)
}

#[test]
fn a_journal_that_another_process_has_open_is_refused_until_it_ends() {
    if let Some(path) = std::env::var_os(HOLDS) {
        let _journal = open(Path::new(&path)).expect("nobody else has it");
        println!("held");
        // Until the parent ends us, or is gone itself.
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let name = format!("mainspring-second-process-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let this = std::env::current_exe().expect("we run");
    let mut child = Command::new(this)
        .args(["--exact", TEST, "--nocapture"])
        .env(HOLDS, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let said = BufReader::new(child.stdout.take().expect("piped")).lines();
    let is_held = said.map_while(Result::ok).any(|line| line.ends_with("held"));
    assert!(is_held, "the child has opened it");
    let error = open(&path).map(drop).expect_err("the child has it");
    assert!(matches!(error, OpenError::Lock(LockError::Held { .. })), "{error}");
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(message.contains(&format!("process {}", child.id())), "{message}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    drop(open(&path).expect("a lock goes with its process"));
    std::fs::remove_dir_all(&path).expect("it is ours");
}
