//! `apply`, `verify` and `undo`: a plan made on this machine, looked after, and taken back.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::paragraph::filled;
use super::plan;
use super::planned::PlannedArguments;
use super::{AS_WANTED, CommandError, Context, FINDINGS};
use crate::apply::{Done, Outcome, State, apply, undo, verify};

/// Where what is needed for the way back is kept.
#[derive(Debug, clap::Args)]
pub(super) struct StateArguments {
    /// Where the originals are kept [default: mainspring-tune in $XDG_STATE_HOME if that is set, else in /var/lib].
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

/// The arguments of `apply`.
#[derive(Debug, clap::Args)]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    planned: PlannedArguments,
    #[command(flatten)]
    state: StateArguments,
    /// Really changes the machine; without it the plan is printed and nothing else happens.
    #[arg(long)]
    yes: bool,
}

/// The arguments of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    state: StateArguments,
}

/// The arguments of `undo`.
#[derive(Debug, clap::Args)]
pub(super) struct UndoArguments {
    #[command(flatten)]
    state: StateArguments,
    /// Also takes back what somebody else has changed since; after a boot, what is left in files of settings.
    #[arg(long)]
    force: bool,
}

impl ApplyArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        let planned = self.planned.plan(&context.root)?;
        let is_done = planned.plan.actions.is_empty();
        if !self.yes {
            if context.is_json {
                serde_json::to_writer_pretty(&mut *out, &plan::json_of(&planned))?;
                writeln!(out)?;
            } else {
                plan::write_text(&planned, out)?;
                if !is_done {
                    writeln!(out, "\nnothing was changed: --yes makes the steps")?;
                }
            }
            return Ok(if is_done { AS_WANTED } else { FINDINGS });
        }
        let state = self.state.open(context);
        let surroundings = planned.facts.surroundings();
        let name = &planned.profile.name;
        let done = apply(&context.root, &state, surroundings, name, &planned.plan)?;
        let code = report(&done, context, out)?;
        if !context.is_json && done.iter().any(|done| done.outcome == Outcome::Made) {
            writeln!(out, "the originals are in {}; `mainspring-tune undo` takes it back", {
                state.folder().display()
            })?;
        }
        Ok(code)
    }
}

impl VerifyArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        report(&verify(&context.root, &self.state.open(context))?, context, out)
    }
}

impl UndoArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        let done = undo(&context.root, &self.state.open(context), self.force)?;
        let code = report(&done, context, out)?;
        if !context.is_json && code != AS_WANTED {
            writeln!(out, "the originals are kept; --force also takes back what somebody changed")?;
        }
        Ok(code)
    }
}

impl StateArguments {
    pub(super) fn open(&self, context: &Context) -> State {
        let folder =
            self.state.clone().unwrap_or_else(|| match std::env::var_os("XDG_STATE_HOME") {
                Some(home) if !home.is_empty() && !context.root.is_recorded() => {
                    PathBuf::from(home).join(NAME)
                }
                _ => context.root.place(&PathBuf::from("/var/lib").join(NAME)),
            });
        State::at(&context.root, folder)
    }
}

const NAME: &str = "mainspring-tune";

/// A line a step, and the exit code.
fn report(done: &[Done], context: &Context, out: &mut dyn Write) -> Result<u8, CommandError> {
    if context.is_json {
        let rows: Vec<_> = done
            .iter()
            .map(|done| {
                let (name, detail) = words(&done.outcome);
                json!({"id": done.id, "step": done.step, "outcome": name, "detail": detail})
            })
            .collect();
        serde_json::to_writer_pretty(&mut *out, &json!({ "steps": rows }))?;
        writeln!(out)?;
    } else {
        let is_alike = |one: &Done, next: &Done| {
            one.id == next.id && one.outcome == next.outcome && one.step.is_like(&next.step)
        };
        for run in done.chunk_by(is_alike) {
            let Some(done) = run.first() else { continue };
            let (name, detail) = words(&done.outcome);
            let more = plan::and_more(run.len());
            writeln!(out, "{name:<14} {}: {}{more}", done.id, done.step)?;
            if let Some(detail) = detail {
                write!(out, "{}", filled(detail, "    "))?;
            }
        }
        writeln!(out, "{}", summary(done))?;
    }
    let attention = done.iter().any(|done| done.outcome.needs_attention());
    Ok(if attention { FINDINGS } else { AS_WANTED })
}

fn summary(done: &[Done]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for done in done {
        let (name, _) = words(&done.outcome);
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let counts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    match counts.is_empty() {
        true => "nothing to do".to_owned(),
        false => format!("{} steps: {}", done.len(), counts.join(", ")),
    }
}

/// The outcome in a word or two, and what else there is to say.
fn words(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome {
        Outcome::Made => ("made", None),
        Outcome::AlreadySo => ("already so", None),
        Outcome::TakenBack => ("taken back", None),
        Outcome::AlreadyBack => ("already back", None),
        Outcome::GoesAlong => ("gone", None),
        Outcome::InUse => ("stays", Some("others have put something into it")),
        Outcome::Holds => ("holds", None),
        Outcome::Foreign(shows) => ("not ours", Some(shows)),
        Outcome::Failed(why) => ("failed", Some(why)),
    }
}
