//! The actor that decides which shards of a type move, has them moved, and keeps the records of who owns them.
//!
//! It lives on the first core. Moves that somebody asks for wait for the round that is under way. The records are
//! in memory: a node that starts anew gives every shard to its first owner again, which is right as long as no
//! other node could have it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainspring::message::Message;
use mainspring::prelude::*;

use super::envelope::{Answer, Envelope, Question, Record, Word};
use super::hosting::Peers;
use super::moving::{COORDINATOR_CORE, first_owner};
use super::parcel::Parcel;
use super::wording::{message_of, word_of};
use crate::entities::{ShardCount, ShardLoad};
use crate::handoff::{Coordinator as Moves, CoordinatorInput, CoordinatorOutput, Outcome};
use crate::ownership::{Epoch, MemoryOwnership, Place, StoreRequest};
use crate::rebalance::{MoveError, RebalanceSettings, RebalanceSettingsError, Rebalancer, Survey};

/// After how long a step of a move is done again.
const RETRY_NS: u64 = 2_000_000_000;
/// The shortest time between two looks at what is to be moved.
const LOOK_NS: u64 = 1_000_000_000;

/// What the coordinator of a type takes.
#[message(name = "mainspring.sharding.directive")]
#[derive(Clone, Debug)]
pub enum Directive {
    /// Bring a shard to a core, and say how that ended.
    Move {
        /// Which shard.
        shard: u32,
        /// The place.
        to: Place,
        /// Who wants to know.
        reply_to: Option<ActorRef<MoveEnded>>,
    },
    /// Bring all shards of a place to others, and none there.
    Drain {
        /// The place.
        place: Place,
        /// Who wants to know how many these are.
        reply_to: Option<ActorRef<DrainBegun>>,
    },
    /// Shards may go to a drained place again.
    Readmit {
        /// The place.
        place: Place,
    },
    /// Balance the shards of the cluster now.
    Rebalance,
    /// What the shards of a core cost since it said so last.
    Loads {
        /// Of each shard that cost something.
        loads: Vec<Load>,
    },
    /// A region says something.
    Said {
        /// What.
        word: Word,
    },
    /// A region asks the ownership store.
    Asked {
        /// The region's place.
        from: Place,
        /// Which shard it asks about.
        shard: u32,
        /// By which it knows the answer again.
        step: u64,
        /// What it asks.
        question: Question,
    },
    /// Something about the records that the oldest member keeps, where there is no store.
    Kept {
        /// What.
        word: KeeperWord,
    },
    /// Time has passed.
    Tick,
}

/// What members say to each other about the records that the oldest of them keeps.
#[message(name = "mainspring.sharding.keeper_word")]
#[derive(Clone, Debug)]
pub enum KeeperWord {
    /// The oldest to all: which owners do you know?
    Count {
        /// Its number.
        term: u64,
        /// Where to answer.
        reply_to: ActorRef<Directive>,
    },
    /// These.
    Counted {
        /// To which number.
        term: u64,
        /// Who answers.
        member: u64,
        /// By shard.
        records: Vec<(u32, Record)>,
    },
    /// To the oldest: as to a store.
    Question {
        /// By which the answer is known again.
        number: u64,
        /// Where to answer.
        reply_to: ActorRef<Directive>,
        /// What is asked.
        question: Question,
    },
    /// Its answer.
    Answer {
        /// To which question.
        number: u64,
        /// Its own number.
        term: u64,
        /// What it says.
        answer: Answer,
    },
}

/// What a shard cost.
#[message(name = "mainspring.sharding.load")]
#[derive(Clone, Debug)]
pub struct Load {
    /// Which one.
    pub shard: u32,
    /// Entities in it.
    pub entities: u32,
    /// Time in their turns, in nanoseconds, as far as it was sampled.
    pub turn_ns: u64,
    /// Messages for them, by the core that sent them.
    pub messages_from: Vec<u64>,
}

/// How a move ended.
#[message(name = "mainspring.sharding.move_ended")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveEnded {
    /// Which shard.
    pub shard: u32,
    /// How.
    pub outcome: MoveOutcome,
}

