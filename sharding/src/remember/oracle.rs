//! The store beside a log of which a crash leaves any prefix, and beside what every entity has done.

use std::collections::{BTreeMap, BTreeSet};

use super::{Batch, Noted, RememberLimits, RememberStore, Snapshot};
use crate::remember::Recall;

const MS: u64 = 1_000_000;
const SHARDS: u32 = 3;
const IDS: u8 = 12;

/// What stands in a log, in order.
#[derive(Clone, Debug)]
enum Record {
    Batch(Batch),
    Snapshot(Snapshot),
    GivenUp {
        shard: u32,
        to: u64,
    },
    /// An event of an entity, acknowledged as soon as it is durable.
    Event {
        id: u8,
    },
}

/// What a test knows of an entity in one life of the node.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    runs: bool,
    epoch: u64,
}

struct World {
    random: fastrand::Rng,
    /// How often in eight times the journal refuses.
    refuses: u8,
    /// A list is read in one of so many steps.
    reads_in: u8,
    now_ns: u64,
    store: RememberStore,
    log: Vec<Record>,
    known: BTreeMap<u8, Known>,
    /// Of the shards, and of the last word that the store has heard of each.
    epochs: [u64; SHARDS as usize],
    heard: [u64; SHARDS as usize],
    /// Lists that are to be read, as the log was when the life began.
    unread: Vec<(u32, Vec<Record>)>,
    /// Those who have ended in this life.
    ended: BTreeSet<u8>,
}

fn shard_of(id: u8) -> u32 {
    u32::from(id) % SHARDS
}

/// What the log of one shard says, read as a node reads it.
fn recall_of(shard: u32, log: &[Record]) -> Recall {
    let mut recall = Recall::new();
    let is_of = |record: &&Record| match record {
        Record::Batch(batch) => batch.shard == shard,
        Record::Snapshot(snapshot) => snapshot.shard == shard,
        Record::GivenUp { .. } | Record::Event { .. } => false,
    };
    let given_up = log.iter().rev().find_map(|record| match record {
        Record::GivenUp { shard: of, to } if *of == shard => Some(*to),
        _ => None,
    });
    let last = log.iter().rposition(
        |record| matches!(record, Record::Snapshot(snapshot) if snapshot.shard == shard),
    );
    for record in log[last.unwrap_or(0)..].iter().filter(is_of) {
        match record {
            Record::Snapshot(snapshot) => {
                assert!(given_up.is_none_or(|to| to <= snapshot.sequence), "given up too early");
                let ids = snapshot.ids.iter().map(Vec::as_slice);
                recall.snapshot_read(snapshot.sequence, ids);
            }
            Record::Batch(Batch { after, changed, .. }) => {
                let started = changed.started.iter().map(Vec::as_slice);
                recall.event_read(after + 1, started, changed.ended.iter().map(Vec::as_slice));
            }
            Record::GivenUp { .. } | Record::Event { .. } => {}
        }
    }
    recall
}

fn sequence_of(shard: u32, log: &[Record]) -> u64 {
    let last = log.iter().rev().find_map(|record| match record {
        Record::Batch(batch) if batch.shard == shard => Some(batch.after + 1),
        _ => None,
    });
    last.unwrap_or(0)
}

fn who_runs(log: &[Record]) -> Vec<u8> {
    let lists = (0..SHARDS).flat_map(|shard| {
        let ids: Vec<u8> = recall_of(shard, log).into_ids().map(|id| id[0]).collect();
        ids
    });
    let mut all: Vec<u8> = lists.collect();
    all.sort_unstable();
    all
}

impl World {
    fn begin(mut random: fastrand::Rng, log: Vec<Record>) -> Self {
        let limits = RememberLimits { snapshot_after: 8, ..RememberLimits::default() };
        let mut store = RememberStore::new(limits);
        let mut unread = Vec::new();
        for shard in 0..SHARDS {
            let sequence = sequence_of(shard, &log);
            if sequence > 0 {
                store.expect(shard, sequence);
                unread.push((shard, log.clone()));
            }
        }
        random.shuffle(&mut unread);
        let (known, ended) = (BTreeMap::new(), BTreeSet::new());
        let (refuses, reads_in) = (random.u8(0..8), random.u8(3..60));
        let (epochs, heard) = ([0; SHARDS as usize], [0; SHARDS as usize]);
        World {
            random,
            refuses,
            reads_in,
            now_ns: 0,
            store,
            log,
            known,
            epochs,
            heard,
            unread,
            ended,
        }
    }

