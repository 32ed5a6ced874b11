//! Taking back what was applied, in reverse order; and whether it still holds.

use super::save::{Save, SaveError, SavedStep, State};
use super::{Done, Outcome, boot_of, machine_of, shortened, step};
use crate::plan::Step;
use crate::sys_root::SysRoot;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Nothing was undone or verified.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UndoError {
    /// There is no save.
    #[error("there is no save in {}: nothing was applied, or it was undone", .folder.display())]
    NothingSaved {
        /// The state folder.
        folder: PathBuf,
    },
    /// The save is of another machine.
    #[error(
        "the save is of the machine {of:?}, and this is {here:?}; nothing was changed: undo it there, or remove \
        the state folder"
    )]
    OtherMachine {
        /// The machine of the save.
        of: String,
        /// This machine.
        here: String,
    },
    /// The save is of another boot.
    #[error(
        "the save is of another boot: what was set in the kernel went with it; `mainspring-tune undo --force` \
        takes back what is left, in files of settings, and forgets the rest"
    )]
    OtherBoot,
    /// The state folder cannot be used.
    #[error(transparent)]
    Save(#[from] SaveError),
}

/// Takes back what the last apply made, in reverse order. What somebody else changed since is left as it is, unless
/// forced; when nothing is left to take back, the save is forgotten.
///
/// Of a save of another boot only what outlives a boot is taken back, and only when forced.
///
/// # Errors
/// [`UndoError`] when nothing was undone.
pub fn undo(root: &SysRoot, state: &State, is_forced: bool) -> Result<Vec<Done>, UndoError> {
    load(root, state)?;
    let _lock = state.lock()?;
    // Another undo may have ended meanwhile.
    let save = load(root, state)?;
    let is_same_boot = save.boot == boot_of(root);
    if !is_same_boot && !is_forced {
        return Err(UndoError::OtherBoot);
    }
    let mut left: Vec<&SavedStep> = save.steps.iter().rev().collect();
    let mut done = Vec::new();
    // A setting may keep another from being taken back; it is tried again as long as anything moves.
    loop {
        let before = left.len();
        let mut still = Vec::new();
        let mut failed = Vec::new();
        for saved in left {
            let outcome = match is_same_boot || saved.step.outlives_boot() {
                true => take_back(root, saved, is_forced),
                false => Outcome::GoesAlong,
            };
            let is_over = !outcome.needs_attention();
            let entry = Done { id: saved.id.clone(), step: saved.step.clone(), outcome };
            if is_over {
                done.push(entry)
            } else {
                failed.push(entry)
            }
            if !is_over {
                still.push(saved);
            }
        }
        if still.is_empty() {
            state.forget()?;
            return Ok(done);
        }
        if still.len() == before {
            done.extend(failed);
            return Ok(done);
        }
        left = still;
    }
}

/// Whether what the last apply made still holds.
///
/// # Errors
/// [`UndoError`] when there is nothing to verify, or when it is of another machine or boot.
pub fn verify(root: &SysRoot, state: &State) -> Result<Vec<Done>, UndoError> {
    let save = load(root, state)?;
    if save.boot != boot_of(root) {
        return Err(UndoError::OtherBoot);
    }
    let outcome = |saved: &SavedStep| match step::look(root, &saved.step) {
        Ok(held) if is_ours(saved, held.as_deref()) => Outcome::Holds,
        Ok(held) => Outcome::Foreign(shown(held.as_deref())),
        Err(error) => Outcome::Failed(format!("it {error}")),
    };
    let steps = save.steps.iter();
    let done = |saved: &SavedStep| Done {
        id: saved.id.clone(),
        step: saved.step.clone(),
        outcome: outcome(saved),
    };
    Ok(steps.map(done).collect())
}

fn load(root: &SysRoot, state: &State) -> Result<Save, UndoError> {
    let Some(save) = state.load()? else {
        return Err(UndoError::NothingSaved { folder: state.folder().to_owned() });
    };
    let here = machine_of(root);
    if save.machine != here {
        return Err(UndoError::OtherMachine { of: save.machine, here });
    }
    Ok(save)
}

/// Whether it shows what the apply made of it: the value itself, or what the kernel made of the value.
fn is_ours(saved: &SavedStep, held: Option<&str>) -> bool {
    step::is_made(&saved.step, held) || saved.after.is_some() && saved.after.as_deref() == held
}

/// Looks, takes back, looks again.
fn take_back(root: &SysRoot, saved: &SavedStep, is_forced: bool) -> Outcome {
    let SavedStep { step, before, .. } = saved;
    if matches!(step, Step::Write { restore: None, .. }) && !root.is_recorded() {
        return Outcome::GoesAlong;
    }
    if let Step::OwnFile { path, .. } | Step::Variable { path, .. } = step
        && let Err(error) = root.remove_unfinished(path)
    {
        return Outcome::Failed(error.to_string());
    }
    let held = match step::look(root, step) {
        Ok(held) => held,
        Err(error) => return Outcome::Failed(format!("it {error}")),
    };
    if step::is_back(step, held.as_deref(), before.as_deref()) {
        return Outcome::AlreadyBack;
    }
    // A device that is gone takes its settings with it.
    if held.is_none() && !step.outlives_boot() {
        return Outcome::GoesAlong;
    }
    if !is_forced && !is_ours(saved, held.as_deref()) {
        return Outcome::Foreign(shown(held.as_deref()));
    }
    match step::take_back(root, step, before.as_deref()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Outcome::InUse,
        Err(error) => return Outcome::Failed(error.to_string()),
    }
    match step::look(root, step) {
        Ok(held) if step::is_back(step, held.as_deref(), before.as_deref()) => Outcome::TakenBack,
        Ok(held) => Outcome::Failed(format!("it shows {:?} afterwards", shown(held.as_deref()))),
        Err(error) => Outcome::Failed(format!("afterwards it {error}")),
    }
}

fn shown(held: Option<&str>) -> String {
    held.map_or("nothing".to_owned(), shortened)
}
