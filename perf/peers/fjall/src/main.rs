//! fjall as a contestant: events under the key of entity and sequence, one write batch a commit.
//!
//! Promise: a batch is committed with a persist mode that syncs fjall's journal before it returns.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use mainspring_perf_contest::entrant::{self, Implementation};
use mainspring_perf_contest::event::{self, Event, STREAM_ENTITIES};
use mainspring_perf_contest::event_store::{self, EventStore};

const PROGRAMS: [Implementation; 3] = [
    ("journal-append", event_store::append::<Fjall>),
    ("journal-stream", event_store::stream::<Fjall>),
    ("journal-recover", event_store::recover::<Fjall>),
];

fn main() -> ExitCode {
    entrant::main(&PROGRAMS)
}

struct Fjall {
    database: Database,
    events: Keyspace,
}

impl EventStore for Fjall {
    type Error = fjall::Error;
    const STREAM_BATCH: u64 = STREAM_ENTITIES;

    fn open(folder: &Path) -> fjall::Result<Self> {
        let database = Database::builder(folder.join("events")).open()?;
        let events = database.keyspace("events", KeyspaceCreateOptions::default)?;
        Ok(Fjall { database, events })
    }

    fn append(&mut self, batch: &[Event]) -> fjall::Result<()> {
        let mut write = self.database.batch().durability(Some(PersistMode::SyncAll));
        for event in batch {
            write.insert(&self.events, event.key(), event.payload);
        }
        write.commit()
    }

    fn settle(&mut self) -> fjall::Result<()> {
        // A memtable that is written out makes opening no faster.
        Ok(())
    }

    fn read_all(&mut self, each: &mut dyn FnMut(u64, u64, &[u8])) -> fjall::Result<()> {
        for entry in self.events.iter() {
            let (key, payload) = entry.into_inner()?;
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
