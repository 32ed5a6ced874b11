//! The id of an entity, checked and hashed once.
//!
//! An id is its bytes and nothing else: a text is its UTF-8, a number its eight bytes with the highest first, as the
//! journal writes them. The text `"12345678"` and the number with the same eight bytes are therefore one entity.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

/// The most bytes that an id may have.
pub const MOST_ID_BYTES: usize = 1_024;

/// An id with its hash, as a table of entities is asked for it.
#[derive(Clone, Copy)]
pub struct EntityKey<'a> {
    bytes: IdBytes<'a>,
    hash: u64,
}

#[derive(Clone, Copy)]
enum IdBytes<'a> {
    Borrowed(&'a [u8]),
    Number([u8; 8]),
}

/// What can be the id of an entity: texts, bytes and numbers.
pub trait ToEntityKey {
    /// The id, checked and hashed.
    ///
    /// # Errors
    ///
    /// An id of no bytes or of more than [`MOST_ID_BYTES`].
    fn to_entity_key(&self) -> Result<EntityKey<'_>, EntityIdError>;
}

/// Why something cannot be an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntityIdError {
    /// Nothing to tell entities apart by.
    #[error("the id of an entity is empty; it needs 1 to {MOST_ID_BYTES} bytes")]
    Empty,
    /// It would be compared, sent and stored with every message.
    #[error(
        "the id of an entity has {bytes} bytes, and at most {MOST_ID_BYTES} are taken; use a digest of it as the id"
    )]
    TooLong {
        /// What it has.
        bytes: usize,
    },
}

impl EntityKey<'_> {
    /// The bytes of the id.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.bytes {
            IdBytes::Borrowed(bytes) => bytes,
            IdBytes::Number(bytes) => bytes,
        }
    }

    /// XXH3-64 of the bytes: stable for ever, and what the shard is taken from.
    #[inline]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

impl fmt::Debug for EntityKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityKey({})", self.as_bytes().escape_ascii())
    }
}

impl PartialEq for EntityKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for EntityKey<'_> {}

impl ToEntityKey for [u8] {
    #[inline]
    fn to_entity_key(&self) -> Result<EntityKey<'_>, EntityIdError> {
        match self.len() {
            0 => Err(EntityIdError::Empty),
            bytes if bytes > MOST_ID_BYTES => Err(EntityIdError::TooLong { bytes }),
            _ => Ok(EntityKey { bytes: IdBytes::Borrowed(self), hash: hash_of(self) }),
        }
    }
}

impl ToEntityKey for str {
    #[inline]
    fn to_entity_key(&self) -> Result<EntityKey<'_>, EntityIdError> {
        self.as_bytes().to_entity_key()
    }
}

impl ToEntityKey for String {
    #[inline]
    fn to_entity_key(&self) -> Result<EntityKey<'_>, EntityIdError> {
        self.as_bytes().to_entity_key()
    }
}

impl ToEntityKey for Vec<u8> {
    #[inline]
    fn to_entity_key(&self) -> Result<EntityKey<'_>, EntityIdError> {
        self.as_slice().to_entity_key()
    }
}

impl ToEntityKey for u64 {
    /// Never fails.
    #[inline]
    fn to_entity_key(&self) -> Result<EntityKey<'_>, EntityIdError> {
        let bytes = self.to_be_bytes();
        Ok(EntityKey { bytes: IdBytes::Number(bytes), hash: xxh3_64(&bytes) })
    }
}

impl<I: ToEntityKey + ?Sized> ToEntityKey for &I {
    #[inline]
    fn to_entity_key(&self) -> Result<EntityKey<'_>, EntityIdError> {
        (**self).to_entity_key()
    }
}

/// The hash of an id, as it stands in its key. With a length that is known, it is a few instructions in place.
#[inline(always)]
pub(crate) fn hash_of(id: &[u8]) -> u64 {
    match <&[u8; 8]>::try_from(id) {
        Ok(number) => xxh3_64(number),
        Err(_) => hash_of_any_length(id),
    }
}

#[inline(never)]
fn hash_of_any_length(id: &[u8]) -> u64 {
    xxh3_64(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_to_1024_bytes() {
        assert_eq!("".to_entity_key(), Err(EntityIdError::Empty));
        assert!("a".to_entity_key().is_ok());
        assert!(vec![7_u8; MOST_ID_BYTES].to_entity_key().is_ok());
        let error = [7_u8; MOST_ID_BYTES + 1].to_entity_key().unwrap_err();
        assert_eq!(error, EntityIdError::TooLong { bytes: 1_025 });
        assert!(error.to_string().contains("use a digest"));
    }

    #[test]
    fn texts_bytes_and_numbers_of_the_same_bytes_are_one_id() {
        let text = "iban-42";
        assert_eq!(text.to_entity_key(), text.as_bytes().to_entity_key());
        assert_eq!(String::from(text).to_entity_key(), text.to_entity_key());
        let number = u64::from_be_bytes(*b"device-1");
        assert_eq!(number.to_entity_key(), "device-1".to_entity_key());
        assert_ne!(number.to_entity_key(), "device-2".to_entity_key());
    }

    #[test]
    fn the_hash_is_the_one_that_the_specification_gives() {
        // The XXH3 specification's own vector: 64 bits, no seed, of one zero byte.
        assert_eq!([0_u8].to_entity_key().unwrap().hash(), 0xC44B_DFF4_074E_ECDB);
    }
}
