//! Pins a thread to a CPU, and finds out before a start whether this process may do what a core needs.
//!
//! Promises: a thread that counts as pinned has been asked where it may run, and answered that CPU alone.
//! [`preflight`] names what is in the way and what to do about it; it starts nothing. Finding out is apart from
//! concluding, so every conclusion is tested without bringing a machine into that state.
//!
//! Refuses: to guess from the kernel's version what it can do.

use io_uring::IoUring;
use mainspring_tuning::system::{self, Limit};
use mainspring_tuning::{CpuSet, SysRoot};
use std::io;
use thiserror::Error;

/// The least memory that a process must be allowed to lock for a core's executor to start.
pub const LOCKED_MEMORY_BYTES_MIN: u64 = 512 * 1024;

/// The calling thread could not be pinned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PinError {
    /// The CPU's number is beyond what the pinning call can express. Nothing was changed.
    #[error(
        "cannot pin to CPU {cpu}: only CPUs below {PINNABLE_CPUS} can be pinned to; choose another"
    )]
    NumberTooLarge {
        /// The CPU.
        cpu: u32,
    },
    /// The kernel refused. Nothing was changed.
    #[error(
        "the kernel refused to pin this thread to CPU {cpu}: {source}; it may run on {allowed}. Choose among these: \
         the CPU is offline, outside of the control group's cpuset, or a sandbox forbids sched_setaffinity"
    )]
    Refused {
        /// The CPU.
        cpu: u32,
        /// Where the thread may run now.
        allowed: CpuSet,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel accepted, but the thread may run elsewhere all the same.
    #[error(
        "this thread was pinned to CPU {cpu}, and yet it may run on {found}: something else sets its affinity; \
         stop that, or start without pinning"
    )]
    NotHeld {
        /// The CPU.
        cpu: u32,
        /// Where the thread may run now.
        found: CpuSet,
    },
    /// Where the thread may run cannot be read. It may have been pinned.
    #[error(
        "cannot read back where this thread may run after pinning it to CPU {cpu}: {source}; allow sched_getaffinity"
    )]
    Unreadable {
        /// The CPU.
        cpu: u32,
        /// The kernel's reason.
        source: io::Error,
    },
}

/// Pins the calling thread to one CPU, and reads back that it is.
///
/// # Errors
/// [`PinError`], which says whether anything was changed.
pub fn pin_current_thread(cpu: u32) -> Result<(), PinError> {
    // The set behind the call has a fixed size, and a number beyond it would be out of bounds.
    if cpu >= PINNABLE_CPUS {
        return Err(PinError::NumberTooLarge { cpu });
    }
    let accepted = core_affinity::set_for_current(core_affinity::CoreId { id: cpu as usize });
    let refusal = io::Error::last_os_error();
    let found = allowed_cpus().map_err(|source| PinError::Unreadable { cpu, source })?;
    if !accepted {
        return Err(PinError::Refused { cpu, allowed: found, source: refusal });
    }
    if found != CpuSet::from_iter([cpu]) {
        return Err(PinError::NotHeld { cpu, found });
    }
    Ok(())
}

/// The CPUs on which the calling thread may run. The kernel keeps them within the control group's cpuset.
///
/// # Errors
/// The kernel's refusal.
pub fn allowed_cpus() -> io::Result<CpuSet> {
    system::affinity()
}

/// Something keeps every core from starting. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// A switch of the kernel forbids io_uring to everybody.
    #[error(
        "io_uring is switched off on this machine (kernel.io_uring_disabled = 2). Run `sysctl -w \
         kernel.io_uring_disabled=0` as root, and put it into /etc/sysctl.d to keep it"
    )]
    SwitchedOff,
    /// A switch of the kernel leaves io_uring to privileged processes and to one group.
    #[error(
        "io_uring is left to privileged processes on this machine (kernel.io_uring_disabled = 1){}. Run the process \
         with a group that is let in (`sysctl -w kernel.io_uring_group=GID` names it), or run `sysctl -w \
         kernel.io_uring_disabled=0` as root",
        let_in(*.group)
    )]
    OnlyPrivileged {
        /// The group that is let in; `None` when none is.
        group: Option<u32>,
    },
    /// A filter on system calls, as containers have, or a security module refuses io_uring.
    #[error(
        "a security policy refuses io_uring to this process ({}; the kernel says: {reason}). In a container, allow \
         io_uring_setup, io_uring_enter and io_uring_register in its seccomp profile (Docker: \
         --security-opt seccomp=PROFILE.json); otherwise look into the audit log for the security module's denial",
        if *.filtered { "its system calls are filtered" } else { "its system calls are not filtered" }
    )]
    Policy {
        /// Whether this process's system calls are filtered (seccomp).
        filtered: bool,
        /// What the kernel says.
        reason: String,
    },
    /// The kernel has no io_uring.
    #[error(
        "this kernel ({release}) has no io_uring. Boot a kernel built with CONFIG_IO_URING (gVisor and other \
         emulated kernels have none)"
    )]
    NotInKernel {
        /// The kernel's release.
        release: String,
    },
    /// The process may lock too little memory.
    #[error(
        "this process may lock {} KiB of memory, and a core needs {} KiB. {}",
        .soft_bytes / 1024, LOCKED_MEMORY_BYTES_MIN / 1024, raise(*.hard_bytes)
    )]
    LockedMemory {
        /// What is enforced now, in bytes.
        soft_bytes: u64,
        /// How far the process may raise it, in bytes; `None` means without limit.
        hard_bytes: Option<u64>,
    },
    /// No file descriptor is left for a ring.
    #[error(
        "no file descriptor is left for an io_uring: {reason}. Raise `ulimit -n` (LimitNOFILE= of a systemd unit)"
    )]
    Descriptors {
        /// What the kernel says.
        reason: String,
    },
    /// A ring could not be set up for another reason.
    #[error(
        "an io_uring of {PROBE_ENTRIES} entries could not be set up: {reason}. Free memory, or see the kernel log"
    )]
    Other {
        /// What the kernel says.
        reason: String,
    },
}

