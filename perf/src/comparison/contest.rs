//! A contest: contestants take turns, round by round, on the same CPUs.
//!
//! First each contestant's round is sized, so that all take about as long. Then come the blocks: the calibration loop,
//! then one round of each contestant, in an order that turns round each time. The first contestant is the one that the
//! others are compared with; without it there is no contest. Any other that fails is out from there on, and the rest
//! goes on.
//!
//! It may be stopped early: what the whole blocks until then came to is kept, and the block in which it was stopped
//! is not.
//!
//! Invariant: what stands at one place of [`Standing::ns_per_message`] of different contestants belongs to the same
//! block.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::contestant::{Contestant, ContestantError, Finished, Kind};
use super::sizing::{Sized, Sizing};
use crate::calibration::{self, CalibrationError};
use crate::evidence::{Evidence, EvidenceError, Snapshot};
use crate::raw::usage::Usage;
use crate::statistics::blocks;

/// What a contest is like.
#[derive(Clone, Debug)]
pub struct ContestSettings {
    /// How many blocks.
    pub blocks: usize,
    /// How long a contestant's round should take.
    pub round: Duration,
    /// How long a contestant's process may take for a round, with its start and its warm-up.
    pub deadline: Duration,
    /// The CPUs of every contestant.
    pub cpus: Vec<usize>,
    /// Whether the first contestant gives its CPU away by itself ([`Scenario::yields`](crate::scenario::Scenario)).
    pub yields: bool,
}

/// Who looks on at a contest.
pub struct Watch<'a> {
    /// Told before every round which one comes next.
    pub progress: &'a mut dyn FnMut(&str),
    /// Once it is raised, the contest ends after the round that is under way.
    pub stop: &'a AtomicBool,
}

/// How one contestant has done.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Messages of each of its rounds.
    pub messages: u64,
    /// One entry a block.
    pub ns_per_message: Vec<f64>,
    /// All its processes of the blocks together.
    pub usage: Usage,
    /// How long these processes lived.
    pub wall: Duration,
    /// What the section of its rounds took, all together.
    pub measured: Duration,
    /// Why it is out; its figures are worth nothing then.
    pub out: Option<String>,
}

/// How a contest ended.
#[derive(Debug)]
pub struct Contested {
    /// One for each contestant, in the same order.
    pub standings: Vec<Standing>,
    /// The calibration loop, once a block: as many as there were whole blocks.
    pub calibration_ns: Vec<f64>,
    /// Whether it was stopped before all blocks were done.
    pub is_interrupted: bool,
    /// What the machine did during the blocks. The switches are those of the first contestant alone, because those of
    /// another may come from its own threads.
    pub evidence: Result<Evidence, EvidenceError>,
}

/// Why a contest has no end.
#[derive(Debug, thiserror::Error)]
pub enum ContestError {
    /// There is nobody to compare the others with.
    #[error("{name}: {source}")]
    First {
        /// The first contestant.
        name: String,
        /// Why it is out.
        source: ContestantError,
    },
    /// The calibration loop could not be run.
    #[error("calibration: {0}")]
    Calibration(#[from] CalibrationError),
    /// It was stopped before there was anything to keep.
    #[error("interrupted before the first block was done; nothing was compared")]
    Interrupted,
    /// No contestant was given.
    #[error("a contest needs a contestant")]
    Nobody,
}

/// Holds a contest. Takes about `blocks` times `round` for each contestant, and what their warm-ups take.
pub fn hold(
    contestants: &[Contestant],
    settings: &ContestSettings,
    watch: &mut Watch<'_>,
) -> Result<Contested, ContestError> {
    if contestants.is_empty() {
        return Err(ContestError::Nobody);
    }
    let mut field = Field { contestants, settings, stop: watch.stop, standings: Vec::new() };
    for contestant in contestants {
        (watch.progress)(&format!("sizing {}", contestant.name));
        field.size(contestant)?;
    }
    let mut calibration_ns = Vec::new();
    let before = Snapshot::of(&settings.cpus);
    for block in 0..settings.blocks {
        let calibration = calibration::calibration_ns_on(settings.cpus[0])?;
        for place in blocks::order(contestants.len(), block) {
            let name = &contestants[place].name;
            (watch.progress)(&format!("block {} of {}: {name}", block + 1, settings.blocks));
            field.turn(place)?;
        }
        if field.is_stopped() {
            break;
        }
        calibration_ns.push(calibration as f64);
    }
    let after = Snapshot::of(&settings.cpus);
    if calibration_ns.is_empty() {
        return Err(ContestError::Interrupted);
    }
    let evidence = field.evidence_between(before, after);
    let mut standings = field.standings;
    standings
        .iter_mut()
        .for_each(|standing| standing.ns_per_message.truncate(calibration_ns.len()));
    let is_interrupted = calibration_ns.len() < settings.blocks;
    Ok(Contested { standings, calibration_ns, is_interrupted, evidence })
}

struct Field<'a> {
    contestants: &'a [Contestant],
    settings: &'a ContestSettings,
    stop: &'a AtomicBool,
    standings: Vec<Standing>,
}

