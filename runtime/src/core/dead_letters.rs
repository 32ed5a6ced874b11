//! Dead letters: what could not be delivered, counted by reason, and published to whoever subscribed.

use super::control::Control;
use super::{Core, PLACE_MASK};
use crate::address::{ActorRef, Address};
use crate::frame::Header;

/// Most actors that are told of dead letters, per core.
pub(crate) const SUBSCRIBERS_LIMIT: usize = 64;

/// Most dead letters of one sweep that subscribers are told of. Those beyond it are only counted.
pub(crate) const UNPUBLISHED_LIMIT: usize = 4096;

/// Why a message was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// The queue or ring to the receiver was full.
    Full,
    /// No actor lives at the address any more, or ever did.
    NoActor,
    /// The actor is stopping.
    Stopping,
    /// The actor's stash had no room.
    StashFull,
    /// The actor's type does not have this port.
    UnknownPort,
    /// The frame is of a kind that this version does not know.
    UnknownKind,
    /// The address is of another node, and no route leads there.
    NoRoute,
    /// The address is of a core that the node does not have.
    NoCore,
    /// The client is gone.
    ClientGone,
    /// The message is larger than any queue takes.
    Oversized,
    /// The turn that handled it failed.
    TurnFailed,
    /// An answer came after the deadline of its ask.
    LateReply,
    /// The node was shutting down.
    Shutdown,
    /// The node that sent it has another type of this name, or another type altogether.
    SchemaMismatch,
    /// Its bytes, from another node, are no message of its type.
    Malformed,
}

impl Reason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Reason; 15] = [
        Reason::Full,
        Reason::NoActor,
        Reason::Stopping,
        Reason::StashFull,
        Reason::UnknownPort,
        Reason::UnknownKind,
        Reason::NoRoute,
        Reason::NoCore,
        Reason::ClientGone,
        Reason::Oversized,
        Reason::TurnFailed,
        Reason::LateReply,
        Reason::Shutdown,
        Reason::SchemaMismatch,
        Reason::Malformed,
    ];

    /// As metrics and logs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Full => "full",
            Reason::NoActor => "no_actor",
            Reason::Stopping => "stopping",
            Reason::StashFull => "stash_full",
            Reason::UnknownPort => "unknown_port",
            Reason::UnknownKind => "unknown_kind",
            Reason::NoRoute => "no_route",
            Reason::NoCore => "no_core",
            Reason::ClientGone => "client_gone",
            Reason::Oversized => "oversized",
            Reason::TurnFailed => "turn_failed",
            Reason::LateReply => "late_reply",
            Reason::Shutdown => "shutdown",
            Reason::SchemaMismatch => "schema_mismatch",
            Reason::Malformed => "malformed",
        }
    }

    const fn number(self) -> usize {
        self as usize
    }

    fn from_number(number: u8) -> Option<Reason> {
        Reason::ALL.get(number as usize).copied()
    }
}

/// News of a message that was not delivered, for actors that subscribed: see
/// [`Context::subscribe_dead_letters`](crate::context::Context::subscribe_dead_letters).
#[crate::message]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// [`Reason`] as a number.
    reason: u8,
    /// Where the message was to go: node, core and port.
    to: u64,
    /// Where the message was to go: slot and generation.
    me: u64,
    /// Payload bytes of the message.
    pub payload_bytes: u64,
}

impl DeadLetter {
    /// Why the message was not delivered.
    pub fn reason(&self) -> Option<Reason> {
        Reason::from_number(self.reason)
    }

    /// Where it was to go.
    pub fn receiver(&self) -> Address {
        Address::from_words(self.to, self.me)
    }
}

impl ArchivedDeadLetter {
    /// Why the message was not delivered.
    pub fn reason(&self) -> Option<Reason> {
        Reason::from_number(self.reason)
    }

    /// Where it was to go.
    pub fn receiver(&self) -> Address {
        Address::from_words(self.to.to_native(), self.me.to_native())
    }
}

/// Counters by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeadLetters([u64; Reason::ALL.len()]);

impl DeadLetters {
    /// Dead letters for one reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason.number()]
    }

    /// All dead letters.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, reason: Reason, count: u64) {
        self.0[reason.number()] += count;
    }
}

impl Core {
    /// Counts a message for this core that was not delivered, and tells the subscribers.
    #[cold]
    pub(crate) fn count_dead_letter(&mut self, reason: Reason, header: Header, bytes: usize) {
        let to = self.place | (header.port() as u64) << 48;
        self.dead_letter(reason, Address::from_words(to, header.word1), bytes);
    }

    /// Counts a message that was not delivered, and tells the subscribers.
    #[cold]
    pub(crate) fn dead_letter(&mut self, reason: Reason, to: Address, payload_bytes: usize) {
        self.counters.dead_letters.add(reason, 1);
        self.observe_dead_letter(reason, to);
        if self.dead_letter_subscribers.is_empty() || self.publishing_dead_letters {
            return;
        }
        if self.unpublished_dead_letters.len() >= UNPUBLISHED_LIMIT {
            self.counters.dead_letters_unpublished += 1;
            return;
        }
        let (to, me) = to.words();
        let letter =
            DeadLetter { reason: reason as u8, to, me, payload_bytes: payload_bytes as u64 };
        self.unpublished_dead_letters.push(letter);
    }

    /// Tells the subscribers of what was not delivered. Between turns, so that no failing turn takes it back.
    #[cold]
    pub(crate) fn publish_dead_letters(&mut self) {
        // News of a letter that a subscriber could not get would go round for ever: it is only counted.
        self.publishing_dead_letters = true;
        for letter in std::mem::take(&mut self.unpublished_dead_letters) {
            for subscriber in self.dead_letter_subscribers.clone() {
                if same_actor(subscriber.address(), letter.receiver()) {
                    continue;
                }
                if let Err(error) = self.send(subscriber, &letter) {
                    self.tell_failed(subscriber.address(), error);
                }
            }
        }
        self.commit_turn();
        self.publishing_dead_letters = false;
    }

    /// From now on the actor gets a [`DeadLetter`] for each message that this core could not deliver.
    pub(crate) fn subscribe_dead_letters(&mut self, subscriber: ActorRef<DeadLetter>) {
        let known = self.dead_letter_subscribers.contains(&subscriber);
        if known {
            return;
        }
        if self.dead_letter_subscribers.len() >= SUBSCRIBERS_LIMIT {
            self.counters.dead_letter_subscriptions_refused += 1;
            return;
        }
        self.dead_letter_subscribers.push(subscriber);
    }

    /// An actor of this core is gone: no core tells it of dead letters any more.
    pub(crate) fn unsubscribe_dead_letters(&mut self, me: u64) {
        let actor = self.address_of(me);
        let subscribers = &self.dead_letter_subscribers;
        if !subscribers.iter().any(|subscriber| same_actor(subscriber.address(), actor)) {
            return;
        }
        for core in 0..self.cores() {
            let core = Address::new(self.node(), core, 0, 0, 0);
            self.send_control(core, Control::UnsubscribeDeadLetters(actor));
        }
    }

    pub(crate) fn forget_subscriber(&mut self, actor: Address) {
        self.dead_letter_subscribers.retain(|subscriber| !same_actor(subscriber.address(), actor));
    }
}

/// Whether both name the same actor, whatever the port.
fn same_actor(a: Address, b: Address) -> bool {
    let ((a_to, a_me), (b_to, b_me)) = (a.words(), b.words());
    a_me == b_me && a_to & PLACE_MASK == b_to & PLACE_MASK
}
