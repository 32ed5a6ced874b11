//! `pair`: two revisions of mainspring, the first one beside itself before it stands beside the second.

use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;

use super::compare::{CompareError, ContestArguments, Printed, Progress};
use super::{CommandError, interrupt};
use crate::comparison::child;
use crate::comparison::contest::{self, ContestError};
use crate::comparison::pair::{PairResult, contestant};
use crate::revision::{self, Revision, RevisionError};

/// The arguments of `pair`.
#[derive(Args, Debug)]
pub struct PairArguments {
    /// The revision to compare with: a commit, a branch, a tag, or . for the program that is running.
    revision_a: String,
    /// The revision that is judged.
    revision_b: String,
    #[command(flatten)]
    contest: ContestArguments,
}

/// Why two revisions are not compared.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// There is no program of a revision.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// The revision is from before rounds could be run one by one.
    #[error("{name} ({commit:.12}) has no `round` command yet; choose a later revision")]
    NoRounds {
        /// The revision.
        name: String,
        /// Its commit.
        commit: String,
    },
}

impl PairError {
    /// Whether the command line is at fault, and not a build.
    pub fn is_of_the_command_line(&self) -> bool {
        match self {
            PairError::Revision(error) => error.is_of_the_name(),
            PairError::NoRounds { .. } => true,
        }
    }
}

impl PairArguments {
    /// Compares the two and prints what may be said of them.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
        let scenario = self.contest.scenario()?;
        let name = scenario.description().name;
        let settings = self.contest.settings(scenario)?;
        let progress = Progress::new(name);
        let stop = interrupt::stop_flag()?;
        let record = self.contest.record("pair", &settings)?;
        let a = ready(&self.revision_a, &progress)?;
        let b = ready(&self.revision_b, &progress)?;
        let hold = |letters: [&str; 2], revisions: [&Revision; 2]| {
            let contestants: Vec<_> = letters
                .iter()
                .zip(revisions)
                .map(|(letter, revision)| contestant(letter, revision, name))
                .collect();
            progress.watching(&stop, |watch| contest::hold(&contestants, &settings, watch))
        };
        let noise = hold(["A", "A again"], [&a, &a]);
        let noise = noise.map_err(CompareError::Contest)?;
        if noise.is_interrupted {
            return Err(CompareError::Contest(ContestError::Interrupted).into());
        }
        let both = hold(["A", "B"], [&a, &b]).map_err(CompareError::Contest)?;
        let result = PairResult::new(name, [&a, &b], &settings, &noise, &both);
        let found =
            Printed { json: result.to_json()?, table: result.to_string(), verdict: result.verdict };
        self.contest.conclude(record, "pair.json", &found)
    }
}

/// The program of a revision that can do rounds.
fn ready(name: &str, progress: &Progress) -> Result<Revision, PairError> {
    let mut is_told = false;
    let mut build_step = |text: &str| {
        if !std::mem::replace(&mut is_told, true) {
            progress.note(&format!("building {name}, which takes minutes the first time"));
        }
        progress.step(text);
    };
    let revision = revision::build(name, &mut build_step)?;
    let mut asked = Command::new(&revision.program);
    asked.args(["round", "--help"]);
    match child::run(asked, &[], HELP_LIMIT) {
        Ok(_) => Ok(revision),
        Err(_) => Err(PairError::NoRounds { name: revision.name, commit: revision.commit }),
    }
}

const HELP_LIMIT: Duration = Duration::from_secs(30);
