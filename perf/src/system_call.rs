//! Names of the system calls that a message could cause, for people. Others are shown by their number.

use std::collections::BTreeMap;

use crate::raw::trace::SystemCalls;

/// Counted calls by name.
pub fn by_name(calls: &SystemCalls) -> BTreeMap<String, u64> {
    calls.by_number.iter().map(|(number, count)| (name_of(*number), *count)).collect()
}

fn name_of(number: u64) -> String {
    let known = NAMES.iter().find(|(known, _)| *known as u64 == number);
    known.map_or_else(|| format!("call {number}"), |(_, name)| (*name).to_owned())
}

const NAMES: [(libc::c_long, &str); 26] = [
    (libc::SYS_brk, "brk"),
    (libc::SYS_clock_gettime, "clock_gettime"),
    (libc::SYS_clock_nanosleep, "clock_nanosleep"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_close, "close"),
    (libc::SYS_epoll_pwait, "epoll_pwait"),
    (libc::SYS_eventfd2, "eventfd2"),
    (libc::SYS_exit, "exit"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_getppid, "getppid"),
    (libc::SYS_io_uring_enter, "io_uring_enter"),
    (libc::SYS_io_uring_register, "io_uring_register"),
    (libc::SYS_io_uring_setup, "io_uring_setup"),
    (libc::SYS_madvise, "madvise"),
    (libc::SYS_membarrier, "membarrier"),
    (libc::SYS_mmap, "mmap"),
    (libc::SYS_mprotect, "mprotect"),
    (libc::SYS_mremap, "mremap"),
    (libc::SYS_munmap, "munmap"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_ppoll, "ppoll"),
    (libc::SYS_read, "read"),
    (libc::SYS_rt_sigprocmask, "rt_sigprocmask"),
    (libc::SYS_sched_yield, "sched_yield"),
    (libc::SYS_timerfd_settime, "timerfd_settime"),
    (libc::SYS_write, "write"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_calls_have_names_and_others_numbers() {
        let by_number = BTreeMap::from([(libc::SYS_write as u64, 2), (99_999, 1)]);
        let names = by_name(&SystemCalls { by_number });
        assert_eq!(names, BTreeMap::from([("write".into(), 2), ("call 99999".into(), 1)]));
    }
}
