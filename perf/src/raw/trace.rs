//! Runs a child and counts the system calls of all its threads between the two marks of [`super::mark`].
//!
//! The count is exact: the child is traced, so the kernel stops it at every call. That makes it slow, which is why a
//! count and a measurement of time never share a run. A call that a thread had entered before the first mark (a wait
//! for the end, say) is not counted; the marks themselves are not counted either. Nor is a `futex` call of the
//! child's first thread: it waits for the end of the round, and on a busy machine it falls asleep only after the
//! first mark.
//!
//! Invariants: the child does not outlive the count, whatever happens; it is killed at the deadline and when the
//! counting process dies. Where tracing is forbidden (no `ptrace` in this container), the answer is a typed error
//! and nothing has been run.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::mark::Mark;

/// How many system calls were made between the marks, by their number in this machine's table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemCalls {
    /// Calls by number.
    pub by_number: BTreeMap<u64, u64>,
}

impl SystemCalls {
    /// All calls together.
    pub fn total(&self) -> u64 {
        self.by_number.values().sum()
    }
}

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The child could not be started, or this process may not trace it. Nothing was run.
    #[error("the child cannot be started under trace: {0}; a container must allow ptrace for it")]
    NotStarted(io::Error),
    /// The kernel refused a step of the trace. The child was killed.
    #[error("tracing stopped at \"{step}\": {source}; the child was killed")]
    Interrupted {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The child ended badly.
    #[error("the traced child failed: {0}; its own message stands above")]
    ChildFailed(ChildEnd),
    /// The child was still running at the deadline. It was killed.
    #[error(
        "the traced child was not done after {limit_seconds} s and was killed; count fewer messages"
    )]
    TimedOut {
        /// The deadline.
        limit_seconds: u64,
    },
    /// The child ended well, but never made both marks.
    #[error("the traced child ended without a measured section; marks seen: {marks_seen} of 2")]
    NoSection {
        /// How many of the two marks were seen.
        marks_seen: usize,
    },
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEnd {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl std::fmt::Display for ChildEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChildEnd::Code(code) => write!(f, "exit code {code}"),
            ChildEnd::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Runs `command` to its end and counts the system calls between its marks. Blocks until the child has ended, at most
/// `limit`.
pub fn count_system_calls(
    mut command: Command,
    limit: Duration,
) -> Result<SystemCalls, TraceError> {
    // SAFETY: between fork and exec the closure makes one system call and touches no memory of the parent.
    unsafe { command.pre_exec(ask_to_be_traced) };
    let child = command.spawn().map_err(TraceError::NotStarted)?;
    let mut tracee = Tracee::adopt(child.id() as libc::pid_t)?;
    let (ended, has_ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let handle = tracee.handle.as_raw_fd();
        let watchdog = scope.spawn(move || {
            let timed_out = has_ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
            if timed_out {
                kill(handle);
            }
            timed_out
        });
        let outcome = tracee.follow();
        drop(ended);
        if watchdog.join().unwrap_or(false) {
            return Err(TraceError::TimedOut { limit_seconds: limit.as_secs() });
        }
        outcome
    })
}

/// A child that is being traced by this thread. Killed and reaped when dropped before its end.
struct Tracee {
    leader: libc::pid_t,
    handle: OwnedFd,
    reaped: bool,
    seen: BTreeSet<libc::pid_t>,
    in_section: bool,
    marks_seen: usize,
    calls: SystemCalls,
}

/// What the kernel reports of one thread of the child.
enum Report {
    Ended(libc::pid_t, ChildEnd),
    AtCall(libc::pid_t),
    Event(libc::pid_t),
    Signal(libc::pid_t, i32),
    NobodyLeft,
}

impl Tracee {
    /// Takes over a child that stops by itself at its exec.
    fn adopt(leader: libc::pid_t) -> Result<Self, TraceError> {
        let handle = open_handle(leader).map_err(|source| {
            // Without a handle the child can only be killed by number; it is ours and not yet reaped.
            kill_by_number(leader);
            TraceError::Interrupted { step: "open a handle of the child", source }
        })?;
        let mut tracee = Tracee {
            leader,
            handle,
            reaped: false,
            seen: BTreeSet::from([leader]),
            in_section: false,
            marks_seen: 0,
            calls: SystemCalls::default(),
        };
        if let Report::Ended(_, end) = tracee.next_report(leader)? {
            return Err(TraceError::ChildFailed(end));
        }
        let options = libc::PTRACE_O_TRACESYSGOOD
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK
            | libc::PTRACE_O_TRACEEXEC
            | libc::PTRACE_O_EXITKILL;
        request(libc::PTRACE_SETOPTIONS, leader, 0, options as usize)
            .map_err(|source| TraceError::Interrupted { step: "set the options", source })?;
        Ok(tracee)
    }

    /// Lets the child run to its end, counting.
    fn follow(&mut self) -> Result<SystemCalls, TraceError> {
        self.resume(self.leader, 0)?;
        let mut end = ChildEnd::Signal(libc::SIGKILL);
        loop {
            match self.next_report(ANY_THREAD)? {
                Report::NobodyLeft => break,
                Report::Ended(thread, how) if thread == self.leader => end = how,
                Report::Ended(..) => {}
                Report::AtCall(thread) => {
                    self.note_call(thread)?;
                    self.resume(thread, 0)?;
                }
                Report::Event(thread) => self.resume(thread, 0)?,
                Report::Signal(thread, signal) => self.resume(thread, signal)?,
            }
        }
        match (end, self.marks_seen) {
            (ChildEnd::Code(0), 2) => Ok(std::mem::take(&mut self.calls)),
            (ChildEnd::Code(0), marks_seen) => Err(TraceError::NoSection { marks_seen }),
            (end, _) => Err(TraceError::ChildFailed(end)),
        }
    }

