//! A journal for tests: on a disk in memory, in virtual time, with failures on request.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;

use mainspring::testkit::At;

use super::SimulatedDisk;
use super::simulated_storage::{DeviceConduct, SimulatedFooters, SimulatedStorage};
use crate::device::afar::{Desk, Exchange};
use crate::device::{CoreJournal, CoreSettings, JournalDevice, OpenLogError, OpenedLog, Published};
use crate::format::RecordKind;
use crate::format::commit_frame::FRAME_HEADER_BYTES;
use crate::format::record::{RECORD_HEADER_BYTES, Records};
use crate::format::segment_header::CommitMethod;
use crate::log::recovery::{Expected, FoundFrame, RecoveryError, recover};
use crate::log::{LogIdentity, LogSettings};

/// A core's journal that outlives the simulations it is used in: what was durable in one is found in the next.
///
/// ```
/// use mainspring::testkit::Simulation;
/// use mainspring_journal::testkit::SimulatedJournal;
///
/// let journal = SimulatedJournal::seeded(1);
/// let mut sim = Simulation::seeded(1);
/// journal.install(&sim.at(0))?;
/// // Spawn `Persistent` actors, send them commands, then cut the power and look what is left.
/// drop(sim);
/// journal.crash();
/// let mut sim = Simulation::seeded(2);
/// journal.install(&sim.at(0))?;
/// # Ok::<(), mainspring_journal::device::OpenLogError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimulatedJournal {
    disk: Rc<RefCell<SimulatedDisk>>,
    conduct: Rc<RefCell<DeviceConduct>>,
    footers: SimulatedFooters,
    /// So many of the next groups are refused.
    refusals: Rc<Cell<u32>>,
    drops_early: Rc<Cell<bool>>,
    /// How the log is written.
    pub log: LogSettings,
    /// How its actors use it.
    pub core: CoreSettings,
    /// How many shards the system has.
    pub shard_count: u32,
}

impl SimulatedJournal {
    /// An empty journal; the seed decides what a crash leaves.
    pub fn seeded(seed: u64) -> Self {
        let conduct = DeviceConduct::default();
        let log = LogSettings {
            segment_bytes: conduct.segment_bytes,
            commit_method: CommitMethod::Simulated,
            ..LogSettings::default()
        };
        SimulatedJournal {
            disk: Rc::new(RefCell::new(SimulatedDisk::seeded(seed))),
            conduct: Rc::new(RefCell::new(conduct)),
            footers: SimulatedFooters::default(),
            refusals: Rc::default(),
            drops_early: Rc::default(),
            log,
            core: CoreSettings::default(),
            shard_count: 16,
        }
    }

    /// Opens the journal on a core of a simulation, as a node does when it starts.
    ///
    /// # Errors
    /// [`OpenLogError`] when the disk holds no log that can be used.
    pub fn install(&self, at: &At) -> Result<Rc<CoreJournal>, OpenLogError> {
        self.install_with(at, None)
    }

    /// The same, as one of the journals of a node with several cores.
    pub(super) fn install_with(
        &self,
        at: &At,
        exchange: Option<Arc<Exchange>>,
    ) -> Result<Rc<CoreJournal>, OpenLogError> {
        let mut installed = None;
        at.install(|seat| {
            let opened = self.open(u32::from(seat.core())).map(|(opened, spare)| {
                let (disk, conduct) = (Rc::clone(&self.disk), Rc::clone(&self.conduct));
                let storage = SimulatedStorage::new(disk, conduct, self.footers.clone(), spare);
                let published = Arc::new(Published::new(opened.durable_lsn()));
                let journal = CoreJournal::new(opened, Box::new(storage), self.core, published);
                journal.hooks().set_refusals(Rc::clone(&self.refusals));
                if self.drops_early.get() {
                    journal.drop_segments_early();
                }
                seat.share(Rc::clone(&journal));
                if let Some(exchange) = exchange {
                    Desk::install(seat, &journal, exchange);
                }
                seat.add_device(Box::new(JournalDevice::new(Rc::clone(&journal))));
                journal
            });
            installed = Some(opened);
        });
        match installed {
            Some(opened) => opened,
            None => unreachable!("`install` calls back before it returns"),
        }
    }

