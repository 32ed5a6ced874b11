//! A journal on real files, as a program has it.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mainspring::device::{Alarm, Extension, NodePlan, Seat};
use mainspring::driver::CoreDisk;
use mainspring::node::NodeSpawn;
use mainspring::prelude::*;

use crate::device::afar::{Desk, Exchange};
use crate::device::{
    CoreJournal, CoreSettings, JournalDevice, JournalFigures, OpenLogError, OpenedLog, Published,
};
use crate::directory::durable_file::replace_with;
use crate::directory::reader::DirectoryReader;
use crate::directory::{
    DeviceOptions, Directory, FileError, Identity, MakerSettings, OpenError, Refusal, SegmentMaker,
    remove_stale, repair,
};
use crate::driver::index_files::{IndexFiles, footer_name, remove_footers_before};
use crate::driver::{FileStorage, LogFolder};
use crate::durable::{DurableState, Stored};
use crate::entity::{EntityId, shard_of};
use crate::format::BLOCK_BYTES;
use crate::format::segment_header::CommitMethod;
use crate::index::MOST_SEGMENT_BYTES;
use crate::log::LogSettings;
use crate::log::recovery::Recovered;
use crate::reclaim::ReclaimSettings;
use crate::sourced::{EventSourced, PersistenceSettings, Persistent, Retention};

/// The journal of a node: one directory, in it a log for each core.
///
/// It is given to the node that uses it; the node opens it when it starts and closes it when it ends. Clones are the
/// same journal.
///
/// ```no_run
/// use mainspring::prelude::*;
/// use mainspring_journal::Journal;
///
/// let journal = Journal::at("./data").system("shop").snapshot_every(1_000).keep_snapshots(2);
/// let node = Node::builder().with(journal.clone()).start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Journal {
    settings: Settings,
    shared: Arc<Shared>,
}

#[derive(Clone, Debug)]
struct Settings {
    path: PathBuf,
    system: Option<String>,
    shard_count: u32,
    device: DeviceOptions,
    log: LogSettings,
    core: CoreSettings,
}

#[derive(Default)]
struct Shared {
    cores: AtomicU32,
    /// Between the opening and the start of each core.
    prepared: Mutex<Vec<Option<PreparedCore>>>,
    published: Mutex<Vec<Arc<Published>>>,
}

/// What belongs to a journal that is open: given up with the last core.
struct Open {
    maker: SegmentMaker,
    _directory: Directory,
}

struct PreparedCore {
    opened: OpenedLog,
    folder: LogFolder,
    published: Arc<Published>,
    /// To the other cores, if there are any.
    exchange: Option<Arc<Exchange>>,
    open: Arc<Open>,
}

