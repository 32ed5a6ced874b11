//! SQLite as a contestant: a table of events with an index over entity and sequence, one transaction a batch.
//!
//! Promise: WAL mode with `synchronous=FULL`, so a transaction is on the device when its commit returns.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use mainspring_perf_contest::entrant::{self, Implementation};
use mainspring_perf_contest::event::{Event, STREAM_ENTITIES};
use mainspring_perf_contest::event_store::{self, EventStore};
use rusqlite::{Connection, params};

const PROGRAMS: [Implementation; 3] = [
    ("journal-append", event_store::append::<Sqlite>),
    ("journal-stream", event_store::stream::<Sqlite>),
    ("journal-recover", event_store::recover::<Sqlite>),
];

fn main() -> ExitCode {
    entrant::main(&PROGRAMS)
}

struct Sqlite {
    connection: Connection,
}

const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 20000;
    CREATE TABLE IF NOT EXISTS event (entity INTEGER, sequence INTEGER, payload BLOB);
    CREATE UNIQUE INDEX IF NOT EXISTS place ON event (entity, sequence);
";
const APPEND: &str = "INSERT INTO event VALUES (?1, ?2, ?3)";
/// In the order of appending, which is that of each entity's sequence too.
const READ: &str = "SELECT entity, sequence, payload FROM event ORDER BY rowid";

impl EventStore for Sqlite {
    type Error = rusqlite::Error;
    const STREAM_BATCH: u64 = STREAM_ENTITIES;

    fn open(folder: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(folder.join("events.db"))?;
        connection.execute_batch(SETTINGS)?;
        Ok(Sqlite { connection })
    }

    fn append(&mut self, batch: &[Event]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut append = transaction.prepare_cached(APPEND)?;
            for Event { entity, sequence, payload } in batch {
                append.execute(params![*entity as i64, *sequence as i64, payload])?;
            }
        }
        transaction.commit()
    }

    fn settle(&mut self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    fn read_all(&mut self, each: &mut dyn FnMut(u64, u64, &[u8])) -> rusqlite::Result<()> {
        let mut read = self.connection.prepare_cached(READ)?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let (entity, sequence): (i64, i64) = (row.get(0)?, row.get(1)?);
            each(entity as u64, sequence as u64, row.get_ref(2)?.as_blob()?);
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
