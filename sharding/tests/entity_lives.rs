//! A core's table of entities, their lives and their passivation together, under messages, slow starts, starts that
//! fail and stops at any moment: no message is lost, none overtakes another, and no bound is exceeded.

use std::collections::{BTreeMap, VecDeque};

use mainspring_sharding::entities::{
    Arrival, Due, Ended, LifeSettings, Lives, Residents, ShardCount, Slot, StartFailed, State,
    ToEntityKey,
};
use mainspring_sharding::passivation::{Passivation, PassivationSettings};

const AT_MOST: u32 = 8;
const STOPPING: u32 = 4;
const TROUBLED: u32 = 3;
const MOST_RESIDENTS: u32 = AT_MOST + STOPPING + TROUBLED;
const MOST_KEPT: usize = 5;
const SECOND_NS: u64 = 1_000_000_000;

/// What a runtime does around the three: queues of messages, and actors that take their time.
struct Core {
    residents: Residents<u64>,
    lives: Lives,
    passivation: Passivation,
    now_ns: u64,
    /// Messages that were not taken yet, by entity: in the actor's queue when it is active, else kept.
    waiting: BTreeMap<u64, VecDeque<u64>>,
    taken: BTreeMap<u64, Vec<u64>>,
    refused: u64,
    restarts: u64,
    broken: u64,
}

impl Core {
    fn new() -> Self {
        let life = LifeSettings {
            first_backoff_ns: SECOND_NS,
            longest_backoff_ns: 4 * SECOND_NS,
            tries: 3,
            broken_ns: 20 * SECOND_NS,
            most_troubled: TROUBLED,
        };
        let bounds =
            PassivationSettings { idle_after_ns: Some(30 * SECOND_NS), at_most: Some(AT_MOST) };
        Core {
            residents: Residents::new(ShardCount::new(4).unwrap(), MOST_RESIDENTS).unwrap(),
            lives: Lives::new(life).unwrap(),
            passivation: Passivation::new(bounds).unwrap(),
            now_ns: 0,
            waiting: BTreeMap::new(),
            taken: BTreeMap::new(),
            refused: 0,
            restarts: 0,
            broken: 0,
        }
    }

    fn message(&mut self, id: u64, message: u64) {
        let key = id.to_entity_key().unwrap();
        let found = self.residents.find(&key);
        match Arrival::of(found.map(|found| found.state)) {
            Arrival::Absent => match self.residents.insert(&key, id) {
                Ok(slot) => {
                    self.waiting.entry(id).or_default().push_back(message);
                    self.admit(slot, id);
                }
                Err(_) => self.refused += 1,
            },
            Arrival::Refuse => self.refused += 1,
            Arrival::Deliver | Arrival::Keep => {
                let queue = self.waiting.entry(id).or_default();
                if queue.len() == MOST_KEPT {
                    self.refused += 1;
                    return;
                }
                queue.push_back(message);
                self.passivation.touch(found.unwrap().slot, self.now_ns);
            }
        }
    }

    /// An entity starts, or starts again; another one may have to leave, or it is refused.
    fn admit(&mut self, slot: Slot, id: u64) {
        let (residents, waiting) = (&self.residents, &self.waiting);
        let hash = id.to_entity_key().unwrap().hash();
        let may_stop = |slot| may_stop(residents, waiting, slot);
        match self.passivation.admit(slot, hash, self.now_ns, may_stop) {
            Ok(leaver) => {
                let stops = leaver
                    .into_iter()
                    .all(|leaver| self.lives.passivate(&mut self.residents, leaver));
                assert!(stops, "one left that could not be stopped");
            }
            Err(_) => {
                self.residents.remove(slot);
                self.refuse_waiting(id);
            }
        }
    }

