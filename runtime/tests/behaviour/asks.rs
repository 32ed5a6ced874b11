//! An ask ends once: with its answer, or with why there is none.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Answerer, Number, Question, numbers, play, quietly};

const MS: Duration = Duration::from_millis(1);
const TIMEOUT: u64 = 1_000_001;
const FULL: u64 = 1_000_002;
const TOO_MANY: u64 = 1_000_003;

/// Asks `whom` on each number below 100 and tells the answer; tells other numbers as they are.
struct Asker {
    whom: ActorRef<Question>,
    told: ActorRef<Number>,
    exclusive: bool,
}

impl Actor for Asker {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        let n = number.n.to_native();
        if n == 666 {
            return Next::Fault;
        }
        if n >= 100 {
            ctx.tell(self.told, &Number { n });
            return Next::Same;
        }
        let asked =
            ctx.ask(self.whom, |reply_to| Question { n, reply_to }, 5 * MS, Self::on_answer);
        if self.exclusive {
            asked.exclusive();
        }
        Next::Same
    }
}

impl Asker {
    fn on_answer(
        &mut self,
        ctx: &mut Context<Self>,
        answer: Result<&Archived<Number>, AskError>,
    ) -> Next<Self> {
        let n = match answer {
            Ok(number) => number.n.to_native(),
            Err(AskError::Timeout) => TIMEOUT,
            Err(AskError::Full) => FULL,
            Err(_) => TOO_MANY,
        };
        ctx.tell(self.told, &Number { n });
        Next::Same
    }
}

/// Keeps the addresses for its answers and answers all of them when asked `n == 99`.
#[derive(Default)]
struct Late(Vec<(u64, ActorRef<Number>)>);

impl Actor for Late {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<Self>, question: &Archived<Question>) -> Next<Self> {
        self.0.push((question.n.to_native(), question.reply_to));
        if question.n == 99 {
            for (n, reply_to) in self.0.drain(..) {
                ctx.tell(reply_to, &Number { n: n * 10 });
            }
        }
        Next::Same
    }
}

#[test]
fn asks_are_answered_on_every_core_and_interleave() {
    for core in 0..2 {
        Simulation::for_seeds(1..=20, |sim| {
            let mut sim = sim.cores(2);
            let probe = sim.probe::<Number>();
            let whom = sim.at(0).core(core).spawn(Late::default);
            let told = probe.actor();
            let asker = sim.spawn(move || Asker { whom, told, exclusive: false });
            for n in [1, 2, 200, 99] {
                sim.tell(asker, &Number { n });
            }
            sim.run_until_idle();
            assert_eq!(numbers(&probe), [200, 10, 20, 990]);
            sim.run_for(20 * MS);
            assert_eq!(numbers(&probe), [0; 0]);
        });
    }
}

#[test]
fn an_answer_after_the_deadline_is_counted_and_reaches_no_later_ask_in_its_place() {
    Simulation::for_seeds(1..=20, |sim| {
        let mut sim = sim.cores(2);
        let probe = sim.probe::<Number>();
        let late = sim.at(0).core(1).spawn(Late::default);
        let told = probe.actor();
        let asker = sim.spawn(move || Asker { whom: late, told, exclusive: false });
        play(&mut sim, asker, 1);
        sim.run_for(6 * MS);
        assert_eq!(numbers(&probe), [TIMEOUT]);
        // The next ask takes the same slot, and waits there when the answer to the first one comes.
        play(&mut sim, asker, 99);
        assert_eq!(numbers(&probe), [990]);
        assert_eq!(sim.dead_letters(Reason::LateReply), 1);
    });
}

#[test]
fn an_ask_whose_receiver_dies_ends_at_its_deadline() {
    let mut sim = Simulation::seeded(2).cores(2);
    let probe = sim.probe::<Number>();
    let late = sim.at(0).core(1).spawn(Late::default);
    let told = probe.actor();
    let asker = sim.spawn(move || Asker { whom: late, told, exclusive: false });
    play(&mut sim, asker, 1);
    sim.stop(late);
    probe.expect_nothing_for(4 * MS);
    probe.expect_within(2 * MS, |number| number.n == TIMEOUT);
}

#[test]
fn an_exclusive_ask_suspends_its_actor_and_what_came_meanwhile_follows_in_order() {
    Simulation::for_seeds(1..=20, |sim| {
        let mut sim = sim.cores(2);
        let probe = sim.probe::<Number>();
        let whom = sim.at(0).core(1).spawn(|| Answerer);
        let told = probe.actor();
        let asker = sim.spawn(move || Asker { whom, told, exclusive: true });
        for n in [1, 101, 2, 102, 103, 3, 104] {
            sim.tell(asker, &Number { n });
        }
        sim.run_until_idle();
        assert_eq!(numbers(&probe), [10, 101, 20, 102, 103, 30, 104], "seed {}", sim.seed());
    });
}

