//! Registries of several nodes in virtual time: loss, doubles, delay, partitions and restarts, from a seed.
//!
//! After every step each view is held to what the nodes themselves have had: a copy at a version is exactly what its
//! node had at that version. When all is healed, views become the same.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::*;

const MS: u64 = 1_000_000;
const STEP_NS: u64 = 5 * MS;

/// Stands for a reference: node, number, and type.
type Actor = (u32, u16, u8);

impl Registered for Actor {
    fn node(&self) -> u32 {
        self.0
    }

    fn fingerprint(&self) -> u64 {
        u64::from(self.2)
    }
}

type Entries = BTreeSet<(String, Actor)>;

struct World {
    now_ns: u64,
    random: Rng,
    loss_percent: u8,
    /// The side of each place; places of different sides do not hear each other.
    sides: Vec<u8>,
    /// The machine at each place; a restart puts a new node there.
    nodes: Vec<Registrations<Actor>>,
    names: Vec<u32>,
    /// What every node that ever lived had at each of its versions.
    history: BTreeMap<u32, Vec<Entries>>,
    ways: BTreeMap<(u64, u64), (u32, u32, Message<Actor>)>,
    sent: u64,
    heard: Vec<BTreeMap<ServiceName, Vec<Actor>>>,
}

fn entries_of(column: &Column<Actor>) -> Entries {
    column.entries().map(|(name, actor)| (name.to_owned(), actor)).collect()
}

impl World {
    fn seeded(seed: u64, count: u32) -> World {
        let mut world = World {
            now_ns: 0,
            random: Rng::with_seed(seed),
            loss_percent: 0,
            sides: vec![0; count as usize],
            nodes: Vec::new(),
            names: (1..=count).collect(),
            history: BTreeMap::new(),
            ways: BTreeMap::new(),
            sent: 0,
            heard: vec![BTreeMap::new(); count as usize],
        };
        for name in 1..=count {
            let node = world.born(name);
            world.nodes.push(node);
        }
        world.tell_members();
        world
    }

    fn born(&mut self, name: u32) -> Registrations<Actor> {
        self.history.insert(name, vec![Entries::new()]);
        Registrations::new(
            name,
            Settings { random_seed: self.random.u64(..), ..Settings::default() },
        )
    }

    /// Everybody learns at once who is there: what membership is for is not the matter here.
    fn tell_members(&mut self) {
        let members: BTreeSet<u32> = self.names.iter().copied().collect();
        for place in 0..self.nodes.len() {
            self.step(place, Input::Members(members.clone()));
        }
    }

    fn step(&mut self, place: usize, input: Input<Actor>) {
        let mut outputs = Vec::new();
        self.nodes[place].step(self.now_ns, input, &mut outputs);
        for output in outputs {
            match output {
                Output::Send(to, message) => self.send(self.names[place], to, message),
                Output::Changed(service) => {
                    let listing = self.nodes[place].listing(&service);
                    self.heard[place].insert(service, listing);
                }
            }
        }
        self.check(place);
    }

    fn send(&mut self, from: u32, to: u32, message: Message<Actor>) {
        let copies = match self.random.u8(0..100) {
            dice if dice < self.loss_percent => 0,
            dice if dice >= 97 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            self.sent += 1;
            let at_ns = self.now_ns + self.random.u64(0..40 * MS);
            self.ways.insert((at_ns, self.sent), (from, to, message.clone()));
        }
    }

    fn run_for(&mut self, ns: u64) {
        let end_ns = self.now_ns + ns;
        while self.now_ns < end_ns {
            self.now_ns += STEP_NS;
            while let Some(way) = self.ways.first_entry().filter(|way| way.key().0 <= self.now_ns) {
                let (from, to, message) = way.remove();
                let place = |name| self.names.iter().position(|other| *other == name);
                if let (Some(here), Some(there)) = (place(from), place(to))
                    && self.sides[here] == self.sides[there]
                {
                    self.step(there, Input::Received { from, message });
                }
            }
            for place in 0..self.nodes.len() {
                if self.nodes[place].due_ns() <= self.now_ns {
                    self.step(place, Input::Tick);
                }
            }
        }
    }

    /// A node registers or takes back something of its own.
    fn change(&mut self, place: usize) {
        let me = self.names[place];
        let name = format!("service-{}", self.random.u8(0..4));
        let actor = (me, self.random.u16(0..12), self.random.u8(0..2));
        let node = &mut self.nodes[place];
        match self.random.u8(0..10) {
            0..6 => drop(node.register(self.now_ns, &name, actor).expect("far from any limit")),
            6..9 => drop(node.deregister(self.now_ns, &name, actor)),
            _ => node.ended(self.now_ns, |other| other.1 == actor.1),
        }
        self.note(place);
    }

