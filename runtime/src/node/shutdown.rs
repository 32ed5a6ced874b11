//! The end of a node: stop accepting, drain, stop actors children first, end the cores, say what was left.

use std::time::{Duration, Instant};

use super::running::Node;
use crate::actor::StopReason;

/// Pause between two looks at the cores.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// How long a core may take to answer one look.
const LOOK_PATIENCE: Duration = Duration::from_millis(100);

/// How long a core's thread may take to end after it was told to, at least: until the deadline if that is later.
const END_PATIENCE: Duration = Duration::from_millis(500);

/// What a core had left when the deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftBehind {
    /// The core.
    pub core: u16,
    /// Actors that had not stopped.
    pub actors: usize,
    /// Whether work was still queued.
    pub queued: bool,
    /// Whether the core did not answer: a turn holds it up, and its thread was left alone.
    pub silent: bool,
}

/// The deadline of a shutdown passed before everything had ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownError {
    /// What was left, by core.
    pub left: Vec<LeftBehind>,
}

impl std::error::Error for ShutdownError {}

impl std::fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the deadline of the shutdown passed;")?;
        for left in &self.left {
            let queued = if left.queued { ", queued work" } else { "" };
            let silent = if left.silent { ", held up by a turn" } else { "" };
            write!(f, " core {} had {} actors left{queued}{silent};", left.core, left.actors)?;
        }
        write!(f, " give it more time, or find the turn that does not end")
    }
}

pub(super) fn run(node: &mut Node, deadline: Duration) -> Result<(), ShutdownError> {
    let end = Instant::now() + deadline;
    let shared = node.shared.clone();
    shared.stop_accepting();
    let cores = shared.injectors.len() as u16;
    for core in 0..cores {
        let _ = shared.on_core_within(core, LOOK_PATIENCE, |core| core.shutting_down = true);
    }
    wait_until(end, || are_quiet(node, cores));
    for core in 0..cores {
        let _ = shared.on_core_within(core, LOOK_PATIENCE, |core| {
            core.stop_all(StopReason::Shutdown);
        });
    }
    wait_until(end, || (0..cores).all(|core| look(node, core).is_ok_and(|left| left.actors == 0)));
    for core in 0..cores {
        let _ = shared.on_core_within(core, LOOK_PATIENCE, |core| core.actors_stopped = true);
    }
    // What the last turns have given to devices is finished, or has no one left to tell.
    wait_until(end, || (0..cores).all(|core| devices_are_quiet(node, core)));
    let mut left: Vec<LeftBehind> = (0..cores)
        .map(|core| match look_until(end, node, core) {
            Ok(left) => left,
            Err(()) => LeftBehind { core, actors: 0, queued: false, silent: true },
        })
        .filter(|left| left.actors > 0 || left.silent)
        .collect();
    for core in 0..cores {
        // A core that is held up ends when its turn does.
        let _ = shared.injectors[core as usize].inject(Box::new(|core| core.finished = true));
    }
    shared.deadlines.close();
    // A core gives back what it had: millions of entries of its tables take their time.
    let ended = (Instant::now() + END_PATIENCE).max(end);
    for (core, thread) in std::mem::take(&mut node.threads).into_iter().enumerate() {
        let core = core as u16;
        while !thread.is_finished() && Instant::now() < ended {
            std::thread::sleep(LOOK_EVERY);
        }
        if thread.is_finished() {
            if let Err(panicked) = thread.join() {
                tracing::error!(core, %panicked, "a core's thread panicked");
            }
        } else if !left.iter().any(|left| left.core == core) {
            left.push(LeftBehind { core, actors: 0, queued: false, silent: true });
        }
    }
    tracing::info!(node = &*shared.name, clean = left.is_empty(), "node shut down");
    if left.is_empty() { Ok(()) } else { Err(ShutdownError { left }) }
}

/// Waits until `done`, at most until `end`. It is asked at least once.
fn wait_until(end: Instant, mut done: impl FnMut() -> bool) {
    while !done() && Instant::now() < end {
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Whether no core has queued work, and none had any since the first was asked.
fn are_quiet(node: &Node, cores: u16) -> bool {
    let look_at_all = || -> Option<u64> {
        let mut handled = 0;
        for core in 0..cores {
            let (quiet, turns) = node
                .shared
                .on_core_within(core, LOOK_PATIENCE, |core| (core.is_quiet(), core.handled()))
                .ok()?;
            if !quiet {
                return None;
            }
            handled += turns;
        }
        Some(handled)
    };
    let first = look_at_all();
    first.is_some() && look_at_all() == first
}

fn devices_are_quiet(node: &Node, core: u16) -> bool {
    node.shared.on_core_within(core, LOOK_PATIENCE, |core| core.devices_are_quiet()).unwrap_or(true)
}

/// Looks until the core answers, at most until `end`: on a machine that is busy a core may not run for a while.
fn look_until(end: Instant, node: &Node, core: u16) -> Result<LeftBehind, ()> {
    loop {
        match look(node, core) {
            Err(()) if Instant::now() < end => {}
            looked => return looked,
        }
    }
}

fn look(node: &Node, core: u16) -> Result<LeftBehind, ()> {
    node.shared
        .on_core_within(core, LOOK_PATIENCE, |core| LeftBehind {
            core: core.index(),
            actors: core.slots.live(),
            queued: !core.is_quiet(),
            silent: false,
        })
        .map_err(|_| ())
}
