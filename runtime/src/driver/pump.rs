//! The loop of a core's thread: sweep, look for completions, poll futures, and when there is nothing, sleep.
//!
//! While no future is under way the pump never gives the thread to the executor, so the hot path is a plain loop
//! that sleeps in the core's own ring. With futures under way the pump polls those that were woken between two
//! sweeps: while there are messages, sweeps get nine parts of the time and futures one. It then sleeps in the
//! executor, whose timers and files the futures may be waiting for; a core that does not sleep lets the executor
//! look at them now and then.
//!
//! Going to sleep: raise the flag, look at everything once more, sleep, take the flag down. A sender that publishes
//! before the last look is found by it; one that publishes after it finds the flag.
//!
//! The pump is the executor's only task, and the executor's preemption timer is set to never. Both are for safety:
//! this release of the executor goes to sleep although a task is runnable if it finds itself preempted between its
//! look at the kernel and its look at its tasks. With one task and no timer only a blocking call handed to the
//! executor can do that; a sleep in the executor therefore ends after [`LONGEST_EXECUTOR_SLEEP`] whatever happens.
//!
//! Invariant: the flag is down whenever the pump sweeps.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use glommio::io::{PollState, PollableFd};
use glommio::timer::Timer;

use super::clock::Clock;
use super::eventfd::EventFd;
use super::host::{CoreLoop, CoreRing, HostFigures, HostSettings};
use super::tasks::TaskSet;
use super::uring::Completion;
use super::waker::{CoreWaker, PARKED_IN_EXECUTOR, PARKED_IN_RING};
use crate::node::idle::IdleProfile;

/// Futures that always want to be polled are polled for so long between two sweeps, and once at least.
const TASK_SLICE_NS: u64 = 50_000;
/// While there are messages, sweeps get so many times what futures got.
const SWEEP_SHARES: u64 = 9;
/// How often a core that has work lets the executor look at its timers and files: some microseconds each time.
const EXECUTOR_LOOK_EVERY_NS: u64 = 500_000;
/// The same for a core that has none and is looking for it.
const IDLE_EXECUTOR_LOOK_EVERY_NS: u64 = 20_000;
/// How often a core that has work lets others run on its CPU while it waits for them. Without that, what a kernel
/// thread has to finish there waits for the scheduler's next tick, some milliseconds.
const YIELD_EVERY_NS: u64 = 20_000;
/// See the module's words on the executor.
#[cfg(not(test))]
const LONGEST_EXECUTOR_SLEEP: Duration = Duration::from_millis(50);
/// Without that net, so that the tests see every wake-up that is lost.
#[cfg(test)]
const LONGEST_EXECUTOR_SLEEP: Duration = Duration::from_secs(3600);
/// Between two sweeps that found nothing: leaves a sibling hardware thread some room.
const PAUSES: u32 = 2;
/// A core that looks for work reads the clock once in so many sweeps.
const SWEEPS_PER_CLOCK_READ: u32 = 8;

pub(super) struct Pump<L> {
    core: L,
    ring: CoreRing,
    tasks: TaskSet,
    rest: Rest,
    completions: Vec<Completion>,
    clock: Clock,
    idle: IdleProfile,
    idle_sweeps: u32,
    idle_since_ns: u64,
    /// While there are messages, futures are not polled before this.
    tasks_rest_until_ns: u64,
    executor_looked_at_ns: u64,
    yielded_at_ns: u64,
    figures: Arc<HostFigures>,
}

impl<L: CoreLoop> Pump<L> {
    /// To be called inside the executor.
    pub(super) fn new(
        core: L,
        ring: CoreRing,
        settings: &HostSettings,
        clock: Clock,
        figures: Arc<HostFigures>,
    ) -> io::Result<Pump<L>> {
        Ok(Pump {
            core,
            ring,
            tasks: TaskSet::new(settings.waker.clone()),
            rest: Rest::new(settings.waker.clone())?,
            completions: Vec::new(),
            clock,
            idle: settings.idle,
            idle_sweeps: 0,
            idle_since_ns: 0,
            tasks_rest_until_ns: 0,
            executor_looked_at_ns: 0,
            yielded_at_ns: 0,
            figures,
        })
    }

