//! Waiting for the end of a child with a deadline.
//!
//! The thread sleeps in the kernel until the child ends: looking again and again would take the CPU away from what is
//! being measured.

use std::io;
use std::os::fd::AsRawFd;
use std::process::Child;
use std::time::{Duration, Instant};

use super::trace::open_handle;

/// Waits until the child has ended, at most `limit`. Whether it has. The child is neither killed nor reaped.
///
/// Fails where the kernel has no process handles (`pidfd_open`, before Linux 5.3) or forbids them.
pub fn wait_at_most(child: &Child, limit: Duration) -> io::Result<bool> {
    let handle = open_handle(child.id() as libc::pid_t)?;
    let began = Instant::now();
    loop {
        let left_ms = limit.saturating_sub(began.elapsed()).as_millis();
        let left_ms = i32::try_from(left_ms).unwrap_or(i32::MAX);
        let mut watched = libc::pollfd { fd: handle.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer leads to one structure that we own.
        let answer = unsafe { libc::poll(&mut watched, 1, left_ms) };
        if answer > 0 {
            return Ok(true);
        }
        if answer < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        } else if began.elapsed() >= limit {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_end_of_a_child_is_seen() {
        let mut child = Command::new("true").spawn().expect("starts");
        assert!(wait_at_most(&child, Duration::from_secs(60)).expect("handles are allowed"));
        assert!(child.wait().expect("a child").success());
    }

    #[test]
    fn a_child_that_goes_on_is_left_alone_at_the_deadline() {
        // It waits for its input, which stays open.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("starts");
        assert!(!wait_at_most(&child, Duration::from_millis(5)).expect("handles are allowed"));
        child.kill().expect("still running");
        assert!(wait_at_most(&child, Duration::from_secs(60)).expect("handles are allowed"));
        child.wait().expect("a child");
    }
}
