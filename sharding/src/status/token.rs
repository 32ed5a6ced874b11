//! The token that whoever asks for an action has to send.
//!
//! It is kept as its hash, and hashes are compared in constant time: how long a comparison takes says nothing about how
//! much of a guess was right, nor how long the token is.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::StatusError;

/// Shorter tokens are refused: they could be guessed.
pub const TOKEN_LEAST_BYTES: usize = 16;
/// Longer ones are refused.
pub const TOKEN_LIMIT_BYTES: usize = 1_024;

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Token {
    hash: blake3::Hash,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Whether somebody has sent it.
    pub fn is(&self, sent: &str) -> bool {
        blake3::hash(sent.as_bytes()) == self.hash
    }

    pub fn of(text: &str) -> Token {
        Token { hash: blake3::hash(text.as_bytes()) }
    }
}

/// The token of a file, for who keeps it as its hash.
pub(super) fn token_in(path: &Path) -> Result<Token, StatusError> {
    token_text_in(path).map(|text| Token::of(&text))
}

/// The token of a file: all of it, without white space at its ends.
pub(crate) fn token_text_in(path: &Path) -> Result<String, StatusError> {
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(2 * TOKEN_LIMIT_BYTES as u64).read_to_end(&mut bytes));
    read.map_err(|source| StatusError::TokenFile { path: path.to_owned(), source })?;
    let text = text_in(&bytes).map(str::to_owned);
    text.ok_or_else(|| StatusError::Token { path: path.to_owned() })
}

/// What bytes hold, if it is a token.
fn text_in(bytes: &[u8]) -> Option<&str> {
    let text = bytes.trim_ascii();
    let fits = (TOKEN_LEAST_BYTES..=TOKEN_LIMIT_BYTES).contains(&text.len());
    let is_plain = text.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(text).ok().filter(|_| fits && is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::of("0123456789abcdef");
        assert!(token.is("0123456789abcdef"));
        for guess in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF"] {
            assert!(!token.is(guess), "{guess}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn what_is_short_long_or_not_plain_is_no_token() {
        let long = "x".repeat(TOKEN_LIMIT_BYTES + 1);
        for text in ["", "short", "with a space in it, long", "ä-sixteen-letters", &long] {
            assert_eq!(text_in(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(text_in(&[0xff; 20]), None);
        assert_eq!(text_in(b" 0123456789abcdef\n"), Some("0123456789abcdef"));
        let nowhere = token_text_in(Path::new("no-such-folder/token"));
        assert!(matches!(nowhere, Err(StatusError::TokenFile { .. })));
    }
}
