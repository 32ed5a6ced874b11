//! What can be asked of one key, and the messages that carry it there and back.

use mainspring::prelude::*;

use super::reply::Reply;

/// What one connection asks of one key.
#[message(name = "sessions.request")]
pub struct Request {
    /// Who wants the answer.
    pub reply_to: ActorRef<Answer>,
    /// By which it knows the answer again.
    pub ticket: u64,
    pub operation: Operation,
}

/// What a connection is told.
#[message(name = "sessions.answer")]
pub enum Answer {
    /// The answer to the request with this ticket. What it says is durable.
    Of { ticket: u64, reply: Reply },
    /// Time has passed.
    Look,
}

/// What is done with one key.
#[message(name = "sessions.operation")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Get,
    /// As `Get`, for one of many keys: a value that is no text is nothing.
    GetIfText,
    Set {
        value: Vec<u8>,
        options: SetOptions,
    },
    GetDelete,
    Delete,
    Exists,
    Type,
    Increment {
        by: i64,
    },
    Append {
        bytes: Vec<u8>,
    },
    Length,
    Expire {
        when: Moment,
        only: ExpireOnly,
    },
    /// How long it will still be there.
    Remaining {
        unit: Unit,
    },
    Persist,
    HashSet {
        fields: Vec<(Vec<u8>, Vec<u8>)>,
        /// The reply says how many fields are new.
        counts: bool,
    },
    HashGet {
        field: Vec<u8>,
    },
    HashGetMany {
        fields: Vec<Vec<u8>>,
    },
    HashGetAll,
    HashDelete {
        fields: Vec<Vec<u8>>,
    },
    HashLength,
    HashExists {
        field: Vec<u8>,
    },
    SetAdd {
        members: Vec<Vec<u8>>,
    },
    SetRemove {
        members: Vec<Vec<u8>>,
    },
    SetMembers,
    SetContains {
        member: Vec<u8>,
    },
    SetLength,
}

/// How a value is set.
#[message(name = "sessions.set_options")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetOptions {
    pub expiry: Expiry,
    pub only: SetOnly,
    /// The reply is the value before.
    pub returns_old: bool,
    /// The reply says with 1 or 0 whether it was set.
    pub counts: bool,
}

/// When a value that is set goes away by itself.
#[message(name = "sessions.expiry")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    #[default]
    Never,
    /// When the value before would have.
    Kept,
    Then(Moment),
}

/// A point in time, in milliseconds.
#[message(name = "sessions.moment")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// From now on.
    After(i64),
    /// Since 1970.
    At(i64),
}

/// On which condition a value is set.
#[message(name = "sessions.set_only")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetOnly {
    #[default]
    Always,
    IfAbsent,
    IfPresent,
}

/// On which condition an expiry is set.
#[message(name = "sessions.expire_only")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpireOnly {
    #[default]
    Always,
    IfNever,
    IfSome,
    IfLater,
    IfEarlier,
}

/// In which unit a time is told.
#[message(name = "sessions.unit")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
}
