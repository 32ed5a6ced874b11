//! What a journal's directory says of itself: whose it is, and how many logs it has.
//!
//! Written once, when the journal is made. Everything that decides where an entity's records are found is in it, so
//! a program that differs in any of it is refused before it reads or writes a log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::durable_file::{FileError, replace};
use crate::format::segment_header::SYSTEM_NAME_BYTES;

/// The name of the manifest's file.
pub const MANIFEST_FILE: &str = "journal.toml";

/// The version of the directory's layout.
pub const DIRECTORY_FORMAT: u32 = 1;

/// The most cores of one journal.
pub const MOST_CORES: u32 = 1_024;

/// Whose journal is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The system's name.
    pub system: String,
    /// How many shards the system has; fixed for ever.
    pub shard_count: u32,
    /// How many cores the node has: each has a log of its own.
    pub cores: u32,
}

/// What stands in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Whose journal it is.
    pub identity: Identity,
    /// Tells each core's log from every other one, in the order of the cores.
    pub log_ids: Vec<u128>,
}

/// Why a manifest does not let the journal be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The identity itself is not possible.
    #[error("a journal cannot be made for {what}; {remedy}")]
    Identity {
        /// What is not possible.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no manifest, or not a whole one.
    #[error("{} is damaged: {reason}; restore it from a copy of the journal", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There are logs, but nothing says whose.
    #[error(
        "{} holds segments of a log, and {MANIFEST_FILE} is missing; restore it from a copy of the journal",
        path.display()
    )]
    Missing {
        /// The folder with segments.
        path: PathBuf,
    },
    /// The directory was made by a newer program.
    #[error(
        "{} has format {found}, this program knows up to {DIRECTORY_FORMAT}; use a newer program", path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The journal belongs to another system.
    #[error(
        "the journal of {} belongs to system \"{found}\", this is system \"{expected}\"; start with another directory, \
         or with the name it was made with",
        path.display()
    )]
    System {
        /// The file.
        path: PathBuf,
        /// Its system.
        found: String,
        /// This system.
        expected: String,
    },
    /// Entities of this system are in other shards.
    #[error(
        "the journal of {} was made for {found} shards, this system has {expected}; a number of shards is fixed for \
         ever: set it to {found}",
        path.display()
    )]
    Shards {
        /// The file.
        path: PathBuf,
        /// Its shards.
        found: u32,
        /// This system's.
        expected: u32,
    },
    /// The journal has more or fewer logs than this node has cores.
    #[error(
        "the journal of {} has the logs of {found} cores, this node has {expected}; start the node with {found} cores",
        path.display()
    )]
    Cores {
        /// The file.
        path: PathBuf,
        /// Its cores.
        found: u32,
        /// This node's.
        expected: u32,
    },
}

