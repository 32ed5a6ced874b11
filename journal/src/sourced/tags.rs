//! What may be a tag of an event.

use crate::format::record::MOST_TAG_BYTES;

/// The most tags of one event.
pub const TAGS_LIMIT: usize = 16;

/// The most bytes of one tag.
pub const TAG_LIMIT_BYTES: usize = MOST_TAG_BYTES;

/// Tags that are not written, and their event is not either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagRefused {
    /// One is empty or too long.
    #[error("the tag `{}` has {} bytes; a tag has 1 to {TAG_LIMIT_BYTES}", tag.escape_debug(), tag.len())]
    Length {
        /// The tag.
        tag: &'static str,
    },
    /// There are too many.
    #[error("an event has {found} tags; it may have {TAGS_LIMIT}")]
    TooMany {
        /// How many there are.
        found: usize,
    },
}

/// The tags of an event, if they can be written.
pub(super) fn checked_tags(
    tags: &'static [&'static str],
) -> Result<&'static [&'static str], TagRefused> {
    if tags.len() > TAGS_LIMIT {
        return Err(TagRefused::TooMany { found: tags.len() });
    }
    match tags.iter().find(|tag| tag.is_empty() || tag.len() > TAG_LIMIT_BYTES) {
        Some(tag) => Err(TagRefused::Length { tag }),
        None => Ok(tags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: &str = "0123456789012345678901234567890123456789012345678901234567890123";
    const TOO_LONG: &str = "01234567890123456789012345678901234567890123456789012345678901234";

    #[test]
    fn tags_that_the_format_has_no_room_for_are_refused() {
        assert_eq!(checked_tags(&["a", LONGEST]), Ok(&["a", LONGEST][..]));
        assert_eq!(checked_tags(&["a", ""]), Err(TagRefused::Length { tag: "" }));
        assert_eq!(checked_tags(&[TOO_LONG]), Err(TagRefused::Length { tag: TOO_LONG }));
        assert_eq!(checked_tags(&["t"; TAGS_LIMIT]).map(<[_]>::len), Ok(TAGS_LIMIT));
        assert_eq!(checked_tags(&["t"; 17]), Err(TagRefused::TooMany { found: 17 }));
    }
}
