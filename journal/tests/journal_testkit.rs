//! The testkit of event-sourced entities: what it shows, and what it finds wrong.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::{PersistRejected, PersistenceSettings, Retention};
use mainspring_journal::testkit::{Ending, EntityTest};
use mainspring_journal::{Effect, EventSourced, event, events, state};

#[message]
enum Command {
    Put { key: u32, reply_to: ActorRef<Size> },
    PutAll { keys: Vec<u32>, reply_to: ActorRef<Size> },
    Wait { reply_to: ActorRef<Size> },
}

#[message]
#[derive(Debug, PartialEq)]
enum Size {
    Keys(u64),
    Full,
}

#[event(name = "basket.put", version = 1)]
#[derive(Debug, PartialEq, Clone)]
struct Put {
    key: u32,
}

#[events]
#[derive(Debug, PartialEq)]
enum BasketEvent {
    Put(Put),
}

#[state(name = "basket", version = 1)]
#[derive(Default, Debug, PartialEq)]
struct Basket {
    keys: Vec<u32>,
}

impl Basket {
    fn size(&self) -> Size {
        Size::Keys(self.keys.len() as u64)
    }
}

impl EventSourced for Basket {
    type Command = Command;
    type Event = BasketEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Put { key, reply_to } => Effect::persist(Put { key: key.to_native() })
                .then_reply(*reply_to, Basket::size)
                .then_unstash(),
            ArchivedCommand::PutAll { keys, reply_to } => {
                let put = keys.iter().map(|key| Put { key: key.to_native() }.into());
                Effect::persist_all(put).then_reply(*reply_to, Basket::size)
            }
            ArchivedCommand::Wait { .. } if self.keys.is_empty() => Effect::stash(),
            ArchivedCommand::Wait { reply_to } => Effect::reply(*reply_to, self.size()),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, BasketEvent>) {
        let ArchivedBasketEvent::Put(put) = event;
        self.keys.push(put.key.to_native());
    }

    fn on_rejected(&self, command: &Archived<Command>, _: &PersistRejected) -> Effect<Self> {
        match command {
            ArchivedCommand::Put { reply_to, .. } => Effect::reply(*reply_to, Size::Full),
            _ => Effect::none(),
        }
    }

    fn settings(journal: PersistenceSettings) -> PersistenceSettings {
        PersistenceSettings { snapshot_every: 100, retention: Retention::ToSnapshot, ..journal }
    }
}

