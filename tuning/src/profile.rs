//! Profiles: what is wanted of a machine for a purpose, as TOML files.
//!
//! Promises: a profile that asks for something no check knows, or for a value that the check cannot be asked for, is
//! refused with the file, the line and the key. The built-in profiles pass the same reader.
//!
//! A key is a check's id: its family as a table, its subject as a key, as in
//!
//! ```toml
//! summary = "what the profile is for, in a line"
//! audit_only = false     # true: it is never planned or applied
//!
//! [cpus]
//! shards = "auto"        # or a number of cores, or a list such as "2-7"
//!
//! [cpu]
//! governor = "performance"
//! idle_latency = 10
//! ```

use crate::check;
use crate::sys_root::FILE_LIMIT_BYTES;
use crate::want::{ShardCpus, Takes, UNLIMITED, Unit, Want, Wanted};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wanted of a machine for a purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name, or the path of its file.
    pub name: String,
    /// What it is for, in a line.
    pub summary: String,
    /// Whether it is only ever held against a machine, never planned or applied.
    pub is_audit_only: bool,
    /// What it wants.
    pub wanted: Wanted,
}

/// A profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Neither a built-in profile nor a file.
    #[error(
        "there is no profile {name:?}; built in are {}, and a path to a file (with a slash or ending in .toml) \
         is one of your own",
        built_in_names()
    )]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The file cannot be read.
    #[error("the profile {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The file is no TOML.
    #[error("{path} line {line}: not TOML: {reason}")]
    Syntax {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What the reader says.
        reason: String,
    },
    /// A key names nothing.
    #[error(
        "{path} line {line}: {key}: there is no such {}{}; `mainspring-tune explain` lists the checks",
        if .key.contains('.') { "check" } else { "key" },
        .nearest.as_ref().map_or(String::new(), |id| format!(", did you mean {id}?"))
    )]
    UnknownKey {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// A name much like it.
        nearest: Option<String>,
    },
    /// A value cannot be wanted.
    #[error("{path} line {line}: {key} cannot be {found}; it takes {takes}")]
    WrongValue {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The value, as it stands in the file.
        found: String,
        /// What it can be.
        takes: String,
    },
}

/// The built-in profiles and their texts.
const BUILT_IN: [(&str, &str); 4] = [
    ("laptop", include_str!("../profiles/laptop.toml")),
    ("shared-vm", include_str!("../profiles/shared-vm.toml")),
    ("latency", include_str!("../profiles/latency.toml")),
    ("isolated-spin", include_str!("../profiles/isolated-spin.toml")),
];

impl Profile {
    /// The names of the built-in profiles.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The built-in profile of this name, or the one in the file of this path.
    ///
    /// # Errors
    /// [`ProfileError`] says which file, line and key to look at.
    pub fn load(name_or_path: &str) -> Result<Profile, ProfileError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Profile::parse(name, text);
        }
        if !name_or_path.contains('/') && !name_or_path.ends_with(".toml") {
            return Err(ProfileError::Unknown { name: name_or_path.to_owned() });
        }
        let unreadable =
            |reason: String| ProfileError::Unreadable { path: name_or_path.to_owned(), reason };
        let mut text = String::new();
        let file = File::open(name_or_path).map_err(|error| unreadable(error.to_string()))?;
        file.take(FILE_LIMIT_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > FILE_LIMIT_BYTES {
            return Err(unreadable(format!("it is longer than {FILE_LIMIT_BYTES} bytes")));
        }
        Profile::parse(name_or_path, &text)
    }

    /// Reads the text of a profile; `name` is what it is called in errors.
    ///
    /// # Errors
    /// [`ProfileError`] says which line and key to look at.
    pub fn parse(name: &str, text: &str) -> Result<Profile, ProfileError> {
        let reader = Reader { name, text };
        let table = DeTable::parse(text).map_err(|error| ProfileError::Syntax {
            path: name.to_owned(),
            line: reader.line(error.span().unwrap_or_default()),
            reason: error.message().lines().next().unwrap_or_default().to_owned(),
        })?;
        let mut profile = Profile {
            name: name.to_owned(),
            summary: String::new(),
            is_audit_only: false,
            wanted: Wanted::new(),
        };
        for (key, value) in table.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("summary", DeValue::String(summary)) => profile.summary = summary.to_string(),
                ("audit_only", DeValue::Boolean(is_so)) => profile.is_audit_only = *is_so,
                (family, DeValue::Table(subjects)) => {
                    reader.read_family(family, subjects, &mut profile.wanted)?;
                }
                ("summary", _) => return Err(reader.wrong("summary", value, "a text")),
                ("audit_only", _) => {
                    return Err(reader.wrong("audit_only", value, "true or false"));
                }
                (other, _) => return Err(reader.unknown(other, key.span())),
            }
        }
        Ok(profile)
    }
}

