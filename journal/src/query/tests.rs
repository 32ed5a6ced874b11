//! Queries over logs on a simulated disk, while they are written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use crate::format::segment_header::CommitMethod;
use crate::format::{BLOCK_BYTES, RecordKind};
use crate::log::recovery::{Expected, ReadError, SegmentReader};
use crate::log::{
    CoreLog, DeclaredEntity, DeclaredSchema, LogIdentity, LogSettings, NewRecord, SegmentFile,
};
use crate::testkit::SimulatedDisk;

pub(crate) const SEGMENT_BYTES: u64 = 12 * BLOCK_BYTES as u64;
const SHARDS: u32 = 4;

/// A log that is written in a test.
pub(crate) struct World {
    pub disk: SharedDisk,
    log: CoreLog,
    core: u32,
    durable: Arc<AtomicU64>,
    entities: Vec<(DeclaredEntity, u64)>,
    shard_sequences: [u64; SHARDS as usize],
    schema: DeclaredSchema,
    files: u64,
    pub now_ns: u64,
    /// Entity number and sequence of each event, in order.
    pub written: Vec<(usize, u64)>,
}

#[derive(Clone)]
pub(crate) struct SharedDisk(Arc<Mutex<SimulatedDisk>>);

impl SharedDisk {
    pub fn with<T>(&self, f: impl FnOnce(&mut SimulatedDisk) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SegmentReader for SharedDisk {
    fn files(&mut self) -> Result<Vec<SegmentFile>, ReadError> {
        self.with(|disk| disk.files())
    }

    fn length_bytes(&mut self, file: SegmentFile) -> Result<u64, ReadError> {
        self.with(|disk| disk.length_bytes(file))
    }

    fn read(&mut self, file: SegmentFile, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.with(|disk| disk.read(file, offset, bytes))
    }
}

fn expected(core: u32) -> Expected {
    Expected { system: "test".into(), core, shard_count: SHARDS }
}

impl World {
    pub fn new(core: u32) -> World {
        let identity = LogIdentity { system: "test".into(), log_id: 1, core, shard_count: SHARDS };
        let settings = LogSettings {
            segment_bytes: SEGMENT_BYTES,
            commit_method: CommitMethod::Simulated,
            ..LogSettings::default()
        };
        let entity = |number: usize| {
            let entity_type = if number.is_multiple_of(2) { "account" } else { "order" };
            let id = (number as u64).to_be_bytes();
            (DeclaredEntity::new(entity_type, &id).expect("short"), 0)
        };
        World {
            disk: SharedDisk(Arc::new(Mutex::new(SimulatedDisk::seeded(1)))),
            log: CoreLog::new(identity, settings),
            core,
            durable: Arc::default(),
            entities: (0..6).map(entity).collect(),
            shard_sequences: [0; SHARDS as usize],
            schema: DeclaredSchema::new("test.event", 3, 77).expect("short"),
            files: 0,
            now_ns: 0,
            written: Vec::new(),
        }
    }

    pub fn log(&self) -> Log {
        Log::new(expected(self.core), self.disk.clone(), Arc::clone(&self.durable))
    }

    /// Appends one event; its payload says which it is.
    pub fn append(&mut self, number: usize, payload_bytes: usize, tags: &[&str]) {
        while self.log.wanted_segments() > 0 {
            self.files += 1;
            let file = SegmentFile(self.files);
            self.disk.with(|disk| disk.create(file, SEGMENT_BYTES)).expect("there is room");
            self.log.add_segment(file);
        }
        let (entity, sequence) = &mut self.entities[number];
        *sequence += 1;
        let shard = number as u32 % SHARDS;
        let mut payload = sequence.to_le_bytes().to_vec();
        payload.resize(payload_bytes.max(8), number as u8);
        let mut records = Vec::new();
        let tags = tags.iter().map(|tag| (RecordKind::Tag, None, tag.as_bytes()));
        let event = (RecordKind::Event, Some(&self.schema), &payload[..]);
        for (kind, schema, payload) in std::iter::once(event).chain(tags) {
            self.shard_sequences[shard as usize] += 1;
            let shard_sequence = self.shard_sequences[shard as usize];
            let entity_sequence = *sequence;
            let (epoch, shard) = (1, shard);
            records.push(NewRecord {
                kind,
                schema,
                shard,
                entity_sequence,
                shard_sequence,
                epoch,
                payload,
            });
        }
        self.log.append(self.now_ns, entity, &records).expect("it is taken");
        self.written.push((number, *sequence));
    }

    /// Everything is written and synced.
    fn sync(&mut self) -> u64 {
        let mut lsn = self.log.durable().lsn;
        while let Some(write) = self.log.next_write(self.now_ns, 1_000 + self.now_ns / 1_000_000) {
            self.disk.with(|disk| {
                disk.write(write.frame, write.file, write.offset, &write.bytes).expect("in range");
                disk.sync(write.frame).expect("it works");
            });
            lsn = self.log.completed(write.frame).expect("in flight").lsn;
        }
        lsn
    }

    /// And said to be durable.
    pub fn commit(&mut self) {
        let lsn = self.sync();
        self.durable.store(lsn, Ordering::Release);
    }

    /// Some hundred events in many frames of several segments.
    pub fn filled(core: u32, seed: u64) -> World {
        let mut world = World::new(core);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..60 {
            for _ in 0..random.usize(1..12) {
                let number = random.usize(0..6);
                let tags: &[&str] = match random.u8(0..4) {
                    0 => &["red"],
                    1 => &["red", "large"],
                    _ => &[],
                };
                world.append(number, random.usize(8..900), tags);
            }
            world.now_ns += 1_000_000;
            world.commit();
            if random.u8(0..5) == 0 && world.log.mark_idle(world.now_ns + 5_000_000) {
                world.commit();
            }
        }
        world
    }
}

/// What an event says of itself.
pub(crate) fn who(event: &StoredEvent<'_>) -> (usize, u64) {
    let number = event.entity_id().as_number().expect("ids are numbers") as usize;
    assert_eq!(event.payload()[..8], event.sequence().to_le_bytes());
    assert!(event.payload()[8..].iter().all(|byte| usize::from(*byte) == number));
    assert!(event.payload().as_ptr().addr().is_multiple_of(16));
    let named = (event.name(), event.version(), event.fingerprint());
    assert_eq!(named, ("test.event", 3, 77));
    (number, event.sequence())
}

/// All that a current query gives, with the offset behind each.
fn all(
    logs: Vec<Log>,
    selection: Selection,
    from: &Offset,
    limits: ReadLimits,
) -> Vec<((usize, u64), Offset)> {
    let query = EventQuery::current(logs, selection, from).expect("the logs fit");
    let mut query = query.with_limits(limits);
    let (mut batch, mut found) = (Batch::new(), Vec::new());
    loop {
        let progress = query.read(&mut batch).expect("it can be read");
        assert!(batch.len() <= limits.events);
        found.extend(batch.events().map(|event| (who(&event), event.offset())));
        assert_eq!(*batch.offset(), query.offset());
        if progress == Progress::Ended {
            return found;
        }
    }
}

#[test]
fn every_event_comes_once_in_order_and_from_any_offset_the_rest() {
    for seed in 1..=6 {
        let world = World::filled(0, seed);
        assert!(world.files > 5, "several segments");
        for events in [1, 7, 1_000] {
            let limits = ReadLimits { events, payload_bytes: 3_000, read_bytes: 9_000 };
            let beginning = Offset::beginning();
            let found = all(vec![world.log()], Selection::all(), &beginning, limits);
            let written: Vec<_> = found.iter().map(|(who, _)| *who).collect();
            assert_eq!(written, world.written, "seed {seed}");
        }
        let found =
            all(vec![world.log()], Selection::all(), &Offset::beginning(), ReadLimits::default());
        for (number, (_, offset)) in found.iter().enumerate().step_by(11) {
            let stored: Offset = offset.to_string().parse().expect("it was written so");
            let rest = all(vec![world.log()], Selection::all(), &stored, ReadLimits::default());
            assert_eq!(rest, found[number + 1..], "seed {seed}, behind {number}");
        }
    }
}

#[test]
fn a_selection_gives_what_it_names_and_nothing_else() {
    let world = World::filled(0, 9);
    let of = |selection: Selection| -> Vec<(usize, u64)> {
        let limits = ReadLimits { events: 5, ..ReadLimits::default() };
        let found = all(vec![world.log()], selection, &Offset::beginning(), limits);
        found.into_iter().map(|(who, _)| who).collect()
    };
    let those = |takes: &dyn Fn(usize) -> bool| -> Vec<(usize, u64)> {
        world.written.iter().copied().filter(|(number, _)| takes(*number)).collect()
    };
    assert_eq!(of(Selection::all().of_type("account")), those(&|number| number % 2 == 0));
    assert_eq!(of(Selection::all().in_shards(1..3)), those(&|number| [1, 2, 5].contains(&number)));
    let one = Selection::all().of_entity("order", 3);
    assert_eq!(of(one), those(&|number| number == 3));
    assert_eq!(of(Selection::all().of_entity("account", 3)), []);
    let tagged = of(Selection::all().with_tag("large"));
    assert!(tagged.len() > 20 && tagged.len() < world.written.len() / 2);
    let red = of(Selection::all().with_tag("red"));
    assert!(tagged.iter().all(|event| red.contains(event)) && red.len() > tagged.len());
    assert_eq!(of(Selection::all().with_tag("larg")), []);
}

#[test]
fn an_event_has_the_tags_that_were_written_behind_it() {
    let mut world = World::new(0);
    world.append(0, 8, &["red", "large"]);
    world.append(0, 8, &[]);
    world.append(1, 8, &["blue"]);
    world.commit();
    let mut query =
        EventQuery::live(vec![world.log()], Selection::all(), &Offset::beginning()).expect("fits");
    let mut batch = Batch::new();
    assert_eq!(query.read(&mut batch).expect("readable"), Progress::CaughtUp);
    let tags: Vec<Vec<&str>> = batch.events().map(|event| event.tags().collect()).collect();
    assert_eq!(tags, [vec!["red", "large"], vec![], vec!["blue"]]);
    // A query that goes on behind the first event does not take its tags for anything.
    let behind = batch.events().next().expect("the first").offset();
    let rest = all(vec![world.log()], Selection::all(), &behind, ReadLimits::default());
    assert_eq!(rest.len(), 2);
}

#[test]
fn nothing_is_given_out_before_the_log_calls_it_durable() {
    let mut world = World::new(0);
    let mut live =
        EventQuery::live(vec![world.log()], Selection::all(), &Offset::beginning()).expect("fits");
    let mut batch = Batch::new();
    assert_eq!(live.read(&mut batch).expect("empty"), Progress::CaughtUp);
    for round in 1..200_u64 {
        world.append(0, 500, &[]);
        let lsn = world.sync();
        assert_eq!(live.read(&mut batch).expect("readable"), Progress::CaughtUp);
        assert!(batch.is_empty(), "round {round}: the disk holds it, the log does not say so");
        world.durable.store(lsn, Ordering::Release);
        let before = EventQuery::current(vec![world.log()], Selection::all(), &live.offset());
        assert_eq!(live.read(&mut batch).expect("readable"), Progress::CaughtUp);
        assert_eq!(batch.events().map(|event| who(&event)).collect::<Vec<_>>(), [(0, round)]);
        // A current query ends with what was durable when it was made.
        world.append(1, 500, &[]);
        world.commit();
        let mut current = before.expect("fits");
        assert_eq!(current.read(&mut batch).expect("readable"), Progress::Ended);
        assert_eq!(batch.events().map(|event| who(&event)).collect::<Vec<_>>(), [(0, round)]);
        live.read(&mut batch).expect("readable");
    }
}

#[test]
fn several_logs_are_read_side_by_side_with_one_offset() {
    let worlds = [World::filled(0, 20), World::filled(1, 21), World::new(2)];
    let logs = || worlds.iter().map(World::log).collect::<Vec<_>>();
    let limits = ReadLimits { events: 10, payload_bytes: 4_000, read_bytes: 20_000 };
    let found = all(logs(), Selection::all(), &Offset::beginning(), limits);
    assert_eq!(found.len(), worlds[0].written.len() + worlds[1].written.len());
    // They take turns: the second does not wait for the end of the first.
    let first_of_second = found.iter().position(|(_, offset)| offset.lsn(1) > 0);
    assert!(first_of_second.is_some_and(|place| place < 30), "{first_of_second:?}");
    for (number, (_, offset)) in found.iter().enumerate().step_by(37) {
        let rest = all(logs(), Selection::all(), offset, limits);
        assert_eq!(rest.len(), found.len() - number - 1, "behind {number}");
    }
    let foreign = Offset::beginning().with(9, 4_096);
    let refused = EventQuery::current(logs(), Selection::all(), &foreign);
    assert!(matches!(refused, Err(QueryError::NoLog { core: 9, .. })), "{refused:?}");
    let twice = vec![worlds[0].log(), worlds[0].log()];
    let refused = EventQuery::live(twice, Selection::all(), &Offset::beginning());
    assert!(matches!(refused, Err(QueryError::SameLog { core: 0 })), "{refused:?}");
}

#[test]
fn segments_that_were_given_back_are_no_gap_but_an_error() {
    let world = World::filled(0, 30);
    let found =
        all(vec![world.log()], Selection::all(), &Offset::beginning(), ReadLimits::default());
    let mut reading =
        EventQuery::live(vec![world.log()], Selection::all(), &Offset::beginning()).expect("fits");
    reading = reading.with_limits(ReadLimits { events: 5, ..ReadLimits::default() });
    reading.read(&mut Batch::new()).expect("readable");
    world.disk.with(|disk| {
        disk.remove(SegmentFile(1)).expect("it is there");
        disk.zero(SegmentFile(2), 0, SEGMENT_BYTES);
    });
    let mut batch = Batch::new();
    let early = &found[3].1;
    for mut query in [
        EventQuery::current(vec![world.log()], Selection::all(), early).expect("fits"),
        EventQuery::current(vec![world.log()], Selection::all(), &found[60].1).expect("fits"),
    ] {
        let error = query.read(&mut batch).expect_err("its segment is gone");
        let gone = matches!(error, QueryError::Log(CursorError::Gone { oldest_lsn, .. }) if oldest_lsn > 0);
        assert!(gone, "{error}");
    }
    // One that was at it learns so as well; what it has in memory is still good.
    let error = loop {
        match reading.read(&mut batch) {
            Ok(progress) => assert_eq!(progress, Progress::More),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, QueryError::Log(_)), "{error}");
    // From the beginning there is what is left.
    let left =
        all(vec![world.log()], Selection::all(), &Offset::beginning(), ReadLimits::default());
    assert!(left.len() > 50 && found.ends_with(&left));
}

#[test]
fn a_damaged_frame_is_an_error_behind_the_events_before_it() {
    let world = World::filled(0, 40);
    world.disk.with(|disk| disk.flip_bit(SegmentFile(3), 8 * (5 * BLOCK_BYTES as u64 + 100)));
    let query = EventQuery::current(vec![world.log()], Selection::all(), &Offset::beginning());
    let (mut query, mut batch, mut found) = (query.expect("fits"), Batch::new(), Vec::new());
    let error = loop {
        match query.read(&mut batch) {
            Ok(_) => found.extend(batch.events().map(|event| who(&event))),
            Err(error) => break error,
        }
    };
    let damaged = matches!(
        error,
        QueryError::Log(CursorError::Damaged { core: 0, file: SegmentFile(3), .. })
    );
    assert!(damaged, "{error}");
    assert!(found.len() > 10 && world.written.starts_with(&found));
    // It is where it was: when the copy is restored it goes on.
    world.disk.with(|disk| disk.flip_bit(SegmentFile(3), 8 * (5 * BLOCK_BYTES as u64 + 100)));
    let rest = all(vec![world.log()], Selection::all(), &query.offset(), ReadLimits::default());
    assert_eq!(found.len() + rest.len(), world.written.len());
}

#[test]
fn an_offset_beyond_the_log_is_refused() {
    let world = World::filled(0, 50);
    let beyond = Offset::beginning().with(0, world.durable.load(Ordering::Acquire) + 4_096);
    let mut query =
        EventQuery::live(vec![world.log()], Selection::all(), &beyond).expect("the logs fit");
    let error = query.read(&mut Batch::new()).expect_err("beyond");
    assert!(matches!(error, QueryError::Log(CursorError::Ahead { .. })), "{error}");
}

#[test]
fn a_log_of_another_system_is_refused() {
    let world = World::filled(0, 60);
    let foreign = Expected { system: "other".into(), ..expected(0) };
    let log = Log::new(foreign, world.disk.clone(), Arc::clone(&world.durable));
    let query = EventQuery::current(vec![log], Selection::all(), &Offset::beginning());
    let error = query.expect("fits").read(&mut Batch::new()).expect_err("foreign");
    assert!(error.to_string().contains("belongs to system test, not to other"), "{error}");
}

#[test]
fn a_query_says_how_far_it_is_behind() {
    let mut world = World::new(0);
    for _ in 0..10 {
        world.append(0, 100, &[]);
        world.now_ns += 1_000_000;
        world.commit();
    }
    let query = EventQuery::live(vec![world.log()], Selection::all(), &Offset::beginning());
    let mut query =
        query.expect("fits").with_limits(ReadLimits { events: 4, ..ReadLimits::default() });
    let mut batch = Batch::new();
    assert_eq!(query.read(&mut batch).expect("readable"), Progress::More);
    // The fourth frame was written at 1,004 ms; six more of one block each follow.
    let lag = query.lag(1_030);
    assert_eq!((lag.bytes.div_ceil(4_096), lag.time_ms), (6, 26));
    assert!((5..=7).contains(&lag.events), "{lag:?}");
    while query.read(&mut batch).expect("readable") == Progress::More {}
    assert_eq!(query.lag(1_030), Lag::default());
}
