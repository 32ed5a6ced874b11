//! The names behind the numbers of records: entities by their hashes, layouts by their numbers in a segment. And how
//! a name is written so that it can be read back: TYPE/ID, with every byte that is not printable escaped.

use std::collections::BTreeMap;

use crate::format::RecordKind;
use crate::format::dictionary::{EntityEntry, SchemaEntry};
use crate::format::record::Record;

/// What the dictionaries of a log have said so far.
#[derive(Debug, Default)]
pub struct Names {
    entities: BTreeMap<u64, EntityEntry>,
    /// The layouts of this segment.
    segment_id: u64,
    layouts: BTreeMap<u16, SchemaEntry>,
}

impl Names {
    /// Takes in a record of a dictionary; any other changes nothing.
    pub fn take_in(&mut self, segment_id: u64, record: &Record<'_>) {
        if self.segment_id != segment_id {
            self.layouts.clear();
            self.segment_id = segment_id;
        }
        match record.header.kind {
            RecordKind::Entity => {
                if let Ok(entry) = EntityEntry::decode(record.payload) {
                    self.entities.insert(EntityEntry::hash_of(record.payload), entry);
                }
            }
            RecordKind::Schema => {
                if let Ok(entry) = SchemaEntry::decode(record.payload) {
                    self.layouts.insert(entry.number, entry);
                }
            }
            _ => {}
        }
    }

    /// The entity with a hash, when its name is known.
    pub fn entity(&self, hash: u64) -> Option<&EntityEntry> {
        self.entities.get(&hash)
    }

    /// The layout with a number in a segment, when it is known.
    pub fn layout(&self, segment_id: u64, number: u16) -> Option<&SchemaEntry> {
        self.layouts.get(&number).filter(|_| self.segment_id == segment_id)
    }

    /// The name of an entity as it is shown; its hash when the name is not known.
    pub fn shown(&self, hash: u64) -> String {
        self.entity(hash).map_or_else(|| format!("{hash:#018x}"), shown)
    }
}

/// TYPE/ID. A `/` in the type is escaped, so the first one is always the one between.
pub fn shown(entity: &EntityEntry) -> String {
    let entity_type = escaped(entity.entity_type.as_bytes()).replace('/', "\\x2f");
    format!("{entity_type}/{}", escaped(&entity.id))
}

/// Printable bytes as they are, others and the backslash as `\xNN`.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'!'..=b'[' | b']'..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

/// The hash of the entity that is shown so; none when it is no TYPE/ID.
pub fn hash_of_shown(shown: &str) -> Option<u64> {
    let (entity_type, id) = shown.split_once('/')?;
    let entity_type = String::from_utf8(unescaped(entity_type)?).ok()?;
    Some(EntityEntry { entity_type, id: unescaped(id)? }.hash())
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..place]);
        let digits = rest.get(place + 2..place + 4)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[place + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_bytes_is_shown_so_that_it_can_be_given_back() {
        for (entity_type, id, as_shown) in [
            ("account", &b"42"[..], "account/42"),
            ("a/b", b"c/d", "a\\x2fb/c/d"),
            ("", b"\0\xFF \\x", "/\\x00\\xff\\x20\\x5cx"),
            ("ä", b"", "\\xc3\\xa4/"),
        ] {
            let entity = EntityEntry { entity_type: entity_type.into(), id: id.to_vec() };
            assert_eq!(shown(&entity), as_shown);
            assert_eq!(hash_of_shown(as_shown), Some(entity.hash()));
        }
        assert_eq!(hash_of_shown("ä/ö"), hash_of_shown("\\xc3\\xa4/\\xc3\\xb6"));
    }

    #[test]
    fn what_is_no_name_has_no_hash() {
        for text in ["", "account", "a/\\x", "a/\\xg0", "a/\\x0", "\\xff/1"] {
            assert_eq!(hash_of_shown(text), None, "{text}");
        }
    }
}
