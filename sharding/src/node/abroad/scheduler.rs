//! The actor that has the shards of a type moved between the nodes of a cluster.
//!
//! One stands on core 0 of each node. It puts the questions of its node's regions to the ownership store; that of the
//! node that leads plans besides, and has the moves made. What it knows of owners is what it read and heard: the store
//! decides, so a scheduler that knows too little, or two that lead at once, only cost time.
//!
//! Invariant: no question goes to the store before the node has begun. Bounds: questions, moves and wishes at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mainspring::message::Message;
use mainspring::prelude::*;

use super::desk::StoreDesk;
use super::keeper::Keeper;
use super::outland::Outland;
use crate::allocation::{Allocator, Survey};
use crate::cluster::{ClusterEvent, ClusterHandle, ClusterRequest};
use crate::handoff::{
    Coordinator as Moves, CoordinatorInput, CoordinatorOutput, Message as Said, Outcome,
};
use crate::membership::Status;
use crate::node::coordinator::{ArchivedDirective, Directive, DrainBegun, MoveEnded, MoveOutcome};
use crate::node::envelope::{Envelope, Record};
use crate::node::figures::{ArchivedRegionFigures, RegionFigures};
use crate::node::parcel::Parcel;
use crate::node::wording::{message_of, word_of};
use crate::ownership::{
    Ownership, Place, RequestId, StoreAnswer, StoreNews, StoreQuestion, StoreRequest,
};

/// After how long a step of a move is done again.
const RETRY_NS: u64 = 500_000_000;
/// How often the leader looks at what is to be moved, and everybody at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Moves at a time.
const MOVES_LIMIT: usize = 1_024;
/// Records that are told to a region in one message.
const RECORDS_A_MESSAGE: usize = 512;
/// After how long a question to the store counts as lost.
const ANSWER_WITHIN_NS: u64 = 10_000_000_000;
/// How long the figures of a region are waited for.
const FIGURES_WITHIN: Duration = Duration::from_secs(1);

/// Who asked the store.
#[derive(Clone, Copy, Debug)]
enum Asker {
    Region {
        core: u16,
        shard: u32,
        step: u64,
    },
    Move {
        shard: u32,
        step: u64,
    },
    /// All records are read, for the regions too if they have not begun.
    Scheduler,
}

/// Where somebody wants a shard to be.
struct Wish {
    to: Place,
    reply_to: Option<ActorRef<MoveEnded>>,
}

/// Who decides about owners.
pub(crate) enum Source {
    /// A store; this is the number by which the scheduler asks at the desk.
    Store { desk: Rc<StoreDesk>, listener: usize },
    /// The oldest member.
    Members { keeper: Keeper, last_number: u64, count_ns: u64 },
}

impl Source {
    /// The oldest member decides.
    pub fn members(me: u64, shard_count: u32) -> Source {
        Source::Members { keeper: Keeper::new(me, shard_count), last_number: 0, count_ns: 0 }
    }
}

/// See the module's header.
pub(crate) struct Scheduler<M> {
    cluster: ClusterHandle,
    pub(super) source: Source,
    pub(super) outland: Rc<Outland<M>>,
    entity_type: Arc<str>,
    pub(super) allocator: Allocator,
    moves: Moves<Place>,
    moving: BTreeMap<u32, Place>,
    /// Nodes that the store says to be present.
    present: BTreeSet<u64>,
    /// Members that it says to be absent: they have stopped using what they own, whatever the membership thinks.
    absent: BTreeSet<u64>,
    pub(super) records: Vec<Option<Ownership<Place>>>,
    questions: BTreeMap<RequestId, (Asker, u64)>,
    wishes: BTreeMap<u32, Wish>,
    /// Whether the records were read since this node began, or began to lead.
    has_read: bool,
    was_leading: bool,
    /// Cores that have said, since the node exits, that nothing waits there any more.
    at_rest: BTreeSet<u16>,
    has_said_ready: bool,
}

impl<M: Message> Scheduler<M> {
    pub fn new(
        (cluster, source): (ClusterHandle, Source),
        outland: Rc<Outland<M>>,
        (entity_type, shard_count): (&str, u32),
        allocator: Allocator,
    ) -> Self {
        let places = outland.places();
        Scheduler {
            cluster,
            source,
            outland,
            entity_type: entity_type.into(),
            allocator,
            moves: Moves::new(places, MOVES_LIMIT, RETRY_NS),
            moving: BTreeMap::new(),
            present: BTreeSet::new(),
            absent: BTreeSet::new(),
            records: vec![None; shard_count as usize],
            questions: BTreeMap::new(),
            wishes: BTreeMap::new(),
            has_read: false,
            was_leading: false,
            at_rest: BTreeSet::new(),
            has_said_ready: false,
        }
    }

