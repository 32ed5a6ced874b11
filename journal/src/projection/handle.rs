//! The thread of a projection, and what others may ask of it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::conductor::{Action, ProjectionState};
use super::handler::Handler;
use super::offset_store::OffsetStore;
use super::runner::Projection;
use crate::query::{Lag, Offset};

/// How a projection is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// What it does.
    pub state: ProjectionState,
    /// What the handler has taken, and the store has.
    pub offset: Offset,
    /// How far it is behind.
    pub lag: Lag,
    /// Events that the handler has taken since the start; those that came again counted again.
    pub events: u64,
    /// What failed last, as long as nothing has been done since.
    pub last_error: Option<String>,
}

/// A projection that runs on a thread of its own. Dropping it stops the projection and waits for its end.
#[derive(Debug)]
pub struct ProjectionHandle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// How long the thread sleeps at most: so often a status is made anew when nothing happens.
const STATUS_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    /// Somebody has asked for something.
    asked: Condvar,
    /// The status is another one.
    told: Condvar,
}

#[derive(Debug)]
struct Desk {
    wishes: Wishes,
    status: ProjectionStatus,
}

/// What was asked for since the thread has looked. Each thing once is enough.
#[derive(Debug, Default)]
struct Wishes {
    /// Pause or resume, whichever came last.
    pause: Option<bool>,
    rebuild: bool,
    stop: bool,
}

impl ProjectionHandle {
    pub(super) fn start<H, S>(projection: Projection<H, S>) -> io::Result<Self>
    where
        H: Handler + Send + 'static,
        S: OffsetStore + Send + 'static,
    {
        let status = status_of(&projection);
        let desk = Mutex::new(Desk { wishes: Wishes::default(), status });
        let shared = Arc::new(Shared { desk, asked: Condvar::new(), told: Condvar::new() });
        let name = format!("projection {}", projection.name());
        let theirs = Arc::clone(&shared);
        let run = move || run(projection, &theirs);
        let thread = std::thread::Builder::new().name(name).spawn(run)?;
        Ok(ProjectionHandle { shared, thread: Some(thread) })
    }

    /// Takes nothing more from the next batch on.
    pub fn pause(&self) {
        self.ask(|wishes| wishes.pause = Some(true));
    }

    /// Goes on after a pause, or after it has failed.
    pub fn resume(&self) {
        self.ask(|wishes| wishes.pause = Some(false));
    }

    /// Takes everything again from the beginning; the handler is told to remove what it has made. A pause lasts.
    pub fn rebuild(&self) {
        self.ask(|wishes| wishes.rebuild = true);
    }

    /// How it is doing.
    pub fn status(&self) -> ProjectionStatus {
        self.shared.desk().status.clone()
    }

    /// Waits until its status is as wanted, `limit` at most. The last status, in either case.
    pub fn wait_until(
        &self,
        limit: Duration,
        is_wanted: impl Fn(&ProjectionStatus) -> bool,
    ) -> ProjectionStatus {
        let desk = self.shared.desk();
        let waits = |desk: &mut Desk| !is_wanted(&desk.status);
        let waited = self.shared.told.wait_timeout_while(desk, limit, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.status.clone()
    }

    /// Stops it behind what it is doing, and waits for the end of its thread. The last status.
    pub fn stop(mut self) -> ProjectionStatus {
        self.end();
        self.status()
    }

    fn ask(&self, wish: impl FnOnce(&mut Wishes)) {
        wish(&mut self.shared.desk().wishes);
        self.shared.asked.notify_all();
    }

    fn end(&mut self) {
        self.ask(|wishes| wishes.stop = true);
        if let Some(thread) = self.thread.take() {
            // If it panicked, its status says so.
            let _ = thread.join();
        }
    }
}

impl Drop for ProjectionHandle {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the thread is over when a handler or a store panics.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut desk = self.0.desk();
            desk.status.state = ProjectionState::Failed;
            desk.status.last_error = Some("the projection's thread panicked".to_owned());
            self.0.told.notify_all();
        }
    }
}

fn run<H: Handler, S: OffsetStore>(mut projection: Projection<H, S>, shared: &Shared) {
    let began = Instant::now();
    let _ending = Ending(shared);
    loop {
        let wishes = std::mem::take(&mut shared.desk().wishes);
        match wishes.pause {
            Some(true) => projection.pause(),
            Some(false) => projection.resume(),
            None => {}
        }
        if wishes.rebuild {
            projection.rebuild();
        }
        if wishes.stop {
            projection.stop();
        }
        let action = projection.step(began.elapsed().as_nanos() as u64);
        let status = status_of(&projection);
        let mut desk = shared.desk();
        desk.status = status;
        shared.told.notify_all();
        match action {
            Action::End => return,
            Action::Wait { until_ns } => {
                let now_ns = began.elapsed().as_nanos() as u64;
                let left = until_ns.map(|until_ns| until_ns.saturating_sub(now_ns));
                let pause = left.map_or(STATUS_EVERY, Duration::from_nanos).min(STATUS_EVERY);
                let idle = |desk: &mut Desk| {
                    let Wishes { pause, rebuild, stop } = &desk.wishes;
                    pause.is_none() && !rebuild && !stop
                };
                drop(shared.asked.wait_timeout_while(desk, pause, idle));
            }
            _ => {}
        }
    }
}

fn status_of<H: Handler, S: OffsetStore>(projection: &Projection<H, S>) -> ProjectionStatus {
    #[expect(
        clippy::disallowed_methods,
        reason = "a lag is measured against the wall clock of the frames; nothing is decided by it"
    )]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ProjectionStatus {
        state: projection.state(),
        offset: projection.offset().clone(),
        lag: projection.lag(since.as_millis() as u64),
        events: projection.events(),
        last_error: projection.last_error().map(ToString::to_string),
    }
}
