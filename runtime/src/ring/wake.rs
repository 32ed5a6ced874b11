//! The flag by which a core says that it sleeps, and by which exactly one sender learns that it
//! must wake it.
//!
//! The flag knows nothing of how a core sleeps: it only decides who has to pay for the waking. The
//! protocol:
//!
//! - A *sender* publishes its frames, then calls [`WakeFlag::should_wake`]. While the core is awake
//!   that is a fence and a load of a line that nobody writes. If the core sleeps, one sender (and
//!   only one) gets the core's mode, and must now wake it.
//! - A *core* that found nothing to do calls [`WakeFlag::prepare`] and then **looks at everything
//!   once more**. If it finds nothing again it may sleep; after sleeping, or if it found something,
//!   it calls [`WakeFlag::cancel`].
//!
//! The promise: no wake-up is lost. Both sides write first (frames; the flag), fence, and then read
//! what the other wrote, so at least one of them sees the other: either the core finds the frame in
//! its second look or the sender finds the flag up. It does not promise that a wake-up is needed: a
//! core may be woken for a frame that it has already handled.
//!
//! What it refuses: a mode of 0, which would be a sleep that no sender can see.

use super::sync::{AtomicU32, Ordering, fence};
use crossbeam_utils::CachePadded;

const AWAKE: u32 = 0;

/// Says whether a core sleeps, and in which way. One a core, on a cache line of its own, shared
/// with all who send to it.
///
/// # Examples
///
/// ```
/// use mainspring::ring::WakeFlag;
///
/// let flag = WakeFlag::new();
/// assert_eq!(flag.should_wake(), 0); // the core is awake: nothing to do
///
/// flag.prepare(2); // the core is about to sleep in its mode 2
/// assert_eq!(flag.should_wake(), 2); // this sender has to wake it
/// assert_eq!(flag.should_wake(), 0); // and no other
/// assert!(flag.cancel()); // the core learns that a wake-up is on its way
/// ```
#[derive(Debug)]
pub struct WakeFlag {
    mode: CachePadded<AtomicU32>,
}

impl WakeFlag {
    /// The flag of a core that is awake.
    pub fn new() -> Self {
        WakeFlag { mode: CachePadded::new(AtomicU32::new(AWAKE)) }
    }

    /// For a sender that has just published frames: 0 if there is nothing to do, else the mode in
    /// which the core sleeps. Of all senders that call this during one sleep, one alone gets the
    /// mode; it must wake the core.
    #[inline]
    pub fn should_wake(&self) -> u32 {
        // Orders the publication before the look at the flag. Without it the processor may look
        // first, while the frame still waits in its store buffer: the core would see no frame and
        // the sender no sleeper.
        fence(Ordering::SeqCst);
        if self.mode.load(Ordering::Relaxed) == AWAKE {
            return AWAKE;
        }
        self.mode.swap(AWAKE, Ordering::AcqRel)
    }

    /// For the core, before it sleeps: says that it does, and how. The caller must look at all its
    /// inputs once more after this call, and may sleep only if there is still nothing.
    ///
    /// `mode` is handed to the sender that has to wake the core. It must not be 0, as 0 means
    /// "awake": 0 counts as 1.
    #[inline]
    pub fn prepare(&self, mode: u32) {
        self.mode.store(mode.max(1), Ordering::Relaxed);
        // The other half of the fence in `should_wake`: the flag is up before the inputs are looked
        // at.
        fence(Ordering::SeqCst);
    }

    /// For the core, when it is awake again or has decided not to sleep: takes the flag down.
    /// `true` says that a sender took it first, so that this sender's wake-up is on its way or has
    /// arrived; it must not be mistaken for the wake-up of a later sleep. To be called once after
    /// each [`prepare`](Self::prepare).
    #[inline]
    pub fn cancel(&self) -> bool {
        self.mode.swap(AWAKE, Ordering::AcqRel) == AWAKE
    }
}

impl Default for WakeFlag {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_awake_core_needs_no_waking() {
        assert_eq!(WakeFlag::new().should_wake(), 0);
    }

    #[test]
    fn one_sender_alone_gets_the_mode() {
        let flag = WakeFlag::new();
        flag.prepare(2);
        assert_eq!(flag.should_wake(), 2);
        assert_eq!(flag.should_wake(), 0);
        assert!(flag.cancel(), "a sender took the flag: its wake-up is on its way");
    }

    #[test]
    fn a_sleep_given_up_leaves_nothing_for_senders() {
        let flag = WakeFlag::new();
        flag.prepare(1);
        assert!(!flag.cancel(), "no sender came: there is no wake-up to wait for");
        assert_eq!(flag.should_wake(), 0);
    }

    #[test]
    fn a_mode_of_0_counts_as_1() {
        let flag = WakeFlag::new();
        flag.prepare(0);
        assert_eq!(flag.should_wake(), 1);
    }

    #[test]
    fn the_flag_has_a_cache_line_of_its_own() {
        assert!(size_of::<WakeFlag>() >= 64);
        assert!(align_of::<WakeFlag>() >= 64);
    }
}
