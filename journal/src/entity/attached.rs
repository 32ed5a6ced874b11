//! An actor's place at its core's journal.

use std::ops::Range;
use std::rc::Rc;

use mainspring::actor::Behavior;
use mainspring::device::Ticket;
use mainspring::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::EntityId;
use super::afar::Away;
use crate::device::afar::{Begun, Desk, FarReading};
use crate::device::{
    CommitFailed, Committed, CoreJournal, Found, FoundRecord, ReadFailed, ReadingId, Refused,
    ShardClaim,
};
use crate::format::dictionary::EntityEntry;
use crate::log::{AppendError, DeclaredEntity};
use crate::sourced::{PersistRejected, RecoveryFailed};

/// What an actor has when it has found its journal. `K` is what all actors of its type on a core have in common.
pub(crate) struct Attached<K> {
    pub journal: Rc<CoreJournal>,
    pub kind: Rc<K>,
    pub entity: DeclaredEntity,
    /// Taken before the entity is read, so that nobody else can have written since.
    pub shard: ShardClaim,
    /// The way to the log, when another core has it.
    pub away: Option<Box<Away>>,
}

/// What became of records that were offered to the journal and not refused.
pub(crate) enum Offered {
    /// They will be durable, or the actor is told that nobody knows.
    Taken,
    /// They were sent to the core of their log: the actor is told what becomes of them, and its command waits until
    /// then.
    Sent,
    /// Too much waits; the command is to be tried again.
    Busy,
}

impl Offered {
    /// How the turn ends.
    pub fn next<A: Actor>(self) -> Next<A> {
        match self {
            Offered::Taken => Next::Same,
            Offered::Sent => Next::Keep,
            Offered::Busy => Next::Stash,
        }
    }
}

