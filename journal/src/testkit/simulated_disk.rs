//! A disk in memory that does at a crash what real ones may do, and that fails where a test tells it to.
//!
//! At a crash everything that was not synced has a fate of its own: each sector of a write is kept, lost or torn, in
//! any order; a file that was made or renamed is there under its new name or is not, unless its directory was synced;
//! a new file whose length was not synced may be empty. What was synced is kept, until a test damages it. What is
//! not yet durable is not read back.
//!
//! Everything random comes from a seed, so a failure can be repeated.

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
    /// Contents; a file keeps its own when it is renamed.
    nodes: Vec<Node>,
    /// The directory as programs see it.
    names: BTreeMap<SegmentFile, usize>,
    /// The directory as it was when it was synced last.
    durable_names: BTreeMap<SegmentFile, usize>,
    /// What happened to the directory since, in order.
    changes: Vec<DirectoryChange>,
    /// Writes that are not synced, in the order in which they were made.
    pending: Vec<Pending>,
    unreadable: BTreeSet<(SegmentFile, u64)>,
    space_bytes: u64,
    fault: Option<Fault>,
    random: fastrand::Rng,
}

/// What goes wrong with one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It lands at another block or in another file, and its completion says that all is well.
    Misdirected,
    /// Some sectors at its end are never written, and its completion says so.
    Short,
    /// Its sync fails; what was written is kept or dropped.
    Sync,
}

/// What a crash does with one thing that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is there.
    Kept,
    /// It is not there.
    Lost,
    /// So many bytes at the start of a sector are there. Anything but a sector is lost.
    Torn(usize),
}

