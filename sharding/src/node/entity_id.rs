//! The id of an entity, as its type's factory gets it.

use std::fmt;

/// Which entity is to be made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntityId<'a>(&'a [u8]);

impl<'a> EntityId<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        EntityId(bytes)
    }

    /// Its bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text, if the bytes are one.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }

    /// The number, if the bytes are the eight of one.
    pub fn number(self) -> Option<u64> {
        self.0.try_into().ok().map(u64::from_be_bytes)
    }
}

impl fmt::Display for EntityId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

impl fmt::Debug for EntityId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityId({self})")
    }
}
