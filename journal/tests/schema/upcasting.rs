//! Older versions become current events when they are read.

use mainspring::prelude::*;
use mainspring_journal::schema::{
    EventBuffer, Events, Layout, SchemaError, State, UPCAST_EVENTS_LIMIT, UpcastError, WriteError,
};
use mainspring_journal::{event, events};

use crate::account::{
    Account, AccountEvent, AccountV1, Deposited, DepositedV1, Flagged, OpenedWith, written_and_read,
};

/// The account as an older program knew it.
#[events]
#[derive(Debug)]
enum Past {
    Deposited(DepositedV1),
    OpenedWith(OpenedWith),
    Flagged(Flagged),
}

fn deposit(amount: u64) -> AccountEvent {
    Deposited { amount, note: None }.into()
}

#[test]
fn one_older_event_becomes_one() {
    let read = written_and_read(&Past::from(DepositedV1 { amount: 5 }));
    assert_eq!(read, Ok(vec![deposit(5)]));
}

#[test]
fn one_older_event_becomes_several_in_their_order() {
    let read = written_and_read(&Past::from(OpenedWith { amounts: vec![3, 1, 2] }));
    assert_eq!(read, Ok(vec![deposit(3), deposit(1), deposit(2)]));
}

#[test]
fn an_older_event_can_be_dropped() {
    let read = written_and_read(&Past::from(Flagged { reason: "by mistake".into() }));
    assert_eq!(read, Ok(Vec::new()));
}

#[test]
fn an_older_event_is_checked_like_any_other() {
    let mut buffer = EventBuffer::new();
    let written = Past::from(OpenedWith { amounts: vec![1] }).write(&mut buffer).expect("room");
    let layout = Past::LAYOUTS[1];
    let reader = AccountEvent::reader(layout.name, layout.version, layout.fingerprint);
    let cut = &buffer.get(written)[..7];
    let refusal = AccountEvent::read(reader.expect("known"), cut, &mut |_| panic!("applied"));
    assert!(
        matches!(
            refusal,
            Err(SchemaError::Malformed { name: "account.opened_with", version: 1, .. })
        ),
        "{refusal:?}"
    );
}

#[test]
fn an_older_state_becomes_the_current_one() {
    let mut buffer = EventBuffer::new();
    let written = AccountV1 { balance: 5 }.write(&mut buffer).expect("room");
    let Layout { name, version, fingerprint } = AccountV1::LAYOUT;
    let reader = Account::reader(name, version, fingerprint).expect("known");
    let account = Account::read(reader, buffer.get(written));
    assert_eq!(account, Ok(Account { balance: 5, ..Account::default() }));
}

#[test]
fn what_no_type_reads_is_refused_by_what_has_to_be_done() {
    let asked = |name, version| AccountEvent::reader(name, version, 1).expect_err("unknown");
    let unknown = asked("account.opened", 1);
    assert_eq!(unknown, SchemaError::Unknown { name: "account.opened".into() });
    let newer = asked("account.deposited", 3);
    assert_eq!(newer, SchemaError::Newer { name: "account.deposited", found: 3, known: 2 });
    assert!(newer.to_string().ends_with("run the newer program"), "{newer}");
    let older = asked("account.transferred", 0);
    assert_eq!(older, SchemaError::Older { name: "account.transferred", found: 0, known: 1 });
    assert!(older.to_string().contains("upcast("), "{older}");
    let state = Account::reader("account", 3, 1);
    assert_eq!(state, Err(SchemaError::Newer { name: "account", found: 3, known: 2 }));
}

mod beyond_limits {
    use super::*;

    #[event(name = "text.set", version = 1)]
    #[derive(Debug)]
    pub struct Set {
        pub text: String,
    }

    #[event(name = "text.repeated", version = 1)]
    #[derive(Debug)]
    pub struct Repeated {
        pub times: u32,
        pub bytes: u32,
    }

    #[events]
    pub enum Before {
        Repeated(Repeated),
    }

    #[events(upcast(Repeated => repeat))]
    pub enum Text {
        Set(Set),
    }

    fn repeat(old: &Archived<Repeated>) -> impl Iterator<Item = Text> + use<> {
        let (times, bytes) = (old.times.to_native(), old.bytes.to_native());
        (0..times).map(move |_| Set { text: "x".repeat(bytes as usize) }.into())
    }
}

/// How many events were applied, and how it ended.
fn repeated(times: usize, bytes: usize) -> (usize, Result<(), SchemaError>) {
    use beyond_limits::{Before, Repeated, Text};
    let old = Before::from(Repeated { times: times as u32, bytes: bytes as u32 });
    let mut buffer = EventBuffer::new();
    let written = old.write(&mut buffer).expect("room");
    let layout = Before::LAYOUTS[0];
    let reader = Text::reader(layout.name, layout.version, layout.fingerprint).expect("known");
    let mut applied = 0;
    let end = Text::read(reader, buffer.get(written), &mut |_| applied += 1);
    (applied, end)
}

#[test]
fn an_upcaster_may_make_more_than_one_commit_holds() {
    assert_eq!(repeated(8, 1 << 19), (8, Ok(())));
}

#[test]
fn an_upcaster_that_makes_too_much_is_stopped() {
    assert_eq!(repeated(UPCAST_EVENTS_LIMIT, 1), (UPCAST_EVENTS_LIMIT, Ok(())));
    let (applied, end) = repeated(UPCAST_EVENTS_LIMIT + 1, 1);
    let refusal = |reason| Err(SchemaError::Upcast { name: "text.repeated", version: 1, reason });
    assert_eq!((applied, end), (UPCAST_EVENTS_LIMIT, refusal(UpcastError::TooMany)));
    let (applied, end) = repeated(1, 1 << 20);
    assert_eq!(applied, 0);
    assert!(
        matches!(
            end,
            Err(SchemaError::Upcast {
                reason: UpcastError::Write(WriteError::TooLarge { name: "text.set", .. }),
                ..
            })
        ),
        "{end:?}"
    );
}

/// The names of the functions are those of variables in the code that the attribute writes.
mod functions_of_any_name {
    use super::*;

    #[event(name = "name.now", version = 1)]
    pub struct Now;

    #[event(name = "name.first", version = 1)]
    pub struct First;

    #[event(name = "name.second", version = 1)]
    pub struct Second;

    #[events(upcast(First => apply, Second => payload))]
    pub enum Names {
        Now(Now),
    }

    fn apply(_: &Archived<First>) -> Option<Names> {
        Some(Now.into())
    }

    fn payload(_: &Archived<Second>) -> [Names; 2] {
        [Now.into(), Now.into()]
    }
}

#[test]
fn an_upcaster_may_have_any_name() {
    use functions_of_any_name::Names;
    let applied = |index: usize| {
        let layout = Names::READABLE[index];
        let reader = Names::reader(layout.name, layout.version, layout.fingerprint);
        let mut buffer = EventBuffer::new();
        buffer.push(&()).expect("room");
        let mut applied = 0;
        Names::read(reader.expect("known"), buffer.as_slice(), &mut |_| applied += 1)
            .map(|()| applied)
    };
    assert_eq!([applied(0), applied(1), applied(2)], [Ok(1), Ok(1), Ok(2)]);
}
