//! One connection: what is under way in the kernel, what is to be told, and what comes next.
//!
//! After every change somebody calls `drive`, which asks of the kernel what is missing: it can be called at any time
//! and does nothing that is under way already. If the ring has no room it says so, and is called again later.
//!
//! Invariants: each part (receive, send, connect) is armed once at a time. Nothing of a connection is freed while any
//! part is armed or while a handler looks at its bytes.

use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use socket2::{SockAddr, Socket};

use super::incremental::Shape;
use super::plain::Plain;
use super::receive::Receive;
use super::state::Kernel;
use super::tags::{Part, tag};
use crate::driver::uring::Uring;
use crate::net::{CloseCause, ListenerId, SendBuffer, SendFailed, SocketError};

/// A socket gets buffers that the kernel fills after so many receives, or when one was full.
const RECEIVES_OF_A_USED_SOCKET: u32 = 4;

/// The most bytes of one send of the kernel.
const MOST_SEND_BYTES: usize = 1 << 30;

pub(super) struct Connection {
    pub owner: u32,
    pub stream: Socket,
    /// Where to connect to, until that is done. The kernel has its address.
    connect_to: Option<Box<SockAddr>>,
    armed: [Armed; 3],
    /// Cancellations whose own completion has not come.
    cancels: u32,
    pub receive: Receive,
    pub receive_bytes: usize,
    /// How many bytes of the stream were taken.
    pub position: u64,
    /// How many bytes must be held before the handler is called.
    pub needed: usize,
    /// How many of the held bytes the handler has seen.
    shown: usize,
    receives: u32,
    pub paused: bool,
    pub peer_finished: Told,
    pub announce: Option<Announce>,
    sending: Option<Sending>,
    pub sent: Option<(SendBuffer, Result<(), SendFailed>)>,
    finish: Told,
    pub ending: Option<Ending>,
    /// A handler looks at its bytes.
    pub lent: bool,
    /// It is in the queue of its owner.
    pub queued: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Armed {
    No,
    Yes,
    Cancelling,
}

/// Something that is done once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    No,
    Due,
    Done,
}

pub(super) enum Announce {
    Accepted(ListenerId, SocketAddr),
    Connected,
}

/// How a connection leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Close(CloseCause),
    ConnectFailed(SocketError),
    Detach,
}

struct Sending {
    buffer: SendBuffer,
    done_bytes: usize,
}

impl Connection {
    pub(super) fn new(owner: u32, stream: Socket, receive_bytes: usize) -> Connection {
        Connection {
            owner,
            stream,
            connect_to: None,
            armed: [Armed::No; 3],
            cancels: 0,
            receive: Receive::Plain(Plain::new()),
            receive_bytes,
            position: 0,
            needed: 1,
            shown: 0,
            receives: 0,
            paused: false,
            peer_finished: Told::No,
            announce: None,
            sending: None,
            sent: None,
            finish: Told::No,
            ending: None,
            lent: false,
            queued: false,
        }
    }

    pub(super) fn connecting(mut self, to: SocketAddr) -> Connection {
        self.connect_to = Some(Box::new(SockAddr::from(to)));
        self
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.connect_to.is_some()
    }

    /// Whether the kernel has nothing of this connection and nobody looks at its bytes.
    pub(super) fn is_free(&self) -> bool {
        self.cancels == 0 && !self.lent && self.armed.iter().all(|armed| *armed == Armed::No)
    }

    pub(super) fn has_send(&self) -> bool {
        self.sending.is_some() || self.sent.is_some()
    }

    pub(super) fn has_finished_sending(&self) -> bool {
        self.finish != Told::No
    }

    /// The one send of the socket begins.
    pub(super) fn begin_send(&mut self, buffer: SendBuffer) {
        if buffer.is_empty() {
            self.sent = Some((buffer, Ok(())));
        } else {
            self.sending = Some(Sending { buffer, done_bytes: 0 });
        }
    }

    pub(super) fn finish_sending(&mut self) {
        if self.finish == Told::No {
            self.finish = Told::Due;
        }
    }