/// How a move ended.
#[message(name = "mainspring.sharding.move_outcome")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// The shard is where it was to go, and delivers.
    Moved {
        /// The epoch at which it does.
        epoch: u64,
    },
    /// The owner could not give it away and goes on.
    Resumed,
    /// An earlier move of the shard is not settled; try again later.
    Busy,
    /// The shard is on its way already, or somebody asked for it later.
    UnderWay,
    /// As many shards are moving as may.
    TooMany,
    /// No answer that ended it for a long time.
    GivenUp,
    /// There is no such shard or core.
    NoSuchPlace,
    /// The core is drained.
    Drained,
}

/// Shards of a core that begin to leave it.
#[message(name = "mainspring.sharding.drain_begun")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainBegun {
    /// How many; 0 also when there is no such core, or it is the last one.
    pub shards: u32,
}

/// Where somebody wants a shard to be.
struct Wish {
    to: u16,
    reply_to: ActorRef<MoveEnded>,
}

/// See the module's header.
pub(crate) struct Coordinator<M> {
    peers: Arc<Peers<M>>,
    shard_count: u32,
    store: MemoryOwnership<Place>,
    rebalancer: Rebalancer,
    moves: Moves<Place>,
    /// Who wants to know of the end of a move.
    asked: BTreeMap<u32, Wish>,
    /// What the shards cost since the last round.
    loads: BTreeMap<u32, ShardLoad>,
    loads_since_ns: u64,
    armed_ns: u64,
}

impl<M: Message> Coordinator<M> {
    pub fn new(
        peers: Arc<Peers<M>>,
        cores: u16,
        shard_count: ShardCount,
        settings: RebalanceSettings,
    ) -> Result<Self, RebalanceSettingsError> {
        let rebalancer = Rebalancer::new(settings, shard_count, cores)?;
        let shard_count = shard_count.get();
        let places = || (0..cores).map(|core| peers.place(core));
        let mut store = MemoryOwnership::new(shard_count, places());
        for shard in 0..shard_count {
            let to = first_owner(shard, peers.place(0).incarnation, cores).owner;
            store.decide(StoreRequest::TakeOver { shard, expected: Epoch::NONE, to });
        }
        Ok(Coordinator {
            moves: Moves::new(places(), settings.most_moves as usize, RETRY_NS),
            peers,
            shard_count,
            store,
            rebalancer,
            asked: BTreeMap::new(),
            loads: BTreeMap::new(),
            loads_since_ns: 0,
            armed_ns: u64::MAX,
        })
    }

    /// Somebody wants a shard to be on a core.
    fn wish(
        &mut self,
        ctx: &mut Context<'_, Self>,
        shard: u32,
        to: Place,
        reply_to: Option<ActorRef<MoveEnded>>,
    ) {
        if !self.peers.has(to) {
            let outcome = MoveOutcome::NoSuchPlace;
            return reply_to.into_iter().for_each(|it| ctx.tell(it, &MoveEnded { shard, outcome }));
        }
        let to = to.core;
        let here = self.store.record(shard).filter(|record| record.owner.core == to);
        let outcome = match (self.rebalancer.move_shard(shard, to), here) {
            (Err(MoveError::Drained { .. }), _) => Some(MoveOutcome::Drained),
            (Err(_), _) => Some(MoveOutcome::NoSuchPlace),
            (Ok(()), Some(record)) => Some(MoveOutcome::Moved { epoch: record.epoch.0 }),
            (Ok(()), None) => None,
        };
        if let Some(outcome) = outcome {
            if let Some(reply_to) = reply_to {
                ctx.tell(reply_to, &MoveEnded { shard, outcome });
            }
            return;
        }
        let before = match reply_to {
            Some(reply_to) => self.asked.insert(shard, Wish { to, reply_to }),
            None => self.asked.remove(&shard),
        };
        if let Some(Wish { reply_to, .. }) = before {
            ctx.tell(reply_to, &MoveEnded { shard, outcome: MoveOutcome::UnderWay });
        }
    }