impl Manifest {
    /// A manifest for a journal that begins.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn new(identity: &Identity) -> Result<Manifest, ManifestError> {
        identity.check()?;
        let log_ids = (0..identity.cores).map(|_| random_id()).collect::<io::Result<_>>();
        let log_ids =
            log_ids.map_err(FileError::at("draw a log id from", Path::new("the system")))?;
        Ok(Manifest { identity: identity.clone(), log_ids })
    }

    /// The manifest of a directory; `None` when there is none.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn read(folder: &Path) -> Result<Option<Manifest>, ManifestError> {
        let path = folder.join(MANIFEST_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Manifest::parse(&path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::at("read", &path)(error).into()),
        }
    }

    /// Puts the manifest into a directory, durably.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        let path = folder.join(MANIFEST_FILE);
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let text = toml::to_string(&self.document()).map_err(invalid);
        let text = text.map_err(FileError::at("write", &path))?;
        replace(folder, MANIFEST_FILE, format!("{HEADING}{text}").as_bytes())
    }

    /// Whether the journal is the one that is to be opened.
    ///
    /// # Errors
    /// [`ManifestError`], which names the first difference.
    pub fn check(&self, folder: &Path, wanted: &Identity) -> Result<(), ManifestError> {
        wanted.check()?;
        let path = folder.join(MANIFEST_FILE);
        let found = &self.identity;
        if found.system != wanted.system {
            let (found, expected) = (found.system.clone(), wanted.system.clone());
            return Err(ManifestError::System { path, found, expected });
        }
        if found.shard_count != wanted.shard_count {
            let (found, expected) = (found.shard_count, wanted.shard_count);
            return Err(ManifestError::Shards { path, found, expected });
        }
        if found.cores != wanted.cores {
            let (found, expected) = (found.cores, wanted.cores);
            return Err(ManifestError::Cores { path, found, expected });
        }
        Ok(())
    }

    fn document(&self) -> Document {
        Document {
            format: DIRECTORY_FORMAT,
            system: self.identity.system.clone(),
            shard_count: self.identity.shard_count,
            cores: self.identity.cores,
            log_ids: self.log_ids.iter().map(|id| format!("{id:032x}")).collect(),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Manifest, ManifestError> {
        let damaged = |reason: String| {
            let reason = reason.lines().next().unwrap_or_default().to_owned();
            ManifestError::Damaged { path: path.to_owned(), reason }
        };
        let format: Format =
            toml::from_str(text).map_err(|error| damaged(error.message().into()))?;
        if format.format > DIRECTORY_FORMAT {
            return Err(ManifestError::NewerFormat { path: path.to_owned(), found: format.format });
        }
        let document: Document =
            toml::from_str(text).map_err(|error| damaged(error.message().into()))?;
        let parsed = |id: &String| u128::from_str_radix(id, 16).ok().filter(|_| id.len() == 32);
        let log_ids: Option<Vec<u128>> = document.log_ids.iter().map(parsed).collect();
        let log_ids =
            log_ids.ok_or_else(|| damaged("a log id is not 32 hexadecimal digits".into()))?;
        if log_ids.len() != document.cores as usize {
            return Err(damaged(format!("{} log ids for {} cores", log_ids.len(), document.cores)));
        }
        let Document { system, shard_count, cores, .. } = document;
        let identity = Identity { system, shard_count, cores };
        identity.check().map_err(|error| damaged(error.to_string()))?;
        Ok(Manifest { identity, log_ids })
    }
}

impl Identity {
    fn check(&self) -> Result<(), ManifestError> {
        let refused = |what: String, remedy| Err(ManifestError::Identity { what, remedy });
        if self.system.is_empty() || self.system.len() > SYSTEM_NAME_BYTES {
            let what = format!("a system whose name has {} bytes", self.system.len());
            return refused(what, "a name has from 1 to 255");
        }
        if self.shard_count == 0 {
            return refused("a system without shards".into(), "it has at least one");
        }
        if self.cores == 0 || self.cores > MOST_CORES {
            return refused(format!("{} cores", self.cores), "a node has from 1 to 1,024");
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    system: String,
    shard_count: u32,
    cores: u32,
    log_ids: Vec<String>,
}

const HEADING: &str =
    "# Whose journal this is. Written when it was made; its logs are opened with nothing else.\n";

fn random_id() -> io::Result<u128> {
    let mut bytes = [0; 16];
    // Some kernels give less at once when a signal comes; so few bytes are always given whole.
    let given = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if given < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::scratch::Scratch;

    fn identity() -> Identity {
        Identity { system: "orders".into(), shard_count: 1024, cores: 2 }
    }

    fn read_back(text: &str) -> Result<Option<Manifest>, ManifestError> {
        let scratch = Scratch::new("manifest");
        fs::write(scratch.path().join(MANIFEST_FILE), text).expect("it can be written");
        Manifest::read(scratch.path())
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_every_log_has_its_own_id() {
        let scratch = Scratch::new("manifest-written");
        assert_eq!(Manifest::read(scratch.path()).expect("none is no error"), None);
        let manifest = Manifest::new(&identity()).expect("it is possible");
        manifest.write(scratch.path()).expect("it can be written");
        assert_ne!(manifest.log_ids[0], manifest.log_ids[1]);
        assert_eq!(Manifest::read(scratch.path()).expect("it is whole"), Some(manifest));
    }

    #[test]
    fn a_journal_of_somebody_else_is_refused_by_what_differs() {
        let manifest = Manifest::new(&identity()).expect("it is possible");
        let folder = Path::new("/data");
        manifest.check(folder, &identity()).expect("it is the same");
        for (wanted, message) in [
            (Identity { system: "other".into(), ..identity() }, "belongs to system \"orders\""),
            (Identity { shard_count: 512, ..identity() }, "set it to 1024"),
            (Identity { cores: 4, ..identity() }, "start the node with 2 cores"),
        ] {
            let error = manifest.check(folder, &wanted).expect_err("it differs").to_string();
            assert!(error.contains(message) && error.contains("/data/journal.toml"), "{error}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_even_with_fields_that_nobody_knows_yet() {
        let error = read_back("format = 2\nreplicas = 3\n").expect_err("newer");
        assert!(matches!(error, ManifestError::NewerFormat { found: 2, .. }), "{error}");
        assert!(error.to_string().contains("use a newer program"), "{error}");
    }

    #[test]
    fn a_manifest_that_is_not_whole_is_damaged() {
        let whole = "format = 1\nsystem = \"s\"\nshard_count = 1\ncores = 1\nlog_ids = [\"X\"]\n";
        let id = "0123456789abcdef0123456789abcdef";
        assert!(read_back(&whole.replace('X', id)).expect("it is whole").is_some());
        for (from, to, reason) in [
            ("X", "12", "32 hexadecimal digits"),
            ("cores = 1", "cores = 2", "1 log ids for 2 cores"),
            ("shard_count = 1", "shard_count = 0", "without shards"),
            ("system = \"s\"\n", "", "missing field `system`"),
            ("cores = 1", "cores = 1\nextra = 1", "unknown field `extra`"),
            ("format = 1", "form", "key"),
        ] {
            let text = whole.replace(from, to).replace('X', id);
            let error = read_back(&text).expect_err(reason).to_string();
            assert!(error.contains("is damaged") && error.contains(reason), "{reason}: {error}");
        }
    }

    #[test]
    fn what_no_journal_can_be_is_refused_before_one_is_made() {
        for identity in [
            Identity { system: String::new(), ..identity() },
            Identity { system: "x".repeat(256), ..identity() },
            Identity { shard_count: 0, ..identity() },
            Identity { cores: 0, ..identity() },
            Identity { cores: MOST_CORES + 1, ..identity() },
        ] {
            assert!(matches!(Manifest::new(&identity), Err(ManifestError::Identity { .. })));
        }
    }
}
