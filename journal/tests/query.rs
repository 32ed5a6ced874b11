//! Queries beside a node that runs: events of real actors, read from the files while they are written.

use std::path::PathBuf;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_journal::query::{Batch, EventQuery, Offset, Progress, Selection, StoredEvent};
use mainspring_journal::schema::{ArchivedEvent, SchemaError};
use mainspring_journal::{Effect, EventSourced, Journal, LogsError, event, events, state};

#[message]
enum Command {
    Add { amounts: Vec<u64>, reply_to: ActorRef<Sum> },
}

#[message]
#[derive(Debug)]
struct Sum {
    sum: u64,
}

#[event(name = "counter.added", version = 1)]
struct Added {
    amount: u64,
}

#[events]
enum CounterEvent {
    Added(Added),
}

#[event(name = "other.happened", version = 1)]
struct Happened;

#[events]
enum OtherEvent {
    Happened(Happened),
}

#[state(name = "counter", version = 1)]
#[derive(Default)]
struct Counter {
    sum: u64,
}

impl EventSourced for Counter {
    type Command = Command;
    type Event = CounterEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        let ArchivedCommand::Add { amounts, reply_to } = command;
        let added = amounts.iter().map(|amount| Added { amount: amount.to_native() }.into());
        Effect::persist_all(added).then_reply(*reply_to, |counter: &Self| Sum { sum: counter.sum })
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

const PATIENCE: Duration = Duration::from_secs(30);

/// A folder under the build's own, which is on a real file system.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn journal(&self) -> Journal {
        Journal::at(&self.0)
            .system("counters")
            .shard_count(8)
            .segment_bytes(1 << 20)
            .allow_buffered(true)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn node(journal: &Journal) -> Node {
    Node::builder()
        .name("counters")
        .cores(Cores::count(2))
        .idle(IdleProfile::Eco)
        .with(journal.clone())
        .start()
        .expect("a node")
}

fn counter(journal: &Journal, node: &Node, id: u64) -> ActorRef<Command> {
    journal.entity(node, id, Counter::default).start().expect("a counter")
}

fn add(client: &Client, to: ActorRef<Command>, amounts: &[u64]) -> u64 {
    let amounts = amounts.to_vec();
    let sum = client.ask(to, |reply_to| Command::Add { amounts, reply_to }, PATIENCE);
    sum.wait().expect("a sum").sum
}

fn amount(event: &StoredEvent<'_>) -> u64 {
    let mut found = 0;
    let read = event.read::<CounterEvent>(&mut |event| {
        let ArchivedCounterEvent::Added(added) = event;
        found = added.amount.to_native();
    });
    read.expect("it is of this type");
    found
}

/// The events that are durable now: counter and amount of each, and where the query ended.
fn now(journal: &Journal, selection: Selection, from: &Offset) -> (Vec<(u64, u64)>, Offset) {
    let logs = journal.logs().expect("it is open");
    let mut query = EventQuery::current(logs, selection, from).expect("its own logs");
    let (mut batch, mut found) = (Batch::new(), Vec::new());
    loop {
        let progress = query.read(&mut batch).expect("it can be read");
        let of = |event: StoredEvent<'_>| {
            assert_eq!((event.entity_type(), event.name()), ("counter", "counter.added"));
            assert!(event.written_at_ms() > 1_600_000_000_000);
            (event.entity_id().as_number().expect("a number"), amount(&event))
        };
        found.extend(batch.events().map(of));
        if progress == Progress::Ended {
            return (found, query.offset());
        }
    }
}

#[test]
fn what_was_answered_is_found_at_once_and_after_a_restart_from_where_one_was() {
    let folder = Folder::new("query-real");
    let journal = folder.journal();
    assert!(matches!(journal.logs(), Err(LogsError::NotOpen { .. })));
    let first = node(&journal);
    let client = first.client();
    let counters: Vec<_> = (0..4).map(|id| counter(&journal, &first, id)).collect();
    let mut expected = vec![Vec::new(); 4];
    let (mut offset, mut found) = (Offset::beginning(), vec![Vec::new(); 4]);
    for round in 0..40_u64 {
        for (id, counter) in (0..).zip(&counters) {
            let amounts = [round * 4 + id, round];
            add(&client, *counter, &amounts);
            expected[id as usize].extend(amounts);
        }
        // Everything answered so far is there, and from the last offset on nothing comes twice.
        let (news, behind) = now(&journal, Selection::all(), &offset);
        offset = behind.to_string().parse().expect("as it was written");
        for (id, amount) in news {
            found[id as usize].push(amount);
        }
        assert_eq!(found, expected, "round {round}");
    }
    let large: Vec<(u64, u64)> =
        now(&journal, Selection::all().with_tag("large"), &Offset::beginning()).0;
    assert_eq!(large.len(), expected.iter().flatten().filter(|amount| **amount > 100).count());
    let of_two = Selection::all().of_entity("counter", 2).with_tag("even");
    let even: Vec<u64> = expected[2].iter().copied().filter(|it| it.is_multiple_of(2)).collect();
    let found_even = now(&journal, of_two, &Offset::beginning()).0;
    assert_eq!(found_even, even.iter().map(|amount| (2, *amount)).collect::<Vec<_>>());
    drop(client);
    first.shutdown(PATIENCE).expect("it ends");

    let journal = folder.journal();
    let second = node(&journal);
    let client = second.client();
    let three = counter(&journal, &second, 3);
    let sum: u64 = expected[3].iter().sum();
    assert_eq!(add(&client, three, &[7]), sum + 7);
    let (news, _) = now(&journal, Selection::all(), &offset);
    assert_eq!(news, [(3, 7)]);
    drop(client);
    second.shutdown(PATIENCE).expect("it ends");
}

#[test]
fn an_event_is_not_read_as_one_of_another_set() {
    let folder = Folder::new("query-foreign");
    let journal = folder.journal();
    let node = node(&journal);
    let client = node.client();
    add(&client, counter(&journal, &node, 1), &[5]);
    let logs = journal.logs().expect("it is open");
    let mut query =
        EventQuery::current(logs, Selection::all(), &Offset::beginning()).expect("its own logs");
    let mut batch = Batch::new();
    while query.read(&mut batch).expect("readable") == Progress::More {}
    let event = batch.events().next().expect("one event");
    let refused = event.read::<OtherEvent>(&mut |_| panic!("nothing is given"));
    assert!(matches!(refused, Err(SchemaError::Unknown { .. })), "{refused:?}");
    drop(client);
    node.shutdown(PATIENCE).expect("it ends");
}
