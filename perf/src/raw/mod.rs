//! What the harness asks of the kernel and of the allocator that safe Rust does not offer.
//!
//! This is the only module of the crate that may contain `unsafe`. Each file wraps one thing, and its public face
//! cannot be misused: every function may be called by any thread, at any time, with any argument, and answers with
//! a typed error when the kernel refuses.
//!
//! | file | what |
//! |---|---|
//! | [`affinity`] | which CPUs the calling thread may use; pinning it to one, read back |
//! | [`event_fd`] | a counter that a thread can sleep on: the kernel's cheapest wake-up |
//! | [`allocator`] | the system's allocator with a count in front |
//! | [`tick`] | how long a tick of the kernel's clock is |
//! | [`usage`] | CPU time and involuntary switches of this process and its children |
//! | [`mark`] | harmless system calls that mark the ends of a measured section |
//! | [`child_end`] | waits for the end of a child, at most so long, without looking again and again |
//! | [`c_library`] | which C library this program runs with |
//! | [`direct_file`] | a file written past the page cache, one durable commit after the other |
//! | [`callgrind`] | tells valgrind's counter of instructions where a section begins and ends |
//! | [`trace`] | runs a child and counts its system calls between the marks |

pub mod affinity;
pub mod allocator;
pub mod c_library;
pub mod callgrind;
pub mod child_end;
pub mod direct_file;
pub mod event_fd;
pub mod mark;
pub mod tick;
pub mod trace;
pub mod usage;
