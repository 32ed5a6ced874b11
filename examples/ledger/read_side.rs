//! The table of balances, and the projection's place in the journal beside it.
//!
//! Each batch is one transaction: the rows and the offset behind the batch. A row is changed by adding to it, so an
//! event that came twice would show; none does, because either both are there after a crash or neither.

use crate::account::{AccountEvent, ArchivedAccountEvent};
use mainspring_journal::projection::{Handler, HandlerError, OffsetStore, OffsetStoreError};
use mainspring_journal::query::{Batch, Offset};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The name under which the offset is kept.
pub const PROJECTION: &str = "balances";

/// The database. Clones share it: the handler, the offset store, and whoever asks.
#[derive(Clone)]
pub struct ReadSide {
    connection: Arc<Mutex<Connection>>,
    /// How many batches were begun, and in which of them the process ends.
    begun: u64,
    abort_in_batch: Option<u64>,
}

/// An account as the table has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub id: u64,
    pub cents: u64,
    pub deposits: u64,
}

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS balances (
        id INTEGER PRIMARY KEY, cents INTEGER NOT NULL, deposits INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS offsets (projection TEXT PRIMARY KEY, place TEXT NOT NULL);";

const ADD: &str = "
    INSERT INTO balances (id, cents, deposits) VALUES (?1, ?2, 1)
    ON CONFLICT (id) DO UPDATE SET cents = cents + excluded.cents, deposits = deposits + 1";

const KEEP_OFFSET: &str = "INSERT OR REPLACE INTO offsets (projection, place) VALUES (?1, ?2)";

impl ReadSide {
    pub fn open(path: &Path, abort_in_batch: Option<u64>) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(TABLES)?;
        Ok(ReadSide { connection: Arc::new(Mutex::new(connection)), begun: 0, abort_in_batch })
    }

    /// The accounts, richest first.
    pub fn rows(&self) -> rusqlite::Result<Vec<Row>> {
        let connection = self.connection();
        let sql = "SELECT id, cents, deposits FROM balances ORDER BY cents DESC, id";
        let mut statement = connection.prepare(sql)?;
        let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
        let rows = statement.query_map([], |row| {
            Ok(Row { id: number(row, 0)?, cents: number(row, 1)?, deposits: number(row, 2)? })
        })?;
        rows.collect()
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for ReadSide {
    fn handle(&mut self, batch: &Batch) -> Result<(), HandlerError> {
        self.begun += 1;
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        add(&transaction, batch)?;
        if self.abort_in_batch == Some(self.begun) {
            std::process::abort();
        }
        transaction.execute(KEEP_OFFSET, params![PROJECTION, batch.offset().to_string()])?;
        Ok(transaction.commit()?)
    }

    fn clear(&mut self) -> Result<(), HandlerError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM balances", [])?;
        transaction.execute("DELETE FROM offsets WHERE projection = ?1", [PROJECTION])?;
        Ok(transaction.commit()?)
    }
}

fn add(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), HandlerError> {
    let mut statement = transaction.prepare_cached(ADD)?;
    for event in batch.events() {
        let id = event.entity_id().as_number().ok_or("the id of an account is a number")?;
        let mut cents = 0;
        event.read::<AccountEvent>(&mut |event| {
            let ArchivedAccountEvent::Deposited(deposited) = event;
            cents += deposited.cents.to_native();
        })?;
        statement.execute(params![id.cast_signed(), cents.cast_signed()])?;
    }
    Ok(())
}

impl OffsetStore for ReadSide {
    fn load(&mut self, projection: &str) -> Result<Option<Offset>, OffsetStoreError> {
        let sql = "SELECT place FROM offsets WHERE projection = ?1";
        let place: Option<String> = self
            .connection()
            .query_row(sql, [projection], |row| row.get(0))
            .optional()
            .map_err(|error| OffsetStoreError::Other(Box::new(error)))?;
        let parsed = place.map(|place| place.parse()).transpose();
        parsed.map_err(|error| OffsetStoreError::Other(Box::new(error)))
    }

    /// The handler has stored the offsets behind its batches; this one changes what it has not.
    fn store(&mut self, projection: &str, offset: &Offset) -> Result<(), OffsetStoreError> {
        let stored = self.connection().execute(
            "INSERT INTO offsets (projection, place) VALUES (?1, ?2)
             ON CONFLICT (projection) DO UPDATE SET place = excluded.place WHERE place <> excluded.place",
            params![projection, offset.to_string()],
        );
        stored.map(|_| ()).map_err(|error| OffsetStoreError::Other(Box::new(error)))
    }
}
