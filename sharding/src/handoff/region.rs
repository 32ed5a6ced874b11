//! The shards of one entity type, seen from one place.
//!
//! A message costs one look into a table by shard ([`Region::route`], [`Region::accepts`]) while its shard stays where
//! it is; only messages of a shard that moves come in as inputs.
//!
//! Invariants: the place delivers only between `Open` and its own give-away; the epoch known of a shard never falls;
//! the parked messages of all shards together stay within the settings; a deadline is set whenever an answer is owed.

use std::collections::BTreeSet;

use super::input::Input;
use super::message::{Message, Payload};
use super::output::Output;
use super::parked::Ledger;
use super::route::{Line, Route};
use super::settings::{Flaw, Settings};
use super::slot::{Slot, State};
use crate::ownership::{Epoch, Home, Ownership, StoreRequest};

/// The moment of one input, and where its outputs go.
pub(super) struct Turn<'a, H, P> {
    pub now_ns: u64,
    pub outputs: &'a mut Vec<Output<H, P>>,
}

impl<H, P> Turn<'_, H, P> {
    pub fn push(&mut self, output: Output<H, P>) {
        self.outputs.push(output);
    }

    pub fn send(&mut self, to: H, message: Message<H, P>) {
        self.push(Output::Send { to, message });
    }
}

/// Which deadline of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    State,
    Relay,
}

/// What a region has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Messages given back because too much was parked.
    pub refused_full: u64,
    /// Messages given back because their epoch was over, or their shard does not exist.
    pub refused_stale: u64,
    /// Messages given back because a place went away.
    pub refused_owner_gone: u64,
    /// Messages between places that were not acted on: of lower epochs, or of shards that do not exist.
    pub ignored: u64,
    /// Shards given away.
    pub given_away: u64,
    /// Moves that were given up.
    pub resumed: u64,
    /// Shards lost to a takeover.
    pub taken_over: u64,
    /// Shards whose entities had to be killed.
    pub killed: u64,
}

/// The shards of one entity type at one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region<H, P> {
    pub(super) me: H,
    /// All places, this one too; in order.
    pub(super) places: Vec<H>,
    pub(super) settings: Settings,
    /// Whether the others were there before: what is still on its way from them may be older than this place.
    pub(super) is_newcomer: bool,
    pub(super) slots: Vec<Slot<H, P>>,
    pub(super) lines: Vec<Line<H>>,
    /// Of each line, whether its route is [`Route::Here`]: what most messages need to know, in little memory.
    pub(super) is_here: Vec<bool>,
    pub(super) timers: BTreeSet<(u64, u32, Timer)>,
    pub(super) ledger: Ledger,
    pub(super) counters: Counters,
}

impl<H: Home, P: Payload> Region<H, P> {
    /// A region that knows no owner yet and begins together with the others. `places` are all places, `me` among them
    /// or not.
    pub fn new(
        me: H,
        places: impl IntoIterator<Item = H>,
        shard_count: u32,
        settings: Settings,
    ) -> Region<H, P> {
        let mut places: Vec<H> = places.into_iter().chain([me]).collect();
        places.sort_unstable();
        places.dedup();
        let line = Line { route: Route::Park, open_at: Epoch::NONE };
        Region {
            me,
            places,
            settings,
            is_newcomer: false,
            slots: (0..shard_count).map(|_| Slot::new()).collect(),
            lines: vec![line; shard_count as usize],
            is_here: vec![false; shard_count as usize],
            timers: BTreeSet::new(),
            ledger: Ledger::default(),
            counters: Counters::default(),
        }
    }

    /// A region of a place that joins others, which know of it already ([`Input::PlaceJoined`]). It asks the store
    /// about every shard that it has never known before it believes what it is told.
    pub fn joining(
        me: H,
        places: impl IntoIterator<Item = H>,
        shard_count: u32,
        settings: Settings,
    ) -> Region<H, P> {
        Region { is_newcomer: true, ..Region::new(me, places, shard_count, settings) }
    }

    /// The way of a message that is sent here. The caller goes it at once, before the next input.
    #[inline]
    pub fn route(&self, shard: u32) -> Route<H> {
        self.lines.get(shard as usize).map_or(Route::Park, |line| line.route)
    }