    /// Runs the core until it is finished.
    pub(super) async fn run(mut self) {
        loop {
            let mut did_something = self.turn();
            if self.tasks.running() > 0 {
                did_something |= self.run_tasks(did_something);
            }
            if self.core.finished() {
                break;
            }
            if did_something {
                self.idle_sweeps = 0;
                if self.core.yields() {
                    self.yield_if_due();
                }
                if self.tasks.running() > 0 {
                    self.let_executor_look(EXECUTOR_LOOK_EVERY_NS).await;
                }
            } else if self.keeps_looking() {
                if self.core.yields() {
                    self.let_others_run();
                } else if self.idle != IdleProfile::Busy {
                    // A core that never sleeps is there for latency alone: a pause would cost it a third of a hop.
                    (0..PAUSES).for_each(|_| std::hint::spin_loop());
                }
                if self.tasks.running() > 0 {
                    self.let_executor_look(IDLE_EXECUTOR_LOOK_EVERY_NS).await;
                }
            } else {
                self.park().await;
            }
        }
        self.tasks.drop_all();
        self.publish_figures();
    }

    /// One sweep and what belongs to it. Whether anything was done.
    #[inline]
    fn turn(&mut self) -> bool {
        let swept = self.core.sweep();
        let collected = self.ring.borrow_mut().turn(&mut self.completions);
        let collected = collected.unwrap_or_else(|error| self.ring_failed(&error));
        if collected {
            self.hand_out_completions();
        }
        for task in self.core.take_tasks() {
            self.tasks.start(task);
        }
        swept || collected
    }

    /// Polls futures that were woken, for a slice of time. Whether there were any.
    fn run_tasks(&mut self, swept_something: bool) -> bool {
        if !self.tasks.has_ready() {
            return false;
        }
        let start_ns = self.clock.now_ns();
        if swept_something && start_ns < self.tasks_rest_until_ns {
            return true;
        }
        let mut spent_ns = 0;
        while spent_ns < TASK_SLICE_NS && self.tasks.run_one() {
            spent_ns = self.clock.now_ns().saturating_sub(start_ns);
        }
        self.tasks_rest_until_ns = start_ns + spent_ns * (1 + SWEEP_SHARES);
        true
    }

    /// Gives the thread to the executor for a look, if the last one was so long ago. Only called while futures are
    /// under way: even an asynchronous function that does nothing costs a hop some nanoseconds.
    #[inline]
    async fn let_executor_look(&mut self, every_ns: u64) {
        let now_ns = self.clock.now_ns();
        if now_ns.saturating_sub(self.executor_looked_at_ns) >= every_ns {
            self.rest.let_executor_look().await;
            self.executor_looked_at_ns = self.clock.now_ns();
        }
    }

    /// Lets others run on the CPU of a core that has work, if they have waited so long.
    fn yield_if_due(&mut self) {
        let now_ns = self.clock.now_ns();
        if now_ns.saturating_sub(self.yielded_at_ns) >= YIELD_EVERY_NS {
            self.let_others_run();
            self.yielded_at_ns = self.clock.now_ns();
        }
    }

    fn let_others_run(&self) {
        add_one(&self.figures.yields);
        std::thread::yield_now();
    }

    /// Whether the idle profile wants another sweep before sleeping.
    fn keeps_looking(&mut self) -> bool {
        let Some(spin) = self.idle.spin() else { return true };
        if spin.is_zero() {
            return false;
        }
        let sweeps = self.idle_sweeps;
        self.idle_sweeps = sweeps.wrapping_add(1).max(1);
        if sweeps == 0 {
            self.idle_since_ns = self.clock.now_ns();
        } else if sweeps.is_multiple_of(SWEEPS_PER_CLOCK_READ) {
            let idle_ns = self.clock.now_ns().saturating_sub(self.idle_since_ns);
            if u128::from(idle_ns) >= spin.as_nanos() {
                // Stays so until there is work: a wake for nothing is no reason to look for long.
                self.idle_sweeps = sweeps;
                return false;
            }
        }
        true
    }