/// Whether the cores of a node can start on this machine and with the rights and limits of this process.
///
/// Sets up a small ring and takes it down again.
///
/// # Errors
/// [`PreflightError`], with the cause and the remedy.
pub fn preflight() -> Result<(), PreflightError> {
    conclude(&Facts::probe(&SysRoot::real()))
}

/// What was found out about io_uring and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    /// The error number with which a ring was refused, if it was.
    ring_refused: Option<i32>,
    /// The switch `kernel.io_uring_disabled`; `None` where the kernel has none.
    switch: Option<u32>,
    /// The group `kernel.io_uring_group`; `None` when no group is let in.
    group: Option<u32>,
    /// Whether this process's system calls are filtered.
    filtered: bool,
    /// The kernel's release, for people.
    release: String,
    /// How much memory may be locked; `None` when that cannot be told.
    locked_memory: Option<Limit>,
}

impl Facts {
    fn probe(root: &SysRoot) -> Facts {
        let number = |path: &str| root.read(path).ok()?.trim().parse().ok();
        let status = root.read("/proc/thread-self/status").unwrap_or_default();
        let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
        let release = root.read("/proc/sys/kernel/osrelease");
        Facts {
            ring_refused: IoUring::new(PROBE_ENTRIES)
                .err()
                .map(|error| error.raw_os_error().unwrap_or(libc::EIO)),
            switch: number("/proc/sys/kernel/io_uring_disabled"),
            group: number("/proc/sys/kernel/io_uring_group"),
            filtered: seccomp.is_some_and(|mode| mode.trim() == SECCOMP_FILTER),
            release: release.map_or("release unknown".into(), |release| release.trim().to_owned()),
            locked_memory: system::locked_memory_limit().ok(),
        }
    }
}

fn conclude(facts: &Facts) -> Result<(), PreflightError> {
    let Some(error) = facts.ring_refused else { return enough_locked_memory(facts) };
    let reason = io::Error::from_raw_os_error(error).to_string();
    Err(match (error, facts.switch) {
        (libc::EPERM, Some(2)) => PreflightError::SwitchedOff,
        (libc::EPERM, Some(1)) => PreflightError::OnlyPrivileged { group: facts.group },
        (libc::EPERM | libc::EACCES, _) => {
            PreflightError::Policy { filtered: facts.filtered, reason }
        }
        // The switch exists only in kernels that have io_uring, so something in between denies that they do.
        (libc::ENOSYS, switch) if facts.filtered || switch.is_some() => {
            PreflightError::Policy { filtered: facts.filtered, reason }
        }
        (libc::ENOSYS, _) => PreflightError::NotInKernel { release: facts.release.clone() },
        (libc::EMFILE | libc::ENFILE, _) => PreflightError::Descriptors { reason },
        // Kernels before 5.12 count the ring as locked memory.
        (libc::ENOMEM, _) => {
            enough_locked_memory(facts)?;
            PreflightError::Other { reason }
        }
        _ => PreflightError::Other { reason },
    })
}

fn enough_locked_memory(facts: &Facts) -> Result<(), PreflightError> {
    match facts.locked_memory {
        Some(Limit { soft_bytes: Some(soft_bytes), hard_bytes })
            if soft_bytes < LOCKED_MEMORY_BYTES_MIN =>
        {
            Err(PreflightError::LockedMemory { soft_bytes, hard_bytes })
        }
        _ => Ok(()),
    }
}

fn let_in(group: Option<u32>) -> String {
    group.map_or("".into(), |group| format!(" and to group {group}"))
}

fn raise(hard_bytes: Option<u64>) -> String {
    let needed_kib = LOCKED_MEMORY_BYTES_MIN / 1024;
    match hard_bytes {
        Some(hard_bytes) if hard_bytes < LOCKED_MEMORY_BYTES_MIN => format!(
            "Its hard limit is {} KiB, so raise that from outside: LimitMEMLOCK= of a systemd unit, \
             /etc/security/limits.conf, or --ulimit memlock= of a container",
            hard_bytes / 1024
        ),
        _ => format!(
            "Run `ulimit -l {needed_kib}` before it, or set LimitMEMLOCK= of its systemd unit"
        ),
    }
}

/// CPUs that the fixed-size set of the pinning call can hold.
const PINNABLE_CPUS: u32 = 8 * size_of::<libc::cpu_set_t>() as u32;

const PROBE_ENTRIES: u32 = 2;

/// What `Seccomp:` says in the status file when a filter is in force.
const SECCOMP_FILTER: &str = "2";

#[cfg(test)]
#[path = "cpu_tests.rs"]
mod tests;
