//! A session: the value behind one key, and what the operations do to it.
//!
//! It knows nothing of clocks, files or sockets: it is told what to do and what time it is, and says what it replies
//! and whether it has changed.
//!
//! Invariants: a hash or a set without elements is no value; what has expired is never shown; a session has at most
//! [`MOST_SESSION_BYTES`], and an operation that would make it larger changes nothing.

use std::collections::BTreeMap;

use mainspring::Archived;
use mainspring::prelude::*;
use mainspring_journal::state;

use super::operation::{
    ArchivedExpireOnly, ArchivedExpiry, ArchivedMoment, ArchivedOperation, ArchivedSetOnly,
    ArchivedSetOptions, ArchivedUnit,
};
use super::reply::Reply;

/// The most bytes of a session: of its value, or of all its fields or members.
pub const MOST_SESSION_BYTES: usize = 128 << 10;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const NO_INTEGER: &str = "ERR value is not an integer or out of range";
const OVERFLOW: &str = "ERR increment or decrement would overflow";
const TOO_LARGE: &str =
    "ERR string exceeds maximum allowed size (a session has at most 131072 bytes)";

/// The value behind one key, and when it goes away by itself.
#[state(name = "sessions.session", version = 1)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// None while there is no session.
    pub value: Option<Value>,
    /// In milliseconds since 1970; 0 for never.
    pub expires_at_ms: u64,
}

/// What a session holds.
#[message(name = "sessions.value")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(Vec<u8>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    /// In order, each once.
    Set(Vec<Vec<u8>>),
}

/// What an operation has led to.
#[derive(Debug, PartialEq, Eq)]
pub struct Applied {
    pub reply: Reply,
    pub has_changed: bool,
}

impl Applied {
    fn unchanged(reply: Reply) -> Applied {
        Applied { reply, has_changed: false }
    }

    fn changed(reply: Reply) -> Applied {
        Applied { reply, has_changed: true }
    }

    fn refused(error: &str) -> Applied {
        Applied::unchanged(Reply::Error(error.to_owned()))
    }
}

type Bytes = Archived<Vec<u8>>;

