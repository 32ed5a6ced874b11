//! Shards that move from core to core at intervals, while messages for all their entities come at a rate that the
//! cores can well take: of entities without a journal, and of durable ones that are active in it.
//!
//! The *blackout* of a move is what the sender sees of it: the time between the last message that an entity of the
//! shard had handled on the old core and the first that one had handled on the new core. A durable entity has handled a
//! message when its new state is durable. So it contains the time that the shard's messages are apart anyway, and for
//! durable entities a whole commit.

use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use hdrhistogram::Histogram;
use mainspring::prelude::*;
use mainspring_journal::sourced::PersistRejected;
use mainspring_journal::{Change, DurableState, Stored, state};
use mainspring_sharding::node::{Directive, MoveEnded, MoveOutcome};
use mainspring_sharding::ownership::Place;
use mainspring_sharding::rebalance::{Balance, RebalanceSettings};
use mainspring_sharding::{Entities, EntityRef, EntityTarget, EntityType, Sharding};

use super::super::journal_store::JournalStore;
use super::super::stage::{Course, Stage, runtime};
use super::super::tell::MESSAGES_A_TURN;
use super::super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use super::sharding_refused;
use crate::latency::empty_histogram;
use crate::section::Purpose;

/// One sender, 10,000 entities of 64 shards, and moves at intervals.
pub struct HandoffAtRate {
    description: &'static Description,
    is_durable: bool,
}

/// Entities without a journal.
pub static ENTITY_HANDOFF_AT_RATE: HandoffAtRate = HandoffAtRate {
    description: &Description {
        name: "entity-handoff-at-rate",
        measures: "one of 50,000 messages a second to 10,000 entities, while their 64 shards move in turn",
        ..COMMON
    },
    is_durable: false,
};

/// Entities whose state is durable when they have handled a message.
pub static ENTITY_HANDOFF_DURABLE: HandoffAtRate = HandoffAtRate {
    description: &Description {
        name: "entity-handoff-durable",
        measures: "one of 50,000 durable changes a second of 10,000 entities, while their 64 shards move in turn",
        limit: Some("entity-handoff-at-rate"),
        ..COMMON
    },
    is_durable: true,
};

const COMMON: Description = Description {
    name: "",
    measures: "",
    cpus_needed: 2,
    limit: None,
    default_messages: 200_000,
    counted_messages: 50_000,
    latency_sample: Some("move of a shard: the time in which none of its messages was handled"),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for HandoffAtRate {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn yields(&self) -> bool {
        self.is_durable
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        round.cpu(1)?;
        let sharding = Sharding::new();
        let rebalance = RebalanceSettings { balance: Balance::Off, ..RebalanceSettings::default() };
        let entity_type = EntityType::new("session").shards(SHARDS).rebalance(rebalance);
        let store = if self.is_durable { Some(JournalStore::make()?) } else { None };
        let entities = match self.is_durable {
            true => sharding.entities(entity_type, |id| Stored::new(id.bytes(), Session::default)),
            false => sharding.entities(entity_type, |_| Visit::default()),
        };
        let entities = entities.map_err(sharding_refused("declare a type of entities"))?;
        let journal = store.as_ref().map(JournalStore::journal);
        let (stage, course) = Stage::start_with(round, 2, |builder| match journal {
            Some(journal) => builder.with(journal).with(sharding),
            None => builder.with(sharding),
        })?;
        let place = |core| entities.place(core).ok_or(ScenarioError::ThreadLost);
        drive((stage, course), round, &entities, [place(0)?, place(1)?], LOAD)
    }
}

const SHARDS: u32 = 64;
const LOAD: HandoffLoad = HandoffLoad { entities: 10_000, per_second: 50_000, rest: None };

/// What is asked of the entities.
#[derive(Clone, Copy, Debug)]
pub struct HandoffLoad {
    pub entities: u64,
    /// Messages, once every entity runs.
    pub per_second: u64,
    /// How long the sender sleeps between two looks at what is due; none to look all the time.
    pub rest: Option<Duration>,
}

impl HandoffLoad {
    /// Every entity runs, and has been told twice on its core.
    fn warm_up(&self) -> u64 {
        2 * self.entities
    }

    /// Messages that were sent and not handled yet: beyond that the sender holds back.
    fn most_under_way(&self) -> u64 {
        4 * self.entities
    }
}

/// Sends to the entities and has their shards moved between the places, until the round is over.
pub fn drive(
    (stage, course): (Stage, Course),
    round: &Round<'_>,
    entities: &Entities<Numbered>,
    places: [Place; 2],
    load: HandoffLoad,
) -> Result<Outcome, ScenarioError> {
    let coordinator = entities.coordinator().ok_or(ScenarioError::ThreadLost)?;
    let order = in_turn(entities, load.entities)?;
    let (shards, end) = (entities.shard_count() as usize, load.warm_up() + round.messages);
    let (tallies, tally) = sync_channel(1);
    let make = move || Sender {
        course: course.clone(),
        coordinator,
        places,
        load,
        order: order.clone(),
        tallies: tallies.clone(),
        tally: Tally::default(),
        seen: vec![Seen::default(); shards],
        blackouts_ns: empty_histogram(),
        sent: 0,
        handled: 0,
        end,
        began: None,
        moved: 0,
        is_moving: false,
        rested_since: 0,
    };
    stage.node().actor(make).on_core(0).start().map_err(runtime("make the sender"))?;
    let latencies = stage.finish()?;
    let Tally { wrong, failed, sent } = tally.try_recv().map_err(|_| ScenarioError::ThreadLost)?;
    check("the number of messages lost, doubled or out of order", 0, wrong)?;
    check("the number of moves that failed", 0, failed)?;
    Ok(Outcome { messages: sent - load.warm_up(), latencies, sum: None })
}

/// Messages of the warm-up that were sent and not handled yet, at most.
const WINDOW: u64 = 2_048;
/// Between the end of a move and the next one.
const PAUSE_NS: u64 = 5_000_000;
/// For a move to end.
const DEADLINE: Duration = Duration::from_secs(60);

/// By which all cores say when a message was handled.
static CLOCK: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);

