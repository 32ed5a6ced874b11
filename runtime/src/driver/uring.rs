//! The core's own io_uring: where the core sleeps, and where its network and disk work goes through.
//!
//! Promises:
//! - [`Uring::park`] is one `io_uring_enter`: it submits what is queued, sleeps until the core's bell rings,
//!   something
//!   completes or the time is up, and collects what has completed. The bell is watched by a poll that stays armed, so
//!   a wake costs the sender one `write` and the sleeper nothing beyond the enter it sleeps in.
//! - [`Uring::turn`] does the same without sleeping, and without a system call when there is nothing to submit or
//!   collect: then it is some plain loads.
//! - Features are tried at start and given up one step at a time, never guessed from the kernel's version;
//!   [`Uring::features`] says what is on.
//!
//! Refuses: to block anywhere but in `park`, to hand the ring to another thread (it is neither `Send` nor meant to
//! be), and tags that it uses itself.
//!
//! Invariants: the bell's poll is armed whenever the thread sleeps in `park`. No completion is dropped: those that
//! are not the ring's own are handed to the caller in the order of arrival.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};

use super::net::probe::{INCREMENTAL, fills_buffers_piecewise};
use super::waker::CoreWaker;

/// Tags from here up belong to the ring itself.
pub const RESERVED_TAGS_START: u64 = u64::MAX - 0xFF;
const BELL_TAG: u64 = RESERVED_TAGS_START;

/// The ways to set a ring up, best first. Each is tried as long as the kernel calls the one before it invalid.
const SETUPS: [Setup; 4] = [
    Setup { single_issuer: true, defer_taskrun: true, coop_taskrun: true },
    Setup { single_issuer: true, defer_taskrun: false, coop_taskrun: true },
    Setup { single_issuer: false, defer_taskrun: false, coop_taskrun: true },
    Setup { single_issuer: false, defer_taskrun: false, coop_taskrun: false },
];

/// The io_uring of one core. Made, used and dropped on the core's thread.
pub struct Uring {
    ring: IoUring,
    waker: Arc<CoreWaker>,
    features: UringFeatures,
    bell_armed: bool,
    enters: u64,
    one_thread: PhantomData<*const ()>,
}

/// Something that was asked of the ring is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// The tag it was asked with.
    pub tag: u64,
    /// What the kernel returned: a count, or a negative error number.
    pub result: i32,
    /// The kernel's completion flags: more to come, which provided buffer.
    pub flags: u32,
}

/// Why a park ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkEnd {
    /// The core's bell rang.
    Woken,
    /// Something else completed, or a signal interrupted the sleep.
    Completed,
    /// The time was up.
    TimedOut,
}

/// What the kernel granted to a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UringFeatures {
    setup: Setup,
    /// The bell's poll stays armed after it fires. Without it every wake costs the sleeper a second system call.
    pub lasting_poll: bool,
    /// A core that sleeps counts as idle, not as waiting for a disk.
    pub sleep_counts_as_idle: bool,
    /// The kernel fills the receive buffers of a socket piece by piece while one receive stays armed.
    pub incremental_buffers: bool,
}

impl UringFeatures {
    /// The kernel knows that one thread alone submits.
    pub fn single_issuer(&self) -> bool {
        self.setup.single_issuer
    }

    /// Completions are worked off only when the core asks for them, so they never interrupt it.
    pub fn defer_taskrun(&self) -> bool {
        self.setup.defer_taskrun
    }

    /// A completion does not interrupt the core, and a flag in memory says that there is one.
    pub fn coop_taskrun(&self) -> bool {
        self.setup.coop_taskrun
    }
}

