//! A short code: a tail number, an airport, a carrier.
//!
//! Up to eight letters and digits held in place, so it is compared, copied and sent without an allocation. Refuses
//! everything else.

use mainspring::prelude::*;
use std::fmt;

/// Bytes that a code may have.
pub const CODE_BYTES: usize = 8;

/// One to eight ASCII letters and digits. Codes are ordered as their text is.
#[message]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code([u8; CODE_BYTES]);

/// A text that is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a code: 1 to {CODE_BYTES} letters and digits are expected")]
pub struct NotACode {
    /// What was given; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl Code {
    /// A code from its text.
    pub fn parse(text: &[u8]) -> Result<Code, NotACode> {
        let fits = (1..=CODE_BYTES).contains(&text.len());
        if !fits || !text.iter().all(u8::is_ascii_alphanumeric) {
            return Err(NotACode { text: String::from_utf8_lossy(text).into_owned() });
        }
        let mut bytes = [0; CODE_BYTES];
        bytes[..text.len()].copy_from_slice(text);
        Ok(Code(bytes))
    }

    /// The text, filled up with zeros.
    pub fn to_bytes(self) -> [u8; CODE_BYTES] {
        self.0
    }

    fn text(&self) -> &str {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(CODE_BYTES);
        // Only ASCII gets in, so this is never the empty default.
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.text())
    }
}

impl fmt::Debug for ArchivedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArchivedCode").field(&String::from_utf8_lossy(&self.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_text_and_order() {
        let codes: Vec<Code> =
            ["9E", "AA", "JFK", "N14228"].map(|text| Code::parse(text.as_bytes()).unwrap()).into();
        assert!(codes.is_sorted());
        assert_eq!(codes[3].to_string(), "N14228");
        assert_eq!(format!("{:>5}|", codes[0]), "   9E|");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "N123456789", "N 1", "Ä", "a\0"] {
            assert_eq!(Code::parse(text.as_bytes()).unwrap_err().text, text);
        }
    }
}