    /// Sleeps, unless the last look finds work.
    async fn park(&mut self) {
        let in_ring = self.tasks.running() == 0;
        self.rest.waker.prepare(if in_ring { PARKED_IN_RING } else { PARKED_IN_EXECUTOR });
        let start_ns = self.clock.now_ns();
        let deadline_ns = self.core.next_deadline_ns();
        let due_in_ns = deadline_ns.map(|deadline_ns| deadline_ns.saturating_sub(start_ns));
        let has_work = due_in_ns == Some(0) || self.core.has_work() || self.tasks.has_ready();
        if has_work || self.ring.borrow_mut().has_completions() {
            self.rest.waker.cancel();
            add_one(&self.figures.parks_given_up);
            return;
        }
        let timeout = due_in_ns.map(Duration::from_nanos);
        let slept = if in_ring {
            add_one(&self.figures.parks_in_ring);
            self.ring.borrow_mut().park(timeout, &mut self.completions).map(drop)
        } else {
            add_one(&self.figures.parks_in_executor);
            self.sleep_in_executor(timeout).await
        };
        let woken = self.rest.waker.cancel();
        if let Err(error) = slept {
            self.ring_failed(&error);
        }
        let now_ns = self.clock.now_ns();
        self.core.parked(now_ns.saturating_sub(start_ns), woken);
        self.hand_out_completions();
        self.publish_figures();
    }

    async fn sleep_in_executor(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let completed_meanwhile = self.ring.borrow_mut().ring_executor_bell();
        let slept = if completed_meanwhile { Ok(()) } else { self.rest.sleep(timeout).await };
        self.ring.borrow_mut().silence_executor_bell();
        self.executor_looked_at_ns = self.clock.now_ns();
        slept
    }

    fn hand_out_completions(&mut self) {
        for completion in self.completions.drain(..) {
            self.core.completed(completion);
        }
    }

    /// A refused call leaves the core awake and sweeping; it tries again.
    #[cold]
    fn ring_failed(&mut self, error: &io::Error) -> bool {
        if self.figures.ring_failures.load(Ordering::Relaxed) == 0 {
            tracing::error!(%error, "the kernel refuses a call of the core's ring; the core goes on without sleeping");
        }
        add_one(&self.figures.ring_failures);
        !self.completions.is_empty()
    }

    fn publish_figures(&self) {
        self.figures.ring_enters.store(self.ring.borrow().enters(), Ordering::Relaxed);
        self.figures.task_panics.store(self.tasks.panicked(), Ordering::Relaxed);
    }
}

/// What the pump does in the executor: sleep, and let it look at the kernel.
struct Rest {
    waker: Arc<CoreWaker>,
    bell: PollableFd<Bell>,
    /// The registration of a look at the bell that has not answered yet. It outlives a sleep that ended otherwise.
    look: PollState,
    /// Always readable: whoever waits for it gets the thread back when the executor has looked at the kernel.
    open_door: PollableFd<EventFd>,
}

impl Rest {
    fn new(waker: Arc<CoreWaker>) -> io::Result<Rest> {
        let bell = PollableFd::new(Bell(waker.clone()))?;
        let open_door = EventFd::new()?;
        open_door.signal();
        let open_door = PollableFd::new(open_door)?;
        Ok(Rest { waker, bell, look: PollState::new(), open_door })
    }

    /// Until the bell rings or the time is up, and not longer than [`LONGEST_EXECUTOR_SLEEP`].
    async fn sleep(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let longest = timeout.unwrap_or(LONGEST_EXECUTOR_SLEEP).min(LONGEST_EXECUTOR_SLEEP);
        let mut timer = Timer::new(longest);
        poll_fn(|context| {
            if let Poll::Ready(looked) = self.bell.poll_readable(context, &mut self.look) {
                self.waker.executor_bell().take();
                return Poll::Ready(looked.map_err(io::Error::from));
            }
            Pin::new(&mut timer).poll(context).map(|_| Ok(()))
        })
        .await
    }

    /// The executor looks at its timers and files and wakes the futures that wait for them.
    async fn let_executor_look(&self) {
        // A refusal means that the executor has not looked; the next look or sleep is another chance.
        let _ = self.open_door.readable().await;
    }
}

/// The executor's view of the bell; holds its owner.
struct Bell(Arc<CoreWaker>);

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.executor_bell().as_raw_fd()
    }
}

/// The core's thread is the only writer.
fn add_one(figure: &AtomicU64) {
    figure.store(figure.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
