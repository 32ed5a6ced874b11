//! The two lives of the shadows, each a process of its own: one takes updates until it is killed, the other asks every
//! shadow what has become of it.
//!
//! They tell what happens in lines of JSON on stdout; when nobody reads them any more, they end.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use mainspring_sharding::RegionFigures;
use serde::{Deserialize, Serialize};

use super::gateway::{Counts, Measured, Tally};
use super::memory::resident_bytes;
use super::mover::Moves;
use super::options::{Life, Options};
use super::shadow::Shadow;
use super::site::{Site, SiteError};

/// How often the gateways are asked what was acknowledged.
const TAKE_EVERY: Duration = Duration::from_millis(5);
/// How often they are asked what was measured.
const MEASURE_EVERY: Duration = Duration::from_millis(250);
/// Shadows that are asked one after another, to see how long one takes.
const SINGLY: u32 = 1_000;
/// Shadows in a line.
const FOUND_A_LINE: usize = 512;

/// A line of a life.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The journal is open and the node runs. No shadow is in memory.
    Ready {
        cores: u16,
        /// From the start of the process, in microseconds.
        opened_us: u64,
        /// Memory before the journal was opened, and now.
        memory_bytes: [u64; 2],
    },
    /// Updates that are durable: device and number.
    Acknowledged { updates: Vec<(u32, u32)> },
    /// Every device has had its first update.
    Filled { memory_bytes: u64, active: u64 },
    /// What was measured since the last such line.
    Figures(Box<Figures>),
    /// What shadows are.
    Found { shadows: Vec<(u32, [u32; 4], u64)> },
    /// How long one shadow took to answer that was not in memory, in nanoseconds.
    Singly { took: Counts },
    /// Every shadow was asked.
    Ended { memory_bytes: u64 },
}

/// What is measured on the way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Figures {
    /// From sending an update to its acknowledgement, since the last line, in nanoseconds.
    pub latencies: Counts,
    /// How long shards that moved were dark, since the last line, in nanoseconds.
    pub blackouts: Counts,
    /// All that follows is counted from the beginning.
    pub tally: Tally,
    pub moves: Moves,
    pub regions: Regions,
    pub memory_bytes: u64,
}

/// What the regions of all cores have counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regions {
    /// Shadows that are in memory.
    pub active: u64,
    /// How often one was started.
    pub started: u64,
    /// How often one left memory because it was idle.
    pub left_idle: u64,
    /// How often one left memory because there were too many.
    pub left_limit: u64,
    /// How often one failed.
    pub failed: u64,
    /// Messages that were refused: by regions without room, by shards that moved.
    pub refused: u64,
    /// Shards whose shadows had to be stopped before they had handled everything.
    pub killed: u64,
}

/// Why a life came to an early end.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error("nobody reads what happens: {0}")]
    Write(#[from] io::Error),
}

/// Lives.
pub fn live(life: Life, options: &Options, data: &Path, begun: Instant) -> Result<(), LifeError> {
    let before_bytes = resident_bytes();
    let site = Site::open(options, data)?;
    let opened_us = begun.elapsed().as_micros() as u64;
    let memory_bytes = [before_bytes, resident_bytes()];
    say(&Line::Ready { cores: site.cores(), opened_us, memory_bytes })?;
    match life {
        Life::Load => load(options, &site),
        Life::Read => read(site),
    }
}

/// Takes updates until the process is killed.
fn load(options: &Options, site: &Site) -> Result<(), LifeError> {
    let gateways = site.gateways(options)?;
    let mut mover = site.mover(options)?;
    let (devices, mut updates, mut is_filled) = (u64::from(options.devices), 0, false);
    let mut measured_at = Instant::now();
    loop {
        std::thread::sleep(TAKE_EVERY);
        for taken in site.take(&gateways)? {
            if !taken.acknowledged.is_empty() {
                updates += taken.acknowledged.len() as u64;
                say(&Line::Acknowledged { updates: taken.acknowledged })?;
            }
        }
        if !is_filled && updates >= devices {
            is_filled = true;
            let active = Regions::of(&site.figures()?).active;
            say(&Line::Filled { memory_bytes: resident_bytes(), active })?;
        }
        if is_filled {
            mover.look(site.client(), updates - devices);
        }
        if measured_at.elapsed() >= MEASURE_EVERY {
            measured_at = Instant::now();
            let measured = site.measure(&gateways)?;
            let regions = Regions::of(&site.figures()?);
            let figures = Figures::new(&measured, mover.take(), regions);
            say(&Line::Figures(Box::new(figures)))?;
        }
    }
}

/// Asks every shadow what it is: a few one after another, the others together.
fn read(site: Site) -> Result<(), LifeError> {
    let devices = site.devices();
    let singly = SINGLY.min(devices);
    let mut speaker = Speaker::default();
    // Spread over all devices: the first ones are those that speak most.
    let stride = devices / singly;
    let is_single = |device: u32| device.is_multiple_of(stride) && device / stride < singly;
    let some = (0..singly).map(|number| number * stride);
    let took = site.read_singly(some, |device, shadow| speaker.found(device, &shadow))?;
    say(&Line::Singly { took: took.into_iter().map(|took_ns| (took_ns, 1)).collect() })?;
    let others = (0..devices).filter(|device| !is_single(*device));
    site.read_together(others, |device, shadow| speaker.found(device, &shadow))?;
    speaker.speak()?;
    let memory_bytes = resident_bytes();
    site.close()?;
    Ok(say(&Line::Ended { memory_bytes })?)
}

/// Says what was found, many shadows in a line.
#[derive(Default)]
struct Speaker {
    shadows: Vec<(u32, [u32; 4], u64)>,
}

impl Speaker {
    fn found(&mut self, device: u32, shadow: &Shadow) -> Result<(), LifeError> {
        let Shadow { updates, number, desired, reported, reading } = *shadow;
        self.shadows.push((device, [updates, number, desired, reported], reading));
        if self.shadows.len() >= FOUND_A_LINE {
            self.speak()?;
        }
        Ok(())
    }

    fn speak(&mut self) -> io::Result<()> {
        say(&Line::Found { shadows: std::mem::take(&mut self.shadows) })
    }
}

fn say(line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}

impl Figures {
    fn new(measured: &[Measured], moves: Moves, regions: Regions) -> Figures {
        let memory_bytes = resident_bytes();
        let mut figures = Figures { moves, regions, memory_bytes, ..Figures::default() };
        for measured in measured {
            figures.latencies.extend(&measured.latencies);
            figures.blackouts.extend(&measured.blackouts);
            let (sum, tally) = (&mut figures.tally, &measured.tally);
            sum.refused += tally.refused;
            sum.rejected += tally.rejected;
            sum.unanswered += tally.unanswered;
            sum.overtaken += tally.overtaken;
            sum.passed_over += tally.passed_over;
        }
        figures
    }
}

impl Regions {
    fn of(regions: &[RegionFigures]) -> Regions {
        let mut sum = Regions::default();
        for region in regions {
            sum.active += u64::from(region.active);
            sum.started += region.started;
            sum.left_idle += region.passivated_idle;
            sum.left_limit += region.passivated_limit;
            sum.failed += region.failed;
            sum.refused += region.refused_broken
                + region.refused_full
                + region.refused_sends
                + region.refused_moving;
            sum.killed += region.killed;
        }
        sum
    }
}
