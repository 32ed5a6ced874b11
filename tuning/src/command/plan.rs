//! `plan`: what would bring the machine to a profile, to read or to run elsewhere. Changes nothing.

use std::io::Write;

use serde_json::json;

use super::paragraph::filled;
use super::planned::{Planned, PlannedArguments};
use super::{AS_WANTED, CommandError, Context};
use crate::plan::Plan;
use crate::render::{Form, render};

/// The arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    planned: PlannedArguments,
    /// Prints it for another to apply, with the way back.
    #[arg(long = "as", value_enum, value_name = "FORM", conflicts_with = "json")]
    form: Option<Form>,
}

impl PlanArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        let planned = self.planned.plan(&context.root)?;
        if let Some(form) = self.form {
            write!(out, "{}", render(&planned.plan, form, &planned.title()))?;
        } else if context.is_json {
            serde_json::to_writer_pretty(&mut *out, &json_of(&planned))?;
            writeln!(out)?;
        } else {
            write_text(&planned, out)?;
        }
        Ok(AS_WANTED)
    }
}

/// The plan for people.
pub(super) fn write_text(planned: &Planned, out: &mut dyn Write) -> Result<(), CommandError> {
    let Plan { actions, boot, by_hand, .. } = &planned.plan;
    writeln!(out, "{}", planned.title())?;
    if planned.plan.is_empty() {
        writeln!(out, "\nnothing to do")?;
    }
    if !actions.is_empty() {
        writeln!(out, "\nAt once, in this order")?;
    }
    for run in actions.chunk_by(|one, next| one.id == next.id && one.step.is_like(&next.step)) {
        let Some(action) = run.first() else { continue };
        let line = format!("{}: {}{}", action.id, action.step, and_more(run.len()));
        write!(out, "{}", filled(&line, INDENT))?;
    }
    if !boot.is_empty() {
        writeln!(out, "\nAt the next boot (reboot needed; `plan --as cmdline` has the line)")?;
    }
    for item in boot {
        write!(out, "{}", filled(&format!("{}: {}", item.id, item.text()), INDENT))?;
    }
    if !by_hand.is_empty() {
        writeln!(out, "\nLeft to you")?;
    }
    for item in by_hand {
        write!(out, "{}", filled(&format!("{}: {}; {}", item.id, item.what, item.why), INDENT))?;
    }
    Ok(())
}

/// What follows the first of so many steps that are like it.
pub(super) fn and_more(steps: usize) -> String {
    match steps {
        0 | 1 => String::new(),
        2 => " and 1 file like it".to_owned(),
        more => format!(" and {} files like it", more - 1),
    }
}

const INDENT: &str = "  ";

pub(super) fn json_of(planned: &Planned) -> serde_json::Value {
    let Plan { actions, boot, by_hand, .. } = &planned.plan;
    let actions: Vec<_> = actions
        .iter()
        .map(|action| {
            json!({
                "id": action.id,
                "effect": action.effect,
                "step": action.step,
                "needs": action.needs.map(|needs| needs.to_string()),
            })
        })
        .collect();
    let boot: Vec<_> =
        boot.iter().map(|item| json!({"id": item.id, "parameter": item.text()})).collect();
    let by_hand: Vec<_> = by_hand
        .iter()
        .map(|item| json!({"id": item.id, "what": item.what, "why": item.why}))
        .collect();
    json!({
        "profile": planned.profile.name,
        "actions": actions,
        "boot": boot,
        "by_hand": by_hand,
    })
}
