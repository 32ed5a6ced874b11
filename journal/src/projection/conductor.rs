//! What a projection does next: a machine that is told what became of the last thing and the time.

use std::time::Duration;

use crate::query::Progress;

/// How a projection behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectionSettings {
    /// How long it waits when it has read everything.
    pub poll_every: Duration,
    /// How long it waits after the first failure; twice as long after each further one in a row.
    pub backoff: Duration,
    /// The longest such pause.
    pub backoff_limit: Duration,
    /// Failures in a row after which it has failed.
    pub retries: u32,
    /// How often at most an offset is stored that has moved without an event of the selection.
    pub idle_store_every: Duration,
}

impl Default for ProjectionSettings {
    fn default() -> Self {
        ProjectionSettings {
            poll_every: Duration::from_millis(10),
            backoff: Duration::from_millis(100),
            backoff_limit: Duration::from_secs(30),
            retries: 10,
            idle_store_every: Duration::from_secs(1),
        }
    }
}

/// How a projection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionState {
    /// It has events to take.
    Running,
    /// It has taken all that are durable.
    CaughtUp,
    /// Something has failed and is tried again.
    Retrying {
        /// How often it has failed in a row.
        failures: u32,
    },
    /// It takes nothing until it is resumed.
    Paused,
    /// It has failed too often, or for good. It waits to be resumed or rebuilt.
    Failed,
    /// Its query has ended, and all is done.
    Completed,
    /// It was stopped.
    Stopped,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Load the offset and go there.
    Load,
    /// Store the beginning as the offset and go there.
    StoreBeginning,
    /// Tell the handler that everything comes from the beginning.
    Clear,
    /// Read a batch.
    Read,
    /// Give the batch to the handler.
    Handle,
    /// Store the offset behind the batch.
    Store,
    /// Nothing, until this time or until somebody asks for something.
    Wait {
        /// Until when, in nanoseconds of the clock that is passed in.
        until_ns: Option<u64>,
    },
    /// Nothing any more.
    End,
}

/// What became of the last action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// An offset was loaded.
    Loaded {
        /// Whether it is the beginning.
        is_beginning: bool,
    },
    /// A batch was read.
    Read {
        /// Whether it holds events.
        has_events: bool,
        /// Whether its offset is another one than before.
        has_moved: bool,
        /// How far the query is.
        progress: Progress,
    },
    /// It has failed and may be tried again.
    Failed,
    /// It has failed and would fail again.
    FailedForGood,
}

/// Decides what a projection does next.
#[derive(Clone, Debug)]
pub struct Conductor {
    settings: ProjectionSettings,
    phase: Phase,
    /// How far the query was behind the last batch.
    progress: Progress,
    is_paused: bool,
    is_stopped: bool,
    has_failed: bool,
    failures: u32,
    /// Nothing before this time.
    not_before_ns: u64,
    stored_at_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Load,
    StoreBeginning,
    Clear,
    Read,
    Handle,
    Store,
    Completed,
}

impl Conductor {
    /// A projection that begins by loading its offset.
    pub fn new(settings: ProjectionSettings) -> Self {
        Conductor {
            settings,
            phase: Phase::Load,
            progress: Progress::More,
            is_paused: false,
            is_stopped: false,
            has_failed: false,
            failures: 0,
            not_before_ns: 0,
            stored_at_ns: None,
        }
    }

    /// What is to be done now.
    pub fn next(&self, now_ns: u64) -> Action {
        if self.is_stopped || self.phase == Phase::Completed {
            return Action::End;
        }
        // What the handler has taken is stored before the pause begins.
        if self.has_failed || (self.is_paused && self.phase != Phase::Store) {
            return Action::Wait { until_ns: None };
        }
        if now_ns < self.not_before_ns {
            return Action::Wait { until_ns: Some(self.not_before_ns) };
        }
        match self.phase {
            Phase::Load => Action::Load,
            Phase::StoreBeginning => Action::StoreBeginning,
            Phase::Clear => Action::Clear,
            Phase::Read => Action::Read,
            Phase::Handle => Action::Handle,
            Phase::Store => Action::Store,
            Phase::Completed => Action::End,
        }
    }

