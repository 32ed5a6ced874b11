//! The file that remembers how many shards each type has.
//!
//! One line a type: the number of shards, a space, the name. It is replaced as a whole, so a crash leaves the old
//! one or the new one. A type that is no longer declared stays in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::error::TypesError;

/// The name of the file in its directory.
pub const TYPES_FILE: &str = "entity-types";

/// Compares the types with those of the file, and adds the new ones to it. Blocks.
pub(super) fn agree<'t>(
    directory: &Path,
    types: impl Iterator<Item = (&'t str, u32)>,
) -> Result<(), TypesError> {
    let path = directory.join(TYPES_FILE);
    let failed = |source| TypesError::File { path: path.clone(), source };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut stored = parse(&path, &text)?;
    let known = stored.len();
    for (name, asked) in types {
        let stored = *stored.entry(name.to_owned()).or_insert(asked);
        if stored != asked {
            let name = name.to_owned();
            return Err(TypesError::OtherShardCount { name, stored, asked, path: path.clone() });
        }
    }
    if stored.len() > known {
        replace(directory, &path, &stored).map_err(failed)?;
    }
    Ok(())
}

fn parse(path: &Path, text: &str) -> Result<BTreeMap<String, u32>, TypesError> {
    let lines = text.lines().enumerate().map(|(number, line)| {
        let damaged = || TypesError::Damaged {
            path: path.to_owned(),
            line: number + 1,
            text: line.to_owned(),
        };
        let (shards, name) = line.split_once(' ').ok_or_else(damaged)?;
        Ok((name.to_owned(), shards.parse().map_err(|_| damaged())?))
    });
    lines.collect()
}

fn replace(directory: &Path, path: &Path, types: &BTreeMap<String, u32>) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    for (name, shards) in types {
        // A name with a line end would be two lines.
        writeln!(file, "{shards} {}", name.escape_default())?;
    }
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}
