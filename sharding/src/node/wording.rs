//! From the hand-off's words to what travels, and back.

use mainspring::message::Enclosed;
use mainspring::prelude::*;

use super::envelope::{
    Answer, ArchivedAnswer, ArchivedItem, ArchivedQuestion, ArchivedRecord, ArchivedWord, Item,
    Question, Record, Word,
};
use super::parcel::Parcel;
use crate::handoff::{self, Content, Message};
use crate::ownership::{Epoch, Ownership, Place, StoreAnswer, StoreRefusal, StoreRequest};

/// What is said, and the payloads that travel beside it.
pub(super) fn word_of<M>(message: Message<Place, Parcel<M>>) -> (Word, Vec<Enclosed<M>>) {
    let mut enclosed = Vec::new();
    let word = match message {
        Message::HandOff { shard, epoch, to } => Word::HandOff { shard, epoch: epoch.0, to },
        Message::BeginHandOff { shard, epoch } => Word::BeginHandOff { shard, epoch: epoch.0 },
        Message::HostShard { shard, ownership, last_sequence } => {
            Word::HostShard { shard, ownership: ownership.into(), last_sequence }
        }
        Message::ShardStarted { shard, ownership } => {
            Word::ShardStarted { shard, ownership: ownership.into() }
        }
        Message::ShardStopped { shard, ownership } => {
            Word::ShardStopped { shard, ownership: ownership.into() }
        }
        Message::Resumed { shard, ownership } => {
            Word::Resumed { shard, ownership: ownership.into() }
        }
        Message::Forward { shard, epoch, first, items } => {
            let items = items.into_iter().map(|item| match item.content {
                Content::Flush => Item { origin: item.origin, id: None },
                Content::Payload(parcel) => {
                    enclosed.push(parcel.message);
                    Item { origin: item.origin, id: Some(parcel.id.into_vec()) }
                }
            });
            Word::Forward { shard, epoch: epoch.0, first, items: items.collect() }
        }
        Message::ForwardAcknowledged { shard, epoch, next } => {
            Word::ForwardAcknowledged { shard, epoch: epoch.0, next }
        }
        Message::Flush { shard, epoch, origin } => Word::Flush { shard, epoch: epoch.0, origin },
        Message::NotOwner { shard, ownership } => {
            Word::NotOwner { shard, ownership: ownership.into() }
        }
        Message::Busy { shard, epoch } => Word::Busy { shard, epoch: epoch.0 },
    };
    (word, enclosed)
}

/// What was said. `None` when the payloads that should come with it did not.
pub(super) fn message_of<M>(
    word: &ArchivedWord,
    enclosed: &[Archived<Enclosed<M>>],
) -> Option<Message<Place, Parcel<M>>> {
    Some(match word {
        ArchivedWord::HandOff { shard, epoch, to } => {
            let (shard, to) = (shard.to_native(), to.into());
            Message::HandOff { shard, epoch: Epoch(epoch.to_native()), to }
        }
        ArchivedWord::BeginHandOff { shard, epoch } => {
            Message::BeginHandOff { shard: shard.to_native(), epoch: Epoch(epoch.to_native()) }
        }
        ArchivedWord::HostShard { shard, ownership, last_sequence } => Message::HostShard {
            shard: shard.to_native(),
            ownership: ownership.into(),
            last_sequence: last_sequence.as_ref().map(|last| last.to_native()),
        },
        ArchivedWord::ShardStarted { shard, ownership } => {
            Message::ShardStarted { shard: shard.to_native(), ownership: ownership.into() }
        }
        ArchivedWord::ShardStopped { shard, ownership } => {
            Message::ShardStopped { shard: shard.to_native(), ownership: ownership.into() }
        }
        ArchivedWord::Resumed { shard, ownership } => {
            Message::Resumed { shard: shard.to_native(), ownership: ownership.into() }
        }
        ArchivedWord::Forward { shard, epoch, first, items } => Message::Forward {
            shard: shard.to_native(),
            epoch: Epoch(epoch.to_native()),
            first: first.to_native(),
            items: items_of(items, enclosed)?,
        },
        ArchivedWord::ForwardAcknowledged { shard, epoch, next } => Message::ForwardAcknowledged {
            shard: shard.to_native(),
            epoch: Epoch(epoch.to_native()),
            next: next.to_native(),
        },
        ArchivedWord::Flush { shard, epoch, origin } => Message::Flush {
            shard: shard.to_native(),
            epoch: Epoch(epoch.to_native()),
            origin: origin.into(),
        },
        ArchivedWord::NotOwner { shard, ownership } => {
            Message::NotOwner { shard: shard.to_native(), ownership: ownership.into() }
        }
        ArchivedWord::Busy { shard, epoch } => {
            Message::Busy { shard: shard.to_native(), epoch: Epoch(epoch.to_native()) }
        }
    })
}

