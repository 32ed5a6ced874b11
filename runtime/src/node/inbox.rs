//! An address of a client: actors tell it messages, a foreign thread reads them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::ask::Unpark;
use super::client::Place;
use super::mailbox::{Arrived, Mailbox};
use crate::address::ActorRef;
use crate::message::{ReadError, Reply};

/// Messages for a client, in order. Give [`Inbox::actor`] to the actors that are to tell it; dropping the inbox ends
/// the subscription, and what comes later is dropped. It does not need its client any more.
///
/// An inbox keeps up to 16 MiB; what comes beyond that is counted by [`Inbox::missed`].
pub struct Inbox<M: Reply> {
    /// Cores know the way back as long as it is held.
    _place: Arc<Place>,
    mailbox: Arc<Mailbox>,
    number: u32,
    actor: ActorRef<M>,
}

impl<M: Reply> Inbox<M> {
    pub(super) fn new(
        place: Arc<Place>,
        mailbox: Arc<Mailbox>,
        number: u32,
        actor: ActorRef<M>,
    ) -> Self {
        Inbox { _place: place, mailbox, number, actor }
    }

    /// The reference that actors tell messages to.
    pub fn actor(&self) -> ActorRef<M> {
        self.actor
    }

    /// The next message, if one has come.
    ///
    /// # Errors
    /// [`ReadError`] when the message cannot be read back into a value.
    pub fn try_next(&self) -> Result<Option<M>, ReadError> {
        match self.mailbox.next_message(self.number, None) {
            Some(message) => self.read(&message).map(Some),
            None => Ok(None),
        }
    }

    /// Waits for the next message, in any executor.
    ///
    /// # Errors
    /// [`ReadError`] when the message cannot be read back into a value.
    pub async fn next(&self) -> Result<M, ReadError> {
        let message =
            poll_fn(|cx| match self.mailbox.next_message(self.number, Some(cx.waker())) {
                Some(message) => Poll::Ready(message),
                None => Poll::Pending,
            })
            .await;
        self.read(&message)
    }

    /// Blocks this thread until a message has come, at most for `patience`.
    ///
    /// # Errors
    /// [`ReadError`] when the message cannot be read back into a value.
    pub fn wait(&self, patience: Duration) -> Result<Option<M>, ReadError> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let end = Instant::now() + patience;
        loop {
            if let Some(message) = self.mailbox.next_message(self.number, Some(&waker)) {
                return self.read(&message).map(Some);
            }
            let now = Instant::now();
            if now >= end {
                return Ok(None);
            }
            std::thread::park_timeout(end - now);
        }
    }

    /// Messages that came when there was no room.
    pub fn missed(&self) -> u64 {
        self.mailbox.missed(self.number)
    }

    fn read(&self, message: &Arrived) -> Result<M, ReadError> {
        message.read(self.actor)
    }
}

impl<M: Reply> Drop for Inbox<M> {
    fn drop(&mut self) {
        self.mailbox.close_inbox(self.number);
    }
}
