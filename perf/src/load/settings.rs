//! What load is to be driven, and everything that is refused before it is.

use std::time::Duration;

use super::pacer::{Demand, MOST_UNDER_WAY, Stretches};
use super::schedule::{Arrivals, Schedule, ScheduleError};
use super::{MOST_PAYLOAD_BYTES, OpenLoop};
use crate::calibration::CalibrationError;
use crate::result_folder::interval_log::LogError;
use crate::scenario::{self, IdleProfile, Scenario, ScenarioError};

/// The longest measured stretch.
pub const LONGEST: Duration = Duration::from_secs(86_400);
/// The shortest measured stretch.
pub const SHORTEST: Duration = Duration::from_millis(100);
/// The warm-up is this part of the measured stretch, within its bounds.
const WARM_UP_PART: u32 = 5;
const SHORTEST_WARM_UP: Duration = Duration::from_millis(500);
const LONGEST_WARM_UP: Duration = Duration::from_secs(2);
/// The seed of random arrivals: the same in every run, so that runs can be compared.
const SEED: u64 = 1;

/// How messages are to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// So many a second.
    Rate {
        /// Messages a second.
        per_second: u64,
        /// How they are spread.
        arrivals: Arrivals,
    },
    /// So many under way at all times.
    Window(u32),
}

/// What load is to be driven.
#[derive(Clone, Debug)]
pub struct LoadSettings {
    /// How messages are to be sent.
    pub drive: Drive,
    /// How long is measured, behind the warm-up.
    pub measured: Duration,
    /// Bytes that travel with each message.
    pub payload_bytes: usize,
    /// The CPUs that may be used.
    pub cpus: Vec<usize>,
    /// The idle profile; none for the scenario's own.
    pub idle: Option<IdleProfile>,
}

/// Why a load gave no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The scenario cannot be driven at a rate.
    #[error("{scenario} cannot be driven at a rate; these can: {able}")]
    NoOpenLoop {
        /// The scenario's name.
        scenario: &'static str,
        /// Those that can.
        able: String,
    },
    /// The rate cannot be scheduled.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The measured stretch is out of bounds.
    #[error(
        "{seconds} s cannot be measured; choose {} to {} s", SHORTEST.as_secs_f64(), LONGEST.as_secs()
    )]
    Length {
        /// What was asked for.
        seconds: f64,
    },
    /// The payload is too large.
    #[error("{bytes} bytes cannot travel with each message; choose at most {MOST_PAYLOAD_BYTES}")]
    Payload {
        /// What was asked for.
        bytes: usize,
    },
    /// The window is out of bounds.
    #[error("{window} messages cannot be kept under way; choose 1 to {MOST_UNDER_WAY}")]
    Window {
        /// What was asked for.
        window: u32,
    },
    /// There are fewer CPUs than the load needs.
    #[error("{given} CPUs given, {scenario} at a rate needs {needed}; give more with --cores")]
    TooFewCpus {
        /// The scenario's name.
        scenario: &'static str,
        /// How many were given.
        given: usize,
        /// How many it needs.
        needed: usize,
    },
    /// The load could not be driven to its end.
    #[error("{scenario}, load: {source}")]
    Drive {
        /// The scenario's name.
        scenario: &'static str,
        /// What went wrong.
        source: ScenarioError,
    },
    /// The thread that drove the load was lost.
    #[error("{scenario}, load: its thread ended before its work was done")]
    Lost {
        /// The scenario's name.
        scenario: &'static str,
    },
    /// The scenario did not hand over what was sent and what was answered.
    #[error("{scenario}, load: nothing was handed over")]
    NothingMeasured {
        /// The scenario's name.
        scenario: &'static str,
    },
    /// The calibration loop could not be run where the load runs.
    #[error("calibration: {0}")]
    Calibration(#[from] CalibrationError),
    /// The intervals cannot be kept.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl LoadError {
    /// Whether something impossible was asked for; nothing has run then.
    pub fn is_refusal(&self) -> bool {
        use LoadError::*;
        matches!(
            self,
            NoOpenLoop { .. }
                | Schedule(_)
                | Length { .. }
                | Payload { .. }
                | Window { .. }
                | TooFewCpus { .. }
        )
    }
}

impl LoadSettings {
    /// The scenario under load, when it can be driven so.
    ///
    /// # Errors
    /// [`LoadError`], always a refusal.
    pub fn check<'a>(&self, scenario: &'a dyn Scenario) -> Result<&'a dyn OpenLoop, LoadError> {
        let name = scenario.description().name;
        let Some(open_loop) = scenario.open_loop() else {
            return Err(LoadError::NoOpenLoop { scenario: name, able: able() });
        };
        if !(SHORTEST..=LONGEST).contains(&self.measured) {
            return Err(LoadError::Length { seconds: self.measured.as_secs_f64() });
        }
        if self.payload_bytes > MOST_PAYLOAD_BYTES {
            return Err(LoadError::Payload { bytes: self.payload_bytes });
        }
        let (given, needed) = (self.cpus.len(), open_loop.cpus_needed());
        if given < needed {
            return Err(LoadError::TooFewCpus { scenario: name, given, needed });
        }
        self.demand().map(|_| open_loop)
    }

    /// What decides when a message is due.
    ///
    /// # Errors
    /// [`LoadError::Schedule`], [`LoadError::Window`].
    pub fn demand(&self) -> Result<Demand, LoadError> {
        match self.drive {
            Drive::Rate { per_second, arrivals } => {
                Ok(Demand::AtRate(Schedule::new(arrivals, per_second, SEED)?))
            }
            Drive::Window(window) if (1..=MOST_UNDER_WAY).contains(&window) => {
                Ok(Demand::Window(window))
            }
            Drive::Window(window) => Err(LoadError::Window { window }),
        }
    }

    /// The warm-up and the measured stretch.
    pub fn stretches(&self) -> Stretches {
        let warm_up = (self.measured / WARM_UP_PART).clamp(SHORTEST_WARM_UP, LONGEST_WARM_UP);
        Stretches {
            warm_up_ns: warm_up.as_nanos() as u64,
            measured_ns: self.measured.as_nanos() as u64,
        }
    }
}

/// The names of the scenarios that can be driven at a rate.
fn able() -> String {
    let names: Vec<&str> = scenario::all()
        .into_iter()
        .filter(|scenario| scenario.open_loop().is_some())
        .map(|scenario| scenario.description().name)
        .collect();
    names.join(", ")
}
