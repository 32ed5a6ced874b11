//! Marks the ends of a measured section for a tracer that watches this process.
//!
//! A mark is a `getpriority` call that asks about a process number which cannot exist, so the kernel answers "no such
//! process" and nothing changes. Without a tracer a mark is a system call of no effect.

/// Which end of the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The section starts behind this call.
    Begin,
    /// The section ends before this call.
    End,
}

impl Mark {
    /// Makes the call that the tracer looks for.
    pub fn make(self) {
        // SAFETY: the call takes no pointers and changes nothing; its answer is of no interest.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, self.process()) };
    }

    /// The mark that a system call with these arguments is, if it is one.
    pub fn of_call(number: u64, arguments: [u64; 6]) -> Option<Mark> {
        let is_mark =
            number == libc::SYS_getpriority as u64 && arguments[0] == libc::PRIO_PROCESS as u64;
        let process = arguments[1] as libc::id_t;
        [Mark::Begin, Mark::End].into_iter().find(|mark| is_mark && mark.process() == process)
    }

    /// Process numbers stop at 2^22, so these are nobody's.
    const fn process(self) -> libc::id_t {
        match self {
            Mark::Begin => 0x6d73_0001,
            Mark::End => 0x6d73_0002,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_told_from_an_honest_call() {
        let number = libc::SYS_getpriority as u64;
        let process = libc::PRIO_PROCESS as u64;
        assert_eq!(Mark::of_call(number, [process, 0x6d73_0001, 0, 0, 0, 0]), Some(Mark::Begin));
        assert_eq!(Mark::of_call(number, [process, 0x6d73_0002, 0, 0, 0, 0]), Some(Mark::End));
        assert_eq!(Mark::of_call(number, [process, 0, 0, 0, 0, 0]), None);
        assert_eq!(Mark::of_call(number + 1, [process, 0x6d73_0001, 0, 0, 0, 0]), None);
    }
}
