//! The testkit of entities whose state is kept whole: what it shows, and what it finds wrong.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mainspring::prelude::*;
use mainspring_journal::sourced::PersistRejected;
use mainspring_journal::testkit::{Ending, StoredTest, StoredValue};
use mainspring_journal::{Change, DurableState, state};

#[message]
enum Command {
    Put { key: u32, reply_to: ActorRef<Size> },
    Empty,
    Wait { reply_to: ActorRef<Size> },
}

#[message]
#[derive(Debug, PartialEq)]
enum Size {
    Keys(u64),
    Full,
}

#[state(name = "basket", version = 1)]
#[derive(Clone, Default, Debug, PartialEq)]
struct Basket {
    keys: Vec<u32>,
}

impl Basket {
    fn size(&self) -> Size {
        Size::Keys(self.keys.len() as u64)
    }
}

impl DurableState for Basket {
    type Command = Command;

    fn on_command(&self, command: &Archived<Command>) -> Change<Self> {
        match command {
            ArchivedCommand::Put { key, reply_to } => {
                let keys = self.keys.iter().copied().chain([key.to_native()]).collect();
                Change::store(Basket { keys }).then_reply(*reply_to, Basket::size).then_unstash()
            }
            ArchivedCommand::Empty => Change::delete(),
            ArchivedCommand::Wait { .. } if self.keys.is_empty() => Change::stash(),
            ArchivedCommand::Wait { reply_to } => Change::reply(*reply_to, self.size()),
        }
    }

    fn on_rejected(&self, command: &Archived<Command>, _: &PersistRejected) -> Change<Self> {
        match command {
            ArchivedCommand::Put { reply_to, .. } => Change::reply(*reply_to, Size::Full),
            _ => Change::none(),
        }
    }
}

fn basket() -> StoredTest<Basket> {
    StoredTest::new("b", Basket::default)
}

fn with(keys: &[u32]) -> Basket {
    Basket { keys: keys.to_vec() }
}

/// What a test that fails says.
fn complaint(test: impl FnOnce()) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(test)) else {
        panic!("the testkit has found nothing");
    };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a text")
}

#[test]
fn what_a_command_stored_its_reply_and_the_state_are_shown() {
    let mut test = basket();
    test.given([with(&[1]), with(&[1, 2])]);
    let outcome = test
        .when(|reply_to| Command::Put { key: 3, reply_to })
        .expect_persisted(|value| *value == StoredValue::State(with(&[1, 2, 3])))
        .expect_nothing_persisted()
        .expect_reply(|size| *size == Size::Keys(3))
        .expect_no_reply()
        .expect_state(|basket| basket.keys == [1, 2, 3]);
    assert_eq!((outcome.sequence(), outcome.ending()), (3, Ending::Done));
    test.tell(&Command::Empty)
        .expect_persisted(|value| *value == StoredValue::Deleted)
        .expect_state(|basket| basket.keys.is_empty());
    test.restart_and_compare();
    // More values than the journal keeps behind the last one.
    for key in 0..40 {
        let stored = test.when(|reply_to| Command::Put { key, reply_to });
        stored.expect_persisted(|_| true).expect_nothing_persisted();
    }
    test.restart_and_compare();
    assert_eq!(test.state().keys.len(), 40);
}

#[test]
fn a_failed_write_leaves_no_answer_and_a_restart_shows_which_of_both_is_true() {
    let mut test = basket();
    test.given([with(&[1])]);
    test.fail_next()
        .when(|reply_to| Command::Put { key: 2, reply_to })
        .expect_unknown()
        .expect_no_reply();
    let keys = test.restart().state().keys;
    assert!(keys == [1] || keys == [1, 2], "{keys:?}");
}

#[test]
fn a_rejected_state_is_nowhere_and_the_entity_lives() {
    let mut test = basket();
    test.reject_next()
        .when(|reply_to| Command::Put { key: 2, reply_to })
        .expect_rejected()
        .expect_nothing_persisted()
        .expect_reply(|size| *size == Size::Full);
    test.when(|reply_to| Command::Put { key: 3, reply_to }).expect_state(|b| b.keys == [3]);
}

#[test]
fn a_command_that_is_put_off_has_no_answer_yet() {
    let mut test = basket();
    let waits = test.when(|reply_to| Command::Wait { reply_to });
    drop(waits.expect_nothing_persisted().expect_no_reply());
}

#[test]
fn an_entity_whose_state_cannot_be_read_recovers_when_it_can() {
    let mut test = basket();
    test.given([with(&[1])]).fail_next_read();
    assert_eq!(test.state(), with(&[1]));
}

#[test]
fn an_expectation_that_does_not_hold_fails_the_test() {
    let said = complaint(|| {
        let stored = basket().when(|reply_to| Command::Put { key: 1, reply_to });
        stored.expect_nothing_persisted();
    });
    assert!(said.contains("stored 1 more than was looked at"), "{said}");
    let said = complaint(|| {
        basket().tell(&Command::Empty).expect_persisted(|value| *value != StoredValue::Deleted);
    });
    assert!(said.contains("something else was stored"), "{said}");
}

thread_local! {
    static MADE: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn a_first_state_that_is_another_one_each_time_is_found_out_by_a_restart() {
    let said = complaint(|| {
        let mut test = StoredTest::new("m", || with(&[MADE.replace(MADE.get() + 1)]));
        test.restart_and_compare();
    });
    assert!(said.contains("`make` does not give the same state"), "{said}");
}