    /// Begins to leave. One that leaves in good order already may still fail.
    pub(super) fn end(&mut self, ending: Ending) {
        let in_order =
            matches!(self.ending, Some(Ending::Close(CloseCause::Closed) | Ending::Detach));
        let fails = matches!(ending, Ending::Close(cause) if cause != CloseCause::Closed);
        if self.ending.is_none() || (in_order && fails) {
            self.ending = Some(ending);
        }
    }

    /// Whether a handler would be told something.
    pub(super) fn has_news(&self) -> bool {
        self.announce.is_some()
            || self.sent.is_some()
            || self.may_show()
            || self.may_tell_end_of_stream()
            || self.is_over()
    }

    /// Whether the handler is to be called with the held bytes.
    pub(super) fn may_show(&self) -> bool {
        let open = matches!(self.ending, None | Some(Ending::Close(CloseCause::Failed(_))));
        let held = self.receive.held();
        let enough = held >= self.needed || (self.peer_finished != Told::No && held > self.shown);
        open && !self.paused && held > 0 && enough
    }

    pub(super) fn may_tell_end_of_stream(&self) -> bool {
        self.peer_finished == Told::Due && !self.paused && self.ending.is_none()
    }

    pub(super) fn is_over(&self) -> bool {
        self.ending.is_some() && self.is_free() && self.sending.is_none()
    }

    /// The handler was shown `bytes` and is done with `taken`; it wants so many more together.
    pub(super) fn took(&mut self, bytes: usize, taken: usize, wanted: usize) {
        let taken = taken.min(bytes);
        self.receive.take(taken);
        self.position += taken as u64;
        self.shown = bytes - taken;
        // A handler that takes nothing is not shown the same again.
        let moves_on = taken > 0 && wanted > 0;
        self.needed = if moves_on { wanted } else { wanted.max(self.shown + 1) };
        let saw_everything = self.peer_finished != Told::No && self.shown == self.receive.held();
        if self.needed > self.receive_bytes && !self.paused && !saw_everything {
            let (wanted_bytes, limit_bytes) = (self.needed, self.receive_bytes);
            self.end(Ending::Close(CloseCause::ReceiveMemory { wanted_bytes, limit_bytes }));
        }
    }

    pub(super) fn resume(&mut self) {
        self.paused = false;
        (self.needed, self.shown) = (1, 0);
    }

