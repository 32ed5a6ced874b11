//! What stands in the journals of earlier runs can be read.

use mainspring_journal::schema::{State, lock};

use super::shadow::Shadow;

#[test]
fn every_layout_that_a_journal_may_hold_is_read() -> Result<(), lock::LockError> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/shadows/events.lock");
    lock::check(path, &[Shadow::READABLE])
}
