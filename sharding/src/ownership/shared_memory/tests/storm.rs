//! Nodes that take, give, die, stand still and are cut off at random, with everything that can go wrong.

use std::collections::BTreeMap;

use super::*;
use crate::ownership::LeaseSettings;

const NODES: usize = 4;
const SHARDS: u32 = 3;
const STEP_NS: u64 = 20 * MS;
const DRIFT_PPM: u32 = 100_000;

/// A node as it sees itself: until when it may use what it owns.
struct Life {
    access: SharedMemoryNode,
    incarnation: u64,
    until_ns: u64,
    stands_until_ns: u64,
    records: BTreeMap<u32, Ownership<Place>>,
}

struct Storm {
    store: SharedMemory,
    random: fastrand::Rng,
    now_ns: u64,
    lives: Vec<Life>,
    /// The end of use by each life, as far as it has been told. Nobody may own its shards before.
    ends: BTreeMap<u64, u64>,
    next_number: u64,
    seen_changes: usize,
    epochs: BTreeMap<u32, Ownership<Place>>,
    takeovers: usize,
    trace: u64,
}

fn settings() -> LeaseSettings {
    LeaseSettings { margin_ns: 0, drift_ppm: DRIFT_PPM, ..LeaseSettings::default() }
}

impl Storm {
    fn new(seed: u64, settings: LeaseSettings) -> Storm {
        let store = SharedMemory::seeded(seed).with_lease(settings);
        // Clocks that differ by far more than in life: what is forgotten about them shows soon.
        let faults = StoreFaults { fast_clock_ppm: DRIFT_PPM, ..StoreFaults::storm() };
        store.set_faults(StoreFaults { stretch_max_ns: SECOND, ..faults });
        let mut storm = Storm {
            store,
            random: fastrand::Rng::with_seed(seed),
            now_ns: 0,
            lives: Vec::new(),
            ends: BTreeMap::new(),
            next_number: 0,
            seen_changes: 0,
            epochs: BTreeMap::new(),
            takeovers: 0,
            trace: 0,
        };
        for node in 0..NODES {
            let life = storm.begin(node);
            storm.lives.push(life);
        }
        storm
    }

    fn begin(&mut self, node: usize) -> Life {
        self.next_number += 1;
        let mut life = Life {
            access: self.store.of(node),
            incarnation: self.next_number,
            until_ns: 0,
            stands_until_ns: 0,
            records: BTreeMap::new(),
        };
        self.next_number += 1;
        let record = NodeRecord { incarnation: life.incarnation, address: format!("node {node}") };
        let question = StoreQuestion::Register(record);
        life.access.ask(self.now_ns, RequestId(self.next_number), question).unwrap();
        life
    }

    fn step(&mut self) -> Result<(), String> {
        self.now_ns += STEP_NS;
        let node = self.random.usize(0..NODES);
        match self.random.u32(0..2_000) {
            0..3 => self.lives[node] = self.begin(node),
            3..8 => {
                self.lives[node].stands_until_ns = self.now_ns + self.random.u64(0..12) * SECOND
            }
            8..12 => self.store.cut_off(node),
            12..20 => self.store.connect(node),
            20..22 => self.store.change_leader(self.now_ns),
            22..1_000 => self.ask(node),
            _ => {}
        }
        for node in 0..NODES {
            self.poll(node);
        }
        self.check()
    }

    fn ask(&mut self, node: usize) {
        let shard = self.random.u32(0..SHARDS);
        let to_node = self.random.usize(0..NODES);
        let to = Place { incarnation: self.lives[to_node].incarnation, core: 0 };
        let current = self.lives[node].records.get(&shard).copied();
        let expected = current.map_or(Epoch::NONE, |record| record.epoch);
        let owns = current.is_some_and(|it| it.owner.incarnation == self.lives[node].incarnation);
        let request = match self.random.u8(0..4) {
            0 => StoreRequest::Read { shard },
            _ if owns => StoreRequest::GiveAway { shard, expected, to },
            _ => StoreRequest::TakeOver { shard, expected, to },
        };
        self.next_number += 1;
        let id = RequestId(self.next_number);
        let question = StoreQuestion::Ownership { entity_type: carts(), request };
        let life = &mut self.lives[node];
        if life.stands_until_ns <= self.now_ns {
            life.access.ask(self.now_ns, id, question).unwrap();
        }
    }

