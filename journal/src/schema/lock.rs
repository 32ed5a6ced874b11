//! `events.lock`: a committed file with every layout that may stand in a journal, and the check of a program against
//! it.
//!
//! A fingerprint that changes without a new version makes journals unreadable, and the compiler cannot see it: it
//! does not know what was stored last year. The file does. It holds one line for each layout, and is to be changed by
//! hand or by [`check`] only:
//!
//! ```text
//! # Layouts that stand in journals. ..
//! account.closed 1 8892fb21be352ca7
//! account.deposited 1 7d2f5316fc0261bf
//! account.deposited 2 66fa0dd4fb8fdf85
//! account.flagged 1 ac4a15532a21396d retired
//! ```
//!
//! One test for each program is enough. It fails when a type was changed without a new version, when an older version
//! is no longer read, and when a layout is new. With `MAINSPRING_EVENTS_LOCK=write` in the environment it adds what
//! is new to the file, and nothing else.
//!
//! ```
//! use mainspring_journal::schema::{Events, Layout, State, lock};
//! use mainspring_journal::{event, events, state};
//!
//! #[event(name = "account.deposited", version = 1)]
//! pub struct Deposited {
//!     pub amount: u64,
//! }
//!
//! #[events]
//! pub enum AccountEvent {
//!     Deposited(Deposited),
//! }
//!
//! #[state(name = "account", version = 1)]
//! pub struct Account {
//!     pub balance: u64,
//! }
//!
//! // In a test:
//! fn what_was_stored_can_be_read() -> Result<(), lock::LockError> {
//!     let path = concat!(env!("CARGO_MANIFEST_DIR"), "/events.lock");
//!     # let path = lock_of_this_example();
//!     lock::check(path, &[AccountEvent::READABLE, Account::READABLE])
//! }
//! # fn lock_of_this_example() -> std::path::PathBuf {
//! #     let path = std::env::temp_dir().join(format!("events-{}.lock", std::process::id()));
//! #     let lines = [AccountEvent::LAYOUTS[0], Account::LAYOUT].map(|layout| format!("{layout}\n"));
//! #     std::fs::write(&path, lines.concat()).expect("a temporary file");
//! #     path
//! # }
//! # what_was_stored_can_be_read().expect("nothing changed");
//! # std::fs::remove_file(lock_of_this_example()).expect("it is there");
//! ```
//!
//! Invariant: a line is never changed or removed here. What was stored stays stored.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::Layout;

/// A program that does not agree with its `events.lock`. Its `Debug` is its text, for tests that return it.
#[derive(thiserror::Error)]
pub enum LockError {
    /// The program and the file differ.
    #[error("{}: {}", path.display(), joined(differences))]
    Differs {
        /// The file.
        path: PathBuf,
        /// In what; at least one.
        differences: Vec<Difference>,
    },
    /// A line is not of the form that is written.
    #[error(
        "{} line {line}: expected `name version fingerprint`, the fingerprint in 16 hexadecimal digits, and `retired` \
         or nothing behind it: put it back as it was",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Two lines stand for the same layout.
    #[error("{} line {line}: a second line for the same name and version: keep the older one", path.display())]
    Doubled {
        /// The file.
        path: PathBuf,
        /// The second one, counted from 1.
        line: usize,
    },
    /// The file could not be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is longer than any such file should be.
    #[error("{} has more than {LOCK_LIMIT_BYTES} bytes: is it an events.lock?", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// New layouts could not be added. The file is as it was.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The environment asks for something that does not exist.
    #[error("{LOCK_VARIABLE} is `{value}`: set it to `write`, or not at all")]
    Mode {
        /// What it asks for.
        value: String,
    },
}

