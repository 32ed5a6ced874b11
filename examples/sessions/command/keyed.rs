//! Commands about keys.

use super::{Command, CommandError, Join, integer, is, text};
use crate::operation::{ExpireOnly, Expiry, Moment, Operation, SetOnly, SetOptions, Unit};
use crate::request::Arguments;

type Parsed<'a> = Result<Command<'a>, CommandError>;

fn one<'a>(arguments: Arguments<'a>, operation: Operation) -> Parsed<'a> {
    Ok(Command::Key { key: arguments.get(1), operation })
}

/// The same of each key; of a single one without joining anything.
fn each<'a>(arguments: Arguments<'a>, operation: Operation, join: Join) -> Parsed<'a> {
    if arguments.len() == 2 && join == Join::Sum {
        return one(arguments, operation);
    }
    let keyed = arguments.from(1).map(|key| (key, operation.clone())).collect();
    Ok(Command::Keys { keyed, join })
}

fn list(arguments: Arguments<'_>) -> Vec<Vec<u8>> {
    arguments.from(2).map(<[u8]>::to_vec).collect()
}

pub fn get(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Get)
}

pub fn get_many(arguments: Arguments<'_>) -> Parsed<'_> {
    each(arguments, Operation::GetIfText, Join::List)
}

pub fn get_delete(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::GetDelete)
}

pub fn get_set(arguments: Arguments<'_>) -> Parsed<'_> {
    set_with(arguments, 2, SetOptions { returns_old: true, ..SetOptions::default() })
}

pub fn delete(arguments: Arguments<'_>) -> Parsed<'_> {
    each(arguments, Operation::Delete, Join::Sum)
}

pub fn exists(arguments: Arguments<'_>) -> Parsed<'_> {
    each(arguments, Operation::Exists, Join::Sum)
}

pub fn type_name(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Type)
}

pub fn length(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Length)
}

pub fn append(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Append { bytes: arguments.get(2).to_vec() })
}

fn set_with<'a>(arguments: Arguments<'a>, value: usize, options: SetOptions) -> Parsed<'a> {
    one(arguments, Operation::Set { value: arguments.get(value).to_vec(), options })
}

