//! What the tests of the host share: a core that can do a little of everything, and a way to start, feed and end it.
//!
//! A wait here gives up with a message rather than hang. Nothing sleeps to let something else happen.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::clock::Clock;
use super::host::{CoreLoop, CoreRing, CoreThread, HostFigures, HostSettings, spawn_core};
use super::tasks::CoreTask;
use super::uring::Completion;
use super::waker::CoreWaker;
use crate::node::idle::IdleProfile;

/// Nothing here takes a hundredth of this, even on a machine with far more to run than it has processors.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const PROFILES: [IdleProfile; 3] =
    [IdleProfile::Busy, IdleProfile::Hybrid { spin: Duration::from_micros(30) }, IdleProfile::Eco];

/// What a test and its core share.
#[derive(Default)]
pub(super) struct Shared {
    /// Work for the core: it sweeps until it has seen this value.
    pub(super) given: CachePadded<AtomicU64>,
    /// What the core has seen so far.
    pub(super) seen: CachePadded<AtomicU64>,
    pub(super) finish: AtomicBool,
}

/// Is given what was seen, and where to put new asynchronous work.
pub(super) type OnSeen = Box<dyn FnMut(u64, &mut Vec<CoreTask>)>;

/// A core that can do a little of everything.
pub(super) struct TestCore {
    pub(super) shared: Arc<Shared>,
    pub(super) seen: u64,
    /// Where to put what was seen, plus one, and whom to wake for it.
    pub(super) next: Option<(Arc<Shared>, Arc<CoreWaker>)>,
    pub(super) ends_at: u64,
    pub(super) tasks: Vec<CoreTask>,
    /// Absolute times by the process's clock, sorted.
    pub(super) deadlines_ns: VecDeque<u64>,
    pub(super) clock: Clock,
    /// Called at the end of every sweep that saw something.
    pub(super) on_seen: OnSeen,
    /// Called after looks at the inputs, where a sender is easiest to miss.
    pub(super) after_look: RefCell<Box<dyn FnMut()>>,
    pub(super) on_parked: Box<dyn FnMut(Option<u64>, u64, bool)>,
    pub(super) on_completed: Box<dyn FnMut(Completion)>,
    pub(super) yields: Box<dyn Fn() -> bool>,
    /// Says after every sweep that it did something.
    pub(super) never_idle: bool,
}

impl TestCore {
    pub(super) fn new(shared: Arc<Shared>) -> TestCore {
        TestCore {
            shared,
            seen: 0,
            next: None,
            ends_at: u64::MAX,
            tasks: Vec::new(),
            deadlines_ns: VecDeque::new(),
            clock: Clock::new(),
            on_seen: Box::new(|_, _| {}),
            after_look: RefCell::new(Box::new(|| {})),
            on_parked: Box::new(|_, _, _| {}),
            on_completed: Box::new(|_| {}),
            yields: Box::new(|| false),
            never_idle: false,
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
            (self.after_look.borrow_mut())();
            return due || self.never_idle;
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
        (self.after_look.borrow_mut())();
        self.seen >= self.ends_at || self.shared.finish.load(Ordering::Acquire)
    }

    fn parked(&mut self, slept_ns: u64, woken: bool) {
        (self.on_parked)(self.deadlines_ns.front().copied(), slept_ns, woken);
    }

    fn yields(&self) -> bool {
        (self.yields)()
    }

    fn completed(&mut self, completion: Completion) {
        (self.on_completed)(completion);
    }
}

/// A core under test with its way in.
pub(super) struct Rig {
    pub(super) shared: Arc<Shared>,
    pub(super) waker: Arc<CoreWaker>,
    pub(super) thread: CoreThread,
}

impl Rig {
    pub(super) fn start(
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

    pub(super) fn figures(&self) -> &HostFigures {
        self.thread.figures()
    }

    pub(super) fn give(&self, value: u64) -> bool {
        self.shared.given.store(value, Ordering::Release);
        self.waker.wake_after_publish()
    }

    pub(super) fn wait_until_seen(&self, value: u64) {
        wait_until(&format!("the core to see {value}"), || {
            self.shared.seen.load(Ordering::Acquire) >= value
        });
    }

    pub(super) fn finish(self) {
        self.shared.finish.store(true, Ordering::Release);
        self.waker.wake_after_publish();
        wait_until("the core to finish", || self.thread.is_finished());
        self.thread.join().expect("the core does not panic");
    }
}

pub(super) fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::yield_now();
    }
}
