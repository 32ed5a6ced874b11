//! The command `mainspring-tune`: looks at a machine, holds it against a profile, explains every check, brings the
//! machine to the profile and back.
//!
//! Promises: one file a command. Exit code 0 all is well, 1 there are findings, 2 the question could not be answered:
//! a wrong command line, a profile that is refused, a machine that does not even tell its CPUs. Every error is one line
//! on standard error.

mod apply;
mod audit;
mod effect;
mod explain;
mod interrupt;
mod jitter;
mod paragraph;
mod plan;
mod planned;
mod record;
mod topology;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::apply::{ApplyError, UndoError};
use crate::effect::EffectError;
use crate::jitter::JitterError;
use crate::profile::ProfileError;
use crate::sys_root::SysRoot;
use crate::topology::TopologyError;

/// Runs one command line, the program's name first, and returns the exit code.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let lines: Vec<&str> =
                text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            let text = lines.join(" ");
            let text = text.trim_start_matches("error: ");
            // Nobody is left to be told when this cannot be written.
            let _ = writeln!(errors, "mainspring-tune: {text}; see --help");
            return FATAL;
        }
        Err(help) => {
            let _ = write!(out, "{help}");
            return 0;
        }
    };
    match arguments.execute(out).and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            let _ = writeln!(errors, "mainspring-tune: {error}");
            FATAL
        }
    }
}

/// The exit code when the machine is as wanted.
const AS_WANTED: u8 = 0;
/// The exit code when something asks for attention.
const FINDINGS: u8 = 1;
/// The exit code when there is no answer.
const FATAL: u8 = 2;

/// Brings a Linux machine to a low-latency profile.
///
/// Exit code: 0 all is well, 1 there are findings, 2 the question could not be answered.
#[derive(Debug, Parser)]
#[command(name = "mainspring-tune", version)]
struct Arguments {
    /// Looks at the machine recorded in this folder (its files under sys and proc) instead of this one.
    #[arg(long, global = true, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows packages, NUMA nodes, caches, cores and what each CPU is best for.
    Topology(topology::TopologyArguments),
    /// Holds the machine against a profile: a row a check.
    Audit(audit::AuditArguments),
    /// Explains a check: what it does, what it costs, who disagrees, where to read on; without an id, lists them.
    Explain(explain::ExplainArguments),
    /// Prints what would bring the machine to a profile, to read or for others to run; changes nothing.
    Plan(plan::PlanArguments),
    /// Makes the plan's steps, after keeping what is needed to take them back.
    Apply(apply::ApplyArguments),
    /// Says whether what was applied still holds.
    Verify(apply::VerifyArguments),
    /// Takes back what was applied.
    Undo(apply::UndoArguments),
    /// Measures how long a thread that never waits is kept from running, on each CPU, and by whom.
    Jitter(jitter::JitterArguments),
    /// Measures what one setting changes: without it and with it in turns; what it was is restored.
    Effect(effect::EffectArguments),
    /// Copies what the checks read into a new folder, for --root: a machine to look at from elsewhere, or in a test.
    Record(record::RecordArguments),
}

impl Arguments {
    fn execute(self, out: &mut dyn Write) -> Result<u8, CommandError> {
        let root = self.root.map_or_else(SysRoot::real, SysRoot::recorded);
        let context = Context { root, is_json: self.json };
        match self.command {
            Command::Topology(arguments) => arguments.execute(&context, out),
            Command::Audit(arguments) => arguments.execute(&context, out),
            Command::Explain(arguments) => arguments.execute(&context, out),
            Command::Plan(arguments) => arguments.execute(&context, out),
            Command::Apply(arguments) => arguments.execute(&context, out),
            Command::Verify(arguments) => arguments.execute(&context, out),
            Command::Undo(arguments) => arguments.execute(&context, out),
            Command::Jitter(arguments) => arguments.execute(&context, out),
            Command::Effect(arguments) => arguments.execute(&context, out),
            Command::Record(arguments) => arguments.execute(&context, out),
        }
    }
}

/// What all commands share.
struct Context {
    root: SysRoot,
    is_json: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("the profile {profile} is for audits only; name another by --profile")]
    AuditOnly { profile: String },
    #[error(transparent)]
    Jitter(#[from] JitterError),
    #[error("{command} measures the machine that it runs on; leave out --root")]
    OnlyHere { command: &'static str },
    #[error(transparent)]
    Effect(#[from] EffectError),
    #[error("{id}: {why}")]
    NothingToMeasure { id: String, why: &'static str },
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Undo(#[from] UndoError),
    #[error(
        "there is no check {id:?}{}; `mainspring-tune explain` lists all",
        .nearest.map_or(String::new(), |id| format!(", did you mean {id}?"))
    )]
    UnknownCheck { id: String, nearest: Option<&'static str> },
    #[error("{}: {source}; name a new folder where you may write", .path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
