//! The rule of a change of owner, in one place: every store decides by it.
//!
//! Promises: of equal records, equal presence and equal requests the verdict is the same; the epoch is looked at first.

use super::{Epoch, Home, Ownership, StoreRefusal, StoreRequest};

/// What a record is to say after a change that was granted; the epoch is the store's to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant<H> {
    /// Who owns the shard from now on.
    pub owner: H,
    /// Who gave it.
    pub given_by: Option<H>,
}

/// Whether a change is granted, and none for a read, which changes nothing.
///
/// # Errors
/// Why it is refused.
pub(crate) fn judge<H: Home>(
    request: &StoreRequest<H>,
    current: Option<Ownership<H>>,
    is_present: impl Fn(H) -> bool,
) -> Result<Option<Grant<H>>, StoreRefusal> {
    let (expected, to, gives) = match *request {
        StoreRequest::Read { .. } => return Ok(None),
        StoreRequest::GiveAway { expected, to, .. } => (expected, to, true),
        StoreRequest::TakeOver { expected, to, .. } => (expected, to, false),
    };
    let nobody_to_give = gives && current.is_none();
    if nobody_to_give || current.map_or(Epoch::NONE, |record| record.epoch) != expected {
        return Err(StoreRefusal::EpochChanged);
    }
    if !gives && current.is_some_and(|record| is_present(record.owner)) {
        return Err(StoreRefusal::OwnerPresent);
    }
    if !is_present(to) {
        return Err(StoreRefusal::TargetAbsent);
    }
    let given_by = current.map(|record| record.owner).filter(|_| gives);
    Ok(Some(Grant { owner: to, given_by }))
}
