//! Operations on a session, as they arrive: in an archive.

use mainspring::rkyv;
use mainspring::rkyv::rancor::Panic;

use super::*;
use crate::operation::{ExpireOnly, Expiry, Moment, Operation, SetOnly, SetOptions, Unit};

const NOW_MS: u64 = 1_000_000;

fn apply_at(session: &mut Session, operation: Operation, now_ms: u64) -> Applied {
    let Ok(bytes) = rkyv::to_bytes::<Panic>(&operation);
    let Ok(operation) = rkyv::access::<ArchivedOperation, Panic>(&bytes);
    if session.has_expired(now_ms) {
        session.clear();
    }
    session.apply(operation, now_ms)
}

fn apply(session: &mut Session, operation: Operation) -> Applied {
    apply_at(session, operation, NOW_MS)
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn set(value: &str) -> Operation {
    set_with(value, SetOptions::default())
}

fn set_with(value: &str, options: SetOptions) -> Operation {
    Operation::Set { value: bytes(value), options }
}

fn text(value: &str) -> Session {
    Session { value: Some(Value::Text(bytes(value))), expires_at_ms: 0 }
}

fn changed(reply: Reply) -> Applied {
    Applied { reply, has_changed: true }
}

fn unchanged(reply: Reply) -> Applied {
    Applied { reply, has_changed: false }
}

#[test]
fn a_value_is_set_under_its_condition_alone() {
    let options = |only| SetOptions { only, ..SetOptions::default() };
    let mut session = Session::default();
    let if_present = set_with("a", options(SetOnly::IfPresent));
    assert_eq!(apply(&mut session, if_present.clone()), unchanged(Reply::Null));
    assert_eq!(apply(&mut session, set("b")), changed(Reply::Ok));
    assert_eq!(apply(&mut session, if_present), changed(Reply::Ok));
    let if_absent = set_with("c", options(SetOnly::IfAbsent));
    assert_eq!(apply(&mut session, if_absent), unchanged(Reply::Null));
    let counted = SetOptions { counts: true, ..options(SetOnly::IfAbsent) };
    assert_eq!(apply(&mut session, set_with("c", counted)), unchanged(Reply::Integer(0)));
    let old = SetOptions { returns_old: true, ..SetOptions::default() };
    assert_eq!(apply(&mut session, set_with("d", old)), changed(Reply::bulk("a")));
    assert_eq!(session, text("d"));
}

#[test]
fn an_expiry_is_set_kept_and_taken_away() {
    let expiring = |expiry| SetOptions { expiry, ..SetOptions::default() };
    let mut session = Session::default();
    let after = Expiry::Then(Moment::After(1_600));
    let remaining = |unit| Operation::Remaining { unit };
    assert_eq!(apply(&mut session, remaining(Unit::Seconds)), unchanged(Reply::Integer(-2)));
    assert_eq!(apply(&mut session, set_with("a", expiring(after))), changed(Reply::Ok));
    assert_eq!(apply(&mut session, remaining(Unit::Seconds)), unchanged(Reply::Integer(2)));
    assert_eq!(
        apply(&mut session, remaining(Unit::Milliseconds)),
        unchanged(Reply::Integer(1_600))
    );
    assert_eq!(apply(&mut session, set_with("b", expiring(Expiry::Kept))), changed(Reply::Ok));
    assert_eq!(session.expires_at_ms, NOW_MS + 1_600);
    assert_eq!(apply(&mut session, Operation::Persist), changed(Reply::Integer(1)));
    assert_eq!(apply(&mut session, Operation::Persist), unchanged(Reply::Integer(0)));
    assert_eq!(apply(&mut session, remaining(Unit::Seconds)), unchanged(Reply::Integer(-1)));
    assert_eq!(apply(&mut session, set("c")), changed(Reply::Ok));
    assert_eq!(session, text("c"));
}

#[test]
fn what_has_expired_is_gone_at_its_millisecond() {
    let expire = Operation::Expire { when: Moment::After(10), only: ExpireOnly::Always };
    let mut session = text("a");
    assert_eq!(apply(&mut session, expire.clone()), changed(Reply::Integer(1)));
    assert_eq!(apply_at(&mut session, Operation::Get, NOW_MS + 9), unchanged(Reply::bulk("a")));
    assert_eq!(apply_at(&mut session, Operation::Get, NOW_MS + 10), unchanged(Reply::Null));
    assert_eq!(session, Session::default());
    assert_eq!(apply(&mut session, expire), unchanged(Reply::Integer(0)));
    let past = Operation::Expire { when: Moment::At(-5), only: ExpireOnly::Always };
    let mut session = text("a");
    assert_eq!(apply(&mut session, past), changed(Reply::Integer(1)));
    assert_eq!(session, Session::default());
}

#[test]
fn an_expiry_is_changed_under_its_condition_alone() {
    for (before_ms, only, after_ms, is_set) in [
        (0, ExpireOnly::IfNever, 5, true),
        (9, ExpireOnly::IfNever, 5, false),
        (0, ExpireOnly::IfSome, 5, false),
        (9, ExpireOnly::IfSome, 5, true),
        (9, ExpireOnly::IfLater, 10, true),
        (9, ExpireOnly::IfLater, 9, false),
        (0, ExpireOnly::IfLater, 10, false),
        (9, ExpireOnly::IfEarlier, 8, true),
        (9, ExpireOnly::IfEarlier, 9, false),
        (0, ExpireOnly::IfEarlier, 8, true),
    ] {
        let expires_at_ms = if before_ms == 0 { 0 } else { NOW_MS + before_ms };
        let mut session = Session { expires_at_ms, ..text("a") };
        let expire = Operation::Expire { when: Moment::After(after_ms), only };
        let applied = apply(&mut session, expire);
        assert_eq!(applied.has_changed, is_set, "{only:?} {before_ms} {after_ms}");
        assert_eq!(applied.reply, Reply::Integer(is_set.into()));
    }
}

#[test]
fn a_number_counts_until_it_would_overflow() {
    let mut session = Session::default();
    assert_eq!(apply(&mut session, Operation::Increment { by: 5 }), changed(Reply::Integer(5)));
    assert_eq!(apply(&mut session, Operation::Increment { by: -7 }), changed(Reply::Integer(-2)));
    let mut session = text(&i64::MAX.to_string());
    let refused = apply(&mut session, Operation::Increment { by: 1 });
    assert_eq!(refused, unchanged(Reply::Error(OVERFLOW.to_owned())));
    for no_number in ["", "a", "1 ", "+1", "01", "-0", "9223372036854775808"] {
        let refused = apply(&mut text(no_number), Operation::Increment { by: 1 });
        assert_eq!(refused, unchanged(Reply::Error(NO_INTEGER.to_owned())), "{no_number:?}");
    }
    assert_eq!(integer(b"0"), Some(0));
    assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
}

#[test]
fn a_hash_counts_new_fields_and_is_gone_without_any() {
    let mut session = Session::default();
    let fields = vec![(bytes("a"), bytes("1")), (bytes("b"), bytes("2")), (bytes("a"), bytes("3"))];
    assert_eq!(
        apply(&mut session, Operation::HashSet { fields, counts: true }),
        changed(Reply::Integer(2))
    );
    let get = |field: &str| Operation::HashGet { field: bytes(field) };
    assert_eq!(apply(&mut session, get("a")), unchanged(Reply::bulk("3")));
    assert_eq!(apply(&mut session, get("c")), unchanged(Reply::Null));
    assert_eq!(apply(&mut session, Operation::HashLength), unchanged(Reply::Integer(2)));
    let fields = ["b", "c"].map(bytes).to_vec();
    let many = apply(&mut session, Operation::HashGetMany { fields: fields.clone() });
    assert_eq!(many, unchanged(Reply::List(vec![Reply::bulk("2"), Reply::Null])));
    let delete = apply(&mut session, Operation::HashDelete { fields });
    assert_eq!(delete, changed(Reply::Integer(1)));
    let all = Reply::Map(vec![Reply::bulk("a"), Reply::bulk("3")]);
    assert_eq!(apply(&mut session, Operation::HashGetAll), unchanged(all));
    let fields = vec![bytes("a")];
    let delete = Operation::HashDelete { fields };
    assert_eq!(apply(&mut session, delete.clone()), changed(Reply::Integer(1)));
    assert_eq!(session, Session::default());
    assert_eq!(apply(&mut session, delete), unchanged(Reply::Integer(0)));
}

#[test]
fn a_set_has_each_member_once_and_is_gone_without_any() {
    let mut session = Session::default();
    let add = |members: &[&str]| Operation::SetAdd {
        members: members.iter().map(|it| bytes(it)).collect(),
    };
    assert_eq!(apply(&mut session, add(&["b", "a", "b"])), changed(Reply::Integer(2)));
    assert_eq!(apply(&mut session, add(&["a"])), unchanged(Reply::Integer(0)));
    let both = Reply::Set(vec![Reply::bulk("a"), Reply::bulk("b")]);
    assert_eq!(apply(&mut session, Operation::SetMembers), unchanged(both));
    let has = Operation::SetContains { member: bytes("a") };
    assert_eq!(apply(&mut session, has), unchanged(Reply::Integer(1)));
    let members = ["a", "b", "c"].map(bytes).to_vec();
    let remove = Operation::SetRemove { members };
    assert_eq!(apply(&mut session, remove), changed(Reply::Integer(2)));
    assert_eq!(session, Session::default());
}

#[test]
fn an_operation_of_another_type_changes_nothing() {
    let hash = || {
        let mut session = Session::default();
        let fields = vec![(bytes("a"), bytes("1"))];
        let _ = apply(&mut session, Operation::HashSet { fields, counts: true });
        session
    };
    let members = || vec![bytes("a")];
    for operation in [
        Operation::Get,
        Operation::GetDelete,
        Operation::Increment { by: 1 },
        Operation::Append { bytes: bytes("a") },
        Operation::Length,
        Operation::SetAdd { members: members() },
        Operation::SetRemove { members: members() },
        Operation::SetMembers,
        Operation::SetLength,
        set_with("a", SetOptions { returns_old: true, ..SetOptions::default() }),
    ] {
        let mut session = hash();
        let applied = apply(&mut session, operation.clone());
        assert_eq!(applied, unchanged(Reply::Error(WRONG_TYPE.to_owned())), "{operation:?}");
        assert_eq!(session, hash(), "{operation:?}");
    }
    assert_eq!(apply(&mut hash(), set("a")), changed(Reply::Ok), "SET takes any type");
    let refused = unchanged(Reply::Error(WRONG_TYPE.to_owned()));
    assert_eq!(apply(&mut text("a"), Operation::HashGetAll), refused);
    assert_eq!(apply(&mut text("a"), Operation::HashDelete { fields: members() }), refused);
}

#[test]
fn a_session_beyond_its_limit_is_refused_and_stays_as_it_is() {
    let large = "x".repeat(MOST_SESSION_BYTES);
    let refused = unchanged(Reply::Error(TOO_LARGE.to_owned()));
    let mut session = Session::default();
    assert_eq!(apply(&mut session, set(&large)), changed(Reply::Ok));
    assert_eq!(apply(&mut session, Operation::Append { bytes: bytes("y") }), refused);
    assert_eq!(apply(&mut session, set(&(large.clone() + "y"))), refused);
    assert_eq!(session, text(&large));
    let mut session = Session::default();
    let fields = vec![(bytes("a"), bytes(&large))];
    assert_eq!(apply(&mut session, Operation::HashSet { fields, counts: true }), refused);
    let add = Operation::SetAdd { members: vec![bytes(&large), bytes("b")] };
    assert_eq!(apply(&mut session, add), refused);
    assert_eq!(session, Session::default());
}
