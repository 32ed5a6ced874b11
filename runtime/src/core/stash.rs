//! Frames kept for later: stashed by the actor, or held back while it is suspended.
//!
//! Both are copies of the frame's bytes; nothing is deserialised. Kept frames count against the core's limit of
//! bytes per actor; what does not fit becomes a dead letter. Order is arrival order: on a change of behaviour the
//! stashed frames are handled before everything that came later. One frame more is kept beside them while its actor
//! waits to learn whether it was handled.

use std::collections::VecDeque;

use super::Core;
use super::cold::Phase;
use super::dead_letters::Reason;
use super::local_queue::RawFrame;
use super::schedule::TimerKey;
use super::timers::TimerId;
use crate::actor::{Signal, StopReason};
use crate::address::Address;
use crate::frame::AlignedBuffer;
use crate::frame::{FLAG_LOCAL, HEADER_BYTES, Header};

/// A frame outside any queue, with its bytes.
pub(crate) struct StoredFrame {
    pub header: Header,
    bytes: AlignedBuffer,
}

impl StoredFrame {
    pub fn new(header: Header, payload: &[u8]) -> Self {
        let mut bytes = AlignedBuffer::zeroed(payload.len());
        bytes.as_mut_slice().copy_from_slice(payload);
        StoredFrame { header, bytes }
    }

    /// A frame from a buffer; the header's length is set to the buffer's.
    pub fn from_buffer(header: Header, bytes: AlignedBuffer) -> Self {
        let header =
            Header { word0: header.word0 >> 32 << 32 | bytes.as_slice().len() as u64, ..header };
        StoredFrame { header, bytes }
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    pub fn kept_bytes(&self) -> usize {
        HEADER_BYTES + self.bytes().len()
    }

    /// Local payloads now belong to another copy of this frame.
    pub fn forget_locals(&mut self) {
        self.header.word0 &= !((FLAG_LOCAL as u64) << 56);
    }
}

impl Drop for StoredFrame {
    fn drop(&mut self) {
        if self.header.flags() & FLAG_LOCAL != 0 {
            crate::frame::local::drop_locals(self.bytes());
        }
    }
}

/// What waits for a suspended actor.
pub(crate) enum Held {
    Frame(StoredFrame),
    Signal(Signal),
    /// An ask of this actor failed: slot, generation and number of the error.
    AskFailed(u32, u32, usize),
    /// A timer that fired, and is still set.
    Timer(TimerKey, TimerId),
    /// The end of a watched actor.
    Terminated(Address, StopReason),
    /// Other work that ends in a turn of the actor.
    Turn(Box<dyn FnOnce(&mut Core)>),
}

/// Stashed and held frames of one actor.
#[derive(Default)]
pub(crate) struct Stash {
    stashed: VecDeque<StoredFrame>,
    held: VecDeque<Held>,
    /// The message whose turn has left a ticket, until it is known whether it is handled again.
    kept: Option<StoredFrame>,
    bytes: usize,
    /// A loop over `held` is under way further up the call stack.
    replaying: bool,
}

impl Stash {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps something that has no bytes to count.
    pub fn hold_back(&mut self, held: Held) {
        self.held.push_back(held);
    }

    fn hold(&mut self, frame: StoredFrame) {
        self.bytes += frame.kept_bytes();
        self.held.push_back(Held::Frame(frame));
    }

    fn stash(&mut self, frame: StoredFrame) {
        self.bytes += frame.kept_bytes();
        self.stashed.push_back(frame);
    }

    /// Stashed frames go before everything held.
    pub fn unstash(&mut self) {
        while let Some(frame) = self.stashed.pop_back() {
            self.held.push_front(Held::Frame(frame));
        }
    }

    fn next_held(&mut self) -> Option<Held> {
        let held = self.held.pop_front()?;
        if let Held::Frame(frame) = &held {
            self.bytes -= frame.kept_bytes();
        }
        Some(held)
    }

    fn keep(&mut self, frame: StoredFrame) {
        self.let_go();
        self.bytes += frame.kept_bytes();
        self.kept = Some(frame);
    }

    /// The kept message goes before everything.
    fn again(&mut self) {
        if let Some(frame) = self.kept.take() {
            self.held.push_front(Held::Frame(frame));
        }
    }

    /// The kept message was handled.
    fn let_go(&mut self) {
        if let Some(frame) = self.kept.take() {
            self.bytes -= frame.kept_bytes();
        }
    }

    /// Takes everything out, in order. A kept message was handled, so it is no longer needed.
    pub fn drain(&mut self) -> Vec<StoredFrame> {
        self.kept = None;
        self.unstash();
        self.bytes = 0;
        let frames = self.held.drain(..);
        frames
            .filter_map(|held| match held {
                Held::Frame(frame) => Some(frame),
                _ => None,
            })
            .collect()
    }
}

impl Core {
    /// Copies a frame to where a suspended actor's messages wait.
    pub(crate) fn hold(&mut self, me: u64, frame: RawFrame) {
        self.hold_frame(me, StoredFrame::new(frame.header, frame.bytes()));
    }