impl Field<'_> {
    /// Finds how many messages the rounds of the next contestant have.
    fn size(&mut self, contestant: &Contestant) -> Result<(), ContestError> {
        let mut standing = Standing::default();
        let found = self.messages_of(contestant);
        if self.is_stopped() {
            return Err(ContestError::Interrupted);
        }
        match found {
            Ok(messages) => standing.messages = messages,
            Err(source) => self.leaves(contestant, source, &mut standing)?,
        }
        self.standings.push(standing);
        Ok(())
    }

    fn messages_of(&self, contestant: &Contestant) -> Result<u64, ContestantError> {
        let target_ns = self.settings.round.as_nanos() as u64;
        let mut sizing = Sizing::new(contestant.messages_an_iteration(), target_ns);
        let mut messages = sizing.first();
        if contestant.kind == Kind::Empty {
            // Its rounds take no longer however many messages they leave out.
            messages = 1;
        }
        loop {
            let finished = self.round(contestant, messages)?;
            if contestant.kind == Kind::Empty {
                return Ok(messages);
            }
            match sizing.took(finished.report.elapsed_ns) {
                Sized::Try(next) => messages = next,
                Sized::Found(found) => return Ok(found),
            }
        }
    }

    /// One round of a contestant that is not out, unless the contest is stopped.
    fn turn(&mut self, place: usize) -> Result<(), ContestError> {
        let contestant = &self.contestants[place];
        if self.standings[place].out.is_some() || self.is_stopped() {
            return Ok(());
        }
        let mut standing = std::mem::take(&mut self.standings[place]);
        match self.round(contestant, standing.messages) {
            Ok(finished) => standing.take_in(&finished),
            // What stops the contest from a terminal also ends the process of the round.
            Err(_) if self.is_stopped() => {}
            Err(source) => self.leaves(contestant, source, &mut standing)?,
        }
        self.standings[place] = standing;
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn round(&self, contestant: &Contestant, messages: u64) -> Result<Finished, ContestantError> {
        contestant.round(messages, &self.settings.cpus, self.settings.deadline)
    }

    fn leaves(
        &self,
        contestant: &Contestant,
        source: ContestantError,
        standing: &mut Standing,
    ) -> Result<(), ContestError> {
        if std::ptr::eq(contestant, &self.contestants[0]) {
            return Err(ContestError::First { name: contestant.name.clone(), source });
        }
        *standing = Standing { out: Some(source.to_string()), ..Standing::default() };
        Ok(())
    }

    fn evidence_between(
        &self,
        before: Result<Snapshot, EvidenceError>,
        after: Result<Snapshot, EvidenceError>,
    ) -> Result<Evidence, EvidenceError> {
        let first = &self.standings[0];
        Ok(Evidence {
            wall_seconds: first.wall.as_secs_f64(),
            involuntary_switches: first.usage.involuntary_switches,
            ..before?.until(&after?, self.settings.cpus.len())
        })
    }
}

impl Standing {
    fn take_in(&mut self, finished: &Finished) {
        // A scenario that is no program may do a few messages more than it was asked for.
        self.messages = finished.report.messages;
        self.ns_per_message.push(finished.ns_per_message());
        self.usage = self.usage.plus(finished.usage);
        self.wall += finished.wall;
        self.measured += Duration::from_nanos(finished.report.elapsed_ns);
    }
}
