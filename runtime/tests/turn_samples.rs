//! One turn in so many is timed, and what is told adds up to what the actors cost.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainspring::device::{Extension, NodePlan, ObserveTurns, Seat, TURNS_A_SAMPLE, TurnSample};
use mainspring::prelude::*;
use mainspring::testkit::{Simulation, spend};

/// Keeps what it is told.
#[derive(Default)]
struct Notes(RefCell<Vec<TurnSample>>);

impl ObserveTurns for Notes {
    fn turn_took(&self, sample: &TurnSample) {
        self.0.borrow_mut().push(*sample);
    }
}

impl Notes {
    fn samples(&self) -> Vec<TurnSample> {
        self.0.borrow().clone()
    }

    /// The time of all turns of an actor, as told.
    fn weighted_ns(&self, actor: Address) -> u64 {
        let notes = self.0.borrow();
        let of_actor = notes.iter().filter(|sample| sample.actor == actor);
        of_actor.map(TurnSample::weighted_ns).sum()
    }
}

/// Do it so many times.
#[message]
struct Work {
    rounds: u64,
}

/// Takes its time for each piece of work.
struct Worker {
    turn_ns: u64,
}

impl Actor for Worker {
    type Message = Work;

    fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Work>) -> Next<Self> {
        spend(ctx, Duration::from_nanos(self.turn_ns));
        Next::Same
    }
}

/// Gives each worker a piece of work in every round.
struct Foreman {
    workers: Vec<ActorRef<Work>>,
}

impl Actor for Foreman {
    type Message = Work;

    fn receive(&mut self, ctx: &mut Context<Self>, work: &Archived<Work>) -> Next<Self> {
        for worker in &self.workers {
            ctx.tell(*worker, &Work { rounds: 1 });
        }
        if let Some(rounds) = work.rounds.to_native().checked_sub(1) {
            ctx.tell(ctx.me(), &Work { rounds });
        }
        Next::Same
    }
}

/// Works whenever its timer fires.
struct Clockwork;

impl Actor for Clockwork {
    type Message = Work;

    fn receive(&mut self, ctx: &mut Context<Self>, work: &Archived<Work>) -> Next<Self> {
        spend(ctx, Duration::from_micros(5));
        if let Some(rounds) = work.rounds.to_native().checked_sub(1) {
            ctx.timer("work").after(Duration::from_micros(1), &Work { rounds });
        }
        Next::Same
    }
}

/// A core whose turns are sampled.
fn observed(seed: u64) -> (Simulation, Rc<Notes>) {
    let mut sim = Simulation::seeded(seed);
    let notes = Rc::new(Notes::default());
    sim.at(0).install(|seat| seat.observe_turns(notes.clone()));
    (sim, notes)
}

/// Sixteen actors that have their turns one after the other, so that a sample after every 64th turn would always be of
/// the same one. The first worker takes much longer than the others.
fn workshop(seed: u64, rounds: u64) -> (Rc<Notes>, Vec<ActorRef<Work>>) {
    let (mut sim, notes) = observed(seed);
    let turn_ns = |worker| if worker == 0 { 10_000 } else { 100 };
    let spawn = |worker| sim.spawn(move || Worker { turn_ns: turn_ns(worker) });
    let workers: Vec<ActorRef<Work>> = (0..15).map(spawn).collect();
    let crew = workers.clone();
    let foreman = sim.spawn(move || Foreman { workers: crew.clone() });
    sim.tell(foreman, &Work { rounds });
    sim.assert_quiet_within(Duration::from_secs(60));
    (notes, workers)
}

fn is_near(told_ns: u64, true_ns: u64) -> bool {
    told_ns.abs_diff(true_ns) <= true_ns / 4
}

