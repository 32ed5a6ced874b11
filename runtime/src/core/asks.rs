//! Asks: questions whose answer comes back as a turn of the asker.
//!
//! No temporary actor and no allocation: the reply address names a slot of a bounded table, which holds the asker,
//! its continuation and the timer of the deadline. A reply that comes after the deadline finds another generation
//! in the slot and is counted, never delivered to someone else.

use super::Core;
use super::cold::Phase;
use super::dead_letters::Reason;
use super::dispatch::Continuation;
use super::local_queue::RawFrame;
use super::schedule::Due;
use super::stash::Held;
use super::timers::TimerId;
use crate::frame::foreign::MessageInfo;

/// Stands in place of an ask's slot where an actor is suspended for a ticket; no table is so long.
pub(crate) const TICKET_SLOT: u32 = u32::MAX;

/// Why an ask got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No answer came before the deadline. Whether the request was handled is not known.
    #[error("no answer before the deadline; whether the request was handled is not known")]
    Timeout,
    /// The request was not sent: the way to the receiver is full. Nothing changed; ask again later.
    #[error("the request was not sent: the queue to the receiver is full; ask again later")]
    Full,
    /// The request was not sent: as many asks as the core's limit allows wait for answers.
    #[error(
        "the request was not sent: too many asks wait for answers on this core; raise limits.asks"
    )]
    TooMany,
}

impl AskError {
    pub(crate) const fn number(self) -> usize {
        match self {
            AskError::Timeout => 0,
            AskError::Full => 1,
            AskError::TooMany => 2,
        }
    }

    pub(crate) const fn from_number(number: usize) -> Self {
        match number {
            1 => AskError::Full,
            2 => AskError::TooMany,
            _ => AskError::Timeout,
        }
    }
}

struct Ask {
    generation: u32,
    asker: u64,
    continuation: Option<Continuation>,
    timer: TimerId,
}

/// The table of asks of one core.
pub(crate) struct Asks {
    table: Vec<Ask>,
    free: Vec<u32>,
    limit: usize,
}

impl Asks {
    pub fn new(limit: usize) -> Self {
        Asks { table: Vec::new(), free: Vec::new(), limit }
    }

    /// Asks that wait for an answer.
    pub fn waiting(&self) -> usize {
        self.table.len() - self.free.len()
    }

    /// Takes a slot: its number and generation.
    #[inline]
    fn insert(
        &mut self,
        asker: u64,
        continuation: Continuation,
        timer: TimerId,
    ) -> Option<(u32, u32)> {
        if let Some(slot) = self.free.pop() {
            let ask = &mut self.table[slot as usize];
            ask.asker = asker;
            ask.continuation = Some(continuation);
            ask.timer = timer;
            return Some((slot, ask.generation));
        }
        if self.table.len() >= self.limit {
            return None;
        }
        self.table.push(Ask { generation: 1, asker, continuation: Some(continuation), timer });
        Some((self.table.len() as u32 - 1, 1))
    }

    #[inline]
    fn find(&self, slot: u32, generation: u32) -> Option<&Ask> {
        let ask = self.table.get(slot as usize)?;
        (ask.generation == generation && ask.continuation.is_some()).then_some(ask)
    }

    /// Frees a slot; what was in it if the generation matches.
    #[inline]
    fn take(&mut self, slot: u32, generation: u32) -> Option<(u64, Continuation, TimerId)> {
        let ask = self.table.get_mut(slot as usize)?;
        if ask.generation != generation {
            return None;
        }
        let continuation = ask.continuation.take()?;
        ask.generation = ask.generation.wrapping_add(1);
        self.free.push(slot);
        Some((ask.asker, continuation, ask.timer))
    }

    /// What the question in a slot takes for an answer.
    pub fn answer_of(&self, slot: u32, generation: u32) -> Option<&'static MessageInfo> {
        self.find(slot, generation)?.continuation.map(|continuation| continuation.answer)
    }

    fn of(&self, asker: u64) -> Vec<(u32, u32)> {
        let asks = self.table.iter().enumerate();
        asks.filter(|(_, ask)| ask.asker == asker && ask.continuation.is_some())
            .map(|(slot, ask)| (slot as u32, ask.generation))
            .collect()
    }
}

impl Core {
    /// Prepares an ask of the running turn; `None` at the limit.
    #[inline]
    pub(crate) fn open_ask(
        &mut self,
        asker: u64,
        continuation: Continuation,
        deadline_ns: u64,
    ) -> Option<(u32, u32)> {
        let (slot, generation) = self.asks.insert(asker, continuation, TimerId::NONE)?;
        match self.timers.insert(deadline_ns, Due::Ask { slot, generation }.into()) {
            Ok(timer) => self.asks.table[slot as usize].timer = timer,
            Err(_) => {
                self.asks.take(slot, generation);
                return None;
            }
        }
        self.opened_asks.push((slot, generation));
        Some((slot, generation))
    }

    /// Gives up an ask without telling the asker.
    pub(crate) fn close_ask(&mut self, slot: u32, generation: u32) {
        if let Some((_, _, timer)) = self.asks.take(slot, generation) {
            self.timers.cancel(timer);
        }
    }