impl Session {
    /// Whether it is over by this time.
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms > 0 && self.expires_at_ms <= now_ms
    }

    /// Nothing is left of it.
    pub fn clear(&mut self) {
        *self = Session::default();
    }

    /// Whether the time has to be known for this operation.
    pub fn needs_time(&self, operation: &ArchivedOperation) -> bool {
        self.expires_at_ms > 0
            || match operation {
                ArchivedOperation::Set { options, .. } => {
                    matches!(options.expiry, ArchivedExpiry::Then(_))
                }
                ArchivedOperation::Expire { .. } => true,
                _ => false,
            }
    }

    /// Does what it is told. What has [expired](Self::has_expired) must be [cleared](Self::clear) before.
    pub fn apply(&mut self, operation: &ArchivedOperation, now_ms: u64) -> Applied {
        use ArchivedOperation as Is;
        match operation {
            Is::Get => self.get(),
            Is::GetIfText => Applied::unchanged(match &self.value {
                Some(Value::Text(text)) => Reply::bulk(text),
                _ => Reply::Null,
            }),
            Is::Set { value, options } => self.set(value, options, now_ms),
            Is::GetDelete => self.get_delete(),
            Is::Delete => self.delete(),
            Is::Exists => Applied::unchanged(Reply::Integer(self.value.is_some().into())),
            Is::Type => Applied::unchanged(Reply::Status(self.type_name().to_owned())),
            Is::Increment { by } => self.increment(by.to_native()),
            Is::Append { bytes } => self.append(bytes),
            Is::Length => self.length(|value| match value {
                Value::Text(text) => Some(text.len()),
                _ => None,
            }),
            Is::Expire { when, only } => self.expire(when, only, now_ms),
            Is::Remaining { unit } => self.remaining(unit, now_ms),
            Is::Persist => self.persist(),
            Is::HashSet { fields, counts } => self.hash_set(fields, *counts),
            Is::HashGet { field } => self.hash(|hash| value_of(hash, field)),
            Is::HashGetMany { fields } => {
                self.hash(|hash| Reply::List(fields.iter().map(|it| value_of(hash, it)).collect()))
            }
            Is::HashGetAll => self.hash(|hash| {
                let pairs = hash.into_iter().flatten();
                Reply::Map(pairs.flat_map(|(it, to)| [Reply::bulk(it), Reply::bulk(to)]).collect())
            }),
            Is::HashDelete { fields } => self.hash_delete(fields),
            Is::HashLength => self.length(|value| match value {
                Value::Hash(hash) => Some(hash.len()),
                _ => None,
            }),
            Is::HashExists { field } => self.hash(|hash| {
                let has = hash.is_some_and(|hash| hash.contains_key(field.as_slice()));
                Reply::Integer(has.into())
            }),
            Is::SetAdd { members } => self.set_add(members),
            Is::SetRemove { members } => self.set_remove(members),
            Is::SetMembers => {
                self.members(|members| Reply::Set(members.iter().map(Reply::bulk).collect()))
            }
            Is::SetContains { member } => {
                self.members(|members| Reply::Integer(place_of(members, member).is_ok().into()))
            }
            Is::SetLength => self.length(|value| match value {
                Value::Set(members) => Some(members.len()),
                _ => None,
            }),
        }
    }

    fn get(&self) -> Applied {
        match &self.value {
            None => Applied::unchanged(Reply::Null),
            Some(Value::Text(text)) => Applied::unchanged(Reply::bulk(text)),
            Some(_) => Applied::refused(WRONG_TYPE),
        }
    }

    fn get_delete(&mut self) -> Applied {
        let got = self.get();
        if !matches!(got.reply, Reply::Bulk(_)) {
            return got;
        }
        self.clear();
        Applied::changed(got.reply)
    }

    fn set(&mut self, value: &Bytes, options: &ArchivedSetOptions, now_ms: u64) -> Applied {
        let old = match options.returns_old {
            false => None,
            true => match self.get().reply {
                error @ Reply::Error(_) => return Applied::unchanged(error),
                old => Some(old),
            },
        };
        let is_refused = match options.only {
            ArchivedSetOnly::Always => false,
            ArchivedSetOnly::IfAbsent => self.value.is_some(),
            ArchivedSetOnly::IfPresent => self.value.is_none(),
        };
        if is_refused {
            let nothing = if options.counts { Reply::Integer(0) } else { Reply::Null };
            return Applied::unchanged(old.unwrap_or(nothing));
        }
        if value.len() > MOST_SESSION_BYTES {
            return Applied::refused(TOO_LARGE);
        }
        self.expires_at_ms = match &options.expiry {
            ArchivedExpiry::Never => 0,
            ArchivedExpiry::Kept => self.expires_at_ms,
            ArchivedExpiry::Then(moment) => at_ms(moment, now_ms).max(1) as u64,
        };
        match &mut self.value {
            // The room of the value before is used again.
            Some(Value::Text(text)) => {
                text.clear();
                text.extend_from_slice(value);
            }
            other => *other = Some(Value::Text(value.to_vec())),
        }
        if self.has_expired(now_ms) {
            self.clear();
        }
        let done = if options.counts { Reply::Integer(1) } else { Reply::Ok };
        Applied::changed(old.unwrap_or(done))
    }

    fn delete(&mut self) -> Applied {
        match self.value.is_some() {
            false => Applied::unchanged(Reply::Integer(0)),
            true => {
                self.clear();
                Applied::changed(Reply::Integer(1))
            }
        }
    }

    fn type_name(&self) -> &'static str {
        match &self.value {
            None => "none",
            Some(Value::Text(_)) => "string",
            Some(Value::Hash(_)) => "hash",
            Some(Value::Set(_)) => "set",
        }
    }

    fn increment(&mut self, by: i64) -> Applied {
        let before = match &self.value {
            None => Some(0),
            Some(Value::Text(text)) => integer(text),
            Some(_) => return Applied::refused(WRONG_TYPE),
        };
        let Some(before) = before else { return Applied::refused(NO_INTEGER) };
        let Some(after) = before.checked_add(by) else { return Applied::refused(OVERFLOW) };
        self.value = Some(Value::Text(after.to_string().into_bytes()));
        Applied::changed(Reply::Integer(after))
    }

    fn append(&mut self, bytes: &Bytes) -> Applied {
        match self.value.get_or_insert_with(|| Value::Text(Vec::new())) {
            Value::Text(text) if text.len() + bytes.len() > MOST_SESSION_BYTES => {
                Applied::refused(TOO_LARGE)
            }
            Value::Text(text) => {
                text.extend_from_slice(bytes);
                Applied::changed(Reply::Integer(text.len() as i64))
            }
            _ => Applied::refused(WRONG_TYPE),
        }
    }

    /// The number that `count` finds in a value of its type.
    fn length(&self, count: impl FnOnce(&Value) -> Option<usize>) -> Applied {
        match self.value.as_ref().map_or(Some(0), count) {
            Some(count) => Applied::unchanged(Reply::Integer(count as i64)),
            None => Applied::refused(WRONG_TYPE),
        }
    }

    fn expire(&mut self, when: &ArchivedMoment, only: &ArchivedExpireOnly, now_ms: u64) -> Applied {
        let (then_ms, before_ms) = (at_ms(when, now_ms), self.expires_at_ms);
        // Never is later than any time.
        let before = if before_ms == 0 { i64::MAX } else { before_ms as i64 };
        let is_allowed = match only {
            ArchivedExpireOnly::Always => true,
            ArchivedExpireOnly::IfNever => before_ms == 0,
            ArchivedExpireOnly::IfSome => before_ms > 0,
            ArchivedExpireOnly::IfLater => then_ms > before,
            ArchivedExpireOnly::IfEarlier => then_ms < before,
        };
        if self.value.is_none() || !is_allowed {
            return Applied::unchanged(Reply::Integer(0));
        }
        self.expires_at_ms = then_ms.max(1) as u64;
        if self.has_expired(now_ms) {
            self.clear();
        }
        Applied::changed(Reply::Integer(1))
    }

    fn remaining(&self, unit: &ArchivedUnit, now_ms: u64) -> Applied {
        let remaining_ms = self.expires_at_ms.saturating_sub(now_ms) as i64;
        Applied::unchanged(Reply::Integer(match (&self.value, self.expires_at_ms, unit) {
            (None, _, _) => -2,
            (_, 0, _) => -1,
            (_, _, ArchivedUnit::Milliseconds) => remaining_ms,
            (_, _, ArchivedUnit::Seconds) => (remaining_ms + 500) / 1_000,
        }))
    }

    fn persist(&mut self) -> Applied {
        match std::mem::take(&mut self.expires_at_ms) {
            0 => Applied::unchanged(Reply::Integer(0)),
            _ => Applied::changed(Reply::Integer(1)),
        }
    }

    fn hash(&self, reply: impl FnOnce(Option<&BTreeMap<Vec<u8>, Vec<u8>>>) -> Reply) -> Applied {
        match &self.value {
            None => Applied::unchanged(reply(None)),
            Some(Value::Hash(hash)) => Applied::unchanged(reply(Some(hash))),
            Some(_) => Applied::refused(WRONG_TYPE),
        }
    }

    fn hash_set(&mut self, fields: &Archived<Vec<(Vec<u8>, Vec<u8>)>>, counts: bool) -> Applied {
        let more = fields.iter().map(|pair| pair.0.len() + pair.1.len()).sum();
        if !self.has_room_for(more) {
            return Applied::refused(TOO_LARGE);
        }
        let Value::Hash(hash) = self.value.get_or_insert_with(|| Value::Hash(BTreeMap::new()))
        else {
            return Applied::refused(WRONG_TYPE);
        };
        let before = hash.len();
        for pair in fields.iter() {
            hash.insert(pair.0.to_vec(), pair.1.to_vec());
        }
        let added = Reply::Integer((hash.len() - before) as i64);
        Applied::changed(if counts { added } else { Reply::Ok })
    }

    fn hash_delete(&mut self, fields: &Archived<Vec<Vec<u8>>>) -> Applied {
        let hash = match &mut self.value {
            None => return Applied::unchanged(Reply::Integer(0)),
            Some(Value::Hash(hash)) => hash,
            Some(_) => return Applied::refused(WRONG_TYPE),
        };
        let before = hash.len();
        fields.iter().for_each(|field| drop(hash.remove(field.as_slice())));
        let (after, removed) = (hash.len(), before - hash.len());
        self.removed(after, removed)
    }

    fn members(&self, reply: impl FnOnce(&[Vec<u8>]) -> Reply) -> Applied {
        match &self.value {
            None => Applied::unchanged(reply(&[])),
            Some(Value::Set(members)) => Applied::unchanged(reply(members)),
            Some(_) => Applied::refused(WRONG_TYPE),
        }
    }

    fn set_add(&mut self, added: &Archived<Vec<Vec<u8>>>) -> Applied {
        let more = added.iter().map(|member| member.len()).sum();
        if !self.has_room_for(more) {
            return Applied::refused(TOO_LARGE);
        }
        let Value::Set(members) = self.value.get_or_insert_with(|| Value::Set(Vec::new())) else {
            return Applied::refused(WRONG_TYPE);
        };
        let before = members.len();
        for member in added.iter() {
            if let Err(place) = place_of(members, member) {
                members.insert(place, member.to_vec());
            }
        }
        let count = members.len() - before;
        Applied { reply: Reply::Integer(count as i64), has_changed: count > 0 }
    }

    fn set_remove(&mut self, removed: &Archived<Vec<Vec<u8>>>) -> Applied {
        let members = match &mut self.value {
            None => return Applied::unchanged(Reply::Integer(0)),
            Some(Value::Set(members)) => members,
            Some(_) => return Applied::refused(WRONG_TYPE),
        };
        let before = members.len();
        for member in removed.iter() {
            if let Ok(place) = place_of(members, member) {
                members.remove(place);
            }
        }
        let (after, removed) = (members.len(), before - members.len());
        self.removed(after, removed)
    }

    /// So many elements were removed and so many are left.
    fn removed(&mut self, left: usize, removed: usize) -> Applied {
        if left == 0 {
            self.clear();
        }
        Applied { reply: Reply::Integer(removed as i64), has_changed: removed > 0 }
    }

    fn has_room_for(&self, more_bytes: usize) -> bool {
        let bytes = match &self.value {
            None => 0,
            Some(Value::Text(text)) => text.len(),
            Some(Value::Hash(hash)) => hash.iter().map(|(it, to)| it.len() + to.len()).sum(),
            Some(Value::Set(members)) => members.iter().map(Vec::len).sum(),
        };
        bytes + more_bytes <= MOST_SESSION_BYTES
    }
}

fn value_of(hash: Option<&BTreeMap<Vec<u8>, Vec<u8>>>, field: &Bytes) -> Reply {
    hash.and_then(|hash| hash.get(field.as_slice())).map_or(Reply::Null, Reply::bulk)
}

fn place_of(members: &[Vec<u8>], member: &Bytes) -> Result<usize, usize> {
    members.binary_search_by(|it| it.as_slice().cmp(member.as_slice()))
}

fn at_ms(moment: &ArchivedMoment, now_ms: u64) -> i64 {
    match moment {
        ArchivedMoment::After(after_ms) => (now_ms as i64).saturating_add(after_ms.to_native()),
        ArchivedMoment::At(at_ms) => at_ms.to_native(),
    }
}

/// The number that a text is, if it is one as Redis writes it: no sign but a minus, no zeros in front.
pub fn integer(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let is_plain = match text {
        [b'+', ..] | [b'-', b'0', ..] => false,
        [b'0', rest @ ..] => rest.is_empty(),
        _ => true,
    };
    is_plain.then_some(number)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
