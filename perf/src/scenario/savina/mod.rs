//! The Savina programs as mainspring's own users would write them; `perf/contest/PROGRAMS.md` says what each does.
//!
//! A program is a tree of actors whose root, the *main actor*, does one iteration: it makes the others, tells the
//! [`Leader`] what the work came to, and stops, and with it all that it has made. The leader lives on core 0 of the one
//! node of the round; it does one iteration as a warm-up, then begins the section, and ends it when the last
//! iteration is done. Making and stopping the actors of every measured iteration is inside.
//!
//! On two CPUs the node has two cores. Each program's file says where its actors live and why; those of a
//! [`crew`] are spread over all cores. Cores idle as a node's cores do by default: a core that waits for another one
//! looks for 50 µs and then sleeps, which matters where the CPUs are shared with others.
//!
//! Invariant: every message between cores has room in its ring. Programs that could send more than a ring takes
//! either have a bounded number under way or ask for the refusal (`try_tell`) and go on later.

pub mod banking;
pub mod big;
pub mod chameneos;
pub mod chat;
pub mod count;
mod crew;
pub mod fork_join_create;
pub mod fork_join_throughput;
pub mod ping_pong;
pub mod thread_ring;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainspring::prelude::*;

use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError, check};

/// The most CPUs that a program makes use of.
const CPUS_MOST: usize = 2;

/// What one program does.
pub trait Program: Clone + Send + Sync + 'static {
    /// The root of an iteration's actors.
    type Main: Actor;

    /// Messages of one iteration, as the program's figures count them.
    fn messages(&self) -> u64;

    /// What an iteration has to come to.
    fn sum(&self) -> u64;

    /// The main actor of an iteration.
    fn main_actor(&self, iteration: Iteration) -> Self::Main;
}

/// A program as a scenario.
pub struct Savina<P> {
    description: &'static Description,
    program: P,
}

/// What the scenarios of this module have in common.
const COMMON: Description = Description {
    name: "",
    measures: "",
    cpus_needed: 1,
    limit: None,
    default_messages: 1,
    counted_messages: 1,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Hybrid { spin: Duration::from_micros(50) }),
};

impl<P: Program> Scenario for Savina<P> {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn cpus_most(&self) -> usize {
        CPUS_MOST
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let program = &self.program;
        let iterations = round.messages.div_ceil(program.messages()).max(1);
        let (stage, course) = Stage::start(round, round.cpus.len().clamp(1, CPUS_MOST))?;
        let result = Arc::new(Totals::default());
        let make = {
            let (program, result) = (program.clone(), Arc::clone(&result));
            move || Leader::new(program.clone(), iterations, course.clone(), Arc::clone(&result))
        };
        stage.node().actor(make).on_core(0).start().map_err(runtime("make the leader"))?;
        let latencies = stage.finish()?;
        let sum = result.sum.load(Ordering::Relaxed);
        check("the sum of the work", iterations * program.sum(), sum)?;
        check("what was lost on the way", 0, result.lost.load(Ordering::Relaxed))?;
        Ok(Outcome { messages: iterations * program.messages(), latencies, sum: Some(sum) })
    }
}

/// What the measured iterations came to.
#[derive(Debug, Default)]
struct Totals {
    sum: AtomicU64,
    lost: AtomicU64,
}

/// One iteration, in the hands of its main actor.
#[derive(Clone, Copy)]
pub struct Iteration {
    /// Its number: 0 for the warm-up.
    pub number: u64,
    leader: ActorRef<Step>,
}

impl Iteration {
    /// The work is done and came to `sum`. The main actor returns `Next::Stop` from the same turn.
    pub fn done<A: Actor>(self, ctx: &mut Context<'_, A>, sum: u64) {
        self.done_with_loss(ctx, sum, 0);
    }

    /// As [`Iteration::done`], for a program with a balance of its own: `lost` is what is missing in it.
    pub fn done_with_loss<A: Actor>(self, ctx: &mut Context<'_, A>, sum: u64, lost: u64) {
        ctx.tell(self.leader, &Step::Done { sum, lost });
    }
}

/// What the leader is told.
#[message]
enum Step {
    /// Everybody is in place.
    SetOut,
    /// An iteration has been done.
    Done { sum: u64, lost: u64 },
}

/// Begins one iteration after the other, and the section behind the first.
struct Leader<P> {
    program: P,
    course: Course,
    totals: Arc<Totals>,
    /// The number of the iteration that is under way.
    iteration: u64,
    iterations: u64,
}

impl<P: Program> Leader<P> {
    fn new(program: P, iterations: u64, course: Course, totals: Arc<Totals>) -> Self {
        Leader { program, course, totals, iteration: 0, iterations }
    }

    fn begin_iteration(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let iteration = Iteration { number: self.iteration, leader: ctx.me() };
        match ctx.spawn_value(self.program.main_actor(iteration)) {
            Ok(_) => Next::Same,
            Err(_) => Next::Fault,
        }
    }
}

impl<P: Program> Actor for Leader<P> {
    type Message = Step;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.course.pause(), &Step::SetOut);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, step: &Archived<Step>) -> Next<Self> {
        let ArchivedStep::Done { sum, lost } = step else { return self.begin_iteration(ctx) };
        if self.iteration == 0 {
            self.course.begin();
        } else {
            self.totals.sum.fetch_add(sum.to_native(), Ordering::Relaxed);
            self.totals.lost.fetch_add(lost.to_native(), Ordering::Relaxed);
        }
        if self.iteration == self.iterations {
            self.course.end(None);
            return Next::Same;
        }
        self.iteration += 1;
        self.begin_iteration(ctx)
    }
}

#[cfg(test)]
mod tests;
