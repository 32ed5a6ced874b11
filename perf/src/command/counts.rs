//! `counts`: what a thousand messages take of the machine, now and at another revision.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::CommandError;
use super::compare::Progress;
use super::round::{CpuList, chosen_cpus, parse_cpu_list};
use crate::counts::callgrind;
use crate::counts::count::{Missing, Quantity, ScenarioCounts};
use crate::counts::pass::Counter;
use crate::counts::table;
use crate::revision::{self, Revision};
use crate::scenario::{self, Description};

/// The arguments of `counts`.
#[derive(Args, Debug)]
pub struct CountsArguments {
    /// The scenarios' names; all that have cores when there are none.
    scenarios: Vec<String>,
    /// Another git revision, which is built and counted too; what rose since then is shown.
    #[arg(long, value_name = "REV")]
    against: Option<String>,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// The CPUs to use, as in 0,2-3; all allowed ones when absent.
    #[arg(long, value_parser = parse_cpu_list)]
    cores: Option<CpuList>,
}

impl CountsArguments {
    /// Counts and prints. An error of a count is printed with it, and the exit code is 1 then.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
        let chosen = chosen_scenarios(&self.scenarios)?;
        let cpus = chosen_cpus(self.cores.as_ref())?;
        let valgrind = callgrind::version();
        let progress = Progress::new("counts");
        let mut note = |step: &str| progress.note(step);
        let present = revision::build(revision::PRESENT[1], &mut note)?;
        let other = match &self.against {
            Some(name) => Some(revision::build(name, &mut note)?),
            None => None,
        };
        let count = |program: &Path, what: &str| -> Vec<ScenarioCounts> {
            let counter = Counter { program, cpus: &cpus, valgrind: valgrind.as_deref() };
            let mut show = |step: &str| progress.step(&format!("{what}{step}"));
            chosen.iter().map(|description| counter.count(description, &mut show)).collect()
        };
        let there = other.map(|it| (count(&it.program, &format!("{}, ", it.name)), it));
        let mut here = count(&present.program, "");
        progress.clear();
        if there.is_some() && env!("MAINSPRING_PROFILE") != "release" {
            let why = Missing::NotPossible(NOT_A_RELEASE_BUILD.to_owned());
            here.iter_mut().for_each(|it| it.put(Quantity::Instructions, Err(why.clone())));
        }
        io::stdout().write_all(self.text(&here, there.as_ref()).as_bytes())?;
        let has_failed = here.iter().any(|counts| counts.failures().next().is_some());
        Ok(if has_failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn text(
        &self,
        here: &[ScenarioCounts],
        there: Option<&(Vec<ScenarioCounts>, Revision)>,
    ) -> String {
        match (there, self.json) {
            (None, false) => table::table(here),
            (Some((there, revision)), false) => table::comparison(&revision.name, there, here),
            (None, true) => json!({"counts": table::to_json(here)}).to_string() + "\n",
            (Some((there, Revision { name, commit, .. })), true) => {
                let changes = table::changes_to_json(&table::changes(there, here));
                let counts = table::to_json(there);
                let against = json!({"name": name, "commit": commit, "counts": counts});
                let all = json!({
                    "counts": table::to_json(here), "against": against, "changes": changes
                });
                all.to_string() + "\n"
            }
        }
    }
}

const NOT_A_RELEASE_BUILD: &str =
    "this is no release build and the other revision is one; start with `cargo run --release`";

/// The scenarios with these names, or all that measure the runtime when there are no names.
fn chosen_scenarios(names: &[String]) -> Result<Vec<&'static Description>, CommandError> {
    if names.is_empty() {
        let all = scenario::all().into_iter().map(|scenario| scenario.description());
        return Ok(all.filter(|description| description.idle.is_some()).collect());
    }
    names.iter().map(|name| description_of(name)).collect()
}

/// The description of the scenario with this name.
pub fn description_of(name: &str) -> Result<&'static Description, CommandError> {
    let unknown = || CommandError::UnknownScenario(name.to_owned());
    scenario::find(name).map(|scenario| scenario.description()).ok_or_else(unknown)
}
