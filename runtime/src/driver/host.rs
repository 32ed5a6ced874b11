//! Gives a core its thread: pinned, with an executor and a ring of its own, up and checked before anyone relies on
//! it.
//!
//! Promises:
//! - [`spawn_core`] returns when the core runs on the CPU it was given (the mask is read back) or with an error that
//!   names the cause and the remedy; in that case nothing is left running.
//! - While no asynchronous work is under way, the core's thread does nothing but sweep: no executor, no timer and
//!   no system call comes between two sweeps that have work.
//! - Work published before [`CoreWaker::wake_after_publish`] is swept, in every idle profile.
//!
//! Refuses: to run a core on a CPU it could not be pinned to, and to let a future that panics end the core.

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_lite::FutureExt;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::clock::Clock;
use super::cpu::{PinError, PreflightError, pin_current_thread, preflight};
use super::pump::Pump;
use super::tasks::CoreTask;
use super::uring::{Completion, Uring, UringFeatures, UringSetupError};
use super::waker::CoreWaker;
use crate::node::idle::IdleProfile;

/// Entries in a core's submission queue, unless told otherwise.
pub const DEFAULT_RING_ENTRIES: u32 = 256;

/// The executor preempts its tasks so often: never. Why that matters is said in the pump.
const EXECUTOR_PREEMPTION: Duration = Duration::from_secs(365 * 24 * 3600);
/// Registered memory of the executor. Its least; nothing hot goes through it.
const EXECUTOR_IO_MEMORY_BYTES: usize = 64 << 10;
/// Entries in each of the executor's rings.
const EXECUTOR_RING_ENTRIES: usize = 64;
/// How much later than asked the kernel may end a timed sleep of a core. Its default is 50 µs.
const TIMER_SLACK_NS: libc::c_ulong = 1;

/// The ring of a core, shared by the pump and by the core's own drivers. Never borrowed across a sweep.
pub type CoreRing = Rc<RefCell<Uring>>;

/// One core as its host sees it. Implemented over the sans-IO core; every call is made on the core's thread.
pub trait CoreLoop: 'static {
    /// One sweep. `true` when anything was done.
    fn sweep(&mut self) -> bool;

    /// Whether a sweep would find something to do. Called with the sleeping flag up, so it must look at every ring,
    /// timer and other input afresh.
    fn has_work(&mut self) -> bool;

    /// When the next timer is due, by [`Clock`].
    fn next_deadline_ns(&self) -> Option<u64>;

    /// Asynchronous work started since the last call. Called after every sweep, so it must be cheap when there is
    /// none.
    fn take_tasks(&mut self) -> Vec<CoreTask>;

    /// Whether the core has shut down. The thread then ends; asynchronous work under way is dropped.
    fn finished(&self) -> bool;

    /// The core has slept. `woken` says that a sender woke it.
    fn parked(&mut self, slept_ns: u64, woken: bool);

    /// Whether the core should let the kernel's own threads run on its CPU: instead of spinning when it has nothing
    /// to do, and now and then when it has. They may have to finish what the core waits for, as the commit of a write
    /// is; a thread that never yields keeps them out until the scheduler's next tick.
    fn yields(&self) -> bool {
        false
    }

    /// Something that one of the core's drivers asked of the ring is done.
    fn completed(&mut self, completion: Completion) {
        let _ = completion;
    }
}

/// How to run one core.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// The thread's name. The kernel shows its first 15 bytes.
    pub name: String,
    /// The CPU to pin the thread to; `None` leaves the choice to the scheduler, again and again.
    pub cpu: Option<u32>,
    /// What to do when there is nothing to do.
    pub idle: IdleProfile,
    /// What others hold to wake this core.
    pub waker: Arc<CoreWaker>,
    /// Entries in the core's submission queue.
    pub ring_entries: u32,
}

impl HostSettings {
    /// An unpinned core with the default idle profile.
    pub fn new(name: impl Into<String>, waker: Arc<CoreWaker>) -> HostSettings {
        let idle = IdleProfile::default();
        HostSettings {
            name: name.into(),
            cpu: None,
            idle,
            waker,
            ring_entries: DEFAULT_RING_ENTRIES,
        }
    }
}

