//! The receiving half: pieces become messages again, within the budget of one peer.
//!
//! Invariants: `reserved_bytes` is the sum of the declared length of the message that is being put together and of the
//! lengths of whole ones that were not released, and never above the budget; a message is handed over only if its
//! pieces gave exactly the declared length, in order, with no other message between them.

use mainspring::frame::AlignedBuffer;
use thiserror::Error;

use super::ChunkSettings;

/// Why one message is not taken; the connection lives, and its pieces are thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChunkRefusal {
    /// It declares more than any message may have.
    #[error("the peer declares a message of {declared_bytes} bytes; the limit is {limit_bytes}")]
    TooLarge {
        /// What it declares.
        declared_bytes: usize,
        /// The largest message.
        limit_bytes: usize,
    },
    /// The budget of the peer is used up.
    #[error(
        "a message of {declared_bytes} bytes does not fit: {reserved_bytes} of {budget_bytes} bytes of the peer's \
         budget are taken"
    )]
    OverBudget {
        /// What it declares.
        declared_bytes: usize,
        /// What is taken.
        reserved_bytes: usize,
        /// What there is.
        budget_bytes: usize,
    },
}

/// What a peer did that cannot be: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// A message begins before the last one is whole.
    #[error("a large message begins while {missing_bytes} bytes of another are missing")]
    Unfinished {
        /// What the other one lacks.
        missing_bytes: usize,
    },
    /// A piece that belongs to nothing.
    #[error("a piece of a large message that was not begun")]
    NotBegun,
    /// More bytes than were declared.
    #[error("a piece of {bytes} bytes where {missing_bytes} are missing")]
    TooMuch {
        /// What came.
        bytes: usize,
        /// What was missing.
        missing_bytes: usize,
    },
    /// A piece of no bytes, or of too many.
    #[error("a piece of {bytes} bytes; from 1 to {limit_bytes} are allowed")]
    PieceLength {
        /// Its length.
        bytes: usize,
        /// The largest piece.
        limit_bytes: usize,
    },
}

/// A large message, put together.
#[derive(Debug)]
pub struct Whole<H> {
    /// What the first piece had as the header of the message.
    pub head: H,
    /// All of it, aligned to be read where it lies. Its length goes back by [`Reassembly::release`] once the memory is
    /// free.
    pub bytes: AlignedBuffer,
}

impl<H: PartialEq> PartialEq for Whole<H> {
    fn eq(&self, other: &Whole<H>) -> bool {
        self.head == other.head && self.bytes.as_slice() == other.bytes.as_slice()
    }
}

/// What a piece did.
#[derive(Debug, PartialEq)]
pub enum Progress<H> {
    /// More pieces are to come.
    Begun,
    /// The message is whole.
    Whole(Whole<H>),
    /// The message is refused; the pieces that follow it are thrown away. Said once, with the first piece.
    Refused {
        /// What the first piece had as the header of the message.
        head: H,
        /// Why.
        reason: ChunkRefusal,
    },
    /// A piece of a message that was refused.
    Discarded,
}

/// The messages of one peer's bulk connections.
#[derive(Debug)]
pub struct Reassembly<H> {
    settings: ChunkSettings,
    current: Option<Current<H>>,
    reserved_bytes: usize,
    refused_messages: u64,
    discarded_bytes: u64,
}

#[derive(Debug)]
enum Current<H> {
    /// `bytes` has the declared length, of which the first `filled_bytes` have come.
    Collecting {
        head: H,
        bytes: AlignedBuffer,
        filled_bytes: usize,
    },
    Discarding {
        missing_bytes: usize,
    },
}

impl<H> Reassembly<H> {
    /// Nothing yet.
    #[must_use]
    pub fn new(settings: ChunkSettings) -> Reassembly<H> {
        Reassembly {
            settings,
            current: None,
            reserved_bytes: 0,
            refused_messages: 0,
            discarded_bytes: 0,
        }
    }

    /// The first piece of a message of `total_bytes` has come.
    ///
    /// # Errors
    ///
    /// It cannot be; the connection ends.
    pub fn first(
        &mut self,
        head: H,
        total_bytes: u32,
        bytes: &[u8],
    ) -> Result<Progress<H>, ChunkError> {
        self.check_piece(bytes)?;
        if let Some(current) = &self.current {
            return Err(ChunkError::Unfinished { missing_bytes: current.missing_bytes() });
        }
        let declared_bytes = total_bytes as usize;
        if bytes.len() > declared_bytes {
            let missing_bytes = declared_bytes;
            return Err(ChunkError::TooMuch { bytes: bytes.len(), missing_bytes });
        }
        if let Err(reason) = self.check_budget(declared_bytes) {
            let missing_bytes = declared_bytes - bytes.len();
            self.refused_messages += 1;
            self.discarded_bytes += bytes.len() as u64;
            self.current = (missing_bytes > 0).then_some(Current::Discarding { missing_bytes });
            return Ok(Progress::Refused { head, reason });
        }
        self.reserved_bytes += declared_bytes;
        let mut memory = AlignedBuffer::zeroed(declared_bytes);
        memory.as_mut_slice()[..bytes.len()].copy_from_slice(bytes);
        let filled_bytes = bytes.len();
        self.current = Some(Current::Collecting { head, bytes: memory, filled_bytes });
        Ok(self.finished())
    }