    /// The store says something.
    pub fn news(&mut self, ctx: &mut Context<'_, Self>, news: &StoreNews) {
        match news {
            StoreNews::Registered(_) => {
                self.outland.neighbours.borrow_mut().set_present();
            }
            StoreNews::Answer(id, answer) => self.answered(ctx, *id, *answer),
            StoreNews::Records(id, records) if self.questions.remove(id).is_some() => {
                self.has_read = true;
                self.read(ctx, records);
            }
            StoreNews::Failed(id, error) => {
                tracing::warn!(%error, entity_type = &*self.entity_type, "a question to the ownership store");
                // Who asked does so again after a time.
                self.questions.remove(id);
            }
            StoreNews::Changed { entity_type, shard, ownership }
                if *entity_type == self.entity_type =>
            {
                self.note(*shard, *ownership);
            }
            StoreNews::LeaseLost => self.give_up_node(ctx),
            StoreNews::NodePresent(node) => {
                self.present.insert(node.incarnation);
                self.absent.remove(&node.incarnation);
            }
            StoreNews::NodeAbsent { incarnation } => {
                self.present.remove(incarnation);
                self.absent.insert(*incarnation);
                self.look(ctx);
            }
            _ => {}
        }
    }

    /// Without its lease this node cannot be a member.
    fn give_up_node(&self, ctx: &mut Context<'_, Self>) {
        if let Some(cluster) = self.cluster.actor() {
            let incarnation = self.outland.peers.place(0).incarnation;
            ctx.tell(cluster, &ClusterRequest::Down { incarnation });
        }
    }

    /// A record is known: whether it is new.
    pub(super) fn note(&mut self, shard: u32, ownership: Ownership<Place>) -> bool {
        let Some(known) = self.records.get_mut(shard as usize) else { return false };
        let is_new = known.is_none_or(|known| known.epoch < ownership.epoch);
        if is_new {
            *known = Some(ownership);
            self.outland.board.note(shard, ownership);
        }
        is_new
    }

    /// All records have been read: the regions learn them.
    pub(super) fn read(
        &mut self,
        ctx: &mut Context<'_, Self>,
        records: &[(u32, Ownership<Place>)],
    ) {
        for (shard, ownership) in records {
            self.note(*shard, *ownership);
        }
        for batch in records.chunks(RECORDS_A_MESSAGE) {
            let records: Vec<(u32, Record)> =
                batch.iter().map(|(shard, ownership)| (*shard, (*ownership).into())).collect();
            for core in 0..self.outland.peers.cores() {
                if let Some(region) = self.outland.peers.get(core) {
                    let records = Envelope::Records { records: records.clone() };
                    // A region that does not hear of a record asks for it when it needs it.
                    let _ = ctx.try_tell(region, &(records, Vec::new()));
                }
            }
        }
        self.look(ctx);
    }

    /// Puts a question about a shard. Who gets no answer asks again after a time.
    fn ask(&mut self, ctx: &mut Context<'_, Self>, asker: Asker, request: StoreRequest<Place>) {
        let now_ns = ctx.now_ns();
        let id = match &mut self.source {
            Source::Store { desk, listener } => {
                let entity_type = Arc::clone(&self.entity_type);
                let question = StoreQuestion::Ownership { entity_type, request };
                desk.ask(now_ns, *listener, question).ok()
            }
            Source::Members { keeper, last_number, .. } => {
                if let Some(answer) = keeper.decide(request) {
                    return self.answer(ctx, asker, answer);
                }
                *last_number += 1;
                let number = *last_number;
                self.ask_oldest(ctx, number, request).then_some(RequestId(number))
            }
        };
        if let Some(id) = id {
            self.questions.insert(id, (asker, now_ns.saturating_add(ANSWER_WITHIN_NS)));
        }
    }

    pub(super) fn answered(
        &mut self,
        ctx: &mut Context<'_, Self>,
        id: RequestId,
        answer: StoreAnswer<Place>,
    ) {
        if let Some((asker, _)) = self.questions.remove(&id) {
            self.answer(ctx, asker, answer);
        }
    }