/// What a host has done for its core so far. Written by the core's thread, read by any.
#[derive(Debug, Default)]
pub struct HostFigures {
    pub(super) parks_in_ring: AtomicU64,
    pub(super) parks_in_executor: AtomicU64,
    pub(super) parks_given_up: AtomicU64,
    pub(super) yields: AtomicU64,
    pub(super) ring_enters: AtomicU64,
    pub(super) ring_failures: AtomicU64,
    pub(super) task_panics: AtomicU64,
}

impl HostFigures {
    /// Sleeps in the core's own ring.
    pub fn parks_in_ring(&self) -> u64 {
        self.parks_in_ring.load(Ordering::Relaxed)
    }

    /// Sleeps in the executor, because asynchronous work was under way.
    pub fn parks_in_executor(&self) -> u64 {
        self.parks_in_executor.load(Ordering::Relaxed)
    }

    /// Sleeps not begun, because the last look found work.
    pub fn parks_given_up(&self) -> u64 {
        self.parks_given_up.load(Ordering::Relaxed)
    }

    /// Times that the core let others run on its CPU, because it [asked](CoreLoop::yields) to.
    pub fn yields(&self) -> u64 {
        self.yields.load(Ordering::Relaxed)
    }

    /// Entries of the core's own ring into the kernel.
    pub fn ring_enters(&self) -> u64 {
        self.ring_enters.load(Ordering::Relaxed)
    }

    /// Calls of the core's own ring that the kernel refused.
    pub fn ring_failures(&self) -> u64 {
        self.ring_failures.load(Ordering::Relaxed)
    }

    /// Futures that ended in a panic.
    pub fn task_panics(&self) -> u64 {
        self.task_panics.load(Ordering::Relaxed)
    }
}

/// A core's thread could not be started. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No core can start on this machine with the rights and limits of this process.
    #[error("core {name} cannot start: {source}")]
    Preflight {
        /// The core's name.
        name: String,
        /// What is in the way, and the remedy.
        source: PreflightError,
    },
    /// The system gave no thread.
    #[error(
        "core {name}: the system gave no thread: {source}. Check the limits on threads (ulimit -u, pids.max) and on \
         memory"
    )]
    Thread {
        /// The core's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The thread could not be pinned.
    #[error("core {name}: {source}")]
    Pinning {
        /// The core's name.
        name: String,
        /// What went wrong, and the remedy.
        source: PinError,
    },
    /// The core's own ring could not be set up.
    #[error("core {name}: {source}")]
    Ring {
        /// The core's name.
        name: String,
        /// What is in the way, and the remedy.
        source: UringSetupError,
    },
    /// The executor could not be started.
    #[error(
        "core {name}: its executor could not be started: {cause}. It needs three rings of {EXECUTOR_RING_ENTRIES} \
         entries, {EXECUTOR_IO_MEMORY_BYTES} bytes of locked memory and a thread: raise the limits (ulimit -l, -n, -u)"
    )]
    Executor {
        /// The core's name.
        name: String,
        /// What the executor said.
        cause: String,
    },
    /// The core panicked while it was being made.
    #[error("core {name}: it panicked while it was being made: {message}")]
    Panicked {
        /// The core's name.
        name: String,
        /// The panic's message.
        message: String,
    },
}

/// A core ended in a panic outside any turn: a defect of the runtime or of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("core {name} panicked: {message}")]
pub struct CorePanicked {
    /// The core's name.
    pub name: String,
    /// The panic's message.
    pub message: String,
}

/// The running thread of a core. Dropping it leaves the core running.
#[derive(Debug)]
pub struct CoreThread {
    name: String,
    thread: JoinHandle<Result<(), String>>,
    features: UringFeatures,
    figures: Arc<HostFigures>,
}

impl CoreThread {
    /// What the kernel granted to the core's ring.
    pub fn features(&self) -> UringFeatures {
        self.features
    }

