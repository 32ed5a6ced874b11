//! An owned eventfd: the bell that wakes a sleeping core.
//!
//! Promises: the descriptor is closed on drop and in child processes. A signal given before the sleeper looks is
//! never lost: it stays in the counter until it is taken. On a bell made by [`EventFd::new`] no call blocks.
//!
//! Refuses: to count. Any number of signals may be taken as one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One eventfd.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// A new eventfd with nothing signalled.
    ///
    /// # Errors
    ///
    /// What the kernel says: usually that the process has no descriptors left (`ulimit -n`).
    pub fn new() -> io::Result<EventFd> {
        EventFd::with_flags(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)
    }

    /// A new eventfd on which [`take`](Self::take) sleeps until there is a signal. For threads that are no cores.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn blocking() -> io::Result<EventFd> {
        EventFd::with_flags(libc::EFD_CLOEXEC)
    }

    fn with_flags(flags: libc::c_int) -> io::Result<EventFd> {
        // SAFETY: eventfd takes two integers and touches no memory of ours.
        let fd = unsafe { libc::eventfd(0, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just handed out this descriptor and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(EventFd { fd })
    }

    /// Signals the sleeper: one system call. Whoever sleeps on the descriptor wakes; a later sleep ends at once.
    #[inline]
    pub fn signal(&self) {
        let one = 1u64;
        loop {
            // SAFETY: the pointer and the length describe `one`, which lives through the call.
            let written = unsafe {
                libc::write(self.fd.as_raw_fd(), (&raw const one).cast(), size_of::<u64>())
            };
            // The counter overflows only after 2^64 - 2 signals, and then it is already readable: the sleeper wakes.
            if written >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return;
            }
        }
    }

    /// Takes every signal given so far. Whether there was any. One system call.
    pub fn take(&self) -> bool {
        let mut count = 0u64;
        loop {
            // SAFETY: the pointer and the length describe `count`, which lives through the call.
            let read = unsafe {
                libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>())
            };
            if read >= 0 {
                return count != 0;
            }
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return false;
            }
        }
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::EventFd;

    #[test]
    fn a_signal_stays_until_it_is_taken() {
        let bell = EventFd::new().expect("a descriptor is free");
        assert!(!bell.take(), "nothing was signalled yet");
        bell.signal();
        bell.signal();
        assert!(bell.take(), "two signals are taken as one");
        assert!(!bell.take(), "and only once");
    }

    #[test]
    fn a_blocking_bell_holds_its_sleeper_until_it_is_rung() {
        let bell = EventFd::blocking().expect("a descriptor is free");
        let rung = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                assert!(bell.take());
                assert!(rung.load(Ordering::Acquire), "woke before it was rung");
            });
            std::thread::yield_now();
            rung.store(true, Ordering::Release);
            bell.signal();
            sleeper.join().expect("the sleeper does not panic");
        });
    }

    #[test]
    fn the_descriptor_is_closed_in_child_processes() {
        let bell = EventFd::new().expect("a descriptor is free");
        // SAFETY: F_GETFD takes no pointer.
        let flags = unsafe { libc::fcntl(bell.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }

    #[test]
    fn a_full_counter_neither_blocks_nor_loses_the_signal() {
        let bell = EventFd::new().expect("a descriptor is free");
        let nearly_full = u64::MAX - 1;
        // SAFETY: the pointer and the length describe `nearly_full`, which lives through the call.
        let written = unsafe {
            libc::write(bell.as_raw_fd(), (&raw const nearly_full).cast(), size_of::<u64>())
        };
        assert_eq!(written, 8);
        bell.signal();
        assert!(bell.take());
    }
}
