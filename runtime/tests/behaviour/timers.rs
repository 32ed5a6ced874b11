//! Timers fire when they are due, as often as they are due, and never after they were cancelled.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};

use crate::actors::{Number, Puppet, Question, numbers, play};

const MS: Duration = Duration::from_millis(1);

/// Does `act` on 0 and tells every other number to the probe.
fn timed(
    sim: &mut Simulation,
    act: impl Fn(&mut Context<'_, Puppet>) + Copy + 'static,
) -> (ActorRef<Number>, Probe<Number>) {
    let probe = sim.probe::<Number>();
    let to = probe.actor();
    let puppet = sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            match n {
                0 => act(ctx),
                n => ctx.tell(to, &Number { n }),
            }
            Next::Same
        })
    });
    (puppet, probe)
}

#[test]
fn a_timer_fires_once_and_not_before_its_time() {
    Simulation::for_seeds(1..=20, |mut sim| {
        let (puppet, probe) = timed(&mut sim, |ctx| {
            ctx.timer("b").after(20 * MS, &Number { n: 2 });
            ctx.timer("a").after(10 * MS, &Number { n: 1 });
        });
        play(&mut sim, puppet, 0);
        probe.expect_nothing_for(Duration::from_micros(9_900));
        probe.expect_within(Duration::from_micros(200), |number| number.n == 1);
        probe.expect_nothing_for(9 * MS);
        probe.expect_within(2 * MS, |number| number.n == 2);
        probe.expect_nothing_for(Duration::from_secs(5));
    });
}

#[test]
fn a_periodic_timer_keeps_its_rate_and_skips_what_a_stall_missed() {
    let mut sim = Simulation::seeded(2);
    let (puppet, probe) = timed(&mut sim, |ctx| ctx.timer("tick").every(10 * MS, &Number { n: 1 }));
    play(&mut sim, puppet, 0);
    sim.run_for(Duration::from_micros(100_500));
    assert_eq!(numbers(&probe).len(), 10);
    // Five deadlines pass; the first sweep after the stall makes up for none but the last.
    sim.at(0).stall(55 * MS);
    sim.run_for(Duration::from_micros(55_500));
    assert_eq!(numbers(&probe).len(), 1);
    // The rate goes on from the original deadlines.
    probe.expect_within(5 * MS, |number| number.n == 1);
    sim.run_for(40 * MS);
    assert_eq!(numbers(&probe).len(), 4);
}

#[test]
fn setting_a_timer_again_replaces_it() {
    let mut sim = Simulation::seeded(2);
    let (puppet, probe) = timed(&mut sim, |ctx| {
        ctx.timer("once").after(MS, &Number { n: 1 });
        ctx.timer("once").after(3 * MS, &Number { n: 2 });
        ctx.timer(7).every(MS, &Number { n: 3 });
        ctx.timer(7).after(2 * MS, &Number { n: 4 });
    });
    play(&mut sim, puppet, 0);
    sim.run_for(10 * MS);
    assert_eq!(numbers(&probe), [4, 2]);
}

#[test]
fn a_cancelled_timer_is_never_delivered() {
    Simulation::for_seeds(1..=20, |mut sim| {
        let probe = sim.probe::<Number>();
        let to = probe.actor();
        let puppet = sim.spawn(move || {
            Puppet::new(move |ctx, n| {
                match n {
                    0 => {
                        ctx.timer("first").after(MS, &Number { n: 1 });
                        ctx.timer("second").after(MS, &Number { n: 2 });
                    }
                    // Both are due in the same sweep: whichever comes first cancels the other.
                    n => {
                        ctx.timer("first").cancel();
                        ctx.timer("second").cancel();
                        ctx.tell(to, &Number { n });
                    }
                }
                Next::Same
            })
        });
        play(&mut sim, puppet, 0);
        sim.at(0).stall(5 * MS);
        sim.run_for(10 * MS);
        assert_eq!(numbers(&probe).len(), 1, "seed {}", sim.seed());
    });
}

type Then = fn(&mut Context<'_, Suspended>);

/// Asks with `.exclusive()` a question that nobody answers; when its deadline has passed, does something to a timer
/// that was due meanwhile.
struct Suspended {
    nobody: ActorRef<Question>,
    told: ActorRef<Number>,
    then: Then,
}

impl Actor for Suspended {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        match number.n.to_native() {
            0 => {
                ctx.timer("due").every(2 * MS, &Number { n: 1 });
                let ask = |reply_to| Question { n: 0, reply_to };
                ctx.ask(self.nobody, ask, 9 * MS, Self::on_answer).exclusive();
            }
            n => ctx.tell(self.told, &Number { n }),
        }
        Next::Same
    }
}

impl Suspended {
    fn on_answer(
        &mut self,
        ctx: &mut Context<Self>,
        _: Result<&Archived<Number>, AskError>,
    ) -> Next<Self> {
        (self.then)(ctx);
        Next::Same
    }
}

