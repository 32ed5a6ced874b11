//! Which CPUs the calling thread may use, and pinning it to one of them.
//!
//! [`pin_to`] reads the mask back: a thread that believes it is pinned and is not makes every figure wrong.

use std::io;
use std::mem;

/// A mask could not be read, or a thread could not be pinned. The thread stays where it was.
#[derive(Debug, thiserror::Error)]
pub enum AffinityError {
    /// The kernel would not tell the mask of this thread.
    #[error("the CPU mask of this thread cannot be read: {0}")]
    Unreadable(io::Error),
    /// The number is beyond what a mask can hold.
    #[error("there is no CPU {cpu}: a mask holds CPUs 0 to {highest}")]
    OutOfRange {
        /// The CPU that was asked for.
        cpu: usize,
        /// The highest number a mask can hold.
        highest: usize,
    },
    /// The kernel refused to move the thread.
    #[error("this thread cannot be pinned to CPUs {cpus:?}: {source}; choose allowed CPUs")]
    Refused {
        /// The CPUs that were asked for.
        cpus: Vec<usize>,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel accepted the mask and then reported another one.
    #[error("this thread was pinned to CPUs {cpus:?}, but the kernel reports CPUs {found:?}")]
    NotKept {
        /// The CPUs that were asked for.
        cpus: Vec<usize>,
        /// What was read back.
        found: Vec<usize>,
    },
}

/// The CPUs that the calling thread may use, ascending.
pub fn allowed_cpus() -> Result<Vec<usize>, AffinityError> {
    let set = read_mask()?;
    Ok((0..CPUS_IN_A_MASK).filter(|cpu| contains(&set, *cpu)).collect())
}

/// Pins the calling thread to one CPU and checks that it is.
pub fn pin_to(cpu: usize) -> Result<(), AffinityError> {
    restrict_to(&[cpu])
}

/// Restricts the calling thread, and whatever threads and processes it starts from now on, to some CPUs, which are
/// given in ascending order, and checks that it is.
pub fn restrict_to(cpus: &[usize]) -> Result<(), AffinityError> {
    let mut set = empty_mask();
    for &cpu in cpus {
        if cpu >= CPUS_IN_A_MASK {
            return Err(AffinityError::OutOfRange { cpu, highest: CPUS_IN_A_MASK - 1 });
        }
        // SAFETY: `cpu` is below the number of bits in the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the pointer and the size describe one initialised set; 0 names the calling thread.
    let answer = unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) };
    let asked = || cpus.to_vec();
    if answer != 0 {
        return Err(AffinityError::Refused { cpus: asked(), source: io::Error::last_os_error() });
    }
    let found = allowed_cpus()?;
    if found != cpus {
        return Err(AffinityError::NotKept { cpus: asked(), found });
    }
    Ok(())
}

const CPUS_IN_A_MASK: usize = libc::CPU_SETSIZE as usize;

fn empty_mask() -> libc::cpu_set_t {
    // SAFETY: a set is an array of integers, for which all bits zero is the empty set.
    unsafe { mem::zeroed() }
}

fn read_mask() -> Result<libc::cpu_set_t, AffinityError> {
    let mut set = empty_mask();
    // SAFETY: the pointer and the size describe one set that we own; 0 names the calling thread.
    let answer = unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set) };
    if answer != 0 {
        return Err(AffinityError::Unreadable(io::Error::last_os_error()));
    }
    Ok(set)
}

fn contains(set: &libc::cpu_set_t, cpu: usize) -> bool {
    // SAFETY: callers pass numbers below the number of bits in the set.
    unsafe { libc::CPU_ISSET(cpu, set) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_sees_only_its_cpu() {
        let highest = *allowed_cpus().expect("readable").last().expect("at least one CPU");
        std::thread::spawn(move || {
            pin_to(highest).expect("an allowed CPU");
            assert_eq!(allowed_cpus().expect("readable"), [highest]);
        })
        .join()
        .expect("the pinned thread ends well");
    }

    #[test]
    fn what_a_restricted_thread_starts_is_restricted_too() {
        let highest = *allowed_cpus().expect("readable").last().expect("at least one CPU");
        let start = move || {
            restrict_to(&[highest]).expect("an allowed CPU");
            std::process::Command::new("cat").arg("/proc/self/status").output()
        };
        let output = std::thread::spawn(start).join().expect("no panic").expect("cat starts");
        let status = String::from_utf8(output.stdout).expect("UTF-8");
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        assert_eq!(list.map(str::trim), Some(highest.to_string().as_str()));
    }

    #[test]
    fn no_cpu_at_all_is_refused() {
        assert!(matches!(restrict_to(&[]), Err(AffinityError::Refused { .. })));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused_and_the_thread_stays() {
        let before = allowed_cpus().expect("readable");
        assert!(matches!(pin_to(CPUS_IN_A_MASK), Err(AffinityError::OutOfRange { .. })));
        assert!(matches!(pin_to(CPUS_IN_A_MASK - 1), Err(AffinityError::Refused { .. })));
        assert_eq!(allowed_cpus().expect("readable"), before);
    }
}
