//! Requests as bytes: where the arguments of the next one lie, or what is wrong with it.
//!
//! A request is an array of bulk strings, or a line of words. Nothing else is looked into: what a client nests is
//! refused at its first byte, so no depth of it costs anything. Each argument is decoded by the crate
//! `redis-protocol`, in place.
//!
//! Limits: [`MOST_REQUEST_BYTES`] and [`MOST_ARGUMENTS`].

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

/// The most bytes that a request may have.
pub const MOST_REQUEST_BYTES: usize = 1 << 20;

/// The most arguments that a request may have, its name included.
pub const MOST_ARGUMENTS: usize = 8_192;

/// The least bytes that an argument takes: `$0\r\n\r\n`.
const LEAST_ARGUMENT_BYTES: usize = 6;

/// The most digits of a count, its sign included.
const MOST_DIGITS: usize = 20;

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A request of so many bytes. It may have no arguments, and then means nothing.
    Request { bytes: usize },
    /// Not all of it is there; it has at least so many bytes.
    Incomplete { wanted_bytes: usize },
    /// No request can begin so.
    Refused(ProtocolError),
}

/// Why the connection is closed: what comes next in it cannot be told from what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("ERR Protocol error: invalid multibulk length")]
    Count,
    #[error("ERR Protocol error: invalid bulk length")]
    Length,
    #[error("ERR Protocol error: expected '$', got '{}'", char::from(*.0))]
    Kind(u8),
    #[error("ERR Protocol error: too big request: at most {MOST_REQUEST_BYTES} bytes are taken")]
    TooLarge,
    #[error("ERR Protocol error: unbalanced quotes in request")]
    Quotes,
}

/// Where the arguments of a request lie in its bytes. One is used again and again.
#[derive(Debug, Default)]
pub struct Places {
    places: Vec<(usize, usize)>,
}

/// The arguments of a request, where they lie.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    bytes: &'a [u8],
    places: &'a [(usize, usize)],
}

impl Places {
    /// Finds the arguments of the request at the beginning of `bytes`.
    pub fn parse(&mut self, bytes: &[u8]) -> Parsed {
        self.places.clear();
        let parsed = match bytes.first() {
            None => Ok(Parsed::Incomplete { wanted_bytes: 1 }),
            Some(b'*') => self.parse_array(bytes),
            Some(_) => self.parse_line(bytes),
        };
        match parsed {
            Ok(Parsed::Incomplete { .. }) if bytes.len() >= MOST_REQUEST_BYTES => {
                Parsed::Refused(ProtocolError::TooLarge)
            }
            Ok(parsed) => parsed,
            Err(error) => Parsed::Refused(error),
        }
    }

    /// The arguments that were found in these bytes.
    pub fn of<'a>(&'a self, bytes: &'a [u8]) -> Arguments<'a> {
        Arguments { bytes, places: &self.places }
    }

    fn parse_array(&mut self, bytes: &[u8]) -> Result<Parsed, ProtocolError> {
        let Some((count, mut at)) = parse_count(bytes)? else {
            return Ok(Parsed::Incomplete { wanted_bytes: bytes.len() + 1 });
        };
        for number in 0..count {
            let rest = &bytes[at..];
            let found = match rest.first() {
                Some(b'$') => decode_range(rest).map_err(|_| ProtocolError::Length)?,
                Some(other) => return Err(ProtocolError::Kind(*other)),
                None => None,
            };
            match found {
                Some((RangeFrame::BulkString((begin, end)), taken_bytes)) => {
                    self.places.push((at + begin, at + end));
                    at += taken_bytes;
                }
                Some(_) => return Err(ProtocolError::Length),
                None => {
                    let least_bytes = at + (count - number) * LEAST_ARGUMENT_BYTES;
                    let wanted_bytes = least_bytes.max(bytes.len() + 1);
                    return Ok(Parsed::Incomplete { wanted_bytes });
                }
            }
        }
        Ok(Parsed::Request { bytes: at })
    }

    fn parse_line(&mut self, bytes: &[u8]) -> Result<Parsed, ProtocolError> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            return Ok(Parsed::Incomplete { wanted_bytes: bytes.len() + 1 });
        };
        let line = &bytes[..end];
        if line.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
            return Err(ProtocolError::Quotes);
        }
        let mut at = 0;
        for word in line.split(u8::is_ascii_whitespace) {
            if !word.is_empty() {
                self.places.push((at, at + word.len()));
            }
            at += word.len() + 1;
        }
        match self.places.len() > MOST_ARGUMENTS {
            true => Err(ProtocolError::Count),
            false => Ok(Parsed::Request { bytes: end + 1 }),
        }
    }
}

/// How many arguments follow, and where; none while the line has not ended.
fn parse_count(bytes: &[u8]) -> Result<Option<(usize, usize)>, ProtocolError> {
    let head = &bytes[1..bytes.len().min(MOST_DIGITS + 3)];
    let Some(digits) = head.iter().position(|byte| *byte == b'\r') else {
        return if head.len() > MOST_DIGITS { Err(ProtocolError::Count) } else { Ok(None) };
    };
    match head.get(digits + 1) {
        Some(b'\n') => {}
        Some(_) => return Err(ProtocolError::Count),
        None => return Ok(None),
    }
    let text = std::str::from_utf8(&head[..digits]).map_err(|_| ProtocolError::Count)?;
    match text.parse::<i64>() {
        Ok(count) if count <= MOST_ARGUMENTS as i64 => {
            Ok(Some((count.max(0) as usize, digits + 3)))
        }
        _ => Err(ProtocolError::Count),
    }
}

impl<'a> Arguments<'a> {
    /// How many there are, the command's name included.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// One of them; nothing beyond the last.
    pub fn get(&self, number: usize) -> &'a [u8] {
        let (begin, end) = self.places.get(number).copied().unwrap_or_default();
        self.bytes.get(begin..end).unwrap_or_default()
    }

    /// Those from this one on.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let arguments = *self;
        (first..arguments.len()).map(move |number| arguments.get(number))
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