    /// Answers those whose wish is no longer waited for although no move has fulfilled it: the shard was there when its
    /// turn came, the core was drained, or somebody else wished otherwise.
    fn answer_moot(&mut self, ctx: &mut Context<'_, Self>) {
        let rebalancer = &self.rebalancer;
        let is_moot = |shard: &u32, _: &mut Wish| {
            !rebalancer.is_asked(*shard) && !rebalancer.is_under_way(*shard)
        };
        let moot: Vec<(u32, Wish)> = self.asked.extract_if(.., is_moot).collect();
        for (shard, Wish { to, reply_to }) in moot {
            let outcome = match self.store.record(shard) {
                Some(record) if record.owner.core == to => {
                    MoveOutcome::Moved { epoch: record.epoch.0 }
                }
                _ if self.rebalancer.is_drained(to) => MoveOutcome::Drained,
                _ => MoveOutcome::UnderWay,
            };
            ctx.tell(reply_to, &MoveEnded { shard, outcome });
        }
    }

    /// The shards of a core are to leave it.
    fn drain(&mut self, place: Place) -> u32 {
        let core = place.core;
        if !self.peers.has(place) || self.rebalancer.drain(core).is_err() {
            return 0;
        }
        let records = (0..self.shard_count).filter_map(|shard| self.store.record(shard));
        records.filter(|record| record.owner.core == core).count() as u32
    }

    fn note_loads(&mut self, loads: &[ArchivedLoad]) {
        for load in loads {
            let shard = load.shard.to_native();
            let sum = self.loads.entry(shard).or_insert_with(|| ShardLoad {
                shard,
                messages_from: vec![0; load.messages_from.len()],
                ..ShardLoad::default()
            });
            sum.entities = load.entities.to_native();
            sum.turn_ns = sum.turn_ns.saturating_add(load.turn_ns.to_native());
            for (sum, messages) in sum.messages_from.iter_mut().zip(load.messages_from.iter()) {
                *sum = sum.saturating_add(messages.to_native());
            }
        }
    }

    /// Begins what is to be moved now.
    fn plan(&mut self, ctx: &mut Context<'_, Self>) {
        let homes: Vec<Option<u16>> = (0..self.shard_count)
            .map(|shard| self.store.record(shard).map(|record| record.owner.core))
            .collect();
        let loads: Vec<ShardLoad> = self.loads.values().cloned().collect();
        let now_ns = ctx.now_ns();
        let sampled_ns = now_ns.saturating_sub(self.loads_since_ns);
        let round_ns = self.rebalancer.next_round_ns();
        let survey = Survey { homes: &homes, loads: &loads, sampled_ns };
        let moves = match self.rebalancer.plan(now_ns, &survey) {
            Ok(moves) => moves,
            Err(error) => return tracing::error!(%error, "shards are not moved"),
        };
        if self.rebalancer.next_round_ns() != round_ns {
            self.loads.clear();
            self.loads_since_ns = now_ns;
        }
        for step in moves {
            let (shard, to) = (step.shard, step.to);
            tracing::debug!(shard, from = step.from, to, reason = ?step.reason, "a shard moves");
            let to = self.peers.place(to);
            self.input(ctx, CoordinatorInput::Move { shard, to });
        }
    }

