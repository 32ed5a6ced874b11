//! What stands in the journals of earlier runs can be read.

use mainspring_journal::schema::{Events, State, lock};

use super::ledger::{Ledger, LedgerEvent};
use super::mark::{Mark, MarkEvent};
use super::order::{Order, OrderEvent};

#[test]
fn every_layout_that_a_journal_may_hold_is_read() -> Result<(), lock::LockError> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/orders/events.lock");
    let events = [OrderEvent::READABLE, LedgerEvent::READABLE, MarkEvent::READABLE];
    let states = [Order::READABLE, Ledger::READABLE, Mark::READABLE];
    lock::check(path, &[events, states].concat())
}
