//! A client's question: a plain future, or a blocking wait.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use super::client::Place;
use super::deadlines::{DeadlineKey, Deadlines};
use super::error::ClientError;
use super::mailbox::{Arrived, Found, Mailbox};
use crate::address::ActorRef;
use crate::message::Reply;

/// Looks at the mailbox before the thread sleeps.
const SPINS: u32 = 200;

/// A question of a client, under way. It is a future for any executor; [`Ask::wait`] blocks the thread instead.
/// Dropping it gives the answer up.
#[must_use = "an ask is awaited, or waited for"]
pub struct Ask<R: Reply> {
    state: State,
    reply_to: ActorRef<R>,
    answer: PhantomData<fn() -> R>,
}

enum State {
    Refused(Option<ClientError>),
    Waiting(Waiting),
}

struct Waiting {
    /// Cores know the way back as long as it is held.
    _place: Arc<Place>,
    mailbox: Arc<Mailbox>,
    deadlines: Arc<Deadlines>,
    number: u32,
    deadline: Instant,
    registered: Option<DeadlineKey>,
    over: bool,
}

impl<R: Reply> Ask<R> {
    pub(super) fn refused(error: ClientError) -> Self {
        let reply_to = ActorRef::from_words(0, 0);
        Ask { state: State::Refused(Some(error)), reply_to, answer: PhantomData }
    }

    pub(super) fn waiting(
        place: Arc<Place>,
        mailbox: Arc<Mailbox>,
        deadlines: Arc<Deadlines>,
        number: u32,
        deadline: Instant,
        reply_to: ActorRef<R>,
    ) -> Self {
        let waiting = Waiting {
            _place: place,
            mailbox,
            deadlines,
            number,
            deadline,
            registered: None,
            over: false,
        };
        Ask { state: State::Waiting(waiting), reply_to, answer: PhantomData }
    }

    /// Blocks this thread until the answer has come or the deadline has passed. Not on a core's thread: a turn asks
    /// through its context.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn wait(mut self) -> Result<R, ClientError> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let waiting = match &mut self.state {
            State::Refused(error) => return Err(error.take().unwrap_or(ClientError::Timeout)),
            State::Waiting(waiting) => waiting,
        };
        let mut spins = 0;
        loop {
            if let Found::Answer(answer) = waiting.mailbox.look(waiting.number, &waker) {
                waiting.over = true;
                return read(&answer, self.reply_to);
            }
            let now = Instant::now();
            if now >= waiting.deadline {
                return Err(ClientError::Timeout);
            }
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::park_timeout(waiting.deadline - now);
            }
        }
    }
}

fn read<R: Reply>(answer: &Arrived, reply_to: ActorRef<R>) -> Result<R, ClientError> {
    answer.read(reply_to).map_err(|_| ClientError::Unreadable)
}

/// Wakes a blocked thread.
pub(super) struct Unpark(pub Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

impl<R: Reply> Future for Ask<R> {
    type Output = Result<R, ClientError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let waiting = match &mut this.state {
            State::Refused(error) => {
                return Poll::Ready(Err(error.take().unwrap_or(ClientError::Timeout)));
            }
            State::Waiting(waiting) => waiting,
        };
        if waiting.over {
            return Poll::Ready(Err(ClientError::Timeout));
        }
        if let Found::Answer(answer) = waiting.mailbox.look(waiting.number, cx.waker()) {
            waiting.over = true;
            waiting.forget_deadline();
            return Poll::Ready(read(&answer, this.reply_to));
        }
        if Instant::now() >= waiting.deadline {
            waiting.give_up();
            return Poll::Ready(Err(ClientError::Timeout));
        }
        waiting.forget_deadline();
        let key = waiting.deadlines.insert(waiting.deadline, cx.waker().clone());
        waiting.registered = Some(key);
        Poll::Pending
    }
}

impl Waiting {
    fn forget_deadline(&mut self) {
        if let Some(key) = self.registered.take() {
            self.deadlines.remove(key);
        }
    }

    fn give_up(&mut self) {
        self.forget_deadline();
        if !self.over {
            self.over = true;
            self.mailbox.close_ask(self.number);
        }
    }
}

impl<R: Reply> Drop for Ask<R> {
    fn drop(&mut self) {
        if let State::Waiting(waiting) = &mut self.state {
            waiting.give_up();
        }
    }
}