impl<K: 'static> Attached<K> {
    /// Finds the journal of the entity, which may be another core's, and what is known there of this type of actor.
    pub fn find<A: Actor>(
        ctx: &Context<'_, A>,
        type_name: &str,
        id: &EntityId,
        make: impl FnOnce(&CoreJournal) -> Result<K, RecoveryFailed>,
    ) -> Result<Self, RecoveryFailed> {
        let core = ctx.core();
        let journal = ctx.shared::<CoreJournal>().ok_or(RecoveryFailed::NoJournal { core })?;
        let entity = DeclaredEntity::new(type_name, id.as_bytes())?;
        let shard = shard_of(id, journal.shard_count());
        let home = journal.home_of(shard);
        let away = match ctx.shared::<Desk>() {
            _ if home == core => None,
            Some(desk) => Some(Box::new(Away::new(desk, home))),
            None => return Err(RecoveryFailed::OnAnotherCore { home, core }),
        };
        let kind = journal.kind::<A, K>(make)?;
        let shard = journal.claim(shard);
        Ok(Attached { journal, kind, entity, shard, away })
    }

    /// Lets the actor wait for its records, or for room to offer them again.
    pub fn wait<A, F>(
        &self,
        ctx: &mut Context<'_, A>,
        taken: Result<(u64, Range<u64>), PersistRejected>,
        then: F,
    ) -> Result<Offered, PersistRejected>
    where
        A: Actor,
        F: Fn(&mut A, &mut Context<'_, A>, Result<Committed, CommitFailed>) -> Next<A>
            + Copy
            + 'static,
    {
        match taken {
            Ok(place) => {
                let ticket = ctx.ticket(then);
                ctx.suspend_until(&ticket);
                self.journal.wait(place, ticket);
                Ok(Offered::Taken)
            }
            Err(PersistRejected::Journal(
                Refused::Log(AppendError::Busy { .. }) | Refused::NotReady,
            )) => {
                let ticket = ctx.ticket(|_: &mut A, _: &mut Context<'_, A>, (): ()| retake());
                ctx.suspend_until(&ticket);
                self.journal.wait_for_room(ticket);
                Ok(Offered::Busy)
            }
            Err(rejected) => Err(rejected),
        }
    }

    /// Compares the name that stands in the journal with the entity's own: records are found by the name's hash, and
    /// ids can be chosen that have the same one.
    pub fn check_name(&self, id: &EntityId, name: &FoundRecord<'_>) -> Result<(), RecoveryFailed> {
        match &name.record {
            Ok(record) if record.payload == self.entity.payload() => Ok(()),
            Ok(record) => Err(RecoveryFailed::SameHash { other: other_name(record.payload) }),
            Err(error) => {
                // The records are whole, or are found not to be: what is lost with the name is a check.
                tracing::warn!(%id, %error, "the name of an entity is damaged and was not compared");
                Ok(())
            }
        }
    }

    /// Begins to read the entity: its latest state below a number, and what stands behind it.
    pub fn read<A, F>(&self, ctx: &mut Context<'_, A>, below: u64, then: F) -> ReadingGuard
    where
        A: Actor,
        F: Fn(&mut A, &mut Context<'_, A>, Result<Found, ReadFailed>) -> Next<A> + Copy + 'static,
    {
        let ticket = ctx.ticket(then);
        ctx.suspend_until(&ticket);
        let entity = self.entity.hash();
        if let Some(Away { desk, home, .. }) = self.away.as_deref() {
            let shard = self.shard.number;
            return ReadingGuard::Far(desk.read(*home, (entity, shard), below, ticket));
        }
        if let Some(desk) = ctx.shared::<Desk>() {
            desk.overtake(ctx.now_ns(), entity);
        }
        let reading = self.journal.read(ctx.now_ns(), entity, below, ticket);
        ReadingGuard::Near(NearReading { journal: Rc::clone(&self.journal), reading })
    }

    /// The entity's last number in the log; known with the first records when another core has the log.
    pub fn sequence(&self) -> u64 {
        if self.is_away() { 0 } else { self.journal.sequence_of(self.entity.hash()) }
    }
}

/// Whose records they are, for people.
fn other_name(payload: &[u8]) -> String {
    match EntityEntry::decode(payload) {
        Ok(EntityEntry { entity_type, id }) => format!("`{entity_type}` {}", id.escape_ascii()),
        Err(_) => "an entity whose name cannot be read".to_owned(),
    }
}

/// A reading that ends with the one who reads.
pub(crate) enum ReadingGuard {
    Near(NearReading),
    Far(FarReading),
}

/// A reading of the core's own log.
pub(crate) struct NearReading {
    journal: Rc<CoreJournal>,
    reading: ReadingId,
}

impl ReadingGuard {
    /// Asks for the next records.
    ///
    /// # Errors
    /// The ticket: the reading is over, or took too long.
    pub fn read_on(
        &self,
        ticket: Ticket<Result<Found, ReadFailed>>,
    ) -> Result<(), Ticket<Result<Found, ReadFailed>>> {
        match self {
            ReadingGuard::Near(near) => near.journal.read_on(near.reading, ticket),
            ReadingGuard::Far(far) => far.read_on(ticket),
        }
    }

    /// What another core's log said of the entity when the reading began.
    pub fn begun(&self) -> Option<Begun> {
        match self {
            ReadingGuard::Near(_) => None,
            ReadingGuard::Far(far) => far.begun(),
        }
    }
}

impl Drop for NearReading {
    fn drop(&mut self) {
        self.journal.cancel_read(self.reading);
    }
}

/// Commands that were kept for later come again.
pub(crate) fn retake<A: Actor>() -> Next<A> {
    Next::Become(Behavior::of(
        |actor: &mut A, ctx: &mut Context<'_, A>, command: &Archived<A::Message>| {
            actor.receive(ctx, command)
        },
    ))
}

/// The actor fails in a turn of its own, so that what this turn has sent goes out.
pub(crate) fn fail_next<A: Actor>(
    ctx: &mut Context<'_, A>,
    journal: Option<&CoreJournal>,
) -> Next<A> {
    let Some(journal) = journal else { return Next::Fault };
    let ticket = ctx.ticket(|_: &mut A, _: &mut Context<'_, A>, (): ()| Next::Fault);
    ctx.suspend_until(&ticket);
    journal.at_next_poll(ticket);
    Next::Same
}

/// The shard of an entity: XXH3-64 of its id.
pub(crate) fn shard_of(id: &EntityId, shard_count: u32) -> u32 {
    (xxh3_64(id.as_bytes()) % u64::from(shard_count.max(1))) as u32
}
