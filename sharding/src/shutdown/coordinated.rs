//! The shutdown as a program has it: tasks with their code, threads to run them, and somebody to wait for.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::phase::Phase;
use super::report::{Outcome, Reason, Report};
use super::sequence::{AddTaskError, Input, Output, Progress, Sequence, TaskKey};
use super::settings::Settings;
use super::signals::Signals;

/// Why a task could not do what it was for.
pub type TaskFailure = Box<dyn Error + Send + Sync>;

/// Why a shutdown was not begun. Nothing changed; it may be begun again.
#[derive(Debug, thiserror::Error)]
#[error("the shutdown has no thread to run on: {source}; end other threads, or begin it again")]
pub struct BeginError {
    /// What the system said.
    #[from]
    source: io::Error,
}

/// What a task is told.
#[derive(Clone, Debug)]
pub struct Stopping {
    reason: Reason,
    phase: Phase,
    deadline: Instant,
}

impl Stopping {
    /// Why the node ends.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The phase that the task is of.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How long the task is still waited for.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The end of a node in order: see the [module](crate::shutdown). Clones are the same; any thread may use them.
#[derive(Clone)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    /// Where its clock begins.
    origin: Instant,
    signals: Mutex<Option<Signals>>,
}

struct State {
    sequence: Sequence,
    reason: Option<Reason>,
    work: BTreeMap<TaskKey, Task>,
}

struct Task {
    phase: Phase,
    name: String,
    work: Work,
}

type Work = Box<dyn FnOnce(&Stopping) -> Result<(), TaskFailure> + Send>;

impl Shutdown {
    /// A shutdown without tasks, which nobody has asked for.
    pub fn new(settings: Settings) -> Self {
        let sequence = Sequence::new(settings);
        let state = State { sequence, reason: None, work: BTreeMap::new() };
        let inner = Inner {
            state: Mutex::new(state),
            changed: Condvar::new(),
            origin: Instant::now(),
            signals: Mutex::new(None),
        };
        Shutdown { inner: Arc::new(inner) }
    }

    /// One more task of a phase that has not begun. It runs on a thread of its own, at the same time as the others of
    /// its phase, and may block; it should end within [`Stopping::time_left`].
    ///
    /// # Errors
    /// [`AddTaskError`]; nothing changed.
    pub fn add(
        &self,
        phase: Phase,
        name: &str,
        work: impl FnOnce(&Stopping) -> Result<(), TaskFailure> + Send + 'static,
    ) -> Result<TaskKey, AddTaskError> {
        let mut state = self.inner.lock();
        let key = state.sequence.add(phase, name)?;
        let task = Task { phase, name: name.to_owned(), work: Box::new(work) };
        state.work.insert(key, task);
        Ok(key)
    }

    /// Takes back a task whose phase has not begun: what it was for is gone already. Whether it did.
    pub fn withdraw(&self, task: TaskKey) -> bool {
        let mut state = self.inner.lock();
        let withdrawn = state.sequence.withdraw(task);
        let work = withdrawn.then(|| state.work.remove(&task));
        // What the task holds may do anything when it is dropped.
        drop(state);
        drop(work);
        withdrawn
    }

    /// Begins it, and does not wait. Whether this call did: a shutdown is begun once, and keeps its first reason.
    ///
    /// # Errors
    /// [`BeginError`]; nothing changed.
    pub fn begin(&self, reason: Reason) -> Result<bool, BeginError> {
        self.inner.begin(reason)
    }

    /// From now on SIGTERM and SIGINT begin it. A SIGINT after the first of them ends the process at once. When the
    /// last clone of the shutdown is dropped, nothing listens any more; the process still outlives the signals.
    ///
    /// # Errors
    /// What the system said; the signals do what they did before.
    pub fn begin_on_signals(&self) -> io::Result<()> {
        let mut signals = self.inner.signals.lock().unwrap_or_else(PoisonError::into_inner);
        if signals.is_none() {
            *signals = Some(Signals::begin(Arc::downgrade(&self.inner))?);
        }
        Ok(())
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.inner.lock().sequence.progress()
    }