/// An entity, its shard and its reference, in the order in which they are told.
type Told = (u32, EntityRef<Numbered>);

/// All entities, with their shards.
fn in_turn(entities: &Entities<Numbered>, count: u64) -> Result<Vec<Told>, ScenarioError> {
    let told = |id| Ok((entities.shard_of(id)?, entities.entity(id)?));
    let order: Result<_, mainspring_sharding::entities::EntityIdError> =
        (0..count).map(told).collect();
    order.map_err(sharding_refused("name an entity"))
}

/// How a move ended, as it arrives.
type ArchivedMoveOutcome = Archived<MoveOutcome>;

/// A message: so many came before it to the same entity.
#[message]
pub struct Numbered {
    number: u64,
    shard: u32,
    reply_to: ActorRef<Answer>,
}

/// To the sender.
#[message]
pub enum Answer {
    /// A message was handled at one of the places, at this time of [`CLOCK`].
    Handled { shard: u32, side: u16, at: u64, is_next: bool },
    /// From the sender to itself: go on.
    GoOn,
}

impl Answer {
    fn handled(shard: u32, side: u16, is_next: bool) -> Answer {
        Answer::Handled { shard, side, at: CLOCK.raw(), is_next }
    }
}

/// An entity that forgets what it has seen when it moves.
#[derive(Default)]
pub struct Visit {
    next: Option<u64>,
    /// Its place, where that is not the number of its core.
    pub side: Option<u16>,
}

impl Actor for Visit {
    type Message = Numbered;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Numbered>) -> Next<Self> {
        let number = message.number.to_native();
        let is_next = self.next.replace(number + 1).is_none_or(|next| next == number);
        ctx.tell(
            message.reply_to,
            &Answer::handled(message.shard.to_native(), self.side.unwrap_or(ctx.core()), is_next),
        );
        Next::Same
    }
}

/// An entity that remembers.
#[state(name = "perf.session", version = 1)]
#[derive(Default)]
struct Session {
    next: u64,
    notes: [u64; 8],
}

impl Session {
    fn answer(
        message: &ArchivedNumbered,
        is_next: bool,
    ) -> impl FnOnce(&Session, &mut Context<'_, Stored<Session>>) + 'static {
        let (shard, reply_to) = (message.shard.to_native(), message.reply_to);
        move |_, ctx| ctx.tell(reply_to, &Answer::handled(shard, ctx.core(), is_next))
    }
}

impl DurableState for Session {
    type Command = Numbered;

    fn on_command(&self, message: &Archived<Numbered>) -> Change<Self> {
        let number = message.number.to_native();
        let next = Session { next: number + 1, notes: [number; 8] };
        Change::store(next).then_run(Session::answer(message, self.next == number))
    }

    fn on_rejected(&self, message: &Archived<Numbered>, _: &PersistRejected) -> Change<Self> {
        Change::none().then_run(Session::answer(message, false))
    }
}

/// What the sender says in the end.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Must be none, as must those that failed.
    wrong: u64,
    /// Moves.
    failed: u64,
    sent: u64,
}

/// The last message that was handled by an entity of a shard, as far as the sender knows.
#[derive(Clone, Copy, Default)]
struct Seen {
    side: u16,
    /// 0 for none.
    at: u64,
}

/// Tells the entities in turn, each message when it is due, and sees to the moves.
struct Sender {
    course: Course,
    coordinator: ActorRef<Directive>,
    places: [Place; 2],
    load: HandoffLoad,
    order: Vec<Told>,
    tallies: SyncSender<Tally>,
    tally: Tally,
    seen: Vec<Seen>,
    blackouts_ns: Histogram<u64>,
    sent: u64,
    handled: u64,
    /// The last move begins before this number.
    end: u64,
    /// When the warm-up had ended.
    began: Option<u64>,
    moved: u64,
    is_moving: bool,
    /// When the last move ended.
    rested_since: u64,
}