/// Why a journal was not opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No segment can have this length.
    #[error(
        "a segment cannot have {bytes} bytes: set `segment_bytes` to a multiple of {BLOCK_BYTES}, from {} up to \
         {MOST_SEGMENT_BYTES}", 2 * BLOCK_BYTES
    )]
    SegmentBytes {
        /// How many were asked for.
        bytes: u64,
    },
    /// A log cannot be used.
    #[error("the log of core {core} in {}: {source}", path.display())]
    Recovery {
        /// The core.
        core: u32,
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        source: OpenLogError,
    },
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The journal's thread could not be started.
    #[error(transparent)]
    Maker(#[from] crate::directory::segment_maker::MakerStartError),
    /// The journal's thread serves as many cores as it can.
    #[error(transparent)]
    Client(#[from] Refusal),
    /// The thread that reads a log panicked.
    #[error("the thread that read the log of core {core} panicked")]
    Panicked {
        /// The core.
        core: u32,
    },
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Journal {
    /// The journal in a directory, which is made if it is not there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let settings = Settings {
            path: path.into(),
            system: None,
            shard_count: 1_024,
            device: DeviceOptions::default(),
            log: LogSettings::default(),
            core: CoreSettings::default(),
        };
        Journal { settings, shared: Arc::default() }
    }

    /// The system whose journal it is; the node's name unless set. A journal of another system is refused.
    pub fn system(mut self, name: impl Into<String>) -> Self {
        self.settings.system = Some(name.into());
        self
    }

    /// How many shards the entities are spread over: 1,024 unless set. A journal that was begun with another
    /// number is refused.
    pub fn shard_count(mut self, shards: u32) -> Self {
        self.settings.shard_count = shards;
        self
    }

    /// The length of a segment's file, 64 MiB unless set: whole blocks of 4,096 bytes, at least two, and at most
    /// [`MOST_SEGMENT_BYTES`].
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.settings.log.segment_bytes = bytes;
        self
    }

    /// Commits that are under way at the same time: 1 unless set.
    pub fn commits_in_flight(mut self, commits: usize) -> Self {
        self.settings.log.frames_in_flight_limit = commits.max(1);
        self
    }

    /// Goes through the page cache where the file system has no direct I/O, instead of refusing.
    pub fn allow_buffered(mut self, allow: bool) -> Self {
        self.settings.device.allow_buffered = allow;
        self
    }

    /// How commits are made durable; the faster method of the device unless set.
    pub fn commit_method(mut self, method: CommitMethod) -> Self {
        self.settings.device.commit_method = Some(method);
        self
    }

    /// A snapshot of an entity is taken when so many events came since its last one; 0 for none.
    pub fn snapshot_every(mut self, events: u64) -> Self {
        self.settings.core.persistence.snapshot_every = events;
        self
    }

    /// Snapshots of an entity that are kept where events are given up: 2 unless set.
    pub fn keep_snapshots(mut self, snapshots: u32) -> Self {
        self.settings.core.persistence.keep_snapshots = snapshots;
        self
    }

    /// Which events are given up: none unless set. Where some are, a query finds events for as long as their segment is
    /// there ([`ReclaimSettings::moves_all_events`]).
    pub fn retention(mut self, retention: Retention) -> Self {
        self.settings.core.persistence.retention = retention;
        self.settings.core.reclaim.moves_all_events = retention != Retention::KeepAll;
        self
    }

    /// When and how fast space is given back that nothing needs any more. Said after [`Journal::retention`].
    pub fn reclaim(mut self, settings: ReclaimSettings) -> Self {
        self.settings.core.reclaim = settings;
        self
    }

    /// Everything that actors do unless their type says otherwise.
    pub fn persistence(mut self, settings: PersistenceSettings) -> Self {
        let retention = settings.retention;
        self.settings.core.persistence = settings;
        self.retention(retention)
    }

    /// Entities of one core that recover at the same time, others wait: 262,144 unless set. Those that recover at the
    /// same time share what is read of the log; what lies in memory for them is bounded apart from this.
    pub fn recovery_permits(mut self, permits: usize) -> Self {
        self.settings.core.recovery_permits = permits;
        self
    }

    /// Entities of one core that the journal takes in, some 100 bytes of memory each: 2,147,483,648 unless set. When
    /// there are so many, what a further one persists is rejected; those that are there go on.
    pub fn entities_limit(mut self, entities: usize) -> Self {
        self.settings.core.entities_limit = entities;
        self
    }

    /// Bytes of what each core's log has written last that are kept in memory: 8 MiB unless set, none when 0, and 1 GiB
    /// at most. Entities that come back soon, on the same core or on another one, are made from it without a read of
    /// the device. Their names are kept beside it, up to 4 MiB.
    pub fn recent_bytes(mut self, bytes: usize) -> Self {
        self.settings.core.recent_limit_bytes = bytes;
        self
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.settings.path
    }

    /// The core whose log an entity has. Known once a node has started with this journal; 0 before.
    pub fn core_of(&self, id: impl Into<EntityId>) -> u16 {
        let cores = self.shared.cores.load(Ordering::Acquire).max(1);
        (shard_of(&id.into(), self.settings.shard_count) % cores) as u16
    }

    /// Prepares the actor of an event-sourced entity, on the core whose log it has. With
    /// [`on_core`](NodeSpawn::on_core) it runs on another one, and its records go there and back.
    pub fn entity<'n, E: EventSourced>(
        &self,
        node: &'n Node,
        id: impl Into<EntityId>,
        make: impl Fn() -> E + Clone + Send + 'static,
    ) -> NodeSpawn<'n, impl FnMut() -> Persistent<E> + Send + 'static> {
        let id = id.into();
        let core = self.core_of(id.clone());
        node.actor(move || Persistent::new(id.clone(), make.clone())).on_core(core)
    }

    /// Prepares the actor of an entity whose state is kept whole, on the core whose log it has. With
    /// [`on_core`](NodeSpawn::on_core) it runs on another one, and its records go there and back.
    pub fn stored<'n, D: DurableState>(
        &self,
        node: &'n Node,
        id: impl Into<EntityId>,
        make: impl Fn() -> D + Clone + Send + 'static,
    ) -> NodeSpawn<'n, impl FnMut() -> Stored<D> + Send + 'static> {
        let id = id.into();
        let core = self.core_of(id.clone());
        node.actor(move || Stored::new(id.clone(), make.clone())).on_core(core)
    }

    /// What the log of a core has done so far, as of its last commit.
    pub fn figures(&self, core: u16) -> Option<JournalFigures> {
        self.published_by(core).map(|published| published.figures())
    }

    /// Up to where the log of a core is durable. For those who read its files beside it.
    pub fn durable_lsn(&self, core: u16) -> Option<Arc<AtomicU64>> {
        self.published_by(core).map(|published| published.durable_lsn())
    }

    fn published_by(&self, core: u16) -> Option<Arc<Published>> {
        let published = self.shared.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.get(usize::from(core)).cloned()
    }

    fn open(&self, node: &NodePlan) -> Result<Vec<PreparedCore>, JournalError> {
        let Settings { path, system, shard_count, device, log, .. } = &self.settings;
        let (block, bytes) = (BLOCK_BYTES as u64, log.segment_bytes);
        if !bytes.is_multiple_of(block) || !(2 * block..=MOST_SEGMENT_BYTES).contains(&bytes) {
            return Err(JournalError::SegmentBytes { bytes });
        }
        let system = system.clone().unwrap_or_else(|| node.name.clone());
        let cores = u32::from(node.cores);
        let identity = Identity { system, shard_count: *shard_count, cores };
        let directory = Directory::open(path, &identity, device)?;
        let commit_method = directory.commit_method();
        let log = LogSettings { commit_method, ..log.clone() };
        let read: Vec<_> = std::thread::scope(|scope| {
            let (directory, log) = (&directory, &log);
            let threads: Vec<_> =
                (0..cores).map(|core| scope.spawn(move || read(directory, log, core))).collect();
            let joined = threads.into_iter().zip(0..).map(|(thread, core)| {
                thread.join().unwrap_or(Err(JournalError::Panicked { core }))
            });
            joined.collect()
        });
        let direct = directory.is_direct();
        let settings =
            MakerSettings { segment_bytes: log.segment_bytes, direct, ..MakerSettings::default() };
        let maker = SegmentMaker::start(settings)?;
        let open = Arc::new(Open { maker, _directory: directory });
        let exchange = (node.cores > 1).then(|| Arc::new(Exchange::new(node.cores)));
        let prepared = read.into_iter().map(|read| {
            let (opened, folder) = read?;
            let published = Arc::new(Published::new(opened.durable_lsn()));
            let (exchange, open) = (exchange.clone(), Arc::clone(&open));
            Ok(PreparedCore { opened, folder, published, exchange, open })
        });
        prepared.collect()
    }
}

