//! Which entities run is recorded in the journal: what a region does when one starts and when one ends.
//!
//! An entity is recorded by the core whose log has its events. Where its shard is on that core too, its record is taken
//! by the log in the turn that starts it. Where the shard is elsewhere, the other core's region is asked first, and the
//! entity starts when it answers; what comes for the entity meanwhile is kept. It is the same while the journal takes
//! nothing: an entity waits for its record, but not longer than [`PATIENCE_NS`], and not at all when the journal has no
//! room; then it runs without one, and is counted.
//!
//! What ends the record: the entity has ended of itself, has asked to be stopped, or has left because there were too
//! many. What does not: a failure, a move, the end of the node.

use mainspring::message::Message;
use mainspring::prelude::*;
use mainspring_journal::device::{CommitFailed, Committed};

use super::envelope::Envelope;
use super::recorder::{Asked, Waiting};
use super::region::Region;
use crate::entities::{EntityKey, Slot, State, ToEntityKey};
use crate::remember::Noted;

/// How long an entity waits for its record.
const PATIENCE_NS: u64 = 1_000_000_000;

/// Starts of other cores that wait for their records.
const ASKED_LIMIT: usize = 65_536;

/// The end of an entity that is to be recorded.
pub(super) struct End {
    shard: u32,
    id: Box<[u8]>,
}

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    /// Whether an entity may be started now. Otherwise it is started when its record is there.
    pub(super) fn may_start(&mut self, ctx: &mut Context<'_, Self>, slot: Slot) -> bool {
        if self.recorder.is_none() {
            return true;
        }
        let resident = {
            let tables = self.hosting.tables.borrow();
            let resident = tables.residents.get(slot);
            resident.map(|resident| (Box::<[u8]>::from(resident.id), resident.shard))
        };
        let Some((id, shard)) = resident else { return false };
        let Ok(key) = id.to_entity_key() else { return true };
        let Some(recorder) = &mut self.recorder else { return true };
        recorder.leaving.remove(&slot);
        let (home, epoch) = (recorder.home_of(&key), self.epoch_of(shard));
        let until_ns = ctx.now_ns() + PATIENCE_NS;
        if home != self.place.core {
            return !self.ask_home(ctx, home, Waiting { slot, shard, id, until_ns }, epoch);
        }
        match self.note_start(ctx, shard, &key, epoch) {
            Noted::Recorded => true,
            Noted::LeftOut => {
                self.count(|figures| figures.not_recorded += 1);
                true
            }
            Noted::Waits => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.waiting_here.push_back(Waiting { slot, shard, id, until_ns });
                }
                false
            }
        }
    }

    /// Asks the core that has the log of an entity to record it. Whether it is to be waited for.
    fn ask_home(
        &mut self,
        ctx: &mut Context<'_, Self>,
        home: u16,
        waiting: Waiting,
        epoch: u64,
    ) -> bool {
        let Some(recorder) = &mut self.recorder else { return false };
        let Waiting { slot, shard, id, until_ns } = waiting;
        let (from, number) = (self.place.core, recorder.last_number + 1);
        recorder.last_number = number;
        recorder.waiting_there.insert(number, (slot, until_ns));
        let starts = Envelope::Starts { from, number, shard, epoch, id: id.into_vec() };
        let home = self.hosting.peers.place(home);
        let is_sent = self.send_to_peer(ctx, home, (starts, Vec::new()));
        if !is_sent {
            self.count(|figures| figures.not_recorded += 1);
            if let Some(recorder) = &mut self.recorder {
                recorder.waiting_there.remove(&number);
            }
        }
        is_sent
    }

    /// An entity starts, and its record belongs into the log of this core.
    fn note_start(
        &mut self,
        ctx: &mut Context<'_, Self>,
        shard: u32,
        key: &EntityKey<'_>,
        epoch: u64,
    ) -> Noted {
        let Some(recorder) = &mut self.recorder else { return Noted::LeftOut };
        let noted = recorder.store.started(ctx.now_ns(), shard, key.as_bytes(), epoch);
        if noted != Noted::Waits {
            return noted;
        }
        self.write_records(ctx);
        let Some(recorder) = &self.recorder else { return Noted::LeftOut };
        match recorder.store.is_recorded(shard, key.as_bytes()) {
            true => Noted::Recorded,
            false if recorder.has_no_room => Noted::LeftOut,
            false => Noted::Waits,
        }
    }

    /// Another core is about to start an entity whose record belongs into the log of this one.
    pub(super) fn start_asked(
        &mut self,
        ctx: &mut Context<'_, Self>,
        (from, number): (u16, u64),
        (shard, epoch): (u32, u64),
        id: &[u8],
    ) {
        let Ok(key) = id.to_entity_key() else { return };
        let noted = self.note_start(ctx, shard, &key, epoch);
        match &mut self.recorder {
            Some(recorder) if noted == Noted::Waits && recorder.asked.len() < ASKED_LIMIT => {
                let until_ns = ctx.now_ns() + PATIENCE_NS / 2;
                recorder.asked.push_back(Asked { from, number, shard, id: id.into(), until_ns });
            }
            _ => self.answer_start(ctx, from, number, noted == Noted::Recorded),
        }
    }

    fn answer_start(
        &mut self,
        ctx: &mut Context<'_, Self>,
        to: u16,
        number: u64,
        is_recorded: bool,
    ) {
        let answer = Envelope::Recorded { number, is_recorded };
        // One that is lost is not waited for longer than the other core's patience.
        let to = self.hosting.peers.place(to);
        let _ = self.send_to_peer(ctx, to, (answer, Vec::new()));
    }

    /// Another core says whether it has recorded an entity that waits for it here.
    pub(super) fn start_answered(
        &mut self,
        ctx: &mut Context<'_, Self>,
        number: u64,
        is_recorded: bool,
    ) {
        let waiting = self.recorder.as_mut().and_then(|it| it.waiting_there.remove(&number));
        if let Some((slot, _)) = waiting {
            self.start_waiting(ctx, slot, is_recorded);
        }
    }

    /// An entity has waited for its record.
    fn start_waiting(&mut self, ctx: &mut Context<'_, Self>, slot: Slot, is_recorded: bool) {
        let is_starting = {
            let tables = self.hosting.tables.borrow();
            let resident = tables.residents.get(slot);
            resident.is_some_and(|it| it.state == State::Starting && it.value.is_none())
        };
        if is_starting {
            if !is_recorded {
                self.count(|figures| figures.not_recorded += 1);
            }
            self.start_with_kept(ctx, slot);
        }
    }

    /// The end of an entity that is not to be started again by itself: to be asked before it is gone. One that asked to
    /// be stopped while it was being stopped for a move counts too.
    pub(super) fn end_of(&mut self, slot: Slot, actor: Address, reason: StopReason) -> Option<End> {
        self.remembered.as_ref()?;
        let tables = &mut *self.hosting.tables.borrow_mut();
        let asked = &mut tables.asked_to_stop;
        let place = asked.iter().position(|it| *it == actor);
        let has_asked = place.map(|place| asked.swap_remove(place)).is_some();
        let recorder = self.recorder.as_mut();
        let is_leaving = recorder.is_some_and(|it| it.leaving.remove(&slot)) || has_asked;
        let resident = tables.residents.get(slot)?;
        let shard = resident.shard;
        // Those of a shard that moves are stopped, and go on elsewhere.
        let is_over = resident.state == State::Active && !self.draining.contains_key(&shard);
        let is_end = reason == StopReason::Stopped && (is_leaving || is_over);
        is_end.then(|| End { shard, id: resident.id.into() })
    }

    /// An entity is gone, and is not to be started again by itself.
    pub(super) fn record_end(&mut self, ctx: &mut Context<'_, Self>, end: End) {
        let End { shard, id } = end;
        let epoch = self.epoch_of(shard);
        if self.draining.contains_key(&shard)
            && let Some(remembered) = &mut self.remembered
        {
            remembered.forget(shard, &id);
        }
        let (Ok(key), Some(recorder)) = (id.to_entity_key(), &mut self.recorder) else { return };
        let home = recorder.home_of(&key);
        if home == self.place.core {
            return recorder.store.ended(ctx.now_ns(), shard, &id, epoch);
        }
        let ended = Envelope::Ended { shard, epoch, id: id.into_vec() };
        let home = self.hosting.peers.place(home);
        if !self.send_to_peer(ctx, home, (ended, Vec::new())) {
            self.count(|figures| figures.not_recorded += 1);
        }
    }

    /// Another core says that an entity is gone whose record is here.
    pub(super) fn end_told(&mut self, now_ns: u64, (shard, epoch): (u32, u64), id: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.store.ended(now_ns, shard, id, epoch);
        }
    }

    /// An entity has to leave, or has asked to: when it is gone it is not to be started again by itself.
    pub(super) fn leaves(&mut self, slot: Slot) {
        if let Some(recorder) = &mut self.recorder {
            recorder.leaving.insert(slot);
        }
    }

    /// Writes what is due, and starts those who have waited for it.
    pub(super) fn write_records(&mut self, ctx: &mut Context<'_, Self>) {
        let now_ns = ctx.now_ns();
        let Some(recorder) = &mut self.recorder else { return };
        let events = recorder.write(now_ns, false);
        if let Some(place) = recorder.write_snapshot(now_ns) {
            let ticket = ctx.ticket(Self::snapshot_written);
            recorder.journal.wait(place, ticket);
        }
        let is_decided = events > 0 || recorder.has_no_room;
        let is_waited_for = !(recorder.waiting_here.is_empty() && recorder.asked.is_empty());
        self.count(|figures| figures.records_written += events);
        if is_decided && is_waited_for {
            self.start_recorded(ctx);
        }
    }

    /// Starts those who have waited for their records: because they are there, or for long enough.
    pub(super) fn start_recorded(&mut self, ctx: &mut Context<'_, Self>) {
        let now_ns = ctx.now_ns();
        let Some(recorder) = &mut self.recorder else { return };
        let (store, has_no_room) = (&recorder.store, recorder.has_no_room);
        let mut started = Vec::new();
        recorder.waiting_here.retain(|waiting| {
            let is_recorded = store.is_recorded(waiting.shard, &waiting.id);
            let is_over = is_recorded || has_no_room || waiting.until_ns <= now_ns;
            if is_over {
                started.push((waiting.slot, is_recorded));
            }
            !is_over
        });
        while let Some(first) = recorder.waiting_there.first_entry()
            && first.get().1 <= now_ns
        {
            started.push((first.remove().0, false));
        }
        let mut answered = Vec::new();
        recorder.asked.retain(|asked| {
            let is_recorded = store.is_recorded(asked.shard, &asked.id);
            let is_over = is_recorded || has_no_room || asked.until_ns <= now_ns;
            if is_over {
                answered.push((asked.from, asked.number, is_recorded));
            }
            !is_over
        });
        for (slot, is_recorded) in started {
            self.start_waiting(ctx, slot, is_recorded);
        }
        for (from, number, is_recorded) in answered {
            self.answer_start(ctx, from, number, is_recorded);
        }
    }

    fn snapshot_written(
        &mut self,
        ctx: &mut Context<'_, Self>,
        written: Result<Committed, CommitFailed>,
    ) -> Next<Self> {
        let sequence = written.ok().and_then(|committed| {
            committed.records().next().map(|record| record.header.entity_sequence)
        });
        if let (Some(recorder), Some(sequence)) = (&mut self.recorder, sequence) {
            recorder.snapshot_durable(ctx.now_ns(), sequence);
        }
        Next::Same
    }

    fn epoch_of(&self, shard: u32) -> u64 {
        let tables = self.hosting.tables.borrow();
        tables.shards.ownership(shard).map_or(0, |ownership| ownership.epoch.0)
    }
}