impl Sender {
    /// Below which number everything is due.
    fn due(&mut self, now: u64) -> u64 {
        if self.began.is_none() && self.handled == self.load.warm_up() {
            self.blackouts_ns.reset();
            self.course.begin();
            (self.began, self.rested_since) = (Some(now), now);
        }
        let Some(began) = self.began else { return self.load.warm_up().min(self.handled + WINDOW) };
        // One that has so many under way cannot do what is asked of it, and the time of a message says so.
        if self.sent - self.handled >= self.load.most_under_way() {
            return self.sent;
        }
        let since_ns = u128::from(CLOCK.delta_as_nanos(began, now));
        let due = since_ns * u128::from(self.load.per_second) / 1_000_000_000;
        // While a move is under way messages go on.
        let end = if self.is_moving { u64::MAX } else { self.end.max(self.sent) };
        (self.load.warm_up() + due as u64).min(end)
    }

    /// Sends what is due, as much as one turn may. What is refused is sent again in the next turn, so that it stays in
    /// order.
    fn send(&mut self, ctx: &mut Context<'_, Self>, now: u64) {
        let due = self.due(now);
        for _ in 0..due.saturating_sub(self.sent).min(MESSAGES_A_TURN) {
            let (shard, entity) = &self.order[(self.sent % self.load.entities) as usize];
            let number = self.sent / self.load.entities;
            let message = Numbered { number, shard: *shard, reply_to: ctx.me() };
            if entity.tell(ctx, &message).is_err() {
                return;
            }
            self.sent += 1;
        }
    }

    /// Has one shard after the other moved to the place where it is not.
    fn move_next(&mut self, ctx: &mut Context<'_, Self>) {
        let shard = (self.moved % self.seen.len() as u64) as u32;
        let is_on = usize::from(self.seen[shard as usize].side);
        let to = self.places[1 - is_on.min(1)];
        let request = |reply_to| Directive::Move { shard, to, reply_to: Some(reply_to) };
        ctx.ask(self.coordinator, request, DEADLINE, Self::moved);
        self.is_moving = true;
    }

    fn moved(
        &mut self,
        _: &mut Context<'_, Self>,
        ended: Result<&Archived<MoveEnded>, AskError>,
    ) -> Next<Self> {
        // Those who balance nodes may have the same shard under way.
        let is_fine = |ended: &Archived<MoveEnded>| {
            matches!(
                ended.outcome,
                ArchivedMoveOutcome::Moved { .. } | ArchivedMoveOutcome::UnderWay
            )
        };
        self.tally.failed += u64::from(!ended.is_ok_and(is_fine));
        self.moved += 1;
        self.is_moving = false;
        self.rested_since = CLOCK.raw();
        Next::Same
    }

    fn handled(&mut self, shard: u32, side: u16, at: u64) {
        self.handled += 1;
        let Some(seen) = self.seen.get_mut(shard as usize) else { return };
        // The answers of two cores may come in another order than they were given.
        if at < seen.at {
            return;
        }
        let before = std::mem::replace(seen, Seen { side, at });
        if before.at > 0 && before.side != side {
            let gap_ns = CLOCK.delta_as_nanos(before.at, at);
            self.blackouts_ns.saturating_record(gap_ns.max(1));
        }
    }

    fn go_on(&mut self, ctx: &mut Context<'_, Self>) {
        let now = CLOCK.raw();
        self.send(ctx, now);
        let is_rested = CLOCK.delta_as_nanos(self.rested_since, now) >= PAUSE_NS;
        if self.began.is_some() && !self.is_moving && is_rested && self.sent < self.end {
            self.move_next(ctx);
        }
        if self.sent >= self.end && !self.is_moving && self.handled == self.sent {
            let is_timed = self.course.purpose() == Purpose::Latency;
            // The other side takes it when the stage has ended.
            _ = self.tallies.try_send(Tally { sent: self.sent, ..self.tally });
            self.course.end(is_timed.then(|| self.blackouts_ns.clone()));
            return;
        }
        match self.load.rest {
            None => ctx.tell(ctx.me(), &Answer::GoOn),
            Some(rest) => ctx.timer("go on").after(rest, &Answer::GoOn),
        };
    }
}

impl Actor for Sender {
    type Message = Answer;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.course.pause(), &Answer::GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Answer>) -> Next<Self> {
        match answer {
            ArchivedAnswer::Handled { shard, side, at, is_next } => {
                self.tally.wrong += u64::from(!is_next);
                self.handled(shard.to_native(), side.to_native(), at.to_native());
            }
            ArchivedAnswer::GoOn => self.go_on(ctx),
        }
        Next::Same
    }
}
