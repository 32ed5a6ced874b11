//! The machine: which tasks run now, and when a phase is over.
//!
//! Invariants: phases begin in order and once; every task that was added before its phase began, and not withdrawn, is
//! started once and reported once; a phase is over at its deadline at the latest.

use std::collections::BTreeMap;

use super::phase::Phase;
use super::report::{Outcome, PhaseReport, Reason, Report, TaskReport};
use super::settings::{Settings, TASK_LIMIT, TASK_NAME_LIMIT_BYTES};

/// Names a task of a shutdown. Ordered as they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey(u64);

/// Why a task was not added. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddTaskError {
    /// The phase has begun, or the whole is over.
    #[error("the task {name:?} comes too late: {phase} has begun; do what it is for at once")]
    TooLate {
        /// The task.
        name: String,
        /// Its phase.
        phase: Phase,
    },
    /// The phase has as many tasks as it may.
    #[error(
        "the task {name:?} was not added: {phase} has {limit} tasks, the most it may have; \
         do several things in one task"
    )]
    Full {
        /// The task.
        name: String,
        /// Its phase.
        phase: Phase,
        /// How many.
        limit: usize,
    },
    /// The name is too long.
    #[error("a task's name has {bytes} bytes, more than {limit}; give it a shorter one")]
    NameTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
}

/// What the machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Begin, for this reason. The first one counts.
    Begin(Reason),
    /// A task has ended.
    Ended(TaskKey, Outcome),
    /// Time has passed.
    Tick,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Run this task; it is waited for until the deadline.
    Start {
        /// Which one.
        task: TaskKey,
        /// Until when, on the clock that the machine is given.
        deadline_ns: u64,
    },
    /// A phase is over.
    PhaseEnded(PhaseReport),
    /// All are over.
    Ended(Report),
}

/// How far a shutdown has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nobody has asked for it.
    NotBegun,
    /// It is in this phase, and waits for these tasks.
    InPhase {
        /// Which one.
        phase: Phase,
        /// The names of the tasks that run, in the order in which they were added.
        running: Vec<String>,
    },
    /// It is over.
    Ended(Report),
}

#[derive(Debug)]
struct Task {
    name: String,
    /// How it ended, and when on the clock.
    ended: Option<(Outcome, u64)>,
}

#[derive(Debug)]
enum State {
    NotBegun,
    Running {
        reason: Reason,
        begun_ns: u64,
        phase: Phase,
        phase_begun_ns: u64,
        over: Vec<PhaseReport>,
    },
    Ended(Report),
}

/// The phases of one shutdown and their tasks.
#[derive(Debug)]
pub struct Sequence {
    settings: Settings,
    /// Of phases that are not over.
    tasks: [BTreeMap<TaskKey, Task>; Phase::ALL.len()],
    next_key: u64,
    state: State,
}

impl Sequence {
    /// Nothing to do yet, and not begun.
    pub fn new(settings: Settings) -> Self {
        Sequence { settings, tasks: Default::default(), next_key: 0, state: State::NotBegun }
    }

    /// One more task of a phase that has not begun.
    ///
    /// # Errors
    /// [`AddTaskError`]; nothing changed.
    pub fn add(&mut self, phase: Phase, name: &str) -> Result<TaskKey, AddTaskError> {
        if name.len() > TASK_NAME_LIMIT_BYTES {
            let limit = TASK_NAME_LIMIT_BYTES;
            return Err(AddTaskError::NameTooLong { bytes: name.len(), limit });
        }
        if self.has_begun(phase) {
            return Err(AddTaskError::TooLate { name: name.to_owned(), phase });
        }
        let tasks = &mut self.tasks[phase.index()];
        if tasks.len() >= TASK_LIMIT {
            return Err(AddTaskError::Full { name: name.to_owned(), phase, limit: TASK_LIMIT });
        }
        let key = TaskKey(self.next_key);
        self.next_key += 1;
        tasks.insert(key, Task { name: name.to_owned(), ended: None });
        Ok(key)
    }

    /// Takes back a task whose phase has not begun; whether it did.
    pub fn withdraw(&mut self, task: TaskKey) -> bool {
        let not_begun = Phase::ALL.into_iter().filter(|phase| !self.has_begun(*phase));
        let places: Vec<usize> = not_begun.map(Phase::index).collect();
        places.into_iter().any(|place| self.tasks[place].remove(&task).is_some())
    }

