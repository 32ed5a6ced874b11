//! Whoever watches an actor is told of its end once.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Number, Puppet, Text, play, quietly, texts};

/// Watches `target` on 1, no longer on 2, stops on 3; tells of its signals.
fn watcher(target: ActorRef<Number>, told: ActorRef<Text>) -> impl Fn() -> Puppet {
    move || {
        Puppet::new(move |ctx, n| {
            match n {
                1 => ctx.watch(target),
                2 => ctx.unwatch(target),
                _ => return Next::Stop,
            }
            Next::Same
        })
        .telling_signals(told)
    }
}

fn expect_terminated(came: &[String], reason: &str, seed: u64) {
    assert_eq!(came.len(), 1, "seed {seed}: {came:?}");
    assert!(came[0].starts_with("Terminated") && came[0].contains(reason), "{came:?}");
}

#[test]
fn a_watcher_is_told_once_on_every_core() {
    for target_core in 0..2 {
        Simulation::for_seeds(1..=30, |sim| {
            let mut sim = sim.cores(2);
            let told = sim.probe::<Text>();
            let target = sim.at(0).core(target_core).spawn(Puppet::idle);
            let watching = sim.spawn(watcher(target, told.actor()));
            for _ in 0..3 {
                sim.tell(watching, &Number { n: 1 });
            }
            sim.run_until_idle();
            assert_eq!(told.waiting(), 0);
            sim.stop(target);
            sim.stop(target);
            sim.run_until_idle();
            expect_terminated(&texts(&told), "reason: Stopped", sim.seed());
        });
    }
}

#[test]
fn a_stop_that_races_with_the_watch_is_told_once() {
    Simulation::for_seeds(1..=60, |sim| {
        let mut sim = sim.cores(2);
        let told = sim.probe::<Text>();
        let target = sim.at(0).core(1).spawn(Puppet::idle);
        let watching = sim.spawn(watcher(target, told.actor()));
        sim.tell(watching, &Number { n: 1 });
        sim.stop(target);
        sim.run_until_idle();
        expect_terminated(&texts(&told), "reason", sim.seed());
    });
}

#[test]
fn an_actor_that_is_gone_already_is_told_as_such() {
    for target_core in 0..2 {
        let mut sim = Simulation::seeded(4).cores(2);
        let told = sim.probe::<Text>();
        let target = sim.at(0).core(target_core).spawn(Puppet::idle);
        let watching = sim.spawn(watcher(target, told.actor()));
        sim.stop(target);
        sim.run_until_idle();
        // A later actor in the same place is not the one that is watched.
        let _other = sim.at(0).core(target_core).spawn(Puppet::idle);
        play(&mut sim, watching, 1);
        expect_terminated(&texts(&told), "NoActor", 4);
    }
}

#[test]
fn a_failed_actor_is_told_as_failed() {
    quietly();
    let mut sim = Simulation::seeded(4);
    let told = sim.probe::<Text>();
    let target = sim.spawn(Puppet::idle);
    let watching = sim.spawn(watcher(target, told.actor()));
    play(&mut sim, watching, 1);
    sim.panic_turn(target, 0);
    play(&mut sim, target, 0);
    expect_terminated(&texts(&told), "reason: Failed", 4);
}

#[test]
fn who_no_longer_watches_is_not_told_even_of_what_is_on_its_way() {
    Simulation::for_seeds(1..=60, |sim| {
        let mut sim = sim.cores(2);
        let told = sim.probe::<Text>();
        let target = sim.at(0).core(1).spawn(Puppet::idle);
        let watching = sim.spawn(watcher(target, told.actor()));
        play(&mut sim, watching, 1);
        // The news waits in the ring while the watch ends.
        sim.at(0).core(1).delay_ring_to(0, Duration::from_millis(1));
        sim.stop(target);
        play(&mut sim, watching, 2);
        sim.run_for(Duration::from_millis(2));
        assert_eq!(texts(&told), [""; 0], "seed {}", sim.seed());
    });
}

#[test]
fn a_watch_that_begins_anew_is_told_once() {
    Simulation::for_seeds(1..=60, |sim| {
        let mut sim = sim.cores(2);
        let told = sim.probe::<Text>();
        let target = sim.at(0).core(1).spawn(Puppet::idle);
        let watching = sim.spawn(watcher(target, told.actor()));
        for n in [1, 2, 1] {
            sim.tell(watching, &Number { n });
        }
        sim.stop(target);
        sim.run_until_idle();
        expect_terminated(&texts(&told), "reason", sim.seed());
    });
}

#[test]
fn a_watcher_that_ends_first_leaves_nothing_behind() {
    Simulation::for_seeds(1..=30, |sim| {
        let mut sim = sim.cores(2);
        let told = sim.probe::<Text>();
        let target = sim.at(0).core(1).spawn(Puppet::idle);
        let watching = sim.spawn(watcher(target, told.actor()));
        play(&mut sim, watching, 1);
        sim.tell(watching, &Number { n: 3 });
        sim.stop(target);
        sim.run_until_idle();
        assert_eq!(sim.actors(), 1, "only the probe is left");
        assert_eq!(texts(&told), [""; 0]);
    });
}

#[test]
fn an_actor_on_a_node_without_a_route_is_unreachable() {
    let mut sim = Simulation::seeded(4).nodes(2);
    let told = sim.probe::<Text>();
    let target = sim.at(1).spawn(Puppet::idle);
    let watching = sim.spawn(watcher(target, told.actor()));
    play(&mut sim, watching, 1);
    expect_terminated(&texts(&told), "Unreachable", 4);
}
