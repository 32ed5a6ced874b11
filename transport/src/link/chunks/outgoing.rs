//! The sending half: large messages in a line, cut into pieces one after the other.

use std::collections::VecDeque;

use thiserror::Error;

use super::ChunkSettings;

/// Why a large message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OutgoingError {
    /// A message has at least one byte.
    #[error("a message of no bytes")]
    Empty,
    /// No receiver takes it.
    #[error("a message of {bytes} bytes; the limit is {limit_bytes}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The largest message.
        limit_bytes: usize,
    },
    /// Too much waits already.
    #[error("{waiting_bytes} bytes wait; {bytes} more do not fit into {limit_bytes}")]
    Full {
        /// Its length.
        bytes: usize,
        /// What waits.
        waiting_bytes: usize,
        /// What may wait.
        limit_bytes: usize,
    },
}

/// A message that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct OutgoingRefusal<H, B> {
    /// As it was given.
    pub head: H,
    /// As they were given.
    pub bytes: B,
    /// Why.
    pub reason: OutgoingError,
}

/// A piece of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a, H> {
    /// What the whole message would have as its header.
    pub head: H,
    /// The whole message.
    pub whole: &'a [u8],
    /// Where in the message the piece begins; 0 for the first one.
    pub offset_bytes: usize,
    /// The bytes from there on.
    pub bytes: &'a [u8],
}

/// Large messages that wait, each with what it has as its header.
#[derive(Clone, Debug)]
pub struct Outgoing<H, B> {
    settings: ChunkSettings,
    /// The first one may be under way.
    messages: VecDeque<(H, B)>,
    /// How many bytes of the first one were cut off.
    cut_bytes: usize,
    /// The whole lengths of all that wait.
    waiting_bytes: usize,
}

impl<H: Copy, B: AsRef<[u8]>> Outgoing<H, B> {
    /// None yet.
    #[must_use]
    pub fn new(settings: ChunkSettings) -> Outgoing<H, B> {
        Outgoing { settings, messages: VecDeque::new(), cut_bytes: 0, waiting_bytes: 0 }
    }

    /// Takes a message.
    ///
    /// # Errors
    ///
    /// It is empty or too large, or too much waits; it comes back.
    pub fn push(&mut self, head: H, bytes: B) -> Result<(), OutgoingRefusal<H, B>> {
        let length = bytes.as_ref().len();
        if let Err(reason) = self.check(length) {
            return Err(OutgoingRefusal { head, bytes, reason });
        }
        self.waiting_bytes += length;
        self.messages.push_back((head, bytes));
        Ok(())
    }

    /// The next piece to send, if there is one.
    pub fn next_piece(&mut self) -> Option<Piece<'_, H>> {
        self.drop_finished();
        let (head, bytes) = self.messages.front()?;
        let bytes = bytes.as_ref();
        let offset_bytes = self.cut_bytes;
        self.cut_bytes = bytes.len().min(offset_bytes + self.settings.piece_limit_bytes);
        Some(Piece {
            head: *head,
            whole: bytes,
            offset_bytes,
            bytes: &bytes[offset_bytes..self.cut_bytes],
        })
    }

    /// The connection has ended: a message that was begun and not cut to its end is dropped and given back. The others
    /// wait for the next connection.
    pub fn disconnected(&mut self) -> Option<(H, B)> {
        self.drop_finished();
        if self.cut_bytes == 0 {
            return None;
        }
        self.pop_front()
    }

    /// How many messages wait, the one under way included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len() - usize::from(!self.has_bytes_in_front() && !self.messages.is_empty())
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lengths of all messages that wait, the one under way as a whole.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    fn check(&self, bytes: usize) -> Result<(), OutgoingError> {
        let limit_bytes = self.settings.message_limit_bytes.min(u32::MAX as usize);
        if bytes == 0 {
            return Err(OutgoingError::Empty);
        }
        if bytes > limit_bytes {
            return Err(OutgoingError::TooLarge { bytes, limit_bytes });
        }
        let (waiting_bytes, limit_bytes) = (self.waiting_bytes, self.settings.budget_bytes);
        if waiting_bytes + bytes > limit_bytes {
            return Err(OutgoingError::Full { bytes, waiting_bytes, limit_bytes });
        }
        Ok(())
    }

    /// A message lies here until its last piece was copied, that is, until somebody asks for the next.
    fn drop_finished(&mut self) {
        if !self.messages.is_empty() && !self.has_bytes_in_front() {
            self.pop_front();
        }
    }

    fn has_bytes_in_front(&self) -> bool {
        self.messages.front().is_some_and(|(_, bytes)| bytes.as_ref().len() > self.cut_bytes)
    }

    fn pop_front(&mut self) -> Option<(H, B)> {
        let (head, bytes) = self.messages.pop_front()?;
        self.cut_bytes = 0;
        self.waiting_bytes -= bytes.as_ref().len();
        Some((head, bytes))
    }
}