    /// Whether that is [`Route::Here`].
    #[inline]
    pub fn is_here(&self, shard: u32) -> bool {
        self.is_here.get(shard as usize).is_some_and(|is_here| *is_here)
    }

    /// Whether a message from another place that names `epoch` may be delivered at once. If not, it is an input.
    #[inline]
    pub fn accepts(&self, shard: u32, epoch: Epoch) -> bool {
        let Some(line) = self.lines.get(shard as usize) else { return false };
        let is_loose = self.settings.lacks(Flaw::AcceptsAnyEpoch) && line.open_at != Epoch::NONE;
        epoch != Epoch::NONE && line.open_at == epoch || is_loose
    }

    /// Something happened; what is to be done is pushed.
    pub fn handle(&mut self, now_ns: u64, input: Input<H, P>, outputs: &mut Vec<Output<H, P>>) {
        let turn = &mut Turn { now_ns, outputs };
        match input {
            Input::Arrived { from, shard, epoch, payload } => {
                self.arrived(turn, from, shard, epoch, payload);
            }
            Input::Message { from, message } => self.message(turn, from, message),
            Input::EntitiesStopped { shard, step } if self.is_current(shard, step) => {
                self.entities_stopped(turn, shard);
            }
            Input::Sealed { shard, step, last_sequence } if self.is_current(shard, step) => {
                self.sealed(turn, shard, last_sequence);
            }
            Input::StoreAnswered { shard, step, answer } if self.is_current(shard, step) => {
                self.store_answered(turn, shard, answer);
            }
            Input::Learned { shard, ownership } if self.has(shard) => {
                self.learn(turn, shard, ownership);
            }
            Input::PlaceJoined(place) => {
                if let Err(at) = self.places.binary_search(&place) {
                    self.places.insert(at, place);
                }
            }
            Input::PlaceGone(place) => self.place_gone(turn, place),
            Input::Tick => self.tick(turn),
            _ => self.counters.ignored += 1,
        }
    }