    /// Copies a frame for the actor's next behaviour.
    pub(crate) fn stash(&mut self, me: u64, frame: RawFrame) {
        self.stash_frame(me, StoredFrame::new(frame.header, frame.bytes()));
    }

    /// Copies a frame until the ticket is redeemed that its actor waits for.
    pub(crate) fn keep_aside(&mut self, me: u64, frame: RawFrame) {
        self.keep_frame(me, StoredFrame::new(frame.header, frame.bytes()));
    }

    /// Keeps a message for the actor's next behaviour.
    pub(crate) fn stash_frame(&mut self, me: u64, frame: StoredFrame) {
        if let Some(frame) = self.keep(me, frame, Stash::stash) {
            self.counters.stash_refused += 1;
            self.count_dead_letter(Reason::StashFull, frame.header, frame.bytes().len());
        }
    }

    /// Keeps a message until the actor takes messages again.
    pub(crate) fn hold_frame(&mut self, me: u64, frame: StoredFrame) {
        if let Some(frame) = self.keep(me, frame, Stash::hold) {
            self.counters.stash_refused += 1;
            self.count_dead_letter(Reason::StashFull, frame.header, frame.bytes().len());
        }
    }

    /// Keeps a message aside; of an actor that waits for no ticket it was handled. There is one for each actor, so the
    /// limit of the stash does not apply.
    fn keep_frame(&mut self, me: u64, mut frame: StoredFrame) {
        let Some(cold) = self.slots.cold_if_any(me) else { return frame.forget_locals() };
        if cold.phase != Phase::Suspended {
            // They belong to the frame that this is a copy of.
            return frame.forget_locals();
        }
        if frame.header.flags() & FLAG_LOCAL != 0 {
            self.locals_moved = true;
            frame.header.word0 |= (FLAG_LOCAL as u64) << 56;
        }
        let before = cold.stash.bytes;
        cold.stash.keep(frame);
        self.counters.stash_bytes += cold.stash.bytes as u64;
        self.counters.stash_bytes -= before as u64;
    }

    /// The kept message is handled when the turn is over.
    pub(crate) fn handle_again(&mut self, me: u64) {
        if let Some(cold) = self.slots.cold_if_any(me) {
            cold.stash.again();
        }
    }

    fn keep(
        &mut self,
        me: u64,
        mut frame: StoredFrame,
        how: fn(&mut Stash, StoredFrame),
    ) -> Option<StoredFrame> {
        let limit = self.limits.stash_bytes;
        let Some(cold) = self.slots.cold_mut(me) else { return Some(frame) };
        let size = frame.kept_bytes();
        if cold.stash.bytes + size > limit {
            return Some(frame);
        }
        if frame.header.flags() & FLAG_LOCAL != 0 {
            self.locals_moved = true;
            frame.header.word0 |= (FLAG_LOCAL as u64) << 56;
        }
        how(&mut cold.stash, frame);
        self.counters.stash_bytes += size as u64;
        None
    }

    /// After a change of behaviour: handles what was stashed, in order, then what was held meanwhile.
    pub(crate) fn unstash(&mut self, me: u64) {
        if let Some(cold) = self.slots.cold_if_any(me) {
            cold.stash.unstash();
            self.replay(me);
        }
    }

    /// Handles held frames for as long as the actor takes messages.
    pub(crate) fn replay(&mut self, me: u64) {
        match self.slots.cold_if_any(me) {
            Some(cold) if !cold.stash.replaying => {
                cold.stash.replaying = true;
                // What is to be handled again is held by now.
                let before = cold.stash.bytes;
                cold.stash.let_go();
                self.counters.stash_bytes -= (before - cold.stash.bytes) as u64;
            }
            _ => return,
        }
        loop {
            let Some(cold) = self.slots.cold_if_any(me) else { return };
            if cold.phase != Phase::Running {
                break;
            }
            let before = cold.stash.bytes;
            let Some(held) = cold.stash.next_held() else { break };
            self.counters.stash_bytes -= (before - cold.stash.bytes) as u64;
            match held {
                Held::Frame(frame) => self.dispatch_owned(frame),
                Held::Signal(signal) => self.deliver_signal(me, signal),
                Held::AskFailed(slot, generation, number) => {
                    self.fail_ask(slot, generation, number);
                }
                Held::Timer(key, id) => self.fire_held(me, key, id),
                Held::Terminated(actor, reason) => self.terminated(me, actor, reason),
                Held::Turn(turn) => turn(self),
            }
        }
        if let Some(cold) = self.slots.cold_if_any(me) {
            cold.stash.replaying = false;
        }
    }

    /// Dispatches a stored frame; its local payloads are freed afterwards unless the frame was kept again.
    pub(crate) fn dispatch_owned(&mut self, mut frame: StoredFrame) {
        self.locals_moved = false;
        self.dispatch_stored(&frame);
        if std::mem::take(&mut self.locals_moved) {
            frame.forget_locals();
        }
    }
}