#[test]
fn what_is_told_of_few_turns_adds_up_to_the_time_of_all() {
    let rounds = 6_000;
    let (notes, workers) = workshop(1, rounds);
    let slow_ns = notes.weighted_ns(workers[0].address());
    assert!(is_near(slow_ns, rounds * 10_000), "the slow one: {slow_ns} ns");
    let fast_ns: u64 = workers[1..].iter().map(|one| notes.weighted_ns(one.address())).sum();
    assert!(is_near(fast_ns, rounds * 14 * 100), "all others: {fast_ns} ns");
    let (samples, turns) = (notes.samples(), (rounds + 1) * 16);
    assert!(is_near(samples.len() as u64, turns / TURNS_A_SAMPLE), "{} samples", samples.len());
    let stand_for: u64 = samples.iter().map(|sample| sample.turns).sum();
    assert!(turns.abs_diff(stand_for) < 4 * TURNS_A_SAMPLE, "{stand_for} of {turns} turns");
    assert!(samples.iter().all(|sample| !sample.actor_type.is_empty()));
}

#[test]
fn the_same_seed_times_the_same_turns_and_another_one_others() {
    let told = |seed| {
        let (notes, workers) = workshop(seed, 500);
        let who =
            |sample: &TurnSample| workers.iter().position(|one| one.address() == sample.actor);
        notes.samples().iter().map(|sample| (who(sample), sample.turns)).collect::<Vec<_>>()
    };
    assert!(told(3) == told(3), "the same seed, and other turns");
    assert!(told(3) != told(4), "another seed, and the same turns");
}

#[test]
fn turns_with_timers_are_timed_too() {
    let (mut sim, notes) = observed(2);
    let clockwork = sim.spawn(|| Clockwork);
    sim.tell(clockwork, &Work { rounds: 20_000 });
    sim.assert_quiet_within(Duration::from_secs(60));
    let told_ns = notes.weighted_ns(clockwork.address());
    assert!(is_near(told_ns, 20_000 * 5_000), "{told_ns} ns");
}

#[test]
fn a_turn_that_takes_its_time_holds_up_its_core_and_no_other() {
    let mut sim = Simulation::seeded(1).cores(2);
    let busy = sim.spawn(|| Worker { turn_ns: 1_000_000 });
    let free = sim.at(0).core(1).probe::<Text>();
    let waits = sim.at(0).probe::<Text>();
    sim.tell(busy, &Work { rounds: 1 });
    sim.run_until_idle();
    for probe in [&free, &waits] {
        sim.tell(probe.actor(), &Text { text: "now".into() });
    }
    sim.run_until_idle();
    assert_eq!((free.waiting(), waits.waiting()), (1, 0), "the first core is busy");
    sim.run_for(Duration::from_micros(900));
    assert_eq!(waits.waiting(), 0, "its turn took a millisecond");
    sim.run_for(Duration::from_micros(100));
    assert_eq!(waits.waiting(), 1);
}

#[message]
struct Text {
    text: String,
}

/// Counts the samples of all cores of a node.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl ObserveTurns for Counting {
    fn turn_took(&self, sample: &TurnSample) {
        self.0.fetch_add(sample.turns, Ordering::Relaxed);
    }
}

impl Extension for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn prepare(&self, _: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        seat.observe_turns(Rc::new(self.clone()));
    }
}

#[message]
struct Question {
    reply_to: ActorRef<Answer>,
}

#[message]
struct Answer;

/// Answers, and has its turns on the short way of dispatch meanwhile.
struct Respondent;

impl Actor for Respondent {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<Self>, question: &Archived<Question>) -> Next<Self> {
        ctx.tell(question.reply_to, &Answer);
        Next::Same
    }
}

#[test]
fn a_node_of_its_own_times_turns_as_a_simulation_does() -> Result<(), Box<dyn Error>> {
    let counting = Counting::default();
    let second = Duration::from_secs(20);
    let node = Node::builder().cores(Cores::count(1)).idle(IdleProfile::Eco);
    let node = node.with(counting.clone()).start()?;
    let (client, respondent) = (node.client(), node.actor(|| Respondent).start()?);
    let questions = 2_000;
    for _ in 0..questions {
        client.ask(respondent, |reply_to| Question { reply_to }, second).wait()?;
    }
    node.shutdown(second)?;
    let stand_for = counting.0.load(Ordering::Relaxed);
    let missing = 4 * TURNS_A_SAMPLE;
    assert!((questions - missing..questions + missing).contains(&stand_for), "{stand_for} turns");
    Ok(())
}
