//! Wakes a sleeping core, and costs a fence and a load while the core is awake.
//!
//! A core sleeps in one of two ways: directly in its own ring, or inside the executor while asynchronous work is
//! under way. Each way has a bell of its own, so a look at one bell can never use up the signal meant for the
//! other. The core's [`WakeFlag`] says which of them to ring, and to whom it falls to ring it.
//!
//! Promises: whoever publishes for a core and then calls [`CoreWaker::wake_after_publish`] is noticed, whatever the
//! core is doing and wherever either thread is preempted. Of all who publish during one sleep, one pays a system
//! call.
//!
//! Refuses: to say that the core has handled anything. A core may also wake for work it has already done.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::eventfd::EventFd;
use crate::ring::WakeFlag;

/// The core sleeps in its own ring.
pub(super) const PARKED_IN_RING: u32 = 1;
/// The core sleeps in the executor that runs its asynchronous work.
pub(super) const PARKED_IN_EXECUTOR: u32 = 2;

/// What other threads hold to wake one core. Shared by reference count with everyone who sends to it.
#[derive(Debug)]
pub struct CoreWaker {
    flag: WakeFlag,
    ring_bell: EventFd,
    executor_bell: EventFd,
    signals: AtomicU64,
}

impl CoreWaker {
    /// A waker for one core, which is taken to be awake.
    ///
    /// # Errors
    ///
    /// What the kernel says when it cannot give two descriptors: raise `ulimit -n`.
    pub fn new() -> io::Result<CoreWaker> {
        Ok(CoreWaker {
            flag: WakeFlag::new(),
            ring_bell: EventFd::new()?,
            executor_bell: EventFd::new()?,
            signals: AtomicU64::new(0),
        })
    }

    /// Wakes the core if it sleeps. To be called from any thread *after* the work has been published where the core
    /// looks for it, once per batch. Whether this call had to wake it.
    #[inline]
    pub fn wake_after_publish(&self) -> bool {
        match self.flag.should_wake() {
            0 => false,
            mode => {
                self.ring_the_bell(mode);
                true
            }
        }
    }

    /// How often a sender had to wake the core: one `write` each.
    pub fn signals(&self) -> u64 {
        self.signals.load(Ordering::Relaxed)
    }

    #[cold]
    fn ring_the_bell(&self, mode: u32) {
        let bell = if mode == PARKED_IN_EXECUTOR { &self.executor_bell } else { &self.ring_bell };
        bell.signal();
        self.signals.fetch_add(1, Ordering::Relaxed);
    }

    /// The core is about to sleep in `mode` and must now look at all its work once more.
    pub(super) fn prepare(&self, mode: u32) {
        self.flag.prepare(mode);
    }

    /// The core is awake again. Whether a sender has rung a bell for this sleep, or is about to.
    pub(super) fn cancel(&self) -> bool {
        self.flag.cancel()
    }

    /// The bell of a core that sleeps in its ring.
    pub(super) fn ring_bell(&self) -> &EventFd {
        &self.ring_bell
    }

    /// The bell of a core that sleeps in its executor.
    pub(super) fn executor_bell(&self) -> &EventFd {
        &self.executor_bell
    }
}

#[cfg(test)]
mod tests {
    use super::{CoreWaker, PARKED_IN_EXECUTOR, PARKED_IN_RING};

    #[test]
    fn an_awake_core_costs_no_system_call() {
        let waker = CoreWaker::new().expect("two descriptors are free");
        assert!(!waker.wake_after_publish());
        assert_eq!(waker.signals(), 0);
    }

    #[test]
    fn each_way_of_sleeping_has_its_own_bell() {
        let waker = CoreWaker::new().expect("two descriptors are free");

        waker.prepare(PARKED_IN_RING);
        assert!(waker.wake_after_publish());
        assert!(!waker.executor_bell().take(), "the executor's bell must stay silent");
        assert!(waker.ring_bell().take());
        assert!(waker.cancel(), "a sender took the flag");

        waker.prepare(PARKED_IN_EXECUTOR);
        assert!(waker.wake_after_publish());
        assert!(!waker.ring_bell().take(), "the ring's bell must stay silent");
        assert!(waker.executor_bell().take());
        assert!(waker.cancel(), "a sender took the flag");
    }

    #[test]
    fn one_sender_of_many_pays_for_a_sleep() {
        let waker = CoreWaker::new().expect("two descriptors are free");
        waker.prepare(PARKED_IN_RING);
        let winners = std::thread::scope(|scope| {
            let senders: Vec<_> =
                (0..4).map(|_| scope.spawn(|| waker.wake_after_publish())).collect();
            senders.into_iter().filter_map(|sender| sender.join().ok()).filter(|won| *won).count()
        });
        assert_eq!(winners, 1);
        assert_eq!(waker.signals(), 1);
        assert!(waker.cancel());
    }
}
