//! The asynchronous work of one core: futures that the pump polls between sweeps.
//!
//! Promises: a future is polled on the core's own thread, after any thread has woken it, in the order of wake-ups.
//! Waking one is lock-free, costs a system call only if the core sleeps, and is harmless when the future or the
//! core has gone. A future that panics ends alone and is counted. [`TaskSet::drop_all`] drops every future where it
//! stands.
//!
//! Refuses: to bound the number of futures. Whoever starts them does.
//!
//! Invariants: a [`TaskWaker`] stands in the ready list at most once, so the list is never longer than there are
//! wakers. A task's place is the index its waker names as long as the place holds that very waker.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::waker::CoreWaker;

/// A piece of asynchronous work. It delivers its result by itself.
pub type CoreTask = Pin<Box<dyn Future<Output = ()>>>;

/// The futures of one core.
pub(super) struct TaskSet {
    places: Vec<Option<Task>>,
    vacant: Vec<usize>,
    /// Woken, in order, and not polled yet.
    due: VecDeque<Arc<TaskWaker>>,
    ready: Arc<ReadyList>,
    panicked: u64,
}

struct Task {
    future: CoreTask,
    waker: Arc<TaskWaker>,
}

impl TaskSet {
    pub(super) fn new(core: Arc<CoreWaker>) -> TaskSet {
        let ready = Arc::new(ReadyList { newest: AtomicPtr::new(ptr::null_mut()), core });
        TaskSet { places: Vec::new(), vacant: Vec::new(), due: VecDeque::new(), ready, panicked: 0 }
    }

    /// Takes a future in. It is polled for the first time by the next [`run_one`](Self::run_one) that reaches it.
    pub(super) fn start(&mut self, future: CoreTask) {
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        let (listed, next) = (AtomicBool::new(true), AtomicPtr::new(ptr::null_mut()));
        let waker = Arc::new(TaskWaker { place, listed, next, ready: self.ready.clone() });
        self.due.push_back(waker.clone());
        self.places[place] = Some(Task { future, waker });
    }

    /// Futures under way.
    #[inline]
    pub(super) fn running(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    /// Futures that panicked so far.
    pub(super) fn panicked(&self) -> u64 {
        self.panicked
    }

    /// Whether a future wants to be polled.
    #[inline]
    pub(super) fn has_ready(&self) -> bool {
        !self.due.is_empty() || !self.ready.is_empty()
    }

    /// Polls the future that has waited longest. Whether there was one.
    pub(super) fn run_one(&mut self) -> bool {
        if self.due.is_empty() {
            self.ready.take(&mut self.due);
        }
        let Some(waker) = self.due.pop_front() else { return false };
        // From here on a wake-up lists it again: it may come while the future is being polled.
        waker.listed.swap(false, Ordering::AcqRel);
        let place = waker.place;
        let at_home = |task: &&mut Option<Task>| {
            task.as_ref().is_some_and(|task| Arc::ptr_eq(&task.waker, &waker))
        };
        let Some(home) = self.places.get_mut(place).filter(at_home) else { return true };
        let Some(mut task) = home.take() else { return true };
        let as_waker = Waker::from(waker);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            task.future.as_mut().poll(&mut Context::from_waker(&as_waker))
        }));
        match polled {
            Ok(Poll::Pending) => self.places[place] = Some(task),
            Ok(Poll::Ready(())) => self.end(place, task),
            Err(_) => {
                self.panicked += 1;
                self.end(place, task);
            }
        }
        true
    }

    /// Drops every future, here and now.
    pub(super) fn drop_all(&mut self) {
        for place in 0..self.places.len() {
            if let Some(task) = self.places[place].take() {
                self.end(place, task);
            }
        }
    }

    fn end(&mut self, place: usize, task: Task) {
        self.vacant.push(place);
        // A destructor of user code may panic as well.
        if catch_unwind(AssertUnwindSafe(|| drop(task))).is_err() {
            self.panicked += 1;
        }
    }
}

impl Drop for TaskSet {
    fn drop(&mut self) {
        self.drop_all();
        // What is listed holds the list, which holds what is listed.
        self.ready.close();
    }
}

/// What wakes one future, from any thread.
struct TaskWaker {
    place: usize,
    /// Whether it stands in the ready list, or is being taken from it.
    listed: AtomicBool,
    /// The one listed before it, while it is listed.
    next: AtomicPtr<TaskWaker>,
    ready: Arc<ReadyList>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Even if it is listed already, the exchange hands what this thread wrote before to whoever polls next.
        if !self.listed.swap(true, Ordering::AcqRel) {
            self.ready.add(self.clone());
            self.ready.core.wake_after_publish();
        }
    }
}

/// The futures that have been woken, newest first: a stack that any thread adds to and the core takes whole.
struct ReadyList {
    newest: AtomicPtr<TaskWaker>,
    core: Arc<CoreWaker>,
}

/// Stands in the list's place when the core has gone. No waker has this address: they are aligned.
const CLOSED: *mut TaskWaker = ptr::without_provenance_mut(1);

impl ReadyList {
    fn is_empty(&self) -> bool {
        self.newest.load(Ordering::Acquire).is_null()
    }

    /// The caller has just set the waker's mark, so it stands in no list.
    fn add(&self, waker: Arc<TaskWaker>) {
        let mut newest = self.newest.load(Ordering::Relaxed);
        while newest != CLOSED {
            // Nobody else touches `next` of a waker whose mark the caller has set and which is not in the list yet.
            waker.next.store(newest, Ordering::Relaxed);
            let added = Arc::as_ptr(&waker).cast_mut();
            match self.newest.compare_exchange_weak(
                newest,
                added,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    // The list owns this count from now on.
                    std::mem::forget(waker);
                    return;
                }
                Err(now) => newest = now,
            }
        }
    }

    /// Takes everything, oldest first, in front of what is there.
    fn take(&self, into: &mut VecDeque<Arc<TaskWaker>>) {
        self.take_and_leave(ptr::null_mut(), into);
    }

    /// Lets go of everything and takes no more.
    fn close(&self) {
        self.take_and_leave(CLOSED, &mut VecDeque::new());
    }

    fn take_and_leave(&self, left: *mut TaskWaker, into: &mut VecDeque<Arc<TaskWaker>>) {
        let mut newest = self.newest.swap(left, Ordering::Acquire);
        while !newest.is_null() && newest != CLOSED {
            // SAFETY: `add` forgot one count of the waker at this address and the list was the only one to know; the
            // exchange above took the whole list, so the count is ours alone.
            let waker = unsafe { Arc::from_raw(newest.cast_const()) };
            newest = waker.next.load(Ordering::Relaxed);
            into.push_front(waker);
        }
    }
}

#[cfg(test)]
#[path = "tasks_tests.rs"]
mod tests;
