//! The machine: which of the routees, known by their names, is next.
//!
//! Invariants: a choice is one of the present routees; with the same seed and the same calls, choices are the same.

use fastrand::Rng;

use super::hash_ring::HashRing;

/// How a routee is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingRule {
    /// Each in turn.
    RoundRobin,
    /// Any, as this seed has it.
    Random {
        /// Where the sequence of choices begins.
        seed: u64,
    },
    /// The same for the same key.
    ConsistentHash,
    /// The one with the least load; of equal ones, each in turn.
    LeastLoaded,
    /// All of them.
    Broadcast,
}

/// Who is to get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nobody: there are no routees.
    Nobody,
    /// The one at this place.
    One(usize),
    /// All.
    All,
}

/// The routees of a router, and what is known of them.
#[derive(Clone, Debug)]
pub struct Routing {
    rule: RoutingRule,
    routees: Vec<Routee>,
    next: usize,
    random: Rng,
    ring: HashRing,
}

#[derive(Clone, Copy, Debug)]
struct Routee {
    name: u64,
    load: u64,
}

impl Routing {
    /// No routees yet.
    pub fn new(rule: RoutingRule) -> Self {
        let seed = if let RoutingRule::Random { seed } = rule { seed } else { 0 };
        let random = Rng::with_seed(seed);
        Routing { rule, routees: Vec::new(), next: 0, random, ring: HashRing::default() }
    }

    /// From now on these are the routees, in this order. Those that were there before keep their load; the first of
    /// equal names counts.
    pub fn set(&mut self, names: impl IntoIterator<Item = u64>) {
        let load_of = |name| self.place(name).map_or(0, |place| self.routees[place].load);
        let routees = names.into_iter().map(|name| Routee { name, load: load_of(name) });
        self.routees = routees.collect();
        self.next = if self.next < self.routees.len() { self.next } else { 0 };
        if self.rule == RoutingRule::ConsistentHash {
            self.ring = HashRing::of(self.routees.iter().map(|routee| routee.name));
        }
    }

    /// Who gets a message with this key, which only [`RoutingRule::ConsistentHash`] looks at. It counts as sent.
    pub fn choose(&mut self, key: u64) -> Choice {
        let count = self.routees.len();
        if count == 0 {
            return Choice::Nobody;
        }
        let place = match self.rule {
            RoutingRule::Broadcast => return Choice::All,
            RoutingRule::RoundRobin => self.next,
            RoutingRule::Random { .. } => self.random.usize(0..count),
            RoutingRule::LeastLoaded => self.least_loaded(),
            RoutingRule::ConsistentHash => {
                let owner = self.ring.owner(key).and_then(|name| self.place(name));
                owner.unwrap_or(self.next)
            }
        };
        self.next = (place + 1) % count;
        self.routees[place].load = self.routees[place].load.saturating_add(1);
        Choice::One(place)
    }

    /// A routee has finished so many of the messages that went to it.
    pub fn finished(&mut self, name: u64, messages: u64) {
        if let Some(place) = self.place(name) {
            self.routees[place].load = self.routees[place].load.saturating_sub(messages);
        }
    }

    /// A routee says how loaded it is: takes the place of what was counted until now.
    pub fn reported(&mut self, name: u64, load: u64) {
        if let Some(place) = self.place(name) {
            self.routees[place].load = load;
        }
    }

    /// The load of a routee, as the choice sees it.
    pub fn load(&self, name: u64) -> Option<u64> {
        self.place(name).map(|place| self.routees[place].load)
    }

    fn place(&self, name: u64) -> Option<usize> {
        self.routees.iter().position(|routee| routee.name == name)
    }

    fn least_loaded(&self) -> usize {
        let count = self.routees.len();
        let in_turn = (0..count).map(|step| (self.next + step) % count);
        in_turn.min_by_key(|place| self.routees[*place].load).unwrap_or(0)
    }
}