impl fmt::Display for UringFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.single_issuer(), "single_issuer"),
            (self.defer_taskrun(), "defer_taskrun"),
            (self.coop_taskrun(), "coop_taskrun"),
            (self.lasting_poll, "lasting_poll"),
            (self.sleep_counts_as_idle, "sleep_counts_as_idle"),
            (self.incremental_buffers, "incremental_buffers"),
        ];
        let mut separator = "";
        for (_, name) in all.iter().filter(|(on, _)| *on) {
            write!(f, "{separator}{name}")?;
            separator = " ";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// Why a ring could not be set up. Nothing was changed. What keeps a process from io_uring altogether is found out by
/// [`preflight`](super::cpu::preflight).
#[derive(Debug, thiserror::Error)]
pub enum UringSetupError {
    /// The kernel is too old.
    #[error(
        "the kernel's io_uring has no {missing}, which needs Linux {since}. Boot a newer kernel"
    )]
    TooOld {
        /// What is missing.
        missing: &'static str,
        /// The release that has it.
        since: &'static str,
    },
    /// The kernel refused.
    #[error(
        "the kernel refused an io_uring of {entries} entries: {source}. Ask for fewer, or raise the limits on memory \
         and descriptors (ulimit -l, ulimit -n)"
    )]
    Refused {
        /// Entries asked for.
        entries: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The submission queue is full: nothing was queued. Call [`Uring::turn`] to submit what is there, then try again.
#[derive(Debug, thiserror::Error)]
#[error(
    "the submission queue is full ({capacity} entries); the entry was not queued; submit what is there and try again"
)]
pub struct SubmissionFull {
    /// Entries the queue holds.
    pub capacity: usize,
    /// The entry that was not accepted.
    pub entry: squeue::Entry,
}

/// The tag belongs to the ring itself, or the queue is full. The entry comes back.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No room.
    #[error(transparent)]
    Full(#[from] SubmissionFull),
    /// The tag is one of the ring's own.
    #[error(
        "tag {tag:#x} belongs to the ring itself; use tags below {RESERVED_TAGS_START:#x}; nothing was queued"
    )]
    ReservedTag {
        /// The tag asked for.
        tag: u64,
        /// The entry that was not accepted.
        entry: squeue::Entry,
    },
}

impl Uring {
    /// Sets up the ring of the core that owns `waker`, on the calling thread, with room for `entries` submissions
    /// (a power of two; others are rounded up by the kernel).
    ///
    /// # Errors
    ///
    /// [`UringSetupError`], which says what is in the way and what to do about it.
    pub fn new(entries: u32, waker: Arc<CoreWaker>) -> Result<Uring, UringSetupError> {
        Uring::with_setups(entries, waker, &SETUPS)
    }

    /// What the kernel granted.
    pub fn features(&self) -> UringFeatures {
        self.features
    }

    /// How many times this ring has entered the kernel.
    pub fn enters(&self) -> u64 {
        self.enters
    }

    /// Queues an entry under a tag. It is submitted by the next [`turn`](Self::turn) or [`park`](Self::park).
    ///
    /// # Errors
    ///
    /// [`PushError`] with the entry: the queue is full, or the tag is one of the ring's own.
    ///
    /// # Safety
    ///
    /// Whatever the entry points to (buffers, descriptors, names) must stay valid and must not be used against the
    /// operation's rules until its last completion has been handed out.
    pub unsafe fn push(&mut self, entry: squeue::Entry, tag: u64) -> Result<(), PushError> {
        if tag >= RESERVED_TAGS_START {
            return Err(PushError::ReservedTag { tag, entry });
        }
        // SAFETY: the caller keeps what the entry points to.
        unsafe { self.push_tagged(entry.user_data(tag)) }.map_err(PushError::Full)
    }

    /// Queues entries, all of them or none, so that no submission comes between entries that are linked; `false` when
    /// there is no room for all. They carry their tags already, none of the ring's own.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push), for each of them.
    pub(super) unsafe fn push_together(&mut self, entries: &[squeue::Entry]) -> bool {
        // SAFETY: the caller keeps what the entries point to.
        unsafe { self.ring.submission().push_multiple(entries) }.is_ok()
    }

    /// Queues an entry that carries its tag, none of the ring's own. If there is no room, what is queued is submitted
    /// first; `false` when there is none even then.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push).
    pub(super) unsafe fn push_making_room(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: passed on to the caller.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return true;
        }
        self.enters += 1;
        // What the kernel says about it, it says again at the next turn.
        let _ = self.ring.submit();
        // SAFETY: as above.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    /// Tells the kernel of a ring of receive buffers that it fills piece by piece.
    ///
    /// # Errors
    ///
    /// What the kernel says: the group is taken, or memory is short.
    ///
    /// # Safety
    ///
    /// `entries` is a page-aligned array of so many entries, a power of two. It and the buffers in it stay valid until
    /// [`unregister_buffers`](Self::unregister_buffers) has been accepted.
    pub(super) unsafe fn register_incremental(
        &self,
        entries: *mut u8,
        count: u16,
        group: u16,
    ) -> io::Result<()> {
        let entries = entries.expose_provenance() as u64;
        let submitter = self.ring.submitter();
        // SAFETY: passed on to the caller.
        unsafe { submitter.register_buf_ring_with_flags(entries, count, group, INCREMENTAL) }
    }

