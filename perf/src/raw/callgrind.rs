//! Tells callgrind, valgrind's counter of instructions, which part of a thread's work to count.
//!
//! A client request is a sequence of instructions that does nothing on a processor and that valgrind takes as a call
//! (valgrind.h and callgrind.h of valgrind 3.19, whose numbers are an ABI that does not change). Callgrind keeps the
//! state of collecting for each thread, so only the thread that asks is counted. Without valgrind nothing happens.

/// Whether client requests are known for this processor. Where they are not, nothing can be counted.
pub const IS_AVAILABLE: bool = cfg!(target_arch = "x86_64");

/// Starts counting the calling thread's instructions, or stops it; callgrind has to be started with
/// `--collect-atstart=no`.
pub fn toggle_collecting() {
    let request: [u64; 6] = [TOGGLE_COLLECT, 0, 0, 0, 0, 0];
    make(&request);
}

/// `VG_USERREQ__TOGGLE_COLLECT`: the third of the requests that begin at 'C', 'T'.
const TOGGLE_COLLECT: u64 = ((b'C' as u64) << 24 | (b'T' as u64) << 16) + 2;

#[cfg(target_arch = "x86_64")]
fn make(request: &[u64; 6]) {
    // SAFETY: four turns of rdi by 128 bits in all leave it as it was and rbx changes places with itself; valgrind
    // reads the six words behind rax and answers in rdx.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") request.as_ptr(),
            inout("rdx") 0u64 => _,
            options(nostack),
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn make(_request: &[u64; 6]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_valgrind_changes_nothing() {
        assert_eq!(TOGGLE_COLLECT, 0x4354_0002);
        let before: Vec<u64> = (0..8).collect();
        toggle_collecting();
        toggle_collecting();
        assert_eq!(before.iter().sum::<u64>(), 28);
    }
}
