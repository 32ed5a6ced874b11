//! Whole cores on the real kernel. They must pass on one CPU and on a machine that is busy with other things.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use crossbeam_utils::CachePadded;
use io_uring::{opcode, types::Timespec};

use super::{CoreLoop, CoreRing, CoreThread, HostError, HostFigures, HostSettings, spawn_core};
use crate::driver::clock::Clock;
use crate::driver::tasks::CoreTask;
use crate::driver::uring::Completion;
use crate::driver::waker::CoreWaker;
use crate::node::idle::IdleProfile;

/// Nothing here takes a hundredth of this, even on a machine with far more to run than it has processors.
const PATIENCE: Duration = Duration::from_secs(30);

const PROFILES: [IdleProfile; 3] =
    [IdleProfile::Busy, IdleProfile::Hybrid { spin: Duration::from_micros(30) }, IdleProfile::Eco];

/// What a test and its core share.
#[derive(Default)]
struct Shared {
    /// Work for the core: it sweeps until it has seen this value.
    given: CachePadded<AtomicU64>,
    /// What the core has seen so far.
    seen: CachePadded<AtomicU64>,
    finish: AtomicBool,
}

/// Is given what was seen, and where to put new asynchronous work.
type OnSeen = Box<dyn FnMut(u64, &mut Vec<CoreTask>)>;

/// A core that can do a little of everything.
struct TestCore {
    shared: Arc<Shared>,
    seen: u64,
    /// Where to put what was seen, plus one, and whom to wake for it.
    next: Option<(Arc<Shared>, Arc<CoreWaker>)>,
    ends_at: u64,
    tasks: Vec<CoreTask>,
    /// Absolute times by the process's clock, sorted.
    deadlines_ns: VecDeque<u64>,
    clock: Clock,
    /// Called at the end of every sweep that saw something.
    on_seen: OnSeen,
    on_parked: Box<dyn FnMut(Option<u64>, u64, bool)>,
    on_completed: Box<dyn FnMut(Completion)>,
}

impl TestCore {
    fn new(shared: Arc<Shared>) -> TestCore {
        TestCore {
            shared,
            seen: 0,
            next: None,
            ends_at: u64::MAX,
            tasks: Vec::new(),
            deadlines_ns: VecDeque::new(),
            clock: Clock::new(),
            on_seen: Box::new(|_, _| {}),
            on_parked: Box::new(|_, _, _| {}),
            on_completed: Box::new(|_| {}),
        }
    }
}

impl CoreLoop for TestCore {
    fn sweep(&mut self) -> bool {
        let due = self.deadlines_ns.front().is_some_and(|due_ns| *due_ns <= self.clock.now_ns());
        if due {
            self.deadlines_ns.pop_front();
        }
        let given = self.shared.given.load(Ordering::Acquire);
        if given == self.seen {
            return due;
        }
        self.seen = given;
        self.shared.seen.store(given, Ordering::Release);
        (self.on_seen)(given, &mut self.tasks);
        if let Some((next, waker)) = &self.next {
            next.given.store(given + 1, Ordering::Release);
            waker.wake_after_publish();
        }
        true
    }

    fn has_work(&mut self) -> bool {
        self.shared.given.load(Ordering::Acquire) != self.seen || self.finished()
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.deadlines_ns.front().copied()
    }

    fn take_tasks(&mut self) -> Vec<CoreTask> {
        std::mem::take(&mut self.tasks)
    }

    fn finished(&self) -> bool {
        self.seen >= self.ends_at || self.shared.finish.load(Ordering::Acquire)
    }

    fn parked(&mut self, slept_ns: u64, woken: bool) {
        (self.on_parked)(self.deadlines_ns.front().copied(), slept_ns, woken);
    }

    fn completed(&mut self, completion: Completion) {
        (self.on_completed)(completion);
    }
}

/// A core under test with its way in.
struct Rig {
    shared: Arc<Shared>,
    waker: Arc<CoreWaker>,
    thread: CoreThread,
}

impl Rig {
    fn start(
        idle: IdleProfile,
        make: impl FnOnce(TestCore, CoreRing) -> TestCore + Send + 'static,
    ) -> Rig {
        let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
        let shared = Arc::new(Shared::default());
        let settings = HostSettings { idle, ..HostSettings::new("test", waker.clone()) };
        let thread = {
            let shared = shared.clone();
            spawn_core(settings, move |ring| make(TestCore::new(shared), ring))
                .expect("the core starts")
        };
        Rig { shared, waker, thread }
    }

    fn figures(&self) -> &HostFigures {
        self.thread.figures()
    }

    fn give(&self, value: u64) -> bool {
        self.shared.given.store(value, Ordering::Release);
        self.waker.wake_after_publish()
    }

    fn wait_until_seen(&self, value: u64) {
        wait_until(&format!("the core to see {value}"), || {
            self.shared.seen.load(Ordering::Acquire) >= value
        });
    }

    fn finish(self) {
        self.shared.finish.store(true, Ordering::Release);
        self.waker.wake_after_publish();
        wait_until("the core to finish", || self.thread.is_finished());
        self.thread.join().expect("the core does not panic");
    }
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::yield_now();
    }
}