    /// A journal of its own on a disk as this one's is now; what was not synced is not synced there either.
    pub fn fork(&self) -> Self {
        SimulatedJournal {
            disk: Rc::new(RefCell::new(self.disk.borrow().clone())),
            conduct: Rc::new(RefCell::new(self.conduct.borrow().clone())),
            footers: self.footers.fork(),
            refusals: Rc::new(Cell::new(self.refusals.get())),
            drops_early: Rc::new(Cell::new(self.drops_early.get())),
            ..self.clone()
        }
    }

    /// The power is gone: what was not synced is kept, lost or torn, sector by sector.
    pub fn crash(&self) {
        self.disk.borrow_mut().crash();
    }

    /// The footers of all sealed segments are gone.
    pub fn lose_footers(&self) {
        self.footers.lose();
    }

    /// How many footers there are.
    pub fn footers(&self) -> usize {
        self.footers.count()
    }

    /// The disk, to damage it or to look at it.
    pub fn disk(&self) -> RefMut<'_, SimulatedDisk> {
        self.disk.borrow_mut()
    }

    /// The next write fails: the journal takes nothing until it is installed again.
    pub fn fail_next_write(&self) {
        self.conduct.borrow_mut().failing_writes += 1;
    }

    /// The next group of records is refused as by a journal without room: surely not written, and the actor lives.
    pub fn reject_next(&self) {
        self.refusals.set(self.refusals.get() + 1);
    }

    /// From the next installation on the journal makes a mistake: old segments are dropped before the copies of what
    /// they hold are durable. For tests that must find it out.
    pub fn drop_segments_early(&self) {
        self.drops_early.set(true);
    }

    /// The next read of an entity's records fails.
    pub fn fail_next_read(&self) {
        self.conduct.borrow_mut().failing_reads += 1;
    }

    /// Whether the disk has room for further segments. Those that are ready are used up first.
    pub fn set_space(&self, has_space: bool) {
        self.conduct.borrow_mut().has_space = has_space;
    }

    /// Everything that the log of a core holds, frame by frame, durable or not.
    ///
    /// # Errors
    /// [`RecoveryError`] when the disk holds no log that can be used.
    pub fn read(
        &self,
        core: u32,
        visit: &mut dyn FnMut(&FoundFrame<'_>),
    ) -> Result<(), RecoveryError> {
        recover(&mut *self.disk.borrow_mut(), &self.expected(core), visit).map(drop)
    }

    /// Turns a bit of the last state over that the log holds.
    pub fn damage_last_state(&self) {
        let disk = &mut *self.disk.borrow_mut();
        let mut last = None;
        let expected = self.expected(0);
        // The log was written by this journal, so it can be read.
        let _ = recover(disk, &expected, &mut |frame| {
            for record in Records::new(frame.records, frame.header.record_count).flatten() {
                if record.header.kind == RecordKind::State {
                    let record = frame.offset as usize + FRAME_HEADER_BYTES + record.offset;
                    last = Some((frame.file, (record + RECORD_HEADER_BYTES) as u64 * 8));
                }
            }
        });
        if let Some((file, bit)) = last {
            disk.flip_bit(file, bit);
        }
    }

    /// How fast the device is.
    pub fn set_conduct(&self, change: impl FnOnce(&mut DeviceConduct)) {
        change(&mut self.conduct.borrow_mut());
    }

    fn expected(&self, core: u32) -> Expected {
        Expected { system: "simulated".to_owned(), core, shard_count: self.shard_count }
    }

    fn open(&self, core: u32) -> Result<(OpenedLog, Vec<crate::log::SegmentFile>), OpenLogError> {
        let Expected { system, core, shard_count } = self.expected(core);
        let identity = LogIdentity { system, log_id: 1, core, shard_count };
        let disk = &mut *self.disk.borrow_mut();
        let mut index = self.footers.clone();
        let opened = OpenedLog::read(disk, &mut index, identity, self.log.clone())?;
        if let Some(repair) = opened.recovered.repair {
            disk.zero(repair.file, repair.offset, repair.zero_bytes);
        }
        for file in &opened.recovered.stale_files {
            disk.zero(*file, 0, disk.bytes(*file).len() as u64);
        }
        let spare = opened.recovered.spare_files.clone();
        Ok((opened, spare))
    }
}
