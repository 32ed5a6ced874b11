//! Deadlines of clients' futures: one thread per node, started when the first future needs it.
//!
//! A future has no timer of its own and must not depend on any executor's. This thread wakes it when its time is up.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// Names a deadline.
pub(super) type DeadlineKey = (Instant, u64);

#[derive(Default)]
struct State {
    waiting: BTreeMap<DeadlineKey, Waker>,
    next: u64,
    running: bool,
    closed: bool,
}

/// The deadlines of one node.
#[derive(Default)]
pub(super) struct Deadlines {
    state: Mutex<State>,
    changed: Condvar,
}

impl Deadlines {
    /// Wakes `waker` at `at`, or when the entry is removed never.
    pub fn insert(self: &Arc<Self>, at: Instant, waker: Waker) -> DeadlineKey {
        let mut state = self.lock();
        let key = (at, state.next);
        state.next += 1;
        let first = state.waiting.first_key_value().is_none_or(|(first, _)| key < *first);
        state.waiting.insert(key, waker);
        if !state.running {
            state.running = true;
            let deadlines = Arc::clone(self);
            let started = std::thread::Builder::new()
                .name("mainspring-deadlines".to_owned())
                .spawn(move || deadlines.run());
            state.running = started.is_ok();
        }
        drop(state);
        if first {
            self.changed.notify_one();
        }
        key
    }

    /// Forgets a deadline.
    pub fn remove(&self, key: DeadlineKey) {
        self.lock().waiting.remove(&key);
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            let next = state.waiting.first_key_value().map(|(key, _)| *key);
            match next {
                Some(key) if key.0 <= now => {
                    if let Some(waker) = state.waiting.remove(&key) {
                        drop(state);
                        waker.wake();
                        state = self.lock();
                    }
                }
                Some((at, _)) => {
                    let (woken, _) = self
                        .changed
                        .wait_timeout(state, at - now)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = woken;
                }
                None => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}
