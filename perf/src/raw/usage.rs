//! What this process has used of the machine so far.

use std::io;
use std::mem::MaybeUninit;

/// What all threads of this process, also those that have ended, have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user code and in the kernel.
    pub cpu_ns: u64,
    /// How often the kernel took a CPU away from a thread that wanted to go on.
    pub involuntary_switches: u64,
}

/// Reads what this process has used.
pub fn of_this_process() -> io::Result<Usage> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer leads to a structure of the right type that we own.
    let answer = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the structure holds integers only and was zeroed, so it is initialised whatever the kernel wrote.
    let usage = unsafe { usage.assume_init() };
    Ok(Usage {
        cpu_ns: time_ns(usage.ru_utime) + time_ns(usage.ru_stime),
        involuntary_switches: usage.ru_nivcsw as u64,
    })
}

fn time_ns(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_work_shows_as_cpu_time() {
        let before = of_this_process().expect("readable");
        let mut after = before;
        while after.cpu_ns < before.cpu_ns + 1_000_000 {
            after = of_this_process().expect("readable");
        }
        assert!(after.involuntary_switches >= before.involuntary_switches);
    }
}
