//! A node whose event-sourced actors write through the core's ring; several commands are under way at a time.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::{Effect, EventSourced, Journal, event, events, state};

use crate::check::{SHARDS, SYSTEM};
use crate::victim::acknowledge;

const COUNTERS: u64 = 8;
const UNDER_WAY: usize = 32;
/// A life ends by itself here, so that a slow machine does not fill the disk.
const MOST_COMMANDS_OF_A_LIFE: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

#[message]
struct Add {
    counter: u64,
    reply_to: ActorRef<Added>,
}

#[message]
struct Added {
    count: u64,
}

#[event(name = "counter.counted", version = 1)]
struct Counted {
    counter: u64,
    number: u64,
}

#[events]
enum CounterEvent {
    Counted(Counted),
}

#[state(name = "counter", version = 1)]
#[derive(Default)]
struct Counter {
    count: u64,
}

impl EventSourced for Counter {
    type Command = Add;
    type Event = CounterEvent;

    fn on_command(&self, add: &Archived<Add>) -> Effect<Self> {
        Effect::persist(Counted { counter: add.counter.to_native(), number: self.count + 1 })
            .then_reply(add.reply_to, |counter: &Self| Added { count: counter.count })
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, CounterEvent>) {
        let ArchivedCounterEvent::Counted(counted) = event;
        self.count += 1;
        assert_eq!(counted.number.to_native(), self.count, "an event is lost or there twice");
    }
}

/// The archive of an event.
pub fn payload(counter: u64, number: u64) -> Vec<u8> {
    [counter.to_le_bytes(), number.to_le_bytes()].concat()
}

/// Starts the node and lets its actors count until it is killed.
pub fn write(path: &Path) {
    let journal = Journal::at(path)
        .system(SYSTEM)
        .shard_count(SHARDS)
        .segment_bytes(256 << 10)
        .snapshot_every(50)
        .allow_buffered(true);
    let node = Node::builder()
        .name("victim")
        .cores(Cores::count(1))
        .idle(IdleProfile::Eco)
        .with(journal.clone())
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let client = node.client();
    let counters: Vec<_> = (0..COUNTERS)
        .map(|counter| journal.entity(&node, counter, Counter::default).start().expect("an actor"))
        .collect();
    let mut under_way = VecDeque::new();
    for command in 0..MOST_COMMANDS_OF_A_LIFE {
        let counter = command as u64 % COUNTERS;
        let to = counters[counter as usize];
        let answer = client.ask(to, |reply_to| Add { counter, reply_to }, PATIENCE);
        under_way.push_back((counter, answer));
        if under_way.len() == UNDER_WAY
            && let Some((counter, answer)) = under_way.pop_front()
        {
            acknowledge(counter, answer.wait().expect("an answer").count);
        }
    }
}