    /// All asks of an actor whose life has ended.
    pub(crate) fn close_asks_of(&mut self, asker: u64) {
        if self.asks.waiting() == 0 {
            return;
        }
        for (slot, generation) in self.asks.of(asker) {
            self.close_ask(slot, generation);
        }
    }

    /// An answer has come.
    #[inline]
    pub(crate) fn reply(&mut self, frame: RawFrame) {
        let (slot, generation) = (frame.header.slot(), frame.header.generation());
        let Some(ask) = self.asks.find(slot, generation) else {
            self.counters.late_replies += 1;
            return self.discard(Reason::LateReply, frame);
        };
        let asker = ask.asker;
        if self.slots.is_plain(asker) {
            let Some((_, continuation, timer)) = self.asks.take(slot, generation) else { return };
            self.timers.cancel(timer);
            self.run_answer(asker, continuation, frame);
        } else {
            self.reply_to_busy(asker, slot, generation, frame);
        }
    }

    /// An answer for an actor that is suspended, or gone, or takes its frames the long way for another reason.
    #[cold]
    #[inline(never)]
    fn reply_to_busy(&mut self, asker: u64, slot: u32, generation: u32, frame: RawFrame) {
        if self.must_wait(asker, slot, generation) {
            return self.hold(asker, frame);
        }
        let Some((_, continuation, timer)) = self.asks.take(slot, generation) else { return };
        self.timers.cancel(timer);
        let resumed = self.resume_from_ask(asker, slot, generation);
        self.run_answer(asker, continuation, frame);
        if resumed {
            self.replay(asker);
        }
    }

    /// The deadline of an ask has passed, or its request could not be sent.
    pub(crate) fn fail_ask(&mut self, slot: u32, generation: u32, number: usize) {
        let Some(ask) = self.asks.find(slot, generation) else { return };
        let asker = ask.asker;
        if self.must_wait(asker, slot, generation) {
            if let Some(cold) = self.slots.cold_mut(asker) {
                cold.stash.hold_back(Held::AskFailed(slot, generation, number));
            }
            return;
        }
        let Some((_, continuation, timer)) = self.asks.take(slot, generation) else { return };
        self.timers.cancel(timer);
        let resumed = self.resume_from_ask(asker, slot, generation);
        self.observe_note(asker, "ask failed");
        self.run_failed_answer(asker, continuation, number);
        if resumed {
            self.replay(asker);
        }
    }

    /// The request of an ask was not sent: its asker is told in a turn of its own, if that life of it still is.
    pub(crate) fn ask_refused(
        &mut self,
        me: u64,
        life: u32,
        continuation: Continuation,
        error: AskError,
    ) {
        self.in_its_turn(me, life, move |core| {
            core.run_failed_answer(me, continuation, error.number());
        });
    }

    /// Whether the asker is suspended for something else than this ask.
    #[inline]
    fn must_wait(&self, asker: u64, slot: u32, generation: u32) -> bool {
        match self.slots.cold(asker) {
            None => false,
            Some(cold) => match cold.phase {
                Phase::Running => false,
                Phase::Suspended => cold.awaited != Some((slot, generation)),
                Phase::Restarting | Phase::Stopping => true,
            },
        }
    }

    /// Ends the suspension of an exclusive ask, if this is the one.
    #[inline]
    fn resume_from_ask(&mut self, asker: u64, slot: u32, generation: u32) -> bool {
        let Some(cold) = self.slots.cold_if_any(asker) else { return false };
        if cold.awaited != Some((slot, generation)) {
            return false;
        }
        cold.awaited = None;
        cold.phase = Phase::Running;
        self.refresh_unusual(asker);
        true
    }

    /// A turn that a device owes: now, which ends a suspension for this ticket, or when the actor takes messages again,
    /// or not at all.
    pub(crate) fn redeem_in_its_turn(
        &mut self,
        me: u64,
        life: u32,
        number: u32,
        turn: impl FnOnce(&mut Core) + 'static,
    ) {
        if self.life_of(me) != life {
            return;
        }
        if self.slots.is_plain(me) {
            return turn(self);
        }
        if self.must_wait(me, TICKET_SLOT, number) {
            return self.in_its_turn(me, life, turn);
        }
        let resumed = self.resume_from_ask(me, TICKET_SLOT, number);
        turn(self);
        if resumed {
            self.replay(me);
        }
    }

    /// From the end of this turn on, the asker handles nothing but this answer.
    pub(crate) fn suspend_for(&mut self, asker: u64, slot: u32, generation: u32) {
        if slot != TICKET_SLOT && self.asks.find(slot, generation).is_none() {
            return;
        }
        if let Some(cold) = self.slots.cold_mut(asker)
            && cold.phase == Phase::Running
        {
            cold.phase = Phase::Suspended;
            cold.awaited = Some((slot, generation));
            self.refresh_unusual(asker);
        }
    }

    /// The long way is needed while the actor is not simply running.
    pub(crate) fn refresh_unusual(&mut self, me: u64) {
        self.slots.refresh_unusual(me, |cold| {
            cold.phase != Phase::Running || cold.receive_timeout.is_some()
        });
    }
}
