//! Storms: many places, random moves, delays, losses, duplicates, store answers that are unknown or late; every seed is
//! one history, the same every time.
//!
//! `MAINSPRING_SHARDING_SEEDS=100000 cargo test -p mainspring-sharding --lib storms -- --nocapture` runs more of them;
//! `SEED=n cargo test -p mainspring-sharding --lib one_storm -- --nocapture` shows one.

use std::collections::{BTreeMap, VecDeque};
use std::env;

use super::board::{Board, Broken, Effect, Parcel, Place, Wire};
use crate::handoff::{Coordinator, CoordinatorInput, CoordinatorOutput, Input, Outcome, Settings};
use crate::ownership::{StoreAnswer, StoreRequest};

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000 * MILLISECOND_NS;
/// How long messages are sent and shards are moved.
const STORM_NS: u64 = 20 * SECOND_NS;
/// When everything must be quiet again. No fault happens after the storm.
const QUIET_NS: u64 = 600 * SECOND_NS;
/// Steps of one history: more is a circle.
const STEPS_LIMIT: u32 = 1_000_000;
/// Seeds unless `MAINSPRING_SHARDING_SEEDS` says how many.
const SEEDS: u64 = 10_000;
/// Where the coordinator stands. This place never dies. In storms without deaths a second one, which knows nothing of
/// the first, stands at the next place.
const COORDINATOR: Place = 0;
/// Lines that a replay shows before the end.
const SHOWN: usize = 200;

/// What a storm may do.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Places may die.
    pub deaths: bool,
    pub settings: Settings,
}

/// What will happen at some time.
#[derive(Clone, Debug)]
enum Happening {
    Effect(Effect),
    Answer {
        place: Place,
        step: u64,
        shard: u32,
        answer: StoreAnswer<Place>,
    },
    CoordinatorAsked {
        at: Place,
        step: u64,
        request: StoreRequest<Place>,
    },
    CoordinatorAnswer {
        at: Place,
        step: u64,
        shard: u32,
        answer: StoreAnswer<Place>,
    },
    Send {
        origin: Place,
        shard: u32,
    },
    Move {
        shard: u32,
        to: Place,
    },
    /// Done at last, long after its outcome was called unknown.
    Late(StoreRequest<Place>),
    Absent(Place),
    Present(Place),
    Death(Place),
    Joined {
        place: Place,
        told: Place,
    },
    /// Everybody knows it: it may send, and own shards.
    Begins(Place),
    Gone {
        place: Place,
        told: Place,
    },
}

/// One history.
pub struct Storm {
    random: fastrand::Rng,
    board: Board,
    coordinators: Vec<Coordinator<Place>>,
    now_ns: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    /// When the last message of a way arrives.
    ways_ns: BTreeMap<(Place, Place), u64>,
    dead: Vec<Place>,
    /// Places that have not begun.
    outside: Vec<Place>,
    places: Place,
    shards: u32,
    loss: f64,
    duplication: f64,
    unknown: f64,
    slowness_ns: u64,
    is_probed: bool,
    trace: Option<VecDeque<String>>,
}

impl Storm {
    pub fn new(seed: u64, weather: Weather) -> Storm {
        let mut random = fastrand::Rng::with_seed(seed);
        let places = random.u8(2..=5);
        let shards = random.u32(1..=3);
        // The last place may come during the storm.
        let late = Place::from(places > 2 && random.u8(0..4) == 0);
        let mut settings = Settings { forward_limit: random.usize(1..=8), ..weather.settings };
        // The shorter, the more of the repeated steps meet their late originals.
        settings.retry_ns = *random.choice(&[20, 200, 2_000]).expect("not empty") * MILLISECOND_NS;
        settings.stop_within_ns = settings.retry_ns * random.u64(1..=5);
        if random.u8(0..8) == 0 {
            settings.parked_limit = random.usize(0..=10);
            settings.parked_limit_bytes = random.usize(0..=80);
        }
        let (loss, duplication) = (random.f64() * 0.3, random.f64() * 0.5);
        let unknown = if random.bool() { random.f64() * 0.4 } else { 0.0 };
        let slowness_ns = *random.choice(&[1, 10, 100, 1_500]).expect("not empty") * MILLISECOND_NS;
        let mut storm = Storm {
            board: Board::new(places, late, shards, settings),
            coordinators: vec![
                Coordinator::new(
                    0..places - late,
                    shards as usize,
                    settings.retry_ns
                );
                if weather.deaths { 1 } else { 2 }
            ],
            now_ns: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            ways_ns: BTreeMap::new(),
            dead: Vec::new(),
            outside: (places - late..places).collect(),
            places,
            shards,
            loss,
            duplication,
            unknown,
            slowness_ns,
            random,
            is_probed: false,
            trace: None,
        };
        storm.plan(weather);
        storm
    }

