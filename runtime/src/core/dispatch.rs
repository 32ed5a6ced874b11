//! Dispatch: from a frame to a turn of the actor it is for.
//!
//! The common frame costs one compare of the header's upper half, one compare of the receiver's word, and one
//! indirect call into a function that is monomorphised for actor and handler. Everything else takes the cold way,
//! [`Core::unusual`].
//!
//! Invariants: turns never nest, because nothing that a turn may call dispatches; so the state of the actor whose
//! turn it is has exactly one mutable reference. A turn's effects appear together when it returns
//! ([`Core::commit_turn`]), or not at all ([`Core::abort_turn`]).

mod entries;
mod sent;

use entries::{AGAIN, FAULT, KEEP, STASH, STOP, begin, conjure, encode, state};
pub(crate) use entries::{
    Continuation, SAME, drop_state, enter, port, receive, signal, start, stopped, turn,
};
pub(crate) use sent::Sent;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::cell::{Cell, CellHead, Entry, UNUSUAL};
use super::cold::Phase;
use super::dead_letters::Reason;
use super::local_queue::RawFrame;
use super::names::FindName;
use super::observe::Outcome;
use super::stash::{Held, StoredFrame};
use super::{Core, KIND_SAMPLE, KIND_STOP, KIND_USER};
use crate::actor::{Actor, Failure, Next, Signal};
use crate::address::{PORT_NAMES, PORT_REPLY};
use crate::context::Context;
use crate::device::TurnEnd;
use crate::frame::archive;
use crate::frame::{FLAG_FOREIGN, Header};

/// Turns between two looks at the clock.
pub(crate) const WINDOW_TURNS: u64 = 64;

/// Actors above which cells are prefetched in groups.
const PREFETCH_ABOVE_ACTORS: usize = 4096;
const PREFETCH_GROUP: usize = 16;

/// Calls `cold` with a copy of the message's bytes, so that the message's own address never leaves the hot path.
#[inline(always)]
pub(crate) fn shielded<M, T>(message: &M, cold: impl FnOnce(&M) -> T) -> T {
    // SAFETY: the copy is read only while the original is borrowed, and is never dropped.
    let copy = std::mem::ManuallyDrop::new(unsafe { std::ptr::read(message) });
    cold(&copy)
}

impl Core {
    /// Runs up to `budget` turns from the local queue; how many these were.
    pub(crate) fn drain_local(&mut self, budget: u64) -> u64 {
        let mut turns = 0;
        let group = self.slots.live() > PREFETCH_ABOVE_ACTORS;
        loop {
            let end = self.stretch_end(turns, budget);
            // Many spawns in one sweep must not pile up starts: those are handled first in the next one.
            while turns < end && self.control.len() < self.limits.control_budget {
                if group && turns % PREFETCH_GROUP as u64 == 0 {
                    self.prefetch();
                }
                let Some(frame) = self.queue.next() else { return turns };
                self.dispatch(frame);
                turns += 1;
                if turns % WINDOW_TURNS == 0 {
                    self.close_window(WINDOW_TURNS);
                }
            }
            if turns < end || end == budget {
                return turns;
            }
        }
    }

    /// Runs the turn that a frame asks for.
    #[inline(always)]
    pub(crate) fn dispatch(&mut self, frame: RawFrame) {
        let me = frame.header.word1;
        let cell = self.slots.cell(me as u32);
        // SAFETY: table entries and the tombstone are valid heads.
        let (found, entry) = unsafe { ((*cell.as_ptr()).me, (*cell.as_ptr()).entry) };
        if frame.header.word0 >> 32 == 0 && found == me {
            if self.observed && self.look_at(me, frame.header) {
                return self.unusual(frame);
            }
            self.last_turn = me;
            let bytes = frame.header.len() as usize;
            let run = AssertUnwindSafe(|| {
                // SAFETY: the word matched, so the cell is live; senders write the receiver's message type.
                unsafe { entry(self, cell, frame.payload, bytes) }
            });
            let result = catch_unwind(run);
            self.returned(me, result, Some(frame));
        } else if frame.header.word0 >> 32 == PORT_REPLY as u64 {
            self.reply(frame);
        } else {
            self.unusual(frame);
        }
    }

