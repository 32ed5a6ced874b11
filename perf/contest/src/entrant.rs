//! The command line of a contestant that is written in Rust.
//!
//! ```text
//! entrant programs                                      the programs that it has, one a line
//! entrant round PROGRAM --messages N --cores 0,1        does one round and prints its report
//! ```
//!
//! The harness gives the process the CPUs of the round before it starts; `--cores` names them again, for those that
//! pin threads and to say how many workers there may be.

use std::process::ExitCode;

use crate::program::{self, Program};
use crate::report::RoundReport;

/// What an entrant is asked to do.
#[derive(Debug)]
pub struct Task {
    /// The program.
    pub program: &'static Program,
    /// Messages of the measured section: whole iterations.
    pub messages: u64,
    /// The CPUs of the round, at least one and at most [`Program::cpus_most`].
    pub cores: Vec<usize>,
}

impl Task {
    /// How many iterations are measured.
    pub fn iterations(&self) -> u64 {
        self.program.iterations(self.messages)
    }

    /// The report of this task.
    pub fn report(&self, elapsed: std::time::Duration, sum: u64) -> RoundReport {
        let elapsed_ns = elapsed.as_nanos() as u64;
        RoundReport { messages: self.messages, elapsed_ns, sum, allocations: None }
    }
}

/// One program of an entrant: its name, and what does a round of it.
pub type Implementation = (&'static str, fn(&Task) -> RoundReport);

/// Does what the command line of this process asks for. Exit code 2 and one line on stderr when it asks for
/// something that is not there, 1 when the work did not come to what it should.
pub fn main(implementations: &[Implementation]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match execute(implementations, &arguments) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error @ (EntrantError::Sum { .. } | EntrantError::Messages { .. })) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Does a short round of every program on each number of CPUs that it makes use of: for an entrant's own test.
pub fn check(implementations: &[Implementation]) -> Result<(), EntrantError> {
    for (name, _) in implementations {
        let most = program::find(name).map_or(1, |program| program.cpus_most);
        for cpus in 1..=most {
            round(implementations, name, CHECK_MESSAGES, (0..cpus).collect())?;
        }
    }
    Ok(())
}

/// Messages of the rounds of [`check`], before they are rounded up to whole iterations.
const CHECK_MESSAGES: u64 = 1_000;

/// Why an entrant did nothing, or nothing of worth.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntrantError {
    /// The command line is not one of the two.
    #[error("write: programs | round PROGRAM --messages N --cores 0,1")]
    Usage,
    /// The program is not one of this entrant's.
    #[error("\"{0}\" is none of this contestant's programs; `programs` lists them")]
    UnknownProgram(String),
    /// More CPUs than the program makes use of.
    #[error("{given} CPUs given, \"{program}\" makes use of at most {most}")]
    TooManyCores {
        /// The program.
        program: &'static str,
        /// How many were given.
        given: usize,
        /// How many it uses.
        most: usize,
    },
    /// Another number of messages was handled than was asked for.
    #[error("{found} messages were handled, expected {expected}")]
    Messages {
        /// How many were asked for.
        expected: u64,
        /// How many were handled.
        found: u64,
    },
    /// The work was done wrongly.
    #[error("the work came to {found}, expected {expected}")]
    Sum {
        /// What it should come to.
        expected: u64,
        /// What it came to.
        found: u64,
    },
}

fn execute(
    implementations: &[Implementation],
    arguments: &[String],
) -> Result<String, EntrantError> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["programs"] => {
            let names: Vec<&str> = implementations.iter().map(|(name, _)| *name).collect();
            Ok(names.join("\n"))
        }
        ["round", name, "--messages", messages, "--cores", cores] => {
            let messages: u64 = messages.parse().map_err(|_| EntrantError::Usage)?;
            let cores: Result<Vec<usize>, _> = cores.split(',').map(str::parse).collect();
            let cores = cores.map_err(|_| EntrantError::Usage)?;
            round(implementations, name, messages, cores).map(|report| report.to_string())
        }
        _ => Err(EntrantError::Usage),
    }
}

fn round(
    implementations: &[Implementation],
    name: &str,
    messages: u64,
    cores: Vec<usize>,
) -> Result<RoundReport, EntrantError> {
    let unknown = || EntrantError::UnknownProgram(name.to_owned());
    let program = program::find(name).ok_or_else(unknown)?;
    let (_, run) = implementations.iter().find(|(own, _)| *own == name).ok_or_else(unknown)?;
    if cores.len() > program.cpus_most {
        return Err(EntrantError::TooManyCores {
            program: program.name,
            given: cores.len(),
            most: program.cpus_most,
        });
    }
    let task = Task { program, messages: program.whole_messages(messages), cores };
    let report = run(&task);
    if report.messages != task.messages {
        return Err(EntrantError::Messages { expected: task.messages, found: report.messages });
    }
    let expected = program.expected_sum(task.messages);
    if report.sum != expected {
        return Err(EntrantError::Sum { expected, found: report.sum });
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const OWN: [Implementation; 1] = [("savina-thread-ring", |task| {
        task.report(Duration::from_nanos(7), task.iterations() * 100_000)
    })];

    fn execute_words(text: &str) -> Result<String, EntrantError> {
        execute(&OWN, &text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_round_has_whole_iterations_and_is_reported() {
        let text = execute_words("round savina-thread-ring --messages 150000 --cores 0");
        assert_eq!(text.as_deref(), Ok("messages=200000 elapsed_ns=7 sum=200000"));
        assert_eq!(execute_words("programs").as_deref(), Ok("savina-thread-ring"));
    }

    #[test]
    fn work_that_comes_to_something_else_is_refused() {
        let wrong: [Implementation; 1] =
            [("savina-thread-ring", |task| task.report(Duration::ZERO, 1))];
        let arguments = ["round", "savina-thread-ring", "--messages", "1", "--cores", "0"];
        let found = execute(&wrong, &arguments.map(str::to_owned));
        assert_eq!(found, Err(EntrantError::Sum { expected: 100_000, found: 1 }));
        assert_eq!(check(&wrong), Err(EntrantError::Sum { expected: 100_000, found: 1 }));
        assert_eq!(check(&OWN), Ok(()));
    }

    #[test]
    fn a_round_of_another_length_is_refused() {
        let wrong: [Implementation; 1] = [("savina-thread-ring", |task| RoundReport {
            messages: 1,
            ..task.report(Duration::ZERO, 100_000)
        })];
        assert_eq!(check(&wrong), Err(EntrantError::Messages { expected: 100_000, found: 1 }));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let unknown = execute_words("round savina-big --messages 1 --cores 0");
        assert_eq!(unknown, Err(EntrantError::UnknownProgram("savina-big".into())));
        let crowded = execute_words("round savina-thread-ring --messages 1 --cores 0,1,2");
        assert!(matches!(crowded, Err(EntrantError::TooManyCores { given: 3, most: 2, .. })));
        assert_eq!(execute_words("run"), Err(EntrantError::Usage));
    }
}
