//! How long a tick of the kernel's clock is: what a thread may wait for when it needs a CPU that another one keeps.

use std::mem::MaybeUninit;

/// The length of a tick in nanoseconds; none where the kernel does not say. 4,000,000 where it ticks 250 times a
/// second.
pub fn length_ns() -> Option<u64> {
    let mut length = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the pointer leads to a structure of the right type that we own.
    let answer = unsafe { libc::clock_getres(libc::CLOCK_REALTIME_COARSE, length.as_mut_ptr()) };
    if answer != 0 {
        return None;
    }
    // SAFETY: the structure is all integers, for which zero is a value, and the kernel has filled it in.
    let length = unsafe { length.assume_init() };
    let whole_ns = u64::try_from(length.tv_sec).ok()?.checked_mul(1_000_000_000)?;
    whole_ns.checked_add(u64::try_from(length.tv_nsec).ok()?).filter(|ns| *ns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_between_a_ten_thousandth_and_a_tenth_of_a_second() {
        let length = length_ns().expect("Linux says it");
        assert!((100_000..=100_000_000).contains(&length), "{length}");
    }
}
