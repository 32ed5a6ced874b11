//! The ways into a core: rings from other cores and from clients, and work that other threads inject.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::control::Parcel;
use super::outbound::Wake;
use super::{Core, KIND_CONTROL};
use crate::ring::Consumer;

/// Pieces of injected work that may wait for one core.
pub(crate) const INJECTED_LIMIT: usize = 65_536;

/// One way in.
pub(crate) struct Inbound {
    /// The core or client number of the sender.
    pub source: u16,
    pub user: Consumer,
    /// Clients have none.
    pub control: Option<Consumer>,
    /// The simulator lets frames of this ring come later.
    pub held: bool,
}

/// Work for a core from threads that have no ring to it: attaching clients, spawning, results of blocking calls.
pub(crate) struct Injector {
    pending: AtomicBool,
    work: Mutex<VecDeque<Parcel>>,
    wake: Arc<dyn Wake>,
}

impl Injector {
    pub fn new(wake: Arc<dyn Wake>) -> Self {
        Injector { pending: AtomicBool::new(false), work: Mutex::default(), wake }
    }

    /// Gives the core a piece of work; gives it back at the limit.
    pub fn inject(&self, work: Parcel) -> Result<(), Parcel> {
        {
            let mut queue = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.len() >= INJECTED_LIMIT {
                return Err(work);
            }
            queue.push_back(work);
            self.pending.store(true, Ordering::Release);
        }
        self.wake.wake_after_publish();
        Ok(())
    }

    #[inline]
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Everything injected so far. Never waits for another thread: if one holds the lock, the next sweep comes soon.
    fn take(&self) -> VecDeque<Parcel> {
        let mut queue = match self.work.try_lock() {
            Ok(queue) => queue,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return VecDeque::new(),
        };
        self.pending.store(false, Ordering::Release);
        std::mem::take(&mut *queue)
    }
}

impl Core {
    /// Does what other threads asked for.
    pub(crate) fn take_injected(&mut self) -> usize {
        if !self.injector.is_pending() {
            return 0;
        }
        let work = self.injector.take();
        let count = work.len();
        for piece in work {
            self.do_work(piece);
        }
        count
    }

    /// Does a piece of work that may call a user's code. A panic takes back what the piece did, and is logged.
    pub(crate) fn do_work(&mut self, piece: Parcel) {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| piece(self)));
        if done.is_err() {
            self.abort_turn();
            self.counters.work_failed += 1;
            tracing::error!(core = self.index(), "work for a core panicked; it was taken back");
        }
    }

    /// Handles answers and control messages of other cores and clients.
    pub(crate) fn sweep_control_lanes(&mut self, budget: u64) -> u64 {
        let mut handled = 0;
        // Taken out, so that a frame in a ring and the core can be used together; nothing looks for them meanwhile.
        let mut inbounds = std::mem::take(&mut self.inbounds);
        for inbound in inbounds.iter_mut().filter(|inbound| !inbound.held) {
            let before = handled;
            let Some(control) = &mut inbound.control else { continue };
            while handled - before < budget {
                let Some(frame) = control.next_frame() else { break };
                handled += 1;
                if frame.header().kind() == KIND_CONTROL {
                    if let Some(parcel) = frame.take_parcel() {
                        self.open_parcel(parcel);
                    }
                } else {
                    self.dispatch_from_ring(frame.header(), frame.payload());
                    self.counters.turns += 1;
                }
            }
            if handled > before {
                control.release();
            }
        }
        self.put_back(inbounds);
        handled
    }

    /// Handles users' messages of other cores and clients, each ring up to its budget.
    pub(crate) fn sweep_inbound(&mut self, budget: u64) -> u64 {
        let mut handled = 0;
        let mut inbounds = std::mem::take(&mut self.inbounds);
        for inbound in inbounds.iter_mut().filter(|inbound| !inbound.held) {
            let mut from_this = 0;
            loop {
                let end = self.stretch_end(from_this, budget);
                while from_this < end && self.control.len() < self.limits.control_budget {
                    let Some(frame) = inbound.user.next_frame() else { break };
                    self.dispatch_from_ring(frame.header(), frame.payload());
                    from_this += 1;
                    if from_this % super::dispatch::WINDOW_TURNS == 0 {
                        self.close_window(super::dispatch::WINDOW_TURNS);
                    }
                }
                if from_this < end || end == budget {
                    break;
                }
            }
            if from_this > 0 {
                inbound.user.release();
                handled += from_this;
            }
        }
        self.put_back(inbounds);
        handled
    }

    #[inline]
    fn put_back(&mut self, mut inbounds: Vec<Inbound>) {
        if !self.inbounds.is_empty() {
            inbounds.append(&mut self.inbounds);
        }
        // What is replaced is empty and, unless something was added meanwhile, has no memory: dropping it would still
        // be a call in every sweep.
        let taken = std::mem::replace(&mut self.inbounds, inbounds);
        if taken.capacity() == 0 {
            std::mem::forget(taken);
        }
    }

    /// Whether a frame waits in any ring.
    pub(crate) fn has_inbound(&self) -> bool {
        self.look_at_rings() != (false, false)
    }

    /// Whether a frame waits in any control lane, and in any users' lane.
    #[inline]
    pub(crate) fn look_at_rings(&self) -> (bool, bool) {
        let (mut control_waits, mut users_wait) = (false, false);
        for inbound in self.inbounds.iter().filter(|inbound| !inbound.held) {
            control_waits |= inbound.control.as_ref().is_some_and(|control| !control.is_empty());
            users_wait |= !inbound.user.is_empty();
        }
        (control_waits, users_wait)
    }

    /// Forgets the rings of a client that is gone.
    pub(crate) fn forget_source(&mut self, source: u16) {
        self.inbounds.retain(|inbound| inbound.source != source);
    }
}
