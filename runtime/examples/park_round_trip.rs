//! What it costs to wake a sleeping core: round trips between two cores, beside two threads that sleep on bare
//! eventfds.
//!
//! ```text
//! cargo run --release -p mainspring --example park_round_trip [rounds] [round trips in a round]
//! ```
//!
//! Rounds of both kinds alternate, on the same two CPUs, so that what slows the machine down slows down both. A core
//! handles nothing but one number, so the difference is what the host adds: the flag, the last look, the clock, the
//! ring. `busy` and `hybrid` stand below for comparison; they do not sleep here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crossbeam_utils::CachePadded;
use mainspring::driver::cpu::{allowed_cpus, pin_current_thread};
use mainspring::driver::eventfd::EventFd;
use mainspring::driver::{Clock, CoreLoop, CoreTask, CoreWaker, HostSettings, spawn_core};
use mainspring::node::idle::IdleProfile;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(11), |text| text.parse())?;
    let trips: u64 = arguments.next().map_or(Ok(5_000), |text| text.parse())?;
    let cpus: Vec<u32> = allowed_cpus()?.iter().collect();
    let [first, second, ..] = cpus[..] else {
        println!("this process may use one CPU only; a round trip between two needs two");
        return Ok(());
    };
    let profiles = [IdleProfile::Eco, IdleProfile::default(), IdleProfile::Busy];
    let mut raw = Vec::new();
    let mut cores = profiles.map(|_| Vec::new());
    for _ in 0..rounds.max(1) {
        raw.push(median(bare_round([first, second], trips)?));
        for (profile, medians) in profiles.iter().zip(&mut cores) {
            medians.push(median(core_round([first, second], *profile, trips)?));
        }
    }
    println!(
        "CPUs {first} and {second}, {rounds} rounds of {trips} round trips, medians in ns: median (best to worst)"
    );
    let bare = report("two threads on bare eventfds", raw, None);
    for (profile, medians) in profiles.iter().zip(cores) {
        report(&format!("two cores, {profile}"), medians, Some(bare));
    }
    Ok(())
}

/// Prints a line and returns the median of the rounds.
fn report(what: &str, mut rounds: Vec<u64>, bare: Option<u64>) -> u64 {
    rounds.sort_unstable();
    let middle = rounds[rounds.len() / 2];
    let ratio =
        bare.map_or(String::new(), |bare| format!("  = {:.2} x bare", middle as f64 / bare as f64));
    println!("{what:<32} {middle:>8} ({} to {}){ratio}", rounds[0], rounds[rounds.len() - 1]);
    middle
}

fn median(mut samples: Vec<u64>) -> u64 {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or(0)
}

/// Round trips between two threads that do nothing but ring each other's eventfd.
fn bare_round(cpus: [u32; 2], trips: u64) -> Result<Vec<u64>, Failure> {
    let bells = Arc::new([EventFd::blocking()?, EventFd::blocking()?]);
    let clock = Clock::new();
    let (ready, started) = mpsc::channel();
    let echo = {
        let bells = bells.clone();
        std::thread::spawn(move || {
            let pinned = pin_current_thread(cpus[1]);
            let go = pinned.is_ok();
            let _ = ready.send(pinned);
            for _ in 0..if go { trips } else { 0 } {
                bells[1].take();
                bells[0].signal();
            }
        })
    };
    started.recv()??;
    let samples = std::thread::spawn(move || {
        pin_current_thread(cpus[0])?;
        let mut samples = Vec::with_capacity(trips as usize);
        for _ in 0..trips {
            let sent_ns = clock.now_ns();
            bells[1].signal();
            bells[0].take();
            samples.push(clock.now_ns().saturating_sub(sent_ns));
        }
        Ok::<_, mainspring::driver::cpu::PinError>(samples)
    });
    let samples = samples.join().map_err(|_| "the measuring thread panicked")??;
    echo.join().map_err(|_| "the echoing thread panicked")?;
    Ok(samples)
}

/// The same between two cores.
fn core_round(cpus: [u32; 2], idle: IdleProfile, trips: u64) -> Result<Vec<u64>, Failure> {
    let wakers = [Arc::new(CoreWaker::new()?), Arc::new(CoreWaker::new()?)];
    let balls = [0, 1].map(|_| Arc::new(CachePadded::new(AtomicU64::new(0))));
    let (report, reported) = mpsc::channel();
    let mut threads = Vec::new();
    // The echoing core first, so that the other finds it ready to play.
    for me in [1, 0] {
        let settings = HostSettings {
            cpu: Some(cpus[me]),
            idle,
            ..HostSettings::new(format!("player-{me}"), wakers[me].clone())
        };
        let (inbound, outbound, peer) =
            (balls[me].clone(), balls[1 - me].clone(), wakers[1 - me].clone());
        let report = (me == 0).then(|| report.clone());
        threads.push(spawn_core(settings, move |_ring| Player {
            inbound,
            outbound,
            peer,
            seen: 0,
            trips,
            sent_ns: 0,
            clock: Clock::new(),
            samples: Vec::with_capacity(if me == 0 { trips as usize } else { 0 }),
            report,
        })?);
    }
    let samples = reported.recv()?;
    for thread in threads {
        thread.join()?;
    }
    Ok(samples)
}

/// Sends back what it gets, plus one. The one with a report serves, measures and ends the game.
struct Player {
    inbound: Arc<CachePadded<AtomicU64>>,
    outbound: Arc<CachePadded<AtomicU64>>,
    peer: Arc<CoreWaker>,
    seen: u64,
    trips: u64,
    sent_ns: u64,
    clock: Clock,
    samples: Vec<u64>,
    report: Option<mpsc::Sender<Vec<u64>>>,
}

/// Ends the game for who gets it.
const OVER: u64 = u64::MAX;

impl Player {
    fn send(&mut self, ball: u64) {
        self.outbound.store(ball, Ordering::Release);
        self.peer.wake_after_publish();
    }

    fn serves(&self) -> bool {
        self.report.is_some() && self.sent_ns == 0
    }
}

impl CoreLoop for Player {
    fn sweep(&mut self) -> bool {
        let got = self.inbound.load(Ordering::Acquire);
        if got == self.seen && !self.serves() {
            return false;
        }
        let ball = got.wrapping_add(1);
        self.seen = got;
        if self.report.is_some() {
            let now_ns = self.clock.now_ns();
            if !self.serves() {
                self.samples.push(now_ns.saturating_sub(self.sent_ns));
            }
            self.sent_ns = now_ns;
        }
        if self.report.is_some() && self.samples.len() as u64 == self.trips {
            let samples = std::mem::take(&mut self.samples);
            if let Some(report) = self.report.take() {
                let _ = report.send(samples);
            }
            self.seen = OVER;
            self.send(OVER);
        } else if got != OVER {
            self.send(ball);
        }
        true
    }

    fn has_work(&mut self) -> bool {
        self.inbound.load(Ordering::Acquire) != self.seen || self.serves()
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        None
    }

    fn take_tasks(&mut self) -> Vec<CoreTask> {
        Vec::new()
    }

    fn finished(&self) -> bool {
        self.seen == OVER
    }

    fn parked(&mut self, _slept_ns: u64, _woken: bool) {}
}