    /// Loads what the next frames will need, so that their cache misses overlap.
    #[inline]
    fn prefetch(&self) {
        let mut slots = [0u32; PREFETCH_GROUP];
        let found = self.queue.peek_slots(&mut slots);
        for slot in &slots[..found] {
            let cell = self.slots.cell(*slot).as_ptr();
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a prefetch reads nothing that the program can see; the address is a valid head.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(cell.cast());
                _mm_prefetch::<_MM_HINT_T0>(cell.cast::<i8>().add(64));
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = cell;
        }
    }

    /// Everything that is not a user's message to an idle, healthy actor on its main port.
    #[cold]
    #[inline(never)]
    pub(crate) fn unusual(&mut self, frame: RawFrame) {
        let header = frame.header;
        if header.kind() == KIND_SAMPLE {
            return self.take_sample(frame.bytes());
        }
        if header.flags() & FLAG_FOREIGN != 0 {
            return self.take_foreign(frame);
        }
        if header.kind() == KIND_STOP {
            return self.stop_in_turn(header.word1);
        }
        if header.kind() != KIND_USER {
            return self.count_dead_letter(Reason::UnknownKind, header, frame.payload_len());
        }
        if header.flags() & super::FLAG_LARGE != 0 {
            return self.unbox(frame);
        }
        if header.port() == PORT_REPLY {
            return self.reply(frame);
        }
        if header.port() == PORT_NAMES {
            // SAFETY: only questions for names are sent to this port, and those of other nodes were checked.
            let question = unsafe { archive::root::<FindName>(frame.payload, frame.payload_len()) };
            return self.answer_name(question);
        }
        let me = header.word1;
        let Some(cell) = self.slots.find(me) else {
            return self.undeliverable(Reason::NoActor, frame);
        };
        // SAFETY: `find` gave a live head.
        let unusual = unsafe { (*cell.as_ptr()).me } & UNUSUAL != 0;
        if unusual {
            let now_ns = self.now_ns;
            if let Some(cold) = self.slots.cold_if_any(me) {
                match cold.phase {
                    Phase::Stopping => return self.undeliverable(Reason::Stopping, frame),
                    Phase::Suspended | Phase::Restarting => return self.hold(me, frame),
                    Phase::Running => cold.last_message_ns = now_ns,
                }
            }
        }
        let entry = if header.port() == 0 {
            // SAFETY: `find` gave a live head.
            unsafe { (*cell.as_ptr()).entry }
        } else {
            // SAFETY: as above.
            let type_id = unsafe { (*cell.as_ptr()).actor.type_id };
            match self.ports.entry(header.port(), type_id) {
                Some(entry) => entry,
                None => return self.undeliverable(Reason::UnknownPort, frame),
            }
        };
        self.run(me, cell, entry, frame);
    }

    /// One turn with a frame, outside the fast path.
    fn run(&mut self, me: u64, cell: NonNull<CellHead>, entry: Entry, frame: RawFrame) {
        // An actor that has not started does so in a turn of its own, then gets its message.
        if self.unstarted(me).is_some() {
            self.start_actor(me);
            return self.unusual(frame);
        }
        self.observe_turn(me, frame.header);
        self.last_turn = me;
        let began_ns = self.begin_timed_turn();
        let bytes = frame.header.len() as usize;
        let injected = self.injected_panic(me);
        let run = AssertUnwindSafe(|| {
            if injected {
                std::panic::panic_any("panic injected by the simulation");
            }
            // SAFETY: the cell is live; the entry belongs to its actor type, and the payload to the entry's message.
            unsafe { entry(self, cell, frame.payload, bytes) }
        });
        let result = catch_unwind(run);
        self.end_timed_turn(me, began_ns);
        self.returned(me, result, Some(frame));
    }

