//! The background thread of a journal: segments made ahead, small files, removals, for all its cores.
//!
//! Promises: no core waits for it. A core submits a request or is told at once that there is no room for it; the
//! answer comes through a bounded queue of the core's own, after which the core is woken. Whether there is room on
//! the device comes the same way: [`MakerEvent::Full`] and [`MakerEvent::SpaceIsBack`] in turn.
//!
//! Refuses: to hold a core's answers back from the others because one core does not take its own.
//!
//! What is done when is decided by the machine beside it; here is only the thread that obeys.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::durable_file::{FileError, remove, replace};
use super::making::{Asker, MakerEvent, Making, Request, Step};
use super::segment_files::{NewSegment, zeroes};
use crate::log::BlockBuffer;

/// Called after an answer was put where its core finds it.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The limits of the background thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MakerSettings {
    /// The length of a segment's file: whole blocks.
    pub segment_bytes: u64,
    /// Whether segments are written past the page cache.
    pub direct: bool,
    /// How often a segment is tried again when there is no room.
    pub retry_every: Duration,
    /// Requests of one core that are not answered.
    pub requests_limit: usize,
}

impl Default for MakerSettings {
    fn default() -> Self {
        MakerSettings {
            segment_bytes: 64 << 20,
            direct: true,
            retry_every: Duration::from_secs(1),
            requests_limit: 16,
        }
    }
}

/// Cores that one thread serves.
pub const MOST_CLIENTS: usize = super::manifest::MOST_CORES as usize;

/// The thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "the system gave no thread for the journal: {source}; check the limits on threads (ulimit -u, pids.max)"
)]
pub struct MakerStartError {
    /// What the system said.
    pub source: io::Error,
}

/// Why a request was not taken. Nothing of it will be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many wait for an answer. It passes.
    #[error(
        "{limit} requests wait for the journal's thread already; nothing was asked, try again after an answer"
    )]
    Busy {
        /// How many may.
        limit: usize,
    },
    /// The thread has ended.
    #[error("the journal's thread has ended; nothing was asked")]
    Ended,
}

/// A request that was not taken.
#[derive(thiserror::Error)]
#[error("{refusal}")]
pub struct RequestRefused {
    /// The request.
    pub request: Request,
    /// Why not.
    pub refusal: Refusal,
}

impl std::fmt::Debug for RequestRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestRefused").field("refusal", &self.refusal).finish_non_exhaustive()
    }
}

/// The background thread of a journal. Dropping it ends the thread, after the jobs that it has taken; segments that are
/// not ready are not made.
#[derive(Debug)]
pub struct SegmentMaker {
    settings: MakerSettings,
    messages: SyncSender<Message>,
    clients: AtomicUsize,
    thread: Option<JoinHandle<()>>,
}

/// A core's way to the background thread. Made anywhere, used by its core.
pub struct MakerClient {
    me: Asker,
    limit: usize,
    messages: SyncSender<Message>,
    events: Receiver<MakerEvent>,
    outstanding: Cell<usize>,
}

impl SegmentMaker {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`MakerStartError`].
    pub fn start(settings: MakerSettings) -> Result<SegmentMaker, MakerStartError> {
        let (messages, inbox) = sync_channel(MESSAGES);
        let thread = std::thread::Builder::new()
            .name("journal-files".into())
            .spawn(move || Worker::new(settings, inbox).run())
            .map_err(|source| MakerStartError { source })?;
        let clients = AtomicUsize::new(0);
        Ok(SegmentMaker { settings, messages, clients, thread: Some(thread) })
    }

    /// A way to the thread for the core whose log is in `folder`. `wake` is called by the thread.
    ///
    /// # Errors
    /// [`Refusal`]: the thread serves [`MOST_CLIENTS`] already, has too much to do, or has ended.
    pub fn client(&self, folder: PathBuf, wake: Wake) -> Result<MakerClient, Refusal> {
        let limit = self.settings.requests_limit;
        let me = self.clients.fetch_add(1, Ordering::Relaxed);
        if me >= MOST_CLIENTS {
            self.clients.store(MOST_CLIENTS, Ordering::Relaxed);
            return Err(Refusal::Busy { limit: MOST_CLIENTS });
        }
        // Room for every answer, and for both words on the room that is left.
        let (answers, events) = sync_channel(limit + 2);
        let waiting = VecDeque::new();
        let seat = Seat { folder, wake, answers: Some(answers), waiting, told_full: false };
        match self.messages.try_send(Message::Attach { client: me, seat }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(Refusal::Busy { limit }),
            Err(TrySendError::Disconnected(_)) => return Err(Refusal::Ended),
        }
        let messages = self.messages.clone();
        Ok(MakerClient { me, limit, messages, events, outstanding: Cell::new(0) })
    }
}