    fn input(&mut self, ctx: &mut Context<'_, Self>, input: CoordinatorInput<Place, Parcel<M>>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut outputs = Vec::new();
            self.moves.handle(ctx.now_ns(), input, &mut outputs);
            for output in outputs {
                match output {
                    CoordinatorOutput::Send { to, message } => {
                        let (word, _) = word_of(message);
                        if let Some(region) = self.peers.get(to.core) {
                            let from = self.peers.place(COORDINATOR_CORE);
                            let word = (Envelope::Handover { from, word }, Vec::new());
                            // One that finds no room is said again after a time.
                            let _ = ctx.try_tell(region, &word);
                        }
                    }
                    CoordinatorOutput::Store { step, request } => {
                        let (shard, answer) = (request.shard(), self.store.decide(request));
                        inputs.push(CoordinatorInput::StoreAnswered { shard, step, answer });
                    }
                    CoordinatorOutput::Finished { shard, outcome } => {
                        self.finished(ctx, shard, outcome);
                    }
                }
            }
        }
    }

    fn finished(&mut self, ctx: &mut Context<'_, Self>, shard: u32, outcome: Outcome<Place>) {
        self.rebalancer.ended(shard, ctx.now_ns());
        if self.rebalancer.is_asked(shard) {
            // Another move than the one that is wished for, which begins with the next round.
            return;
        }
        if let Some(Wish { reply_to, .. }) = self.asked.remove(&shard) {
            ctx.tell(reply_to, &MoveEnded { shard, outcome: outcome.into() });
        }
    }

    fn arm(&mut self, ctx: &mut Context<'_, Self>) {
        let round_ns = self.rebalancer.next_round_ns().max(ctx.now_ns() + LOOK_NS);
        let due_ns = self.moves.next_deadline_ns().map_or(round_ns, |due_ns| due_ns.min(round_ns));
        if due_ns < self.armed_ns {
            self.armed_ns = due_ns;
            let pause = Duration::from_nanos(due_ns.saturating_sub(ctx.now_ns()));
            ctx.timer("tick").after(pause, &Directive::Tick);
        }
    }
}

impl<M: Message> Actor for Coordinator<M> {
    type Message = Directive;

    fn receive(&mut self, ctx: &mut Context<Self>, directive: &Archived<Directive>) -> Next<Self> {
        match directive {
            ArchivedDirective::Move { shard, to, reply_to } => {
                let reply_to = reply_to.as_ref().copied();
                self.wish(ctx, shard.to_native(), to.into(), reply_to);
            }
            ArchivedDirective::Drain { place, reply_to } => {
                let shards = self.drain(place.into());
                if let Some(reply_to) = reply_to.as_ref() {
                    ctx.tell(*reply_to, &DrainBegun { shards });
                }
            }
            ArchivedDirective::Readmit { place } => {
                let place = Place::from(place);
                if self.peers.has(place) {
                    self.rebalancer.readmit(place.core);
                }
            }
            // A node alone balances by itself.
            ArchivedDirective::Rebalance => return Next::Same,
            ArchivedDirective::Loads { loads } => {
                self.note_loads(loads);
                return Next::Same;
            }
            ArchivedDirective::Said { word } => {
                if let Some(message) = message_of(word, &[]) {
                    self.input(ctx, CoordinatorInput::Message { message });
                }
            }
            ArchivedDirective::Asked { from, shard, step, question } => {
                let answer = self.store.decide(question.into()).into();
                let (shard, step) = (shard.to_native(), step.to_native());
                if let Some(region) = self.peers.get(Place::from(from).core) {
                    let answer = Envelope::StoreAnswered { shard, step, answer };
                    let _ = ctx.try_tell(region, &(answer, Vec::new()));
                }
            }
            // A node alone has nobody to ask.
            ArchivedDirective::Kept { .. } => return Next::Same,
            ArchivedDirective::Tick => {
                self.armed_ns = u64::MAX;
                self.input(ctx, CoordinatorInput::Tick);
            }
        }
        // A question to the store, or a word of a region, changes nothing about what is to be moved, unless it ends a
        // round.
        if self.rebalancer.under_way() == 0 {
            self.plan(ctx);
        }
        self.answer_moot(ctx);
        self.arm(ctx);
        Next::Same
    }

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        self.loads_since_ns = ctx.now_ns();
        self.arm(ctx);
        Next::Same
    }
}

impl From<Outcome<Place>> for MoveOutcome {
    fn from(outcome: Outcome<Place>) -> Self {
        match outcome {
            Outcome::Moved(ownership) => MoveOutcome::Moved { epoch: ownership.epoch.0 },
            Outcome::Resumed(_) => MoveOutcome::Resumed,
            Outcome::Busy => MoveOutcome::Busy,
            Outcome::UnderWay => MoveOutcome::UnderWay,
            Outcome::TooMany => MoveOutcome::TooMany,
            Outcome::GivenUp => MoveOutcome::GivenUp,
        }
    }
}
