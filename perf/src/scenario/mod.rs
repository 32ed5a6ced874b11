//! The scenarios: what is measured. One file a scenario or a family of them, registered in [`all`] and nowhere else.
//!
//! A scenario does one round at a time and starts from nothing each time: it builds what it needs, warms it up,
//! begins the round's [`Section`], handles its messages, ends the section, checks that the sums are right and takes
//! everything down. So rounds of different scenarios can be interleaved, and none leaves a spinning core behind.
//!
//! Raw limits are scenarios too: the least that the machine itself needs for the same work, without a runtime.

mod ask_burst;
mod ask_cross_core;
mod ask_same_core;
mod client_ask;
mod empty;
mod entity;
mod fan_out;
mod gathering;
mod journal_append;
mod journal_entity;
mod journal_feeder;
mod journal_reader;
mod journal_recover;
mod journal_replay;
mod journal_store;
mod journal_stream;
mod mixed_load;
mod number;
mod ping_pong;
mod pinned_pair;
pub mod raw_commit_loop;
mod raw_event_fd;
mod raw_handler_work;
mod raw_memory_loop;
mod raw_read_block;
mod raw_read_stream;
mod raw_record_stream;
mod raw_socket;
mod raw_system_call;
mod raw_two_atomics;
mod remote;
mod remote_parcels;
mod ring;
mod savina;
mod spawn;
pub mod stage;
mod steady_state;
mod tell;
mod tell_cross_core;
mod timers;

use std::io;
use std::sync::Arc;

use hdrhistogram::Histogram;
pub use mainspring::prelude::IdleProfile;
use mainspring_perf_contest::store_folder::{FOLDER_VARIABLE, StoreFolderError};

use crate::load::OpenLoop;
use crate::raw::affinity::AffinityError;
use crate::section::Section;

/// Something that can be measured.
pub trait Scenario: Sync {
    /// What it is; the same each time.
    fn description(&self) -> &'static Description;

    /// The most CPUs that it makes use of when it is given more than it needs.
    fn cpus_most(&self) -> usize {
        self.description().cpus_needed
    }

    /// Whether its threads give their CPU away while the kernel works for them. The kernel counts each time as a switch
    /// against their will, so that their number says nothing of the machine.
    fn yields(&self) -> bool {
        false
    }

    /// Does one round. Returns an error when anything went wrong, also when the messages' sums are not right; the
    /// round's figures are worth nothing then.
    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError>;

    /// The scenario under load at a rate, if it can be driven so.
    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        None
    }
}

/// What a scenario is.
#[derive(Debug)]
pub struct Description {
    /// Its name on the command line.
    pub name: &'static str,
    /// What one message is and what is measured, in one line.
    pub measures: &'static str,
    /// How many CPUs it keeps busy.
    pub cpus_needed: usize,
    /// The raw limit that it is set beside: the name of another scenario, run in turn with this one.
    pub limit: Option<&'static str>,
    /// Messages a round when the command line names no number.
    pub default_messages: u64,
    /// Messages for the counting passes, of which tracing is slow.
    pub counted_messages: u64,
    /// What one latency sample is; none when a single message is too short to be timed.
    pub latency_sample: Option<&'static str>,
    /// Bytes of state of each actor, when the scenario's messages are idle actors whose memory is of interest.
    pub actor_state_bytes: Option<u64>,
    /// The idle profile when the command line names none; none where there are no cores that could be idle.
    pub idle: Option<IdleProfile>,
}

/// What a scenario is told about the round it has to do.
#[derive(Debug)]
pub struct Round<'a> {
    /// How many messages. A scenario may do a few more to make the number even, and says so in its outcome.
    pub messages: u64,
    /// The CPUs to run on, at least as many as the scenario needs.
    pub cpus: &'a [usize],
    /// What idle cores do, in scenarios that have them.
    pub idle: Option<IdleProfile>,
    /// Begin it right before the first message and end it right behind the last.
    pub section: &'a Arc<Section>,
}

impl Round<'_> {
    /// The CPU with this place in the list, or a typed refusal.
    pub fn cpu(&self, place: usize) -> Result<usize, ScenarioError> {
        self.cpus
            .get(place)
            .copied()
            .ok_or(ScenarioError::TooFewCpus { given: self.cpus.len(), needed: place + 1 })
    }
}

/// What a round did.
#[derive(Debug)]
pub struct Outcome {
    /// How many messages were handled within the section.
    pub messages: u64,
    /// A nanosecond histogram, in rounds that are run for latency.
    pub latencies: Option<Histogram<u64>>,
    /// What the work came to, in scenarios that are a program of `mainspring-perf-contest`: there it must be what every
    /// other contestant comes to.
    pub sum: Option<u64>,
}