    /// One turn of an asker with the answer it waited for.
    #[inline]
    pub(crate) fn run_answer(&mut self, me: u64, continuation: Continuation, frame: RawFrame) {
        let Some(cell) = self.slots.find(me) else { return };
        if self.observed {
            return self.run_answer_looked_at(me, cell, continuation, frame);
        }
        let bytes = frame.header.len() as usize;
        let run = AssertUnwindSafe(|| {
            // SAFETY: the cell is live; the continuation was made for this actor and for the reply's type.
            unsafe { (continuation.entry)(self, cell, frame.payload, bytes) }
        });
        let result = catch_unwind(run);
        self.returned(me, result, None);
    }

    /// The same while somebody looks on, or the turn is timed.
    #[cold]
    #[inline(never)]
    fn run_answer_looked_at(
        &mut self,
        me: u64,
        cell: NonNull<CellHead>,
        continuation: Continuation,
        frame: RawFrame,
    ) {
        self.observe_turn(me, frame.header);
        let began_ns = self.begin_timed_turn();
        let bytes = frame.header.len() as usize;
        let run = AssertUnwindSafe(|| {
            // SAFETY: the caller found the cell alive; the continuation is that of the fast way.
            unsafe { (continuation.entry)(self, cell, frame.payload, bytes) }
        });
        let result = catch_unwind(run);
        self.end_timed_turn(me, began_ns);
        self.returned(me, result, None);
    }

    /// One turn of an asker that gets no answer.
    pub(crate) fn run_failed_answer(&mut self, me: u64, continuation: Continuation, number: usize) {
        self.run_bare(me, continuation.entry, number);
    }

    /// One turn without a frame: `entry` gets a null payload and `number`.
    fn run_bare(&mut self, me: u64, entry: Entry, number: usize) {
        let Some(cell) = self.slots.find_whole(me) else { return };
        self.observe_begin(me);
        let run = AssertUnwindSafe(|| {
            // SAFETY: the cell is live, and callers pass an entry of its actor type that accepts a null payload.
            unsafe { entry(self, cell, std::ptr::null(), number) }
        });
        let result = catch_unwind(run);
        self.returned(me, result, None);
    }

    /// Runs the actor's first turn, once. An actor that is to restart or to stop before it does not start.
    pub(crate) fn start_actor(&mut self, me: u64) {
        let runs = self.slots.cold(me).is_none_or(|cold| cold.phase == Phase::Running);
        if runs && let Some(start) = self.unstarted(me) {
            self.observe_note(me, "started");
            self.run_bare(me, start, 0);
            self.refresh_unusual(me);
        }
    }

    /// The first turn of an actor, if it is still to come.
    fn unstarted(&self, me: u64) -> Option<Entry> {
        let cell = self.slots.find_whole(me)?;
        // SAFETY: the cell is live.
        let (entry, start) = unsafe { ((*cell.as_ptr()).entry, (*cell.as_ptr()).actor.start) };
        std::ptr::fn_addr_eq(entry, start).then_some(start)
    }

    /// A turn with a signal, unless the actor is busy otherwise: then it is held.
    pub(crate) fn deliver_signal(&mut self, me: u64, signal: Signal) {
        // What happens in its start decides whether it takes the signal now.
        self.start_actor(me);
        if let Some(cold) = self.slots.cold_if_any(me) {
            match cold.phase {
                Phase::Stopping => return,
                Phase::Suspended | Phase::Restarting => {
                    return cold.stash.hold_back(Held::Signal(signal));
                }
                Phase::Running => {}
            }
        }
        let Some(cell) = self.slots.find_whole(me) else { return };
        self.observe_signal(me, &signal);
        let run = AssertUnwindSafe(|| {
            // SAFETY: the cell is live and `signal` is its actor type's own entry.
            unsafe { ((*cell.as_ptr()).actor.signal)(self, cell, &signal) }
        });
        let result = catch_unwind(run);
        self.returned(me, result, None);
    }

    /// The last turn of an actor that had a first one. Its failure is logged and changes nothing.
    pub(crate) fn run_stopped(&mut self, me: u64) {
        if self.unstarted(me).is_some() {
            return;
        }
        let Some(cell) = self.slots.find_whole(me) else { return };
        self.observe_begin(me);
        let run = AssertUnwindSafe(|| {
            // SAFETY: the cell is live and `stopped` is its actor type's own entry.
            unsafe { ((*cell.as_ptr()).actor.stopped)(self, cell) }
        });
        match catch_unwind(run) {
            Ok(()) => self.commit_turn(),
            Err(panic) => {
                self.abort_turn();
                self.log_failure(me, &failure_of(panic));
            }
        }
    }

