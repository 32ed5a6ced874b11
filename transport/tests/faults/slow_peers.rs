//! Peers that read nothing: what waits for them is bounded, then their connection ends, and nobody else's.

use rustix::process::Signal;

use crate::Outcome;
use crate::process::{OUTBOX_BYTES, Process, Role};

/// What the sender may need beside the outbox: frames on their way, rings, and what the allocator keeps.
const SLACK_BYTES: u64 = 8 << 20;

/// Notes of 4 kB: a hundred times what may wait.
const FLOOD: usize = 25_000;

/// Waits for an event with all of these words.
fn wait_event(process: &mut Process, words: &[&str]) -> Outcome<String> {
    loop {
        // The process itself loses patience.
        let event = process.ask("event")?;
        if words.iter().all(|word| event.contains(word)) {
            return Ok(event);
        }
    }
}

#[test]
fn a_node_that_is_stopped_costs_its_sender_no_more_than_the_outbox_and_comes_back() -> Outcome {
    let listen = Role { listen: Some("127.0.0.1:0"), ..Role::default() };
    let mut receiver = Process::start(&listen)?;
    let address = receiver.ask("address")?;
    let connect = || Role { connect: Some(&address), ..Role::default() };
    let mut sender = Process::start(&connect())?;
    sender.ask("linked")?;
    // What it needs anyway is there.
    sender.ask("send 2000")?;
    let account = sender.numbers("settle")?;
    assert_eq!(account[1], 0, "{account:?}");

    let before_bytes = sender.resident_bytes()?;
    receiver.signal(Signal::STOP)?;
    sender.ask(&format!("send {FLOOD}"))?;
    let during_bytes = sender.resident_bytes()?;
    wait_event(&mut sender, &["SlowPeer"])?;
    wait_event(&mut sender, &["Down", "SlowPeer"])?;
    sender.ask(&format!("send {FLOOD}"))?;
    let after_bytes = sender.resident_bytes()?;
    println!(
        "resident {before_bytes} bytes before, {during_bytes} and {after_bytes} while the other process was stopped \
         and {FLOOD} notes of 4 kB were sent twice"
    );
    let limit_bytes = before_bytes + OUTBOX_BYTES as u64 + SLACK_BYTES;
    assert!(during_bytes.max(after_bytes) < limit_bytes);

    receiver.signal(Signal::CONT)?;
    sender.ask("linked")?;
    let account = sender.numbers("settle")?;
    assert_eq!(account[1], 0, "nothing twice, nothing out of order: {account:?}");
    sender.end()?;
    receiver.end()
}
