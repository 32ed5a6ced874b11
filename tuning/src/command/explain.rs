//! `explain`: why a check is worth anybody's time.

use std::io::Write;

use serde_json::json;

use super::paragraph::filled;
use super::{AS_WANTED, CommandError, Context};
use crate::check::{self, Check, Scope};
use crate::profile::Profile;

/// The arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    /// The check, such as cpu.governor; all are listed without one.
    id: Option<String>,
}

impl ExplainArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        let Some(id) = self.id else {
            for check in check::all() {
                writeln!(out, "{:<26} {}", check.id, check.effect)?;
            }
            return Ok(AS_WANTED);
        };
        let Some(check) = check::by_id(&id) else {
            let nearest = check::nearest(&id);
            return Err(CommandError::UnknownCheck { id, nearest });
        };
        if context.is_json {
            serde_json::to_writer_pretty(&mut *out, &json_of(check)?)?;
            writeln!(out)?;
        } else {
            write_text(check, out)?;
        }
        Ok(AS_WANTED)
    }
}

fn write_text(check: &Check, out: &mut dyn Write) -> Result<(), CommandError> {
    writeln!(out, "{}", check.id)?;
    for (heading, text) in check.explanation.parts() {
        write!(out, "\n{heading}\n{}", filled(text, "  "))?;
    }
    write!(out, "\nWhen it differs\n{}", filled(check.effect, "  "))?;
    writeln!(out, "\nWanted by the profiles")?;
    for (profile, wanted) in wanted_by(check)? {
        writeln!(out, "  {profile:<14} {wanted}")?;
    }
    let own = format!("a profile of your own may say {}", check.takes);
    write!(out, "{}", filled(&own, "  "))?;
    write!(out, "\nWhose it is to change\n{}", filled(owner(check.scope), "  "))?;
    writeln!(out, "\nRead from")?;
    for path in check.reads {
        writeln!(out, "  {path}")?;
    }
    Ok(())
}

fn json_of(check: &Check) -> Result<serde_json::Value, CommandError> {
    let explanation = &check.explanation;
    let profiles: serde_json::Map<_, _> = wanted_by(check)?
        .into_iter()
        .map(|(name, wanted)| (name.to_owned(), wanted.into()))
        .collect();
    Ok(json!({
        "id": check.id,
        "scope": scope_name(check.scope),
        "what": explanation.what,
        "cost": explanation.cost,
        "disagreement": explanation.disagreement,
        "source": explanation.source,
        "measure": explanation.measure,
        "effect": check.effect,
        "takes": check.takes.to_string(),
        "wanted": profiles,
        "reads": check.reads,
    }))
}

/// What each built-in profile wants of the check.
fn wanted_by(check: &Check) -> Result<Vec<(&'static str, String)>, CommandError> {
    let mut wanted = Vec::new();
    for name in Profile::built_in() {
        let profile = Profile::load(name)?;
        let want = profile.wanted.of(check.id);
        let text = want.map_or("left alone".to_owned(), |want| check.takes.describe(want));
        wanted.push((name, text));
    }
    Ok(wanted)
}

fn owner(scope: Scope) -> &'static str {
    match scope {
        Scope::Host => "whoever has the hardware; in a virtual machine, ask the host",
        Scope::Guest => {
            "whoever runs the kernel, also in a virtual machine; in a container, ask the host"
        }
        Scope::Container => "whoever starts the processes, also in a container",
    }
}

/// The scope's name in the JSON form.
pub(super) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Host => "host",
        Scope::Guest => "guest",
        Scope::Container => "container",
    }
}
