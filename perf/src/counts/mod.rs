//! What a message takes of the machine, counted and not timed: instructions, allocations, system calls.
//!
//! A count of one revision can be compared with that of another on any machine, however busy it is, so a count may stop
//! a change where a time may not. It promises that nothing is estimated: what could not be counted has no figure but a
//! reason. Each quantity is counted in a round of its own by a child of its own, so that no counter is counted.
//!
//! | module | what |
//! |---|---|
//! | [`count`] | a count with the messages it was counted over, and all of one scenario |
//! | [`pass`] | the rounds in which the children count |
//! | [`callgrind`] | starts valgrind's counter of instructions and reads what it wrote |
//! | [`circumstances`] | compiler, valgrind and processor: what has to be the same for instructions |
//! | [`baseline`] | the counts that are kept in the repository |
//! | [`gate`] | whether something rose over the baseline; a pure function |
//! | [`table`] | counts for people |

pub mod baseline;
pub mod callgrind;
pub mod circumstances;
pub mod count;
pub mod gate;
pub mod pass;
pub mod table;
