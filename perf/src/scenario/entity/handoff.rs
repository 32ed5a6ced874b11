//! Shards that move from core to core, one after the other, while messages for all their entities go on arriving.
//!
//! The *blackout* of a move is the time between the last message that an entity of the shard handled on the old core
//! and the first that one handled on the new core. It contains what the shard's messages would have been apart anyway.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;
use mainspring::prelude::*;
use mainspring_sharding::entities::{ShardCount, ToEntityKey};
use mainspring_sharding::node::{Directive, MoveEnded, MoveOutcome};
use mainspring_sharding::ownership::Place;
use mainspring_sharding::rebalance::{Balance, RebalanceSettings};
use mainspring_sharding::{EntityRef, EntityTarget, EntityType, Sharding};

use super::super::stage::{Course, Stage, runtime};
use super::super::tell::MESSAGES_A_TURN;
use super::super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use super::sharding_refused;
use crate::latency::empty_histogram;
use crate::section::Purpose;

/// One sender, 10,000 entities of 64 shards, and moves one after the other.
pub struct EntityHandoff;

static DESCRIPTION: Description = Description {
    name: "entity-handoff",
    measures: "one message to 10,000 entities, while one of their 64 shards after the other moves to the other core",
    cpus_needed: 2,
    limit: None,
    default_messages: 2_000_000,
    counted_messages: 200_000,
    latency_sample: Some("move of a shard: the time in which none of its messages was handled"),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for EntityHandoff {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let shard_count = ShardCount::new(SHARDS).map_err(sharding_refused("count the shards"))?;
        let board = Arc::new(Board::new());
        let sharding = Sharding::new();
        let rebalance = RebalanceSettings { balance: Balance::Off, ..RebalanceSettings::default() };
        let entity_type = EntityType::new("session").shards(SHARDS).rebalance(rebalance);
        let of_sessions = Arc::clone(&board);
        let entities = sharding.entities(entity_type, move |id| {
            let number = id.number().unwrap_or(0);
            let shard = number.to_entity_key().map_or(0, |key| shard_count.shard_of(&key));
            Session { board: Arc::clone(&of_sessions), entity: number as usize, shard }
        });
        let entities = entities.map_err(sharding_refused("declare a type of entities"))?;
        let order = (0..ENTITIES).map(|id| entities.entity(id)).collect::<Result<Vec<_>, _>>();
        let order = order.map_err(sharding_refused("name an entity"))?;
        let (stage, course) = Stage::start_with(round, 2, |builder| builder.with(sharding))?;
        let coordinator = entities.coordinator().ok_or(ScenarioError::ThreadLost)?;
        let place = |core| entities.place(core).ok_or(ScenarioError::ThreadLost);
        let places = [place(0)?, place(1)?];
        let (of_sender, messages) = (Arc::clone(&board), round.messages);
        let make = move || Sender {
            board: Arc::clone(&of_sender),
            course: course.clone(),
            coordinator,
            places,
            order: order.clone(),
            sent: 0,
            end: WARM_UP + messages,
            moved: 0,
            is_moving: false,
        };
        let sender = stage.node().actor(make).on_core(0).start();
        sender.map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        check("the number of messages lost, doubled or out of order", 0, of(&board.wrong))?;
        check("the number of moves that failed", 0, of(&board.failed))?;
        Ok(Outcome { messages: board.handled() - WARM_UP, latencies, sum: None })
    }
}

const ENTITIES: u64 = 10_000;
const SHARDS: u32 = 64;
/// Every entity runs, and has been told twice on its core.
const WARM_UP: u64 = 2 * ENTITIES;
/// Messages that were sent and not handled yet, at most.
const WINDOW: u64 = 4_096;
/// For a move to end.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the entities of both cores have seen.
struct Board {
    clock: quanta::Clock,
    shards: Box<[CachePadded<SeenShard>]>,
    /// The number of the next message of each entity.
    expected: Box<[AtomicU64]>,
    wrong: AtomicU64,
    failed: AtomicU64,
    /// By core.
    handled: [CachePadded<AtomicU64>; 2],
    blackouts_ns: Mutex<Histogram<u64>>,
}

/// The last message that was handled by an entity of a shard.
#[derive(Default)]
struct SeenShard {
    at: AtomicU64,
    /// One more than the core's number; none yet.
    core: AtomicU64,
}

impl Board {
    fn new() -> Self {
        Board {
            clock: quanta::Clock::new(),
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
            expected: (0..ENTITIES).map(|_| AtomicU64::new(0)).collect(),
            wrong: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            handled: [CachePadded::default(), CachePadded::default()],
            blackouts_ns: Mutex::new(empty_histogram()),
        }
    }