    /// What the host has done for the core so far.
    pub fn figures(&self) -> &Arc<HostFigures> {
        &self.figures
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the thread to end, which it does when its core is [finished](CoreLoop::finished). Not to be called
    /// on a core's thread.
    ///
    /// # Errors
    ///
    /// [`CorePanicked`] if it ended in a panic.
    pub fn join(self) -> Result<(), CorePanicked> {
        let ended = self.thread.join().unwrap_or_else(|payload| Err(panic_message(&*payload)));
        ended.map_err(|message| CorePanicked { name: self.name, message })
    }
}

/// Starts a core: a thread, pinned where `settings` say, that makes the core with `make` and runs it until it is
/// [finished](CoreLoop::finished). Returns when the core is about to be swept for the first time.
///
/// `make` runs on the core's thread, so what it allocates is local to that CPU, and is given the core's ring.
///
/// # Errors
///
/// [`HostError`], with cause and remedy. Nothing is left running.
pub fn spawn_core<L: CoreLoop>(
    settings: HostSettings,
    make: impl FnOnce(CoreRing) -> L + Send + 'static,
) -> Result<CoreThread, HostError> {
    let name = settings.name.clone();
    let figures = Arc::new(HostFigures::default());
    let clock = Clock::new();
    let (report, started) = mpsc::sync_channel(1);
    let thread = {
        let figures = figures.clone();
        std::thread::Builder::new()
            .name(name.replace('\0', "?"))
            .spawn(move || run_core(settings, clock, figures, make, report))
            .map_err(|source| HostError::Thread { name: name.clone(), source })?
    };
    match started.recv() {
        Ok(Ok(features)) => Ok(CoreThread { name, thread, features, figures }),
        Ok(Err(error)) => {
            // The thread has reported its last word and is about to end.
            let _ = thread.join();
            Err(error)
        }
        Err(mpsc::RecvError) => {
            let message = match thread.join() {
                Ok(Err(message)) => message,
                Ok(Ok(())) => "it ended without a report".to_owned(),
                Err(payload) => panic_message(&*payload),
            };
            Err(HostError::Panicked { name, message })
        }
    }
}

type Report = mpsc::SyncSender<Result<UringFeatures, HostError>>;

/// The whole life of a core's thread. An error is the message of a panic.
fn run_core<L: CoreLoop>(
    settings: HostSettings,
    clock: Clock,
    figures: Arc<HostFigures>,
    make: impl FnOnce(CoreRing) -> L,
    report: Report,
) -> Result<(), String> {
    let (executor, ring) = match equip(&settings) {
        Ok(equipment) => equipment,
        Err(error) => {
            // Whoever started us waits for exactly this.
            let _ = report.send(Err(error));
            return Ok(());
        }
    };
    let features = ring.features();
    let ring = Rc::new(RefCell::new(ring));
    tracing::debug!(core = settings.name, cpu = settings.cpu, idle = %settings.idle, ring = %features, "core starts");
    let life = async move {
        let core = make(ring.clone());
        match Pump::new(core, ring, &settings, clock, figures) {
            Ok(pump) => {
                let _ = report.send(Ok(features));
                pump.run().await;
            }
            Err(error) => {
                let cause = error.to_string();
                let _ = report.send(Err(HostError::Executor { name: settings.name, cause }));
            }
        }
    };
    executor
        .run(std::panic::AssertUnwindSafe(life).catch_unwind())
        .map_err(|payload| panic_message(&*payload))
}

/// An executor and a ring for the calling thread, which is pinned.
fn equip(settings: &HostSettings) -> Result<(LocalExecutor, Uring), HostError> {
    let name = || settings.name.clone();
    preflight().map_err(|source| HostError::Preflight { name: name(), source })?;
    // Before the thread is pinned: the executor's own thread for blocking calls inherits where it may run, and
    // must not run here.
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(EXECUTOR_IO_MEMORY_BYTES)
        .ring_depth(EXECUTOR_RING_ENTRIES)
        .preempt_timer(EXECUTOR_PREEMPTION)
        .make()
        .map_err(|error| HostError::Executor { name: name(), cause: error.to_string() })?;
    if let Some(cpu) = settings.cpu {
        pin_current_thread(cpu).map_err(|source| HostError::Pinning { name: name(), source })?;
    }
    sharpen_timers();
    // After the thread is where it will stay, so that the kernel allocates the ring there.
    let ring = Uring::new(settings.ring_entries, settings.waker.clone());
    let ring = ring.map_err(|source| HostError::Ring { name: name(), source })?;
    Ok((executor, ring))
}

/// Timed sleeps of this thread end when asked, not when convenient. A kernel that refuses leaves them 50 µs late.
fn sharpen_timers() {
    // SAFETY: this option takes one integer and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0) };
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