    fn poll(&mut self, node: usize) {
        let life = &mut self.lives[node];
        if life.stands_until_ns > self.now_ns {
            return;
        }
        let mut news = Vec::new();
        life.access.poll(self.now_ns, &mut news);
        for news in news {
            self.trace =
                xxhash_rust::xxh3::xxh3_64_with_seed(format!("{news:?}").as_bytes(), self.trace);
            match news {
                StoreNews::LeaseKept { until_ns } => {
                    life.until_ns = until_ns;
                    self.ends.insert(life.incarnation, until_ns);
                }
                StoreNews::LeaseLost => {
                    self.ends.insert(life.incarnation, life.until_ns.min(self.now_ns));
                    // It comes back as another life of the node.
                    self.lives[node] = self.begin(node);
                    return;
                }
                StoreNews::Failed(_, StoreError::Unreachable { .. }) => {
                    self.lives[node] = self.begin(node);
                    return;
                }
                StoreNews::Changed { shard, ownership, .. } => {
                    let known = life.records.entry(shard).or_insert(ownership);
                    if known.epoch < ownership.epoch {
                        *known = ownership;
                    }
                }
                _ => {}
            }
        }
    }

    /// Epochs rise, who gives is the owner, and nobody is robbed before the end of its lease.
    fn check(&mut self) -> Result<(), String> {
        let history = self.store.history();
        for change in history[self.seen_changes..].iter().cloned() {
            let record = change.ownership;
            if let Some(before) = self.epochs.insert(change.shard, record) {
                if before.epoch >= record.epoch {
                    return Err(format!("epoch {} after {}", record.epoch, before.epoch));
                }
                if record.given_by.is_some_and(|giver| giver != before.owner) {
                    return Err(format!("{record:?} given by who had it not: {before:?}"));
                }
                let end_ns = self.ends.get(&before.owner.incarnation).copied().unwrap_or(0);
                if record.given_by.is_none() && change.at_ns < end_ns {
                    return Err(format!("{before:?} robbed at {}, before {end_ns}", change.at_ns));
                }
                self.takeovers += usize::from(record.given_by.is_none());
            }
        }
        self.seen_changes = history.len();
        Ok(())
    }

    fn run(seed: u64, settings: LeaseSettings) -> Result<Storm, String> {
        let mut storm = Storm::new(seed, settings);
        for step in 0..10_000 {
            storm.step().map_err(|broken| format!("seed {seed}, step {step}: {broken}"))?;
        }
        Ok(storm)
    }
}

#[test]
fn nobody_is_robbed_while_its_lease_lasts_and_epochs_rise_in_every_storm() {
    let (mut changes, mut takeovers) = (0, 0);
    for seed in 0..20 {
        let storm = Storm::run(seed, settings()).unwrap();
        changes += storm.seen_changes;
        takeovers += storm.takeovers;
    }
    assert!(changes > 1_000 && takeovers > 100, "{changes} changes, {takeovers} takeovers");
}

#[test]
fn a_node_that_trusts_its_clock_too_much_is_found_out() {
    let trusting = LeaseSettings { drift_ppm: 0, ..settings() };
    let found = (0..200).find_map(|seed| Storm::run(seed, trusting).err());
    assert!(found.is_some_and(|broken| broken.contains("robbed")));
}

#[test]
fn one_seed_is_one_history() {
    let traces: Vec<u64> = (0..2).map(|_| Storm::run(5, settings()).unwrap().trace).collect();
    assert_eq!(traces[0], traces[1]);
    assert_ne!(traces[0], Storm::run(6, settings()).unwrap().trace);
}
