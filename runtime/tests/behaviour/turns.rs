//! A turn is a transaction: what it did appears when it returns, and nothing of it when it fails.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Answerer, Number, Puppet, Question, Text, numbers, play, quietly, texts};

/// Plays `act` in a turn that then fails, by panic and by fault, in a policy that restarts; afterwards the puppet
/// still works. `act` gets a probe on the same core and one on another.
fn in_a_failing_turn(
    act: impl Fn(&mut Context<'_, Puppet>, ActorRef<Number>, ActorRef<Number>) + Copy + 'static,
    check: impl Fn(&mut Simulation),
) {
    quietly();
    for fault in [false, true] {
        Simulation::for_seeds(1..=5, |sim| {
            let mut sim = sim.cores(2);
            let here = sim.probe::<Number>();
            let there = sim.at(0).core(1).probe::<Number>();
            let (near, far) = (here.actor(), there.actor());
            let actors = sim.actors();
            let puppet = sim.at(0).spawn_with(
                move || {
                    Puppet::new(move |ctx, n| {
                        if n == 2 {
                            ctx.tell(near, &Number { n });
                            return Next::Same;
                        }
                        act(ctx, near, far);
                        assert!(fault, "on purpose");
                        Next::Fault
                    })
                },
                |spawn| spawn.on_failure(Restart::at_most(9)).start(),
            );
            play(&mut sim, puppet, 1);
            sim.run_for(Duration::from_secs(2));
            assert_eq!(sim.dead_letters(Reason::TurnFailed), 1);
            assert_eq!((here.waiting(), there.waiting()), (0, 0), "seed {}", sim.seed());
            assert_eq!(sim.actors(), actors + 1);
            check(&mut sim);
            play(&mut sim, puppet, 2);
            assert_eq!(numbers(&here), [2]);
        });
    }
}

#[test]
fn a_failed_turn_sends_nothing_on_its_core() {
    in_a_failing_turn(
        |ctx, near, _| (0..2_000).for_each(|n| ctx.tell(near, &Number { n })),
        |_| {},
    );
}

#[test]
fn a_failed_turn_sends_nothing_to_other_cores() {
    in_a_failing_turn(|ctx, _, far| (0..200).for_each(|n| ctx.tell(far, &Number { n })), |_| {});
}

#[test]
fn a_failed_turn_makes_no_actor() {
    in_a_failing_turn(
        |ctx, near, far| {
            let telling = move || {
                Puppet::idle().on_start(move |ctx| {
                    ctx.tell(near, &Number { n: 7 });
                    Next::Same
                })
            };
            let child = ctx.spawn(telling).named("child").start();
            ctx.tell(child, &Number { n: 1 });
            ctx.spawn_on(1, Puppet::idle, move |_, ctx, _| {
                ctx.tell(far, &Number { n: 8 });
                Next::Same
            });
        },
        |_| {},
    );
}

#[test]
fn a_failed_turn_sets_no_timer() {
    in_a_failing_turn(
        |ctx, _, _| {
            ctx.timer("once").after(Duration::from_millis(1), &Number { n: 2 });
            ctx.timer("ever").every(Duration::from_millis(1), &Number { n: 2 });
            ctx.state_timer().after(Duration::from_millis(1), &Number { n: 2 });
            ctx.receive_timeout(Duration::from_millis(1), &Number { n: 2 });
        },
        |_| {},
    );
}

fn never_answered(
    _: &mut Puppet,
    _: &mut Context<'_, Puppet>,
    _: Result<&Archived<Number>, AskError>,
) -> Next<Puppet> {
    unreachable!("the ask was taken back")
}

#[test]
fn a_failed_turn_asks_nothing() {
    in_a_failing_turn(
        |ctx, near, far| {
            let answerer = ctx.spawn_value(Answerer).expect("room");
            let ask = |reply_to| Question { n: 4, reply_to };
            ctx.ask(answerer, ask, Duration::from_millis(1), never_answered).exclusive();
            ctx.tell(near, &Number { n: 1 });
            ctx.tell(far, &Number { n: 1 });
        },
        |sim| assert_eq!(sim.dead_letters(Reason::LateReply), 0),
    );
}

#[test]
fn a_failed_turn_watches_stops_and_registers_nothing() {
    in_a_failing_turn(
        |ctx, near, far| {
            ctx.watch(near);
            ctx.stop(near);
            ctx.stop(far);
            ctx.register("taken-back");
            ctx.subscribe_name("taken-back");
        },
        |sim| {
            let probe = sim.probe::<Text>();
            let to = probe.actor();
            let looker = sim.spawn(move || {
                Puppet::new(move |ctx, _| {
                    let found = ctx.lookup::<Number>("taken-back").is_ok();
                    ctx.tell(to, &Text { text: format!("found {found}") });
                    Next::Same
                })
            });
            play(sim, looker, 0);
            assert_eq!(texts(&probe), ["found false"]);
            sim.stop(looker);
            sim.stop(to);
            sim.run_until_idle();
        },
    );
}

#[test]
fn a_failed_turn_begins_no_work() {
    in_a_failing_turn(
        |ctx, near, _| {
            ctx.pipe(async { 5 }, move |_: &mut Puppet, ctx, n| {
                ctx.tell(near, &Number { n });
                Next::Same
            });
            ctx.blocking(
                || 6,
                move |_: &mut Puppet, ctx, n| {
                    ctx.tell(near, &Number { n });
                    Next::Same
                },
            );
        },
        |_| {},
    );
}

#[message]
struct Filled {
    filler: Vec<u8>,
}

#[message]
struct Carried {
    what: Local<Arc<()>>,
}

/// Sends a large message and a local payload to its own core and to another, then fails.
struct Carrier {
    large: [ActorRef<Filled>; 2],
    local: [ActorRef<Carried>; 2],
    payload: Arc<()>,
}

impl Actor for Carrier {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Number>) -> Next<Self> {
        for to in self.large {
            ctx.tell(to, &Filled { filler: vec![1; 50_000] });
        }
        for to in self.local {
            let to = ctx.local(to).expect("of this node");
            ctx.tell_local(to, &Carried { what: Local::new(Arc::clone(&self.payload)) });
        }
        panic!("on purpose");
    }
}

