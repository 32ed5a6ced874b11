//! What every contestant of a comparison does: the programs with their parameters, the line that reports a round,
//! and the command line of a contestant that is written in Rust.
//!
//! mainspring's own scenarios and the peers' programs both stand on this crate, so that they do the same work and
//! count it alike. It knows no runtime. `PROGRAMS.md` beside this crate describes each program in words, for
//! contestants in other languages.
//!
//! Invariant: what a program comes to ([`Program::expected_sum`]) does not depend on the order in which its
//! messages are handled, so a sum that differs is a mistake and never a matter of scheduling.
#![forbid(unsafe_code)]

pub mod chat;
pub mod entrant;
pub mod event;
pub mod event_store;
pub mod far_process;
pub mod program;
pub mod random;
pub mod report;
pub mod store_folder;
pub mod work;

pub use program::Program;
pub use random::Random;
pub use report::RoundReport;
pub use store_folder::StoreFolder;
