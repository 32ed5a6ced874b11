//! RocksDB as a contestant: events under the key of entity and sequence, one write batch a commit.
//!
//! Promise: a batch is written to the log with `sync`, so it is on the device when the write returns.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use mainspring_perf_contest::entrant::{self, Implementation};
use mainspring_perf_contest::event::{self, Event, STREAM_ENTITIES};
use mainspring_perf_contest::event_store::{self, EventStore};
use rocksdb::{
    DB, DBCompressionType, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};

const PROGRAMS: [Implementation; 3] = [
    ("journal-append", event_store::append::<RocksDb>),
    ("journal-stream", event_store::stream::<RocksDb>),
    ("journal-recover", event_store::recover::<RocksDb>),
];

fn main() -> ExitCode {
    entrant::main(&PROGRAMS)
}

struct RocksDb {
    database: DB,
    synced: WriteOptions,
}

const READ_AHEAD_BYTES: usize = 2 << 20;

impl EventStore for RocksDb {
    type Error = rocksdb::Error;
    const STREAM_BATCH: u64 = STREAM_ENTITIES;

    fn open(folder: &Path) -> Result<Self, rocksdb::Error> {
        let mut options = Options::default();
        options.create_if_missing(true);
        // One thread writes.
        options.set_allow_concurrent_memtable_write(false);
        options.set_compression_type(DBCompressionType::None);
        let database = DB::open(&options, folder.join("events"))?;
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(RocksDb { database, synced })
    }

    fn append(&mut self, batch: &[Event]) -> Result<(), rocksdb::Error> {
        let mut write = WriteBatch::default();
        for event in batch {
            write.put(event.key(), event.payload);
        }
        self.database.write_opt(write, &self.synced)
    }

    fn settle(&mut self) -> Result<(), rocksdb::Error> {
        self.database.flush()
    }

    fn read_all(&mut self, each: &mut dyn FnMut(u64, u64, &[u8])) -> Result<(), rocksdb::Error> {
        let mut read = ReadOptions::default();
        read.set_readahead_size(READ_AHEAD_BYTES);
        for entry in self.database.iterator_opt(IteratorMode::Start, read) {
            let (key, payload) = entry?;
            if let Some((entity, sequence)) = event::of_key(&key) {
                each(entity, sequence, &payload);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_comes_to_its_sum() {
        entrant::check(&PROGRAMS).expect("the sums are right");
    }
}