    /// Remembers what a node has now. One call may have made several versions; those between are not told to anyone.
    fn note(&mut self, place: usize) {
        let me = self.names[place];
        let own = self.nodes[place].column(me).expect("a node is a member");
        let history = self.history.get_mut(&me).expect("it was born");
        let last = history.last().cloned().unwrap_or_default();
        history.resize(own.version() as usize, last);
        history.push(entries_of(own));
        history.truncate(own.version() as usize + 1);
        self.step(place, Input::Tick);
    }

    /// A node is gone and another one comes in its place.
    fn restart(&mut self, place: usize) {
        let name = self.names.iter().max().expect("there are nodes") + 1;
        self.names[place] = name;
        self.nodes[place] = self.born(name);
        self.heard[place].clear();
        self.tell_members();
    }

    fn check(&self, place: usize) {
        let view = &self.nodes[place];
        for (node, version) in view.versions() {
            let copy = entries_of(view.column(node).expect("it has a version"));
            let had = &self.history[&node].get(version as usize);
            let had = had.unwrap_or_else(|| panic!("{node} never had version {version}"));
            assert_eq!(copy, *had, "a copy of node {node} at version {version}");
        }
    }

    /// Whether all views hold exactly what the nodes have, and listeners have heard it.
    fn agrees(&self) -> bool {
        let mut all: BTreeMap<ServiceName, BTreeSet<Actor>> = BTreeMap::new();
        for name in &self.names {
            for (service, actor) in self.history[name].last().into_iter().flatten() {
                let (name, fingerprint) = (service.clone(), actor.fingerprint());
                all.entry(ServiceName { name, fingerprint }).or_default().insert(*actor);
            }
        }
        (0..self.nodes.len()).all(|place| {
            let heard = self.heard[place].iter().filter(|(_, actors)| !actors.is_empty());
            let heard =
                heard.map(|(name, actors)| (name.clone(), actors.iter().copied().collect()));
            heard.collect::<BTreeMap<_, _>>() == all
        })
    }

    fn agree_within(&mut self, limit_ns: u64, seed: u64) {
        let end_ns = self.now_ns + limit_ns;
        while !self.agrees() {
            assert!(self.now_ns < end_ns, "seed {seed}: views differ {limit_ns} ns after healing");
            self.run_for(STEP_NS);
        }
    }
}

fn seeds() -> u64 {
    let wanted = std::env::var("MAINSPRING_REGISTRY_SEEDS").ok();
    wanted.and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
}

#[test]
fn views_hold_only_what_nodes_had_and_become_the_same_once_the_network_is_whole() {
    for seed in 0..seeds() {
        let mut world = World::seeded(seed, 2 + (seed % 6) as u32);
        for _ in 0..60 {
            let place = world.random.usize(0..world.nodes.len());
            match world.random.u8(0..20) {
                0 => world.restart(place),
                1 => world.sides[place] ^= 1,
                2 => world.loss_percent = world.random.u8(0..60),
                // Enough at once that what was removed is forgotten.
                3 => (0..400).for_each(|_| world.change(place)),
                _ => world.change(place),
            }
            let pause_ns = world.random.u64(0..300 * MS);
            world.run_for(pause_ns);
        }
        world.sides.fill(0);
        world.loss_percent = 0;
        world.agree_within(30_000 * MS, seed);
    }
}

#[test]
fn news_reach_everybody_soon_when_nothing_is_lost() {
    let mut world = World::seeded(1, 20);
    world.run_for(2_000 * MS);
    world.change(3);
    world.run_for(60 * MS);
    assert!(world.agrees());
}

#[test]
fn what_one_node_missed_it_gets_from_any_other_also_when_the_origin_is_cut_off() {
    let mut world = World::seeded(5, 3);
    world.run_for(1_500 * MS);
    world.sides = vec![0, 0, 1];
    world.nodes[0].register(world.now_ns, "pay", (1, 7, 0)).expect("room");
    world.note(0);
    world.run_for(1_000 * MS);
    let service = ServiceName { name: "pay".to_owned(), fingerprint: 0 };
    assert!(world.nodes[2].listing(&service).is_empty());
    world.sides = vec![1, 0, 0];
    world.run_for(15_000 * MS);
    assert_eq!(world.nodes[2].listing(&service), [(1, 7, 0)]);
}

