//! A process that writes a journal is killed at random moments, and every acknowledgement it gave is found to be true.
//!
//! The victim is the test once more, told by its environment: it opens the journal, recovers, goes on and prints for
//! each entity the number of its last event that is durable. The parent sends it SIGKILL, reads what it printed,
//! recovers the log itself and checks: every acknowledged event is there with the content that it must have, none is
//! there twice or in part, and there is no gap. Each journal is killed several times, while it is made and opened as
//! well.
//!
//! A SIGKILL is no loss of power. The kernel keeps what it was given, so this shows that nothing is acknowledged before
//! it is written, that a log can be read after any step of the program, and that recovery, repair and the making of
//! segments survive each other. What a device loses is shown on the simulated disk.
//!
//! `MAINSPRING_JOURNAL_KILLS` sets how many times each victim is killed; without it, it is a few times.

mod check;
mod log_writer;
mod node_writer;
mod victim;

use std::collections::BTreeMap;

use check::{Content, check};
use victim::{Folder, Moment, live_and_die};

/// So many kills to a journal; then another one begins.
const LIVES: u64 = 8;

#[test]
fn every_acknowledgement_of_a_killed_log_is_true() {
    match victim::role() {
        Some(path) => log_writer::write(&path),
        None => {
            kill_repeatedly(
                "every_acknowledgement_of_a_killed_log_is_true",
                25,
                log_writer::payload,
            );
        }
    }
}

#[test]
fn every_acknowledgement_of_a_killed_node_is_true() {
    match victim::role() {
        Some(path) => node_writer::write(&path),
        None => {
            let test = "every_acknowledgement_of_a_killed_node_is_true";
            kill_repeatedly(test, 8, node_writer::payload);
        }
    }
}

fn kill_repeatedly(test: &str, kills: u64, content: Content) {
    let wanted = std::env::var("MAINSPRING_JOURNAL_KILLS").ok();
    let kills = wanted.and_then(|kills| kills.parse().ok()).unwrap_or(kills);
    let mut random = fastrand::Rng::with_seed(0x4B11);
    let mut acknowledged = BTreeMap::new();
    let (mut acknowledging, mut events) = (0, 0);
    for kill in 0..kills {
        let folder = Folder::of_journal(test, kill / LIVES);
        if kill % LIVES == 0 {
            folder.clear();
            acknowledged.clear();
        }
        let told = live_and_die(test, &folder.0, Moment::drawn(&mut random));
        acknowledging += u64::from(!told.is_empty());
        acknowledged.extend(told);
        events += check(&folder.0, &acknowledged, content, kill);
        if kill % LIVES == LIVES - 1 || kill + 1 == kills {
            folder.clear();
        }
    }
    println!("{kills} kills, {acknowledging} after an acknowledgement, {events} events found");
    assert!(acknowledging * 2 >= kills, "most were killed before they wrote anything");
}
