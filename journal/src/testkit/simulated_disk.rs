//! A disk in memory that does at a crash what real ones may do: sectors that were not synced are kept, lost or
//! torn, each for itself and in any order.
//!
//! What was synced is kept, until a test damages it. Everything random comes from a seed, so a failure can be
//! repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::format::BLOCK_BYTES;
use crate::log::SegmentFile;
use crate::log::recovery::{ReadError, SegmentReader};

/// What a device writes as a whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// The most files of a simulated disk.
pub const MOST_FILES: usize = 4_096;

/// A disk in memory.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    files: BTreeMap<SegmentFile, Vec<u8>>,
    /// Writes that are not synced, in the order in which they were made.
    pending: Vec<Pending>,
    unreadable: BTreeSet<(SegmentFile, u64)>,
    random: fastrand::Rng,
}

#[derive(Clone, Debug)]
struct Pending {
    number: u64,
    file: SegmentFile,
    offset: u64,
    bytes: Vec<u8>,
}

/// Something that a real disk would refuse too. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// There is no such file.
    #[error("there is no segment file {}", .0.0)]
    NoFile(SegmentFile),
    /// Direct I/O takes whole blocks within the file.
    #[error("{bytes} bytes at {offset} are not whole blocks within the file")]
    Range {
        /// From where.
        offset: u64,
        /// How many.
        bytes: usize,
    },
    /// The disk has no room for another file.
    #[error("no space left")]
    NoSpace,
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn seeded(seed: u64) -> Self {
        SimulatedDisk {
            files: BTreeMap::new(),
            pending: Vec::new(),
            unreadable: BTreeSet::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Makes a file of zeroes that is durable at once, as the background task leaves a segment.
    pub fn create(&mut self, file: SegmentFile, bytes: u64) -> Result<(), DiskError> {
        if self.files.len() >= MOST_FILES {
            return Err(DiskError::NoSpace);
        }
        self.files.insert(file, vec![0; bytes as usize]);
        Ok(())
    }

    /// Starts a write; it is durable when [`SimulatedDisk::sync`] is called with the same number.
    pub fn write(
        &mut self,
        number: u64,
        file: SegmentFile,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), DiskError> {
        self.check(file, offset, bytes.len())?;
        self.pending.push(Pending { number, file, offset, bytes: bytes.to_vec() });
        Ok(())
    }

    /// Makes a write durable. Nothing happens when there is none of this number.
    pub fn sync(&mut self, number: u64) {
        let (done, pending) =
            std::mem::take(&mut self.pending).into_iter().partition(|write| write.number == number);
        self.pending = pending;
        for write in done {
            self.put(write.file, write.offset, &write.bytes);
        }
    }

    /// The power is gone: of every write that was not synced, each sector is kept, lost or half written.
    pub fn crash(&mut self) {
        for write in std::mem::take(&mut self.pending) {
            for (place, sector) in write.bytes.chunks(SECTOR_BYTES).enumerate() {
                let offset = write.offset + (place * SECTOR_BYTES) as u64;
                match self.random.u8(0..8) {
                    0..=3 => self.put(write.file, offset, sector),
                    4 => {
                        let half = self.random.usize(0..=sector.len());
                        self.put(write.file, offset, &sector[..half]);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Turns one bit over, as a device may that lies.
    pub fn flip_bit(&mut self, file: SegmentFile, bit: u64) {
        if let Some(byte) =
            self.files.get_mut(&file).and_then(|bytes| bytes.get_mut(bit as usize / 8))
        {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// Reads of this block fail from now on.
    pub fn make_unreadable(&mut self, file: SegmentFile, offset: u64) {
        self.unreadable.insert((file, offset - offset % BLOCK_BYTES as u64));
    }

    /// Overwrites with zeroes, durably: a repair.
    pub fn zero(&mut self, file: SegmentFile, offset: u64, bytes: u64) {
        self.put(file, offset, &vec![0; bytes as usize]);
    }

    /// The bytes of a file.
    pub fn bytes(&self, file: SegmentFile) -> &[u8] {
        self.files.get(&file).map_or(&[], Vec::as_slice)
    }

    fn put(&mut self, file: SegmentFile, offset: u64, bytes: &[u8]) {
        let place = offset as usize..offset as usize + bytes.len();
        if let Some(place) = self.files.get_mut(&file).and_then(|file| file.get_mut(place)) {
            place.copy_from_slice(bytes);
        }
    }

    fn check(&self, file: SegmentFile, offset: u64, bytes: usize) -> Result<(), DiskError> {
        let length = self.files.get(&file).ok_or(DiskError::NoFile(file))?.len() as u64;
        let whole = offset.is_multiple_of(BLOCK_BYTES as u64) && bytes.is_multiple_of(BLOCK_BYTES);
        let within = offset.checked_add(bytes as u64).is_some_and(|end| end <= length);
        if whole && within { Ok(()) } else { Err(DiskError::Range { offset, bytes }) }
    }
}

impl SegmentReader for SimulatedDisk {
    fn files(&mut self) -> Result<Vec<SegmentFile>, ReadError> {
        Ok(self.files.keys().copied().collect())
    }

    fn length_bytes(&mut self, file: SegmentFile) -> Result<u64, ReadError> {
        Ok(self.bytes(file).len() as u64)
    }

    fn read(&mut self, file: SegmentFile, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        let failed = |source| ReadError { file, offset, source };
        self.check(file, offset, bytes.len()).map_err(|error| failed(io::Error::other(error)))?;
        let blocks = (offset..offset + bytes.len() as u64).step_by(BLOCK_BYTES);
        if let Some(block) =
            blocks.into_iter().find(|block| self.unreadable.contains(&(file, *block)))
        {
            let source = io::Error::other("a latent sector error");
            return Err(ReadError { file, offset: block, source });
        }
        let place = offset as usize..offset as usize + bytes.len();
        bytes.copy_from_slice(&self.bytes(file)[place]);
        Ok(())
    }
}