    /// The kernel forgets a ring of buffers.
    ///
    /// # Errors
    ///
    /// What the kernel says: there is no such group.
    pub(super) fn unregister_buffers(&self, group: u16) -> io::Result<()> {
        self.ring.submitter().unregister_buf_ring(group)
    }

    /// Whether a completion waits to be collected, or is known to the kernel and waits to be worked off. Two plain
    /// loads.
    #[inline]
    pub fn has_completions(&mut self) -> bool {
        let (_, submission, completion) = self.ring.split();
        !completion.is_empty() || submission.taskrun()
    }

    /// Submits what is queued and collects what is done, without sleeping. No system call if there is neither.
    /// Whether anything was collected.
    ///
    /// # Errors
    ///
    /// What the kernel says about the submission. What had completed is in `completions` even then.
    #[inline]
    pub fn turn(&mut self, completions: &mut Vec<Completion>) -> io::Result<bool> {
        if !self.has_something_to_do() {
            return Ok(false);
        }
        self.enter_and_collect(0, None, completions).map(|end| end != ParkEnd::TimedOut)
    }

    /// Submits what is queued, sleeps until the bell rings or something completes, but not longer than `timeout`, and
    /// collects what is done.
    ///
    /// The caller has raised the core's flag and looked at all its work once more; else the bell may never ring.
    ///
    /// # Errors
    ///
    /// What the kernel says about the submission or the sleep. What had completed is in `completions` even then.
    pub fn park(
        &mut self,
        timeout: Option<Duration>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<ParkEnd> {
        self.arm_bell();
        self.enter_and_collect(1, timeout, completions)
    }

    /// From now on completions ring the core's executor bell, so that a core that sleeps in its executor notices
    /// them. Whether there is one already: then the bell may stay silent and the core must not sleep.
    pub(super) fn ring_executor_bell(&mut self) -> bool {
        self.ring.completion().enable_eventfd();
        // The kernel announces a completion and then reads the switch; we flip the switch and then look for
        // completions.
        fence(Ordering::SeqCst);
        self.has_completions()
    }

    /// Completions are silent again.
    pub(super) fn silence_executor_bell(&mut self) {
        self.ring.completion().disable_eventfd();
    }

    #[inline]
    fn has_something_to_do(&mut self) -> bool {
        let (_, submission, completion) = self.ring.split();
        !completion.is_empty()
            || !submission.is_empty()
            || submission.taskrun()
            || submission.cq_overflow()
    }

    fn with_setups(
        entries: u32,
        waker: Arc<CoreWaker>,
        setups: &[Setup],
    ) -> Result<Uring, UringSetupError> {
        let (mut ring, setup) = build(entries, setups)?;
        if !ring.params().is_feature_ext_arg() {
            return Err(UringSetupError::TooOld { missing: "wait with a timeout", since: "5.11" });
        }
        let refused = |source| UringSetupError::Refused { entries, source };
        ring.submitter().register_eventfd(waker.executor_bell().as_raw_fd()).map_err(refused)?;
        ring.completion().disable_eventfd();
        let sleep_counts_as_idle = ring.params().is_feature_no_iowait();
        let incremental_buffers = fills_buffers_piecewise(&mut ring);
        let features =
            UringFeatures { setup, lasting_poll: true, sleep_counts_as_idle, incremental_buffers };
        let mut uring =
            Uring { ring, waker, features, bell_armed: false, enters: 0, one_thread: PhantomData };
        uring.probe_bell().map_err(refused)?;
        Ok(uring)
    }

    /// Arms the bell's poll once, to learn at start whether the kernel keeps it armed.
    fn probe_bell(&mut self) -> io::Result<()> {
        self.arm_bell();
        let mut completions = Vec::new();
        self.enter_and_collect(0, None, &mut completions)?;
        if !self.bell_armed {
            self.features.lasting_poll = false;
        }
        Ok(())
    }

    fn arm_bell(&mut self) {
        if self.bell_armed {
            return;
        }
        if !self.features.lasting_poll {
            // A poll for once sees old signals; they have been answered by looking at everything before the sleep.
            self.waker.ring_bell().take();
        }
        let bell = Fd(self.waker.ring_bell().as_raw_fd());
        let poll = opcode::PollAdd::new(bell, libc::POLLIN as u32)
            .multi(self.features.lasting_poll)
            .build();
        // SAFETY: the entry points to no memory, and the ring holds the waker, which holds the descriptor.
        let pushed = unsafe { self.push_tagged(poll.user_data(BELL_TAG)) };
        // A full queue leaves the bell unarmed; the enter that follows submits the queue and does not sleep (see
        // there).
        self.bell_armed = pushed.is_ok();
    }

    /// # Safety
    ///
    /// As for [`Uring::push`].
    unsafe fn push_tagged(&mut self, entry: squeue::Entry) -> Result<(), SubmissionFull> {
        let mut submission = self.ring.submission();
        let capacity = submission.capacity();
        // SAFETY: passed on to the caller.
        unsafe { submission.push(&entry) }.map_err(|_| SubmissionFull { capacity, entry })
    }

    fn enter_and_collect(
        &mut self,
        wanted: u32,
        timeout: Option<Duration>,
        completions: &mut Vec<Completion>,
    ) -> io::Result<ParkEnd> {
        // Without its bell the core must not sleep.
        let wanted = if self.bell_armed { wanted } else { 0 };
        let entered = self.enter(wanted, timeout);
        let mut end = self.collect(completions);
        match entered {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => {}
            // Interrupted by a signal, or the completion queue has to be emptied first, which has just been done.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)
                ) =>
            {
                end = end.or(Some(ParkEnd::Completed));
            }
            Err(error) => return Err(error),
        }
        Ok(end.unwrap_or(ParkEnd::TimedOut))
    }