    /// The journal takes what is due, or refuses.
    fn write(&mut self) {
        while let Some(batch) = self.store.next_batch(self.now_ns) {
            if self.random.u8(0..8) < self.refuses {
                self.store.refused(self.now_ns);
                return;
            }
            assert_eq!(batch.after, sequence_of(batch.shard, &self.log), "a gap");
            self.store.written(&batch);
            self.log.push(Record::Batch(batch));
        }
        if let Some(snapshot) = self.store.next_snapshot() {
            let (shard, sequence) = (snapshot.shard, snapshot.sequence);
            let is_taken = self.random.u8(0..4) > 0;
            self.store.snapshot_offered(shard, is_taken);
            if is_taken {
                self.log.push(Record::Snapshot(snapshot));
                if let Some((to, after)) = self.store.snapshot_durable(shard, sequence) {
                    assert_eq!(after, sequence_of(shard, &self.log));
                    self.log.push(Record::GivenUp { shard, to });
                }
            }
        }
    }

    /// One list is read.
    fn read(&mut self) {
        let Some((shard, log)) = self.unread.pop() else { return };
        let (ids, left_out) = self.store.recalled(shard, recall_of(shard, &log));
        assert_eq!(left_out, 0);
        for id in ids {
            let known = self.known.entry(id[0]).or_default();
            assert!(!known.runs, "{id:?} is started twice");
            assert!(!self.ended.contains(&id[0]), "{id:?} is started and has ended");
            known.runs = true;
        }
    }

    fn step(&mut self) {
        let id = self.random.u8(0..IDS);
        let shard = shard_of(id);
        let known = self.known.entry(id).or_default();
        match self.random.u8(0..8) {
            0..3 if !known.runs => {
                let epoch = self.epochs[shard as usize];
                *known = Known { runs: true, epoch };
                self.heard[shard as usize] = epoch;
                self.ended.remove(&id);
                let noted = self.store.started(self.now_ns, shard, &[id], epoch);
                assert_ne!(noted, Noted::LeftOut);
                self.write();
                if self.store.is_recorded(shard, &[id]) {
                    self.log.push(Record::Event { id });
                }
            }
            3..6 if known.runs => {
                known.runs = false;
                let epoch = self.epochs[shard as usize];
                self.heard[shard as usize] = epoch;
                self.store.ended(self.now_ns, shard, &[id], epoch);
                self.ended.insert(id);
            }
            // Words of an earlier owner that come late.
            6 if known.runs && known.epoch > 0 => {
                let earlier = known.epoch - 1;
                self.store.ended(self.now_ns, shard, &[id], earlier);
            }
            6 if !known.runs && self.heard[shard as usize] > 0 => {
                let earlier = self.heard[shard as usize] - 1;
                let noted = self.store.started(self.now_ns, shard, &[id], earlier);
                assert_eq!(noted, Noted::LeftOut);
            }
            _ => self.epochs[shard as usize] += self.random.u64(0..2),
        }
        if self.random.u8(0..self.reads_in) == 0 {
            self.read();
        }
        self.now_ns += self.random.u64(0..MS);
        self.write();
    }

    /// Everything is read and written: the log says who runs.
    fn settle(&mut self) {
        while !self.unread.is_empty() {
            self.read();
        }
        self.refuses = 0;
        for _ in 0..100 {
            self.now_ns += 100 * MS;
            self.write();
        }
        let runs = self.known.iter().filter(|(_, known)| known.runs).map(|(id, _)| *id);
        assert_eq!(who_runs(&self.log), runs.collect::<Vec<_>>());
    }
}

/// Whoever had an event in what a crash leaves, and has not ended since, is found.
fn check_prefix(log: &[Record]) {
    let runs = who_runs(log);
    let mut must: BTreeMap<u8, bool> = BTreeMap::new();
    for record in log {
        match record {
            Record::Event { id } => drop(must.insert(*id, true)),
            Record::Batch(batch) => {
                for id in &batch.changed.ended {
                    must.insert(id[0], false);
                }
                for id in &batch.changed.started {
                    must.insert(id[0], true);
                }
            }
            Record::Snapshot(_) | Record::GivenUp { .. } => {}
        }
    }
    for (id, must) in must {
        assert_eq!(runs.contains(&id), must, "{id}");
    }
}