    fn answer(&mut self, ctx: &mut Context<'_, Self>, asker: Asker, answer: StoreAnswer<Place>) {
        match asker {
            Asker::Region { core, shard, step } => {
                self.note_answer(shard, answer);
                if let Some(region) = self.outland.peers.get(core) {
                    let answer = answer.into();
                    let answer = Envelope::StoreAnswered { shard, step, answer };
                    let _ = ctx.try_tell(region, &(answer, Vec::new()));
                }
            }
            Asker::Move { shard, step } => {
                self.note_answer(shard, answer);
                self.input(ctx, CoordinatorInput::StoreAnswered { shard, step, answer });
            }
            Asker::Scheduler => {}
        }
    }

    pub(super) fn note_answer(&mut self, shard: u32, answer: StoreAnswer<Place>) {
        let record = match answer {
            StoreAnswer::Found(record) | StoreAnswer::Refused { current: record, .. } => record,
            StoreAnswer::Changed(record) => Some(record),
            StoreAnswer::Unknown => None,
        };
        if let Some(record) = record {
            self.note(shard, record);
        }
    }

    /// A region, of this node or another one, says how far a move is.
    fn said(&mut self, ctx: &mut Context<'_, Self>, message: Said<Place, Parcel<M>>) {
        if let Said::ShardStarted { shard, ownership }
        | Said::ShardStopped { shard, ownership }
        | Said::Resumed { shard, ownership } = &message
        {
            self.note(*shard, *ownership);
        }
        self.input(ctx, CoordinatorInput::Message { message });
    }

    fn input(&mut self, ctx: &mut Context<'_, Self>, input: CoordinatorInput<Place, Parcel<M>>) {
        let mut outputs = Vec::new();
        self.moves.handle(ctx.now_ns(), input, &mut outputs);
        for output in outputs {
            match output {
                CoordinatorOutput::Send { to, message } => {
                    let (word, _) = word_of(message);
                    if let Some(region) = self.outland.region_of(to) {
                        let from = self.outland.peers.place(0);
                        // One that finds no room is said again after a time.
                        let _ =
                            ctx.try_tell(region, &(Envelope::Handover { from, word }, Vec::new()));
                    }
                }
                CoordinatorOutput::Store { step, request } => {
                    let shard = request.shard();
                    self.ask(ctx, Asker::Move { shard, step }, request);
                }
                CoordinatorOutput::Finished { shard, outcome } => {
                    self.finished(ctx, shard, outcome);
                }
            }
        }
    }

    fn finished(&mut self, ctx: &mut Context<'_, Self>, shard: u32, outcome: Outcome<Place>) {
        self.moving.remove(&shard);
        if let Outcome::Moved(ownership) | Outcome::Resumed(ownership) = outcome {
            self.note(shard, ownership);
        }
        if let Some(Wish { reply_to: Some(reply_to), .. }) = self.wishes.remove(&shard) {
            ctx.tell(reply_to, &MoveEnded { shard, outcome: outcome.into() });
        }
    }

    /// Somebody wants a shard to be at a place. Only the scheduler of the leader has it moved.
    pub(super) fn wish(
        &mut self,
        ctx: &mut Context<'_, Self>,
        shard: u32,
        to: Place,
        reply_to: Option<ActorRef<MoveEnded>>,
    ) {
        let mut answer = |outcome| {
            if let Some(reply_to) = reply_to {
                ctx.tell(reply_to, &MoveEnded { shard, outcome });
            }
        };
        let is_there = self.outland.region_of(to).is_some();
        if shard as usize >= self.records.len() || !is_there {
            return answer(MoveOutcome::NoSuchPlace);
        }
        if self.allocator.is_drained(to) {
            return answer(MoveOutcome::Drained);
        }
        if self.moving.contains_key(&shard) {
            return answer(MoveOutcome::UnderWay);
        }
        if self.moving.len() >= MOVES_LIMIT {
            return answer(MoveOutcome::TooMany);
        }
        self.wishes.insert(shard, Wish { to, reply_to });
        self.begin_wishes(ctx);
    }

    fn begin_wishes(&mut self, ctx: &mut Context<'_, Self>) {
        let waiting: Vec<(u32, Place)> = self
            .wishes
            .iter()
            .filter(|(shard, _)| !self.moving.contains_key(shard))
            .map(|(shard, wish)| (*shard, wish.to))
            .collect();
        for (shard, to) in waiting {
            self.moving.insert(shard, to);
            self.input(ctx, CoordinatorInput::Move { shard, to });
        }
    }