    /// Waits until it has begun and is over, for so long at most: what became of it, if it is over.
    pub fn wait(&self, patience: Duration) -> Option<Report> {
        let is_on = |state: &mut State| !state.sequence.has_ended();
        let state = self.inner.lock();
        let waited = self.inner.changed.wait_timeout_while(state, patience, is_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.sequence.report().cloned()
    }

    /// Waits until it has begun and is over, however long that takes: what the main thread of a server does.
    pub fn wait_for_end(&self) -> Report {
        loop {
            if let Some(report) = self.wait(Duration::from_secs(3_600)) {
                return report;
            }
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn begin(self: &Arc<Self>, reason: Reason) -> Result<bool, BeginError> {
        let mut state = self.lock();
        if state.reason.is_some() {
            return Ok(false);
        }
        let inner = Arc::clone(self);
        // It finds the lock taken until the shutdown has begun.
        thread::Builder::new().name("shutdown".to_owned()).spawn(move || inner.keep_time())?;
        tracing::info!(%reason, "the node begins to shut down");
        state.reason = Some(reason.clone());
        self.step(state, Input::Begin(reason));
        Ok(true)
    }

    /// Ends phases at their deadlines.
    fn keep_time(self: &Arc<Self>) {
        loop {
            let state = self.lock();
            let Some(deadline_ns) = state.sequence.deadline_ns() else { return };
            let pause = Duration::from_nanos(deadline_ns.saturating_sub(self.now_ns()));
            let waited = self.changed.wait_timeout(state, pause);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            self.step(state, Input::Tick);
        }
    }

    /// One step of the machine, and what it wants done. Those who wait are woken if anything came of it.
    fn step(self: &Arc<Self>, mut state: MutexGuard<'_, State>, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut outputs = Vec::new();
            state.sequence.step(self.now_ns(), input, &mut outputs);
            for output in outputs {
                match output {
                    Output::Start { task, deadline_ns } => {
                        if let Err(error) = self.start(&mut state, task, deadline_ns) {
                            let why = format!("no thread to run on: {error}");
                            inputs.push(Input::Ended(task, Outcome::Failed(why)));
                        }
                    }
                    Output::PhaseEnded(report) => {
                        log_phase(&report);
                        self.changed.notify_all();
                    }
                    Output::Ended(report) => {
                        let (took_ms, failed) = (report.took_ns / 1_000_000, report.failed());
                        tracing::info!(reason = %report.reason, took_ms, failed, "shut down");
                        self.changed.notify_all();
                    }
                }
            }
        }
    }

    fn start(
        self: &Arc<Self>,
        state: &mut State,
        key: TaskKey,
        deadline_ns: u64,
    ) -> io::Result<()> {
        let State { work, reason, .. } = state;
        let (Some(task), Some(reason)) = (work.remove(&key), reason.clone()) else { return Ok(()) };
        let far = Duration::from_secs(u64::from(u32::MAX));
        let until = self.origin + Duration::from_nanos(deadline_ns).min(far);
        let stopping = Stopping { reason, phase: task.phase, deadline: until };
        let inner = Arc::clone(self);
        let name = format!("shutdown: {}", task.name);
        thread::Builder::new().name(name.replace('\0', " ")).spawn(move || {
            let outcome = run(task.work, &stopping);
            let state = inner.lock();
            inner.step(state, Input::Ended(key, outcome));
        })?;
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(work: Work, stopping: &Stopping) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| work(stopping))) {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(why)) => Outcome::Failed(why.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Outcome::Panicked(text.unwrap_or("not a text").to_owned())
        }
    }
}

fn log_phase(report: &super::report::PhaseReport) {
    let (phase, took_ms) = (report.phase, report.took_ns / 1_000_000);
    for task in report.tasks.iter().filter(|task| task.outcome != Outcome::Done) {
        let (task, outcome) = (&task.name, &task.outcome);
        tracing::warn!(%phase, task, %outcome, "a task of the shutdown was not done; it goes on");
    }
    tracing::info!(%phase, took_ms, failed = report.failed(), "a phase of the shutdown is over");
}
