//! Work that is not a turn: futures on this core and blocking calls on other threads. Its result comes back as a
//! turn.
//!
//! The core starts nothing itself: it hands futures and jobs to whoever drives it, and takes results when they have
//! come. The simulator drives them in virtual time, the host by its executor and a pool of threads.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use super::Core;
use super::cold::Phase;
use super::stash::Held;
use crate::actor::{Actor, Next, Signal, TaskFailure};
use crate::context::Context;

/// A future of this core, with everything that its end does.
pub(crate) type LocalTask = Pin<Box<dyn Future<Output = ()>>>;

/// What the end of a task does to the core.
type Completion = Box<dyn FnOnce(&mut Core)>;

/// A piece of blocking work: run on another thread, it gives what its end does to the core.
pub(crate) type BlockingWork = Box<dyn FnOnce() -> SendCompletion + Send>;

/// As [`Completion`], from another thread.
pub(crate) type SendCompletion = Box<dyn FnOnce(&mut Core) + Send>;

/// Results that wait for the next sweep.
#[derive(Default)]
pub(crate) struct Completions(RefCell<VecDeque<Completion>>);

impl Completions {
    fn push(&self, completion: Completion) {
        self.0.borrow_mut().push_back(completion);
    }

    fn pop(&self) -> Option<Completion> {
        self.0.borrow_mut().pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// A future that a turn wants to run.
pub(crate) struct Task {
    me: u64,
    name: &'static str,
    future: LocalTask,
}

/// A blocking call that a turn wants to run.
pub(crate) struct Job {
    me: u64,
    name: &'static str,
    work: BlockingWork,
}

/// A future whose panic is a value.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Some(value)),
            Err(_) => Poll::Ready(None),
        }
    }
}

impl Task {
    /// `future` on this core, then `then` as a turn of `me`.
    pub fn new<A, T, F, H>(core: &Core, me: u64, future: F, then: H) -> Self
    where
        A: Actor,
        T: 'static,
        F: Future<Output = T> + 'static,
        H: FnOnce(&mut A, &mut Context<'_, A>, T) -> Next<A> + 'static,
    {
        let name = std::any::type_name::<F>();
        let life = core.life_of(me);
        let completions = Rc::clone(&core.completions);
        let future = async move {
            let outcome = Caught(Box::pin(future)).await;
            completions.push(Box::new(move |core| finish(core, me, life, name, outcome, then)));
        };
        Task { me, name, future: Box::pin(future) }
    }
}

impl Job {
    /// `work` on another thread, then `then` as a turn of `me`.
    pub fn new<A, T, W, H>(core: &Core, me: u64, work: W, then: H) -> Self
    where
        A: Actor,
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
        H: FnOnce(&mut A, &mut Context<'_, A>, T) -> Next<A> + Send + 'static,
    {
        let name = std::any::type_name::<W>();
        let life = core.life_of(me);
        let work = move || -> SendCompletion {
            let outcome = catch_unwind(AssertUnwindSafe(work)).ok();
            Box::new(move |core| {
                core.jobs_under_way -= 1;
                finish(core, me, life, name, outcome, then);
            })
        };
        Job { me, name, work: Box::new(work) }
    }
}

/// The end of a task or job: a turn of the actor, if this life of it still is.
fn finish<A, T, H>(
    core: &mut Core,
    me: u64,
    life: u32,
    name: &'static str,
    outcome: Option<T>,
    then: H,
) where
    A: Actor,
    T: 'static,
    H: FnOnce(&mut A, &mut Context<'_, A>, T) -> Next<A> + 'static,
{
    if core.life_of(me) != life {
        return;
    }
    let Some(value) = outcome else {
        return core.task_failed(me, name, TaskFailure::Panicked);
    };
    core.in_its_turn(me, life, move |core| {
        core.turn_with::<A>(me, |actor, ctx| then(actor, ctx, value));
    });
}

impl Core {
    /// Does what ends in a turn of this life of an actor: now, or when it takes messages again, or not at all.
    pub(crate) fn in_its_turn(
        &mut self,
        me: u64,
        life: u32,
        turn: impl FnOnce(&mut Core) + 'static,
    ) {
        if self.life_of(me) != life {
            return;
        }
        match self.slots.cold_if_any(me) {
            Some(cold) if cold.phase != Phase::Running => {
                cold.stash.hold_back(Held::Turn(Box::new(move |core| {
                    if core.life_of(me) == life {
                        turn(core);
                    }
                })));
            }
            _ => turn(self),
        }
    }

    /// Which life of an actor this is: work that was begun in an earlier one is not for it.
    pub(crate) fn life_of(&self, me: u64) -> u32 {
        match self.slots.find(me) {
            Some(_) => self.slots.cold(me).map_or(0, |cold| cold.life),
            None => u32::MAX,
        }
    }

    pub(crate) fn begin_task(&mut self, task: Task) {
        if self.tasks_under_way >= self.limits.tasks || !self.runs_tasks {
            let limit = if self.runs_tasks { self.limits.tasks } else { 0 };
            return self.task_failed(task.me, task.name, TaskFailure::Full { limit });
        }
        self.tasks_under_way += 1;
        self.new_tasks.push(task.future);
    }

    pub(crate) fn begin_job(&mut self, job: Job) {
        if self.jobs_under_way >= self.limits.jobs {
            let limit = self.limits.jobs;
            return self.task_failed(job.me, job.name, TaskFailure::Full { limit });
        }
        let Some(blocking) = &self.blocking else {
            return self.task_failed(job.me, job.name, TaskFailure::Unsupported);
        };
        match blocking.submit(job.work) {
            Ok(()) => self.jobs_under_way += 1,
            Err(limit) => self.task_failed(job.me, job.name, TaskFailure::Full { limit }),
        }
    }

    fn task_failed(&mut self, me: u64, task: &'static str, reason: TaskFailure) {
        self.counters.tasks_failed += 1;
        self.control.push_back(super::control::Control::Signal {
            me,
            signal: Box::new(Signal::TaskFailed { task, reason }),
        });
    }

    /// Runs the turns of work that has ended.
    pub(crate) fn take_completions(&mut self, budget: usize) -> usize {
        let mut taken = 0;
        while taken < budget {
            let Some(completion) = self.completions.pop() else { break };
            self.tasks_under_way -= 1;
            completion(self);
            taken += 1;
        }
        taken
    }
}

/// Where blocking work runs. It must give each result to the core's injector.
pub(crate) trait Blocking {
    /// Takes the work, or says how much it holds at most.
    fn submit(&self, work: BlockingWork) -> Result<(), usize>;
}
