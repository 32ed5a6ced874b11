//! What a region knows of one shard.

use std::collections::VecDeque;

use super::parked::Parked;
use super::relay::Relay;
use crate::ownership::{Epoch, Home, Ownership};

/// One shard at one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot<H, P> {
    /// The record of the highest epoch heard of.
    pub known: Option<Ownership<H>>,
    /// The first epoch of the present or last unbroken time as owner here: senders may still name it.
    pub since: Epoch,
    /// The highest epoch here at which all flush markers had come.
    pub settled: Epoch,
    pub state: State<H>,
    pub parked: VecDeque<Parked<H, P>>,
    /// The rest of the last move away from here. Lives while `known` is the record of that move.
    pub relay: Option<Box<Relay<H, P>>>,
    /// When the state wants to be looked at again.
    pub state_due_ns: Option<u64>,
    /// When the relay sends again.
    pub relay_due_ns: Option<u64>,
    /// The first and the last step of the present state: answers to earlier ones are too late.
    pub first_step: u64,
    pub step: u64,
}

/// What the place does about the shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State<H> {
    /// Nobody is known to own it; `asked` when the store was.
    Unknown { asked: bool },
    /// Somebody else owns it; `is_held` while a hint says that it is about to move.
    Elsewhere { is_held: bool },
    /// Ours by the store; the journal is being sealed.
    Starting,
    /// Ours; `unsettled` until all flush markers have come.
    Owned { unsettled: Option<Box<Unsettled<H>>> },
    /// Ours still; entities are stopping.
    Draining { order: Order<H> },
    /// Ours still; the journal is being sealed.
    Sealing { order: Order<H> },
    /// Ours or not: the store was asked to give it away. `in_doubt` once an outcome was unknown.
    GivingAway { order: Order<H>, in_doubt: bool, last_sequence: u64 },
    /// Given away; the new owner has not said that it has started.
    AwaitingStart { order: Order<H>, last_sequence: u64 },
}

/// A hand-off under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Order<H> {
    pub to: H,
    pub coordinator: H,
}

/// The time between a start and the last flush marker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unsettled<H> {
    /// The owner before, which forwards.
    pub given_by: H,
    /// Whose markers have come; in order.
    pub flushed: Vec<H>,
    /// Forwarded items taken so far.
    pub received: u64,
}

impl<H: Home> Unsettled<H> {
    pub fn is_flushed(&self, place: H) -> bool {
        self.flushed.binary_search(&place).is_ok()
    }

    pub fn set_flushed(&mut self, place: H) {
        if let Err(at) = self.flushed.binary_search(&place) {
            self.flushed.insert(at, place);
        }
    }
}

impl<H: Home, P> Slot<H, P> {
    pub fn new() -> Slot<H, P> {
        Slot {
            known: None,
            since: Epoch::NONE,
            settled: Epoch::NONE,
            state: State::Unknown { asked: false },
            parked: VecDeque::new(),
            relay: None,
            state_due_ns: None,
            relay_due_ns: None,
            first_step: 1,
            step: 0,
        }
    }

    /// The highest epoch heard of.
    pub fn epoch(&self) -> Epoch {
        self.known.map_or(Epoch::NONE, |known| known.epoch)
    }

    /// Names a new question. Answers to older ones of the same state still count: a store may take longer than the
    /// time after which it is asked again.
    pub fn next_step(&mut self) -> u64 {
        self.step += 1;
        self.step
    }
}
