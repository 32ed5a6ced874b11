//! Queries beside a node that runs: events of real actors, read from the files while they are written.

use mainspring_journal::query::{Batch, EventQuery, Offset, Progress, Selection, StoredEvent};
use mainspring_journal::schema::SchemaError;
use mainspring_journal::{Journal, LogsError, event, events};

use crate::counters::{ArchivedCounterEvent, CounterEvent, Folder, PATIENCE, add, counter, node};

#[event(name = "other.happened", version = 1)]
struct Happened;

#[events]
enum OtherEvent {
    Happened(Happened),
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
    let first = node(&journal, 2);
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
    let second = node(&journal, 2);
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
    let node = node(&journal, 2);
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
