//! The bytes of an id as a table holds them: short ones beside the entity, long ones apart.

/// Ids of so many bytes stand in the table itself.
const INLINE_BYTES: usize = 22;

/// An id's bytes, in 24 bytes when it is short.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Apart(Box<[u8]>),
}

impl Name {
    /// Of a row that no entity has.
    pub(super) const NONE: Name = Name::Inline { len: 0, bytes: [0; INLINE_BYTES] };

    pub(super) fn of(id: &[u8]) -> Self {
        if id.len() > INLINE_BYTES {
            return Name::Apart(id.into());
        }
        let mut bytes = [0; INLINE_BYTES];
        bytes[..id.len()].copy_from_slice(id);
        Name::Inline { len: id.len() as u8, bytes }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Inline { len, bytes } => &bytes[..usize::from(*len).min(INLINE_BYTES)],
            Name::Apart(bytes) => bytes,
        }
    }

    /// Whether no id stands here: an id has at least one byte.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Name::Inline { len: 0, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_was_wherever_it_stands() {
        for len in 1..100 {
            let id: Vec<u8> = (0..len).collect();
            assert_eq!(Name::of(&id).as_bytes(), id);
            assert_eq!(matches!(Name::of(&id), Name::Inline { .. }), len <= 22);
        }
        assert_eq!(size_of::<Name>(), 24);
        assert!(Name::NONE.is_none() && !Name::of(&[0]).is_none());
    }
}
