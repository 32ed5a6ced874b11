//! How cores sleep and wake, on the real kernel: what it costs, that it loses nothing, and that it holds under
//! stress.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;

use crate::driver::host::{HostFigures, HostSettings, spawn_core};
use crate::driver::rig::{PATIENCE, PROFILES, Rig, Shared, TestCore, wait_until};
use crate::driver::waker::CoreWaker;
use crate::node::idle::IdleProfile;

/// Lets `hops` messages go to and fro between two cores. Returns per core: ring enters since the start, its
/// figures, its waker.
fn ping_pong(
    idle: IdleProfile,
    hops: u64,
    with_pending_task: bool,
) -> [(u64, Arc<HostFigures>, Arc<CoreWaker>); 2] {
    let wakers = [0, 1].map(|_| Arc::new(CoreWaker::new().expect("descriptors are free")));
    let places = [0, 1].map(|_| Arc::new(Shared::default()));
    let cores = [0, 1].map(|me: usize| {
        let settings =
            HostSettings { idle, ..HostSettings::new(format!("player-{me}"), wakers[me].clone()) };
        let (here, there, peer) =
            (places[me].clone(), places[1 - me].clone(), wakers[1 - me].clone());
        let enters_at_start = Arc::new(AtomicU64::new(0));
        let enters = enters_at_start.clone();
        let thread = spawn_core(settings, move |ring| {
            enters.store(ring.borrow().enters(), Ordering::Relaxed);
            let mut core = TestCore::new(here);
            core.next = Some((there, peer));
            core.ends_at = hops;
            if with_pending_task {
                core.tasks.push(Box::pin(std::future::pending()));
            }
            core
        });
        (thread.expect("the core starts"), enters_at_start)
    });
    places[0].given.store(1, Ordering::Release);
    wakers[0].wake_after_publish();
    let watch =
        Watch::new(&places, &wakers, cores.each_ref().map(|(thread, _)| thread.figures().clone()));
    while !cores.iter().all(|(thread, _)| thread.is_finished()) {
        watch.look();
    }
    let mut wakers = wakers.into_iter();
    cores.map(|(thread, enters_at_start)| {
        let figures = thread.figures().clone();
        thread.join().expect("the core does not panic");
        let enters = figures.ring_enters() - enters_at_start.load(Ordering::Relaxed);
        (enters, figures, wakers.next().expect("one for each core"))
    })
}

/// Fails with the state of two cores when neither has made progress for long.
struct Watch {
    places: [Arc<Shared>; 2],
    wakers: [Arc<CoreWaker>; 2],
    figures: [Arc<HostFigures>; 2],
    last: Cell<(u64, Instant)>,
}

impl Watch {
    fn new(
        places: &[Arc<Shared>; 2],
        wakers: &[Arc<CoreWaker>; 2],
        figures: [Arc<HostFigures>; 2],
    ) -> Watch {
        let last = Cell::new((0, Instant::now()));
        Watch { places: places.clone(), wakers: wakers.clone(), figures, last }
    }

    fn look(&self) {
        std::thread::park_timeout(Duration::from_millis(1));
        let progress =
            self.places.iter().map(|place| place.seen.load(Ordering::Acquire)).max().unwrap_or(0);
        let (before, at) = self.last.get();
        if progress != before {
            self.last.set((progress, Instant::now()));
        }
        if at.elapsed() > PATIENCE && progress == before {
            let given = self.places.each_ref().map(|place| place.given.load(Ordering::Acquire));
            let seen = self.places.each_ref().map(|place| place.seen.load(Ordering::Acquire));
            panic!(
                "no progress for {PATIENCE:?}: given {given:?}, seen {seen:?}, {:?}, {:?}",
                self.figures, self.wakers
            );
        }
    }
}

#[test]
fn two_cores_play_ping_pong_in_every_idle_profile() {
    for idle in PROFILES {
        for with_pending_task in [false, true] {
            ping_pong(idle, 200, with_pending_task);
        }
    }
}

#[test]
fn busy_cores_make_no_system_call() {
    for (enters, figures, waker) in ping_pong(IdleProfile::Busy, 200, false) {
        assert_eq!(enters, 0, "of the core's ring");
        assert_eq!(waker.signals(), 0, "of senders");
        assert_eq!(
            figures.parks_in_ring() + figures.parks_in_executor() + figures.parks_given_up(),
            0
        );
    }
}

