//! What stands in the journals of earlier runs can be read.

use mainspring_journal::schema::{Events, State, lock};

use super::account::{Account, AccountEvent};

#[test]
fn every_layout_that_a_journal_may_hold_is_read() -> Result<(), lock::LockError> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ledger/events.lock");
    lock::check(path, &[AccountEvent::READABLE, Account::READABLE])
}
