//! Whether the kernel fills receive buffers piece by piece while one receive stays armed, found out by having it do so
//! on a pair of connected sockets. Kernels that know the flags may still do something else, so every answer is checked.

use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};

use super::memory::Memory;

/// The kernel's name for it: `IOU_PBUF_RING_INC`.
pub(in crate::driver) const INCREMENTAL: u16 = 2;

const BUFFER_BYTES: usize = 64;
const PATIENCE: Duration = Duration::from_secs(1);
const GROUP: u16 = u16::MAX;
/// Pieces sent, and how they must arrive: bytes, buffer, whether that buffer goes on, whether the receive goes on.
const PIECES: [usize; 2] = [24, 60];
const ARRIVALS: [(i32, u16, bool); 3] = [(24, 0, true), (40, 0, false), (20, 1, true)];

/// On a ring that nothing was asked of yet.
pub(in crate::driver) fn fills_buffers_piecewise(ring: &mut IoUring) -> bool {
    let entries = Memory::zeroed(2 * size_of::<BufRingEntry>(), 4096);
    let arena = Memory::zeroed(2 * BUFFER_BYTES, 4096);
    let (entries, arena) = (ManuallyDrop::new(entries), ManuallyDrop::new(arena));
    write_entries(&entries, &arena);
    let start = entries.at(0).expose_provenance() as u64;
    // SAFETY: the memory of the ring is given back below, after the kernel was told to forget it, or never.
    let registered =
        unsafe { ring.submitter().register_buf_ring_with_flags(start, 2, GROUP, INCREMENTAL) };
    if registered.is_err() {
        give_back(entries, arena);
        return false;
    }
    let (ended, works) = receive(ring, &arena).unwrap_or((false, false));
    if ended && ring.submitter().unregister_buf_ring(GROUP).is_ok() {
        give_back(entries, arena);
        return works;
    }
    false
}

/// Whether the receive has ended, and whether everything was as it must be.
fn receive(ring: &mut IoUring, arena: &Memory) -> io::Result<(bool, bool)> {
    let (reader, mut writer) = UnixStream::pair()?;
    let entry = opcode::RecvMulti::new(Fd(reader.as_raw_fd()), GROUP).build();
    // SAFETY: the buffers outlive the receive: they are given back only when it has ended.
    if unsafe { ring.submission().push(&entry) }.is_err() {
        return Ok((true, false));
    }
    ring.submit()?;
    let mut arrived: Vec<(i32, u16, bool)> = Vec::new();
    let mut sent = 0_u8;
    for piece in PIECES {
        let bytes: Vec<u8> = (0..piece as u8).map(|index| sent + index).collect();
        writer.write_all(&bytes)?;
        sent += piece as u8;
        let before: usize = arrived.iter().map(|(bytes, ..)| *bytes as usize).sum();
        let mut missing = usize::from(sent) - before;
        while missing > 0 {
            match next(ring)? {
                Some((bytes @ 1.., flags)) if cqueue::more(flags) => {
                    missing = missing.saturating_sub(bytes as usize);
                    let buffer = cqueue::buffer_select(flags).unwrap_or(u16::MAX);
                    arrived.push((bytes, buffer, cqueue::buffer_more(flags)));
                }
                Some((_, flags)) => return Ok((!cqueue::more(flags), false)),
                None => return Ok((false, false)),
            }
        }
    }
    writer.shutdown(Shutdown::Both)?;
    let Some((0, flags)) = next(ring)? else { return Ok((false, false)) };
    let total: usize = PIECES.iter().sum();
    let in_order = arena.view(0, total).to_vec().into_iter().eq(0..total as u8);
    Ok((!cqueue::more(flags), arrived == ARRIVALS && in_order))
}

/// Result and flags of the next completion; nothing if there is none for long.
fn next(ring: &mut IoUring) -> io::Result<Option<(i32, u32)>> {
    if ring.completion().is_empty() {
        let patience = Timespec::from(PATIENCE);
        match ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&patience)) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ring.completion().next().map(|entry| (entry.result(), entry.flags())))
}

fn write_entries(entries: &Memory, arena: &Memory) {
    let first = entries.at(0).cast::<BufRingEntry>();
    for buffer in 0..2 {
        // SAFETY: two entries lie in the memory, aligned and initialised; the kernel does not know them yet.
        let entry = unsafe { &mut *first.add(buffer) };
        entry.set_addr(arena.at(buffer * BUFFER_BYTES).expose_provenance() as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer as u16);
    }
    // SAFETY: the tail lies in the first entry, and the kernel does not know it yet.
    unsafe { BufRingEntry::tail(first).cast_mut().write(2) };
}

fn give_back(entries: ManuallyDrop<Memory>, arena: ManuallyDrop<Memory>) {
    drop((ManuallyDrop::into_inner(entries), ManuallyDrop::into_inner(arena)));
}