    /// When the region wants a tick.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.timers.first().map(|(due_ns, ..)| *due_ns)
    }

    /// The record of a shard, as far as this place knows.
    pub fn ownership(&self, shard: u32) -> Option<Ownership<H>> {
        self.slots.get(shard as usize).and_then(|slot| slot.known)
    }

    /// Whether the shard is this place's and no earlier move of it is unfinished: it may move.
    pub fn is_settled(&self, shard: u32) -> bool {
        self.slots
            .get(shard as usize)
            .is_some_and(|slot| matches!(slot.state, State::Owned { unsettled: None }))
    }

    /// How many shards the entity type has.
    pub fn shard_count(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Messages that wait here or are not yet acknowledged by a new owner: how many, and their bytes.
    pub fn parked(&self) -> (usize, usize) {
        (self.ledger.messages, self.ledger.bytes)
    }

    /// What was counted since the region was made.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn message(&mut self, turn: &mut Turn<'_, H, P>, from: H, message: Message<H, P>) {
        if !self.has(message.shard()) {
            self.counters.ignored += 1;
            return;
        }
        match message {
            Message::HandOff { shard, epoch, to } => self.hand_off(turn, from, shard, epoch, to),
            Message::BeginHandOff { shard, epoch } => self.hold(turn, shard, epoch),
            Message::HostShard { shard, ownership, .. } => {
                self.host_shard(turn, from, shard, ownership);
            }
            Message::ShardStarted { shard, ownership } => {
                self.shard_started(turn, shard, ownership);
            }
            Message::Forward { shard, epoch, first, items } => {
                self.forwarded(turn, from, shard, epoch, first, items);
            }
            Message::ForwardAcknowledged { shard, epoch, next } => {
                self.acknowledged(turn, shard, epoch, next);
            }
            Message::Flush { shard, epoch, origin } => {
                self.flush(turn, from, shard, epoch, origin);
            }
            Message::NotOwner { shard, ownership } => self.hear_of(turn, shard, ownership),
            // For a coordinator that stands at this place.
            Message::ShardStopped { .. } | Message::Resumed { .. } | Message::Busy { .. } => {}
        }
    }

    fn tick(&mut self, turn: &mut Turn<'_, H, P>) {
        while let Some(&(due_ns, shard, timer)) = self.timers.first() {
            if due_ns > turn.now_ns {
                return;
            }
            self.set_timer(shard, timer, None);
            match timer {
                Timer::State => self.state_due(turn, shard),
                Timer::Relay => self.relay_due(turn, shard),
            }
        }
    }

    fn state_due(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        match &self.slot(shard).state {
            State::Unknown { .. } => self.read_again(turn, shard),
            State::Elsewhere { .. } => self.let_go(turn, shard),
            State::Starting => self.seal(turn, shard),
            State::Owned { .. } => self.ask_for_flushes(turn, shard),
            State::Draining { .. } => self.kill(turn, shard),
            State::Sealing { .. } => self.seal(turn, shard),
            State::GivingAway { .. } => self.doubt(turn, shard),
            State::AwaitingStart { .. } => self.offer(turn, shard),
        }
    }

    /// A seal at the epoch known, asked for until it is answered.
    pub(super) fn seal(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let slot = self.slot(shard);
        turn.push(Output::Seal { shard, epoch: slot.epoch(), step: slot.step });
        self.retry_later(turn, shard);
    }

    fn sealed(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, last_sequence: u64) {
        match self.slot(shard).state {
            State::Starting => self.start(turn, shard),
            State::Sealing { order } => self.give_away(turn, shard, order, last_sequence),
            _ => self.counters.ignored += 1,
        }
    }

    pub(super) fn ask_store(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        request: StoreRequest<H>,
    ) {
        let step = self.slot_mut(shard).next_step();
        turn.push(Output::Store { step, request });
        self.retry_later(turn, shard);
    }

    pub(super) fn retry_later(&mut self, turn: &Turn<'_, H, P>, shard: u32) {
        let due_ns = turn.now_ns.saturating_add(self.settings.retry_ns());
        self.set_timer(shard, Timer::State, Some(due_ns));
    }

    pub(super) fn set_timer(&mut self, shard: u32, timer: Timer, due_ns: Option<u64>) {
        let slot = &mut self.slots[shard as usize];
        let kept = match timer {
            Timer::State => &mut slot.state_due_ns,
            Timer::Relay => &mut slot.relay_due_ns,
        };
        if let Some(before_ns) = std::mem::replace(kept, due_ns) {
            self.timers.remove(&(before_ns, shard, timer));
        }
        if let Some(due_ns) = due_ns {
            self.timers.insert((due_ns, shard, timer));
        }
    }

    /// The only place where a shard's state changes: its line in the table follows, and its deadline ends.
    pub(super) fn enter(&mut self, shard: u32, state: State<H>) {
        self.set_timer(shard, Timer::State, None);
        let slot = self.slot_mut(shard);
        slot.state = state;
        slot.first_step = slot.step + 1;
        self.refresh(shard);
    }

    /// The line of the table, from the slot.
    pub(super) fn refresh(&mut self, shard: u32) {
        let slot = self.slot(shard);
        let epoch = slot.epoch();
        let mut line = Line { route: Route::Park, open_at: Epoch::NONE };
        match (&slot.state, slot.known) {
            (State::Owned { unsettled: None }, _) => {
                line = Line { route: Route::Here, open_at: epoch };
            }
            (State::Owned { unsettled: Some(unsettled) }, _) if unsettled.is_flushed(self.me) => {
                line.route = Route::Here;
            }
            (State::Elsewhere { is_held: false }, Some(known)) => {
                line.route = Route::There(known.owner, epoch);
            }
            _ => {}
        }
        self.is_here[shard as usize] = line.route == Route::Here;
        self.lines[shard as usize] = line;
    }

    pub(super) fn slot(&self, shard: u32) -> &Slot<H, P> {
        &self.slots[shard as usize]
    }

    pub(super) fn slot_mut(&mut self, shard: u32) -> &mut Slot<H, P> {
        &mut self.slots[shard as usize]
    }

    pub(super) fn has(&self, shard: u32) -> bool {
        (shard as usize) < self.slots.len()
    }

    fn is_current(&self, shard: u32, step: u64) -> bool {
        self.slots
            .get(shard as usize)
            .is_some_and(|slot| (slot.first_step..=slot.step).contains(&step))
    }
}
