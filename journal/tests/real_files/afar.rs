//! Entities on another core than their log, under a real node.

use mainspring::prelude::*;

use crate::counters::{Command, Counter, Folder, PATIENCE, add, get, node};

#[test]
fn what_was_answered_on_one_core_is_there_on_the_other_when_the_node_starts_again() {
    let folder = Folder::new("afar");
    let journal = folder.journal();
    for round in 0..4_u64 {
        let node = node(&journal, 2);
        let client = node.client();
        let counters: Vec<ActorRef<Command>> = (0..12)
            .map(|id| {
                let core = (journal.core_of(id) + (round % 2) as u16 + 1) % 2;
                let counter = journal.entity(&node, id, Counter::default).on_core(core);
                let counter = counter.start().expect("a counter");
                assert_eq!(counter.core(), core, "it runs where it was asked to");
                counter
            })
            .collect();
        for (id, counter) in (0..).zip(&counters) {
            assert_eq!(get(&client, *counter), round * 60 * (id + 1), "round {round}, {id}");
        }
        for step in 1..=30 {
            for (id, counter) in (0..).zip(&counters) {
                let sum = add(&client, *counter, &[id + 1, id + 1]);
                assert_eq!(sum, (round * 60 + step * 2) * (id + 1));
            }
        }
        drop(client);
        node.shutdown(PATIENCE).expect("a clean end");
    }
}

#[test]
fn what_is_asked_of_many_entities_from_afar_at_once_is_all_answered() {
    let folder = Folder::new("afar-many");
    let journal = folder.journal();
    let node = node(&journal, 2);
    let client = node.client();
    let counters: Vec<ActorRef<Command>> = (0..200)
        .map(|id| {
            let core = 1 - journal.core_of(id);
            journal.entity(&node, id, Counter::default).on_core(core).start().expect("a counter")
        })
        .collect();
    for round in 1..=5 {
        let asked: Vec<_> = counters
            .iter()
            .map(|counter| {
                let add = |reply_to| Command::Add { amounts: vec![1, 2, 3], reply_to };
                client.ask(*counter, add, PATIENCE)
            })
            .collect();
        for sum in asked {
            assert_eq!(sum.wait().expect("a sum").sum, 6 * round);
        }
    }
    drop(client);
    node.shutdown(PATIENCE).expect("a clean end");
}
