//! Who asks for moves: a scheduler that may be lost and made anew, because the truth is in the store.
//!
//! For each shard it was told to move it reads the record and does what the record asks for: an owner that lives is
//! told to hand off, a shard whose owner has gone (or that never had one) is taken over for its new place, and the new
//! owner is told to start until it says that it has. Every step is done again until that answer comes. Two coordinators
//! at once disturb each other and harm nobody.
//!
//! Bounds: a number of moves at a time; more are refused by [`Outcome::TooMany`]. A move ends after a number of
//! attempts, as [`Outcome::GivenUp`]; what it has begun goes on by itself.

use std::collections::BTreeMap;

use super::message::Message;
use crate::ownership::{Epoch, Home, Ownership, StoreAnswer, StoreRequest};

/// How often a move is looked at before it is given up.
const ATTEMPTS_LIMIT: u32 = 30;

/// What happens to a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorInput<H, P> {
    /// Bring the shard to a place; also for a shard that has no owner yet, or whose owner went.
    Move {
        /// Which shard.
        shard: u32,
        /// Where to.
        to: H,
    },
    /// A place says something. What is not for coordinators is ignored.
    Message {
        /// What.
        message: Message<H, P>,
    },
    /// The ownership store answers.
    StoreAnswered {
        /// Which shard.
        shard: u32,
        /// The step of the output answered.
        step: u64,
        /// The answer.
        answer: StoreAnswer<H>,
    },
    /// A place exists from now on.
    PlaceJoined(H),
    /// A place is surely gone.
    PlaceGone(H),
    /// Time has passed.
    Tick,
}

/// What a coordinator wants done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorOutput<H, P> {
    /// Say something to a place, from the coordinator.
    Send {
        /// To whom.
        to: H,
        /// What.
        message: Message<H, P>,
    },
    /// Ask the ownership store.
    Store {
        /// Named by the answer.
        step: u64,
        /// What to ask.
        request: StoreRequest<H>,
    },
    /// A move has ended.
    Finished {
        /// Which shard.
        shard: u32,
        /// How.
        outcome: Outcome<H>,
    },
}

/// How a move ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<H> {
    /// The shard is where it was to go, and delivers.
    Moved(Ownership<H>),
    /// The owner could not give it away and goes on.
    Resumed(Ownership<H>),
    /// An earlier move of the shard is not settled; try again later.
    Busy,
    /// This coordinator moves the shard already.
    UnderWay,
    /// As many shards are moving as may.
    TooMany,
    /// No answer that ended it, for a long time.
    GivenUp,
}

/// One move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Move<H> {
    to: H,
    /// The epoch of the owner when the move began, once it was read.
    from_epoch: Option<Epoch>,
    /// Answers to earlier steps belong to another move of the shard.
    first_step: u64,
    attempts: u32,
    due_ns: u64,
}

/// The moves of one entity type's shards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator<H> {
    places: Vec<H>,
    moves: BTreeMap<u32, Move<H>>,
    moves_limit: usize,
    retry_ns: u64,
    steps: u64,
}

impl<H: Home> Coordinator<H> {
    /// No move is under way. At most `moves_limit` shards move at a time; steps are done again after `retry_ns`.
    pub fn new(
        places: impl IntoIterator<Item = H>,
        moves_limit: usize,
        retry_ns: u64,
    ) -> Coordinator<H> {
        let mut places: Vec<H> = places.into_iter().collect();
        places.sort_unstable();
        places.dedup();
        Coordinator { places, moves: BTreeMap::new(), moves_limit, retry_ns, steps: 0 }
    }

    /// Something happened; what is to be done is pushed.
    pub fn handle<P>(
        &mut self,
        now_ns: u64,
        input: CoordinatorInput<H, P>,
        outputs: &mut Vec<CoordinatorOutput<H, P>>,
    ) {
        match input {
            CoordinatorInput::Move { shard, to } => self.begin(now_ns, shard, to, outputs),
            CoordinatorInput::Message { message } => self.hear(message, outputs),
            CoordinatorInput::StoreAnswered { shard, step, answer } => {
                self.store_answered(shard, step, answer, outputs);
            }
            CoordinatorInput::PlaceJoined(place) => {
                if let Err(at) = self.places.binary_search(&place) {
                    self.places.insert(at, place);
                }
            }
            CoordinatorInput::PlaceGone(place) => self.place_gone(place, outputs),
            CoordinatorInput::Tick => self.tick(now_ns, outputs),
        }
    }

