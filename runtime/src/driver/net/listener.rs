//! One listener: an accept that stays armed, and what is to be told about those that failed.
//!
//! Invariants: one accept is armed at a time. A listener that was stopped is freed when nothing of it is armed.

use std::os::fd::AsRawFd;

use io_uring::types::{Fd, Timespec};
use io_uring::{opcode, squeue};
use socket2::Socket;

use super::state::Kernel;
use super::tags::{Part, tag};
use crate::net::{AcceptFailure, ListenOptions, SocketError};

/// How long a listener waits before it tries again when the system has no descriptor or memory for a connection.
static PAUSE: Timespec = Timespec::new().nsec(100_000_000);

pub(super) struct Listener {
    pub owner: u32,
    pub options: ListenOptions,
    socket: Socket,
    /// One accept takes connections until it ends. Given up when the kernel calls it invalid.
    lasting: bool,
    accept: Armed,
    pause: Armed,
    cancels: u32,
    /// The last failure that was not told.
    pub failure: Option<AcceptFailure>,
    pub stopped: bool,
    pub queued: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Armed {
    No,
    Yes,
    Cancelling,
}

impl Listener {
    pub(super) fn new(owner: u32, socket: Socket, options: ListenOptions, lasting: bool) -> Self {
        Listener {
            owner,
            options,
            socket,
            lasting,
            accept: Armed::No,
            pause: Armed::No,
            cancels: 0,
            failure: None,
            stopped: false,
            queued: false,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        self.accept == Armed::No && self.pause == Armed::No && self.cancels == 0
    }

    /// Asks the kernel for what is missing; `false` if the ring has no room for it.
    pub(super) fn drive(&mut self, slot: u32, kernel: &mut Kernel<'_>) -> bool {
        if self.stopped {
            let mut room = true;
            if self.accept == Armed::Yes {
                let queued = self.cancel(Part::Accept, slot, kernel);
                room &= set_if(queued, &mut self.accept, Armed::Cancelling);
            }
            if self.pause == Armed::Yes {
                let queued = self.cancel(Part::AcceptPause, slot, kernel);
                room &= set_if(queued, &mut self.pause, Armed::Cancelling);
            }
            return room;
        }
        if self.accept != Armed::No || self.pause != Armed::No {
            return true;
        }
        let fd = Fd(self.socket.as_raw_fd());
        let accept = if self.lasting {
            opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build()
        } else {
            let (address, length) = (std::ptr::null_mut(), std::ptr::null_mut());
            opcode::Accept::new(fd, address, length).flags(libc::SOCK_CLOEXEC).build()
        };
        let queued = arm(accept, Part::Accept, slot, kernel);
        set_if(queued, &mut self.accept, Armed::Yes)
    }

    /// Takes in what the kernel says about an accept, or about the end of a pause; the new connection's descriptor.
    pub(super) fn completed(
        &mut self,
        slot: u32,
        part: Part,
        result: i32,
        more: bool,
        kernel: &mut Kernel<'_>,
    ) -> Option<i32> {
        match part {
            Part::CancelAccept => self.cancels = self.cancels.saturating_sub(1),
            Part::AcceptPause => self.pause = Armed::No,
            Part::Accept => {
                if !more {
                    self.accept = Armed::No;
                }
                if result >= 0 {
                    return Some(result);
                }
                self.failed(slot, -result, kernel);
            }
            Part::Receive | Part::Send | Part::Connect | Part::Cancel => {}
        }
        None
    }

    fn failed(&mut self, slot: u32, code: i32, kernel: &mut Kernel<'_>) {
        match code {
            libc::EINVAL if self.lasting => self.lasting = false,
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
            code => {
                kernel.counters.accepts_failed += 1;
                self.failure = Some(AcceptFailure::System(SocketError::from_code(code)));
                // That connection alone is gone; everything else would be the same again at once.
                if code != libc::ECONNABORTED && !self.stopped {
                    let pause = opcode::Timeout::new(&raw const PAUSE).build();
                    if arm(pause, Part::AcceptPause, slot, kernel) {
                        self.pause = Armed::Yes;
                    }
                }
            }
        }
    }

    fn cancel(&mut self, part: Part, slot: u32, kernel: &mut Kernel<'_>) -> bool {
        let cancel = opcode::AsyncCancel::new(tag(slot, part)).build();
        let queued = arm(cancel, Part::CancelAccept, slot, kernel);
        self.cancels += u32::from(queued);
        queued
    }
}

fn arm(entry: squeue::Entry, part: Part, slot: u32, kernel: &mut Kernel<'_>) -> bool {
    // SAFETY: the entries of a listener point to nothing, or to a time that lives as long as the program; the
    // descriptor lives until nothing is armed.
    unsafe { kernel.push(entry.user_data(tag(slot, part))) }
}

fn set_if(queued: bool, armed: &mut Armed, to: Armed) -> bool {
    if queued {
        *armed = to;
    }
    queued
}
