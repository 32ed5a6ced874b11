//! `effect`: one setting, measured without it and with it in turns.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::apply::StateArguments;
use super::planned::{Planned, PlannedArguments};
use super::{AS_WANTED, CommandError, Context, interrupt};
use crate::apply::{ApplyError, Done, Outcome, SavedStep, State, apply, undo};
use crate::effect::{self, Effect, EffectError, PingPong, Program, Setting};
use crate::figures::{Conclusion, Estimate};
use crate::sys_root::SysRoot;

/// The arguments of `effect`.
#[derive(Debug, clap::Args)]
pub(super) struct EffectArguments {
    /// The check whose setting is measured.
    id: String,
    /// The profile that says what is wanted: shared-vm, latency, isolated-spin, or the path of a profile.
    #[arg(long, default_value = "latency")]
    profile: String,
    /// The scenario of mainspring-perf; round trips of a word between two CPUs when left out.
    #[arg(long)]
    scenario: Option<String>,
    /// The program mainspring-perf; the one beside this program, else the one on the PATH, when left out.
    #[arg(long, value_name = "PROGRAM", requires = "scenario")]
    perf: Option<PathBuf>,
    /// How many times it is measured with the setting, and twice as often without.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(5..=500))]
    blocks: u16,
    #[command(flatten)]
    state: StateArguments,
}

impl EffectArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        let (profile, only) = (self.profile.clone(), vec![self.id.clone()]);
        let planned = PlannedArguments { profile, only, except: Vec::new() }.plan(&context.root)?;
        if let Some(why) = nothing_to_measure(&planned) {
            return Err(CommandError::NothingToMeasure { id: self.id, why });
        }
        let state = self.state.open(context);
        if let Some(save) = state.load().map_err(ApplyError::from)? {
            return Err(ApplyError::NotUndone { profile: save.profile }.into());
        }
        let stop = interrupt::stop_flag()?;
        let blocks = usize::from(self.blocks);
        let mut setting = Planted { root: &context.root, state: &state, planned: &planned };
        let (effect, what, runs) = match self.scenario {
            None => {
                let mut ping_pong = PingPong::new()?;
                let effect = effect::effect(&mut setting, &mut ping_pong, blocks, &stop)?;
                (effect, "a round trip between two CPUs".to_owned(), (0, 0))
            }
            Some(scenario) => {
                let program = self.perf.unwrap_or_else(program_beside);
                let folder = state.folder().join("effect");
                let mut program = Program::new(program, scenario.clone(), folder);
                let effect = effect::effect(&mut setting, &mut program, blocks, &stop)?;
                (effect, scenario, program.invalid_runs())
            }
        };
        if context.is_json {
            serde_json::to_writer_pretty(&mut *out, &json_of(&self.id, &what, &effect, runs))?;
            writeln!(out)?;
        } else {
            writeln!(out, "{} on {what}", self.id)?;
            for action in &planned.plan.actions {
                writeln!(out, "  {}", action.step)?;
            }
            write_text(&effect, runs, out)?;
        }
        Ok(AS_WANTED)
    }
}

/// Why there is no difference between with and without.
fn nothing_to_measure(planned: &Planned) -> Option<&'static str> {
    let plan = &planned.plan;
    if !plan.actions.is_empty() {
        None
    } else if !plan.boot.is_empty() {
        Some("takes effect at the next boot; measure before and after it with mainspring-perf pair")
    } else if !plan.by_hand.is_empty() {
        Some("is left to a person; `mainspring-tune plan` says why, `explain` how to measure it")
    } else {
        Some(
            "there is nothing to change; `mainspring-tune audit` shows why: measure another value by a --profile",
        )
    }
}

/// The plan of one check, made and undone as by `apply` and `undo`.
struct Planted<'a> {
    root: &'a SysRoot,
    state: &'a State,
    planned: &'a Planned,
}

impl Setting for Planted<'_> {
    fn apply(&mut self) -> Result<(), EffectError> {
        let Planned { profile, facts, plan } = self.planned;
        let done = apply(self.root, self.state, facts.surroundings(), &profile.name, plan);
        let done = done.map_err(|error| EffectError::Apply(error.to_string()))?;
        failure(&done).map_or(Ok(()), |why| Err(EffectError::Apply(why)))
    }

    fn restore(&mut self) -> Result<(), EffectError> {
        let restore = |why| EffectError::Restore(why);
        let saved = self.state.load().map_err(|error| restore(error.to_string()))?;
        // Nothing was made, or somebody else has applied something meanwhile.
        if saved.is_none_or(|save| !self.is_ours(&save.steps)) {
            return Ok(());
        }
        let done =
            undo(self.root, self.state, false).map_err(|error| restore(error.to_string()))?;
        failure(&done).map_or(Ok(()), |why| Err(restore(why)))
    }
}

impl Planted<'_> {
    fn is_ours(&self, steps: &[SavedStep]) -> bool {
        let actions = &self.planned.plan.actions;
        steps.iter().all(|saved| actions.iter().any(|action| action.step == saved.step))
    }
}

fn failure(done: &[Done]) -> Option<String> {
    done.iter().find_map(|done| match &done.outcome {
        Outcome::Failed(why) | Outcome::Foreign(why) => Some(format!("{}: {why}", done.step)),
        _ => None,
    })
}

fn program_beside() -> PathBuf {
    let name = "mainspring-perf";
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name(name));
    beside.filter(|program| program.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

fn write_text(
    effect: &Effect,
    (invalid, runs): (usize, usize),
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let shown = |estimate: Estimate| {
        let interval = estimate.interval;
        format!("{:.3} ({:.3} to {:.3})", estimate.median, interval.low, interval.high)
    };
    let floor = effect.noise_floor() * 100.0;
    writeln!(out, "without it     {:.1} ns", effect.without_ns)?;
    writeln!(out, "with it        {:.1} ns, in {} blocks", effect.with_ns, effect.blocks)?;
    writeln!(out, "noise          {}", shown(effect.noise))?;
    writeln!(out, "with/without   {}", shown(effect.ratio))?;
    if invalid > 0 {
        writeln!(out, "{invalid} of {runs} runs were on a machine too busy to believe them alone")?;
    }
    match effect.conclusion {
        Conclusion::CannotTell => {
            writeln!(out, "no effect seen at this machine's noise floor of {floor:.1} %")?;
        }
        conclusion => writeln!(
            out,
            "{} with it: it takes {} of the time; this machine's noise floor is {floor:.1} %",
            conclusion.words(),
            shown(effect.ratio)
        )?,
    }
    writeln!(out, "what it was is restored")?;
    Ok(())
}

fn json_of(
    id: &str,
    what: &str,
    effect: &Effect,
    (invalid, runs): (usize, usize),
) -> serde_json::Value {
    json!({
        "id": id,
        "measured": what,
        "without_ns": effect.without_ns,
        "with_ns": effect.with_ns,
        "blocks": effect.blocks,
        "noise": effect.noise,
        "ratio": effect.ratio,
        "noise_floor": effect.noise_floor(),
        "conclusion": effect.conclusion,
        "invalid_runs": invalid,
        "runs": runs,
    })
}
