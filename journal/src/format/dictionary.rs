//! The two dictionaries of a segment. What many records have in common stands in the segment once, in a record of its
//! own, before the first record that refers to it: the name and layout of a payload, and the full name of an entity.
//!
//! A segment refers to nothing outside itself, so any segment can be read without the others.

use super::fields::{put, u16_at, u64_at};

/// Name, version and layout of a payload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SchemaEntry {
    /// The number by which records of this segment refer to it; from 1.
    pub number: u16,
    /// The version of the event's or state's type.
    pub version: u16,
    /// The fingerprint of its archived layout.
    pub fingerprint: u64,
    /// Its name, as in `#[event(name = "account.deposited")]`.
    pub name: String,
}

/// The full name of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityEntry {
    /// What kind of entity it is.
    pub entity_type: String,
    /// Its id within the kind.
    pub id: Vec<u8>,
}

/// A payload that is no dictionary entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the dictionary entry is cut off, or its name is not UTF-8")]
pub struct DictionaryError;

/// The longest name of an event type, of an entity type, and the longest id, each.
pub const MOST_NAME_BYTES: usize = 1_024;

impl SchemaEntry {
    /// The payload of its record.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; SCHEMA_NAME_AT];
        put(&mut bytes, 0, &self.number.to_le_bytes());
        put(&mut bytes, 2, &self.version.to_le_bytes());
        put(&mut bytes, 8, &self.fingerprint.to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes
    }

    /// Reads the payload of its record.
    pub fn decode(payload: &[u8]) -> Result<SchemaEntry, DictionaryError> {
        let name = payload.get(SCHEMA_NAME_AT..).ok_or(DictionaryError)?;
        Ok(SchemaEntry {
            number: u16_at(payload, 0),
            version: u16_at(payload, 2),
            fingerprint: u64_at(payload, 8),
            name: text(name)?,
        })
    }
}

impl EntityEntry {
    /// The payload of its record.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = (self.entity_type.len() as u16).to_le_bytes().to_vec();
        bytes.extend_from_slice(self.entity_type.as_bytes());
        bytes.extend_from_slice(&self.id);
        bytes
    }

    /// Reads the payload of its record.
    pub fn decode(payload: &[u8]) -> Result<EntityEntry, DictionaryError> {
        let length = u16_at(payload, 0) as usize;
        let rest = payload.get(2..).ok_or(DictionaryError)?;
        let (entity_type, id) = rest.split_at_checked(length).ok_or(DictionaryError)?;
        if id.len() > MOST_NAME_BYTES {
            return Err(DictionaryError);
        }
        Ok(EntityEntry { entity_type: text(entity_type)?, id: id.to_vec() })
    }

    /// The hash by which records refer to the entity: XXH3-64 of the payload of its record.
    pub fn hash(&self) -> u64 {
        EntityEntry::hash_of(&self.encode())
    }

    /// The hash of the entity whose record has this payload.
    pub fn hash_of(payload: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64(payload)
    }
}

fn text(bytes: &[u8]) -> Result<String, DictionaryError> {
    if bytes.len() > MOST_NAME_BYTES {
        return Err(DictionaryError);
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| DictionaryError)
}

const SCHEMA_NAME_AT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let schema = SchemaEntry {
            number: 2,
            version: 7,
            fingerprint: u64::MAX - 1,
            name: "account.deposited".into(),
        };
        assert_eq!(SchemaEntry::decode(&schema.encode()), Ok(schema));
        let entity = EntityEntry { entity_type: "account".into(), id: b"\0\xFF42".to_vec() };
        assert_eq!(EntityEntry::decode(&entity.encode()), Ok(entity));
    }

    #[test]
    fn entities_whose_names_run_together_have_different_hashes() {
        let entity = |entity_type: &str, id: &str| EntityEntry {
            entity_type: entity_type.into(),
            id: id.as_bytes().to_vec(),
        };
        assert_ne!(entity("ab", "c").hash(), entity("a", "bc").hash());
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_refused() {
        assert_eq!(SchemaEntry::decode(&[0; 15]), Err(DictionaryError));
        assert_eq!(EntityEntry::decode(&[5, 0, b'a']), Err(DictionaryError));
        assert_eq!(EntityEntry::decode(&[]), Err(DictionaryError));
        assert_eq!(EntityEntry::decode(&[1, 0, 0xFF]), Err(DictionaryError));
        assert_eq!(EntityEntry::decode(&vec![0; MOST_NAME_BYTES + 3]), Err(DictionaryError));
    }
}
