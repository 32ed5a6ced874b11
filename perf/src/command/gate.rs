//! `gate`: fails when a count has risen over the baseline of the repository.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use super::compare::Progress;
use super::counts::description_of;
use super::round::{CpuList, chosen_cpus, parse_cpu_list};
use crate::counts::baseline::{Baseline, BaselineError};
use crate::counts::circumstances::Circumstances;
use crate::counts::count::{Count, Quantity, ScenarioCounts};
use crate::counts::gate::{self, Judgement};
use crate::counts::pass::Counter;
use crate::revision;

/// The arguments of `gate`.
#[derive(Args, Debug)]
pub struct GateArguments {
    /// The scenarios' names; all of the baseline when there are none.
    scenarios: Vec<String>,
    /// The file that holds the counts; that of the repository this program was built from when absent.
    #[arg(long, value_name = "FILE", default_value = REPOSITORY_BASELINE)]
    baseline: PathBuf,
    /// Writes what is counted into the baseline, in place of what it held of these scenarios.
    #[arg(long)]
    update: bool,
    /// The CPUs to use, as in 0,2-3; all allowed ones when absent.
    #[arg(long, value_parser = parse_cpu_list)]
    cores: Option<CpuList>,
}

const REPOSITORY_BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.json");

impl GateArguments {
    /// Counts, compares and says what rose; or counts and writes it down.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
        let baseline = self.baseline()?;
        let circumstances = Circumstances::here();
        let all = self.count(&baseline, &circumstances)?;
        if self.update {
            self.write(baseline, circumstances, &all)
        } else {
            report(&gate::judge(&baseline, &circumstances, &all), &all)
        }
    }

    /// Counts every scenario. What may fail the gate and what is to be kept is counted a second time.
    fn count(
        &self,
        baseline: &Baseline,
        circumstances: &Circumstances,
    ) -> Result<Vec<ScenarioCounts>, CommandError> {
        let names: Vec<&String> = if self.scenarios.is_empty() {
            baseline.scenarios.keys().collect()
        } else {
            self.scenarios.iter().collect()
        };
        let chosen: Vec<_> =
            names.into_iter().map(|name| description_of(name)).collect::<Result<_, _>>()?;
        let cpus = chosen_cpus(self.cores.as_ref())?;
        let progress = Progress::new("gate");
        let present = revision::build(revision::PRESENT[1], &mut |step| progress.step(step))?;
        let valgrind = circumstances.valgrind.as_deref();
        let counter = Counter { program: &present.program, cpus: &cpus, valgrind };
        let mut all = Vec::new();
        for description in chosen {
            let count = || counter.count(description, &mut |step| progress.step(step));
            let first = count();
            let judgement = gate::judge(baseline, circumstances, std::slice::from_ref(&first));
            all.push(match (self.update, judgement.rises.is_empty()) {
                (true, _) => same_in_both(first, &count()),
                (false, false) => first.lower(count()),
                (false, true) => first,
            });
        }
        progress.clear();
        Ok(all)
    }

    /// The file, or an empty baseline where there is none yet and scenarios are named for it.
    fn baseline(&self) -> Result<Baseline, BaselineError> {
        match Baseline::read(&self.baseline) {
            Err(BaselineError::NotThere(_)) if self.update && !self.scenarios.is_empty() => {
                let circumstances = Circumstances::here();
                Ok(Baseline { circumstances, scenarios: BTreeMap::new() })
            }
            outcome => outcome,
        }
    }

    fn write(
        &self,
        mut baseline: Baseline,
        circumstances: Circumstances,
        all: &[ScenarioCounts],
    ) -> Result<ExitCode, CommandError> {
        let failures: Vec<String> = all.iter().flat_map(ScenarioCounts::failures).collect();
        if !failures.is_empty() {
            complain(&failures);
            return Ok(ExitCode::from(1));
        }
        let mut text = String::new();
        if let Some(difference) = circumstances.difference_to(&baseline.circumstances) {
            // Instructions of scenarios that are not counted now would be taken for those of these circumstances.
            text += &format!("instructions known so far are left out: {difference}\n");
            for counts in baseline.scenarios.values_mut() {
                counts.remove(&Quantity::Instructions);
            }
            baseline.circumstances = circumstances;
        }
        for counts in all {
            baseline.take(counts);
            for remark in &counts.remarks {
                text += &format!("{}: {remark}\n", counts.scenario);
            }
        }
        baseline.write(&self.baseline)?;
        text += &format!("{}: {} scenarios counted\n", self.baseline.display(), all.len());
        io::stdout().write_all(text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What came out alike in two counts. What did not is left out, with a remark: it would fail somebody's gate by chance.
fn same_in_both(mut first: ScenarioCounts, second: &ScenarioCounts) -> ScenarioCounts {
    let exact = |quantity: &Quantity| *quantity != Quantity::Instructions;
    let differs =
        |quantity: &Quantity| match (first.counted.get(quantity), second.counted.get(quantity)) {
            (Some(one), Some(other)) => one.compare(*other).is_ne(),
            _ => true,
        };
    let vague: Vec<Quantity> =
        first.counted.keys().filter(|it| exact(it) && differs(it)).copied().collect();
    for quantity in vague {
        first.counted.remove(&quantity);
        let name = quantity.name();
        first.remarks.push(format!("{name} are left out: two counts of them were not the same"));
    }
    first.lower(ScenarioCounts { counted: instructions_of(second), ..second.clone() })
}

fn instructions_of(counts: &ScenarioCounts) -> BTreeMap<Quantity, Count> {
    let instructions = counts.counted.get(&Quantity::Instructions);
    instructions.map(|count| (Quantity::Instructions, *count)).into_iter().collect()
}

/// Rises and failures on stderr, everything else on stdout.
fn report(judgement: &Judgement, all: &[ScenarioCounts]) -> Result<ExitCode, CommandError> {
    let mut text = String::new();
    for sentence in &judgement.not_compared {
        text += &format!("not compared: {sentence}\n");
    }
    for change in &judgement.falls {
        text += &format!("fell: {change}; keep it with `gate --update`\n");
    }
    let mut complaints: Vec<String> = all.iter().flat_map(ScenarioCounts::failures).collect();
    for change in &judgement.rises {
        let against = "see what did it with `counts --against`, or accept it with `gate --update`";
        complaints.push(format!("{change}; {against}"));
    }
    if complaints.is_empty() {
        text += &format!("{} scenarios counted, nothing rose\n", all.len());
    }
    io::stdout().write_all(text.as_bytes())?;
    complain(&complaints);
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn complain(lines: &[String]) {
    for line in lines {
        eprintln!("mainspring-perf: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::count::Missing;

    fn counts(allocations: u64, instructions: u64) -> ScenarioCounts {
        let why = Missing::NotPossible("not asked for".into());
        let mut counts = ScenarioCounts::without("tell", why);
        for (quantity, total) in
            [(Quantity::Allocations, allocations), (Quantity::Instructions, instructions)]
        {
            counts.put(quantity, Ok(Count { total, messages: 1_000 }));
        }
        counts
    }

    #[test]
    fn what_is_not_the_same_twice_is_not_kept() {
        let kept = same_in_both(counts(5, 1_000), &counts(6, 999));
        assert!(!kept.counted.contains_key(&Quantity::Allocations));
        assert_eq!(kept.counted[&Quantity::Instructions].total, 999);
        assert_eq!(
            kept.remarks,
            ["allocations are left out: two counts of them were not the same"]
        );
    }

    #[test]
    fn what_is_the_same_twice_is_kept() {
        let kept = same_in_both(counts(5, 1_000), &counts(5, 1_001));
        assert_eq!(kept.counted[&Quantity::Allocations].total, 5);
        assert_eq!(kept.counted[&Quantity::Instructions].total, 1_000);
        assert!(kept.remarks.is_empty());
    }
}
