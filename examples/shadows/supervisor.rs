//! Starts the shadows as a process, kills it in the midst of its work, starts it again, and holds what it says then
//! against what it had acknowledged.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::gateway::{Counts, histogram};
use super::life::{Figures, Line};
use super::options::{Life, Options};
use super::progress::Progress;
use super::proof::{Ledger, Proof};
use super::shadow::{Shadow, reading_of};

/// How long a life may take to say something new.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long shards may still move when enough updates are acknowledged.
const MOVES_WITHIN: Duration = Duration::from_secs(30);
/// A kill comes up to so much later than it is due, so that it hits any point.
const KILL_DELAY_US: u64 = 20_000;
/// Lines of a life that wait to be read.
const LINES: usize = 1_024;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the process of the shadows cannot be started: {0}")]
    Start(io::Error),
    #[error("the process of the shadows cannot be killed: {0}")]
    Kill(io::Error),
    #[error("the process of the shadows ended by itself ({how}); what it said stands above")]
    Died { how: String },
    #[error("nothing new for {PATIENCE:?} while {doing}; {done} of {all} were done")]
    Stalled { doing: &'static str, done: u64, all: u64 },
    #[error("a life of the shadows said what cannot be read: {0}")]
    Line(serde_json::Error),
    #[error("update {number} of device {device} was acknowledged, and there is no such device")]
    NoDevice { device: u32, number: u32 },
}

/// What was measured while updates went on.
#[derive(Debug)]
pub struct Loaded {
    pub cores: u16,
    /// Memory before the journal was opened, and when no shadow was there yet.
    pub memory_bytes: [u64; 2],
    /// Memory when every device had had its first update, and how many shadows were in memory then.
    pub filled_bytes: u64,
    pub filled_active: u64,
    /// The most memory that was seen.
    pub most_bytes: u64,
    /// Until every device had had its first update.
    pub filling: Duration,
    /// From then until the process was killed, and how many updates were acknowledged in it.
    pub speaking: Duration,
    pub updates: u64,
    pub latencies: Histogram<u64>,
    pub blackouts: Histogram<u64>,
    pub moves: Histogram<u64>,
    /// What was counted, as of the last line.
    pub figures: Figures,
}

/// What was measured after the restart.
#[derive(Debug)]
pub struct Restarted {
    /// From the start of the process until the journal was open, in microseconds.
    pub opened_us: u64,
    /// Memory before the journal was opened, and when no shadow was there yet.
    pub memory_bytes: [u64; 2],
    /// Memory when every shadow had been asked.
    pub end_bytes: u64,
    /// How long a shadow took to answer that was not in memory, while nothing else went on.
    pub singly: Histogram<u64>,
    /// How many were asked together, and how long that took.
    pub together: u64,
    pub reading: Duration,
    pub proof: Proof,
}

/// A life that is listened to.
struct Listening {
    child: ChildGuard,
    lines: Receiver<Result<Line, serde_json::Error>>,
}

/// A process that does not outlive its supervisor.
struct ChildGuard(Child);

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has updates go on until enough are acknowledged and the shards have moved, and kills the process while more are
/// under way.
pub fn load(
    options: &Options,
    data: &Path,
    progress: &mut Progress,
) -> Result<(Loaded, Ledger), RunError> {
    let mut life = Listening::start(Life::Load, options, data)?;
    let devices = u64::from(options.devices);
    let all = devices + options.updates();
    let mut ledger = Ledger::new(options.devices, options.seed);
    let mut loaded = Loaded::new();
    let (mut begun, mut filled, mut news) = (Instant::now(), None, Instant::now());
    let mut enough = None;
    while filled.is_none() || enough.is_none() || loaded.has_moves_left(options, enough) {
        match life.line("updates go on", ledger.updates(), all)? {
            Line::Ready { cores, memory_bytes, .. } => {
                begun = Instant::now();
                (loaded.cores, loaded.memory_bytes) = (cores, memory_bytes);
            }
            Line::Acknowledged { updates } => {
                news = Instant::now();
                acknowledge(&mut ledger, &updates)?;
            }
            Line::Filled { memory_bytes, active } => {
                filled = Some((Instant::now(), ledger.updates()));
                (loaded.filled_bytes, loaded.filled_active) = (memory_bytes, active);
                progress.say(&format!("{devices} devices, {active} of their shadows in memory"));
            }
            Line::Figures(figures) => loaded.note(*figures),
            _ => {}
        }
        if news.elapsed() > PATIENCE {
            let done = ledger.updates();
            return Err(RunError::Stalled { doing: "updates go on", done, all });
        }
        if ledger.updates() >= all {
            enough.get_or_insert_with(Instant::now);
        }
        progress.look(|| loaded.progress(ledger.updates(), all));
    }
    let (filled_at, filled_updates) = filled.unwrap_or((begun, 0));
    loaded.filling = filled_at.duration_since(begun);
    let delay_us = reading_of(options.seed, 0, 0) % KILL_DELAY_US;
    std::thread::sleep(Duration::from_micros(delay_us));
    // What was said before it died counts as well.
    for line in life.kill()? {
        if let Line::Acknowledged { updates } = line.map_err(RunError::Line)? {
            acknowledge(&mut ledger, &updates)?;
        }
    }
    loaded.speaking = filled_at.elapsed();
    loaded.updates = ledger.updates() - filled_updates;
    Ok((loaded, ledger))
}

fn acknowledge(ledger: &mut Ledger, updates: &[(u32, u32)]) -> Result<(), RunError> {
    for (device, number) in updates.iter().copied() {
        if !ledger.acknowledge(device, number) {
            return Err(RunError::NoDevice { device, number });
        }
    }
    Ok(())
}