fn items_of<M>(
    items: &[ArchivedItem],
    enclosed: &[Archived<Enclosed<M>>],
) -> Option<Vec<handoff::Item<Place, Parcel<M>>>> {
    let mut enclosed = enclosed.iter();
    let items = items.iter().map(|item| {
        let content = match item.id.as_ref() {
            None => Content::Flush,
            Some(id) => {
                let message = enclosed.next()?.view().keep();
                Content::Payload(Parcel { id: id.as_slice().into(), message })
            }
        };
        Some(handoff::Item { origin: (&item.origin).into(), content })
    });
    items.collect()
}

impl From<Ownership<Place>> for Record {
    fn from(ownership: Ownership<Place>) -> Self {
        let Ownership { owner, epoch, given_by } = ownership;
        Record { owner, epoch: epoch.0, given_by }
    }
}

impl From<&ArchivedRecord> for Ownership<Place> {
    fn from(record: &ArchivedRecord) -> Self {
        Ownership {
            owner: (&record.owner).into(),
            epoch: Epoch(record.epoch.to_native()),
            given_by: record.given_by.as_ref().map(Place::from),
        }
    }
}

impl From<StoreRequest<Place>> for Question {
    fn from(request: StoreRequest<Place>) -> Self {
        match request {
            StoreRequest::Read { shard } => Question::Read { shard },
            StoreRequest::GiveAway { shard, expected, to } => {
                Question::GiveAway { shard, expected: expected.0, to }
            }
            StoreRequest::TakeOver { shard, expected, to } => {
                Question::TakeOver { shard, expected: expected.0, to }
            }
        }
    }
}

impl From<&ArchivedQuestion> for StoreRequest<Place> {
    fn from(question: &ArchivedQuestion) -> Self {
        match question {
            ArchivedQuestion::Read { shard } => StoreRequest::Read { shard: shard.to_native() },
            ArchivedQuestion::GiveAway { shard, expected, to } => StoreRequest::GiveAway {
                shard: shard.to_native(),
                expected: Epoch(expected.to_native()),
                to: to.into(),
            },
            ArchivedQuestion::TakeOver { shard, expected, to } => StoreRequest::TakeOver {
                shard: shard.to_native(),
                expected: Epoch(expected.to_native()),
                to: to.into(),
            },
        }
    }
}

impl From<StoreAnswer<Place>> for Answer {
    fn from(answer: StoreAnswer<Place>) -> Self {
        match answer {
            StoreAnswer::Found(record) => Answer::Found(record.map(Record::from)),
            StoreAnswer::Changed(record) => Answer::Changed(record.into()),
            StoreAnswer::Unknown => Answer::Unknown,
            StoreAnswer::Refused { reason, current } => {
                let current = current.map(Record::from);
                match reason {
                    StoreRefusal::EpochChanged => Answer::EpochChanged(current),
                    StoreRefusal::TargetAbsent => Answer::TargetAbsent(current),
                    StoreRefusal::OwnerPresent => Answer::OwnerPresent(current),
                    StoreRefusal::NoSuchShard => Answer::NoSuchShard(current),
                }
            }
        }
    }
}

impl From<&ArchivedAnswer> for StoreAnswer<Place> {
    fn from(answer: &ArchivedAnswer) -> Self {
        let (reason, current) = match answer {
            ArchivedAnswer::Found(record) => {
                return StoreAnswer::Found(record.as_ref().map(Ownership::from));
            }
            ArchivedAnswer::Changed(record) => return StoreAnswer::Changed(record.into()),
            ArchivedAnswer::Unknown => return StoreAnswer::Unknown,
            ArchivedAnswer::EpochChanged(current) => (StoreRefusal::EpochChanged, current),
            ArchivedAnswer::TargetAbsent(current) => (StoreRefusal::TargetAbsent, current),
            ArchivedAnswer::OwnerPresent(current) => (StoreRefusal::OwnerPresent, current),
            ArchivedAnswer::NoSuchShard(current) => (StoreRefusal::NoSuchShard, current),
        };
        StoreAnswer::Refused { reason, current: current.as_ref().map(Ownership::from) }
    }
}