    /// Runs `turn` on the actor's state if it is alive and an `A`: results of asynchronous and blocking work.
    pub(crate) fn turn_with<A: Actor>(
        &mut self,
        me: u64,
        turn: impl FnOnce(&mut A, &mut Context<'_, A>) -> Next<A>,
    ) {
        let Some(cell) = self.slots.find_whole(me) else { return };
        // SAFETY: the cell is live.
        if unsafe { (*cell.as_ptr()).actor.type_id } != std::any::TypeId::of::<A>() {
            return;
        }
        self.observe_begin(me);
        let began_ns = self.begin_timed_turn();
        let run = AssertUnwindSafe(|| {
            // SAFETY: the cell is live and its type was compared just now.
            unsafe {
                begin(cell);
                encode(turn(state::<A>(cell), &mut Context::new(self, me)))
            }
        });
        let result = catch_unwind(run);
        self.end_timed_turn(me, began_ns);
        self.returned(me, result, None);
    }

    /// Whether a living actor takes neither messages nor turns for now.
    pub(crate) fn is_busy(&self, me: u64) -> bool {
        let waits = |phase| matches!(phase, Phase::Suspended | Phase::Restarting);
        self.slots.cold(me).is_some_and(|cold| waits(cold.phase))
    }

    /// Runs `turn` now if the actor is an `A` and takes messages: what a device has for it.
    pub(crate) fn run_now<A: Actor>(
        &mut self,
        me: u64,
        turn: impl FnOnce(&mut A, &mut Context<'_, A>) -> Next<A>,
    ) -> TurnEnd {
        if self.slots.type_of(me) != Some(std::any::TypeId::of::<A>()) {
            return TurnEnd::Gone;
        }
        self.start_actor(me);
        if self.slots.find(me).is_none() {
            return TurnEnd::Gone;
        }
        if self.is_busy(me) {
            return TurnEnd::Busy;
        }
        if self.slots.cold(me).is_some_and(|cold| cold.phase == Phase::Stopping) {
            return TurnEnd::Gone;
        }
        let mut ran = false;
        self.turn_with::<A>(me, |state, ctx| {
            let next = turn(state, ctx);
            ran = !matches!(next, Next::Fault);
            next
        });
        if ran { TurnEnd::Ran } else { TurnEnd::Failed }
    }

    /// Runs the handler `F` on the actor's state if it is alive and an `A`: what a device was asked for.
    pub(crate) fn turn_with_handler<A, T, F>(&mut self, me: u64, value: T)
    where
        A: Actor,
        F: Fn(&mut A, &mut Context<'_, A>, T) -> Next<A> + Copy + 'static,
    {
        self.turn_with::<A>(me, |state, ctx| conjure::<F>()(state, ctx, value));
    }

    /// Puts a new state into a vacant cell, as the first life of the actor had it.
    pub(crate) fn rebuild<A: Actor>(&mut self, me: u64, state: A) {
        let Some(cell) = self.slots.find(me) else { return };
        let vacant = self.slots.cold(me).is_some_and(|cold| cold.vacant);
        // SAFETY: the cell is live.
        let same = unsafe { (*cell.as_ptr()).actor.type_id } == std::any::TypeId::of::<A>();
        if !vacant || !same {
            return;
        }
        // SAFETY: the cell belongs to an `A` and its state was dropped: writing does not drop anything.
        unsafe {
            (&raw mut (*cell.cast::<Cell<A>>().as_ptr()).state).write(state);
            let head = cell.as_ptr();
            (*head).behavior = (*head).actor.initial;
            (*head).entry = (*head).actor.start;
        }
        if let Some(cold) = self.slots.cold_if_any(me) {
            cold.vacant = false;
        }
    }

    /// What follows from how a turn ended.
    #[inline(always)]
    fn returned(&mut self, me: u64, result: std::thread::Result<u64>, frame: Option<RawFrame>) {
        match result {
            Ok(SAME) => self.commit_turn(),
            Ok(outcome) => self.end_turn(me, outcome, frame),
            Err(panic) => self.turn_panicked(me, panic),
        }
    }

    #[cold]
    #[inline(never)]
    fn end_turn(&mut self, me: u64, outcome: u64, frame: Option<RawFrame>) {
        match outcome {
            FAULT => {
                self.abort_turn();
                self.turn_failed(me, Failure::Fault);
            }
            STOP => {
                self.commit_turn();
                self.observe_outcome(me, Outcome::Stop);
                self.stop_actor(me, crate::actor::StopReason::Stopped);
            }
            STASH => {
                self.commit_turn();
                self.observe_outcome(me, Outcome::Stash);
                match frame {
                    Some(frame) => self.stash(me, frame),
                    // Only messages can be kept; an answer or a signal has been seen.
                    None => self.counters.stash_refused += 1,
                }
            }
            KEEP => {
                self.commit_turn();
                self.observe_outcome(me, Outcome::Keep);
                frame.into_iter().for_each(|frame| self.keep_aside(me, frame));
            }
            AGAIN => {
                self.commit_turn();
                self.observe_outcome(me, Outcome::Again);
                self.handle_again(me);
            }
            behavior => {
                self.commit_turn();
                // SAFETY: `encode` made this number from a `&'static BehaviorInfo` of the actor's type.
                let info = unsafe { &*(behavior as *const super::cell::BehaviorInfo) };
                self.observe_outcome(me, Outcome::Become((info.name)()));
                self.switch_behavior(me, info);
            }
        }
    }

    fn switch_behavior(&mut self, me: u64, info: &'static super::cell::BehaviorInfo) {
        let Some(cell) = self.slots.find(me) else { return };
        // SAFETY: the cell is live, and `info` belongs to its actor's type.
        unsafe {
            (*cell.as_ptr()).behavior = info;
            (*cell.as_ptr()).entry = info.entry;
        }
        self.observe_note(me, (info.name)());
        self.cancel_state_timer(me);
        if let Some(enter) = info.enter {
            self.run_bare(me, enter, 0);
        }
        self.unstash(me);
    }

    #[cold]
    #[inline(never)]
    fn turn_panicked(&mut self, me: u64, panic: Box<dyn std::any::Any + Send>) {
        self.abort_turn();
        self.turn_failed(me, failure_of(panic));
    }

    /// Dispatches a frame that was stored: from a stash, a timer, or a large message.
    pub(crate) fn dispatch_stored(&mut self, stored: &StoredFrame) {
        let frame = RawFrame { header: stored.header, payload: stored.bytes().as_ptr() };
        self.dispatch(frame);
    }

    /// Dispatches a frame whose payload lies in a ring.
    #[inline(always)]
    pub(crate) fn dispatch_from_ring(&mut self, header: Header, payload: &[u8]) {
        self.dispatch(RawFrame { header, payload: payload.as_ptr() });
    }

    /// Counts a frame that is not delivered.
    fn undeliverable(&mut self, reason: Reason, frame: RawFrame) {
        self.count_dead_letter(reason, frame.header, frame.payload_len());
    }

    /// Counts a frame that came too late.
    pub(crate) fn discard(&mut self, reason: Reason, frame: RawFrame) {
        self.undeliverable(reason, frame);
    }

    fn unbox(&mut self, frame: RawFrame) {
        if let Some(stored) = self.take_large(frame.header, frame.bytes()) {
            self.dispatch_owned(stored);
        }
    }
}

impl RawFrame {
    pub fn payload_len(&self) -> usize {
        self.header.len() as usize
    }

    /// The payload. Only inside a dispatch, while the frame's memory is in place.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a raw frame is made from memory that stays in place until its dispatch is over.
        unsafe { std::slice::from_raw_parts(self.payload, self.payload_len()) }
    }
}

fn failure_of(panic: Box<dyn std::any::Any + Send>) -> Failure {
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "(a panic without text)".to_owned(),
        },
    };
    Failure::Panic(text)
}