    /// The wishes and the misfortunes of the storm.
    fn plan(&mut self, weather: Weather) {
        for _ in 0..self.random.u32(20..=100) {
            let (origin, shard) = (self.any_place(), self.random.u32(0..self.shards));
            let mut at_ns = self.random.u64(0..STORM_NS);
            for _ in 0..self.random.u32(1..=4) {
                self.queue_at(at_ns, Happening::Send { origin, shard });
                at_ns += self.random.u64(0..2 * MILLISECOND_NS);
            }
        }
        for _ in 0..self.random.u32(1..=30) {
            let (shard, to) = (self.random.u32(0..self.shards), self.any_place());
            let at_ns = self.random.u64(0..STORM_NS);
            self.queue_at(at_ns, Happening::Move { shard, to });
        }
        if self.random.bool() {
            let place = self.any_place();
            let at_ns = self.random.u64(0..STORM_NS / 2);
            let back_ns = at_ns + self.random.u64(0..STORM_NS / 2);
            if !weather.deaths {
                self.queue_at(at_ns, Happening::Absent(place));
                self.queue_at(back_ns, Happening::Present(place));
            }
        }
        for place in self.outside.clone() {
            let at_ns = self.random.u64(0..STORM_NS / 2);
            for told in 0..place {
                let told_ns = at_ns + self.random.u64(0..SECOND_NS);
                self.queue_at(told_ns, Happening::Joined { place, told });
            }
            self.queue_at(at_ns + SECOND_NS, Happening::Begins(place));
        }
        if weather.deaths && self.places > 2 {
            let place = self.random.u8(1..self.places - self.outside.len() as Place);
            let at_ns = self.random.u64(0..STORM_NS);
            self.queue_at(at_ns, Happening::Death(place));
        }
    }

    /// Until nothing is left to happen.
    pub fn run(&mut self) -> Result<(), Broken> {
        let mut steps = 0;
        loop {
            let coordinators = self.coordinators.iter().map(Coordinator::next_deadline_ns);
            let due_ns = coordinators.chain([self.board.next_deadline_ns()]).flatten().min();
            let next_ns = self.queue.first_key_value().map(|((at_ns, _), _)| *at_ns);
            let Some(at_ns) = [due_ns, next_ns].into_iter().flatten().min() else {
                if self.is_probed {
                    break;
                }
                self.probe();
                continue;
            };
            if at_ns > QUIET_NS {
                return Err(Broken(format!("not quiet after {} s", QUIET_NS / SECOND_NS)));
            }
            self.now_ns = self.now_ns.max(at_ns);
            steps += 1;
            if steps > STEPS_LIMIT {
                return Err(Broken(format!("not quiet after {STEPS_LIMIT} steps")));
            }
            if next_ns.is_some_and(|next_ns| next_ns <= at_ns) {
                let (_, happening) = self.queue.pop_first().expect("looked at");
                self.note(&happening);
                self.happen(happening)?;
            } else {
                self.tick()?;
            }
        }
        self.board.check_quiet()
    }

    /// After the storm every shard must serve every place.
    fn probe(&mut self) {
        self.is_probed = true;
        self.now_ns = self.now_ns.max(STORM_NS);
        for origin in 0..self.places {
            for shard in 0..self.shards {
                self.queue_at(self.now_ns, Happening::Send { origin, shard });
            }
        }
    }

