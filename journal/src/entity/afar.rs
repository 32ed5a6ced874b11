//! What differs for an actor that runs on another core than its log: it sends its records there.

use std::rc::Rc;

use mainspring::prelude::*;

use super::attached::{Attached, Offered};
use super::retake;
use crate::device::afar::{Begun, Desk, FarGroup, Settled};
use crate::device::{CoreJournal, GroupRecord, Refused};
use crate::log::AppendError;
use crate::sourced::PersistRejected;

/// The way to the log of another core.
pub(crate) struct Away {
    pub desk: Rc<Desk>,
    /// The core that has the log.
    pub home: u16,
    /// What the log said when the entity began to be read.
    begun: Option<Begun>,
    /// Why the last records were not written, until their command comes again.
    refused: Option<Refused>,
}

impl Away {
    pub fn new(desk: Rc<Desk>, home: u16) -> Self {
        Away { desk, home, begun: None, refused: None }
    }
}

impl<K> Attached<K> {
    /// Whether the log is another core's.
    pub fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Takes down what the log has said of the entity. The claim is that of the first reading: what has been read since
    /// may be of another epoch.
    pub fn take_begun(&mut self, begun: Option<Begun>) {
        if let (Some(away), Some(begun)) = (&mut self.away, begun)
            && away.begun.is_none()
        {
            away.begun = Some(begun);
            self.shard = begun.shard;
        }
    }

    /// When the entity's latest state was written at the latest, in milliseconds since 1970.
    pub fn state_written_at_ms(&self) -> u64 {
        match self.away.as_deref() {
            Some(away) => away.begun.map_or(u64::MAX, |begun| begun.state_written_at_ms),
            None => self.journal.state_written_at_ms(self.entity.hash()),
        }
    }

    /// Sends records to their log; `then` gets what becomes of them.
    ///
    /// # Errors
    /// [`Refused`]: nothing was sent.
    pub fn send<A, F>(
        &self,
        ctx: &mut Context<'_, A>,
        after: u64,
        records: &[GroupRecord<'_>],
        then: F,
    ) -> Result<(), Refused>
    where
        A: Actor,
        F: Fn(&mut A, &mut Context<'_, A>, Settled) -> Next<A> + Copy + 'static,
    {
        let Some(Away { desk, home, .. }) = self.away.as_deref() else {
            return Err(Refused::NotReady);
        };
        desk.check(*home, records)?;
        let ticket = ctx.ticket(then);
        desk.append(self.far_group(*home, after, records), ticket);
        Ok(())
    }

    /// Sends the records of a command to their log, and lets the actor wait for them, or for room to send them.
    pub fn send_and_wait<A, F>(
        &mut self,
        ctx: &mut Context<'_, A>,
        after: u64,
        records: &[GroupRecord<'_>],
        then: F,
    ) -> Result<Offered, PersistRejected>
    where
        A: Actor,
        F: Fn(&mut A, &mut Context<'_, A>, Settled) -> Next<A> + Copy + 'static,
    {
        let Some(away) = self.away.as_deref_mut() else { return Ok(Offered::Busy) };
        if let Some(refused) = away.refused.take() {
            return Err(refused.into());
        }
        let (desk, home) = (Rc::clone(&away.desk), away.home);
        match desk.check(home, records) {
            Ok(()) => {
                let ticket = ctx.ticket(then);
                ctx.suspend_until(&ticket);
                desk.append(self.far_group(home, after, records), ticket);
                Ok(Offered::Sent)
            }
            Err(Refused::UnderWay { .. }) => {
                let ticket = ctx.ticket(|_: &mut A, _: &mut Context<'_, A>, (): ()| retake());
                ctx.suspend_until(&ticket);
                desk.wait_for_room(ticket);
                Ok(Offered::Busy)
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// The records of a command were surely not written. The command comes again: to be offered once more when that is
    /// all that is in the way, or to learn why not.
    pub fn refused<A: Actor>(&mut self, ctx: &mut Context<'_, A>, refused: Refused) -> Next<A> {
        match refused {
            Refused::NotReady | Refused::Log(AppendError::Busy { .. }) => {
                pause(ctx, &self.journal);
            }
            refused => {
                if let Some(away) = &mut self.away {
                    away.refused = Some(refused);
                }
            }
        }
        Next::Again
    }

    fn far_group<'a>(
        &'a self,
        home: u16,
        after: u64,
        records: &'a [GroupRecord<'a>],
    ) -> FarGroup<'a> {
        FarGroup { home, entity: &self.entity, shard: self.shard, after, records }
    }
}

/// The actor does nothing until the core has looked at its devices.
fn pause<A: Actor>(ctx: &mut Context<'_, A>, journal: &CoreJournal) {
    let ticket = ctx.ticket(|_: &mut A, _: &mut Context<'_, A>, (): ()| Next::Same);
    ctx.suspend_until(&ticket);
    journal.at_next_poll(ticket);
}