/// Reads the log of one core and mends its torn tail.
fn read(
    directory: &Directory,
    log: &LogSettings,
    core: u32,
) -> Result<(OpenedLog, LogFolder), JournalError> {
    let path = directory.core_folder(core);
    let Some(identity) = directory.log_identity(core) else {
        return Err(OpenError::NoCoreFolder { core, path }.into());
    };
    let mut reader = DirectoryReader::open(&path)?;
    let mut index = IndexFiles::new(&path);
    let opened = OpenedLog::read(&mut reader, &mut index, identity, log.clone());
    let opened =
        opened.map_err(|source| JournalError::Recovery { core, path: path.clone(), source })?;
    if let Some(torn) = &opened.recovered.repair {
        tracing::warn!(
            core,
            torn_bytes = torn.torn_bytes,
            "the log ends in a write that was never acknowledged; it is cut off"
        );
        repair(&path, torn)?;
    }
    for footer in &opened.rebuilt {
        let name = footer_name(footer.header().segment_id);
        replace_with(&path, &name, |file| footer.write_to(file))?;
    }
    remove_footers_before(&path, opened.extent.first_segment)?;
    index.read_ahead(opened.footers());
    let last_file = reader.last_file().map_or(0, |file| file.0);
    let Recovered { spare_files, stale_files, .. } = &opened.recovered;
    remove_stale(&path, stale_files)?;
    let spare = spare_files.iter().filter(|file| !stale_files.contains(file)).copied().collect();
    let commit_method = log.commit_method;
    tracing::info!(
        core,
        entities = opened.entities(),
        records_read = opened.recovered.records,
        segments_by_checkpoint = opened.extent.by_checkpoint,
        segments_by_footer = opened.extent.by_footer,
        segments_read = opened.extent.by_frames,
        "the log of a core was read"
    );
    Ok((opened, LogFolder { path, commit_method, spare, last_file }))
}

impl Extension for Journal {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn prepare(&self, node: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        let prepared = self.open(node)?;
        let lock = |error: PoisonError<_>| error.into_inner();
        let published = prepared.iter().map(|core| Arc::clone(&core.published)).collect();
        *self.shared.published.lock().unwrap_or_else(PoisonError::into_inner) = published;
        *self.shared.prepared.lock().unwrap_or_else(lock) =
            prepared.into_iter().map(Some).collect();
        self.shared.cores.store(u32::from(node.cores), Ordering::Release);
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        let core = usize::from(seat.core());
        let prepared = {
            let mut prepared = self.shared.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            prepared.get_mut(core).and_then(Option::take)
        };
        let (Some(prepared), Some(disk)) = (prepared, seat.shared::<CoreDisk>()) else { return };
        let PreparedCore { opened, folder, published, exchange, open } = prepared;
        let alarm: Alarm = seat.alarm();
        let maker = match open.maker.client(folder.path.clone(), Arc::new(move || alarm.ring())) {
            Ok(maker) => maker,
            Err(error) => {
                tracing::error!(core, %error, "a core has no journal");
                exchange.into_iter().for_each(|exchange| exchange.close(seat.core()));
                return;
            }
        };
        let storage = FileStorage::new(CoreDisk::clone(&disk), maker, folder, &opened.extent, open);
        let settings = CoreSettings { cores: seat.cores(), ..self.settings.core };
        let journal = CoreJournal::new(opened, Box::new(storage), settings, published);
        seat.share(std::rc::Rc::clone(&journal));
        if let Some(exchange) = exchange {
            Desk::install(seat, &journal, exchange);
        }
        seat.add_device(Box::new(JournalDevice::new(journal)));
    }
}