    /// The next piece has come.
    ///
    /// # Errors
    ///
    /// It cannot be; the connection ends.
    pub fn next(&mut self, piece: &[u8]) -> Result<Progress<H>, ChunkError> {
        self.check_piece(piece)?;
        let current = self.current.as_mut().ok_or(ChunkError::NotBegun)?;
        let missing_bytes = current.missing_bytes();
        let Some(left_bytes) = missing_bytes.checked_sub(piece.len()) else {
            return Err(ChunkError::TooMuch { bytes: piece.len(), missing_bytes });
        };
        match current {
            Current::Collecting { bytes, filled_bytes, .. } => {
                let end = *filled_bytes + piece.len();
                bytes.as_mut_slice()[*filled_bytes..end].copy_from_slice(piece);
                *filled_bytes = end;
                Ok(self.finished())
            }
            Current::Discarding { missing_bytes } => {
                self.discarded_bytes += piece.len() as u64;
                *missing_bytes = left_bytes;
                if left_bytes == 0 {
                    self.current = None;
                }
                Ok(Progress::Discarded)
            }
        }
    }

    /// The memory of a whole message of `bytes` is free again.
    pub fn release(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.whole_bytes(), "{bytes} of {} released", self.whole_bytes());
        self.reserved_bytes -= bytes.min(self.whole_bytes());
    }

    /// The connection has ended: what it had begun is dropped. How many of its bytes had come.
    pub fn disconnected(&mut self) -> usize {
        match self.current.take() {
            Some(Current::Collecting { bytes, filled_bytes, .. }) => {
                self.reserved_bytes -= bytes.as_slice().len();
                filled_bytes
            }
            Some(Current::Discarding { .. }) | None => 0,
        }
    }

    /// What is taken of the budget.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// Messages that were refused.
    #[must_use]
    pub fn refused_messages(&self) -> u64 {
        self.refused_messages
    }

    /// Bytes of refused messages that were thrown away.
    #[must_use]
    pub fn discarded_bytes(&self) -> u64 {
        self.discarded_bytes
    }

    fn check_piece(&self, piece: &[u8]) -> Result<(), ChunkError> {
        let (bytes, limit_bytes) = (piece.len(), self.settings.piece_limit_bytes);
        if bytes == 0 || bytes > limit_bytes {
            return Err(ChunkError::PieceLength { bytes, limit_bytes });
        }
        Ok(())
    }

    fn check_budget(&self, declared_bytes: usize) -> Result<(), ChunkRefusal> {
        let limit_bytes = self.settings.message_limit_bytes;
        if declared_bytes > limit_bytes {
            return Err(ChunkRefusal::TooLarge { declared_bytes, limit_bytes });
        }
        let (reserved_bytes, budget_bytes) = (self.reserved_bytes, self.settings.budget_bytes);
        if declared_bytes > budget_bytes - reserved_bytes {
            return Err(ChunkRefusal::OverBudget { declared_bytes, reserved_bytes, budget_bytes });
        }
        Ok(())
    }

    /// Hands the message over if nothing of it is missing.
    fn finished(&mut self) -> Progress<H> {
        match self.current.take() {
            Some(Current::Collecting { head, bytes, filled_bytes })
                if filled_bytes == bytes.as_slice().len() =>
            {
                Progress::Whole(Whole { head, bytes })
            }
            current => {
                self.current = current;
                Progress::Begun
            }
        }
    }

    /// What whole messages have that were not released.
    fn whole_bytes(&self) -> usize {
        match &self.current {
            Some(Current::Collecting { bytes, .. }) => self.reserved_bytes - bytes.as_slice().len(),
            Some(Current::Discarding { .. }) | None => self.reserved_bytes,
        }
    }
}

impl<H> Current<H> {
    fn missing_bytes(&self) -> usize {
        match self {
            Current::Collecting { bytes, filled_bytes, .. } => {
                bytes.as_slice().len() - filled_bytes
            }
            Current::Discarding { missing_bytes } => *missing_bytes,
        }
    }
}