    /// When the coordinator wants a tick.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.moves.values().map(|one| one.due_ns).min()
    }

    /// Shards that move now.
    pub fn moving(&self) -> usize {
        self.moves.len()
    }

    fn begin<P>(
        &mut self,
        now_ns: u64,
        shard: u32,
        to: H,
        outputs: &mut Vec<CoordinatorOutput<H, P>>,
    ) {
        let refusal = if self.moves.contains_key(&shard) {
            Some(Outcome::UnderWay)
        } else if self.moves.len() >= self.moves_limit {
            Some(Outcome::TooMany)
        } else {
            None
        };
        if let Some(outcome) = refusal {
            return outputs.push(CoordinatorOutput::Finished { shard, outcome });
        }
        let one =
            Move { to, from_epoch: None, first_step: self.steps + 1, attempts: 0, due_ns: now_ns };
        self.moves.insert(shard, one);
        self.look(now_ns, shard, outputs);
    }

    /// A move to a place that is gone never ends there.
    fn place_gone<P>(&mut self, place: H, outputs: &mut Vec<CoordinatorOutput<H, P>>) {
        self.places.retain(|&known| known != place);
        let vain: Vec<u32> =
            self.moves.iter().filter(|(_, one)| one.to == place).map(|(&shard, _)| shard).collect();
        for shard in vain {
            self.finish(shard, Outcome::GivenUp, outputs);
        }
    }

    /// Reads the record; what it says decides the next step.
    fn look<P>(&mut self, now_ns: u64, shard: u32, outputs: &mut Vec<CoordinatorOutput<H, P>>) {
        let Some(one) = self.moves.get_mut(&shard) else { return };
        if one.attempts == ATTEMPTS_LIMIT {
            return self.finish(shard, Outcome::GivenUp, outputs);
        }
        one.attempts += 1;
        one.due_ns = now_ns.saturating_add(self.retry_ns);
        self.ask(StoreRequest::Read { shard }, outputs);
    }

    fn ask<P>(&mut self, request: StoreRequest<H>, outputs: &mut Vec<CoordinatorOutput<H, P>>) {
        self.steps += 1;
        outputs.push(CoordinatorOutput::Store { step: self.steps, request });
    }

    fn store_answered<P>(
        &mut self,
        shard: u32,
        step: u64,
        answer: StoreAnswer<H>,
        outputs: &mut Vec<CoordinatorOutput<H, P>>,
    ) {
        if self.moves.get(&shard).is_none_or(|one| step < one.first_step) {
            return;
        }
        match answer {
            StoreAnswer::Found(None) => self.take_over(shard, Epoch::NONE, outputs),
            StoreAnswer::Found(Some(record)) => self.act_on(shard, record, outputs),
            StoreAnswer::Changed(record) => self.tell_to_start(shard, record, outputs),
            // The deadline reads again.
            StoreAnswer::Refused { .. } | StoreAnswer::Unknown => {}
        }
    }

    fn act_on<P>(
        &mut self,
        shard: u32,
        record: Ownership<H>,
        outputs: &mut Vec<CoordinatorOutput<H, P>>,
    ) {
        let Some(one) = self.moves.get_mut(&shard) else { return };
        one.from_epoch.get_or_insert(record.epoch);
        let (to, epoch) = (one.to, record.epoch);
        if record.owner == to {
            return self.tell_to_start(shard, record, outputs);
        }
        if self.places.binary_search(&record.owner).is_err() {
            return self.take_over(shard, epoch, outputs);
        }
        let message = Message::HandOff { shard, epoch, to };
        outputs.push(CoordinatorOutput::Send { to: record.owner, message });
    }

    fn take_over<P>(
        &mut self,
        shard: u32,
        expected: Epoch,
        outputs: &mut Vec<CoordinatorOutput<H, P>>,
    ) {
        let Some(one) = self.moves.get_mut(&shard) else { return };
        one.from_epoch.get_or_insert(expected);
        let to = one.to;
        self.ask(StoreRequest::TakeOver { shard, expected, to }, outputs);
    }

    fn tell_to_start<P>(
        &mut self,
        shard: u32,
        ownership: Ownership<H>,
        outputs: &mut Vec<CoordinatorOutput<H, P>>,
    ) {
        let message = Message::HostShard { shard, ownership, last_sequence: None };
        outputs.push(CoordinatorOutput::Send { to: ownership.owner, message });
    }

    fn hear<P>(&mut self, message: Message<H, P>, outputs: &mut Vec<CoordinatorOutput<H, P>>) {
        let shard = message.shard();
        let Some(one) = self.moves.get(&shard) else { return };
        match message {
            Message::ShardStarted { ownership, .. }
                if ownership.owner == one.to
                    && one.from_epoch.is_some_and(|from| ownership.epoch >= from) =>
            {
                self.finish(shard, Outcome::Moved(ownership), outputs);
            }
            Message::Resumed { ownership, .. }
                if one.from_epoch.is_some_and(|from| ownership.epoch >= from) =>
            {
                self.finish(shard, Outcome::Resumed(ownership), outputs);
            }
            Message::Busy { epoch, .. } if one.from_epoch == Some(epoch) => {
                self.finish(shard, Outcome::Busy, outputs);
            }
            _ => {}
        }
    }

    fn finish<P>(
        &mut self,
        shard: u32,
        outcome: Outcome<H>,
        outputs: &mut Vec<CoordinatorOutput<H, P>>,
    ) {
        self.moves.remove(&shard);
        outputs.push(CoordinatorOutput::Finished { shard, outcome });
    }

    fn tick<P>(&mut self, now_ns: u64, outputs: &mut Vec<CoordinatorOutput<H, P>>) {
        let due: Vec<u32> = self
            .moves
            .iter()
            .filter(|(_, one)| one.due_ns <= now_ns)
            .map(|(&shard, _)| shard)
            .collect();
        for shard in due {
            self.look(now_ns, shard, outputs);
        }
    }
}
