//! The shadow of a device: what it was told to be, and what it last said it is.
//!
//! It is kept whole in the journal and not as events: nobody asks how a reading came about, only what the last one was,
//! and an entity that comes back reads one record, however many updates it had. It counts its updates, so that one that
//! is lost or happens twice is seen from outside.

use mainspring::prelude::*;
use mainspring_journal::sourced::PersistRejected;
use mainspring_journal::{Change, DurableState, state};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::gateway::GatewayMessage;

/// Every so many updates of a device are an operator's wish.
const WISH_EVERY: u32 = 32;

/// What a shadow understands.
#[message]
pub enum ShadowCommand {
    /// An operator wants the device to have a configuration: the one that is named after this update.
    Desire { update: Update },
    /// The device says which configuration it has, and what it measures.
    Report { update: Update, configuration: u32, reading: u64 },
    /// As `Report`, answered though nothing is stored: what the proof has to find.
    Forget { update: Update },
    /// What are you?
    Describe { reply_to: ActorRef<Shadow> },
}

/// What all updates have in common.
#[message]
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Counts the updates of a device, from 1.
    pub number: u32,
    /// By which the sender knows it again.
    pub ticket: u64,
    /// Who wants to know when it is durable.
    pub reply_to: ActorRef<GatewayMessage>,
}

/// The shadow of a device.
#[state(name = "shadow", version = 1)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shadow {
    /// How many updates it had.
    pub updates: u32,
    /// The number of the last one.
    pub number: u32,
    /// The configuration that is wanted.
    pub desired: u32,
    /// The configuration that the device has.
    pub reported: u32,
    /// What the device measured last.
    pub reading: u64,
}

/// Whether the update of this number is an operator's wish. The first is.
pub fn is_wish(number: u32) -> bool {
    number == 1 || number.is_multiple_of(WISH_EVERY)
}

/// The last wish that is not behind the update of this number.
pub fn last_wish(number: u32) -> u32 {
    match number / WISH_EVERY {
        0 => number.min(1),
        wishes => wishes * WISH_EVERY,
    }
}

/// What a device measures for the update of this number.
pub fn reading_of(seed: u64, device: u32, number: u32) -> u64 {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&device.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_le_bytes());
    xxh3_64_with_seed(&bytes, seed)
}

impl Shadow {
    /// After one more update.
    fn updated(&self, update: &ArchivedUpdate) -> Shadow {
        Shadow { updates: self.updates + 1, number: update.number.to_native(), ..*self }
    }

    /// Stores what the update leads to, and says so when it is durable.
    fn store(&self, update: &ArchivedUpdate, next: Shadow) -> Change<Self> {
        let (ticket, number) = (update.ticket.to_native(), update.number.to_native());
        if number <= self.number {
            return Change::reply(update.reply_to, GatewayMessage::Overtaken { ticket });
        }
        Change::store(next).then_run(answer(update))
    }
}

/// Tells the sender that its update is there.
fn answer(
    update: &ArchivedUpdate,
) -> impl FnOnce(&Shadow, &mut Context<'_, mainspring_journal::Stored<Shadow>>) + 'static {
    let (ticket, reply_to) = (update.ticket.to_native(), update.reply_to);
    move |shadow, ctx| {
        let (core, handled_ns, desired) = (ctx.core(), ctx.now_ns(), shadow.desired);
        let answer = GatewayMessage::Acknowledged { ticket, core, handled_ns, desired };
        ctx.tell(reply_to, &answer);
    }
}

impl DurableState for Shadow {
    type Command = ShadowCommand;

    fn on_command(&self, command: &Archived<ShadowCommand>) -> Change<Self> {
        match command {
            ArchivedShadowCommand::Desire { update } => {
                let next = Shadow { desired: update.number.to_native(), ..self.updated(update) };
                self.store(update, next)
            }
            ArchivedShadowCommand::Report { update, configuration, reading } => {
                let (reported, reading) = (configuration.to_native(), reading.to_native());
                self.store(update, Shadow { reported, reading, ..self.updated(update) })
            }
            ArchivedShadowCommand::Forget { update } => Change::none().then_run(answer(update)),
            ArchivedShadowCommand::Describe { reply_to } => Change::reply(*reply_to, *self),
        }
    }

    fn on_rejected(&self, command: &Archived<ShadowCommand>, _: &PersistRejected) -> Change<Self> {
        match command {
            ArchivedShadowCommand::Desire { update }
            | ArchivedShadowCommand::Report { update, .. }
            | ArchivedShadowCommand::Forget { update } => {
                let ticket = update.ticket.to_native();
                Change::reply(update.reply_to, GatewayMessage::Rejected { ticket })
            }
            ArchivedShadowCommand::Describe { .. } => Change::none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_update_is_a_wish_and_every_thirty_second_one_after_it() {
        let wishes: Vec<u32> = (1..=96).filter(|number| is_wish(*number)).collect();
        assert_eq!(wishes, [1, 32, 64, 96]);
        for number in 0..200 {
            let last = (1..=number).rev().find(|number| is_wish(*number)).unwrap_or(0);
            assert_eq!(last_wish(number), last, "{number}");
        }
    }
}