/// One layout in which program and file differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The type has other fields than what was stored under the same name and version.
    #[error(
        "`{name}` version {version} was changed without a new version ({found:016x} instead of {locked:016x}): give \
         it the version {}, and keep the old type for `upcast(..)`; if a field's type was moved, give it a \
         `#[message(name = \"..\")]`; only if it was never stored, delete its line", version.saturating_add(1)
    )]
    Changed {
        /// The event or state.
        name: String,
        /// The version of both.
        version: u16,
        /// The fingerprint in the file.
        locked: u64,
        /// The fingerprint of the type.
        found: u64,
    },
    /// The program does not read a layout that may stand in a journal.
    #[error(
        "`{name}` version {version} is no longer read: name its type in `upcast(..)`, or write `retired` behind its \
         line if no journal holds it"
    )]
    Vanished {
        /// The event or state.
        name: String,
        /// The version.
        version: u16,
    },
    /// The file does not have the layout yet.
    #[error(
        "`{name}` version {version} is new: run the test once with {LOCK_VARIABLE}=write and commit the file"
    )]
    New {
        /// The event or state.
        name: &'static str,
        /// The version.
        version: u16,
    },
    /// Two types of the program claim the same name and version.
    #[error("two types are `{name}` version {version}: give one of them another name")]
    Clash {
        /// The event or state.
        name: &'static str,
        /// The version of both.
        version: u16,
    },
}

/// The variable of the environment that lets [`check`] add new layouts.
pub const LOCK_VARIABLE: &str = "MAINSPRING_EVENTS_LOCK";

/// The longest file that is read, in bytes.
pub const LOCK_LIMIT_BYTES: u64 = 1 << 20;

/// Compares what a program reads with the file, which need not exist yet.
///
/// `layouts` is what is read: [`Events::READABLE`](super::Events::READABLE) of every set of events and
/// [`State::READABLE`](super::State::READABLE) of every state. If [`LOCK_VARIABLE`] is `write` and nothing is wrong
/// but that layouts are new, they are added to the file; comments in it are kept.
///
/// # Errors
///
/// [`LockError`], whose text says what to do.
pub fn check(path: impl AsRef<Path>, layouts: &[&[Layout]]) -> Result<(), LockError> {
    let adds_new = match std::env::var_os(LOCK_VARIABLE) {
        None => false,
        Some(value) if value == "write" => true,
        Some(value) => {
            return Err(LockError::Mode { value: value.to_string_lossy().into_owned() });
        }
    };
    check_file(path.as_ref(), layouts, adds_new)
}

fn check_file(path: &Path, layouts: &[&[Layout]], adds_new: bool) -> Result<(), LockError> {
    let text = read(path)?;
    let lock = Lock::parse(&text).map_err(|error| error.at(path))?;
    let layouts: Vec<Layout> = layouts.iter().copied().flatten().copied().collect();
    let differences = lock.differences(&layouts);
    if differences.is_empty() {
        return Ok(());
    }
    let are_new = differences.iter().all(|found| matches!(found, Difference::New { .. }));
    if !(adds_new && are_new) {
        return Err(LockError::Differs { path: path.to_owned(), differences });
    }
    write(path, &lock.with(&layouts))
}

