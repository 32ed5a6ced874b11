//! What had to be assumed because the machine did not say it.

use crate::cpu_set::CpuListError;
use crate::sys_root::ReadError;
use std::fmt;
use thiserror::Error;

/// An entry of the machine that was missing or malformed, and what was assumed in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What the entry tells, as a stable dotted name, such as `cpu.siblings`.
    pub name: &'static str,
    /// The entry's path.
    pub path: String,
    /// What is wrong with it, as a clause.
    pub problem: String,
    /// What was assumed instead, as a clause.
    pub assumed: &'static str,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}; {}", self.name, self.path, self.problem, self.assumed)
    }
}

/// Why an entry could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("is malformed: {0}")]
    List(#[from] CpuListError),
    #[error("is malformed: {text:?} is not a number")]
    Number { text: String },
    #[error("contradicts itself: {0}")]
    Contradiction(String),
}
