//! Every order of events, losses and duplicates that a few moves and deaths of a few shards and places allow.
//!
//! A budget says how many messages are sent, how many moves are asked for, how many messages are lost and doubled, how
//! many store outcomes are unknown (the request then waits, and may be done at any later time or never), how many
//! targets vanish from the store, and which places come to their end. Time passes only when nothing else can happen: a
//! repeated step beside its late original is what a duplicate is. States that differ in nothing that matters later are
//! one.

use std::collections::VecDeque;

use stateright::{Checker, Model, Property};

use super::board::{Board, Broken, Effect, Laxity, Place, Wire};
use super::canonical::normalize;
use super::endings::Ending;
use crate::handoff::{Input, Message, Settings};
use crate::ownership::{StoreAnswer, StoreRequest};

/// What may still happen by chance or by wish.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Messages by place and shard.
    pub sends: Vec<(Place, u32, u8)>,
    /// Moves, in any order.
    pub moves: Vec<(u32, Place)>,
    pub losses: u8,
    pub duplicates: u8,
    pub unknown: u8,
    pub absences: u8,
    /// Whether hints arrive. Where not, all of them are lost, for nothing: they multiply the states.
    pub hints: bool,
    /// Places that may come to their end, at any time or never, and what may happen to them before.
    pub mortal: Vec<(Place, Fate)>,
    /// Places that take over from those.
    pub heirs: Vec<Place>,
}

/// How a place comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// At once.
    Crashes,
    /// Nobody reaches it from some time on, nor it anybody but the store; it ends later.
    IsCutOff,
}

/// One state of the whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(super) board: Board,
    /// 0 between two actions.
    pub(super) now_ns: u64,
    /// What will happen, in any order; kept in the order of fingerprints, so that equal pools are equal states.
    pub(super) pool: Vec<(u64, Effect)>,
    /// Requests whose outcome was called unknown, or whose asker has ended: done later or never.
    pub(super) zombies: Vec<StoreRequest<Place>>,
    /// By sender and receiver.
    pub(super) ways: Vec<VecDeque<Wire>>,
    pub(super) budget: Budget,
    absent: Vec<Place>,
    pub(super) endings: Vec<Ending>,
    pub(super) broken: Option<Broken>,
}

/// What can happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Send(Place, u32),
    Move(u32, Place),
    Happens(Effect),
    Twice(Effect),
    Lost(Effect),
    Unknown(Effect),
    Late(usize),
    Never(usize),
    Absent(Place),
    Present(Place),
    Arrives(usize),
    LostOnTheWay(usize),
    TimePasses,
    IsCutOff(Place),
    Ends(Place),
    LeaseEnds(Place),
    IsGone { place: Place, told: Place },
    TakesOver(u32, Place),
    IsTold(u32),
}

/// The model of one budget.
pub struct HandOffModel {
    pub places: Place,
    pub shards: u32,
    pub settings: Settings,
    pub budget: Budget,
    pub laxity: Option<Laxity>,
    pub is_durable: bool,
}

/// Small constants: an interval of one, two messages in a `Forward`.
pub fn small_settings() -> Settings {
    Settings { forward_limit: 2, retry_ns: 1, stop_within_ns: 1, ..Settings::default() }
}

impl World {
    pub(super) fn spread(&mut self, effects: Result<Vec<Effect>, Broken>) {
        let effects = match effects {
            Ok(effects) => effects,
            Err(broken) => {
                self.broken = Some(broken);
                return;
            }
        };
        let places = self.board.regions.len();
        for effect in effects {
            match effect {
                Effect::Control { from, to, .. } | Effect::InOrder { from, to, .. }
                    if !self.are_connected(from, to) => {}
                Effect::InOrder { from, to, wire } => {
                    self.ways[usize::from(from) * places + usize::from(to)].push_back(wire);
                }
                // Nobody listens to what is said to coordinators, and nobody needs to.
                Effect::Control {
                    message:
                        Message::ShardStopped { .. } | Message::Resumed { .. } | Message::Busy { .. },
                    ..
                } => {}
                Effect::Control { from, to, message: Message::ShardStarted { .. } }
                    if from == to => {}
                Effect::Control { message: Message::BeginHandOff { .. }, .. }
                    if !self.budget.hints => {}
                effect => self.add(effect),
            }
        }
    }

