//! The order in which entities leave, written down with plain queues.

use std::collections::{BTreeSet, VecDeque};

use super::*;
use crate::passivation::frequency_sketch::FrequencySketch;
use crate::passivation::window_climber::WindowClimber;

/// The same decisions without links, rows or slots.
struct Model {
    at_most: u32,
    window: VecDeque<u32>,
    probation: VecDeque<u32>,
    protected: VecDeque<u32>,
    sketch: FrequencySketch,
    climber: WindowClimber,
}

impl Model {
    fn new(at_most: u32) -> Self {
        Model {
            at_most,
            window: VecDeque::new(),
            probation: VecDeque::new(),
            protected: VecDeque::new(),
            sketch: FrequencySketch::for_entities(at_most),
            climber: WindowClimber::for_entities(at_most),
        }
    }

    fn len(&self) -> usize {
        self.window.len() + self.probation.len() + self.protected.len()
    }

    fn holds(&self, id: u32) -> bool {
        [&self.window, &self.probation, &self.protected].iter().any(|list| list.contains(&id))
    }

    fn remove(&mut self, id: u32) {
        for list in [&mut self.window, &mut self.probation, &mut self.protected] {
            list.retain(|other| *other != id);
        }
    }

    fn admit(&mut self, id: u32, busy: &BTreeSet<u32>) -> Result<Option<u32>, ()> {
        self.count(id);
        let mut leaves = None;
        if self.len() == self.at_most as usize {
            self.climber.miss();
            let is_full = self.window.len() >= self.climber.window() as usize;
            let candidate = if is_full { oldest(&mut self.window, busy) } else { None };
            let mut victim = oldest(&mut self.probation, busy);
            if victim.is_none() {
                victim = oldest(&mut self.protected, busy);
            }
            let frequency = |id| self.sketch.frequency((hash(id) >> 32) as u32);
            leaves = match (candidate, victim) {
                (Some(candidate), Some(victim)) if frequency(candidate) > frequency(victim) => {
                    Some(victim)
                }
                (Some(candidate), _) => Some(candidate),
                (None, Some(victim)) => Some(victim),
                (None, None) => Some(oldest(&mut self.window, busy).ok_or(())?),
            };
            leaves.into_iter().for_each(|leaver| self.remove(leaver));
        }
        self.window.push_back(id);
        self.settle();
        Ok(leaves)
    }

    fn count(&mut self, id: u32) {
        if self.len() >= self.at_most as usize / 2 {
            self.sketch.count((hash(id) >> 32) as u32);
        }
    }

    fn touch(&mut self, id: u32) {
        self.count(id);
        if self.len() == self.at_most as usize {
            self.climber.hit();
        }
        let (in_window, on_probation) = (self.window.contains(&id), self.probation.contains(&id));
        self.remove(id);
        if in_window {
            self.window.push_back(id);
        } else {
            self.protected.push_back(id);
        }
        if on_probation {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let window = self.climber.window() as usize;
        let protected = (self.at_most as usize).saturating_sub(window) * 80 / 100;
        for (list, size) in [(&mut self.window, window), (&mut self.protected, protected)] {
            let moves = list.len().saturating_sub(size).min(16);
            self.probation.extend(list.drain(..moves));
        }
    }
}

fn oldest(list: &mut VecDeque<u32>, busy: &BTreeSet<u32>) -> Option<u32> {
    for _ in 0..list.len().min(16) {
        if !busy.contains(&list[0]) {
            return Some(list[0]);
        }
        list.rotate_left(1);
    }
    None
}

#[test]
fn those_leave_who_leave_in_the_model() {
    proptest::proptest!(|(seed: u64, at_most in 1..120_u32, ids in 1..400_u32, busy_share in 0..10_u32)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut passivation = with_limit(at_most);
        let mut model = Model::new(at_most);
        let mut busy = BTreeSet::new();
        for step in 1..3_000_u64 {
            // Squared, so that some are used often; and each use in a beat of its own.
            let id = random.u32(0..=ids) * random.u32(0..=ids) / ids;
            let now_ns = step * BEAT_NS;
            match random.u32(0..20) {
                0 if random.u32(0..10) < busy_share => drop(busy.insert(id)),
                1 => drop(busy.remove(&id)),
                2 => {
                    assert_eq!(passivation.remove(slot(id)), model.holds(id));
                    model.remove(id);
                }
                _ if model.holds(id) => {
                    passivation.touch(slot(id), now_ns);
                    model.touch(id);
                }
                _ => {
                    let leaves = passivation.admit(slot(id), hash(id), now_ns, |slot| {
                        !busy.contains(&slot.number())
                    });
                    assert_eq!(leaves.map_err(drop), model.admit(id, &busy).map(|id| id.map(slot)), "step {step}");
                }
            }
            assert_eq!(passivation.len() as usize, model.len());
            assert!(passivation.len() <= at_most);
        }
        assert!((0..=ids).all(|id| passivation.holds(slot(id)) == model.holds(id)));
    });
}