struct Refusing;

impl Actor for Refusing {
    type Message = Carried;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Carried>) -> Next<Self> {
        unreachable!("what was sent was taken back")
    }
}

#[test]
fn a_failed_turn_sends_no_large_message_and_frees_local_payloads() {
    quietly();
    let mut sim = Simulation::seeded(3).cores(2).limits(|limits| limits.ring_bytes = 1 << 20);
    let here = sim.probe::<Filled>();
    let there = sim.at(0).core(1).probe::<Filled>();
    let local = [sim.spawn(|| Refusing), sim.at(0).core(1).spawn(|| Refusing)];
    let large = [here.actor(), there.actor()];
    let payload = Arc::new(());
    let kept = Arc::clone(&payload);
    let carrier = sim.spawn(move || Carrier { large, local, payload: Arc::clone(&kept) });
    assert_eq!(Arc::strong_count(&payload), 2);
    play(&mut sim, carrier, 1);
    assert_eq!((here.waiting(), there.waiting()), (0, 0));
    // The carrier is gone with its clone, and what it sent was freed.
    assert_eq!(Arc::strong_count(&payload), 1);
}

#[test]
fn what_a_turn_sent_before_a_later_turn_fails_is_kept() {
    quietly();
    let mut sim = Simulation::seeded(5).cores(2);
    let there = sim.at(0).core(1).probe::<Number>();
    let far = there.actor();
    let puppet = sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            ctx.tell(far, &Number { n });
            assert!(n < 3, "on purpose");
            Next::Same
        })
    });
    for n in 1..=4 {
        sim.tell(puppet, &Number { n });
    }
    sim.run_until_idle();
    assert_eq!(numbers(&there), [1, 2]);
}

#[test]
fn an_injected_panic_fails_the_turn_that_was_meant() {
    quietly();
    let mut sim = Simulation::seeded(5);
    let probe = sim.probe::<Number>();
    let to = probe.actor();
    let state = Rc::new(());
    let kept = Rc::clone(&state);
    let puppet = sim.spawn(move || {
        let kept = Rc::clone(&kept);
        Puppet::new(move |ctx, n| {
            let _kept = &kept;
            ctx.tell(to, &Number { n });
            Next::Same
        })
    });
    sim.panic_turn(puppet, 2);
    for n in 1..=4 {
        sim.tell(puppet, &Number { n });
    }
    sim.run_until_idle();
    assert_eq!(numbers(&probe), [1, 2]);
    assert_eq!(Rc::strong_count(&state), 1, "the failed actor's state is dropped");
}
