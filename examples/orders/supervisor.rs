//! Starts the shop as a process, kills it, and starts it again, until all orders have ended.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::details::drawn;
use super::life::Line;
use super::meter::histogram;
use super::options::Options;

/// How long a life may take to say something, and to end an order.
const PATIENCE: Duration = Duration::from_secs(60);
/// A kill comes up to so much later than it is due, so that it hits any point.
const KILL_DELAY_US: u64 = 20_000;
/// Lines of a life that wait to be read.
const LINES: usize = 1_024;

/// What is drawn for a crash.
const DISTANCE: u64 = 1;
const DELAY: u64 = 2;

/// Why the orders did not all end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the shop's process cannot be started: {0}")]
    Start(io::Error),
    #[error("the shop's process cannot be killed: {0}")]
    Kill(io::Error),
    #[error("the shop's process ended by itself in life {life} ({how}); what it said stands above")]
    Died { life: usize, how: String },
    #[error("life {life} ended no order within {PATIENCE:?}; {ended} had ended")]
    Stalled { life: usize, ended: u64 },
    #[error("life {life} said what cannot be read: {source}")]
    Line { life: usize, source: serde_json::Error },
}

/// What was measured while the orders came to their end.
#[derive(Debug)]
pub struct Measured {
    /// Times that the process was killed.
    pub crashes: usize,
    /// All of it: starting, working, dying.
    pub elapsed: Duration,
    /// Only while the shop was open.
    pub open: Duration,
    /// How long it took until events were durable.
    pub commits: Histogram<u64>,
    /// For each life, in microseconds from its start: until the journal was open, until the ledgers had recovered.
    pub recoveries_us: Vec<(u64, u64)>,
}

/// How a life came to its end.
enum End {
    Killed,
    Finished,
}

/// A life that is watched.
struct Watched<'a> {
    life: usize,
    child: ChildGuard,
    lines: Receiver<Result<Line, serde_json::Error>>,
    measured: &'a mut Measured,
}

/// A process that does not outlive its supervisor.
struct ChildGuard(Child);

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs lives until all orders have ended. `progress` is told how many have, and how often the process was killed.
pub fn run(
    options: &Options,
    data: &Path,
    progress: &mut dyn FnMut(u64, usize),
) -> Result<Measured, RunError> {
    let started = Instant::now();
    let mut measured = Measured {
        crashes: 0,
        elapsed: Duration::ZERO,
        open: Duration::ZERO,
        commits: histogram(),
        recoveries_us: Vec::new(),
    };
    let mut ended = 0;
    for life in 1.. {
        let kill_at = kill_at(options, life).map(|more| ended + more);
        let watched = Watched::start(options, data, life, &mut measured)?;
        match watched.watch(kill_at, options.seed, &mut ended, progress)? {
            End::Finished => break,
            End::Killed => measured.crashes += 1,
        }
    }
    measured.elapsed = started.elapsed();
    Ok(measured)
}

/// After how many more orders this life is killed: half to one and a half times what was asked for.
fn kill_at(options: &Options, life: usize) -> Option<u64> {
    let every = options.crash_every;
    (every > 0).then(|| (every / 2 + drawn(options.seed, life as u64, DISTANCE) % every).max(1))
}

impl<'a> Watched<'a> {
    fn start(
        options: &Options,
        data: &Path,
        life: usize,
        measured: &'a mut Measured,
    ) -> Result<Self, RunError> {
        let mut child = command(options, data).map_err(RunError::Start)?;
        let (sender, lines) = sync_channel(LINES);
        if let Some(stdout) = child.stdout.take() {
            // Ends with the process: then nobody writes to the pipe any more.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(serde_json::from_str(&line)).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Watched { life, child: ChildGuard(child), lines, measured })
    }

    fn watch(
        mut self,
        kill_at: Option<u64>,
        seed: u64,
        ended: &mut u64,
        progress: &mut dyn FnMut(u64, usize),
    ) -> Result<End, RunError> {
        let life = self.life;
        let mut opened = None;
        let mut last_end = Instant::now();
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line.map_err(|source| RunError::Line { life, source })?,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(RunError::Stalled { life, ended: *ended });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.died()),
            };
            match line {
                Line::Ready { opened_us, recovered_us } => {
                    opened = Some(Instant::now());
                    self.measured.recoveries_us.push((opened_us, recovered_us));
                }
                Line::Progress { ended: now_ended, commits } => {
                    for (value, count) in commits {
                        // It grows with its values, so it takes them all.
                        let _ = self.measured.commits.record_n(value, count);
                    }
                    if now_ended > *ended {
                        (*ended, last_end) = (now_ended, Instant::now());
                        progress(*ended, self.measured.crashes);
                    }
                }
                Line::Ended => {
                    self.close(opened);
                    return Ok(End::Finished);
                }
            }
            if last_end.elapsed() > PATIENCE {
                return Err(RunError::Stalled { life, ended: *ended });
            }
            if kill_at.is_some_and(|kill_at| *ended >= kill_at) {
                let delay_us = drawn(seed, life as u64, DELAY) % KILL_DELAY_US;
                std::thread::sleep(Duration::from_micros(delay_us));
                self.child.0.kill().map_err(RunError::Kill)?;
                self.close(opened);
                return Ok(End::Killed);
            }
        }
    }

    fn close(&mut self, opened: Option<Instant>) {
        self.measured.open += opened.map_or(Duration::ZERO, |opened| opened.elapsed());
    }

    fn died(&mut self) -> RunError {
        let how = match self.child.0.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        RunError::Died { life: self.life, how }
    }
}

/// This program once more, for one life.
fn command(options: &Options, data: &Path) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--child").arg("--data").arg(data);
    for (name, value) in [
        ("--orders", options.orders),
        ("--seed", options.seed),
        ("--window", options.window),
        ("--cores", options.cores.into()),
    ] {
        command.arg(name).arg(value.to_string());
    }
    if options.allow_buffered {
        command.arg("--allow-buffered");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}