    /// Takes one input; what is to be done is pushed, in order. `now_ns` never falls.
    pub fn step(&mut self, now_ns: u64, input: Input, outputs: &mut Vec<Output>) {
        match input {
            Input::Begin(reason) if matches!(self.state, State::NotBegun) => {
                let phase = Phase::ALL[0];
                self.state = State::Running {
                    reason,
                    begun_ns: now_ns,
                    phase,
                    phase_begun_ns: now_ns,
                    over: Vec::new(),
                };
                self.start(phase, now_ns, outputs);
            }
            Input::Ended(key, outcome) => self.ended(now_ns, key, outcome),
            Input::Begin(_) | Input::Tick => {}
        }
        self.go_on(now_ns, outputs);
    }

    /// When the phase that runs is over at the latest.
    pub fn deadline_ns(&self) -> Option<u64> {
        match &self.state {
            State::Running { phase, phase_begun_ns, .. } => {
                Some(phase_begun_ns.saturating_add(self.settings.deadline_ns(*phase)))
            }
            State::NotBegun | State::Ended(_) => None,
        }
    }

    /// Whether all phases are over.
    pub fn has_ended(&self) -> bool {
        self.report().is_some()
    }

    /// What became of it, once all phases are over.
    pub fn report(&self) -> Option<&Report> {
        match &self.state {
            State::Ended(report) => Some(report),
            State::NotBegun | State::Running { .. } => None,
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        match &self.state {
            State::NotBegun => Progress::NotBegun,
            State::Running { phase, .. } => {
                let tasks = self.tasks[phase.index()].values();
                let running = tasks.filter(|task| task.ended.is_none());
                let running = running.map(|task| task.name.clone()).collect();
                Progress::InPhase { phase: *phase, running }
            }
            State::Ended(report) => Progress::Ended(report.clone()),
        }
    }

    fn has_begun(&self, phase: Phase) -> bool {
        match &self.state {
            State::NotBegun => false,
            State::Running { phase: current, .. } => phase <= *current,
            State::Ended(_) => true,
        }
    }

    fn start(&mut self, phase: Phase, now_ns: u64, outputs: &mut Vec<Output>) {
        let deadline_ns = now_ns.saturating_add(self.settings.deadline_ns(phase));
        let tasks = self.tasks[phase.index()].keys();
        outputs.extend(tasks.map(|task| Output::Start { task: *task, deadline_ns }));
    }

    /// Notes the end of a task. Of a phase that is over, none is waited for any more.
    fn ended(&mut self, now_ns: u64, key: TaskKey, outcome: Outcome) {
        let State::Running { phase, .. } = &self.state else { return };
        if let Some(task) = self.tasks[phase.index()].get_mut(&key) {
            task.ended.get_or_insert((outcome, now_ns));
        }
    }

    /// Ends phases that have nothing left to wait for, and begins the next ones.
    fn go_on(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        while let State::Running { reason, begun_ns, phase, phase_begun_ns, over } = &mut self.state
        {
            let limit_ns = self.settings.deadline_ns(*phase);
            let tasks = &mut self.tasks[phase.index()];
            let took_ns = now_ns.saturating_sub(*phase_begun_ns);
            if took_ns < limit_ns && tasks.values().any(|task| task.ended.is_none()) {
                return;
            }
            let tasks = std::mem::take(tasks);
            let tasks = tasks.into_values().map(|task| task.report(*phase_begun_ns, now_ns));
            let report = PhaseReport { phase: *phase, took_ns, tasks: tasks.collect() };
            over.push(report.clone());
            outputs.push(Output::PhaseEnded(report));
            if let Some(next) = phase.next() {
                (*phase, *phase_begun_ns) = (next, now_ns);
                self.start(next, now_ns, outputs);
            } else {
                let report = Report {
                    reason: reason.clone(),
                    took_ns: now_ns.saturating_sub(*begun_ns),
                    phases: std::mem::take(over),
                };
                outputs.push(Output::Ended(report.clone()));
                self.state = State::Ended(report);
            }
        }
    }
}

impl Task {
    fn report(self, begun_ns: u64, now_ns: u64) -> TaskReport {
        let (outcome, ended_ns) = self.ended.unwrap_or((Outcome::NotEnded, now_ns));
        TaskReport { name: self.name, outcome, took_ns: ended_ns.saturating_sub(begun_ns) }
    }
}