    fn enter(&mut self, wanted: u32, timeout: Option<Duration>) -> io::Result<()> {
        self.enters += 1;
        let to_submit = self.ring.submission().len() as u32;
        let mut flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if wanted > 0 && self.features.sleep_counts_as_idle {
            flags |= EnterFlags::NO_IOWAIT;
        }
        let timespec = timeout.map(Timespec::from);
        let arguments = match &timespec {
            Some(timespec) => SubmitArgs::new().timespec(timespec),
            None => SubmitArgs::new(),
        };
        // SAFETY: EXT_ARG promises an argument block, which `arguments` is; it and the time it points to live
        // through the call. What the entries point to is the promise of whoever pushed them.
        unsafe { self.ring.submitter().enter(to_submit, wanted, flags.bits(), Some(&arguments)) }
            .map(drop)
    }

    fn collect(&mut self, completions: &mut Vec<Completion>) -> Option<ParkEnd> {
        let mut end = None;
        for entry in self.ring.completion() {
            if entry.user_data() == BELL_TAG {
                self.bell_armed = cqueue::more(entry.flags());
                end = Some(ParkEnd::Woken);
            } else {
                completions.push(Completion {
                    tag: entry.user_data(),
                    result: entry.result(),
                    flags: entry.flags(),
                });
                end = end.or(Some(ParkEnd::Completed));
            }
        }
        end
    }
}

impl AsRawFd for Uring {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("features", &self.features)
            .field("bell_armed", &self.bell_armed)
            .field("enters", &self.enters)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setup {
    single_issuer: bool,
    defer_taskrun: bool,
    coop_taskrun: bool,
}

impl Setup {
    fn build(self, entries: u32) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_clamp();
        if self.single_issuer {
            builder.setup_single_issuer();
        }
        if self.defer_taskrun {
            builder.setup_defer_taskrun();
        }
        if self.coop_taskrun {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        builder.build(entries)
    }
}

fn build(entries: u32, setups: &[Setup]) -> Result<(IoUring, Setup), UringSetupError> {
    let mut refused = io::Error::from_raw_os_error(libc::EINVAL);
    for setup in setups {
        match setup.build(entries) {
            Ok(ring) => return Ok((ring, *setup)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = error,
            Err(error) => return Err(UringSetupError::Refused { entries, source: error }),
        }
    }
    Err(UringSetupError::Refused { entries, source: refused })
}

#[cfg(test)]
#[path = "uring_tests.rs"]
mod tests;
