//! An owned eventfd: the bell that wakes a sleeping core.
//!
//! Promises: no call blocks (the descriptor is non-blocking) and the descriptor is closed on drop and in child
//! processes. A signal given before the sleeper looks is never lost: it stays in the counter until
//! [`EventFd::drain`].
//!
//! Refuses: to count. Any number of signals may be drained as one.

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
        // SAFETY: eventfd takes two integers and touches no memory of ours.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
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

    /// Takes every signal given so far. Whether there was any.
    pub fn drain(&self) -> bool {
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

    use super::EventFd;

    #[test]
    fn a_signal_stays_until_it_is_drained() {
        let bell = EventFd::new().expect("a descriptor is free");
        assert!(!bell.drain(), "nothing was signalled yet");
        bell.signal();
        bell.signal();
        assert!(bell.drain(), "two signals are drained as one");
        assert!(!bell.drain(), "and only once");
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
        assert!(bell.drain());
    }
}