#[test]
fn an_exclusive_ask_ends_at_its_deadline_too() {
    let mut sim = Simulation::seeded(2);
    let probe = sim.probe::<Number>();
    let late = sim.spawn(Late::default);
    let told = probe.actor();
    let asker = sim.spawn(move || Asker { whom: late, told, exclusive: true });
    for n in [1, 101] {
        sim.tell(asker, &Number { n });
    }
    probe.expect_nothing_for(4 * MS);
    sim.run_for(2 * MS);
    assert_eq!(numbers(&probe), [TIMEOUT, 101]);
}

#[test]
fn a_restarted_actor_gets_no_answer_to_what_its_earlier_life_asked() {
    quietly();
    for exclusive in [false, true] {
        let mut sim = Simulation::seeded(2);
        let probe = sim.probe::<Number>();
        let late = sim.spawn(Late::default);
        let told = probe.actor();
        let asker = sim.at(0).spawn_with(
            move || Asker { whom: late, told, exclusive },
            |spawn| spawn.on_failure(Restart::at_most(3)).start(),
        );
        play(&mut sim, asker, 1);
        if exclusive {
            // It fails in the continuation, after the deadline.
            sim.panic_turn(asker, 0);
        }
        play(&mut sim, asker, 666);
        sim.run_for(6 * MS);
        play(&mut sim, asker, 99);
        let came = numbers(&probe);
        let expected: &[u64] = if exclusive { &[TIMEOUT, 990] } else { &[990] };
        assert_eq!(came, expected, "exclusive {exclusive}");
        assert_eq!(sim.dead_letters(Reason::LateReply), 1);
    }
}

#[test]
fn more_asks_than_the_limit_are_refused_in_turns_of_their_own() {
    let mut sim = Simulation::seeded(2).limits(|limits| limits.asks = 2);
    let probe = sim.probe::<Number>();
    let late = sim.spawn(Late::default);
    let told = probe.actor();
    let asker = sim.spawn(move || Asker { whom: late, told, exclusive: false });
    for n in [1, 2, 3, 4] {
        sim.tell(asker, &Number { n });
    }
    sim.run_until_idle();
    assert_eq!(numbers(&probe), [TOO_MANY, TOO_MANY]);
    // Room again when the first two have ended.
    sim.run_for(6 * MS);
    assert_eq!(numbers(&probe), [TIMEOUT, TIMEOUT]);
    play(&mut sim, asker, 99);
    assert_eq!(numbers(&probe), [990]);
}

#[test]
fn an_ask_that_finds_the_ring_full_is_refused() {
    let mut sim = Simulation::seeded(2).cores(2);
    let probe = sim.probe::<Number>();
    let whom = sim.at(0).core(1).spawn(|| Answerer);
    let told = probe.actor();
    let asker = sim.spawn(move || Asker { whom, told, exclusive: true });
    sim.run_until_idle();
    sim.at(0).fill_ring_to(1, true);
    play(&mut sim, asker, 1);
    assert_eq!(numbers(&probe), [FULL]);
    assert_eq!(sim.dead_letters(Reason::Full), 1);
    sim.at(0).fill_ring_to(1, false);
    play(&mut sim, asker, 1);
    assert_eq!(numbers(&probe), [10]);
}

/// Asks twice what is refused, and fails before it is told.
struct Refused(Asker);

impl Actor for Refused {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        let n = number.n.to_native();
        if n == 1 {
            ctx.ask(self.0.whom, |reply_to| Question { n, reply_to }, MS, Self::on_answer);
            return Next::Same;
        }
        Next::Fault
    }
}

impl Refused {
    fn on_answer(
        &mut self,
        ctx: &mut Context<Self>,
        _: Result<&Archived<Number>, AskError>,
    ) -> Next<Self> {
        ctx.tell(self.0.told, &Number { n: 1 });
        Next::Same
    }
}

#[test]
fn a_refusal_does_not_reach_the_next_life_of_who_asked() {
    quietly();
    Simulation::for_seeds(1..=20, |sim| {
        let mut sim = sim.limits(|limits| limits.asks = 0);
        let probe = sim.probe::<Number>();
        let whom = sim.spawn(|| Answerer);
        let told = probe.actor();
        let policy = Restart::at_most(3).backoff(MS..MS);
        let asker = sim.at(0).spawn_with(
            move || Refused(Asker { whom, told, exclusive: false }),
            |spawn| spawn.on_failure(policy).start(),
        );
        sim.tell(asker, &Number { n: 1 });
        sim.tell(asker, &Number { n: 2 });
        sim.run_for(10 * MS);
        // Told before it failed, or not at all.
        assert!(numbers(&probe).len() <= 1);
        assert_eq!(sim.actors(), 3);
    });
}