    /// Looks at what is due, and if this node leads, at what is to be moved.
    fn look(&mut self, ctx: &mut Context<'_, Self>) {
        let now_ns = ctx.now_ns();
        for place in self.outland.take_gone() {
            self.input(ctx, CoordinatorInput::PlaceGone(place));
        }
        let outland = &self.outland;
        self.absent.retain(|node| outland.neighbours.borrow().has(*node));
        for place in self.outland.places() {
            self.input(
                ctx,
                match self.absent.contains(&place.incarnation) {
                    false => CoordinatorInput::PlaceJoined(place),
                    // Nothing can be asked of it: its shards are taken over.
                    true => CoordinatorInput::PlaceGone(place),
                },
            );
        }
        let source = &self.source;
        self.questions.retain(|id, (_, until_ns)| {
            let is_waited_for = *until_ns > now_ns;
            if let (false, Source::Store { desk, .. }) = (is_waited_for, source) {
                desk.forget(*id);
            }
            is_waited_for
        });
        // A node that lost its lease before it was a member has to be given up as soon as it is one.
        let status = self.outland.neighbours.borrow().own_status();
        if self.outland.peers.tenure.is_closed() && status.is_some_and(Status::counts) {
            self.give_up_node(ctx);
        }
        if !self.outland.neighbours.borrow().has_begun() {
            return;
        }
        let leads = match self.source {
            Source::Store { .. } => self.look_at_store(now_ns),
            Source::Members { .. } => self.look_at_members(ctx),
        };
        if leads {
            self.plan(ctx);
        }
        self.exit_when_empty(ctx);
    }

    /// Reads all records when this node begins, and when it begins to lead. Whether it leads, and has read them.
    fn look_at_store(&mut self, now_ns: u64) -> bool {
        let leads = self.outland.neighbours.borrow().leads();
        let begins_to_lead = leads && !self.was_leading;
        self.was_leading = leads;
        self.has_read &= !begins_to_lead;
        let is_scheduler = |asker: &Asker| matches!(asker, Asker::Scheduler);
        let is_reading = self.questions.values().any(|(asker, _)| is_scheduler(asker));
        if let Source::Store { desk, listener } = &self.source
            && !self.has_read
            && !is_reading
        {
            let entity_type = Arc::clone(&self.entity_type);
            let question = StoreQuestion::ReadAll { entity_type };
            if let Ok(id) = desk.ask(now_ns, *listener, question) {
                let until_ns = now_ns.saturating_add(ANSWER_WITHIN_NS);
                self.questions.insert(id, (Asker::Scheduler, until_ns));
            }
        }
        leads && self.has_read
    }