    /// Somewhere an actor starts, fails to, takes a message, stops, or asks to be stopped.
    fn actor(&mut self, id: u64, random: &mut fastrand::Rng) {
        let Some(found) = self.residents.find(&id.to_entity_key().unwrap()) else { return };
        let has_waiting = self.waiting.get(&id).is_some_and(|queue| !queue.is_empty());
        match found.state {
            State::Starting if random.u8(0..3) > 0 && !id.is_multiple_of(5) => {
                assert!(self.lives.started(&mut self.residents, found.slot));
            }
            State::Starting => {
                match self.lives.failed(&mut self.residents, found.slot, self.now_ns, 0) {
                    StartFailed::RetryAt { at_ns } => assert!(at_ns > self.now_ns),
                    StartFailed::BrokenUntil { .. } => {
                        self.broken += 1;
                        self.passivation.remove(found.slot);
                        self.refuse_waiting(id);
                    }
                    StartFailed::Forgotten(value) => {
                        assert_eq!(value, id);
                        self.passivation.remove(found.slot);
                        self.refuse_waiting(id);
                    }
                    StartFailed::NotRunning => panic!("it was starting"),
                }
            }
            State::Active if has_waiting => {
                let message = self.waiting.get_mut(&id).and_then(VecDeque::pop_front).unwrap();
                self.taken.entry(id).or_default().push(message);
            }
            State::Active if random.u8(0..10) == 0 => {
                assert!(self.passivation.remove(found.slot));
                assert!(self.lives.passivate(&mut self.residents, found.slot));
            }
            State::Passivating => {
                match self.lives.ended(&mut self.residents, found.slot, has_waiting) {
                    Ended::Absent(value) => assert_eq!((value, has_waiting), (id, false)),
                    Ended::StartAgain => {
                        self.restarts += 1;
                        self.admit(found.slot, id);
                    }
                    Ended::NotRunning => panic!("it was passivating"),
                }
            }
            State::Active | State::BackingOff | State::Broken => {}
        }
    }

    fn time_passes(&mut self, by_ns: u64) {
        self.now_ns += by_ns;
        let mut due = Vec::new();
        self.lives.due(&mut self.residents, self.now_ns, 100, &mut due);
        let starts =
            |due: &Due<u64>| matches!(due, Due::StartAgain(slot) if self.passivation.holds(*slot));
        assert!(due.iter().all(|due| starts(due) || matches!(due, Due::Forgotten(_))));
        let mut expired = Vec::new();
        let (residents, waiting) = (&self.residents, &self.waiting);
        let may_stop = |slot| may_stop(residents, waiting, slot);
        self.passivation.expired(self.now_ns, 100, may_stop, &mut expired);
        for slot in expired {
            assert!(self.lives.passivate(&mut self.residents, slot));
        }
    }

    fn refuse_waiting(&mut self, id: u64) {
        self.refused += self.waiting.remove(&id).map_or(0, |queue| queue.len() as u64);
    }

    fn check(&self) {
        assert!(self.passivation.len() <= AT_MOST);
        assert!(self.residents.len() <= MOST_RESIDENTS);
        for (id, queue) in &self.waiting {
            let found = self.residents.find(&id.to_entity_key().unwrap());
            assert!(
                queue.is_empty() || found.is_some(),
                "messages wait for {id}, which is not there"
            );
        }
    }
}

/// Active, and nothing waits for it.
fn may_stop(
    residents: &Residents<u64>,
    waiting: &BTreeMap<u64, VecDeque<u64>>,
    slot: Slot,
) -> bool {
    let resident = residents.get(slot).expect("what is held is resident");
    let has_waiting = waiting.get(&resident.value).is_some_and(|queue| !queue.is_empty());
    resident.state == State::Active && !has_waiting
}

/// How often messages met a passivation, and how often an entity broke.
fn run(seed: u64) -> (u64, u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut core = Core::new();
    let ids = random.u64(4..40);
    for message in 0..2_000 {
        core.message(random.u64(0..=ids) * random.u64(0..=ids) / ids, message);
        for _ in 0..random.u8(0..4) {
            core.actor(random.u64(0..=ids), &mut random);
        }
        let pause_ns = if random.u8(0..100) == 0 { 40 * SECOND_NS } else { SECOND_NS / 10 };
        core.time_passes(random.u64(0..pause_ns));
        core.check();
    }
    for _ in 0..400 {
        (0..=ids).for_each(|id| core.actor(id, &mut random));
        core.time_passes(SECOND_NS);
        core.check();
    }
    assert!(core.waiting.values().all(VecDeque::is_empty), "messages wait for ever");
    let taken: usize = core.taken.values().map(Vec::len).sum();
    assert_eq!(taken as u64 + core.refused, 2_000, "a message was lost or came twice");
    for messages in core.taken.values() {
        assert!(messages.is_sorted(), "a message overtook another");
    }
    assert!(core.residents.is_empty() && core.passivation.is_empty(), "someone stayed for ever");
    (core.restarts, core.broken)
}

#[test]
fn every_message_is_taken_once_and_in_order_or_refused() {
    let (mut restarts, mut broken) = (0, 0);
    for seed in 0..200 {
        let (more_restarts, more_broken) = run(seed);
        (restarts, broken) = (restarts + more_restarts, broken + more_broken);
    }
    println!("{restarts} messages met a passivation, {broken} entities broke");
    assert!(restarts > 500 && broken > 500, "{restarts} met a passivation, {broken} broke");
}