    fn note_call(&mut self, thread: libc::pid_t) -> Result<(), TraceError> {
        let Some((number, arguments)) = entered_call(thread)
            .map_err(|source| TraceError::Interrupted { step: "read a system call", source })?
        else {
            return Ok(());
        };
        match Mark::of_call(number, arguments) {
            Some(Mark::Begin) if self.marks_seen == 0 => {
                (self.in_section, self.marks_seen) = (true, 1)
            }
            Some(Mark::End) if self.marks_seen == 1 => {
                (self.in_section, self.marks_seen) = (false, 2)
            }
            Some(_) => {}
            None if self.in_section && !self.waits_for_the_end(thread, number) => {
                *self.calls.by_number.entry(number).or_insert(0) += 1;
            }
            None => {}
        }
        Ok(())
    }

    /// Scenarios do their work on threads of their own; the first one only waits for them.
    fn waits_for_the_end(&self, thread: libc::pid_t, number: u64) -> bool {
        thread == self.leader && number == libc::SYS_futex as u64
    }

    fn resume(&self, thread: libc::pid_t, signal: i32) -> Result<(), TraceError> {
        match request(libc::PTRACE_SYSCALL, thread, 0, signal as usize) {
            Ok(()) => Ok(()),
            // The thread was killed while it stood still; its end is reported by itself.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            Err(source) => Err(TraceError::Interrupted { step: "let the child go on", source }),
        }
    }

    fn next_report(&mut self, thread: libc::pid_t) -> Result<Report, TraceError> {
        let Some((thread, status)) = wait_for(thread)
            .map_err(|source| TraceError::Interrupted { step: "wait for the child", source })?
        else {
            self.reaped = true;
            return Ok(Report::NobodyLeft);
        };
        if !libc::WIFSTOPPED(status) {
            self.reaped |= thread == self.leader;
            return Ok(Report::Ended(thread, end_of(status)));
        }
        let is_new = self.seen.insert(thread);
        Ok(match libc::WSTOPSIG(status) {
            SYSTEM_CALL_STOP => Report::AtCall(thread),
            libc::SIGTRAP if status >> 16 != 0 => Report::Event(thread),
            // A thread that is traced from its birth starts with this stop, which nobody sent.
            libc::SIGSTOP if is_new => Report::Event(thread),
            signal => Report::Signal(thread, signal),
        })
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        kill(self.handle.as_raw_fd());
        // A killed thread reports its end and nothing else, so this loop is short.
        while let Ok(Some((thread, status))) = wait_for(ANY_THREAD) {
            if thread == self.leader && !libc::WIFSTOPPED(status) {
                break;
            }
        }
    }
}

const ANY_THREAD: libc::pid_t = -1;
const SYSTEM_CALL_STOP: i32 = libc::SIGTRAP | 0x80;

/// `ptrace_syscall_info` as words: operation in the lowest byte of the first; at an entry the call's number in the
/// fourth and its arguments behind it.
const CALL_INFO_WORDS: usize = 11;
const CALL_INFO_IS_ENTRY: u8 = 1;

fn ask_to_be_traced() -> io::Result<()> {
    request(libc::PTRACE_TRACEME, 0, 0, 0)
}

fn request(what: libc::c_uint, thread: libc::pid_t, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: of the requests used here, none lets the kernel write through `address` or `data`.
    let answer = unsafe { libc::ptrace(what, thread, address, data) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Number and arguments of the call that the thread is about to make; none when it stands at a call's end.
fn entered_call(thread: libc::pid_t) -> io::Result<Option<(u64, [u64; 6])>> {
    let mut words = [0u64; CALL_INFO_WORDS];
    let bytes = size_of_val(&words);
    // SAFETY: the kernel writes at most `bytes` bytes into the array that we own.
    let answer =
        unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, bytes, words.as_mut_ptr()) };
    if answer < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ESRCH) { Ok(None) } else { Err(error) };
    }
    if words[0].to_ne_bytes()[0] != CALL_INFO_IS_ENTRY {
        return Ok(None);
    }
    let mut arguments = [0; 6];
    arguments.copy_from_slice(&words[4..10]);
    Ok(Some((words[3], arguments)))
}

/// The next thread of ours with news; none when there is no thread left.
fn wait_for(thread: libc::pid_t) -> io::Result<Option<(libc::pid_t, i32)>> {
    loop {
        let mut status = 0;
        // Only children of this thread: the process may have others that somebody else waits for.
        // SAFETY: the kernel writes one integer that we own.
        let found = unsafe { libc::waitpid(thread, &mut status, libc::__WALL | libc::__WNOTHREAD) };
        if found >= 0 {
            return Ok(Some((found, status)));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Ok(None),
            _ => return Err(error),
        }
    }
}

fn end_of(status: i32) -> ChildEnd {
    if libc::WIFEXITED(status) {
        ChildEnd::Code(libc::WEXITSTATUS(status))
    } else {
        ChildEnd::Signal(libc::WTERMSIG(status))
    }
}

pub(super) fn open_handle(process: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just handed out the descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Kills the process behind a handle; nothing happens when it has ended already.
fn kill(handle: i32) {
    let no_information = ptr::null::<libc::siginfo_t>();
    // SAFETY: a null pointer is allowed and means a plain signal; a stale handle is refused.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, handle, libc::SIGKILL, no_information, 0) };
}

fn kill_by_number(process: libc::pid_t) {
    // SAFETY: the call takes two integers; the number is held by our child until it is reaped.
    unsafe { libc::kill(process, libc::SIGKILL) };
}
