//! Making a plan's steps, and taking them back.
//!
//! Promises: what every step will change is saved and synced before the first one is made. Each step is looked at,
//! made, and looked at again. Whatever ends the process in between, an undo brings every byte back; an undo that is
//! ended in between goes on with the next. What somebody else has changed since is not touched, unless it is forced.
//!
//! Refuses: a second apply or undo at the same time, an apply on top of one that was not undone, a save of another
//! machine or of another boot, and anything at all when a single step lacks a privilege.

mod save;
mod step;
mod undo;

pub use save::{Lock, SAVE_LIMIT_BYTES, Save, SaveError, SavedStep, State};
pub use undo::{UndoError, undo, verify};

use crate::finding::Capability;
use crate::plan::{Plan, STEP_LIMIT, Step};
use crate::surroundings::Surroundings;
use crate::sys_root::{ReadError, SysRoot};
use thiserror::Error;

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The checks that asked for it.
    pub id: String,
    /// The step.
    pub step: Step,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was made, and what was read afterwards shows it.
    Made,
    /// There was nothing to do: it was so already.
    AlreadySo,
    /// It was taken back, and what was read afterwards shows what was there before.
    TakenBack,
    /// There was nothing to take back: it is as it was before.
    AlreadyBack,
    /// It goes with the directory, or with the boot, in which it was made.
    GoesAlong,
    /// It stays: others have put something into the directory.
    InUse,
    /// It is as it was made.
    Holds,
    /// Somebody changed it since: what it shows.
    Foreign(String),
    /// It could not be made or taken back: why.
    Failed(String),
}

/// Nothing was applied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A step lacks a capability.
    #[error(
        "{} need {capability}, which this process has not; nothing was changed: run it where it has, or leave out \
         what needs it by{}",
        .ids.join(" and "),
        .ids.iter().map(|id| format!(" --except {id}")).collect::<String>()
    )]
    NeedsPrivilege {
        /// The checks.
        ids: Vec<String>,
        /// What they need.
        capability: Capability,
    },
    /// A file may not be written by this process.
    #[error(
        "{id} needs to write {place}, and this process may not; nothing was changed: run as root, or leave it \
        out with --except {id}"
    )]
    MayNotWrite {
        /// The check.
        id: String,
        /// The file.
        place: String,
    },
    /// What a step would change cannot be saved.
    #[error(
        "{id}: {place} {source}, so it cannot be saved; nothing was changed: leave it out with --except {id}"
    )]
    Unreadable {
        /// The check.
        id: String,
        /// The file.
        place: String,
        /// Why.
        source: ReadError,
    },
    /// There is a save already.
    #[error(
        "the profile {profile} was applied and not undone; nothing was changed: `mainspring-tune undo` first"
    )]
    NotUndone {
        /// The profile applied.
        profile: String,
    },
    /// The plan is longer than any machine needs.
    #[error(
        "the plan has more than {STEP_LIMIT} steps; nothing was changed: apply fewer checks by --only"
    )]
    TooMany,
    /// The state folder cannot be used.
    #[error(transparent)]
    Save(#[from] SaveError),
}

impl Outcome {
    /// Whether a person should look at it.
    pub fn needs_attention(&self) -> bool {
        matches!(self, Outcome::Foreign(_) | Outcome::Failed(_))
    }
}

/// Makes the plan's steps, and keeps what is needed to take them back.
///
/// A step that fails does not keep the others from being made: its outcome says why.
///
/// # Errors
/// [`ApplyError`] when nothing was applied. Only [`SaveError::Folder`] may also come when a save exists but no step was
/// made: [`undo`] then has nothing to do.
pub fn apply(
    root: &SysRoot,
    state: &State,
    surroundings: &Surroundings,
    profile: &str,
    plan: &Plan,
) -> Result<Vec<Done>, ApplyError> {
    let _lock = state.lock()?;
    if let Some(save) = state.load()? {
        return Err(ApplyError::NotUndone { profile: save.profile });
    }
    allowed(root, surroundings, plan)?;
    let mut done = Vec::new();
    let mut steps = Vec::new();
    for action in &plan.actions {
        let (id, step) = (action.id.clone(), action.step.clone());
        let before = look(root, &id, &step)?;
        if step::is_made(&step, before.as_deref()) {
            done.push(Done { id, step, outcome: Outcome::AlreadySo });
        } else {
            steps.push(SavedStep { id, step, before, after: None });
        }
    }
    if steps.is_empty() {
        return Ok(done);
    }
    let save =
        Save { profile: profile.to_owned(), machine: machine_of(root), boot: boot_of(root), steps };
    state.store(&save)?;
    for (index, saved) in save.steps.into_iter().enumerate() {
        let outcome = make(root, state, index, &saved.step);
        done.push(Done { id: saved.id, step: saved.step, outcome });
    }
    Ok(done)
}

/// Whether every step may be made; all are asked before the first is.
fn allowed(root: &SysRoot, surroundings: &Surroundings, plan: &Plan) -> Result<(), ApplyError> {
    if plan.actions.len() > STEP_LIMIT {
        return Err(ApplyError::TooMany);
    }
    let lacking = |needs: Option<Capability>| needs.filter(|needs| !surroundings.has(*needs));
    if let Some(capability) = plan.actions.iter().find_map(|action| lacking(action.needs)) {
        let needing = plan.actions.iter().filter(|action| action.needs == Some(capability));
        let mut ids: Vec<String> = Vec::new();
        for id in needing.flat_map(|action| action.id.split('+')) {
            if !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        return Err(ApplyError::NeedsPrivilege { ids, capability });
    }
    for action in &plan.actions {
        let place = action.step.place();
        if !matches!(action.step, Step::Ethtool { .. }) && !root.may_write(place) {
            let (id, place) = (action.id.clone(), place.to_owned());
            return Err(ApplyError::MayNotWrite { id, place });
        }
    }
    Ok(())
}

fn look(root: &SysRoot, id: &str, step: &Step) -> Result<Option<String>, ApplyError> {
    step::look(root, step).map_err(|source| ApplyError::Unreadable {
        id: id.to_owned(),
        place: step.place().to_owned(),
        source,
    })
}

/// Looks, makes, looks again.
fn make(root: &SysRoot, state: &State, index: usize, step: &Step) -> Outcome {
    let held = step::look(root, step).unwrap_or_default();
    // An earlier step may have brought it along.
    if !step::is_made(step, held.as_deref())
        && let Err(error) = step::make(root, step, held.as_deref())
    {
        return Outcome::Failed(error.to_string());
    }
    let after = match step::look(root, step) {
        Ok(Some(after)) => after,
        Ok(None) => return Outcome::Failed("it is gone right after".to_owned()),
        Err(error) => return Outcome::Failed(format!("afterwards it {error}")),
    };
    if let Err(error) = state.note_made(index, &after) {
        return Outcome::Failed(format!("it was made, but not noted: {error}"));
    }
    match step::is_made(step, Some(&after)) {
        true => Outcome::Made,
        false => Outcome::Failed(format!("it shows {:?} afterwards", shortened(&after))),
    }
}

/// The beginning of what a file shows.
fn shortened(text: &str) -> String {
    text.trim().chars().take(SHOWN_CHARS).collect()
}

const SHOWN_CHARS: usize = 60;

/// What tells this machine from others.
fn machine_of(root: &SysRoot) -> String {
    let id = root.read("/etc/machine-id").or_else(|_| root.read("/proc/sys/kernel/hostname"));
    id.unwrap_or_default().trim().to_owned()
}

/// What tells this boot from others.
fn boot_of(root: &SysRoot) -> String {
    root.read("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
