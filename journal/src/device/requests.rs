//! Requests to the device: each has a number by which its answer is known, and counts.

use super::storage::{LogFile, ReadRequest, Storage};

/// The numbers of a core's requests, and what they asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Requested {
    last_token: u64,
    /// How many were begun.
    pub reads: u64,
    /// Bytes of those.
    pub bytes: u64,
}

/// Where requests go.
pub(super) struct Requests<'a> {
    pub requested: &'a mut Requested,
    pub storage: &'a mut dyn Storage,
}

impl Requests<'_> {
    /// Asks for whole blocks of a file. The number by which they come; none, and nothing was asked, when the device has
    /// too much to do.
    pub fn read(&mut self, file: LogFile, offset: u64, bytes: u64) -> Option<u64> {
        let token = self.requested.last_token + 1;
        let request = ReadRequest { token, file, offset, bytes: bytes as usize };
        self.storage.read(request).ok()?;
        self.requested.last_token = token;
        self.requested.reads += 1;
        self.requested.bytes += bytes;
        Some(token)
    }
}