/// The file; nothing if there is none.
fn read(path: &Path) -> Result<String, LockError> {
    let unreadable = |source| LockError::Unreadable { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = String::new();
    file.take(LOCK_LIMIT_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LOCK_LIMIT_BYTES {
        return Err(LockError::TooLong { path: path.to_owned() });
    }
    Ok(text)
}

/// Replaces the file as a whole.
fn write(path: &Path, text: &str) -> Result<(), LockError> {
    let unwritable = |source| LockError::Unwritable { path: path.to_owned(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text).map_err(unwritable)?;
    fs::rename(&beside, path).map_err(unwritable)
}

/// The lines of the file, in its order.
struct Lock<'a> {
    lines: Vec<Line<'a>>,
}

enum Line<'a> {
    /// A comment or an empty line.
    Text(&'a str),
    Entry {
        text: &'a str,
        key: Key<'a>,
        entry: Entry,
    },
}

/// Name and version.
type Key<'a> = (&'a str, u16);

#[derive(Clone, Copy)]
struct Entry {
    fingerprint: u64,
    /// The program need not read it.
    retired: bool,
}

/// A line that cannot be read, counted from 1.
enum LineError {
    Form(usize),
    Doubled(usize),
}

const HEADER: &str = "\
# Layouts of events and states that stand in journals: name, version, fingerprint of the fields. Commit this file.
# A test holds the program against it and says what to do. `retired` behind a line: no journal holds it any more.
";

impl<'a> Lock<'a> {
    fn parse(text: &'a str) -> Result<Self, LineError> {
        let mut seen = BTreeMap::new();
        let mut lines = Vec::new();
        for (number, text) in (1..).zip(text.lines()) {
            let line = Line::parse(text).ok_or(LineError::Form(number))?;
            if let Line::Entry { key, .. } = line
                && seen.insert(key, number).is_some()
            {
                return Err(LineError::Doubled(number));
            }
            lines.push(line);
        }
        Ok(Lock { lines })
    }

    fn entries(&self) -> BTreeMap<Key<'a>, Entry> {
        let entry = |line: &Line<'a>| match line {
            Line::Entry { key, entry, .. } => Some((*key, *entry)),
            Line::Text(_) => None,
        };
        self.lines.iter().filter_map(entry).collect()
    }

    /// In what the program differs, in the order of names and versions, what is wrong before what is new.
    fn differences(&self, layouts: &[Layout]) -> Vec<Difference> {
        let locked = self.entries();
        let mut found: BTreeMap<Key<'_>, &Layout> = BTreeMap::new();
        let (mut wrong, mut new) = (Vec::new(), Vec::new());
        for layout in layouts {
            let (name, version) = (layout.name, layout.version);
            match found.insert((name, version), layout) {
                Some(other) if other.fingerprint != layout.fingerprint => {
                    wrong.push(Difference::Clash { name, version });
                }
                _ => {}
            }
        }
        for (&(name, version), entry) in &locked {
            match found.get(&(name, version)) {
                Some(layout) if layout.fingerprint == entry.fingerprint => {}
                Some(layout) => wrong.push(Difference::Changed {
                    name: name.to_owned(),
                    version,
                    locked: entry.fingerprint,
                    found: layout.fingerprint,
                }),
                None if entry.retired => {}
                None => wrong.push(Difference::Vanished { name: name.to_owned(), version }),
            }
        }
        for (key, layout) in found {
            if !locked.contains_key(&key) {
                new.push(Difference::New { name: layout.name, version: layout.version });
            }
        }
        wrong.append(&mut new);
        wrong
    }

    /// The text with what is new: each line behind the last one that sorts before it.
    fn with(&self, layouts: &[Layout]) -> String {
        let locked = self.entries();
        let is_new = |layout: &&Layout| !locked.contains_key(&(layout.name, layout.version));
        let mut new: Vec<&Layout> = layouts.iter().filter(is_new).collect();
        new.sort();
        new.dedup();
        let mut places = vec![Vec::new(); self.lines.len() + 1];
        for layout in new {
            places[self.place_of((layout.name, layout.version))].push(layout.to_string());
        }
        let header = if self.lines.is_empty() { HEADER } else { "" };
        let mut text = header.to_owned();
        let mut push = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        for (added, line) in places.iter().zip(self.lines.iter().map(Some).chain([None])) {
            added.iter().for_each(|line| push(line));
            if let Some(line) = line {
                push(line.text());
            }
        }
        text
    }

    /// In front of which line a new entry goes.
    fn place_of(&self, new: Key<'_>) -> usize {
        let is_before = |line: &Line<'_>| matches!(line, Line::Entry { key, .. } if *key < new);
        let behind = self.lines.iter().rposition(is_before).map(|last| last + 1);
        // Comments at the top are the file's own.
        let top = self.lines.iter().take_while(|line| matches!(line, Line::Text(_))).count();
        behind.unwrap_or(top)
    }
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text.starts_with('#') || text.trim().is_empty() {
            return Some(Line::Text(text));
        }
        let mut words = text.split_whitespace();
        let (name, version, digits) = (words.next()?, words.next()?, words.next()?);
        let retired = match words.next() {
            None => false,
            Some("retired") => true,
            Some(_) => return None,
        };
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if words.next().is_some() || digits.len() != 16 || !is_hexadecimal {
            return None;
        }
        let fingerprint = u64::from_str_radix(digits, 16).ok()?;
        let key = (name, version.parse().ok()?);
        Some(Line::Entry { text, key, entry: Entry { fingerprint, retired } })
    }

    fn text(&self) -> &'a str {
        match self {
            Line::Text(text) | Line::Entry { text, .. } => text,
        }
    }
}

impl LineError {
    fn at(self, path: &Path) -> LockError {
        let path = path.to_owned();
        match self {
            LineError::Form(line) => LockError::Line { path, line },
            LineError::Doubled(line) => LockError::Doubled { path, line },
        }
    }
}

fn joined(differences: &[Difference]) -> String {
    let texts: Vec<String> = differences.iter().map(Difference::to_string).collect();
    texts.join("; ")
}

impl fmt::Debug for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