fn built_in_names() -> String {
    Profile::built_in().collect::<Vec<_>>().join(", ")
}

/// Knows where things stand in the text.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn read_family(
        &self,
        family: &str,
        subjects: &DeTable,
        wanted: &mut Wanted,
    ) -> Result<(), ProfileError> {
        for (subject, value) in subjects {
            let key = format!("{family}.{}", subject.get_ref());
            if key == "cpus.shards" {
                wanted.shards = self.shards(&key, value)?;
                continue;
            }
            let Some(check) = check::by_id(&key) else {
                return Err(self.unknown(&key, subject.span()));
            };
            let want = want(check.takes, value.get_ref());
            let Some(want) = want.filter(|want| check.takes.accepts(want)) else {
                return Err(self.wrong(&key, value, &check.takes.to_string()));
            };
            *wanted = std::mem::take(wanted).with(check.id, want);
        }
        Ok(())
    }

    fn shards(&self, key: &str, value: &Spanned<DeValue>) -> Result<ShardCpus, ProfileError> {
        let shards = match value.get_ref() {
            DeValue::String(text) if text == "auto" => Some(ShardCpus::Suggested),
            DeValue::String(text) => text
                .parse()
                .ok()
                .filter(|cpus: &crate::CpuSet| !cpus.is_empty())
                .map(ShardCpus::These),
            DeValue::Integer(count) => {
                count.as_str().parse().ok().filter(|count| *count > 0).map(ShardCpus::Count)
            }
            _ => None,
        };
        let takes = "\"auto\", a number of cores, or a list of CPUs such as \"2-7\"";
        shards.ok_or_else(|| self.wrong(key, value, takes))
    }

    fn unknown(&self, key: &str, at: Range<usize>) -> ProfileError {
        ProfileError::UnknownKey {
            path: self.name.to_owned(),
            line: self.line(at),
            key: key.to_owned(),
            nearest: check::nearest(key).map(str::to_owned),
        }
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue>, takes: &str) -> ProfileError {
        let shown = self.text.get(value.span()).unwrap_or_default();
        let shown = shown.lines().next().unwrap_or_default();
        ProfileError::WrongValue {
            path: self.name.to_owned(),
            line: self.line(value.span()),
            key: key.to_owned(),
            found: shown.chars().take(VALUE_SHOWN_CHARS).collect(),
            takes: takes.to_owned(),
        }
    }

    /// The line of a place in the text, from 1.
    fn line(&self, at: Range<usize>) -> usize {
        self.text.bytes().take(at.start).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// How much of a wrong value is shown.
const VALUE_SHOWN_CHARS: usize = 60;

fn want(takes: Takes, value: &DeValue) -> Option<Want> {
    match value {
        DeValue::String(text) if text == "unlimited" && takes == Takes::AtLeast(Unit::Bytes) => {
            Some(Want::Number(UNLIMITED))
        }
        DeValue::String(text) => Some(Want::word(text)),
        DeValue::Integer(number) => {
            u64::from_str_radix(number.as_str(), number.radix()).ok().map(Want::Number)
        }
        DeValue::Array(words) => {
            let words = words.iter().map(|word| word.get_ref().as_str().map(str::to_owned));
            words.collect::<Option<Vec<_>>>().map(Want::Words)
        }
        _ => None,
    }
}
