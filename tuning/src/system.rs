//! The questions to the kernel for which there is no file: this thread's affinity mask, resource limits, how often it
//! was interrupted, and how a network device holds interrupts back.
//!
//! Promises: nothing is changed but where the calling thread runs, if [`pin_to`] is asked to. A refusal of the kernel
//! is returned, never guessed around. The only unsafe code of the crate.

use crate::cpu_set::{CPU_LIMIT, CpuSet};
use std::io;
use std::os::fd::AsRawFd;

/// A resource limit of this process. `None` means unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is enforced now, in bytes.
    pub soft_bytes: Option<u64>,
    /// How far the process may raise it, in bytes.
    pub hard_bytes: Option<u64>,
}

/// The CPUs on which the calling thread may run.
///
/// A thread inherits the mask of the thread that started it: ask before pinning.
///
/// # Errors
/// The kernel's refusal; sandboxes may forbid the call.
pub fn affinity() -> io::Result<CpuSet> {
    let mut words: [libc::c_ulong; MASK_WORDS] = [0; MASK_WORDS];
    // SAFETY: the kernel writes at most the given size, which is the size of the array behind the pointer.
    let result =
        unsafe { libc::sched_getaffinity(0, size_of_val(&words), words.as_mut_ptr().cast()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((0..CPU_LIMIT)
        .filter(|&cpu| words[(cpu / WORD_BITS) as usize] >> (cpu % WORD_BITS) & 1 == 1)
        .collect())
}

/// Has the calling thread run on this CPU only, and checks that it does. Threads that it starts are pinned too.
///
/// # Errors
/// The kernel's refusal: the CPU is offline, beyond the cpuset, or not one at all.
pub fn pin_to(cpu: u32) -> io::Result<()> {
    if cpu >= CPU_LIMIT {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut words: [libc::c_ulong; MASK_WORDS] = [0; MASK_WORDS];
    words[(cpu / WORD_BITS) as usize] = 1 << (cpu % WORD_BITS);
    // SAFETY: the kernel reads at most the given size, which is the size of the array behind the pointer.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&words), words.as_ptr().cast()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let found = affinity()?;
    if found.iter().ne([cpu]) {
        return Err(io::Error::other(format!("the kernel reports CPUs {found} instead")));
    }
    Ok(())
}

/// How often the kernel has taken the CPU away from the calling thread while it wanted to go on.
///
/// # Errors
/// The kernel's refusal; sandboxes may forbid the call.
pub fn involuntary_switches() -> io::Result<u64> {
    // SAFETY: an all-zero rusage is a valid value of a type of plain numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a valid rusage, which the kernel fills.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usage.ru_nivcsw as u64)
}

/// How much memory this process may lock, which is also what bounds io_uring's registered buffers (and, before Linux
/// 5.12, its rings).
///
/// # Errors
/// The kernel's refusal.
pub fn locked_memory_limit() -> io::Result<Limit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a valid rlimit, which the kernel fills.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = |limit| if limit == libc::RLIM_INFINITY { None } else { Some(limit) };
    Ok(Limit { soft_bytes: bytes(limit.rlim_cur), hard_bytes: bytes(limit.rlim_max) })
}

/// How long a network device holds interrupts back, so as to announce several frames at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coalescing {
    /// Whether the driver chooses the receiving side's delay.
    pub is_receiving_adaptive: bool,
    /// Whether the driver chooses the sending side's delay.
    pub is_sending_adaptive: bool,
    /// The delay of the receiving side, in microseconds.
    pub receiving_us: u32,
    /// The delay of the sending side, in microseconds.
    pub sending_us: u32,
}

/// What the driver of the network device says of its interrupts.
///
/// # Errors
/// The kernel's refusal: the device does not exist, or its driver has no such settings.
pub fn coalescing(device: &str) -> io::Result<Coalescing> {
    // SAFETY: an all-zero ifreq and an all-zero array are valid values of types of plain numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if device.is_empty() || device.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = from as libc::c_char;
    }
    let mut answer = [0_u32; COALESCE_WORDS];
    answer[0] = ETHTOOL_GET_COALESCE;
    request.ifr_ifru.ifru_data = answer.as_mut_ptr().cast();
    // Any socket will do: it only names the network namespace.
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    // SAFETY: the request and the array behind its pointer live until the call returns, and the kernel writes at most
    // its ethtool_coalesce, which is the size of the array.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &mut request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Coalescing {
        is_receiving_adaptive: answer[ADAPTIVE_RECEIVING_WORD] != 0,
        is_sending_adaptive: answer[ADAPTIVE_RECEIVING_WORD + 1] != 0,
        receiving_us: answer[RECEIVING_WORD],
        sending_us: answer[SENDING_WORD],
    })
}

/// `struct ethtool_coalesce` of `include/uapi/linux/ethtool.h`: 23 numbers of 32 bits.
const COALESCE_WORDS: usize = 23;
const RECEIVING_WORD: usize = 1;
const SENDING_WORD: usize = 5;
const ADAPTIVE_RECEIVING_WORD: usize = 10;
const ETHTOOL_GET_COALESCE: u32 = 0x0e;
const SIOCETHTOOL: u32 = 0x8946;

const WORD_BITS: u32 = libc::c_ulong::BITS;
const MASK_WORDS: usize = (CPU_LIMIT / WORD_BITS) as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_thread_may_run_somewhere_and_the_kernel_says_the_same_in_its_file() {
        let cpus = affinity().unwrap();
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        assert_eq!(cpus, line.trim().parse().unwrap());
        assert!(!cpus.is_empty());
    }

    #[test]
    fn a_thread_that_is_pinned_runs_there_only_and_a_cpu_that_is_none_is_refused() {
        let cpus = affinity().unwrap();
        let cpu = cpus.first().unwrap();
        std::thread::spawn(move || {
            pin_to(cpu).unwrap();
            assert_eq!(affinity().unwrap().iter().collect::<Vec<_>>(), [cpu]);
        })
        .join()
        .unwrap();
        assert!(pin_to(CPU_LIMIT).is_err());
        assert!(pin_to(CPU_LIMIT - 1).is_err());
        assert_eq!(affinity().unwrap(), cpus);
    }

    #[test]
    fn the_switches_of_a_thread_are_what_the_kernel_says_in_its_file() {
        let before = involuntary_switches().unwrap();
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let after = involuntary_switches().unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
        let told: u64 = line.unwrap().trim().parse().unwrap();
        assert!((before..=after).contains(&told), "{before} {told} {after}");
    }

    #[test]
    fn the_locked_memory_limit_is_what_the_kernel_says_in_its_file() {
        let limit = locked_memory_limit().unwrap();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory")).unwrap();
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        assert_eq!(words.next(), Some(limit.soft_bytes));
        assert_eq!(words.next(), Some(limit.hard_bytes));
    }
}
