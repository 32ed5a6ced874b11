//! A projection: what its conductor decides is carried out here.

use super::conductor::{Action, Conductor, Outcome, ProjectionSettings, ProjectionState};
use super::handle::ProjectionHandle;
use super::handler::{Handler, HandlerError};
use super::offset_store::{OffsetStore, OffsetStoreError};
use crate::query::{Batch, EventQuery, Lag, Offset, QueryError};

/// Something that a projection could not do.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The journal cannot be read on.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The handler has not taken a batch.
    #[error("the handler has not taken the events behind offset `{start}`: {source}")]
    Handler {
        /// Where the batch begins.
        start: Offset,
        /// What the handler said.
        source: HandlerError,
    },
    /// The handler could not remove what it had made.
    #[error("the handler could not begin anew: {0}")]
    Clear(HandlerError),
    /// An offset was not loaded or not stored.
    #[error(transparent)]
    Offset(#[from] OffsetStoreError),
}

/// Hands the events of a query to a handler and keeps how far it has come.
#[derive(Debug)]
pub struct Projection<H, S> {
    name: String,
    query: EventQuery,
    handler: H,
    offsets: S,
    conductor: Conductor,
    batch: Batch,
    /// Whether the batch was not yet taken by the handler.
    holds_batch: bool,
    stored: Offset,
    events: u64,
    last_error: Option<ProjectionError>,
}

impl<H: Handler, S: OffsetStore> Projection<H, S> {
    /// A projection of this name. The query's own place does not matter: it goes to the offset that the store has
    /// for the name, or to the beginning.
    pub fn new(name: impl Into<String>, query: EventQuery, handler: H, offsets: S) -> Self {
        Projection {
            name: name.into(),
            query,
            handler,
            offsets,
            conductor: Conductor::new(ProjectionSettings::default()),
            batch: Batch::new(),
            holds_batch: false,
            stored: Offset::beginning(),
            events: 0,
            last_error: None,
        }
    }

    /// Other settings than the default ones.
    pub fn with_settings(mut self, settings: ProjectionSettings) -> Self {
        self.conductor = Conductor::new(settings);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does the next thing, and says what it was: for a thread that is not the projection's own, and for tests.
    /// `now_ns` is any clock that never goes back.
    pub fn step(&mut self, now_ns: u64) -> Action {
        let action = self.conductor.next(now_ns);
        let outcome = match action {
            Action::Load => self.load(),
            Action::StoreBeginning => self.store_beginning(),
            Action::Clear => self.clear(),
            Action::Read => self.read(),
            Action::Handle => self.handle(),
            Action::Store => self.store(),
            Action::Wait { .. } | Action::End => return action,
        };
        let outcome = outcome.unwrap_or_else(|error| {
            let outcome = match error {
                ProjectionError::Query(ref error) if !error.may_pass() => Outcome::FailedForGood,
                _ => Outcome::Failed,
            };
            tracing::warn!(projection = self.name, %error, "a projection failed");
            self.last_error = Some(error);
            outcome
        });
        self.conductor.done(now_ns, outcome);
        action
    }

    /// Runs it on a thread of its own until it is stopped, or its query has ended.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self) -> std::io::Result<ProjectionHandle>
    where
        H: Send + 'static,
        S: Send + 'static,
    {
        ProjectionHandle::start(self)
    }

    /// Takes nothing more from the next batch on.
    pub fn pause(&mut self) {
        self.conductor.pause();
    }

    /// Goes on after a pause, or after it has failed.
    pub fn resume(&mut self) {
        self.conductor.resume();
    }

    /// Takes everything again from the beginning.
    pub fn rebuild(&mut self) {
        self.conductor.rebuild();
    }

    /// Ends.
    pub fn stop(&mut self) {
        self.conductor.stop();
    }

    /// How it is.
    pub fn state(&self) -> ProjectionState {
        self.conductor.state()
    }

    /// What the handler has taken, and the store has.
    pub fn offset(&self) -> &Offset {
        &self.stored
    }

    /// Events that the handler has taken since the projection was made; those that came again counted again.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// What failed last; none once something has been done since.
    pub fn last_error(&self) -> Option<&ProjectionError> {
        self.last_error.as_ref()
    }

    /// How far it is behind: what was not yet read, and what the handler has not yet taken. `now_ms` is the wall
    /// clock, in milliseconds since 1970.
    pub fn lag(&self, now_ms: u64) -> Lag {
        let mut lag = self.query.lag(now_ms);
        if let Some(first) = self.batch.events().next().filter(|_| self.holds_batch) {
            lag.events += self.batch.len() as u64;
            lag.time_ms = lag.time_ms.max(now_ms.saturating_sub(first.written_at_ms()));
        }
        lag
    }

    fn load(&mut self) -> Result<Outcome, ProjectionError> {
        let offset = self.offsets.load(&self.name)?.unwrap_or_default();
        self.query.seek(&offset)?;
        let is_beginning = offset.is_beginning();
        self.stored = offset;
        Ok(Outcome::Loaded { is_beginning })
    }

    /// Before the handler is told: a crash in between finds the beginning, and tells it then.
    fn store_beginning(&mut self) -> Result<Outcome, ProjectionError> {
        self.holds_batch = false;
        let beginning = Offset::beginning();
        self.offsets.store(&self.name, &beginning)?;
        self.query.seek(&beginning)?;
        self.stored = beginning;
        Ok(Outcome::Done)
    }

    fn clear(&mut self) -> Result<Outcome, ProjectionError> {
        self.handler.clear().map_err(ProjectionError::Clear)?;
        Ok(Outcome::Done)
    }

    fn read(&mut self) -> Result<Outcome, ProjectionError> {
        let progress = self.query.read(&mut self.batch)?;
        self.holds_batch = !self.batch.is_empty();
        let (has_events, has_moved) = (self.holds_batch, *self.batch.offset() != self.stored);
        self.last_error = None;
        Ok(Outcome::Read { has_events, has_moved, progress })
    }

    fn handle(&mut self) -> Result<Outcome, ProjectionError> {
        let handled = self.handler.handle(&self.batch);
        let start = || self.batch.start().clone();
        handled.map_err(|source| ProjectionError::Handler { start: start(), source })?;
        self.holds_batch = false;
        self.events += self.batch.len() as u64;
        self.last_error = None;
        Ok(Outcome::Done)
    }

    fn store(&mut self) -> Result<Outcome, ProjectionError> {
        self.offsets.store(&self.name, self.batch.offset())?;
        self.stored = self.batch.offset().clone();
        self.last_error = None;
        Ok(Outcome::Done)
    }
}