#[test]
fn the_log_says_who_runs_after_any_crash_and_whatever_is_read_late_refused_or_late() {
    let mut snapshots = 0;
    for seed in 0..1_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut log = Vec::new();
        for _ in 0..4 {
            let mut world = World::begin(random.fork(), std::mem::take(&mut log));
            for _ in 0..random.usize(0..400) {
                world.step();
            }
            check_prefix(&world.log);
            let is_snapshot = |record: &&Record| matches!(record, Record::GivenUp { .. });
            snapshots += world.log.iter().filter(is_snapshot).count();
            let cut = random.usize(world.log.len() / 2..=world.log.len());
            check_prefix(&world.log[..cut]);
            if random.bool() {
                world.settle();
                check_prefix(&world.log);
                log = world.log;
            } else {
                world.log.truncate(cut);
                log = world.log;
            }
        }
    }
    assert!(snapshots > 400, "only {snapshots} times was something given up");
}

#[test]
fn ends_of_a_millisecond_go_together_and_one_that_is_made_up_for_is_not_written() {
    let mut store = RememberStore::new(RememberLimits::default());
    for id in 0..5 {
        assert_eq!(store.started(0, 7, &[id], 1), Noted::Waits);
    }
    let batch = store.next_batch(0).expect("a start is written at once");
    assert_eq!((batch.changed.started.len(), batch.after), (5, 0));
    store.written(&batch);
    assert_eq!(store.next_batch(0), None);
    (0..4).for_each(|id| store.ended(u64::from(id), 7, &[id], 1));
    assert_eq!(store.next_batch(999_999), None, "more may end");
    assert_eq!(store.started(999_999, 7, &[3], 1), Noted::Recorded, "the log says so still");
    let batch = store.next_batch(1_000_000).expect("ends that wait");
    assert_eq!(batch.changed.ended, [vec![0], vec![1], vec![2]]);
    store.written(&batch);
    assert_eq!((store.next_batch(u64::MAX), store.next_deadline_ns()), (None, None));
}

#[test]
fn a_journal_that_refuses_is_asked_again_after_pauses_that_double() {
    let mut store = RememberStore::new(RememberLimits::default());
    store.started(0, 0, &[1], 1);
    let mut pauses = Vec::new();
    let mut now_ns = 0;
    for _ in 0..12 {
        assert!(store.next_batch(now_ns).is_some());
        store.refused(now_ns);
        let due_ns = store.next_deadline_ns().expect("it is tried again");
        assert_eq!(store.next_batch(due_ns - 1), None);
        pauses.push((due_ns - now_ns) / MS);
        now_ns = due_ns;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000, 1_000]);
}

#[test]
fn what_is_beyond_a_limit_is_left_out_and_the_memory_comes_back() {
    let limits =
        RememberLimits { bytes: 1_500, list_bytes: 60, batch_bytes: 30, snapshot_after: 8 };
    let mut store = RememberStore::new(limits);
    let noted: Vec<Noted> = (0..8).map(|id| store.started(0, 0, &[id], 1)).collect();
    assert_eq!(noted.iter().filter(|noted| **noted == Noted::Waits).count(), 6, "a list's limit");
    for shard in 1..20 {
        store.started(0, shard, &[0], 1);
    }
    assert_eq!(store.started(0, 20, &[0], 1), Noted::LeftOut, "the limit of all lists");
    let mut batches = 0;
    while let Some(batch) = store.next_batch(0) {
        let changed = batch.changed.started.len() + batch.changed.ended.len();
        assert!(changed <= 3, "{changed} in an event");
        store.written(&batch);
        batches += 1;
    }
    assert!(batches > 2);
    for shard in 0..20 {
        (0..8).for_each(|id| store.ended(0, shard, &[id], 1));
    }
    while let Some(batch) = store.any_batch() {
        store.written(&batch);
    }
    assert_eq!(store.bytes, 0);
}
