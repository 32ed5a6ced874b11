//! The futures of one core, polled by hand and woken from many threads.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

use super::TaskSet;
use crate::driver::waker::{CoreWaker, PARKED_IN_RING};

fn a_set() -> (TaskSet, Arc<CoreWaker>) {
    let core = Arc::new(CoreWaker::new().expect("descriptors are free"));
    (TaskSet::new(core.clone()), core)
}

fn run_all(set: &mut TaskSet) -> usize {
    std::iter::from_fn(|| set.run_one().then_some(())).count()
}

struct CountsDrops(Rc<Cell<u32>>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A future that leaves its waker in `left` and never ends.
fn leaves_its_waker(left: &Rc<RefCell<Vec<Waker>>>) -> super::CoreTask {
    let left = left.clone();
    Box::pin(poll_fn(move |context| {
        left.borrow_mut().push(context.waker().clone());
        Poll::Pending
    }))
}

#[test]
fn a_future_counts_as_running_until_it_has_finished() {
    let (mut set, _core) = a_set();
    set.start(Box::pin(futures_lite::future::yield_now()));
    assert_eq!(set.running(), 1);
    assert!(set.run_one(), "it wants its first poll");
    assert_eq!(set.running(), 1, "it yielded");
    assert!(set.has_ready(), "and woke itself");
    assert!(set.run_one());
    assert_eq!((set.running(), set.has_ready()), (0, false));
    assert!(!set.run_one());
}

#[test]
fn futures_are_polled_in_the_order_in_which_they_were_woken() {
    let (mut set, _core) = a_set();
    let (wakers, order) =
        (Rc::new(RefCell::new(Vec::<Waker>::new())), Rc::new(RefCell::new(Vec::new())));
    for me in 0..4 {
        let (wakers, order) = (wakers.clone(), order.clone());
        set.start(Box::pin(poll_fn(move |context| {
            order.borrow_mut().push(me);
            if wakers.borrow().len() < 4 {
                wakers.borrow_mut().push(context.waker().clone());
            }
            Poll::Pending
        })));
    }
    run_all(&mut set);
    order.borrow_mut().clear();
    for me in [2, 0, 2, 3, 1, 0] {
        wakers.borrow()[me].wake_by_ref();
    }
    assert_eq!(run_all(&mut set), 4, "waking one twice polls it once");
    assert_eq!(*order.borrow(), [2, 0, 3, 1]);
}

#[test]
fn a_future_that_panics_ends_alone_and_is_counted() {
    let (mut set, _core) = a_set();
    set.start(Box::pin(async { panic!("in a future") }));
    set.start(Box::pin(std::future::pending()));
    run_all(&mut set);
    assert_eq!((set.running(), set.panicked()), (1, 1));
}

#[test]
fn a_late_wake_of_a_future_that_has_finished_does_not_poll_its_successor_out_of_turn() {
    let (mut set, _core) = a_set();
    let left = Rc::new(RefCell::new(Vec::new()));
    let leaves = left.clone();
    set.start(Box::pin(poll_fn(move |context| {
        leaves.borrow_mut().push(context.waker().clone());
        Poll::Ready(())
    })));
    run_all(&mut set);
    let polls = Rc::new(Cell::new(0));
    let counts = polls.clone();
    set.start(Box::pin(poll_fn(move |_| {
        counts.set(counts.get() + 1);
        Poll::<()>::Pending
    })));
    run_all(&mut set);
    left.borrow()[0].wake_by_ref();
    run_all(&mut set);
    assert_eq!(polls.get(), 1);
}

#[test]
fn dropping_all_drops_every_future_at_once_and_late_wakes_touch_nothing() {
    let (mut set, _core) = a_set();
    let (drops, left) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
    for _ in 0..3 {
        let (held, inner) = (CountsDrops(drops.clone()), leaves_its_waker(&left));
        set.start(Box::pin(async move {
            let _held = held;
            inner.await;
        }));
    }
    run_all(&mut set);
    left.borrow()[0].wake_by_ref();
    set.drop_all();
    assert_eq!((drops.get(), set.running()), (3, 0));
    left.borrow()[1].wake_by_ref();
    run_all(&mut set);
    drop(set);
    left.borrow()[2].wake_by_ref();
}

#[test]
fn what_is_listed_when_the_core_goes_is_freed_and_nothing_is_listed_later() {
    let (mut set, core) = a_set();
    let left = Rc::new(RefCell::new(Vec::new()));
    set.start(leaves_its_waker(&left));
    set.start(leaves_its_waker(&left));
    run_all(&mut set);
    left.borrow()[0].wake_by_ref();
    drop(set);
    left.borrow()[1].wake_by_ref();
    left.borrow_mut().clear();
    assert_eq!(
        Arc::strong_count(&core),
        1,
        "no waker and no list is left to hold the core's waker"
    );
}

#[test]
fn a_wake_from_another_thread_wakes_a_sleeping_core() {
    let (mut set, core) = a_set();
    let left = Rc::new(RefCell::new(Vec::new()));
    set.start(leaves_its_waker(&left));
    run_all(&mut set);
    core.prepare(PARKED_IN_RING);
    assert!(!set.has_ready());
    let waker = left.borrow()[0].clone();
    std::thread::spawn(move || waker.wake()).join().expect("waking does not panic");
    assert!(core.cancel(), "the flag was taken");
    assert!(core.ring_bell().take(), "and the bell rung");
    assert!(set.has_ready());
}

#[test]
fn no_wake_of_many_threads_is_lost() {
    const FUTURES: usize = 8;
    const WAKES: u64 = 5_000;
    let (mut set, _core) = a_set();
    let given: Arc<[AtomicU64]> = (0..FUTURES).map(|_| AtomicU64::new(0)).collect();
    let wakers = Rc::new(RefCell::new(Vec::new()));
    for me in 0..FUTURES {
        let (given, wakers) = (given.clone(), wakers.clone());
        set.start(Box::pin(poll_fn(move |context| {
            if wakers.borrow().len() == me {
                wakers.borrow_mut().push(context.waker().clone());
            }
            // Every value given before a wake-up must be seen by the poll that follows it.
            if given[me].load(Ordering::Relaxed) == 3 * WAKES {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })));
    }
    run_all(&mut set);
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (given, wakers) = (given.clone(), wakers.borrow().clone());
            std::thread::spawn(move || {
                for _ in 0..WAKES {
                    for me in 0..FUTURES {
                        given[me].fetch_add(1, Ordering::Relaxed);
                        wakers[me].wake_by_ref();
                    }
                }
            })
        })
        .collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        run_all(&mut set);
    }
    for thread in threads {
        thread.join().expect("waking does not panic");
    }
    run_all(&mut set);
    assert_eq!(set.running(), 0, "the last wake-up of each future was seen");
}
