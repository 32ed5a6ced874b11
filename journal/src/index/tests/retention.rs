//! Segments are given back while a log goes on, and nothing that anybody asks for changes.

use std::collections::BTreeSet;

use super::super::retention::{Liveness, NotInOrder, assess, is_live};
use super::super::{Search, ShardRow};
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

    /// Copies forward what is live in the oldest segment, and gives the segment back.
    fn give_back(&mut self, oldest: u64, liveness: &mut Liveness) -> u64 {
        let (footers, (entities, shards)) = self.tables();
        let assessment = assess(&footers[&oldest], &entities, &shards);
        liveness.assessed(&assessment);
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
        liveness.copied_forward(oldest);
        assert_eq!(liveness.droppable_prefix().next(), Some(oldest));
        liveness.dropped(oldest);
        assessment.live_bytes()
    }
}

#[test]
fn a_log_whose_front_is_given_back_answers_as_before() {
    let mut dead_segments = 0;
    for seed in 0..150 {
        let mut log = Log::seeded(seed);
        let mut liveness = Liveness::default();
        for id in 2..12 {
            for _ in 0..log.random.usize(1..30) {
                log.step();
            }
            liveness.sealed(id - 1, 64).expect("in order");
            log.segments.insert(id, Vec::new());
            if log.random.u8(0..3) > 0 {
                let oldest = *log.segments.keys().next().expect("there is one");
                let live_bytes = log.give_back(oldest, &mut liveness);
                dead_segments += u32::from(live_bytes == 0);
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

#[test]
fn only_segments_at_the_front_are_given_back() {
    let mut liveness = Liveness::default();
    for (id, live_bytes) in [(5, 100), (6, 200), (7, 300)] {
        liveness.sealed(id, live_bytes).expect("in order");
    }
    assert_eq!(liveness.sealed(9, 1), Err(NotInOrder { segment_id: 9, last: 7 }));
    liveness.copied_forward(6);
    assert_eq!(liveness.droppable_prefix().count(), 0);
    assert_eq!((liveness.oldest_live(), liveness.live_bytes()), (Some(5), 400));
    liveness.copied_forward(5);
    assert_eq!(liveness.droppable_prefix().collect::<Vec<_>>(), [5, 6]);
    liveness.dropped(6);
    liveness.dropped(5);
    assert_eq!(liveness.droppable_prefix().collect::<Vec<_>>(), [6]);
    assert_eq!(liveness.oldest_live(), Some(7));
}