    /// A message for an entity of a shard is being handled on a core. One core at a time does so for a shard.
    fn handles(&self, shard: u32, core: u16) {
        let (seen, now) = (&self.shards[shard as usize], self.clock.raw());
        let before = seen.at.swap(now, Ordering::Relaxed);
        let here = u64::from(core) + 1;
        let was_on = seen.core.load(Ordering::Relaxed);
        if was_on != here {
            seen.core.store(here, Ordering::Relaxed);
            if was_on != 0 {
                let gap_ns = self.clock.delta_as_nanos(before, now);
                self.blackouts().saturating_record(gap_ns.max(1));
            }
        }
        let handled = &self.handled[usize::from(core)];
        handled.store(handled.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn handled(&self) -> u64 {
        self.handled.iter().map(|handled| handled.load(Ordering::Relaxed)).sum()
    }

    fn blackouts(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.blackouts_ns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a move ended, as it arrives.
type ArchivedMoveOutcome = Archived<MoveOutcome>;

/// A message: so many came before it to the same entity.
#[message]
struct Numbered {
    number: u64,
}

/// Sees whether its messages come in order, on whatever core.
struct Session {
    board: Arc<Board>,
    entity: usize,
    shard: u32,
}

impl Actor for Session {
    type Message = Numbered;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Numbered>) -> Next<Self> {
        let expected = &self.board.expected[self.entity];
        let number = message.number.to_native();
        if expected.load(Ordering::Relaxed) != number {
            self.board.wrong.fetch_add(1, Ordering::Relaxed);
        }
        expected.store(number + 1, Ordering::Relaxed);
        self.board.handles(self.shard, ctx.core());
        Next::Same
    }
}

/// The sender goes on.
#[message]
struct GoOn;

/// Tells the entities in turn, as fast as they handle it.
struct Sender {
    board: Arc<Board>,
    course: Course,
    coordinator: ActorRef<Directive>,
    places: [Place; 2],
    order: Vec<EntityRef<Numbered>>,
    sent: u64,
    /// The last move begins before this number.
    end: u64,
    moved: u64,
    is_moving: bool,
}

impl Sender {
    /// Sends as much as one turn may. What is refused is sent again in the next turn, so that it stays in order.
    fn send(&mut self, ctx: &mut Context<'_, Self>) {
        let room = WINDOW.saturating_sub(self.sent - self.board.handled());
        for _ in 0..room.min(MESSAGES_A_TURN) {
            let entity = &self.order[(self.sent % ENTITIES) as usize];
            if entity.tell(ctx, &Numbered { number: self.sent / ENTITIES }).is_err() {
                return;
            }
            self.sent += 1;
            if self.sent == WARM_UP {
                self.board.blackouts().reset();
                self.course.begin();
                self.move_next(ctx);
            }
        }
    }

    /// Has one shard after the other moved to the core where it is not.
    fn move_next(&mut self, ctx: &mut Context<'_, Self>) {
        let (round, shard) = (self.moved / u64::from(SHARDS), self.moved % u64::from(SHARDS));
        // When the node starts, even shards are on the first core and odd ones on the second.
        let (shard, to) = (shard as u32, self.places[((shard + round + 1) % 2) as usize]);
        let request = |reply_to| Directive::Move { shard, to, reply_to: Some(reply_to) };
        ctx.ask(self.coordinator, request, DEADLINE, Self::moved);
        self.is_moving = true;
    }

    fn moved(
        &mut self,
        ctx: &mut Context<'_, Self>,
        ended: Result<&Archived<MoveEnded>, AskError>,
    ) -> Next<Self> {
        if !ended.is_ok_and(|ended| matches!(ended.outcome, ArchivedMoveOutcome::Moved { .. })) {
            self.board.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.moved += 1;
        self.is_moving = false;
        if self.sent < self.end {
            self.move_next(ctx);
        }
        Next::Same
    }
}

impl Actor for Sender {
    type Message = GoOn;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.course.pause(), &GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<GoOn>) -> Next<Self> {
        if self.sent < self.end || self.is_moving {
            self.send(ctx);
        } else if self.board.handled() == self.sent {
            let is_timed = self.course.purpose() == Purpose::Latency;
            self.course.end(is_timed.then(|| self.board.blackouts().clone()));
            return Next::Same;
        }
        ctx.tell(ctx.me(), &GoOn);
        Next::Same
    }
}