    /// Asks the kernel for what is missing; `false` if the ring has no room for all of it.
    pub(super) fn drive(&mut self, slot: u32, kernel: &mut Kernel<'_>) -> bool {
        if let Some(ending) = self.ending {
            return self.wind_up(ending, slot, kernel);
        }
        if let Some(address) = &self.connect_to {
            if self.armed[Part::Connect as usize] == Armed::No {
                let (fd, address) = (Fd(self.stream.as_raw_fd()), address.as_ref());
                let connect = opcode::Connect::new(fd, address.as_ptr().cast(), address.len());
                return self.arm(Part::Connect, connect.build(), slot, kernel);
            }
            return true;
        }
        if !self.arm_send(slot, kernel) || !self.arm_receive(slot, kernel) {
            return false;
        }
        if self.finish == Told::Due && self.sending.is_none() {
            self.finish = Told::Done;
            // Fails only if the connection is gone, which the receive says.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        true
    }

    /// Takes in what the kernel says about one part. `more`: the part stays armed.
    pub(super) fn completed(
        &mut self,
        part: Part,
        result: i32,
        flags: u32,
        more: bool,
        kernel: &mut Kernel<'_>,
    ) {
        match part {
            Part::Cancel => self.cancels = self.cancels.saturating_sub(1),
            Part::Receive | Part::Send | Part::Connect => {
                if !more {
                    self.armed[part as usize] = Armed::No;
                }
                match part {
                    Part::Receive => self.received(result, flags, kernel),
                    Part::Send => self.sent(result, kernel),
                    _ => self.connected(result, kernel),
                }
            }
            Part::Accept | Part::AcceptPause | Part::CancelAccept => {}
        }
    }

    /// The last act, when the connection is over: whoever holds it now owns all of it.
    pub(super) fn prepare_reset(&self) {
        if self.ending == Some(Ending::Close(CloseCause::Aborted)) {
            // Fails only if the connection is gone.
            let _ = self.stream.set_linger(Some(Duration::ZERO));
        }
    }

    /// Gives the memory for received bytes back.
    pub(super) fn retire_buffers(&mut self, ring: &Uring) {
        std::mem::replace(&mut self.receive, Receive::Plain(Plain::new())).retire(ring);
    }

    /// Goes on with a stream whose bytes before `position` were taken elsewhere.
    pub(super) fn continues(&mut self, unread: &[u8], position: u64, peer_finished: bool) {
        self.receive = Receive::Plain(Plain::holding(unread, position));
        self.position = position;
        if peer_finished {
            self.peer_finished = Told::Due;
        }
    }

    fn received(&mut self, result: i32, flags: u32, kernel: &mut Kernel<'_>) {
        match result {
            1.. => {
                let bytes = result as usize;
                kernel.counters.receives += 1;
                kernel.counters.received_bytes += bytes as u64;
                self.receives = self.receives.saturating_add(1);
                if let Err(what) = self.receive.filled(bytes, flags) {
                    self.end(Ending::Close(CloseCause::Corrupt { what }));
                }
                return;
            }
            0 => self.peer_finished = Told::Due,
            _ => match -result {
                // No room: armed again when there is. Cancelled: somebody knows why. The others: just again.
                libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                code => self.fail(SocketError::from_code(code)),
            },
        }
        self.receive.unused();
    }

    fn sent(&mut self, result: i32, kernel: &mut Kernel<'_>) {
        let Some(mut sending) = self.sending.take() else { return };
        match result {
            0.. => {
                sending.done_bytes += result as usize;
                kernel.counters.sent_bytes += result as u64;
                if sending.done_bytes < sending.buffer.len() {
                    self.sending = Some(sending);
                } else {
                    kernel.counters.sends += 1;
                    self.sent = Some((sending.buffer, Ok(())));
                }
            }
            _ if matches!(-result, libc::EINTR | libc::EAGAIN) => self.sending = Some(sending),
            _ => {
                let error = match -result {
                    libc::ECANCELED => SocketError::Aborted,
                    code => SocketError::from_code(code),
                };
                let failed = SendFailed { sent_bytes: sending.done_bytes, error };
                self.sent = Some((sending.buffer, Err(failed)));
                self.fail(error);
            }
        }
    }

    fn connected(&mut self, result: i32, kernel: &mut Kernel<'_>) {
        self.connect_to = None;
        match -result {
            0 if self.ending.is_none() => {
                kernel.counters.connected += 1;
                self.announce = Some(Announce::Connected);
            }
            0 => {}
            libc::ECANCELED => self.end(Ending::ConnectFailed(SocketError::Aborted)),
            code => self.end(Ending::ConnectFailed(SocketError::from_code(code))),
        }
    }

    fn fail(&mut self, error: SocketError) {
        self.end(Ending::Close(CloseCause::Failed(error)));
    }

    fn arm_send(&mut self, slot: u32, kernel: &mut Kernel<'_>) -> bool {
        if self.armed[Part::Send as usize] != Armed::No {
            return true;
        }
        let Some(sending) = &self.sending else { return true };
        let rest = &sending.buffer.as_slice()[sending.done_bytes..];
        let length = rest.len().min(MOST_SEND_BYTES) as u32;
        let send = opcode::Send::new(Fd(self.stream.as_raw_fd()), rest.as_ptr(), length)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build();
        self.arm(Part::Send, send, slot, kernel)
    }

    fn arm_receive(&mut self, slot: u32, kernel: &mut Kernel<'_>) -> bool {
        let idle = self.armed[Part::Receive as usize] == Armed::No && !self.lent;
        if !idle || self.paused || self.peer_finished != Told::No {
            return true;
        }
        if matches!(self.receive, Receive::Plain(_)) && self.may_show() {
            // What the handler takes first need not be moved.
            return true;
        }
        self.consider_incremental(slot, kernel);
        let fd = Fd(self.stream.as_raw_fd());
        let entry = match &mut self.receive {
            Receive::Incremental(incremental) => {
                if !incremental.has_room() {
                    return true;
                }
                opcode::RecvMulti::new(fd, incremental.group()).build()
            }
            Receive::Plain(plain) => {
                let allowance_bytes = kernel.memory_allowance(plain.memory_bytes());
                let before_bytes = plain.memory_bytes();
                let (position, most) = (self.position, self.receive_bytes);
                let room = plain.room(position, self.needed.min(most), most, allowance_bytes);
                let Some((at, length, cost)) = room else {
                    self.lack_memory();
                    return true;
                };
                if cost.new_memory_bytes > 0 {
                    kernel.memory_changed(before_bytes, cost.new_memory_bytes);
                }
                kernel.counters.moved_bytes += cost.moved_bytes as u64;
                opcode::Recv::new(fd, at, length).build()
            }
        };
        if self.arm(Part::Receive, entry, slot, kernel) {
            return true;
        }
        self.receive.unused();
        false
    }

    /// All memory that this core may have for received bytes is in use, and the handler wants more than there is.
    fn lack_memory(&mut self) {
        let (wanted_bytes, limit_bytes) = (self.needed, self.receive.memory_bytes());
        self.end(Ending::Close(CloseCause::ReceiveMemory { wanted_bytes, limit_bytes }));
    }

    /// Gives a socket that is used buffers that the kernel fills.
    fn consider_incremental(&mut self, slot: u32, kernel: &mut Kernel<'_>) {
        let Receive::Plain(plain) = &self.receive else { return };
        let used = self.receives >= RECEIVES_OF_A_USED_SOCKET || plain.was_full();
        let before_bytes = plain.memory_bytes();
        if !used || !kernel.may_be_incremental(slot, self.receive_bytes, before_bytes) {
            return;
        }
        let shape = Shape::for_bytes(self.receive_bytes);
        let group = slot as u16;
        match self.receive.become_incremental(kernel.ring, group, shape, self.position) {
            Ok(moved_bytes) => {
                kernel.counters.moved_bytes += moved_bytes as u64;
                kernel.memory_changed(before_bytes, shape.memory_bytes());
            }
            // Locked memory may be used up. The socket goes on as it is.
            Err(error) => kernel.refused_incremental(&error),
        }
    }

    /// Cancels what is under way; a send only if the connection does not end well.
    fn wind_up(&mut self, ending: Ending, slot: u32, kernel: &mut Kernel<'_>) -> bool {
        let waits_for_send = matches!(ending, Ending::Close(CloseCause::Closed) | Ending::Detach);
        let mut room = self.cancel(Part::Receive, slot, kernel);
        room &= self.cancel(Part::Connect, slot, kernel);
        if waits_for_send {
            return room & self.arm_send(slot, kernel);
        }
        if self.armed[Part::Send as usize] != Armed::No {
            return room & self.cancel(Part::Send, slot, kernel);
        }
        if let Some(Sending { buffer, done_bytes }) = self.sending.take() {
            let error = match ending {
                Ending::Close(CloseCause::Failed(error)) => error,
                _ => SocketError::Aborted,
            };
            self.sent = Some((buffer, Err(SendFailed { sent_bytes: done_bytes, error })));
        }
        room
    }

    fn cancel(&mut self, part: Part, slot: u32, kernel: &mut Kernel<'_>) -> bool {
        if self.armed[part as usize] != Armed::Yes {
            return true;
        }
        let cancel = opcode::AsyncCancel::new(tag(slot, part)).build();
        // SAFETY: the entry points to nothing.
        let queued = unsafe { kernel.push(cancel.user_data(tag(slot, Part::Cancel))) };
        if queued {
            self.armed[part as usize] = Armed::Cancelling;
            self.cancels += 1;
        }
        queued
    }

    fn arm(
        &mut self,
        part: Part,
        entry: squeue::Entry,
        slot: u32,
        kernel: &mut Kernel<'_>,
    ) -> bool {
        // SAFETY: the entry points to memory of this connection, which neither moves nor goes before the part's last
        // completion: see `is_free`. The descriptor is the connection's too.
        let queued = unsafe { kernel.push(entry.user_data(tag(slot, part))) };
        if queued {
            self.armed[part as usize] = Armed::Yes;
        }
        queued
    }
}
