//! The commonest kind of check: a file of the kernel, or one such file for each CPU or device, that holds a value and
//! can be written.

use super::{Case, Seen};
use crate::cpu_set::CpuSet;
use crate::finding::Change;
use crate::sys_root::ReadError;
use crate::want::Want;
use std::collections::BTreeMap;

/// How the file shows its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A number.
    Number,
    /// A word.
    Word,
    /// All choices, the chosen one in brackets.
    Bracketed,
}

/// Compares the files that fit the pattern with what is wanted. When there is none, the machine lacks what is set
/// there: `absent` says what that is.
pub(super) fn setting(case: &Case, pattern: &str, form: Form, absent: &str) -> Seen {
    setting_where(case, pattern, form, absent, |_| true)
}

/// The same for the files alone of which `is_meant` holds; it is given what the open parts of the path stand for.
pub(super) fn setting_where(
    case: &Case,
    pattern: &str,
    form: Form,
    absent: &str,
    is_meant: impl Fn(&[String]) -> bool,
) -> Seen {
    let mut sorted = Sorted::default();
    for (captures, path, reading) in case.facts.matching(pattern) {
        if !is_meant(&captures) {
            continue;
        }
        match reading {
            Ok(text) => sorted.take(case, form, path, captures, text),
            Err(ReadError::Missing) => {}
            Err(error) => sorted.unreadable.push(format!("{path} {error}")),
        }
    }
    sorted.conclude(case, pattern, absent)
}

/// What the files said.
#[derive(Default)]
struct Sorted {
    places_of: BTreeMap<String, Vec<String>>,
    changes: Vec<Change>,
    files: usize,
    differing: usize,
    only_path: String,
    unreadable: Vec<String>,
}

impl Sorted {
    fn take(&mut self, case: &Case, form: Form, path: &str, captures: Vec<String>, text: &str) {
        let value = match form {
            Form::Bracketed => chosen(text),
            Form::Word | Form::Number => Some(text.trim()),
        };
        let number = value.and_then(|value| value.parse::<u64>().ok());
        let shown = match form {
            Form::Number => number.map(|number| case.takes.unit().describe(number)),
            _ => value.map(str::to_owned),
        };
        let (Some(value), Some(shown)) = (value, shown) else {
            let text: String = text.trim().chars().take(SHOWN_CHARS).collect();
            self.unreadable.push(format!("{path} is malformed: {text:?}"));
            return;
        };
        self.files += 1;
        self.only_path = path.to_owned();
        self.places_of.entry(shown).or_default().push(captures.join("/"));
        if !is_met(case, form, value, number) {
            self.differing += 1;
            let wanted = preferred(case, form, text);
            let change = |value| Change::Write {
                path: path.to_owned(),
                value,
                restore: value_of(text, form),
            };
            self.changes.extend(wanted.map(change));
        }
    }

    fn conclude(self, case: &Case, pattern: &str, absent: &str) -> Seen {
        let path = if self.files == 1 { self.only_path.clone() } else { pattern.replace('#', "*") };
        let found = describe(&self.places_of, pattern);
        if self.differing > 0 {
            let mut found = found;
            if self.changes.is_empty() {
                found.push_str(&format!("; {} is not offered", case.takes.describe(case.want)));
            }
            return Seen::differs(found, &path, self.changes);
        }
        match self.unreadable.first() {
            Some(why) => Seen { found, ..Seen::unreadable(&path, why) },
            None if self.files == 0 => Seen::not_applicable(&path, absent),
            None => Seen::ok(found, &path),
        }
    }
}

/// The choice in brackets.
pub(crate) fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0)
}

/// How much of a malformed text is shown.
const SHOWN_CHARS: usize = 40;

fn value_of(text: &str, form: Form) -> String {
    let text = text.trim();
    if form == Form::Bracketed { chosen(text).unwrap_or(text) } else { text }.to_owned()
}

fn is_met(case: &Case, form: Form, value: &str, number: Option<u64>) -> bool {
    match (form, number, case.want.number()) {
        (Form::Number, Some(found), Some(want)) => case.takes.is_met(want, found),
        _ => case.want.has(value),
    }
}

/// The value to write: the first of those wanted that the file offers.
fn preferred(case: &Case, form: Form, text: &str) -> Option<String> {
    if let Some(number) = case.want.number() {
        return Some(number.to_string());
    }
    match form {
        Form::Bracketed => preferred_of(case.want, text),
        Form::Word | Form::Number => case.want.words().first().cloned(),
    }
}

/// The first of the words wanted that is among the choices, with or without brackets.
pub(super) fn preferred_of(want: &Want, choices: &str) -> Option<String> {
    let offers = |word: &&String| {
        let mut choices = choices.split_whitespace();
        choices.any(|choice| choice.trim_matches(['[', ']']) == word.as_str())
    };
    want.words().iter().find(offers).cloned()
}

/// One value alone, or each with the places that have it, as in `none on nvme0n1; mq-deadline on sda, sdb`.
pub(super) fn describe(places_of: &BTreeMap<String, Vec<String>>, pattern: &str) -> String {
    if places_of.len() <= 1 && !pattern.contains('*') {
        return places_of.keys().next().cloned().unwrap_or_default();
    }
    let groups = places_of.iter().map(|(value, places)| format!("{value} on {}", shorten(places)));
    groups.collect::<Vec<_>>().join("; ")
}

/// Numbers as ranges, other names up to a few.
fn shorten(places: &[String]) -> String {
    let numbers: Option<CpuSet> = places.iter().map(|place| place.parse::<u32>().ok()).collect();
    if let Some(numbers) = numbers {
        return numbers.to_string();
    }
    let shown = places.iter().take(PLACES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match places.len().saturating_sub(PLACES_SHOWN) {
        0 => shown,
        further => format!("{shown} and {further} more"),
    }
}

/// How many names of devices are shown.
const PLACES_SHOWN: usize = 6;
