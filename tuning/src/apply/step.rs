//! One step on one machine: what is there, whether it is as the step makes it, making it, taking it back.

use crate::check::chosen;
use crate::cpu_set::CpuSet;
use crate::plan::Step;
use crate::sys_root::{ReadError, SysRoot};
use std::io;

/// What the place of the step holds; nothing when it is not there. Of a directory, the empty text.
pub(super) fn look(root: &SysRoot, step: &Step) -> Result<Option<String>, ReadError> {
    let text = match step {
        Step::Directory { path } => root.list(path).map(|_| String::new()),
        Step::Ethtool { device, .. } => root.coalescing(device),
        _ => root.read(step.place()),
    };
    match text {
        Ok(text) => Ok(Some(text)),
        Err(ReadError::Missing) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether what the place holds is what the step makes.
pub(super) fn is_made(step: &Step, held: Option<&str>) -> bool {
    let Some(text) = held else { return false };
    match step {
        Step::Write { value, .. } => shows(text, value),
        Step::Controller { name, .. } => {
            text.split_whitespace().any(|word| word.trim_start_matches('+') == name)
        }
        Step::Directory { .. } => true,
        Step::OwnFile { text: whole, .. } => text == whole,
        Step::Variable { name, value, .. } => variable(text, name) == Some(value),
        Step::Ethtool { property, value, .. } => answer(text, property) == Some(value),
    }
}

/// Whether what the place holds is what it held before the step.
pub(super) fn is_back(step: &Step, held: Option<&str>, before: Option<&str>) -> bool {
    if held == before {
        return true;
    }
    match (step, held) {
        (Step::Write { restore: Some(restore), .. }, Some(text)) => shows(text, restore),
        // Files that came with a control group go with it, and say nothing of their own before.
        (Step::Write { restore: None, .. }, _) => held.is_none(),
        (Step::Controller { .. }, Some(_)) => !is_made(step, held),
        (Step::Variable { name, restore, .. }, Some(text)) => {
            variable(text, name) == restore.as_deref()
        }
        (Step::Ethtool { property, restore, .. }, Some(text)) => {
            answer(text, property) == Some(restore)
        }
        _ => false,
    }
}

/// Makes it.
pub(super) fn make(root: &SysRoot, step: &Step, held: Option<&str>) -> io::Result<()> {
    match step {
        Step::Write { path, value, .. } => root.tell(path, value),
        Step::Controller { path, name } => root.tell(path, &format!("+{name}")),
        Step::Directory { path } => root.make_directory(path),
        Step::OwnFile { path, text } => root.write_durably(path, text),
        Step::Variable { path, name, value, unit, .. } => {
            root.write_durably(path, &with_variable(held.unwrap_or_default(), name, value))?;
            root.restart(unit)
        }
        Step::Ethtool { device, property, value, .. } => {
            root.set_coalescing(device, property, value)
        }
    }
}

/// Takes it back. The kernel is told the value that it had; on a recorded machine files show what they are told, so the
/// text that was there goes back as it was.
pub(super) fn take_back(root: &SysRoot, step: &Step, before: Option<&str>) -> io::Result<()> {
    match (step, before) {
        (Step::Directory { path }, _) => root.remove_directory(path),
        (Step::OwnFile { path, .. } | Step::Variable { path, .. }, None) => {
            root.remove_file(path)?;
            restart(root, step)
        }
        (Step::OwnFile { path, .. } | Step::Variable { path, .. }, Some(text)) => {
            root.write_durably(path, text)?;
            restart(root, step)
        }
        (step, Some(text)) if root.is_recorded() => root.put_back(&recording(step), text),
        (step, None) if root.is_recorded() => root.remove_file(step.place()),
        (Step::Write { path, restore: Some(restore), .. }, _) => root.tell(path, restore),
        (Step::Write { restore: None, .. }, _) => Ok(()),
        (Step::Controller { path, name }, _) => root.tell(path, &format!("-{name}")),
        (Step::Ethtool { device, property, restore, .. }, _) => {
            root.set_coalescing(device, property, restore)
        }
    }
}

fn restart(root: &SysRoot, step: &Step) -> io::Result<()> {
    match step {
        Step::Variable { unit, .. } => root.restart(unit),
        _ => Ok(()),
    }
}

/// The file in which a recorded machine keeps what the step changes.
fn recording(step: &Step) -> String {
    match step {
        Step::Ethtool { device, .. } => format!("/ethtool/{device}/coalesce"),
        _ => step.place().to_owned(),
    }
}

/// Whether a file of the kernel shows this value: alone, as the choice in brackets, or in its own form of a list, of a
/// mask or of several words.
fn shows(text: &str, value: &str) -> bool {
    let text = chosen(text).unwrap_or(text).trim();
    text.split_whitespace().eq(value.split_whitespace())
        || digits(text).is_some_and(|mask| digits(value) == Some(mask))
        || list(text).is_some_and(|cpus| list(value) == Some(cpus))
}

/// A mask without its commas and without the zeros before it.
fn digits(text: &str) -> Option<String> {
    let is_mask = text.chars().all(|character| character.is_ascii_hexdigit() || character == ',');
    let text: String = text.chars().filter(|character| *character != ',').collect();
    (is_mask && !text.is_empty()).then(|| text.trim_start_matches('0').to_owned())
}

fn list(text: &str) -> Option<CpuSet> {
    text.contains(['-', ',']).then(|| text.parse().ok())?
}

/// The value of the variable in lines `NAME="value"`, the last of which counts.
fn variable<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut value = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = value.next_back();
    value.map(|value| value.trim().trim_matches(['"', '\'']))
}

/// The text with the variable set by its last line and nowhere else.
fn with_variable(text: &str, name: &str, value: &str) -> String {
    let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    let mut lines: String =
        text.lines().filter(|line| !is_it(line)).map(|line| format!("{line}\n")).collect();
    lines.push_str(&format!("{name}=\"{value}\"\n"));
    lines
}

/// What a network device says of one property.
fn answer<'a>(text: &'a str, property: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(property)?.strip_prefix(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_every_form_in_which_the_kernel_shows_it() {
        for (text, value) in [
            ("10\n", "10"),
            ("always [madvise] never\n", "madvise"),
            ("4096\t16384\t4194304\n", "4096 16384 4194304"),
            ("00000000,00000101\n", "00000101"),
            ("0-1,3\n", "0,1,3"),
        ] {
            assert!(shows(text, value), "{text} {value}");
        }
        for (text, value) in [
            ("1\n", "10"),
            ("always [madvise] never\n", "never"),
            ("00000101\n", "00001010"),
            ("0-1\n", "0-2"),
            ("", "0"),
        ] {
            assert!(!shows(text, value), "{text} {value}");
        }
    }

    #[test]
    fn a_variable_is_set_once_and_its_comments_stay() {
        let text = "A=1\n#B=2\nB=3\nB='4'";
        assert_eq!(variable(text, "B"), Some("4"));
        let set = with_variable(text, "B", "5-7");
        assert_eq!(set, "A=1\n#B=2\nB=\"5-7\"\n");
        assert_eq!(variable(&set, "B"), Some("5-7"));
        assert_eq!(variable(&set, "C"), None);
    }
}
