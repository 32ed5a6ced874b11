//! The testkit's own promises: quiet, misuse, references of other simulations.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Number, Puppet, numbers, play, quietly};

/// The text of the panic in which `test` ends.
fn failure_of(test: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let failed = std::panic::catch_unwind(test).expect_err("the test must fail");
    match failed.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().expect("a panic with text")).to_owned(),
    }
}

fn timed(every: bool) -> impl Fn() -> Puppet + Copy {
    move || {
        Puppet::idle().on_start(move |ctx| {
            let timer = ctx.timer("tick");
            match every {
                true => timer.every(Duration::from_secs(1), &Number { n: 0 }),
                false => timer.after(Duration::from_secs(1), &Number { n: 0 }),
            }
            Next::Same
        })
    }
}

#[test]
fn a_simulation_is_quiet_when_nothing_lies_ahead() {
    let mut sim = Simulation::seeded(1).cores(2);
    sim.spawn(timed(false));
    sim.at(0).core(1).stall(Duration::from_millis(700));
    sim.at(0).core(1).delay_ring_to(0, Duration::from_millis(900));
    sim.assert_quiet_within(Duration::from_secs(60));
    assert!(sim.now() < Duration::from_secs(2), "it waited longer than it had to: {:?}", sim.now());
}

#[test]
fn what_is_not_quiet_is_named() {
    let text = failure_of(|| {
        let mut sim = Simulation::seeded(1).cores(2);
        sim.spawn(timed(true));
        sim.assert_quiet_within(Duration::from_secs(5));
    });
    assert!(text.contains("1 timers on core 0 of node 0"), "{text}");
}

#[test]
fn a_simulation_used_inside_a_handler_fails_the_test_and_says_so() {
    let text = failure_of(|| {
        let mut sim = Simulation::seeded(1);
        let place = std::rc::Rc::new(sim.at(0));
        let misusing = sim.spawn(move || {
            let place = std::rc::Rc::clone(&place);
            Puppet::new(move |_, _| {
                place.stall(Duration::from_secs(1));
                Next::Same
            })
        });
        play(&mut sim, misusing, 1);
    });
    assert!(text.contains("used inside a handler"), "{text}");
    // The next test of the thread starts anew.
    let mut sim = Simulation::seeded(1);
    let sound = sim.spawn(Puppet::idle);
    play(&mut sim, sound, 1);
}

#[test]
fn a_reference_of_another_simulation_reaches_nobody() {
    quietly();
    let mut one = Simulation::seeded(1);
    let mut two = Simulation::seeded(1);
    let mine = one.spawn(|| Puppet::new(|_, _| panic!("on purpose")));
    let theirs = two.spawn(Puppet::idle);
    assert_ne!(mine, theirs);
    let probe = two.probe::<Number>();
    play(&mut two, mine, 1);
    two.stop(mine);
    two.run_until_idle();
    assert_eq!((two.dead_letters(Reason::NoRoute), two.actors()), (1, 2));
    assert_eq!(numbers(&probe), [0; 0]);
}

#[test]
fn a_node_that_restarts_begins_empty_and_under_another_incarnation() {
    let mut sim = Simulation::seeded(1).nodes(2).cores(2);
    let before = sim.incarnation(1);
    let old = sim.at(1).core(1).spawn(Puppet::idle);
    sim.at(1).stall(Duration::from_secs(60));
    sim.restart(1);
    assert!(sim.incarnation(1) > before);
    assert_eq!((sim.actors(), sim.node_count(), sim.core_count()), (0, 2, 2));
    let probe = sim.at(1).probe::<Number>();
    let told = probe.actor();
    let telling = sim.at(1).core(1).spawn(move || {
        Puppet::new(move |ctx, n| {
            ctx.tell(told, &Number { n });
            ctx.tell(old, &Number { n });
            Next::Same
        })
    });
    play(&mut sim, telling, 7);
    assert_eq!(numbers(&probe), [7]);
    assert_eq!(sim.dead_letters(Reason::NoRoute), 1, "nobody of the old life is there");
}