#[test]
fn entries_of_a_removed_node_are_gone_and_no_old_copy_brings_them_back() {
    let mut world = World::seeded(2, 3);
    world.nodes[0].register(0, "pay", (1, 1, 0)).expect("room");
    world.note(0);
    world.run_for(3_000 * MS);
    assert!(world.agrees());
    let service = ServiceName { name: "pay".to_owned(), fingerprint: 0 };
    // Only the second node has heard that the first one is gone; the third goes on giving it what it has.
    world.step(1, Input::Members(BTreeSet::from([2, 3])));
    world.run_for(10_000 * MS);
    assert!(world.nodes[1].listing(&service).is_empty());
    assert_eq!(world.nodes[2].listing(&service), [(1, 1, 0)]);
    assert!(world.nodes[1].counters().from_strangers > 0, "it was offered to it again");
}

#[test]
fn a_node_that_is_not_reached_is_not_listed_until_it_is() {
    let mut world = World::seeded(3, 2);
    world.nodes[0].register(0, "pay", (1, 1, 0)).expect("room");
    world.note(0);
    world.run_for(2_000 * MS);
    let service = ServiceName { name: "pay".to_owned(), fingerprint: 0 };
    world.step(1, Input::Unreachable(BTreeSet::from([1])));
    assert!(world.heard[1][&service].is_empty());
    // What it registers meanwhile is learned, and shown with the rest.
    world.nodes[0].register(world.now_ns, "pay", (1, 2, 0)).expect("room");
    world.note(0);
    world.run_for(2_000 * MS);
    assert!(world.nodes[1].listing(&service).is_empty());
    world.step(1, Input::Unreachable(BTreeSet::new()));
    assert_eq!(world.heard[1][&service], [(1, 1, 0), (1, 2, 0)]);
}

#[test]
fn services_of_one_name_with_other_messages_are_other_services() {
    let mut registry = Registrations::<Actor>::new(1, Settings::default());
    assert_eq!(registry.register(0, "pay", (1, 1, 8)), Ok(true));
    assert_eq!(registry.register(0, "pay", (1, 2, 9)), Ok(true));
    assert_eq!(registry.register(0, "pay", (1, 2, 9)), Ok(false), "it is there already");
    let listing =
        |fingerprint| registry.listing(&ServiceName { name: "pay".to_owned(), fingerprint });
    assert_eq!((listing(8), listing(9)), (vec![(1, 1, 8)], vec![(1, 2, 9)]));
}

#[test]
fn what_a_registry_cannot_take_is_refused_with_the_limit() {
    let mut registry = Registrations::<Actor>::new(1, Settings::default());
    let elsewhere = registry.register(0, "pay", (2, 1, 0)).unwrap_err();
    assert!(matches!(elsewhere, RegisterError::NotOfThisNode { .. }), "{elsewhere}");
    let long = registry.register(0, &"x".repeat(NAME_LIMIT_BYTES + 1), (1, 1, 0)).unwrap_err();
    assert!(matches!(long, RegisterError::NameTooLong { .. }), "{long}");
    for number in 0..ENTRY_LIMIT as u16 {
        assert_eq!(registry.register(0, "pay", (1, number, 0)), Ok(true));
    }
    let full = registry.register(0, "pay", (1, u16::MAX, 0)).unwrap_err();
    assert!(matches!(full, RegisterError::Full { limit: ENTRY_LIMIT, .. }), "{full}");
}

#[test]
fn an_update_that_no_node_could_have_made_changes_nothing() {
    let change = |version, actor: Actor, is_there| Change {
        version,
        name: "pay".to_owned(),
        actor,
        is_there,
    };
    let changes = |from, to, changes| Update::Changes(Changes { from, to, changes });
    let long = Change { name: "x".repeat(NAME_LIMIT_BYTES + 1), ..change(1, (2, 1, 0), true) };
    let many = (1..=CHANGE_LIMIT as u64 + 1).map(|version| change(version, (2, 1, 0), true));
    let forged = [
        changes(0, 1, vec![change(1, (3, 1, 0), true)]),
        changes(0, 1, vec![change(2, (2, 1, 0), true)]),
        changes(0, 2, vec![change(2, (2, 1, 0), true), change(1, (2, 2, 0), true)]),
        changes(1, 2, vec![change(1, (2, 1, 0), true)]),
        changes(0, 1, vec![long]),
        changes(0, 1_000, many.collect()),
        Update::Whole { version: 1, entries: vec![change(1, (2, 1, 0), false)] },
    ];
    for update in forged {
        let mut registry = Registrations::<Actor>::new(1, Settings::default());
        registry.step(0, Input::Members(BTreeSet::from([1, 2])), &mut Vec::new());
        let message = Message::Update { node: 2, update };
        registry.step(0, Input::Received { from: 2, message }, &mut Vec::new());
        assert_eq!(registry.counters().malformed, 1);
        assert!(registry.column(2).is_some_and(|column| column.entry_count() == 0));
    }
}
