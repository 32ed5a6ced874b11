//! What one setting changes, measured: without it and with it in turns, after finding out how far two measurements
//! without it lie apart.
//!
//! Promises: the setting is restored after each turn with it, whatever happened in the turn, also when somebody asks
//! to stop. Nothing is said of a difference that the noise of this machine could have made.
//!
//! Method: blocks of two measurements in the order A B B A, ratios of the two of a block, the median ratio with a
//! bootstrap interval ([`crate::figures::bootstrap`]); first of A with itself, whose interval is the noise floor.

mod ping_pong;
mod program;

pub use ping_pong::PingPong;
pub use program::Program;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

use crate::figures::bootstrap::SEED;
use crate::figures::{
    Conclusion, Estimate, Summary, blocks, conclude, median_estimate, paired_ratios,
};

/// A setting that can be made and taken back.
pub trait Setting {
    /// Makes it.
    ///
    /// # Errors
    /// [`EffectError`] when it could not be made; [`Setting::restore`] is called all the same.
    fn apply(&mut self) -> Result<(), EffectError>;

    /// Takes it back; there may be nothing to take back.
    ///
    /// # Errors
    /// [`EffectError`] when it could not be taken back.
    fn restore(&mut self) -> Result<(), EffectError>;
}

/// Something that takes time.
pub trait Measurement {
    /// How long it takes, in nanoseconds, more than 0.
    ///
    /// # Errors
    /// [`EffectError`] when there is no figure.
    fn measure_ns(&mut self) -> Result<f64, EffectError>;
}

/// What a setting changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The time without the setting divided by itself: the noise.
    pub noise: Estimate,
    /// The time with the setting divided by the time without.
    pub ratio: Estimate,
    /// What may be said of the setting.
    pub conclusion: Conclusion,
    /// Median without the setting, in nanoseconds.
    pub without_ns: f64,
    /// Median with the setting, in nanoseconds.
    pub with_ns: f64,
    /// Blocks with the setting that were measured.
    pub blocks: usize,
}

/// Nothing can be said of the setting.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EffectError {
    /// The setting could not be made.
    #[error("the setting cannot be made, and is as it was: {0}")]
    Apply(String),
    /// The setting could not be taken back.
    #[error("the setting is not taken back: {0}; `mainspring-tune undo` tries again")]
    Restore(String),
    /// Somebody asked to stop before enough was measured.
    #[error(
        "stopped after {blocks} blocks with the setting, which is restored; {FEWEST_BLOCKS} would say something"
    )]
    Stopped {
        /// The blocks that were measured.
        blocks: usize,
    },
    /// The two threads of the built-in measurement have no CPUs of their own.
    #[error("two threads on two CPUs are measured, and this process has {cpus}; name a --scenario")]
    TooFewCpus {
        /// The CPUs it has.
        cpus: usize,
    },
    /// A thread of the built-in measurement did not run where it should.
    #[error("the two threads cannot be measured: {0}; name a --scenario")]
    Threads(io::Error),
    /// The program could not be started.
    #[error("{} cannot be started: {source}; name mainspring-perf by --perf", .program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The program did not give a figure.
    #[error("{} {what}; try it alone: mainspring-perf run {scenario}", .program.display())]
    NoFigure {
        /// The program.
        program: PathBuf,
        /// The scenario.
        scenario: String,
        /// What it did instead.
        what: String,
    },
}

/// The fewest blocks of which something may be said.
pub const FEWEST_BLOCKS: usize = 5;

/// Measures what the setting changes, in so many blocks, at least [`FEWEST_BLOCKS`].
///
/// # Errors
/// [`EffectError`]; the setting is restored then too, unless the error says that it could not be.
pub fn effect(
    setting: &mut dyn Setting,
    measurement: &mut dyn Measurement,
    blocks: usize,
    stop: &AtomicBool,
) -> Result<Effect, EffectError> {
    let blocks = blocks.max(FEWEST_BLOCKS);
    // What is slow the first time only is nobody's.
    measurement.measure_ns()?;
    let noise = turns(measurement, blocks, stop, &mut |measurement, _| measurement.measure_ns())?;
    let noise = ratio_of(&noise).ok_or(EffectError::Stopped { blocks: 0 })?;
    let both = turns(measurement, blocks, stop, &mut |measurement, is_with| match is_with {
        false => measurement.measure_ns(),
        true => measure_with(setting, measurement),
    })?;
    let stopped = EffectError::Stopped { blocks: both[0].len() };
    let ratio = ratio_of(&both).ok_or(stopped)?;
    let [without_ns, with_ns] =
        both.each_ref().map(|side| Summary::of(side).map_or(0.0, |summary| summary.median));
    let conclusion = conclude(noise.interval, ratio.interval);
    Ok(Effect { noise, ratio, conclusion, without_ns, with_ns, blocks: both[0].len() })
}

impl Effect {
    /// How far the noise reaches from no difference, as a part of the time.
    pub fn noise_floor(&self) -> f64 {
        let interval = self.noise.interval;
        (1.0 - interval.low).abs().max((interval.high - 1.0).abs())
    }
}

/// Measures with the setting, and takes it back whatever came of it.
fn measure_with(
    setting: &mut dyn Setting,
    measurement: &mut dyn Measurement,
) -> Result<f64, EffectError> {
    let measured = setting.apply().and_then(|()| measurement.measure_ns());
    setting.restore()?;
    measured
}

type Turn<'a> = &'a mut dyn FnMut(&mut dyn Measurement, bool) -> Result<f64, EffectError>;

/// Measures the two sides in turns; as many of one as of the other, fewer than asked for when somebody stops it.
fn turns(
    measurement: &mut dyn Measurement,
    blocks: usize,
    stop: &AtomicBool,
    turn: Turn,
) -> Result<[Vec<f64>; 2], EffectError> {
    let mut sides = [Vec::new(), Vec::new()];
    for block in 0..blocks {
        let mut measured = [0.0; 2];
        for side in blocks::order(2, block) {
            if stop.load(Ordering::Relaxed) {
                return Ok(sides);
            }
            match turn(measurement, side == 1) {
                Ok(ns) => measured[side] = ns,
                Err(error @ EffectError::Restore(_)) => return Err(error),
                // The signal that stops us also ends the program that measures.
                Err(_) if stop.load(Ordering::Relaxed) => return Ok(sides),
                Err(error) => return Err(error),
            }
        }
        sides[0].push(measured[0]);
        sides[1].push(measured[1]);
    }
    Ok(sides)
}

fn ratio_of([without, with]: &[Vec<f64>; 2]) -> Option<Estimate> {
    let ratios = paired_ratios(with, without);
    if ratios.len() < FEWEST_BLOCKS { None } else { median_estimate(&ratios, SEED) }
}

#[cfg(test)]
mod tests;