    fn tick(&mut self) -> Result<(), Broken> {
        for place in 0..self.places {
            let due_ns = self.board.regions[usize::from(place)].next_deadline_ns();
            if due_ns.is_some_and(|due_ns| due_ns <= self.now_ns) {
                self.input(place, Input::Tick)?;
            }
        }
        for at in 0..self.coordinators.len() {
            let due_ns = self.coordinators[at].next_deadline_ns();
            if due_ns.is_some_and(|due_ns| due_ns <= self.now_ns) {
                self.coordinate(at as Place, CoordinatorInput::Tick);
            }
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        match happening {
            Happening::Effect(effect) => self.effect(effect)?,
            Happening::Answer { place, step, shard, answer } => {
                self.input(place, Input::StoreAnswered { shard, step, answer })?;
            }
            Happening::CoordinatorAsked { at, step, request } => {
                let shard = request.shard();
                let answer = self.decide(request)?;
                let answer = Happening::CoordinatorAnswer { at, step, shard, answer };
                self.queue_soon(answer);
            }
            Happening::CoordinatorAnswer { at, step, shard, answer } => {
                self.coordinate(at, CoordinatorInput::StoreAnswered { shard, step, answer });
            }
            Happening::Send { origin, shard } => {
                if !self.dead.contains(&origin) && !self.outside.contains(&origin) {
                    let effects = self.board.send(self.now_ns, origin, shard)?;
                    self.spread(effects);
                }
            }
            Happening::Move { shard, to } => {
                if !self.dead.contains(&to) && !self.outside.contains(&to) {
                    let at = self.random.u8(0..self.coordinators.len() as Place);
                    self.coordinate(at, CoordinatorInput::Move { shard, to });
                }
            }
            Happening::Late(request) => {
                self.board.decide(request)?;
            }
            Happening::Absent(place) => self.board.store.leave(place),
            Happening::Present(place) => {
                if !self.outside.contains(&place) {
                    self.board.store.join(place);
                }
            }
            Happening::Joined { place, told } => {
                if usize::from(told) < self.coordinators.len() {
                    self.coordinate(told, CoordinatorInput::PlaceJoined(place));
                }
                self.input(told, Input::PlaceJoined(place))?;
            }
            Happening::Begins(place) => {
                self.outside.retain(|outside| *outside != place);
                self.board.store.join(place);
                for dead in self.dead.clone() {
                    self.input(place, Input::PlaceGone(dead))?;
                }
            }
            Happening::Death(place) => self.die(place),
            Happening::Gone { place, told } => {
                if told == COORDINATOR {
                    self.coordinate(COORDINATOR, CoordinatorInput::PlaceGone(place));
                    self.rescue();
                }
                self.input(told, Input::PlaceGone(place))?;
                self.board.forgive();
            }
        }
        Ok(())
    }

    fn effect(&mut self, effect: Effect) -> Result<(), Broken> {
        match effect {
            Effect::Control { from, to, message } => {
                if usize::from(to) < self.coordinators.len() {
                    let message = message.clone();
                    self.coordinate(to, CoordinatorInput::Message { message });
                }
                self.input(to, Input::Message { from, message })?;
            }
            Effect::InOrder { from, to, wire } => {
                if !self.dead.contains(&to) && !self.outside.contains(&to) {
                    let effects = self.board.receive(self.now_ns, from, to, wire)?;
                    self.spread(effects);
                }
            }
            Effect::Stopped { place, shard, step, .. } => {
                if !self.dead.contains(&place) {
                    let effects = self.board.stopped(self.now_ns, place, shard, step)?;
                    self.spread(effects);
                }
            }
            Effect::Sealed { place, shard, epoch, step } => {
                if !self.dead.contains(&place) {
                    let effects = self.board.sealed(self.now_ns, place, shard, epoch, step)?;
                    self.spread(effects);
                }
            }
            Effect::Asked { place, step, request } => {
                let shard = request.shard();
                let answer = self.decide(request)?;
                self.queue_soon(Happening::Answer { place, step, shard, answer });
            }
        }
        Ok(())
    }

    /// The store decides now; or nobody knows whether it did, or will.
    fn decide(&mut self, request: StoreRequest<Place>) -> Result<StoreAnswer<Place>, Broken> {
        if !self.is_storm() || self.random.f64() >= self.unknown {
            return self.board.decide(request);
        }
        match self.random.u8(0..3) {
            0 => {
                self.board.decide(request)?;
            }
            1 => {
                let at_ns = self.now_ns + self.random.u64(0..10 * SECOND_NS);
                self.queue_at(at_ns, Happening::Late(request));
            }
            _ => {}
        }
        Ok(StoreAnswer::Unknown)
    }

    fn die(&mut self, place: Place) {
        self.dead.push(place);
        self.board.die(place);
        self.board.store.leave(place);
        for told in (0..self.places).filter(|told| *told != place) {
            let at_ns = self.now_ns + self.random.u64(SECOND_NS..4 * SECOND_NS);
            self.queue_at(at_ns, Happening::Gone { place, told });
        }
        // What it had said and nobody has heard yet is lost with its connections.
        self.queue.retain(|_, happening| match happening {
            Happening::Effect(
                Effect::Control { from, to, .. } | Effect::InOrder { from, to, .. },
            ) => *from != place && *to != place,
            _ => true,
        });
    }

    /// Shards whose owner has gone are brought to the coordinator's place; again if that was refused.
    fn rescue(&mut self) {
        for shard in 0..self.shards {
            let owner = self.board.store.record(shard).map(|record| record.owner);
            if owner.is_some_and(|owner| self.dead.contains(&owner)) {
                self.coordinate(COORDINATOR, CoordinatorInput::Move { shard, to: COORDINATOR });
            }
        }
    }

    fn coordinate(&mut self, at: Place, input: CoordinatorInput<Place, Parcel>) {
        let mut outputs = Vec::new();
        self.coordinators[usize::from(at)].handle(self.now_ns, input, &mut outputs);
        for output in outputs {
            match output {
                CoordinatorOutput::Send { to, message } => {
                    self.spread(vec![Effect::Control { from: at, to, message }]);
                }
                CoordinatorOutput::Store { step, request } => {
                    self.queue_soon(Happening::CoordinatorAsked { at, step, request });
                }
                CoordinatorOutput::Finished { outcome: Outcome::UnderWay, .. } => {}
                CoordinatorOutput::Finished { shard, .. } => {
                    let owner = self.board.store.record(shard).map(|record| record.owner);
                    if owner.is_some_and(|owner| self.dead.contains(&owner)) {
                        let again = Happening::Move { shard, to: COORDINATOR };
                        self.queue_at(self.now_ns + SECOND_NS, again);
                    }
                }
            }
        }
    }

    fn input(&mut self, place: Place, input: Input<Place, Parcel>) -> Result<(), Broken> {
        if self.dead.contains(&place) || self.outside.contains(&place) {
            return Ok(());
        }
        let effects = self.board.input(self.now_ns, place, input)?;
        self.spread(effects);
        Ok(())
    }

    /// Every effect gets its time, or none, or two.
    fn spread(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match &effect {
                Effect::Control { from, to, .. } | Effect::InOrder { from, to, .. }
                    if self.dead.contains(from) || self.dead.contains(to) => {}
                Effect::Control { .. } => {
                    if self.is_lost() {
                        continue;
                    }
                    if self.is_doubled() {
                        self.queue_soon(Happening::Effect(effect.clone()));
                    }
                    self.queue_soon(Happening::Effect(effect));
                }
                Effect::InOrder { from, to, wire } => {
                    let is_flush = matches!(wire, Wire::Flush { .. });
                    if is_flush && self.is_lost() {
                        continue;
                    }
                    let way = (*from, *to);
                    if is_flush && self.is_doubled() {
                        self.queue_in_order(way, effect.clone());
                    }
                    self.queue_in_order(way, effect);
                }
                Effect::Stopped { is_killed: false, .. } => {
                    // Some never stop by themselves.
                    if self.random.u8(0..10) > 0 {
                        let at_ns = self.now_ns + self.random.u64(0..=12 * self.slowness_ns);
                        self.queue_at(at_ns, Happening::Effect(effect));
                    }
                }
                _ => self.queue_soon(Happening::Effect(effect)),
            }
        }
    }

