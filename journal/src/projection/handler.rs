//! What a projection does with events.

use crate::query::Batch;

/// Why a handler has not taken a batch.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// Makes a read side of events.
///
/// A batch may come again: after a failure, and after a crash before its offset was stored. A handler either does no
/// harm then, for example because it keeps the sequence of each entity's last event, or it stores the batch's offset
/// in the transaction in which it takes the batch.
pub trait Handler {
    /// Takes a batch, as a whole or not at all. It is never empty.
    ///
    /// # Errors
    /// Whatever failed. The same batch comes again.
    fn handle(&mut self, batch: &Batch) -> Result<(), HandlerError>;

    /// Everything comes from the beginning: what was made of earlier events is to be removed. Also called before the
    /// first event of all.
    ///
    /// # Errors
    /// Whatever failed. It is called again.
    fn clear(&mut self) -> Result<(), HandlerError>;
}