    fn add(&mut self, effect: Effect) {
        let print = effect.fingerprint();
        let at = self.pool.partition_point(|(other, _)| *other < print);
        self.pool.insert(at, (print, effect));
    }

    fn remove(&mut self, effect: &Effect) {
        if let Some(at) = self.pool.iter().position(|(_, other)| other == effect) {
            self.pool.remove(at);
        }
    }

    fn happen(&mut self, effect: Effect) {
        let now_ns = self.now_ns;
        let effects = match effect {
            Effect::Control { from, to, message } => {
                self.board.input(now_ns, to, Input::Message { from, message })
            }
            Effect::InOrder { from, to, wire } => self.board.receive(now_ns, from, to, wire),
            Effect::Stopped { place, shard, step, .. } => {
                self.board.stopped(now_ns, place, shard, step)
            }
            Effect::Sealed { place, shard, epoch, step } => {
                self.board.sealed(now_ns, place, shard, epoch, step)
            }
            Effect::Asked { place, step, request } => match self.board.decide(request) {
                Ok(answer) => self.answer(place, step, request.shard(), answer),
                Err(broken) => Err(broken),
            },
        };
        self.spread(effects);
    }

    fn answer(
        &mut self,
        place: Place,
        step: u64,
        shard: u32,
        answer: StoreAnswer<Place>,
    ) -> Result<Vec<Effect>, Broken> {
        let answered = Input::StoreAnswered { shard, step, answer };
        self.board.input(self.now_ns, place, answered)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.pool.is_empty() && self.ways.iter().all(VecDeque::is_empty)
    }

    fn pass_time(&mut self) {
        let Some(due_ns) = self.board.next_deadline_ns() else { return };
        self.now_ns = due_ns.max(self.now_ns);
        for place in 0..self.board.regions.len() {
            if !self.board.is_dead(place as Place)
                && self.board.regions[place].next_deadline_ns().is_some_and(|at| at <= self.now_ns)
            {
                let effects = self.board.input(self.now_ns, place as Place, Input::Tick);
                self.spread(effects);
            }
        }
    }

    /// Nothing happens any more by itself.
    fn is_at_rest(&self) -> bool {
        self.is_quiet() && self.board.next_deadline_ns().is_none()
    }

    /// Broken now, or at rest with something missing.
    pub fn verdict(&self) -> Option<Broken> {
        if self.broken.is_some() {
            return self.broken.clone();
        }
        let is_over = self.is_at_rest() && self.is_rescued();
        if is_over { self.board.check_quiet().err() } else { None }
    }
}

