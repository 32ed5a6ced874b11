//! A counter that a thread can sleep on: the cheapest blocking wake-up that the kernel offers to strangers.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

/// A blocking eventfd. It is closed when dropped.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// A counter at zero.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just handed out `fd` and nobody else knows it.
        Ok(EventFd(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Adds one and wakes a thread that waits. One system call.
    pub fn signal(&self) -> io::Result<()> {
        (&self.0).write_all(&1u64.to_ne_bytes())
    }

    /// Sleeps until the counter is not zero, sets it to zero and returns what it was. One system call, unless a
    /// signal interrupts it.
    pub fn wait(&self) -> io::Result<u64> {
        let mut count = [0; 8];
        (&self.0).read_exact(&mut count)?;
        Ok(u64::from_ne_bytes(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_returns_how_often_it_was_signalled() {
        let event = EventFd::new().expect("an eventfd");
        event.signal().expect("a signal");
        event.signal().expect("a signal");
        assert_eq!(event.wait().expect("a count"), 2);
    }
}