pub fn set(arguments: Arguments<'_>) -> Parsed<'_> {
    let mut options = SetOptions::default();
    let mut at = 3;
    while at < arguments.len() {
        let word = arguments.get(at);
        let has_expiry = options.expiry != Expiry::Never;
        let has_condition = options.only != SetOnly::Always;
        if is(word, "NX") && !has_condition {
            options.only = SetOnly::IfAbsent;
        } else if is(word, "XX") && !has_condition {
            options.only = SetOnly::IfPresent;
        } else if is(word, "GET") {
            options.returns_old = true;
        } else if is(word, "KEEPTTL") && !has_expiry {
            options.expiry = Expiry::Kept;
        } else if !has_expiry && at + 1 < arguments.len() {
            at += 1;
            let moment = set_moment(word, arguments.get(at))?.ok_or(CommandError::Syntax)?;
            options.expiry = Expiry::Then(moment);
        } else {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    set_with(arguments, 2, options)
}

/// When a value goes away, by an option of `SET`.
fn set_moment(option: &[u8], time: &[u8]) -> Result<Option<Moment>, CommandError> {
    let (unit_ms, is_point) = match () {
        () if is(option, "EX") => (1_000, false),
        () if is(option, "PX") => (1, false),
        () if is(option, "EXAT") => (1_000, true),
        () if is(option, "PXAT") => (1, true),
        () => return Ok(None),
    };
    let time_ms = positive_ms("set", integer(time)?, unit_ms)?;
    Ok(Some(if is_point { Moment::At(time_ms) } else { Moment::After(time_ms) }))
}

fn positive_ms(name: &'static str, time: i64, unit_ms: i64) -> Result<i64, CommandError> {
    let time_ms = time.checked_mul(unit_ms).filter(|time_ms| *time_ms > 0);
    time_ms.ok_or(CommandError::ExpireTime { name })
}

pub fn set_if_absent(arguments: Arguments<'_>) -> Parsed<'_> {
    let only = SetOnly::IfAbsent;
    set_with(arguments, 2, SetOptions { only, counts: true, ..SetOptions::default() })
}

fn set_for<'a>(arguments: Arguments<'a>, name: &'static str, unit_ms: i64) -> Parsed<'a> {
    let time_ms = positive_ms(name, integer(arguments.get(2))?, unit_ms)?;
    let expiry = Expiry::Then(Moment::After(time_ms));
    set_with(arguments, 3, SetOptions { expiry, ..SetOptions::default() })
}

pub fn set_expiring(arguments: Arguments<'_>) -> Parsed<'_> {
    set_for(arguments, "setex", 1_000)
}

pub fn set_expiring_milliseconds(arguments: Arguments<'_>) -> Parsed<'_> {
    set_for(arguments, "psetex", 1)
}

pub fn set_many(arguments: Arguments<'_>) -> Parsed<'_> {
    if arguments.len().is_multiple_of(2) {
        return Err(CommandError::Arity { name: "mset".to_owned() });
    }
    let options = SetOptions::default();
    let pairs = (1..arguments.len()).step_by(2);
    let keyed = pairs.map(|at| {
        let value = arguments.get(at + 1).to_vec();
        (arguments.get(at), Operation::Set { value, options })
    });
    Ok(Command::Keys { keyed: keyed.collect(), join: Join::Ok })
}

pub fn increment(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Increment { by: 1 })
}

pub fn increment_by(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Increment { by: integer(arguments.get(2))? })
}

pub fn decrement(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Increment { by: -1 })
}

pub fn decrement_by(arguments: Arguments<'_>) -> Parsed<'_> {
    let by = integer(arguments.get(2))?.checked_neg().ok_or(CommandError::Integer)?;
    one(arguments, Operation::Increment { by })
}

pub fn expire(arguments: Arguments<'_>) -> Parsed<'_> {
    expire_by(arguments, "expire", 1_000, Moment::After)
}

pub fn expire_milliseconds(arguments: Arguments<'_>) -> Parsed<'_> {
    expire_by(arguments, "pexpire", 1, Moment::After)
}

pub fn expire_at(arguments: Arguments<'_>) -> Parsed<'_> {
    expire_by(arguments, "expireat", 1_000, Moment::At)
}

pub fn expire_at_milliseconds(arguments: Arguments<'_>) -> Parsed<'_> {
    expire_by(arguments, "pexpireat", 1, Moment::At)
}

fn expire_by<'a>(
    arguments: Arguments<'a>,
    name: &'static str,
    unit_ms: i64,
    moment: fn(i64) -> Moment,
) -> Parsed<'a> {
    let time_ms = integer(arguments.get(2))?.checked_mul(unit_ms);
    let time_ms = time_ms.ok_or(CommandError::ExpireTime { name })?;
    one(arguments, Operation::Expire { when: moment(time_ms), only: expire_only(arguments)? })
}

fn expire_only(arguments: Arguments<'_>) -> Result<ExpireOnly, CommandError> {
    let mut only = ExpireOnly::Always;
    for option in arguments.from(3) {
        let wanted = match () {
            () if is(option, "NX") => ExpireOnly::IfNever,
            () if is(option, "XX") => ExpireOnly::IfSome,
            () if is(option, "GT") => ExpireOnly::IfLater,
            () if is(option, "LT") => ExpireOnly::IfEarlier,
            () => return Err(CommandError::ExpireOption { option: text(option) }),
        };
        only = match (only, wanted) {
            (ExpireOnly::Always, _) => wanted,
            (before, after) if before == after => wanted,
            (ExpireOnly::IfNever, _) | (_, ExpireOnly::IfNever) => {
                return Err(CommandError::ExpireOptions);
            }
            (ExpireOnly::IfLater, ExpireOnly::IfEarlier)
            | (ExpireOnly::IfEarlier, ExpireOnly::IfLater) => {
                return Err(CommandError::ExpireOrder);
            }
            // `LT` alone takes what never expires for late; with `XX` that is left out, as with `GT`.
            _ => return Err(CommandError::Syntax),
        };
    }
    Ok(only)
}

pub fn persist(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Persist)
}

pub fn remaining(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Remaining { unit: Unit::Seconds })
}

pub fn remaining_milliseconds(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::Remaining { unit: Unit::Milliseconds })
}

pub fn hash_set(arguments: Arguments<'_>) -> Parsed<'_> {
    hash_set_as(arguments, "hset", true)
}

pub fn hash_set_many(arguments: Arguments<'_>) -> Parsed<'_> {
    hash_set_as(arguments, "hmset", false)
}

fn hash_set_as<'a>(arguments: Arguments<'a>, name: &str, counts: bool) -> Parsed<'a> {
    if !arguments.len().is_multiple_of(2) {
        return Err(CommandError::Arity { name: name.to_owned() });
    }
    let pairs = (2..arguments.len()).step_by(2);
    let fields = pairs.map(|at| (arguments.get(at).to_vec(), arguments.get(at + 1).to_vec()));
    one(arguments, Operation::HashSet { fields: fields.collect(), counts })
}

pub fn hash_get(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::HashGet { field: arguments.get(2).to_vec() })
}

pub fn hash_get_many(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::HashGetMany { fields: list(arguments) })
}

pub fn hash_get_all(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::HashGetAll)
}

pub fn hash_delete(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::HashDelete { fields: list(arguments) })
}

pub fn hash_length(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::HashLength)
}

pub fn hash_exists(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::HashExists { field: arguments.get(2).to_vec() })
}

pub fn set_add(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::SetAdd { members: list(arguments) })
}

pub fn set_remove(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::SetRemove { members: list(arguments) })
}

pub fn set_members(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::SetMembers)
}

pub fn set_contains(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::SetContains { member: arguments.get(2).to_vec() })
}

pub fn set_length(arguments: Arguments<'_>) -> Parsed<'_> {
    one(arguments, Operation::SetLength)
}
