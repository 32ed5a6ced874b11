//! By which name an entity is known within its type.

use std::fmt;

/// The id of an entity: text, bytes or a number. Ids of different forms are different bytes, so `7` and `"7"` are two
/// entities.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId(Box<[u8]>);

impl EntityId {
    /// Its bytes, as the journal holds them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for EntityId {
    fn from(text: &str) -> Self {
        EntityId(text.as_bytes().into())
    }
}

impl From<String> for EntityId {
    fn from(text: String) -> Self {
        EntityId(text.into_bytes().into())
    }
}

impl From<&[u8]> for EntityId {
    fn from(bytes: &[u8]) -> Self {
        EntityId(bytes.into())
    }
}

impl From<u64> for EntityId {
    /// Eight bytes, big-endian, so that ids sort as the numbers do.
    fn from(number: u64) -> Self {
        EntityId(number.to_be_bytes().into())
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityId({self})")
    }
}