#[test]
fn an_eco_hop_costs_one_enter_and_one_write() {
    const HOPS: u64 = 1_000;
    for (enters, figures, waker) in ping_pong(IdleProfile::Eco, HOPS, false) {
        // A sleep given up after a sender took the flag leaves a signal, which the next look takes with an enter.
        let parks = figures.parks_in_ring();
        let late = figures.parks_given_up();
        assert!(
            (parks..=parks + late).contains(&enters),
            "{enters} enters for {parks} parks, {figures:?}"
        );
        assert!(
            parks <= HOPS / 2 + 1 + late,
            "{parks} parks for {} messages, {figures:?}",
            HOPS / 2
        );
        assert!(waker.signals() <= parks + late, "{} writes, {figures:?}", waker.signals());
        assert_eq!(figures.parks_in_executor(), 0);
        assert_eq!(figures.ring_failures(), 0);
    }
}

#[test]
fn with_asynchronous_work_under_way_a_core_sleeps_in_its_executor_and_is_woken_there() {
    for (_, figures, _) in ping_pong(IdleProfile::Eco, 200, true) {
        assert!(figures.parks_in_executor() > 0, "{figures:?}");
        // The future starts with the first sweep, so at most the wait for the first ball is elsewhere.
        assert_eq!(figures.parks_in_ring(), 0, "{figures:?}");
    }
}

#[test]
fn a_deadline_wakes_a_sleeping_core_and_never_early() {
    for with_pending_task in [false, true] {
        let early_ns = Arc::new(AtomicU64::new(0));
        let parks = Arc::new(AtomicU64::new(0));
        let (early, counted) = (early_ns.clone(), parks.clone());
        let rig = Rig::start(IdleProfile::Eco, move |mut core, _| {
            let clock = core.clock.clone();
            let start_ns = clock.now_ns();
            core.deadlines_ns = (1..=40).map(|n| start_ns + n * 300_000 + n % 7 * 1_111).collect();
            core.on_parked = Box::new(move |deadline_ns, _, woken| {
                counted.fetch_add(1, Ordering::Relaxed);
                if let (Some(deadline_ns), false) = (deadline_ns, woken) {
                    early.fetch_max(deadline_ns.saturating_sub(clock.now_ns()), Ordering::Relaxed);
                }
            });
            if with_pending_task {
                core.tasks.push(Box::pin(std::future::pending()));
            }
            core
        });
        let start = Instant::now();
        wait_until("the deadlines to pass", || start.elapsed() > Duration::from_millis(14));
        assert!(!rig.shared.finish.load(Ordering::Relaxed));
        rig.finish();
        // The two clocks may differ by parts in a million: nanoseconds here. A core that woke a whole timer tick too
        // soon would be off by far more.
        let early_ns = early_ns.load(Ordering::Relaxed);
        assert!(early_ns < 5_000, "woke {early_ns} ns early (pending task: {with_pending_task})");
        let parks = parks.load(Ordering::Relaxed);
        assert!(
            (1..=100).contains(&parks),
            "{parks} parks for 40 deadlines (pending task: {with_pending_task})"
        );
    }
}

/// A small generator, so that a failure can be repeated from its seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

impl Dice {
    /// Takes its time, and sometimes gives the processor away.
    fn dawdle(&mut self, most_pauses: u64) {
        let pauses = self.next() % most_pauses;
        (0..pauses).for_each(|_| std::hint::spin_loop());
        if self.next().is_multiple_of(64) {
            std::thread::yield_now();
        }
    }
}

fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One round of the stress: two eco cores play on while everything else fights them for the processors. `kind` says
/// what asynchronous work they have beside the game: none, a future that never ends, or short ones that come and
/// go.
fn stress_round(kind: u64, seed: u64, duration: Duration) -> u64 {
    let wakers = [0, 1].map(|_| Arc::new(CoreWaker::new().expect("descriptors are free")));
    let places = [0, 1].map(|_| Arc::new(Shared::default()));
    let cores = [0, 1].map(|me: usize| {
        let idle = IdleProfile::Eco;
        let settings =
            HostSettings { idle, ..HostSettings::new(format!("stress-{me}"), wakers[me].clone()) };
        let (here, there, peer) =
            (places[me].clone(), places[1 - me].clone(), wakers[1 - me].clone());
        let thread = spawn_core(settings, move |_| {
            let mut core = TestCore::new(here);
            core.next = Some((there, peer));
            let mut dice = Dice(
                seed.wrapping_mul(2).wrapping_add(me as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    | 1,
            );
            if kind == 1 {
                core.tasks.push(Box::pin(std::future::pending()));
            }
            // Meets the other core in every phase of its going to sleep.
            let mut look_dice = Dice(dice.next());
            core.after_look = RefCell::new(Box::new(move || look_dice.dawdle(400)));
            core.on_seen = Box::new(move |_, tasks| {
                dice.dawdle(2_000);
                if kind == 2 && dice.next().is_multiple_of(4) {
                    let micros = dice.next() % 200;
                    tasks.push(Box::pin(async move {
                        glommio::timer::sleep(Duration::from_micros(micros)).await;
                    }));
                }
            });
            core
        });
        thread.expect("the core starts")
    });
    places[0].given.store(1, Ordering::Release);
    wakers[0].wake_after_publish();
    let watch =
        Watch::new(&places, &wakers, cores.each_ref().map(|thread| thread.figures().clone()));
    let start = Instant::now();
    while start.elapsed() < duration {
        watch.look();
    }
    // The game must still be on.
    let hops = || {
        places
            .each_ref()
            .map(|place| place.seen.load(Ordering::Acquire))
            .into_iter()
            .max()
            .unwrap_or(0)
    };
    let hops_so_far = hops();
    while hops() < hops_so_far + 2 {
        watch.look();
    }
    for (place, waker) in places.iter().zip(&wakers) {
        place.finish.store(true, Ordering::Release);
        waker.wake_after_publish();
    }
    for thread in cores {
        wait_until("the core to finish", || thread.is_finished());
        assert_eq!(thread.figures().ring_failures(), 0);
        thread.join().expect("the core does not panic");
    }
    hops_so_far
}

/// A future and a foreign thread that answer each other; the thread wakes the future at every phase of its core's
/// going to sleep.
#[test]
fn no_wake_of_a_future_by_another_thread_is_lost() {
    const WAKES: u64 = 20_000;
    let seed = number_from_environment("MAINSPRING_PARK_STRESS_SEED", 1);
    let (asked, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let waker = Arc::new(AtomicWaker::new());
    let rig = {
        let (asked, answered, waker) = (asked.clone(), answered.clone(), waker.clone());
        Rig::start(IdleProfile::Eco, move |mut core, _| {
            let mut dice = Dice(seed.rotate_left(7) | 1);
            core.after_look = RefCell::new(Box::new(move || dice.dawdle(400)));
            core.tasks.push(Box::pin(poll_fn(move |context| {
                waker.register(context.waker());
                answered.store(asked.load(Ordering::Acquire), Ordering::Release);
                Poll::Pending
            })));
            core
        })
    };
    let mut dice = Dice(seed | 1);
    for question in 1..=WAKES {
        asked.store(question, Ordering::Release);
        waker.wake();
        wait_until("the future to answer", || answered.load(Ordering::Acquire) == question);
        dice.dawdle(800);
    }
    assert!(rig.figures().parks_in_executor() > 0, "{:?}", rig.figures());
    rig.finish();
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn park_stress() {
    let seconds = number_from_environment("MAINSPRING_PARK_STRESS_SECONDS", 3);
    let seed = number_from_environment("MAINSPRING_PARK_STRESS_SEED", 1);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when a round fails: else the failure would wait for these threads.
        let _ends_the_load = SetOnDrop(&over);
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut round = 0;
        while Instant::now() < end {
            let kind = round % 3;
            let hops = stress_round(kind, seed + round, Duration::from_secs(seconds).div_f64(6.0));
            eprintln!(
                "round {round} (kind {kind}, MAINSPRING_PARK_STRESS_SEED={}): {hops} hops",
                seed + round
            );
            round += 1;
        }
    });
}