impl Model for HandOffModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut board = Board::new(self.places, 0, self.shards, self.settings);
        board.laxity = self.laxity;
        board.is_durable = self.is_durable;
        normalize(&mut board, 0, &mut []);
        let ways = usize::from(self.places) * usize::from(self.places);
        vec![World {
            board,
            now_ns: 0,
            pool: Vec::new(),
            zombies: Vec::new(),
            ways: vec![VecDeque::new(); ways],
            budget: self.budget.clone(),
            absent: Vec::new(),
            endings: Vec::new(),
            broken: None,
        }]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        let budget = &state.budget;
        let sends = budget.sends.iter().filter(|(.., left)| *left > 0);
        let sends = sends.filter(|(origin, ..)| !state.board.is_dead(*origin));
        actions.extend(sends.map(|&(origin, shard, _)| Action::Send(origin, shard)));
        state.add_endings(actions);
        actions.extend(budget.moves.iter().map(|&(shard, to)| Action::Move(shard, to)));
        let mut before = None;
        for (print, effect) in &state.pool {
            if before.replace(*print) == Some(*print) {
                continue;
            }
            actions.push(Action::Happens(effect.clone()));
            match effect {
                Effect::Control { .. } => {
                    if budget.losses > 0 {
                        actions.push(Action::Lost(effect.clone()));
                    }
                    if budget.duplicates > 0 {
                        actions.push(Action::Twice(effect.clone()));
                    }
                }
                Effect::Asked { .. } if budget.unknown > 0 => {
                    actions.push(Action::Unknown(effect.clone()));
                }
                _ => {}
            }
        }
        for (at, _) in state.zombies.iter().enumerate() {
            actions.push(Action::Late(at));
        }
        for (at, way) in state.ways.iter().enumerate() {
            let Some(wire) = way.front() else { continue };
            actions.push(Action::Arrives(at));
            if budget.losses > 0 && matches!(wire, Wire::Flush { .. }) {
                actions.push(Action::LostOnTheWay(at));
            }
        }
        if budget.absences > 0 {
            // Of those to which something may go.
            actions.extend(self.budget.moves.iter().map(|&(_, to)| Action::Absent(to)));
        }
        actions.extend(state.absent.iter().map(|&place| Action::Present(place)));
        if state.is_quiet() {
            actions.extend((0..state.zombies.len()).map(Action::Never));
            if state.board.next_deadline_ns().is_some() {
                actions.push(Action::TimePasses);
            }
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let now_ns = world.now_ns;
        match action {
            Action::Send(origin, shard) => {
                let left =
                    world.budget.sends.iter_mut().find(|(p, s, _)| (*p, *s) == (origin, shard));
                left?.2 -= 1;
                let effects = world.board.send(now_ns, origin, shard);
                world.spread(effects);
            }
            Action::Move(shard, to) => {
                let at = world.budget.moves.iter().position(|&one| one == (shard, to))?;
                world.budget.moves.remove(at);
                let record = world.board.store.record(shard)?;
                let message = Message::HandOff { shard, epoch: record.epoch, to };
                let from = world.coordinator();
                let effect = Effect::Control { from, to: record.owner, message };
                world.spread(Ok(vec![effect]));
            }
            Action::Happens(effect) => {
                world.remove(&effect);
                world.happen(effect);
            }
            Action::Twice(effect) => {
                world.budget.duplicates -= 1;
                world.happen(effect);
            }
            Action::Lost(effect) => {
                world.budget.losses -= 1;
                world.remove(&effect);
            }
            Action::Unknown(effect) => {
                world.budget.unknown -= 1;
                world.remove(&effect);
                let Effect::Asked { place, step, request } = effect else { return None };
                world.zombies.push(request);
                let effects = world.answer(place, step, request.shard(), StoreAnswer::Unknown);
                world.spread(effects);
            }
            Action::Late(at) => {
                let request = world.zombies.remove(at);
                if let Err(broken) = world.board.decide(request) {
                    world.broken = Some(broken);
                }
            }
            Action::Never(at) => {
                world.zombies.remove(at);
            }
            Action::Absent(place) => {
                world.budget.absences -= 1;
                world.board.store.leave(place);
                world.absent.push(place);
            }
            Action::Present(place) => {
                world.board.store.join(place);
                world.absent.retain(|absent| *absent != place);
            }
            Action::Arrives(way) => {
                let wire = world.ways[way].pop_front()?;
                let places = usize::from(self.places);
                let (from, to) = ((way / places) as Place, (way % places) as Place);
                world.happen(Effect::InOrder { from, to, wire });
            }
            Action::LostOnTheWay(way) => {
                world.budget.losses -= 1;
                world.ways[way].pop_front();
            }
            Action::TimePasses => world.pass_time(),
            Action::IsCutOff(place) => world.is_cut_off(place),
            Action::Ends(place) => world.ends(place),
            Action::LeaseEnds(place) => world.lease_ends(place),
            Action::IsGone { place, told } => world.is_gone(place, told),
            Action::TakesOver(shard, to) => world.takes_over(shard, to),
            Action::IsTold(shard) => world.is_told(shard),
        }
        normalize(&mut world.board, world.now_ns, &mut world.pool);
        world.now_ns = 0;
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise holds", |_, world: &World| world.verdict().is_none()),
            Property::sometimes("something has moved and all is quiet", |_, world: &World| {
                world.budget.moves.is_empty() && world.is_at_rest() && world.is_rescued()
            }),
        ]
    }
}

/// Every state of the model is looked at; says how many there are, or the shortest way to a broken promise.
pub fn explore(model: HandOffModel) -> Result<usize, String> {
    let checker = model.checker().threads(2).spawn_bfs().join();
    if let Some(path) = checker.discovery("every promise holds") {
        let broken = path.last_state().verdict();
        let actions: Vec<String> =
            path.into_actions().iter().map(|action| format!("  {action:?}")).collect();
        return Err(format!("{broken:?} after\n{}", actions.join("\n")));
    }
    checker
        .discovery("something has moved and all is quiet")
        .map(|_| checker.unique_state_count())
        .ok_or_else(|| "no run ever comes to an end".to_owned())
}