/// Something that another thread completes.
#[derive(Default)]
struct Promise {
    kept: AtomicBool,
    waker: AtomicWaker,
}

impl Promise {
    fn keep(&self) {
        self.kept.store(true, Ordering::Release);
        self.waker.wake();
    }

    async fn wait(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.kept.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Lets `hops` messages go to and fro between two cores. Returns per core: ring enters since the start, its figures, its
/// waker.
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

#[test]
fn a_future_that_another_thread_completes_wakes_an_idle_core() {
    for idle in PROFILES {
        let promise = Arc::new(Promise::default());
        let waiting = promise.clone();
        let done = Arc::new(AtomicBool::new(false));
        let says_done = done.clone();
        let rig = Rig::start(idle, move |mut core, _| {
            core.tasks.push(Box::pin(async move {
                waiting.wait().await;
                says_done.store(true, Ordering::Release);
            }));
            core
        });
        if idle != IdleProfile::Busy {
            wait_until("the core to sleep", || rig.figures().parks_in_executor() > 0);
        }
        promise.keep();
        wait_until("the future to finish", || done.load(Ordering::Acquire));
        if idle == IdleProfile::Eco {
            wait_until("the core to sleep in its ring", || rig.figures().parks_in_ring() > 0);
        }
        rig.finish();
    }
}

#[test]
fn a_future_that_awaits_a_timer_of_the_executor_finishes_while_the_core_is_idle() {
    for idle in PROFILES {
        let waited = Arc::new(AtomicU64::new(0));
        let says_waited = waited.clone();
        let rig = Rig::start(idle, move |mut core, _| {
            core.tasks.push(Box::pin(async move {
                let start = Instant::now();
                glommio::timer::sleep(Duration::from_millis(2)).await;
                says_waited.store(start.elapsed().as_nanos() as u64, Ordering::Release);
            }));
            core
        });
        wait_until("the timer to fire", || waited.load(Ordering::Acquire) != 0);
        assert!(waited.load(Ordering::Acquire) >= 2_000_000);
        rig.finish();
    }
}

#[test]
fn futures_progress_beside_a_core_that_is_never_idle() {
    let steps = Arc::new(AtomicU64::new(0));
    let counts = steps.clone();
    struct NeverIdle(TestCore);
    impl CoreLoop for NeverIdle {
        fn sweep(&mut self) -> bool {
            self.0.sweep();
            true
        }
        fn has_work(&mut self) -> bool {
            true
        }
        fn next_deadline_ns(&self) -> Option<u64> {
            None
        }
        fn take_tasks(&mut self) -> Vec<CoreTask> {
            self.0.take_tasks()
        }
        fn finished(&self) -> bool {
            self.0.finished()
        }
        fn parked(&mut self, _: u64, _: bool) {}
    }
    let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
    let shared = Arc::new(Shared::default());
    let held = shared.clone();
    let thread = spawn_core(HostSettings::new("never-idle", waker), move |_| {
        let mut core = TestCore::new(held);
        core.tasks.push(Box::pin(async move {
            loop {
                counts.fetch_add(1, Ordering::Relaxed);
                futures_lite::future::yield_now().await;
                glommio::executor().yield_if_needed().await;
            }
        }));
        NeverIdle(core)
    })
    .expect("the core starts");
    wait_until("the future to take steps", || steps.load(Ordering::Relaxed) > 1_000);
    shared.finish.store(true, Ordering::Release);
    thread.join().expect("the core does not panic");
}

#[test]
fn a_future_that_panics_is_counted_and_the_core_goes_on() {
    let rig = Rig::start(IdleProfile::Eco, |mut core, _| {
        core.tasks.push(Box::pin(async { panic!("in a future") }));
        core
    });
    rig.give(1);
    rig.wait_until_seen(1);
    wait_until("the panic to be counted", || {
        rig.figures().task_panics() == 1 || {
            rig.give(rig.shared.seen.load(Ordering::Acquire) + 1);
            false
        }
    });
    rig.finish();
}

#[test]
fn a_core_that_shuts_down_drops_its_futures_on_its_own_thread() {
    struct SaysWhere(Arc<AtomicU64>, std::thread::ThreadId);
    impl Drop for SaysWhere {
        fn drop(&mut self) {
            let at_home = std::thread::current().id() == self.1;
            self.0.fetch_add(if at_home { 1 } else { 1_000 }, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicU64::new(0));
    let promise = Arc::new(Promise::default());
    let (counted, waiting) = (drops.clone(), promise.clone());
    let rig = Rig::start(IdleProfile::Eco, move |mut core, _| {
        for _ in 0..3 {
            let held = SaysWhere(counted.clone(), std::thread::current().id());
            let waiting = waiting.clone();
            core.tasks.push(Box::pin(async move {
                let _held = held;
                waiting.wait().await;
            }));
        }
        core
    });
    wait_until("the core to sleep", || rig.figures().parks_in_executor() > 0);
    rig.finish();
    assert_eq!(drops.load(Ordering::Relaxed), 3);
    // The executor is gone; its tasks' wakers are not. Waking one must touch nothing.
    promise.keep();
    drop(promise);
}

#[test]
fn what_the_ring_completes_reaches_the_core_wherever_it_sleeps() {
    for with_pending_task in [false, true] {
        let completed = Arc::new(AtomicU64::new(0));
        let says_completed = completed.clone();
        let rig = Rig::start(IdleProfile::Eco, move |mut core, ring| {
            let time: &'static Timespec = Box::leak(Box::new(Timespec::new().nsec(1_000_000)));
            core.on_seen = Box::new(move |tag, _| {
                let timeout = opcode::Timeout::new(time).build();
                // SAFETY: the time lives for ever.
                unsafe { ring.borrow_mut().push(timeout, tag) }.expect("there is room");
            });
            core.on_completed = Box::new(move |completion| {
                assert_eq!(completion.result, -libc::ETIME);
                says_completed.store(completion.tag, Ordering::Release);
            });
            if with_pending_task {
                core.tasks.push(Box::pin(std::future::pending()));
            }
            core
        });
        for tag in 1..=10 {
            rig.give(tag);
            wait_until("the completion", || completed.load(Ordering::Acquire) == tag);
        }
        let figures = rig.figures();
        assert!(figures.parks_in_ring() + figures.parks_in_executor() >= 10, "{figures:?}");
        rig.finish();
    }
}

#[test]
fn a_core_is_pinned_where_it_was_told() {
    let cpu = core_affinity::get_core_ids().expect("the mask can be read")[0].id;
    let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
    let settings =
        HostSettings { cpu: Some(cpu as u32), ..HostSettings::new("pinned", waker.clone()) };
    let shared = Arc::new(Shared::default());
    let held = shared.clone();
    let mask = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = mask.clone();
    let thread = spawn_core(settings, move |_| {
        let allowed = core_affinity::get_core_ids().unwrap_or_default();
        *seen.lock().expect("nobody panics") =
            allowed.into_iter().map(|core| core.id).collect::<Vec<_>>();
        TestCore::new(held)
    })
    .expect("the core starts");
    shared.finish.store(true, Ordering::Release);
    waker.wake_after_publish();
    thread.join().expect("the core does not panic");
    assert_eq!(*mask.lock().expect("nobody panics"), [cpu]);
}

#[test]
fn a_cpu_that_does_not_exist_is_refused_by_number() {
    let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
    let settings = HostSettings { cpu: Some(100_000), ..HostSettings::new("nowhere", waker) };
    let error =
        spawn_core(settings, |_| TestCore::new(Arc::default())).expect_err("there is no such CPU");
    assert!(matches!(error, HostError::Pinning { cpu: 100_000, .. }), "{error}");
    assert!(
        error.to_string().contains("nowhere") && error.to_string().contains("online"),
        "{error}"
    );
}

#[test]
fn a_core_that_panics_says_so_to_whoever_joins_it() {
    let rig = Rig::start(IdleProfile::Eco, |mut core, _| {
        core.on_seen = Box::new(|_, _| panic!("outside any turn"));
        core
    });
    rig.give(1);
    let panicked = rig.thread.join().expect_err("it panicked");
    assert_eq!((panicked.name.as_str(), panicked.message.as_str()), ("test", "outside any turn"));
}

#[test]
fn a_core_that_cannot_be_made_is_an_error_of_its_start() {
    let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
    let make = |_: CoreRing| -> TestCore { panic!("not today") };
    let error = spawn_core(HostSettings::new("unborn", waker), make).expect_err("it panicked");
    assert!(
        matches!(&error, HostError::Panicked { name, message } if name == "unborn" && message == "not today")
    );
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

fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One round of the stress: two eco cores play on while everything else fights them for the processors. `kind` says what
/// asynchronous work they have beside the game: none, a future that never ends, or short ones that come and go.
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
            core.on_seen = Box::new(move |_, tasks| {
                // Meets the other core in every phase of its going to sleep.
                let pauses = dice.next() % 2_000;
                (0..pauses).for_each(|_| std::hint::spin_loop());
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
    let hops = places
        .each_ref()
        .map(|place| place.seen.load(Ordering::Acquire))
        .into_iter()
        .max()
        .unwrap_or(0);
    for (place, waker) in places.iter().zip(&wakers) {
        place.finish.store(true, Ordering::Release);
        waker.wake_after_publish();
    }
    for thread in cores {
        wait_until("the core to finish", || thread.is_finished());
        assert_eq!(thread.figures().ring_failures(), 0);
        thread.join().expect("the core does not panic");
    }
    hops
}

#[test]
fn park_stress() {
    let seconds = number_from_environment("MAINSPRING_PARK_STRESS_SECONDS", 3);
    let seed = number_from_environment("MAINSPRING_PARK_STRESS_SEED", 1);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
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
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_core_may_be_made_of_things_that_stay_on_their_thread() {
    let rig = Rig::start(IdleProfile::Eco, |mut core, _| {
        let count = Rc::new(Cell::new(0));
        core.on_seen = Box::new(move |given, _| count.set(count.get() + given));
        core
    });
    rig.give(5);
    rig.wait_until_seen(5);
    rig.finish();
}