/// Why a round has no outcome. Everything it had started has been taken down.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The round was given fewer CPUs than the scenario needs.
    #[error("{given} CPUs given, this scenario needs {needed}")]
    TooFewCpus {
        /// How many were given.
        given: usize,
        /// How many it needs.
        needed: usize,
    },
    /// A thread could not be pinned.
    #[error(transparent)]
    Affinity(#[from] AffinityError),
    /// The kernel refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no place for what must be durable.
    #[error(transparent)]
    Store(#[from] StoreFolderError),
    /// No file can be made that is written past the page cache.
    #[error(
        "no file for direct I/O can be made: {0}; name a folder on a disk that takes it with {FOLDER_VARIABLE}"
    )]
    DirectFile(io::Error),
    /// An environment variable has a value that it cannot have.
    #[error("{variable} is \"{value}\"; write one of: {choices}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        choices: &'static str,
    },
    /// What the receivers got is not what the senders sent.
    #[error(
        "the check failed: {what} is {found}, expected {expected}; the figures are worth nothing"
    )]
    Check {
        /// What was checked.
        what: &'static str,
        /// What it should be.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// The runtime refused something.
    #[error("{doing}: {source}")]
    Runtime {
        /// What was being done.
        doing: &'static str,
        /// What the runtime said.
        source: mainspring::Error,
    },
    /// Entities were refused.
    #[error("{doing}: {source}")]
    Sharding {
        /// What was being done.
        doing: &'static str,
        /// What the sharding said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The actors did not come to the end of the round in time. Their node was shut down.
    #[error(
        "the round was not done after {limit_seconds} s: a message was lost, or far too many were asked for"
    )]
    Stalled {
        /// How long was waited, in seconds.
        limit_seconds: u64,
    },
    /// A thread of the scenario ended before its work.
    #[error("a thread of the scenario ended before its work was done")]
    ThreadLost,
}

impl ScenarioError {
    /// Whether it is the place where the round was started that cannot hold what must be durable.
    pub fn is_of_the_place(&self) -> bool {
        matches!(self, ScenarioError::Store(_) | ScenarioError::DirectFile(_))
    }
}

/// Succeeds when a checked sum is right.
pub fn check(what: &'static str, expected: u64, found: u64) -> Result<(), ScenarioError> {
    if expected == found { Ok(()) } else { Err(ScenarioError::Check { what, expected, found }) }
}

/// The sum of so many numbers from 0 up; it wraps.
pub fn sum_of_numbers(numbers: u64) -> u64 {
    let sum = u128::from(numbers) * u128::from(numbers.saturating_sub(1)) / 2;
    sum as u64
}

/// Every scenario, in the order in which they are listed.
pub fn all() -> Vec<&'static dyn Scenario> {
    vec![
        &empty::Empty,
        &raw_two_atomics::RawTwoAtomics,
        &raw_socket::SPINNING,
        &raw_socket::BLOCKING,
        &raw_socket::STREAM,
        &raw_socket::STREAM_10K,
        &raw_event_fd::RawEventFd,
        &raw_memory_loop::RawMemoryLoop,
        &raw_record_stream::RawRecordStream,
        &raw_system_call::RawSystemCall,
        &raw_handler_work::RawHandlerWork,
        &raw_commit_loop::COMMIT_LOOP,
        &raw_commit_loop::COMMIT_STREAM,
        &raw_read_block::RawReadBlock,
        &raw_read_stream::RawReadStream,
        &ping_pong::SAME_CORE,
        &tell::SAME_CORE,
        &tell::MIXED,
        &tell::RANDOM,
        &tell::RANDOM_75NS,
        &ask_same_core::AskSameCore,
        &ask_cross_core::AskCrossCore,
        &ping_pong::CROSS_CORE,
        &ping_pong::CROSS_CORE_ECO,
        &remote::PING_PONG,
        &remote::PING_PONG_ECO,
        &remote::STREAM,
        &remote_parcels::ONE_100,
        &remote_parcels::ONE_1K,
        &remote_parcels::ONE_10K,
        &remote_parcels::FIVE_100,
        &tell_cross_core::TellCrossCore,
        &ring::RingStream,
        &spawn::SPAWN,
        &spawn::ACTOR_MEMORY,
        &steady_state::SteadyState,
        &timers::PendingTimers,
        &fan_out::FanOut,
        &ask_burst::AskBurst,
        &client_ask::ClientAsk,
        &mixed_load::MixedLoad,
        &journal_append::JournalAppend,
        &journal_stream::JournalStream,
        &journal_recover::JournalRecover,
        &journal_recover::JournalOpen,
        &journal_replay::JournalReplay,
        &entity::RawBoxedMap,
        &entity::EntityTell,
        &entity::EntityTellCrossCore,
        &entity::ENTITY_ACTIVATION,
        &entity::ENTITY_IDLE_MEMORY,
        &entity::EntityActivationDurable,
        &entity::EntityPassivation,
        &entity::EntityHandoff,
        &entity::ENTITY_HANDOFF_AT_RATE,
        &entity::ENTITY_HANDOFF_DURABLE,
        &savina::ping_pong::PING_PONG,
        &savina::count::COUNT,
        &savina::fork_join_throughput::FORK_JOIN_THROUGHPUT,
        &savina::fork_join_create::FORK_JOIN_CREATE,
        &savina::thread_ring::THREAD_RING,
        &savina::chameneos::CHAMENEOS,
        &savina::big::BIG,
        &savina::banking::BANKING,
        &savina::chat::CHAT,
    ]
}

/// The scenario with this name.
pub fn find(name: &str) -> Option<&'static dyn Scenario> {
    all().into_iter().find(|scenario| scenario.description().name == name)
}

#[cfg(test)]
mod tests;
