//! Segments are given back while a log goes on, and nothing that anybody asks for changes.

use std::collections::BTreeSet;

use super::super::retention::is_live;
use super::super::{Entity, EntityTable, Footer, Posting, Search, ShardRow, ShardTable};
use super::*;

const ENTITIES: u64 = 6;
const SHARDS: u32 = 3;

/// What an entity is, for those who ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    last_sequence: u64,
    events: BTreeSet<u64>,
    states: Vec<u64>,
    commands: BTreeSet<u64>,
    is_remembered: bool,
}

/// A log as lists of records, and what its writer knows.
struct Log {
    random: fastrand::Rng,
    /// The segments that are still there; the last one is open.
    segments: BTreeMap<u64, Vec<Placed>>,
    sequences: BTreeMap<u64, u64>,
    shards: BTreeMap<u32, (u64, u64)>,
}

impl Log {
    fn seeded(seed: u64) -> Log {
        Log {
            random: fastrand::Rng::with_seed(seed),
            segments: BTreeMap::from([(1, Vec::new())]),
            sequences: BTreeMap::new(),
            shards: BTreeMap::new(),
        }
    }

    fn append(&mut self, header: RecordHeader) {
        let mut open = self.segments.last_entry().expect("one is open");
        let offset = 4160 + open.get().len() as u64 * 64;
        open.get_mut().push(Placed { header, place: RecordPlace { offset, bytes: 64 } });
    }

    /// An entity does something that entities do.
    fn step(&mut self) {
        let number = self.random.u64(0..ENTITIES);
        let shard = number as u32 % SHARDS;
        let (shard_sequence, epoch) = self.shards.entry(shard).or_default();
        let sequence = self.sequences.entry(number).or_default();
        let (kind, entity_sequence) = match self.random.u8(0..20) {
            0..=10 => {
                *sequence += 1;
                (RecordKind::Event, *sequence)
            }
            11 => (RecordKind::Command, *sequence),
            12..=14 if *sequence > 0 => (RecordKind::State, *sequence),
            15..=16 if *sequence > 0 => (RecordKind::Deletion, self.random.u64(1..=*sequence)),
            17 => (RecordKind::Remembered, 0),
            18 => (RecordKind::Forgotten, 0),
            _ => {
                *epoch += 1;
                (RecordKind::ShardEpoch, 0)
            }
        };
        *shard_sequence += 1;
        let (shard_sequence, epoch) = (*shard_sequence, *epoch);
        let entity = EntityEntry::hash_of(&name(number));
        let schema = 0;
        self.append(RecordHeader {
            kind,
            schema,
            shard,
            entity,
            entity_sequence,
            shard_sequence,
            epoch,
        });
    }

    fn tables(&self) -> (BTreeMap<u64, Footer>, (EntityTable, ShardTable)) {
        let mut tables = Default::default();
        let footers = self
            .segments
            .iter()
            .map(|(id, placed)| (*id, footer_of(*id, placed, &mut tables)))
            .collect();
        (footers, tables)
    }

    /// What is there for somebody who reads every record.
    fn views(&self) -> (BTreeMap<u64, View>, BTreeMap<u32, (u64, u64)>) {
        let mut views: BTreeMap<u64, View> = BTreeMap::new();
        let mut shards: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for Placed { header, .. } in self.segments.values().flatten() {
            let view = views.entry(header.entity).or_default();
            let sequence = header.entity_sequence;
            view.last_sequence = view.last_sequence.max(sequence);
            match header.kind {
                RecordKind::Event => _ = view.events.insert(sequence),
                RecordKind::State => view.states.push(sequence),
                RecordKind::Command => _ = view.commands.insert(sequence),
                RecordKind::Deletion => view.events.retain(|event| *event > sequence),
                RecordKind::Remembered => view.is_remembered = true,
                RecordKind::Forgotten => view.is_remembered = false,
                _ => {}
            }
            view.states.sort_unstable_by_key(|state| std::cmp::Reverse(*state));
            view.states.dedup();
            view.states.truncate(2);
            // What the older of the two states knows already.
            let known = view.states.get(1).copied().unwrap_or(0);
            view.commands.retain(|command| *command >= known);
            let shard = shards.entry(header.shard).or_default();
            *shard = (shard.0.max(header.shard_sequence), shard.1.max(header.epoch));
        }
        views.retain(|_, view| *view != View::default());
        (views, shards)
    }