/// Something that a real disk would refuse too. Nothing changed, if the variant does not say otherwise.
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
    /// A write came to less than it should have. What of it is there after a crash is open.
    #[error("only {written_bytes} bytes were written")]
    ShortWrite {
        /// What was written.
        written_bytes: usize,
    },
    /// A sync failed. What of the write is there after a crash is open.
    #[error("the sync failed")]
    Sync,
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn seeded(seed: u64) -> Self {
        SimulatedDisk {
            nodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            pending: Vec::new(),
            unreadable: BTreeSet::new(),
            space_bytes: u64::MAX,
            fault: None,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Makes a file of zeroes that is durable at once, as the background task leaves a segment.
    pub fn create(&mut self, file: SegmentFile, bytes: u64) -> Result<(), DiskError> {
        self.create_unsynced(file, bytes)?;
        self.sync_file(file);
        self.sync_directory();
        Ok(())
    }

    /// Makes a file of zeroes. A crash may leave nothing of it, or its name alone.
    pub fn create_unsynced(&mut self, file: SegmentFile, bytes: u64) -> Result<(), DiskError> {
        let used: u64 = self.names.values().map(|node| self.nodes[*node].bytes.len() as u64).sum();
        let fits = used.checked_add(bytes).is_some_and(|sum| sum <= self.space_bytes);
        if self.names.len() >= MOST_FILES || !fits {
            return Err(DiskError::NoSpace);
        }
        let node = self.nodes.len();
        self.nodes.push(Node { bytes: vec![0; bytes as usize], has_durable_length: false });
        self.names.insert(file, node);
        self.changes.push(DirectoryChange { removed: None, linked: Some((file, node)) });
        Ok(())
    }

    /// Gives a file another name; what had that name is gone. Durable when the directory is synced.
    pub fn rename(&mut self, from: SegmentFile, to: SegmentFile) -> Result<(), DiskError> {
        let node = self.names.remove(&from).ok_or(DiskError::NoFile(from))?;
        self.names.insert(to, node);
        self.changes.push(DirectoryChange { removed: Some(from), linked: Some((to, node)) });
        Ok(())
    }

    /// Removes a file. Durable when the directory is synced.
    pub fn remove(&mut self, file: SegmentFile) -> Result<(), DiskError> {
        self.names.remove(&file).ok_or(DiskError::NoFile(file))?;
        self.changes.push(DirectoryChange { removed: Some(file), linked: None });
        Ok(())
    }

    /// Makes a file's length and all writes to it durable, but not its name.
    pub fn sync_file(&mut self, file: SegmentFile) {
        let Some(node) = self.names.get(&file).copied() else { return };
        self.nodes[node].has_durable_length = true;
        let (done, pending): (Vec<Pending>, Vec<Pending>) =
            std::mem::take(&mut self.pending).into_iter().partition(|write| write.node == node);
        self.pending = pending;
        for write in done {
            put(&mut self.nodes, write.node, write.offset, &write.bytes);
        }
    }

    /// Makes the names of all files durable, but not what is in the files.
    pub fn sync_directory(&mut self) {
        self.changes.clear();
        self.durable_names = self.names.clone();
    }

    /// Files may take so many bytes together from now on. Files that are there stay.
    pub fn set_space(&mut self, bytes: u64) {
        self.space_bytes = bytes;
    }

    /// The next write that is started goes wrong.
    pub fn fail_next_write(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Starts a write; it is durable when [`SimulatedDisk::sync`] is called with the same number and succeeds.
    pub fn write(
        &mut self,
        number: u64,
        file: SegmentFile,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), DiskError> {
        let node = self.check(file, offset, bytes.len())?;
        let fault = self.fault.take();
        let mut write = Pending { number, node, offset, bytes: bytes.to_vec(), fault };
        match fault {
            Some(Fault::Misdirected) => self.misdirect(&mut write),
            Some(Fault::Short) => {
                let sectors = self.random.usize(0..bytes.len() / SECTOR_BYTES);
                write.bytes.truncate(sectors * SECTOR_BYTES);
            }
            Some(Fault::Sync) | None => {}
        }
        self.pending.push(write);
        Ok(())
    }

    /// Makes a write durable. Nothing happens when there is none of this number.
    pub fn sync(&mut self, number: u64) -> Result<(), DiskError> {
        let Some(place) = self.pending.iter().position(|write| write.number == number) else {
            return Ok(());
        };
        match self.pending[place].fault {
            Some(Fault::Short) => {
                return Err(DiskError::ShortWrite {
                    written_bytes: self.pending[place].bytes.len(),
                });
            }
            Some(Fault::Sync) => {
                // The kernel takes the pages for clean now: they were written, or they never will be.
                if self.random.bool() {
                    self.pending.remove(place);
                }
                return Err(DiskError::Sync);
            }
            Some(Fault::Misdirected) | None => {}
        }
        let write = self.pending.remove(place);
        put(&mut self.nodes, write.node, write.offset, &write.bytes);
        Ok(())
    }

    /// The power is gone: what was not synced is kept, lost or torn, and sectors reach the disk in any order.
    pub fn crash(&mut self) {
        let mut random = self.random.fork();
        let mut order: Vec<usize> = (0..self.unsynced_sectors().len()).collect();
        random.shuffle(&mut order);
        self.crash_in_order(&order, &mut |_| match random.u8(0..8) {
            0..=3 => Fate::Kept,
            4 => Fate::Torn(random.usize(0..=SECTOR_BYTES)),
            _ => Fate::Lost,
        });
    }

    /// The power is gone, and a test says what becomes of each thing that was not synced: it is given numbers from 0
    /// to [`SimulatedDisk::unsynced`].
    pub fn crash_with(&mut self, fate: &mut dyn FnMut(usize) -> Fate) {
        let order: Vec<usize> = (0..self.unsynced_sectors().len()).collect();
        self.crash_in_order(&order, fate);
    }

    /// How many things a crash would decide about: changes of the directory, lengths of files, sectors.
    pub fn unsynced(&self) -> usize {
        self.changes.len() + self.unsynced_lengths().len() + self.unsynced_sectors().len()
    }

    /// Turns one bit over, as a device may that lies.
    pub fn flip_bit(&mut self, file: SegmentFile, bit: u64) {
        let node = self.names.get(&file).and_then(|node| self.nodes.get_mut(*node));
        if let Some(byte) = node.and_then(|node| node.bytes.get_mut(bit as usize / 8)) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// Reads of this block fail from now on.
    pub fn make_unreadable(&mut self, file: SegmentFile, offset: u64) {
        self.unreadable.insert((file, offset - offset % BLOCK_BYTES as u64));
    }

    /// Overwrites with zeroes, durably: a repair.
    pub fn zero(&mut self, file: SegmentFile, offset: u64, bytes: u64) {
        if let Some(node) = self.names.get(&file) {
            put(&mut self.nodes, *node, offset, &vec![0; bytes as usize]);
        }
    }

    /// The bytes of a file.
    pub fn bytes(&self, file: SegmentFile) -> &[u8] {
        self.names.get(&file).map_or(&[], |node| self.nodes[*node].bytes.as_slice())
    }

    /// The files of the directory.
    pub fn file_names(&self) -> impl Iterator<Item = SegmentFile> + '_ {
        self.names.keys().copied()
    }
}

#[derive(Clone, Debug)]
struct Node {
    bytes: Vec<u8>,
    has_durable_length: bool,
}

/// One step of a directory, which a crash keeps or loses as a whole.
#[derive(Clone, Copy, Debug)]
struct DirectoryChange {
    removed: Option<SegmentFile>,
    linked: Option<(SegmentFile, usize)>,
}

#[derive(Clone, Debug)]
struct Pending {
    number: u64,
    node: usize,
    offset: u64,
    bytes: Vec<u8>,
    fault: Option<Fault>,
}

impl SimulatedDisk {
    /// Another place that takes the write, when there is one.
    fn misdirect(&mut self, write: &mut Pending) {
        let places_in = |node: &usize| {
            let room = self.nodes[*node].bytes.len().checked_sub(write.bytes.len());
            let last = room.map_or(0, |room| room / BLOCK_BYTES + 1);
            let node = *node;
            (0..last).map(move |block| (node, (block * BLOCK_BYTES) as u64))
        };
        let others: Vec<(usize, u64)> = self
            .names
            .values()
            .flat_map(places_in)
            .filter(|place| *place != (write.node, write.offset))
            .collect();
        if let Some(place) = self.random.choice(others) {
            (write.node, write.offset) = place;
        }
    }

    fn unsynced_lengths(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| !self.nodes[*node].has_durable_length).collect()
    }

    /// Of each pending write each sector: the write's place in the list, and the sector's first byte in it.
    fn unsynced_sectors(&self) -> Vec<(usize, usize)> {
        let sectors_of = |(place, write): (usize, &Pending)| {
            (0..write.bytes.len()).step_by(SECTOR_BYTES).map(move |from| (place, from))
        };
        self.pending.iter().enumerate().flat_map(sectors_of).collect()
    }

    fn crash_in_order(&mut self, order: &[usize], fate: &mut dyn FnMut(usize) -> Fate) {
        let (lengths, sectors) = (self.unsynced_lengths(), self.unsynced_sectors());
        let changes = std::mem::take(&mut self.changes);
        let pending = std::mem::take(&mut self.pending);
        for (number, change) in changes.iter().enumerate() {
            if fate(number) == Fate::Kept {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for (number, node) in lengths.iter().enumerate() {
            if fate(changes.len() + number) != Fate::Kept {
                self.nodes[*node].bytes.clear();
            }
            self.nodes[*node].has_durable_length = true;
        }
        for number in order {
            let (place, from) = sectors[*number];
            let write = &pending[place];
            let end = (from + SECTOR_BYTES).min(write.bytes.len());
            let kept_end = match fate(changes.len() + lengths.len() + number) {
                Fate::Kept => end,
                Fate::Lost => from,
                Fate::Torn(bytes) => end.min(from + bytes),
            };
            let offset = write.offset + from as u64;
            put(&mut self.nodes, write.node, offset, &write.bytes[from..kept_end]);
        }
    }

    /// The contents of a file that takes a write.
    fn check(&self, file: SegmentFile, offset: u64, bytes: usize) -> Result<usize, DiskError> {
        let node = *self.names.get(&file).ok_or(DiskError::NoFile(file))?;
        let length = self.nodes[node].bytes.len() as u64;
        let whole = offset.is_multiple_of(BLOCK_BYTES as u64) && bytes.is_multiple_of(BLOCK_BYTES);
        let within = offset.checked_add(bytes as u64).is_some_and(|end| end <= length);
        if whole && within && bytes > 0 {
            Ok(node)
        } else {
            Err(DiskError::Range { offset, bytes })
        }
    }
}

impl DirectoryChange {
    fn apply(&self, names: &mut BTreeMap<SegmentFile, usize>) {
        if let Some(removed) = self.removed {
            names.remove(&removed);
        }
        if let Some((name, node)) = self.linked {
            names.insert(name, node);
        }
    }
}

fn put(nodes: &mut [Node], node: usize, offset: u64, bytes: &[u8]) {
    let place = offset as usize..offset as usize + bytes.len();
    if let Some(place) = nodes.get_mut(node).and_then(|node| node.bytes.get_mut(place)) {
        place.copy_from_slice(bytes);
    }
}

impl SegmentReader for SimulatedDisk {
    fn files(&mut self) -> Result<Vec<SegmentFile>, ReadError> {
        Ok(self.file_names().collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: SegmentFile = SegmentFile(1);
    const OTHER: SegmentFile = SegmentFile(2);

    fn disk_with_a_file() -> SimulatedDisk {
        let mut disk = SimulatedDisk::seeded(1);
        disk.create(FILE, 2 * BLOCK_BYTES as u64).expect("there is room");
        disk
    }

    #[test]
    fn each_sector_has_its_own_fate() {
        let mut disk = disk_with_a_file();
        disk.write(1, FILE, 0, &[7; BLOCK_BYTES]).expect("in range");
        assert_eq!((disk.unsynced(), disk.bytes(FILE)[0]), (8, 0));
        disk.crash_with(&mut |number| match number {
            0 => Fate::Kept,
            2 => Fate::Torn(3),
            _ => Fate::Lost,
        });
        let written: Vec<usize> =
            (0..2 * BLOCK_BYTES).filter(|place| disk.bytes(FILE)[*place] == 7).collect();
        assert_eq!(written, (0..512).chain(1024..1027).collect::<Vec<usize>>());
    }

    #[test]
    fn a_new_name_is_durable_with_its_directory_and_a_length_with_its_file() {
        for (file_is_synced, directory_is_synced) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let mut disk = disk_with_a_file();
            disk.create_unsynced(OTHER, BLOCK_BYTES as u64).expect("there is room");
            if file_is_synced {
                disk.sync_file(OTHER);
            }
            if directory_is_synced {
                disk.sync_directory();
            }
            disk.crash_with(&mut |_| Fate::Lost);
            assert_eq!(disk.file_names().any(|file| file == OTHER), directory_is_synced);
            let is_whole = disk.bytes(OTHER).len() == BLOCK_BYTES;
            assert_eq!(is_whole, file_is_synced && directory_is_synced);
        }
    }

    #[test]
    fn a_rename_that_a_crash_loses_leaves_the_old_name() {
        for fate in [Fate::Kept, Fate::Lost] {
            let mut disk = disk_with_a_file();
            disk.rename(FILE, OTHER).expect("it is there");
            disk.crash_with(&mut |_| fate);
            let name = if fate == Fate::Kept { OTHER } else { FILE };
            assert_eq!(disk.file_names().collect::<Vec<_>>(), [name]);
        }
    }

    #[test]
    fn space_bounds_what_is_created() {
        let mut disk = disk_with_a_file();
        disk.set_space(3 * BLOCK_BYTES as u64);
        assert_eq!(disk.create(OTHER, 2 * BLOCK_BYTES as u64), Err(DiskError::NoSpace));
        disk.remove(FILE).expect("it is there");
        assert_eq!(disk.create(OTHER, 2 * BLOCK_BYTES as u64), Ok(()));
    }

    #[test]
    fn a_write_that_goes_wrong_says_so_unless_it_is_misdirected() {
        let mut disk = disk_with_a_file();
        disk.fail_next_write(Fault::Short);
        disk.write(1, FILE, 0, &[7; BLOCK_BYTES]).expect("in range");
        assert!(matches!(disk.sync(1), Err(DiskError::ShortWrite { .. })));
        disk.fail_next_write(Fault::Sync);
        disk.write(2, FILE, 0, &[7; BLOCK_BYTES]).expect("in range");
        assert_eq!(disk.sync(2), Err(DiskError::Sync));
        disk.create(OTHER, BLOCK_BYTES as u64).expect("there is room");
        disk.fail_next_write(Fault::Misdirected);
        disk.write(3, FILE, 0, &[9; BLOCK_BYTES]).expect("in range");
        assert_eq!(disk.sync(3), Ok(()));
        assert!(!disk.bytes(FILE)[..BLOCK_BYTES].contains(&9));
        assert!(disk.bytes(FILE).contains(&9) || disk.bytes(OTHER).contains(&9));
    }
}
