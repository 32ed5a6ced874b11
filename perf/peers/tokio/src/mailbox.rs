//! The mailbox of an actor: an unbounded channel, and the loop that empties it.

use std::ops::ControlFlow;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where messages to an actor go.
pub type Address<M> = UnboundedSender<M>;
/// Where the actor finds them.
pub type Inbox<M> = UnboundedReceiver<M>;

/// After so many messages a sender of a long stream yields; the receivers' mailboxes then stay in the cache.
pub const STREAM_MESSAGES: u64 = 1_024;

/// So many messages are taken out of a mailbox at once at most.
const TAKEN_AT_ONCE: usize = 16;

/// A mailbox and its address.
pub fn mailbox<M>() -> (Address<M>, Inbox<M>) {
    unbounded_channel()
}

/// Sends a message. One to an actor that has ended is lost, as with every actor.
#[inline]
pub fn tell<M>(address: &Address<M>, message: M) {
    let _ = address.send(message);
}

/// Handles one message after the other until the handler breaks or nobody can send any more.
pub async fn handle_each<M>(mut inbox: Inbox<M>, mut handle: impl FnMut(M) -> ControlFlow<()>) {
    let mut taken = Vec::new();
    while inbox.recv_many(&mut taken, TAKEN_AT_ONCE).await > 0 {
        for message in taken.drain(..) {
            if handle(message).is_break() {
                return;
            }
        }
    }
}
