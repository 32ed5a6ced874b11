//! The file that remembers how many shards each type has.
//!
//! One line a type: the number of shards, a space, the name, in which whatever is not printable ASCII is escaped as
//! [`char::escape_default`] does it. It is replaced as a whole, so a crash leaves the old one or the new one. A type
//! that is no longer declared stays in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::error::TypesError;
use crate::entities::ShardCount;

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
    let mut types = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let is_new = parse_line(line).is_some_and(|(name, shards)| {
            // Of two lines for one type, none can be believed.
            types.insert(name, shards).is_none()
        });
        if !is_new {
            let (line, text) = (number + 1, line.to_owned());
            return Err(TypesError::Damaged { path: path.to_owned(), line, text });
        }
    }
    Ok(types)
}

fn parse_line(line: &str) -> Option<(String, u32)> {
    let (shards, name) = line.split_once(' ')?;
    let shards = ShardCount::new(shards.parse().ok()?).ok()?;
    Some((unescape(name)?, shards.get()))
}

/// The text that [`str::escape_default`] made this of.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        plain.push(match rest.next()? {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            quoted @ ('\\' | '\'' | '"') => quoted,
            'u' => {
                let (number, after) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                rest = after.chars();
                char::from_u32(u32::from_str_radix(number, 16).ok()?)?
            }
            _ => return None,
        });
    }
    Some(plain)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_comes_back_as_it_was(name in any::<String>()) {
            let line = format!("7 {}", name.escape_default());
            prop_assert_eq!(line.lines().count(), 1);
            prop_assert_eq!(parse_line(&line), Some((name, 7)));
        }

        #[test]
        fn no_line_is_too_odd_to_be_looked_at(line in any::<String>()) {
            let _ = parse_line(&line);
        }
    }
}