impl Drop for SegmentMaker {
    fn drop(&mut self) {
        // The thread takes messages in after every step, so this ends; if it is gone already, so much the better.
        let _ = self.messages.send(Message::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl MakerClient {
    /// Asks for something. The answer comes as one event.
    ///
    /// # Errors
    /// [`RequestRefused`] with the request.
    pub fn submit(&self, request: Request) -> Result<(), RequestRefused> {
        let limit = self.limit;
        if self.outstanding.get() >= limit {
            return Err(RequestRefused { request, refusal: Refusal::Busy { limit } });
        }
        let refused = |message, refusal| match message {
            Message::Ask { request, .. } => Err(RequestRefused { request, refusal }),
            Message::Attach { .. } | Message::Close => Ok(()),
        };
        match self.messages.try_send(Message::Ask { client: self.me, request }) {
            Ok(()) => {
                self.outstanding.set(self.outstanding.get() + 1);
                Ok(())
            }
            Err(TrySendError::Full(message)) => refused(message, Refusal::Busy { limit }),
            Err(TrySendError::Disconnected(message)) => refused(message, Refusal::Ended),
        }
    }

    /// The next event, without waiting.
    pub fn take_event(&self) -> Option<MakerEvent> {
        let event = self.events.try_recv().ok()?;
        if !matches!(event, MakerEvent::Full { .. } | MakerEvent::SpaceIsBack) {
            self.outstanding.set(self.outstanding.get().saturating_sub(1));
        }
        Some(event)
    }

    /// Requests that are not answered, or whose answer was not taken.
    pub fn outstanding(&self) -> usize {
        self.outstanding.get()
    }
}

/// Messages to the thread that it has not taken in.
const MESSAGES: usize = 4 * MOST_CLIENTS;
/// Requests of all cores that wait at the thread.
const MOST_REQUESTS: usize = 64 * MOST_CLIENTS;
/// How often the thread looks whether a core has made room for answers that it did not take.
const DELIVER_EVERY: Duration = Duration::from_millis(10);

enum Message {
    Attach { client: Asker, seat: Seat },
    Ask { client: Asker, request: Request },
    Close,
}

/// A core, as the thread sees it.
struct Seat {
    folder: PathBuf,
    wake: Wake,
    /// None when the core is gone; what it has asked for is done all the same.
    answers: Option<SyncSender<MakerEvent>>,
    /// Answers for which there was no room; at most one for each request that was taken.
    waiting: VecDeque<MakerEvent>,
    told_full: bool,
}

/// The thread.
struct Worker {
    settings: MakerSettings,
    inbox: Receiver<Message>,
    start: Instant,
    machine: Making,
    /// By the number of the client.
    seats: BTreeMap<Asker, Seat>,
    /// The segment that is being made.
    making: Option<NewSegment>,
    zeroes: BlockBuffer,
}

impl Worker {
    fn new(settings: MakerSettings, inbox: Receiver<Message>) -> Worker {
        let retry_every_ns = settings.retry_every.as_nanos().min(u128::from(u64::MAX)) as u64;
        Worker {
            settings,
            inbox,
            start: Instant::now(),
            machine: Making::new(settings.segment_bytes, retry_every_ns, MOST_REQUESTS),
            seats: BTreeMap::new(),
            making: None,
            zeroes: zeroes(),
        }
    }

    fn run(mut self) {
        let mut is_open = true;
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                is_open &= self.take_in(message);
            }
            if let Some(step) = self.machine.next(self.now_ns()) {
                let outcome = self.perform(step);
                let answer = self.machine.finished(self.now_ns(), outcome);
                self.deliver(answer);
            } else if is_open {
                self.deliver(None);
                is_open = self.wait();
            } else {
                return;
            }
        }
    }

    /// Sleeps until there is something to do; whether the thread is to go on.
    fn wait(&mut self) -> bool {
        let deadline_ns = self.machine.next_deadline_ns();
        let due_in = deadline_ns.map(|due| Duration::from_nanos(due.saturating_sub(self.now_ns())));
        let undelivered = self.seats.values().any(|seat| !seat.is_delivered(&self.machine));
        let look_in = undelivered.then_some(DELIVER_EVERY);
        let message = match due_in.into_iter().chain(look_in).min() {
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(timeout) => self.inbox.recv_timeout(timeout),
        };
        match message {
            Ok(message) => self.take_in(message),
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => {
                self.machine.close();
                false
            }
        }
    }

    /// Whether the thread is to go on.
    fn take_in(&mut self, message: Message) -> bool {
        match message {
            Message::Attach { client, seat } => {
                self.seats.insert(client, seat);
            }
            Message::Ask { client, request } => {
                // What is refused here was asked for after the end, or beyond what all cores together may ask.
                if let Err(request) = self.machine.ask(client, request) {
                    self.deliver(Some((client, refused(request))));
                }
            }
            Message::Close => {
                self.machine.close();
                return false;
            }
        }
        true
    }

    fn perform(&mut self, step: Step) -> Result<(), FileError> {
        let MakerSettings { segment_bytes, direct, .. } = self.settings;
        match step {
            Step::Begin { asker, file, retired } => {
                let folder = self.folder_of(asker)?;
                self.making = Some(match retired {
                    None => NewSegment::create(folder, file, segment_bytes, direct)?,
                    Some(retired) => NewSegment::recycle(folder, retired, file, direct)?,
                });
                Ok(())
            }
            Step::Zero { offset, bytes } => {
                let zeroes = self.zeroes.get(..bytes).unwrap_or_default();
                self.new_segment()?.zero(offset, zeroes)
            }
            Step::Sync => self.new_segment()?.sync(segment_bytes),
            Step::Publish => {
                self.new_segment()?.publish()?;
                self.making = None;
                Ok(())
            }
            Step::Abandon => {
                if let Some(new) = self.making.take() {
                    new.abandon();
                }
                Ok(())
            }
            Step::Job { asker, job } => perform_job(self.folder_of(asker)?, job),
        }
    }

    fn folder_of(&self, asker: Asker) -> Result<&Path, FileError> {
        let seat = self.seats.get(&asker).map(|seat| seat.folder.as_path());
        seat.ok_or_else(|| missing("find the folder of a core"))
    }

    fn new_segment(&self) -> Result<&NewSegment, FileError> {
        self.making.as_ref().ok_or_else(|| missing("go on with a segment"))
    }

    /// Gives an answer, and whatever else the cores have not been told.
    fn deliver(&mut self, answer: Option<(Asker, MakerEvent)>) {
        if let Some((asker, event)) = answer
            && let Some(seat) = self.seats.get_mut(&asker)
            && seat.answers.is_some()
        {
            seat.waiting.push_back(event);
        }
        let since = self.machine.full_since_ns().map(|ns| self.start + Duration::from_nanos(ns));
        self.seats.values_mut().for_each(|seat| seat.deliver(since));
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

impl Seat {
    fn is_delivered(&self, machine: &Making) -> bool {
        let is_current = self.told_full == machine.full_since_ns().is_some();
        self.answers.is_none() || (self.waiting.is_empty() && is_current)
    }

    /// Gives the core what there is room for.
    fn deliver(&mut self, full_since: Option<Instant>) {
        let mut gave_something = false;
        while let Some(answers) = &self.answers {
            let (event, is_state) = match self.waiting.pop_front() {
                Some(event) => (event, false),
                None if self.told_full == full_since.is_some() => break,
                None => (state(full_since), true),
            };
            match answers.try_send(event) {
                Ok(()) if is_state => self.told_full = full_since.is_some(),
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    if !is_state {
                        self.waiting.push_front(event);
                    }
                    break;
                }
                Err(TrySendError::Disconnected(_)) => {
                    self.answers = None;
                    self.waiting.clear();
                    return;
                }
            }
            gave_something = true;
        }
        if gave_something {
            (self.wake)();
        }
    }
}

fn state(full_since: Option<Instant>) -> MakerEvent {
    full_since.map_or(MakerEvent::SpaceIsBack, |since| MakerEvent::Full { since })
}

fn missing(what: &'static str) -> FileError {
    FileError::at(what, Path::new("the journal"))(io::ErrorKind::NotFound.into())
}

fn perform_job(folder: &Path, job: Request) -> Result<(), FileError> {
    match job {
        Request::Write { name, bytes, .. } => replace(folder, &name, &bytes),
        Request::Remove { names, .. } => remove(folder, &names),
        Request::Run { work, .. } => {
            let ended = catch_unwind(AssertUnwindSafe(|| work(folder)));
            ended.unwrap_or_else(|_| {
                Err(FileError::at("work on", folder)(io::Error::other("the work panicked")))
            })
        }
        // These are made step by step.
        Request::Segment { .. } | Request::Recycle { .. } => Ok(()),
    }
}

fn refused(request: Request) -> MakerEvent {
    let refusal = io::Error::new(io::ErrorKind::ResourceBusy, "the journal's thread takes no more");
    let error = FileError::at("ask for", Path::new("a file"))(refusal);
    match request {
        Request::Segment { file } | Request::Recycle { file, .. } => {
            MakerEvent::SegmentFailed { file, error }
        }
        Request::Write { token, .. }
        | Request::Remove { token, .. }
        | Request::Run { token, .. } => MakerEvent::JobFailed { token, error },
    }
}

#[cfg(test)]
#[path = "segment_maker_tests.rs"]
mod tests;
