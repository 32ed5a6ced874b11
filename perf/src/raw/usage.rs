//! What this process and its children have used of the machine so far.

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

/// Reads what this process has used, with those of its children that it has waited for.
pub fn of_this_process() -> io::Result<Usage> {
    Ok(read(libc::RUSAGE_SELF)?.plus(of_children()?))
}

/// Reads what those children of this process have used that it has waited for.
pub fn of_children() -> io::Result<Usage> {
    read(libc::RUSAGE_CHILDREN)
}

impl Usage {
    /// Both together.
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns.saturating_add(other.cpu_ns),
            involuntary_switches: self
                .involuntary_switches
                .saturating_add(other.involuntary_switches),
        }
    }

    /// What was used from an earlier reading to this one.
    pub fn since(self, earlier: Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(earlier.involuntary_switches),
        }
    }
}

fn read(whose: libc::c_int) -> io::Result<Usage> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer leads to a structure of the right type that we own.
    let answer = unsafe { libc::getrusage(whose, usage.as_mut_ptr()) };
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

    #[test]
    fn the_work_of_a_child_counts_once_it_has_been_waited_for() {
        let (own, children) =
            (of_this_process().expect("readable"), of_children().expect("readable"));
        let busy = ["-c", "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done"];
        let status = std::process::Command::new("sh").args(busy).status().expect("sh starts");
        assert!(status.success());
        let used = of_children().expect("readable").since(children);
        assert!(used.cpu_ns > 0);
        assert!(of_this_process().expect("readable").since(own).cpu_ns >= used.cpu_ns);
    }
}
