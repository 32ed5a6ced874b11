//! Actors that count, on a node with a journal.

use std::path::PathBuf;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::{Effect, EventSourced, Journal, event, events, state};

#[message]
pub enum Command {
    Add { amounts: Vec<u64>, reply_to: ActorRef<Sum> },
    Get { reply_to: ActorRef<Sum> },
}

#[message]
#[derive(Debug)]
pub struct Sum {
    pub sum: u64,
}

#[event(name = "counter.added", version = 1)]
pub struct Added {
    pub amount: u64,
}

#[events]
pub enum CounterEvent {
    Added(Added),
}

#[state(name = "counter", version = 1)]
#[derive(Default)]
pub struct Counter {
    sum: u64,
}

impl EventSourced for Counter {
    type Command = Command;
    type Event = CounterEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Add { amounts, reply_to } => {
                let added =
                    amounts.iter().map(|amount| Added { amount: amount.to_native() }.into());
                Effect::persist_all(added)
                    .then_reply(*reply_to, |counter: &Self| Sum { sum: counter.sum })
            }
            ArchivedCommand::Get { reply_to } => Effect::reply(*reply_to, Sum { sum: self.sum }),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, CounterEvent>) {
        let ArchivedCounterEvent::Added(added) = event;
        self.sum += added.amount.to_native();
    }

    fn tags(event: &CounterEvent) -> &'static [&'static str] {
        let CounterEvent::Added(added) = event;
        match (added.amount.is_multiple_of(2), added.amount > 100) {
            (true, true) => &["even", "large"],
            (true, false) => &["even"],
            (false, true) => &["large"],
            (false, false) => &[],
        }
    }
}

pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder under the build's own, which is on a real file system.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    pub fn journal(&self) -> Journal {
        Journal::at(&self.0)
            .system("counters")
            .shard_count(8)
            .segment_bytes(1 << 20)
            .snapshot_every(100)
            .allow_buffered(true)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn node(journal: &Journal, cores: usize) -> Node {
    Node::builder()
        .name("counters")
        .cores(Cores::count(cores))
        .idle(IdleProfile::Eco)
        .with(journal.clone())
        .start()
        .expect("a node")
}

pub fn counter(journal: &Journal, node: &Node, id: u64) -> ActorRef<Command> {
    let restart = Restart::at_most(5).backoff(Duration::from_millis(10)..Duration::from_secs(1));
    journal.entity(node, id, Counter::default).on_failure(restart).start().expect("a counter")
}

pub fn add(client: &Client, to: ActorRef<Command>, amounts: &[u64]) -> u64 {
    let amounts = amounts.to_vec();
    let sum = client.ask(to, |reply_to| Command::Add { amounts, reply_to }, PATIENCE);
    sum.wait().expect("a sum").sum
}

pub fn get(client: &Client, from: ActorRef<Command>) -> u64 {
    client.ask(from, |reply_to| Command::Get { reply_to }, PATIENCE).wait().expect("a sum").sum
}
