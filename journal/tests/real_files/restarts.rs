//! What was answered is there when the node starts again, and a journal that is not the node's own is refused.

use mainspring::prelude::*;
use mainspring_journal::index::MOST_SEGMENT_BYTES;
use mainspring_journal::{Change, DurableState, Journal, state};

use crate::counters::{ArchivedCommand, Command, Folder, PATIENCE, Sum, add, counter, get, node};

/// Of its sum, only the last value is kept.
#[state(name = "tally", version = 1)]
#[derive(Default)]
struct Tally {
    sum: u64,
}

impl DurableState for Tally {
    type Command = Command;

    fn on_command(&self, command: &Archived<Command>) -> Change<Self> {
        match command {
            ArchivedCommand::Add { amounts, reply_to } => {
                let added: u64 = amounts.iter().map(|amount| amount.to_native()).sum();
                Change::store(Tally { sum: self.sum + added })
                    .then_reply(*reply_to, |tally: &Self| Sum { sum: tally.sum })
            }
            ArchivedCommand::Get { reply_to } => Change::reply(*reply_to, Sum { sum: self.sum }),
        }
    }
}

#[test]
fn what_was_answered_is_there_when_the_node_starts_again() {
    let folder = Folder::new("again");
    let journal = folder.journal();
    for round in 0..3_u64 {
        let node = node(&journal, 1);
        let client = node.client();
        let counters: Vec<_> = (0..4).map(|id| counter(&journal, &node, id)).collect();
        for (id, counter) in (0..).zip(&counters) {
            assert_eq!(get(&client, *counter), round * 150 * (id + 1), "round {round}");
        }
        for step in 1..=150 {
            for (id, counter) in (0..).zip(&counters) {
                let sum = add(&client, *counter, &[id + 1]);
                assert_eq!(sum, (round * 150 + step) * (id + 1));
            }
        }
        let figures = journal.figures(0).expect("figures");
        assert!(figures.commits > 0 && figures.failed_writes == 0, "{figures:?}");
        drop(client);
        node.shutdown(PATIENCE).expect("a clean end");
    }
}

#[test]
fn each_entity_lives_on_the_core_that_its_id_belongs_to() {
    let folder = Folder::new("cores");
    let journal = folder.journal();
    let node = node(&journal, 2);
    let client = node.client();
    let mut on_core = [0; 2];
    for id in 0..32 {
        let counter = counter(&journal, &node, id);
        assert_eq!(counter.core(), journal.core_of(id));
        on_core[usize::from(counter.core())] += 1;
        assert_eq!(add(&client, counter, &[1]), 1);
    }
    assert!(on_core[0] > 4 && on_core[1] > 4, "{on_core:?}");
    drop(client);
    node.shutdown(PATIENCE).expect("a clean end");
}

#[test]
fn an_entity_whose_state_is_kept_whole_lives_on_its_core_and_goes_on_after_a_restart() {
    let folder = Folder::new("whole");
    let journal = folder.journal();
    for round in 0..3_u64 {
        let node = node(&journal, 2);
        let client = node.client();
        for id in 0..8 {
            let tally = journal.stored(&node, id, Tally::default).start().expect("a tally");
            assert_eq!(get(&client, tally), round * 20 * id, "round {round}, tally {id}");
            for step in 1..=20 {
                assert_eq!(add(&client, tally, &[id]), (round * 20 + step) * id);
            }
        }
        drop(client);
        node.shutdown(PATIENCE).expect("a clean end");
    }
}

#[test]
fn a_second_node_on_the_same_directory_is_refused() {
    let folder = Folder::new("second");
    let journal = folder.journal();
    let first = node(&journal, 1);
    let second = Node::builder().name("counters").cores(Cores::count(1)).with(folder.journal());
    let Err(error) = second.start() else { panic!("it started") };
    assert!(error.to_string().starts_with("journal: "), "{error}");
    first.shutdown(PATIENCE).expect("a clean end");
}

#[test]
fn a_segment_that_no_index_could_tell_the_places_of_is_refused() {
    let folder = Folder::new("length");
    for bytes in [0, 4_096, 10_000, MOST_SEGMENT_BYTES + 4_096] {
        let journal = folder.journal().segment_bytes(bytes);
        let node = Node::builder().name("counters").cores(Cores::count(1)).with(journal).start();
        let Err(error) = node else { panic!("it started with {bytes}") };
        assert!(error.to_string().contains("a segment cannot have"), "{error}");
    }
}

#[test]
fn a_journal_of_another_system_or_shape_is_refused() {
    let folder = Folder::new("foreign");
    node(&folder.journal(), 1).shutdown(PATIENCE).expect("a clean end");
    let refused = |journal: Journal, cores| {
        let node = Node::builder().name("n").cores(Cores::count(cores)).with(journal).start();
        match node {
            Ok(_) => panic!("it started"),
            Err(error) => error.to_string(),
        }
    };
    let system = refused(folder.journal().system("others"), 1);
    assert!(system.contains("counters") && system.contains("others"), "{system}");
    let shards = refused(folder.journal().shard_count(9), 1);
    assert!(shards.contains('8') && shards.contains('9'), "{shards}");
    let cores = refused(folder.journal(), 2);
    assert!(cores.contains("core"), "{cores}");
}