/// Starts the process again and asks every shadow what it is.
pub fn read(
    options: &Options,
    data: &Path,
    ledger: Ledger,
    progress: &mut Progress,
) -> Result<Restarted, RunError> {
    let mut life = Listening::start(Life::Read, options, data)?;
    let mut check = ledger.check();
    let (all, mut found, mut singly, mut begun) =
        (u64::from(options.devices), 0, 0, Instant::now());
    let mut restarted = Restarted::new();
    loop {
        match life.line("shadows are asked", found, all)? {
            Line::Ready { opened_us, memory_bytes, .. } => {
                (restarted.opened_us, restarted.memory_bytes) = (opened_us, memory_bytes);
                let opened_ms = opened_us / 1_000;
                progress.say(&format!("killed and started again; open after {opened_ms} ms"));
            }
            Line::Singly { took } => {
                begun = Instant::now();
                singly = took.len() as u64;
                record(&mut restarted.singly, &took);
            }
            Line::Found { shadows } => {
                found += shadows.len() as u64;
                for (device, [updates, number, desired, reported], reading) in shadows {
                    let shadow = Shadow { updates, number, desired, reported, reading };
                    check.found(device, &shadow);
                }
            }
            Line::Ended { memory_bytes } => {
                restarted.end_bytes = memory_bytes;
                break;
            }
            _ => {}
        }
        progress.look(|| format!("{found} of {all} shadows asked"));
    }
    (restarted.reading, restarted.together) = (begun.elapsed(), found.saturating_sub(singly));
    restarted.proof = check.proof();
    Ok(restarted)
}

impl Listening {
    fn start(life: Life, options: &Options, data: &Path) -> Result<Listening, RunError> {
        let mut child = command(life, options, data).map_err(RunError::Start)?;
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
        Ok(Listening { child: ChildGuard(child), lines })
    }

    /// The next line.
    fn line(&mut self, doing: &'static str, done: u64, all: u64) -> Result<Line, RunError> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line.map_err(RunError::Line),
            Err(RecvTimeoutError::Timeout) => Err(RunError::Stalled { doing, done, all }),
            Err(RecvTimeoutError::Disconnected) => {
                let how = match self.child.0.wait() {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                Err(RunError::Died { how })
            }
        }
    }

    /// Kills the process with SIGKILL; what it had said. A last line may be half of one: nobody has read it.
    fn kill(mut self) -> Result<Vec<Result<Line, serde_json::Error>>, RunError> {
        self.child.0.kill().map_err(RunError::Kill)?;
        let mut rest: Vec<_> = self.lines.iter().collect();
        if matches!(rest.last(), Some(Err(error)) if error.is_eof()) {
            rest.pop();
        }
        Ok(rest)
    }
}

/// This program once more, for one life.
fn command(life: Life, options: &Options, data: &Path) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--life").arg(match life {
        Life::Load => "load",
        Life::Read => "read",
    });
    command.arg("--data").arg(data);
    let values = [
        ("--devices", options.devices.to_string()),
        ("--updates", options.updates().to_string()),
        ("--skew", options.skew.to_string()),
        ("--moves", options.moves.to_string()),
        ("--idle", options.idle.to_string()),
        ("--window", options.window.to_string()),
        ("--cores", options.cores.to_string()),
        ("--seed", options.seed.to_string()),
        ("--forget-every", options.forget_every.to_string()),
    ];
    for (name, value) in values {
        command.arg(name).arg(value);
    }
    if let Some(active) = options.active {
        command.arg("--active").arg(active.to_string());
    }
    if options.allow_buffered {
        command.arg("--allow-buffered");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}

fn record(histogram: &mut Histogram<u64>, counts: &Counts) {
    for (value, count) in counts {
        // It grows with its values, so it takes them all.
        let _ = histogram.record_n(*value, *count);
    }
}

impl Loaded {
    fn new() -> Loaded {
        Loaded {
            cores: 0,
            memory_bytes: [0; 2],
            filled_bytes: 0,
            filled_active: 0,
            most_bytes: 0,
            filling: Duration::ZERO,
            speaking: Duration::ZERO,
            updates: 0,
            latencies: histogram(),
            blackouts: histogram(),
            moves: histogram(),
            figures: Figures::default(),
        }
    }

    fn note(&mut self, figures: Figures) {
        record(&mut self.latencies, &figures.latencies);
        record(&mut self.blackouts, &figures.blackouts);
        record(&mut self.moves, &figures.moves.took);
        self.most_bytes = self.most_bytes.max(figures.memory_bytes);
        self.figures = figures;
    }

    /// Whether shards are still to move, and may take that long.
    fn has_moves_left(&self, options: &Options, enough: Option<Instant>) -> bool {
        let has_time = enough.is_some_and(|enough| enough.elapsed() < MOVES_WITHIN);
        let ended = self.figures.moves.moved + self.figures.moves.failed;
        has_time && self.cores > 1 && ended < options.moves.into()
    }

    fn progress(&self, updates: u64, all: u64) -> String {
        let (active, moved) = (self.figures.regions.active, self.figures.moves.moved);
        let mebibytes = self.figures.memory_bytes >> 20;
        format!(
            "{updates} of {all} updates acknowledged; {active} shadows in memory, {mebibytes} MiB; \
             {moved} shards moved"
        )
    }
}

impl Restarted {
    fn new() -> Restarted {
        Restarted {
            opened_us: 0,
            memory_bytes: [0; 2],
            end_bytes: 0,
            singly: histogram(),
            together: 0,
            reading: Duration::ZERO,
            proof: Proof::default(),
        }
    }
}
