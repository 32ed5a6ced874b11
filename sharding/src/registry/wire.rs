//! What the registry's actor takes, from actors and clients of its node and from the registries of other nodes.

use mainspring::message::{AnyRef, Message as Sendable};
use mainspring::prelude::*;

use super::column::{Change, Changes, Registered, Update};
use super::listing::Listing;
use super::message::Message;
use super::service_key::ServiceKey;

/// What the registry's actor takes.
#[message(name = "mainspring.registry.request")]
#[derive(Clone, Debug)]
pub enum RegistryRequest {
    /// Register an actor of this node. It is taken out when it ends.
    Register {
        /// The service.
        name: String,
        /// The actor.
        actor: AnyRef,
        /// Who wants to know how that ended.
        reply_to: Option<ActorRef<RegisterOutcome>>,
    },
    /// Take an actor of this node out of a service.
    Deregister {
        /// The service.
        name: String,
        /// The actor.
        actor: AnyRef,
    },
    /// Tell this actor who offers a service, now and whenever that changes. It is forgotten when it ends.
    Subscribe {
        /// The service.
        name: String,
        /// What its actors take.
        fingerprint: u64,
        /// Who wants to know.
        subscriber: ActorRef<Listing>,
    },
    /// Tell it no more.
    Unsubscribe {
        /// The service.
        name: String,
        /// What its actors take.
        fingerprint: u64,
        /// Who does not want to know any more.
        subscriber: ActorRef<Listing>,
    },
    /// Say who offers a service, once.
    Find {
        /// The service.
        name: String,
        /// What its actors take.
        fingerprint: u64,
        /// Who wants to know.
        reply_to: ActorRef<Listing>,
    },
    /// The registry of another node says something.
    Said {
        /// Which node.
        from: u32,
        /// What.
        word: Word,
    },
    /// Time has passed.
    Tick,
}

impl RegistryRequest {
    /// To register an actor under a key.
    pub fn register<M: Sendable>(
        key: &ServiceKey<M>,
        actor: ActorRef<M>,
        reply_to: Option<ActorRef<RegisterOutcome>>,
    ) -> Self {
        let (name, actor) = (key.name().to_owned(), AnyRef::of(actor));
        RegistryRequest::Register { name, actor, reply_to }
    }

    /// To find the actors of a key.
    pub fn find<M: Sendable>(key: &ServiceKey<M>, reply_to: ActorRef<Listing>) -> Self {
        let (name, fingerprint) = (key.name().to_owned(), M::FINGERPRINT);
        RegistryRequest::Find { name, fingerprint, reply_to }
    }
}

/// What became of a registration.
#[message(name = "mainspring.registry.register_outcome")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterOutcome {
    /// This node knows it now; others will soon.
    Registered,
    /// Nothing changed.
    Refused {
        /// Why: a [`RegisterError`](super::RegisterError), as it is shown.
        why: String,
    },
}

/// [`Message`], as it travels, but for whole columns.
#[message(name = "mainspring.registry.word")]
#[derive(Clone, Debug)]
pub enum Word {
    /// As [`Message::Digest`].
    Digest {
        /// Of the versions.
        digest: u64,
    },
    /// As [`Message::Versions`].
    Versions {
        /// Of each member.
        versions: Vec<(u32, u64)>,
        /// Whether it wants no answer.
        is_answer: bool,
        /// Who takes whole columns.
        columns: ActorRef<WholeColumn>,
    },
    /// As [`Changes`].
    Changes {
        /// Of which node.
        node: u32,
        /// On which version they follow.
        from: u64,
        /// To which they lead.
        to: u64,
        /// The changes.
        changes: Vec<Row>,
    },
}

/// A column as it is. Large, so it goes beside what is urgent.
#[message(bulk, name = "mainspring.registry.whole_column")]
#[derive(Clone, Debug)]
pub struct WholeColumn {
    /// Who sends it.
    pub from: u32,
    /// Of which node.
    pub node: u32,
    /// At which version.
    pub version: u64,
    /// Its entries.
    pub entries: Vec<Row>,
}

/// A [`Change`] as it travels.
#[message(name = "mainspring.registry.row")]
#[derive(Clone, Debug)]
pub struct Row {
    /// The version that it made.
    pub version: u64,
    /// The service.
    pub name: String,
    /// Whose entry.
    pub actor: AnyRef,
    /// Whether it is there.
    pub is_there: bool,
}

impl Registered for AnyRef {
    fn node(&self) -> u32 {
        self.address().node()
    }

    fn fingerprint(&self) -> u64 {
        AnyRef::fingerprint(*self)
    }
}

/// What is sent for a message of the machine.
pub(super) enum Parcel {
    Word(Word),
    Whole(WholeColumn),
}

pub(super) fn parcel_of(
    me: u32,
    message: Message<AnyRef>,
    columns: ActorRef<WholeColumn>,
) -> Parcel {
    match message {
        Message::Digest { digest } => Parcel::Word(Word::Digest { digest }),
        Message::Versions { versions, is_answer } => {
            Parcel::Word(Word::Versions { versions, is_answer, columns })
        }
        Message::Update { node, update: Update::Changes(Changes { from, to, changes }) } => {
            let changes = changes.into_iter().map(row_of).collect();
            Parcel::Word(Word::Changes { node, from, to, changes })
        }
        Message::Update { node, update: Update::Whole { version, entries } } => {
            let entries = entries.into_iter().map(row_of).collect();
            Parcel::Whole(WholeColumn { from: me, node, version, entries })
        }
    }
}

pub(super) fn message_of(word: Word) -> Message<AnyRef> {
    match word {
        Word::Digest { digest } => Message::Digest { digest },
        Word::Versions { versions, is_answer, .. } => Message::Versions { versions, is_answer },
        Word::Changes { node, from, to, changes } => {
            let changes = changes.into_iter().map(change_of).collect();
            Message::Update { node, update: Update::Changes(Changes { from, to, changes }) }
        }
    }
}

pub(super) fn message_of_whole(whole: WholeColumn) -> Message<AnyRef> {
    let entries = whole.entries.into_iter().map(change_of).collect();
    let update = Update::Whole { version: whole.version, entries };
    Message::Update { node: whole.node, update }
}

fn row_of(change: Change<AnyRef>) -> Row {
    let Change { version, name, actor, is_there } = change;
    Row { version, name, actor, is_there }
}

fn change_of(row: Row) -> Change<AnyRef> {
    let Row { version, name, actor, is_there } = row;
    Change { version, name, actor, is_there }
}
