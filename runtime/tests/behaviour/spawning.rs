//! Actors are made here and on other cores, by factories that may fail.

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};

use crate::actors::{Number, Puppet, Text, numbers, play, quietly, texts};

/// Spawns on core `n` an actor made by `factory`, which gets the number 7 when it is there; tells of signals.
fn spawner(
    sim: &mut Simulation,
    factory: impl Fn() -> Puppet + Copy + Send + 'static,
) -> (ActorRef<Number>, Probe<Text>) {
    let told = sim.probe::<Text>();
    let to = told.actor();
    let spawner = sim.at(0).spawn_with(
        move || {
            Puppet::new(move |ctx, n| {
                if n == 666 {
                    return Next::Fault;
                }
                ctx.spawn_on(n as u16, factory, |_: &mut Puppet, ctx, made| {
                    ctx.tell(made, &Number { n: 7 });
                    Next::Same
                });
                Next::Same
            })
            .telling_signals(to)
        },
        |spawn| spawn.on_failure(Restart::at_most(5)).start(),
    );
    (spawner, told)
}

#[test]
fn an_actor_is_made_on_the_core_that_was_named_and_stops_with_who_wanted_it() {
    for core in 0..3 {
        Simulation::for_seeds(1..=20, |sim| {
            let mut sim = sim.cores(3);
            let probe = sim.probe::<Number>();
            let to = probe.actor();
            let (spawner, told) = spawner(&mut sim, move || {
                Puppet::new(move |ctx, n| {
                    ctx.tell(to, &Number { n: ctx.core() as u64 * 100 + n });
                    Next::Same
                })
            });
            play(&mut sim, spawner, core);
            assert_eq!(numbers(&probe), [core * 100 + 7]);
            assert_eq!(sim.actors(), 4);
            sim.stop(spawner);
            sim.run_until_idle();
            assert_eq!(sim.actors(), 2);
            assert_eq!(told.waiting(), 0);
        });
    }
}

#[test]
fn an_actor_on_another_core_stops_when_who_wanted_it_restarts() {
    quietly();
    Simulation::for_seeds(1..=40, |sim| {
        let mut sim = sim.cores(2);
        let (spawner, _told) = spawner(&mut sim, Puppet::idle);
        // Whether it is there already when the restart comes, depends on the seed.
        sim.tell(spawner, &Number { n: 1 });
        sim.tell(spawner, &Number { n: 666 });
        sim.run_until_idle();
        assert_eq!(sim.actors(), 2, "seed {}", sim.seed());
        sim.tell(spawner, &Number { n: 1 });
        sim.stop(spawner);
        sim.run_until_idle();
        assert_eq!(sim.actors(), 1, "seed {}", sim.seed());
    });
}

#[test]
fn a_factory_that_panics_on_another_core_is_told_and_harms_nobody() {
    quietly();
    for core in 0..2 {
        let mut sim = Simulation::seeded(4).cores(2);
        let (spawner, told) = spawner(&mut sim, || panic!("on purpose"));
        play(&mut sim, spawner, core);
        let came = texts(&told);
        assert!(came.len() == 1 && came[0].contains("SpawnFailed"), "{came:?}");
        assert!(came[0].contains("Panicked"), "{came:?}");
        assert_eq!(sim.actors(), 2);
    }
}

#[test]
fn a_core_that_does_not_exist_is_told() {
    let mut sim = Simulation::seeded(4).cores(2);
    let (spawner, told) = spawner(&mut sim, Puppet::idle);
    play(&mut sim, spawner, 9);
    let came = texts(&told);
    assert!(came.len() == 1 && came[0].contains("NoCore"), "{came:?}");
}

#[test]
fn at_the_limit_of_actors_a_spawn_is_refused_and_its_reference_leads_nowhere() {
    let mut sim = Simulation::seeded(4).cores(2).limits(|limits| limits.actors = 3);
    let (spawner, told) = spawner(&mut sim, Puppet::idle);
    let refused = sim.spawn(|| {
        Puppet::new(|ctx, n| {
            assert_eq!(ctx.spawn(Puppet::idle).try_start(), Err(SpawnError { limit: 3 }));
            assert!(ctx.spawn_value(Puppet::idle()).is_err());
            let nowhere = ctx.spawn(Puppet::idle).start();
            ctx.tell(nowhere, &Number { n });
            Next::Same
        })
    });
    play(&mut sim, refused, 5);
    assert_eq!(sim.dead_letters(Reason::NoActor), 1);
    for _ in 0..4 {
        play(&mut sim, spawner, 1);
    }
    let came = texts(&told);
    assert!(came.len() == 1 && came[0].contains("Full { limit: 3 }"), "{came:?}");
}

#[test]
fn an_actor_knows_its_parent_and_its_children() {
    let mut sim = Simulation::seeded(4);
    let parent = sim.spawn(|| {
        Puppet::new(|ctx, _| {
            let me = ctx.me().address();
            let child = ctx
                .spawn(move || {
                    Puppet::idle().on_start(move |ctx| {
                        assert_eq!(ctx.parent(), Some(me));
                        Next::Same
                    })
                })
                .start();
            assert_eq!(ctx.children(), [child.address()]);
            assert_eq!(ctx.parent(), None);
            Next::Same
        })
    });
    play(&mut sim, parent, 0);
    assert_eq!(sim.actors(), 2);
}