#[test]
fn a_timer_that_was_due_while_its_actor_was_suspended_can_still_be_cancelled_or_replaced() {
    let cases: [(Then, usize); 3] = [
        (|ctx| ctx.timer("due").cancel(), 0),
        (|ctx| ctx.timer("due").after(5 * MS, &Number { n: 1 }), 0),
        // Left alone: four deadlines passed, and they are one message.
        (|_| {}, 1),
    ];
    for (case, (then, expected)) in cases.into_iter().enumerate() {
        let mut sim = Simulation::seeded(2);
        let probe = sim.probe::<Number>();
        let nobody = sim.probe::<Question>();
        let (nobody, told) = (nobody.actor(), probe.actor());
        let actor = sim.spawn(move || Suspended { nobody, told, then });
        play(&mut sim, actor, 0);
        sim.run_for(Duration::from_micros(9_500));
        assert_eq!(numbers(&probe).len(), expected, "case {case}");
    }
}

#[test]
fn a_change_of_behaviour_cancels_the_state_timer_and_no_other() {
    struct Door(ActorRef<Number>);
    impl Actor for Door {
        type Message = Number;
        fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
            ctx.tell(self.0, number_of(number));
            match number.n.to_native() {
                0 => {
                    ctx.state_timer().after(MS, &Number { n: 100 });
                    ctx.timer("other").after(2 * MS, &Number { n: 200 });
                    Next::Same
                }
                _ => Next::switch(Self::open),
            }
        }
    }
    impl Door {
        fn open(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
            ctx.tell(self.0, number_of(number));
            Next::Same
        }
    }
    fn number_of(number: &Archived<Number>) -> &'static Number {
        // A few values only, so that the helper needs no allocation of its own.
        match number.n.to_native() {
            0 => &Number { n: 0 },
            1 => &Number { n: 1 },
            100 => &Number { n: 100 },
            _ => &Number { n: 200 },
        }
    }
    let mut sim = Simulation::seeded(2);
    let probe = sim.probe::<Number>();
    let to = probe.actor();
    let door = sim.spawn(move || Door(to));
    play(&mut sim, door, 0);
    play(&mut sim, door, 1);
    sim.run_for(10 * MS);
    assert_eq!(numbers(&probe), [0, 1, 200]);
}

#[test]
fn a_receive_timeout_comes_when_no_message_came_for_so_long() {
    let mut sim = Simulation::seeded(2);
    let (puppet, probe) = timed(&mut sim, |ctx| ctx.receive_timeout(10 * MS, &Number { n: 9 }));
    play(&mut sim, puppet, 0);
    for _ in 0..5 {
        sim.run_for(7 * MS);
        play(&mut sim, puppet, 1);
    }
    assert_eq!(numbers(&probe), [1; 5]);
    probe.expect_nothing_for(9 * MS);
    probe.expect_within(2 * MS, |number| number.n == 9);
    // And again, for as long as nothing else comes.
    probe.expect_within(11 * MS, |number| number.n == 9);
}

#[test]
fn a_receive_timeout_can_be_ended() {
    let mut sim = Simulation::seeded(2);
    let (puppet, probe) = timed(&mut sim, |ctx| {
        ctx.receive_timeout(10 * MS, &Number { n: 9 });
        ctx.cancel_receive_timeout();
    });
    play(&mut sim, puppet, 0);
    probe.expect_nothing_for(Duration::from_secs(1));
}

#[test]
fn an_actor_that_stopped_gets_no_timer() {
    let mut sim = Simulation::seeded(2);
    let (puppet, probe) = timed(&mut sim, |ctx| {
        ctx.timer("once").after(MS, &Number { n: 1 });
        ctx.timer("ever").every(MS, &Number { n: 1 });
        ctx.receive_timeout(MS, &Number { n: 1 });
    });
    play(&mut sim, puppet, 0);
    sim.stop(puppet);
    probe.expect_nothing_for(Duration::from_secs(1));
    assert_eq!(sim.dead_letters(Reason::NoActor), 0);
}

#[test]
fn times_beyond_all_bounds_are_times_that_never_come() {
    let mut sim = Simulation::seeded(2);
    let (puppet, probe) = timed(&mut sim, |ctx| {
        ctx.timer("once").after(Duration::MAX, &Number { n: 1 });
        ctx.timer("ever").every(Duration::MAX, &Number { n: 1 });
        ctx.receive_timeout(Duration::MAX, &Number { n: 1 });
    });
    play(&mut sim, puppet, 0);
    probe.expect_nothing_for(Duration::from_secs(86_400));
}

#[test]
fn more_timers_than_the_limit_are_refused_and_the_others_fire() {
    let mut sim = Simulation::seeded(2).limits(|limits| limits.timers = 3);
    let (puppet, probe) = timed(&mut sim, |ctx| {
        for key in 1..=5 {
            ctx.timer(key).after(MS, &Number { n: key });
        }
    });
    play(&mut sim, puppet, 0);
    sim.run_for(10 * MS);
    assert_eq!(numbers(&probe), [1, 2, 3]);
}
