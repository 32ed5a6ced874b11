//! Whole cores on the real kernel: how they start, run futures and end. They must pass on one CPU and on a machine
//! that is busy with other things.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use io_uring::{opcode, types::Timespec};
use mainspring_tuning::CpuSet;

use super::{CoreLoop, CoreRing, HostError, HostSettings, spawn_core};
use crate::driver::cpu::allowed_cpus;
use crate::driver::rig::{PROFILES, Rig, Shared, TestCore, wait_until};
use crate::driver::tasks::CoreTask;
use crate::driver::waker::CoreWaker;
use crate::node::idle::IdleProfile;

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
    let free = allowed_cpus()
        .expect("the mask can be read")
        .iter()
        .next()
        .expect("this thread runs somewhere");
    let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
    let settings = HostSettings { cpu: Some(free), ..HostSettings::new("pinned", waker.clone()) };
    let shared = Arc::new(Shared::default());
    let held = shared.clone();
    let (says, said) = std::sync::mpsc::channel();
    let thread = spawn_core(settings, move |_| {
        says.send(allowed_cpus().expect("the mask can be read")).expect("the test listens");
        TestCore::new(held)
    })
    .expect("the core starts");
    shared.finish.store(true, Ordering::Release);
    waker.wake_after_publish();
    thread.join().expect("the core does not panic");
    assert_eq!(said.recv().expect("the core has said it"), CpuSet::from_iter([free]));
}

#[test]
fn a_cpu_that_does_not_exist_is_refused_by_number() {
    let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
    let settings = HostSettings { cpu: Some(100_000), ..HostSettings::new("nowhere", waker) };
    let error =
        spawn_core(settings, |_| TestCore::new(Arc::default())).expect_err("there is no such CPU");
    assert!(matches!(error, HostError::Pinning { .. }), "{error}");
    assert!(
        error.to_string().contains("nowhere") && error.to_string().contains("100000"),
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
