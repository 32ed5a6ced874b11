//! A process that is asked to end from outside: its shutdown begins, and a second Ctrl-C ends it at once.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use mainspring_sharding::shutdown::{Phase, Reason, Settings, Shutdown};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;

const PATIENCE: Duration = Duration::from_secs(20);
/// Set in a process of the tests' own, to the name of its part.
const PART: &str = "SHUTDOWN_TEST_PART";

/// Runs this test again, as a process of its own that plays a part: the signal that ended it, or its exit code.
fn play(test: &str, part: &str) -> Result<i32, Option<i32>> {
    let program = std::env::current_exe().expect("a test has a program");
    let child = Command::new(program).args(["--exact", test]).env(PART, part).output();
    let status = child.expect("the program runs").status;
    status.signal().ok_or(status.code())
}

#[test]
fn sigterm_begins_the_shutdown_and_is_its_reason() {
    let test = "sigterm_begins_the_shutdown_and_is_its_reason";
    if std::env::var(PART).is_err() {
        assert_eq!(play(test, "terminated"), Err(Some(0)));
        return;
    }
    let shutdown = Shutdown::new(Settings::default());
    shutdown.begin_on_signals().expect("signals can be waited for");
    shutdown.begin_on_signals().expect("once more changes nothing");
    raise(SIGTERM).expect("a process may signal itself");
    let report = shutdown.wait(PATIENCE).expect("the signal has begun it");
    assert_eq!(report.reason, Reason::Terminated);
}

#[test]
fn the_second_interrupt_ends_the_process_at_once() {
    let test = "the_second_interrupt_ends_the_process_at_once";
    if std::env::var(PART).is_err() {
        assert_eq!(play(test, "interrupted twice"), Ok(SIGINT));
        return;
    }
    let shutdown = Shutdown::new(Settings::default());
    let (begun, has_begun) = channel();
    let (keep, kept) = channel::<()>();
    let hangs = move |_: &mainspring_sharding::shutdown::Stopping| {
        begun.send(())?;
        kept.recv()?;
        Ok(())
    };
    shutdown.add(Phase::Announce, "hangs", hangs).expect("there is room");
    shutdown.begin_on_signals().expect("signals can be waited for");
    raise(SIGINT).expect("a process may signal itself");
    has_begun.recv_timeout(PATIENCE).expect("the first one begins the shutdown");
    raise(SIGINT).expect("a process may signal itself");
    drop(keep);
    panic!("the second one has not ended the process");
}

#[test]
fn a_shutdown_that_is_dropped_takes_nothing_from_one_that_still_listens() {
    let test = "a_shutdown_that_is_dropped_takes_nothing_from_one_that_still_listens";
    if std::env::var(PART).is_err() {
        assert_eq!(play(test, "dropped"), Err(Some(0)));
        return;
    }
    let (dropped, listens) =
        (Shutdown::new(Settings::default()), Shutdown::new(Settings::default()));
    dropped.begin_on_signals().expect("signals can be waited for");
    listens.begin_on_signals().expect("signals can be waited for");
    drop(dropped);
    raise(SIGTERM).expect("a process may signal itself");
    assert!(listens.wait(PATIENCE).is_some());
}