    /// Shows the allocator who is there and who has what.
    fn survey<T>(&mut self, show: impl FnOnce(&mut Allocator, &Survey<'_>) -> T) -> T {
        let neighbours = self.outland.neighbours.borrow();
        let nodes = neighbours.standings();
        let homes: Vec<Option<Place>> =
            self.records.iter().map(|record| record.map(|record| record.owner)).collect();
        let owners = homes.iter().flatten().map(|home| home.incarnation);
        let is_absent = |owner: &u64| {
            let is_no_member = !neighbours.has(*owner) && !self.present.contains(owner);
            is_no_member || self.absent.contains(owner)
        };
        let absent = owners.filter(is_absent).collect();
        let moving = self.moving.keys().copied().collect();
        let survey = Survey { nodes: &nodes, homes: &homes, moving: &moving, absent: &absent };
        show(&mut self.allocator, &survey)
    }

    /// Begins what is to be moved now.
    fn plan(&mut self, ctx: &mut Context<'_, Self>) {
        let now_ns = ctx.now_ns();
        let assignments = self.survey(|allocator, survey| allocator.plan(now_ns, survey));
        for assignment in assignments {
            let (shard, to) = (assignment.shard, assignment.to);
            if self.moving.len() >= MOVES_LIMIT || self.moving.contains_key(&shard) {
                continue;
            }
            self.moving.insert(shard, to);
            tracing::debug!(shard, %to, reason = ?assignment.reason, "a shard moves");
            self.input(ctx, CoordinatorInput::Move { shard, to });
        }
    }

    /// A node that exits may go when it has no shard and nothing waits in its regions.
    fn exit_when_empty(&mut self, ctx: &mut Context<'_, Self>) {
        let (status, is_last) = {
            let neighbours = self.outland.neighbours.borrow();
            (neighbours.own_status(), neighbours.is_last())
        };
        if status != Some(Status::Exiting) || self.has_said_ready {
            return;
        }
        let me = self.outland.peers.place(0).incarnation;
        let has_shards = self.records.iter().flatten().any(|record| record.owner.incarnation == me);
        let cores = self.outland.peers.cores();
        if !is_last && has_shards {
            return;
        }
        if is_last || self.at_rest.len() == usize::from(cores) {
            self.has_said_ready = true;
            if let Some(cluster) = self.cluster.actor() {
                let subscriber = ctx.port::<ClusterEvent>();
                ctx.tell(cluster, &ClusterRequest::ReadyToExit { subscriber });
            }
            return;
        }
        for core in (0..cores).filter(|core| !self.at_rest.contains(core)) {
            if let Some(region) = self.outland.peers.get(core) {
                let figures = |reply_to| (Envelope::Figures { reply_to }, Vec::new());
                let _ = ctx.ask(region, figures, FIGURES_WITHIN, Self::figures_came);
            }
        }
    }

    fn figures_came(
        &mut self,
        _: &mut Context<'_, Self>,
        figures: Result<&Archived<RegionFigures>, AskError>,
    ) -> Next<Self> {
        if let Ok(ArchivedRegionFigures { core, parked, shards, .. }) = figures
            && parked.to_native() == 0
            && shards.to_native() == 0
        {
            self.at_rest.insert(core.to_native());
        }
        Next::Same
    }

    /// Who has shards moved, if that is another node.
    pub(super) fn leader(&self) -> Option<ActorRef<Directive>> {
        let neighbours = self.outland.neighbours.borrow();
        let leader = match self.source {
            Source::Store { .. } => neighbours.leader()?,
            Source::Members { .. } => neighbours.oldest()?.0,
        };
        self.outland.scheduler_of(leader)
    }
}

impl<M: Message> Actor for Scheduler<M> {
    type Message = Directive;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        if let Some(cluster) = self.cluster.actor() {
            let subscriber = ctx.port::<ClusterEvent>();
            ctx.tell(cluster, &ClusterRequest::Subscribe { subscriber, holds_exit: true });
        }
        ctx.timer("look").every(LOOK_EVERY, &Directive::Tick);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        directive: &Archived<Directive>,
    ) -> Next<Self> {
        let has_begun = self.outland.neighbours.borrow().has_begun();
        match directive {
            ArchivedDirective::Asked { from, shard, step, question } => {
                // One that asks too early asks again.
                if has_begun {
                    let core = Place::from(from).core;
                    let (shard, step) = (shard.to_native(), step.to_native());
                    let asker = Asker::Region { core, shard, step };
                    self.ask(ctx, asker, question.into());
                }
            }
            ArchivedDirective::Said { word } => {
                if let Some(message) = message_of(word, &[]) {
                    self.said(ctx, message);
                }
            }
            ArchivedDirective::Move { shard, to, reply_to } => {
                let (shard, to, reply_to) =
                    (shard.to_native(), to.into(), reply_to.as_ref().copied());
                match self.leader() {
                    // It answers whoever asked.
                    Some(leader) => ctx.tell(leader, &Directive::Move { shard, to, reply_to }),
                    None => self.wish(ctx, shard, to, reply_to),
                }
            }
            ArchivedDirective::Drain { place, reply_to } => {
                let place = Place::from(place);
                match self.leader() {
                    Some(leader) => {
                        let reply_to = reply_to.as_ref().copied();
                        ctx.tell(leader, &Directive::Drain { place, reply_to });
                    }
                    None => {
                        let drained = self.survey(|all, survey| all.drain_core(place, survey));
                        let is_taken = drained.is_ok();
                        let owners = self.records.iter().flatten();
                        let shards = owners.filter(|record| is_taken && record.owner == place);
                        let shards = shards.count() as u32;
                        if let Some(reply_to) = reply_to.as_ref() {
                            ctx.tell(*reply_to, &DrainBegun { shards });
                        }
                    }
                }
            }
            ArchivedDirective::Readmit { place } => {
                let place = Place::from(place);
                match self.leader() {
                    Some(leader) => ctx.tell(leader, &Directive::Readmit { place }),
                    None => {
                        self.allocator.readmit_core(place);
                    }
                }
            }
            ArchivedDirective::Kept { word } => self.hear(ctx, word),
            // Shards are balanced by their number.
            ArchivedDirective::Loads { .. } => {}
            ArchivedDirective::Rebalance => self.rebalance(ctx),
            ArchivedDirective::Tick => {
                self.take_requests(ctx);
                self.input(ctx, CoordinatorInput::Tick);
                self.look(ctx);
            }
        }
        Next::Same
    }
}

impl<M: Message> Port<ClusterEvent> for Scheduler<M> {
    /// The door notes what has happened; here it is only time to look.
    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<ClusterEvent>) -> Next<Self> {
        self.look(ctx);
        Next::Same
    }
}
