//! The bytes of an id as a table holds them: short ones beside the entity, long ones apart.

/// Ids of so many bytes stand in the table itself.
const INLINE_BYTES: usize = 22;
const WORD: usize = size_of::<u64>();

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

    /// Whether this is the id.
    #[inline(always)]
    pub(super) fn is(&self, id: &[u8]) -> bool {
        match self {
            Name::Inline { len, bytes } => usize::from(*len) == id.len() && begins(bytes, id),
            Name::Apart(bytes) => **bytes == *id,
        }
    }

    /// Whether no id stands here: an id has at least one byte.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Name::Inline { len: 0, .. })
    }
}

/// Whether these bytes begin with an id. One of a number's length, or up to twice that, is compared in two words, which
/// may overlap: a call of the C library takes longer.
#[inline(always)]
fn begins(bytes: &[u8; INLINE_BYTES], id: &[u8]) -> bool {
    match (id.first_chunk::<WORD>(), id.last_chunk::<WORD>()) {
        (Some(first), Some(last)) if id.len() <= 2 * WORD => {
            bytes.first_chunk() == Some(first) && bytes[..id.len()].last_chunk() == Some(last)
        }
        _ => bytes.starts_with(id),
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
    }

    #[test]
    fn an_id_is_not_one_that_differs_in_a_byte_or_in_length() {
        for len in 1..40 {
            let id: Vec<u8> = (1..=len).collect();
            let name = Name::of(&id);
            assert!(name.is(&id));
            assert!(!name.is(&id[1..]) && !name.is(&id[..id.len() - 1]));
            assert!(!name.is(&[&id[..], &[0]].concat()), "a name of {len} bytes and a zero");
            for place in 0..id.len() {
                let mut other = id.clone();
                other[place] ^= 0x80;
                assert!(!name.is(&other), "byte {place} of {len}");
            }
        }
    }

    #[test]
    fn no_name_is_none() {
        assert!(Name::NONE.is_none() && !Name::of(&[0]).is_none());
    }
}