    /// What became of the action that was to be done.
    pub fn done(&mut self, now_ns: u64, outcome: Outcome) {
        match outcome {
            Outcome::Failed => self.fail(now_ns, false),
            Outcome::FailedForGood => self.fail(now_ns, true),
            _ => {
                (self.failures, self.not_before_ns) = (0, 0);
                self.go_on(now_ns, outcome);
            }
        }
    }

    /// Takes nothing more from the next batch on.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Goes on after a pause or after it has failed.
    pub fn resume(&mut self) {
        self.is_paused = false;
        self.try_again();
    }

    /// Takes everything again from the beginning. A pause lasts.
    pub fn rebuild(&mut self) {
        if !self.is_stopped {
            self.phase = Phase::StoreBeginning;
            self.try_again();
        }
    }

    /// Ends.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// How it is.
    pub fn state(&self) -> ProjectionState {
        match self.phase {
            _ if self.is_stopped => ProjectionState::Stopped,
            Phase::Completed => ProjectionState::Completed,
            _ if self.has_failed => ProjectionState::Failed,
            _ if self.is_paused => ProjectionState::Paused,
            _ if self.failures > 0 => ProjectionState::Retrying { failures: self.failures },
            Phase::Read if self.progress == Progress::CaughtUp => ProjectionState::CaughtUp,
            _ => ProjectionState::Running,
        }
    }

    fn go_on(&mut self, now_ns: u64, outcome: Outcome) {
        match (self.phase, outcome) {
            (Phase::Load, Outcome::Loaded { is_beginning: false }) => self.phase = Phase::Read,
            (Phase::Load, Outcome::Loaded { .. }) | (Phase::StoreBeginning, _) => {
                self.phase = Phase::Clear;
            }
            (Phase::Clear, _) => {
                (self.phase, self.progress) = (Phase::Read, Progress::More);
            }
            (Phase::Read, Outcome::Read { has_events, has_moved, progress }) => {
                self.progress = progress;
                let every_ns = self.settings.idle_store_every.as_nanos() as u64;
                let is_due = self.stored_at_ns.is_none_or(|at_ns| now_ns >= at_ns + every_ns);
                if has_events {
                    self.phase = Phase::Handle;
                } else if has_moved && (is_due || progress == Progress::Ended) {
                    self.phase = Phase::Store;
                } else {
                    self.next_batch(now_ns);
                }
            }
            (Phase::Handle, _) => self.phase = Phase::Store,
            (Phase::Store, _) => {
                self.stored_at_ns = Some(now_ns);
                self.next_batch(now_ns);
            }
            // The outcome of something else than what was asked for changes nothing: it is asked for again.
            (Phase::Load | Phase::Read | Phase::Completed, _) => {}
        }
    }

    fn next_batch(&mut self, now_ns: u64) {
        self.phase = Phase::Read;
        match self.progress {
            Progress::More => {}
            Progress::CaughtUp => {
                let poll_ns = self.settings.poll_every.as_nanos() as u64;
                self.not_before_ns = now_ns.saturating_add(poll_ns);
            }
            Progress::Ended => self.phase = Phase::Completed,
        }
    }

    fn fail(&mut self, now_ns: u64, for_good: bool) {
        self.failures = self.failures.saturating_add(1);
        if for_good || self.failures > self.settings.retries {
            self.has_failed = true;
            return;
        }
        let doublings = (self.failures - 1).min(32);
        let pause = self.settings.backoff.saturating_mul(2_u32.saturating_pow(doublings));
        let pause_ns = pause.min(self.settings.backoff_limit).as_nanos() as u64;
        self.not_before_ns = now_ns.saturating_add(pause_ns);
    }

    fn try_again(&mut self) {
        (self.has_failed, self.failures, self.not_before_ns) = (false, 0, 0);
    }
}