fn basket() -> EntityTest<Basket> {
    EntityTest::new("b", Basket::default)
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
fn events_replies_and_state_of_a_command_are_shown() {
    let mut test = basket();
    test.given([Put { key: 1 }, Put { key: 2 }]);
    test.when(|reply_to| Command::Put { key: 3, reply_to })
        .expect_persisted(|event| *event == BasketEvent::Put(Put { key: 3 }))
        .expect_nothing_persisted()
        .expect_reply(|size| *size == Size::Keys(3))
        .expect_no_reply()
        .expect_state(|basket| basket.keys == [1, 2, 3]);
    let outcome = test.when(|reply_to| Command::PutAll { keys: vec![4, 5], reply_to });
    assert_eq!((outcome.ending(), outcome.sequence()), (Ending::Done, 5));
    assert!(outcome.stored().eq(&[Put { key: 4 }.into(), Put { key: 5 }.into()]));
    test.restart_and_compare();
    assert_eq!(test.state(), Basket { keys: vec![1, 2, 3, 4, 5] });
}

#[test]
fn more_events_may_be_given_than_one_group_or_one_snapshot_has() {
    let mut test = basket();
    test.given((0..1_000).map(|key| Put { key }));
    for key in 1_000..1_210 {
        test.when(|reply_to| Command::Put { key, reply_to })
            .expect_reply(|size| *size == Size::Keys(u64::from(key) + 1));
    }
    // By now events were given up for snapshots.
    test.restart_and_compare();
    assert_eq!(test.state().keys.len(), 1_210);
    test.given([Put { key: 7 }]).restart_and_compare();
    assert_eq!(test.state().keys.len(), 1_211);
}

#[test]
fn a_failed_write_leaves_no_answer_and_a_restart_shows_which_of_both_is_true() {
    let mut test = basket();
    test.given([Put { key: 1 }]);
    test.fail_next()
        .when(|reply_to| Command::Put { key: 2, reply_to })
        .expect_unknown()
        .expect_no_reply();
    test.restart();
    let keys = test.state().keys;
    assert!(keys == [1] || keys == [1, 2], "{keys:?}");
    test.restart_and_compare();
}

#[test]
fn a_rejected_event_is_nowhere_and_the_entity_lives() {
    let mut test = basket();
    test.reject_next()
        .when(|reply_to| Command::Put { key: 1, reply_to })
        .expect_rejected()
        .expect_nothing_persisted()
        .expect_reply(|size| *size == Size::Full)
        .expect_state(|basket| basket.keys.is_empty());
    test.when(|reply_to| Command::Put { key: 2, reply_to })
        .expect_reply(|size| *size == Size::Keys(1));
    test.restart_and_compare();
    assert_eq!(test.state().keys, [2]);
}

#[test]
fn a_command_that_is_put_off_has_no_answer_yet() {
    let mut test = basket();
    test.when::<Size>(|reply_to| Command::Wait { reply_to }).expect_no_reply();
    test.when(|reply_to| Command::Put { key: 1, reply_to })
        .expect_reply(|size| *size == Size::Keys(1));
}

#[test]
fn an_entity_whose_events_cannot_be_read_recovers_when_they_can() {
    let mut test = basket();
    test.given([Put { key: 1 }]).fail_next_read().restart_and_compare();
    assert_eq!(test.state().keys, [1]);
}

#[test]
fn an_expectation_that_does_not_hold_fails_the_test() {
    let put = |test: &mut EntityTest<Basket>| {
        test.when::<Size>(|reply_to| Command::Put { key: 3, reply_to })
    };
    let said = complaint(|| drop(put(&mut basket()).expect_nothing_persisted()));
    assert!(said.contains("the command stored 1 more than was looked at"), "{said}");
    let said = complaint(|| drop(put(&mut basket()).expect_persisted(|_| false)));
    assert!(said.contains("something else was stored"), "{said}");
    let said = complaint(|| drop(put(&mut basket()).expect_rejected()));
    assert!(said.contains("Rejected"), "{said}");
    let said = complaint(|| drop(put(&mut basket()).expect_state(|basket| basket.keys.is_empty())));
    assert!(said.contains("the state is another one"), "{said}");
}

thread_local! {
    /// Something that is neither state nor event.
    static OUTSIDE: Cell<u64> = const { Cell::new(0) };
}

#[message]
enum Count {
    Up,
}

#[event(name = "moody.changed", version = 1)]
struct Changed;

#[events]
enum MoodyEvent {
    Changed(Changed),
}

#[state(name = "moody", version = 1)]
#[derive(Default)]
struct Moody {
    mood: u64,
}

impl EventSourced for Moody {
    type Command = Count;
    type Event = MoodyEvent;

    fn on_command(&self, _: &Archived<Count>) -> Effect<Self> {
        Effect::persist(Changed)
    }

    fn on_event(&mut self, _: ArchivedEvent<'_, MoodyEvent>) {
        self.mood = OUTSIDE.get();
        OUTSIDE.set(self.mood + 1);
    }
}

#[test]
fn a_state_that_depends_on_more_than_its_events_is_found_out_by_a_restart() {
    let said = complaint(|| {
        let mut test = EntityTest::new("m", Moody::default);
        drop(test.tell(&Count::Up));
        drop(test.tell(&Count::Up));
        test.restart_and_compare();
    });
    assert!(said.contains("`on_event` depends on something else"), "{said}");
}

/// An entity that keeps one snapshot and nothing of what stands before it.
#[state(name = "thrifty", version = 1)]
#[derive(Default)]
struct Thrifty {
    ups: u64,
}

impl EventSourced for Thrifty {
    type Command = Count;
    type Event = MoodyEvent;

    fn on_command(&self, _: &Archived<Count>) -> Effect<Self> {
        Effect::persist(Changed)
    }

    fn on_event(&mut self, _: ArchivedEvent<'_, MoodyEvent>) {
        self.ups += 1;
    }

    fn settings(journal: PersistenceSettings) -> PersistenceSettings {
        PersistenceSettings {
            snapshot_every: 1,
            keep_snapshots: 1,
            retention: Retention::ToSnapshot,
            ..journal
        }
    }
}

#[test]
fn an_entity_whose_only_snapshot_is_damaged_does_not_begin_anew() {
    for ups in [1, 2, 3] {
        let mut test = EntityTest::new("t", Thrifty::default);
        for _ in 0..ups {
            test.tell(&Count::Up).expect_state(|thrifty| thrifty.ups > 0);
        }
        test.journal().damage_last_state();
        let recovered = catch_unwind(AssertUnwindSafe(|| test.restart().state().ups)).ok();
        assert!(recovered.is_none_or(|found| found == ups), "{recovered:?} of {ups}");
    }
}