    fn is_storm(&self) -> bool {
        self.now_ns < STORM_NS
    }

    fn is_lost(&mut self) -> bool {
        self.is_storm() && self.random.f64() < self.loss
    }

    fn is_doubled(&mut self) -> bool {
        self.is_storm() && self.random.f64() < self.duplication
    }

    fn any_place(&mut self) -> Place {
        self.random.u8(0..self.places)
    }

    fn queue_soon(&mut self, happening: Happening) {
        let at_ns = self.now_ns + self.random.u64(0..=self.slowness_ns);
        self.queue_at(at_ns, happening);
    }

    fn queue_in_order(&mut self, way: (Place, Place), effect: Effect) {
        let at_ns = self.now_ns + self.random.u64(0..=self.slowness_ns);
        let last_ns = self.ways_ns.entry(way).or_default();
        *last_ns = at_ns.max(*last_ns);
        let at_ns = *last_ns;
        self.queue_at(at_ns, Happening::Effect(effect));
    }

    fn queue_at(&mut self, at_ns: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at_ns, self.sequence), happening);
    }

    fn note(&mut self, happening: &Happening) {
        let Some(trace) = &mut self.trace else { return };
        if trace.len() == SHOWN {
            trace.pop_front();
        }
        trace.push_back(format!("{:>12} us {happening:?}", self.now_ns / 1_000));
    }
}