    /// Every entity is found without reading further back than its table row says.
    fn check_searches(&self, context: &str) {
        let (footers, (entities, _)) = self.tables();
        for (hash, view) in self.views().0 {
            let entity = entities.get(hash).expect("it has records");
            let (found, _) = searching::run(Search::since_latest_state(entity), &footers);
            let latest = view.states.first().copied().unwrap_or(0);
            let sequences = |kind: RecordKind, from: u64| -> BTreeSet<u64> {
                let of_kind = found.iter().filter(|(_, posting)| posting.kind == kind);
                of_kind.map(|(_, posting)| posting.entity_sequence).filter(|s| *s >= from).collect()
            };
            let events: BTreeSet<u64> = view.events.range(latest + 1..).copied().collect();
            let commands: BTreeSet<u64> = view.commands.range(latest + 1..).copied().collect();
            assert!(sequences(RecordKind::Event, 0).is_superset(&events), "{context}");
            assert!(sequences(RecordKind::Command, 0).is_superset(&commands), "{context}");
            assert_eq!(sequences(RecordKind::State, latest.max(1)).len(), view.states.len().min(1));
        }
    }

    /// Copies forward what is live in the oldest segment. Whether there was nothing.
    fn give_back(&mut self, oldest: u64) -> bool {
        let (footers, (entities, shards)) = self.tables();
        let assessment = assess(&footers[&oldest], &entities, &shards);
        for (entity, posting) in &assessment.live {
            // Meanwhile the log goes on.
            if self.random.bool() {
                self.step();
            }
            let (_, (entities, _)) = self.tables();
            let row = entities.get(*entity).expect("it has records");
            if is_live(posting, row) {
                let found = |placed: &&Placed| placed.place == posting.place();
                let copy = self.segments[&oldest].iter().find(found).expect("it stands there");
                self.append(copy.header);
            }
        }
        for ShardRow { shard, last_sequence, epoch, .. } in &assessment.shards {
            self.append(RecordHeader {
                kind: RecordKind::ShardEpoch,
                schema: 0,
                shard: *shard,
                entity: 0,
                entity_sequence: 0,
                shard_sequence: *last_sequence,
                epoch: *epoch,
            });
        }
        assessment.live.is_empty() && assessment.shards.is_empty()
    }
}

/// What a reclaimer writes anew before a segment can be given back.
#[derive(Debug)]
struct Assessment {
    /// Its live records with their entities, in the order in which they stand: to be copied forward.
    live: Vec<(u64, Posting)>,
    /// The shards whose last record it holds: to be stated anew.
    shards: Vec<ShardRow>,
}

/// Looks at every record of a sealed segment.
fn assess(footer: &Footer, entities: &EntityTable, shards: &ShardTable) -> Assessment {
    let segment_id = footer.header().segment_id;
    let mut live = Vec::new();
    for row in footer.entities() {
        // An entity that the table does not know is taken as the footer has it: nothing of it is lost.
        let entity = entities.get(row.entity).copied().unwrap_or_else(|| {
            let mut entity = Entity::default();
            entity.apply_row(row, segment_id);
            entity
        });
        let own = footer.postings_of(row).iter();
        let own = own.filter(|posting| is_live(posting, &entity));
        live.extend(own.map(|posting| (row.entity, *posting)));
    }
    live.sort_unstable_by_key(|(_, posting)| posting.offset);
    let is_last = |row: &ShardRow| row.segment_id <= segment_id;
    let known = footer.shards().iter().map(|row| *shards.get(row.shard).unwrap_or(row));
    Assessment { live, shards: known.filter(is_last).collect() }
}

#[test]
fn a_log_whose_front_is_given_back_answers_as_before() {
    let mut dead_segments = 0;
    for seed in 0..150 {
        let mut log = Log::seeded(seed);
        for id in 2..12 {
            for _ in 0..log.random.usize(1..30) {
                log.step();
            }
            log.segments.insert(id, Vec::new());
            if log.random.u8(0..3) > 0 {
                let oldest = *log.segments.keys().next().expect("there is one");
                dead_segments += u32::from(log.give_back(oldest));
                let before = log.views();
                log.segments.remove(&oldest);
                let context = format!("seed {seed}, segment {oldest}");
                assert_eq!(log.views(), before, "{context}");
                log.check_searches(&context);
            }
        }
    }
    assert!(dead_segments > 0, "no segment was ever dead by itself");
}
