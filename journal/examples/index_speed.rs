//! What the index of a core log costs: per record that is appended, per segment that is sealed, and per entity when a
//! log is opened. Prints one line per figure: the fastest round and the median of all, in CPU time of the thread, so
//! that other programs on the machine disturb only the caches.
//!
//! ```text
//! cargo run --release -p mainspring-journal --example index_speed
//! ```

use std::hint::black_box;

use mainspring_journal::format::{RecordHeader, RecordKind};
use mainspring_journal::index::{
    Checkpoint, EntityTable, Footer, FrameEnd, IndexError, IndexedSegment, NewCheckpoint,
    SegmentIndex, merge,
};
use mainspring_journal::log::SegmentFile;

const LOG_ID: u128 = 1;
const SEGMENT_BYTES: u64 = 64 << 20;
/// An event of 100 bytes with its header.
const RECORD_BYTES: u32 = 160;
const RECORDS: usize = 400_000;
const ENTITIES: usize = 10_000;
const CHECKPOINT_ENTITIES: usize = 1_000_000;
const ROUNDS: usize = 11;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut random = fastrand::Rng::with_seed(1);
    let hashes: Vec<u64> = (0..ENTITIES).map(|_| random.u64(..)).collect();
    let records: Vec<RecordHeader> =
        (0..RECORDS as u64).map(|n| event(hashes[random.usize(0..ENTITIES)], n)).collect();
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        let mut table = EntityTable::default();
        let mut index = index(1);
        let start = CpuTime::now();
        let apply_and_add = |(place, header)| add(&mut table, &mut index, place, header);
        records.iter().enumerate().try_for_each(apply_and_add)?;
        figures.per("table and segment index, a record (ns)", start, RECORDS);

        let mut alone = self::index(1);
        let start = CpuTime::now();
        for (place, header) in records.iter().enumerate() {
            alone.add(header, offset_of(place, RECORD_BYTES), RECORD_BYTES, 0)?;
        }
        figures.per("segment index alone, a record (ns)", start, RECORDS);

        let start = CpuTime::now();
        let footer = index.finish(end());
        let bytes = footer.encode();
        figures.per("sealing a segment (ns a record)", start, RECORDS);
        let start = CpuTime::now();
        black_box(Footer::decode(&bytes)?);
        figures.per("reading a whole footer (ns a record)", start, RECORDS);
    }
    let (checkpoint, hashes) = checkpoint(&mut random, &mut figures)?;
    for _ in 0..ROUNDS {
        let start = CpuTime::now();
        let loaded = Checkpoint::decode(&checkpoint)?;
        figures.per("loading a checkpoint of 1 M entities (us)", start, 1_000);
        let start = CpuTime::now();
        let found = hashes.iter().filter(|hash| loaded.entities.get(**hash).is_some()).count();
        figures.per("looking an entity up among 1 M (ns)", start, found);
    }
    figures.print(checkpoint.len());
    Ok(())
}

/// A checkpoint of many entities, each with one record, and their hashes.
fn checkpoint(
    random: &mut fastrand::Rng,
    figures: &mut Figures,
) -> Result<(Vec<u8>, Vec<u64>), IndexError> {
    let mut index = index(1);
    let mut hashes = Vec::new();
    for place in 0..CHECKPOINT_ENTITIES {
        let header = event(random.u64(..), 1);
        hashes.push(header.entity);
        index.add(&header, offset_of(place, 48), 48, 0)?;
    }
    let footer = index.finish(end()).encode();
    random.shuffle(&mut hashes);
    let mut bytes = Vec::new();
    for _ in 0..ROUNDS {
        bytes.clear();
        let mut input = footer.as_slice();
        let new = NewCheckpoint { log_id: LOG_ID, generation: 1, first_segment: 1 };
        let start = CpuTime::now();
        // The footer was just made, and memory takes everything.
        let merged = merge(&new, None, &mut [&mut input], &mut bytes);
        figures.per("merging a checkpoint (ns an entity)", start, CHECKPOINT_ENTITIES);
        debug_assert!(merged.is_ok());
    }
    Ok((bytes, hashes))
}

fn add(
    table: &mut EntityTable,
    index: &mut SegmentIndex,
    place: usize,
    header: &RecordHeader,
) -> Result<(), IndexError> {
    let previous = table.apply(header, 1)?;
    index.add(header, offset_of(place, RECORD_BYTES), RECORD_BYTES, previous)
}

fn event(entity: u64, sequence: u64) -> RecordHeader {
    RecordHeader {
        kind: RecordKind::Event,
        schema: 1,
        shard: (entity % 64) as u32,
        entity,
        entity_sequence: sequence,
        shard_sequence: sequence,
        epoch: 1,
    }
}

fn offset_of(place: usize, bytes: u32) -> u64 {
    4096 + 64 + place as u64 * u64::from(bytes)
}

fn index(segment_id: u64) -> SegmentIndex {
    let file = SegmentFile(segment_id);
    SegmentIndex::new(IndexedSegment {
        log_id: LOG_ID,
        segment_id,
        file,
        segment_bytes: SEGMENT_BYTES,
    })
}

fn end() -> FrameEnd {
    let (last_frame, last_chain) = (1, 1);
    let (began_at_ms, written_at_ms, end_offset) = (1, 1, SEGMENT_BYTES);
    FrameEnd { last_frame, last_chain, began_at_ms, written_at_ms, end_offset }
}

/// How long this thread has been on a CPU.
struct CpuTime(u64);

impl CpuTime {
    /// The first field of `/proc/thread-self/schedstat` (Linux, Documentation/scheduler/sched-stats): nanoseconds. 0
    /// where the kernel does not count them.
    fn now() -> CpuTime {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        CpuTime(text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
    }

    fn elapsed_ns(&self) -> u64 {
        CpuTime::now().0.saturating_sub(self.0)
    }
}

/// All rounds of every figure, in the order in which they came first.
#[derive(Default)]
struct Figures {
    rounds: Vec<(&'static str, Vec<f64>)>,
}

impl Figures {
    /// Nanoseconds since `start` for each of so many things.
    fn per(&mut self, name: &'static str, start: CpuTime, things: usize) {
        let value = start.elapsed_ns() as f64 / things.max(1) as f64;
        match self.rounds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.rounds.push((name, vec![value])),
        }
    }

    fn print(mut self, checkpoint_bytes: usize) {
        for (name, values) in &mut self.rounds {
            values.sort_unstable_by(f64::total_cmp);
            println!("{name:<45} {:>10.1} {:>10.1}", values[0], values[values.len() / 2]);
        }
        println!("{:<45} {:>10}", "bytes of the checkpoint", checkpoint_bytes);
    }
}