/// Runs one seed; what broke, and how to see it.
pub fn storm(seed: u64, weather: Weather) -> Result<Storm, String> {
    let mut storm = Storm::new(seed, weather);
    match storm.run() {
        Ok(()) => Ok(storm),
        Err(Broken(broken)) => Err(format!(
            "seed {seed}, deaths {}: {broken}\n  replay: SEED={seed} cargo test -p \
             mainspring-sharding --lib one_storm -- --nocapture",
            weather.deaths
        )),
    }
}

pub fn weather(deaths: bool) -> Weather {
    Weather { deaths, settings: Settings::default() }
}

fn seeds() -> u64 {
    env::var("MAINSPRING_SHARDING_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS)
}

#[test]
fn storms_lose_nothing_and_reorder_nothing() {
    let (mut delivered, mut refused, mut given_away, mut resumed, mut killed) = (0, 0, 0, 0, 0);
    let seeds = seeds();
    for seed in 0..seeds {
        let storm = storm(seed, weather(false)).unwrap_or_else(|broken| panic!("{broken}"));
        delivered += u64::from(storm.board.delivered);
        refused += u64::from(storm.board.refused);
        for region in &storm.board.regions {
            given_away += region.counters().given_away;
            resumed += region.counters().resumed;
            killed += region.counters().killed;
        }
    }
    println!(
        "{seeds} seeds: {delivered} delivered, {refused} refused, {given_away} moves, \
         {resumed} given up, {killed} kills"
    );
    assert!(given_away > seeds && resumed > 0 && killed > 0 && refused > 0, "the storms are calm");
}

#[test]
fn storms_in_which_places_die_reorder_nothing() {
    let mut taken = 0;
    let seeds = seeds();
    for seed in 0..seeds {
        let storm = storm(seed, weather(true)).unwrap_or_else(|broken| panic!("{broken}"));
        taken += u64::from(!storm.dead.is_empty());
    }
    println!("{seeds} seeds with deaths");
    assert!(taken > seeds / 2, "hardly anybody died");
}

#[test]
fn one_storm() {
    let Some(seed) = env::var("SEED").ok().and_then(|seed| seed.parse().ok()) else {
        println!("skipped: SEED names the storm to show");
        return;
    };
    for deaths in [false, true] {
        let mut storm = Storm::new(seed, weather(deaths));
        storm.trace = Some(VecDeque::new());
        let verdict = storm.run();
        for line in storm.trace.iter().flatten() {
            println!("{line}");
        }
        println!("seed {seed}, deaths {deaths}: {verdict:?}");
        assert_eq!(verdict, Ok(()));
    }
}

/// The same seed is the same history.
#[test]
fn a_storm_repeats_exactly() {
    let history = |seed| {
        let mut storm = Storm::new(seed, weather(true));
        storm.trace = Some(VecDeque::new());
        let verdict = storm.run();
        (storm.trace, verdict)
    };
    assert_eq!(history(7), history(7));
}
