//! What happens to an actor that failed: its policy decides, its parent is told, its references stay good.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};

use crate::actors::{Number, Puppet, Text, numbers, play, quietly, texts};

const MS: Duration = Duration::from_millis(1);
const BREAK: u64 = 666;

/// Counts what it gets; tells the count since its start. Breaks on `BREAK`.
fn counting(told: ActorRef<Number>) -> impl Fn() -> Puppet + Copy {
    move || {
        let mut so_far = 0;
        Puppet::new(move |ctx, n| {
            assert_ne!(n, BREAK, "on purpose");
            so_far += 1;
            ctx.tell(told, &Number { n: so_far });
            Next::Same
        })
    }
}

fn supervised(
    sim: &mut Simulation,
    policy: impl Into<OnFailure>,
) -> (ActorRef<Number>, Probe<Number>) {
    quietly();
    let probe = sim.probe::<Number>();
    let factory = counting(probe.actor());
    let actor = sim.at(0).spawn_with(factory, |spawn| spawn.on_failure(policy).start());
    (actor, probe)
}

#[test]
fn a_restart_makes_the_state_anew_and_keeps_the_reference_and_the_messages() {
    Simulation::for_seeds(1..=20, |mut sim| {
        let (actor, probe) = supervised(&mut sim, Restart::at_most(3));
        for n in [1, 1, BREAK, 1, 1, 1] {
            sim.tell(actor, &Number { n });
        }
        sim.run_until_idle();
        assert_eq!(numbers(&probe), [1, 2, 1, 2, 3]);
    });
}

#[test]
fn messages_wait_for_as_long_as_the_pause_lasts() {
    let policy = Restart::at_most(3).backoff(10 * MS..100 * MS);
    let mut sim = Simulation::seeded(3);
    let (actor, probe) = supervised(&mut sim, policy);
    for n in [1, BREAK, 1, 1] {
        sim.tell(actor, &Number { n });
    }
    sim.run_for(9 * MS);
    assert_eq!(numbers(&probe), [1]);
    play(&mut sim, actor, 1);
    sim.run_for(4 * MS);
    assert_eq!(numbers(&probe), [1, 2, 3]);
}

#[test]
fn the_pause_doubles_up_to_its_end_with_a_jitter_of_a_fifth() {
    let mut pauses = Vec::new();
    for seed in 1..=12 {
        let policy = Restart::at_most(5).backoff(10 * MS..40 * MS);
        let mut sim = Simulation::seeded(seed);
        let (actor, probe) = supervised(&mut sim, policy);
        for expected in [10, 20, 40, 40] {
            play(&mut sim, actor, BREAK);
            let failed = sim.now();
            sim.tell(actor, &Number { n: 1 });
            probe.expect_within(Duration::from_secs(1), |number| number.n == 1);
            let pause = sim.now() - failed;
            let least = expected * MS;
            assert!(least <= pause && pause < least * 6 / 5 + MS, "{pause:?} for {least:?}");
            pauses.push(pause);
        }
    }
    let first: Vec<_> = pauses.iter().step_by(4).collect();
    assert!(first.iter().any(|pause| *pause != first[0]), "there is no jitter");
}

#[test]
fn restarts_beyond_the_limit_within_the_window_stop_the_actor() {
    let policy = Restart::at_most(2).within(Duration::from_secs(10));
    let mut sim = Simulation::seeded(3);
    let (actor, probe) = supervised(&mut sim, policy);
    for _ in 0..2 {
        play(&mut sim, actor, BREAK);
    }
    // The window has passed: two more are allowed.
    sim.run_for(Duration::from_secs(11));
    for _ in 0..2 {
        play(&mut sim, actor, BREAK);
    }
    play(&mut sim, actor, 1);
    assert_eq!(numbers(&probe), [1]);
    assert_eq!(sim.actors(), 2);
    play(&mut sim, actor, BREAK);
    assert_eq!(sim.actors(), 1);
    play(&mut sim, actor, 1);
    assert_eq!(sim.dead_letters(Reason::NoActor), 1);
}

/// A parent that spawns on 0 three children with the policy and tells of its signals; each child tells its starts and
/// stops as `name verb`. Number `k` makes child `k` break.
fn family(
    sim: &mut Simulation,
    policy: impl Into<OnFailure>,
    parent_policy: impl Into<OnFailure>,
) -> (ActorRef<Number>, Probe<Text>) {
    quietly();
    let (policy, parent_policy) = (policy.into(), parent_policy.into());
    let probe = sim.probe::<Text>();
    let told = probe.actor();
    let child = move |name: &'static str| {
        move || {
            let tell = move |ctx: &mut Context<'_, Puppet>, verb: &str| {
                ctx.tell(told, &Text { text: format!("{name} {verb}") });
            };
            Puppet::new(|_, _| panic!("on purpose"))
                .on_start(move |ctx| {
                    tell(ctx, "starts");
                    Next::Same
                })
                .on_stop(move |ctx| tell(ctx, "stops"))
        }
    };
    let parent = move || {
        let mut children = Vec::new();
        Puppet::new(move |ctx, n| {
            if n == 0 {
                for name in ["a", "b", "c"] {
                    children.push(ctx.spawn(child(name)).on_failure(policy).start());
                }
            } else {
                ctx.tell(children[n as usize - 1], &Number { n });
            }
            Next::Same
        })
        .on_start(move |ctx| {
            ctx.tell(told, &Text { text: "parent starts".into() });
            Next::Same
        })
        .on_stop(move |ctx| ctx.tell(told, &Text { text: "parent stops".into() }))
        .on_signal(move |ctx, signal| {
            if let Signal::ChildFailed { failure, decision, .. } = signal {
                ctx.tell(told, &Text { text: format!("{failure:?} {decision:?}") });
            }
            Next::Same
        })
    };
    let parent = sim.at(0).spawn_with(parent, |spawn| spawn.on_failure(parent_policy).start());
    play(sim, parent, 0);
    assert_eq!(texts(&probe), ["parent starts", "a starts", "b starts", "c starts"]);
    (parent, probe)
}

#[test]
fn a_failed_child_stops_without_its_last_turn_and_its_parent_is_told() {
    let mut sim = Simulation::seeded(3);
    let (parent, told) = family(&mut sim, OnFailure::Stop, OnFailure::Stop);
    play(&mut sim, parent, 2);
    assert_eq!(texts(&told), ["Panic(\"on purpose\") Stop"]);
    assert_eq!(sim.actors(), 4);
}

#[test]
fn one_for_one_restarts_only_who_failed() {
    let mut sim = Simulation::seeded(3);
    let (parent, told) = family(&mut sim, Restart::at_most(3), OnFailure::Stop);
    play(&mut sim, parent, 2);
    assert_eq!(texts(&told), ["b starts", "Panic(\"on purpose\") Restart { after_ns: 0 }"]);
}

#[test]
fn one_for_all_restarts_all_the_oldest_first() {
    let mut sim = Simulation::seeded(3);
    let policy = Restart::at_most(3).together(Group::OneForAll);
    let (parent, told) = family(&mut sim, policy, OnFailure::Stop);
    play(&mut sim, parent, 2);
    let came = texts(&told);
    assert_eq!(came[..3], ["a starts", "b starts", "c starts"], "{came:?}");
}

#[test]
fn rest_for_one_restarts_who_was_spawned_later() {
    let mut sim = Simulation::seeded(3);
    let policy = Restart::at_most(3).together(Group::RestForOne);
    let (parent, told) = family(&mut sim, policy, OnFailure::Stop);
    play(&mut sim, parent, 2);
    let came = texts(&told);
    assert_eq!(came[..2], ["b starts", "c starts"], "{came:?}");
    assert_eq!(came.len(), 3);
}

#[test]
fn a_group_does_not_bring_back_a_sibling_that_is_stopping() {
    quietly();
    let mut sim = Simulation::seeded(3);
    let policy = Restart::at_most(3).together(Group::OneForAll);
    let parent = sim.spawn(move || {
        let mut children = Vec::new();
        Puppet::new(move |ctx, n| {
            match n {
                0 => {
                    for _ in 0..2 {
                        let with_child = || {
                            Puppet::new(|_, _| panic!("on purpose")).on_start(|ctx| {
                                ctx.spawn(Puppet::idle).start();
                                Next::Same
                            })
                        };
                        children.push(ctx.spawn(with_child).on_failure(policy).start());
                    }
                }
                // The first is stopping, because it has a child, when the second fails.
                _ => {
                    ctx.stop(children[0]);
                    ctx.tell(children[1], &Number { n });
                }
            }
            Next::Same
        })
    });
    play(&mut sim, parent, 0);
    assert_eq!(sim.actors(), 5);
    play(&mut sim, parent, 1);
    assert_eq!(sim.actors(), 3, "the parent, the second child and its own child");
}

#[test]
fn an_escalated_failure_is_the_parents_own() {
    let mut sim = Simulation::seeded(3);
    let (parent, told) = family(&mut sim, OnFailure::Escalate, Restart::at_most(1));
    play(&mut sim, parent, 2);
    let came = texts(&told);
    // The children stop before the parent's next life begins.
    assert_eq!(came, ["c stops", "a stops", "parent starts"]);
    assert_eq!(sim.actors(), 2);
}

#[test]
fn an_escalated_failure_stops_a_parent_without_a_policy() {
    let mut sim = Simulation::seeded(3);
    let (parent, _told) = family(&mut sim, OnFailure::Escalate, OnFailure::Stop);
    play(&mut sim, parent, 2);
    assert_eq!(sim.actors(), 1);
}

#[test]
fn a_panic_in_the_first_turn_counts_as_a_failure() {
    quietly();
    let starts = Rc::new(Cell::new(0));
    let seen = Rc::clone(&starts);
    let mut sim = Simulation::seeded(3);
    sim.at(0).spawn_with(
        move || {
            let starts = Rc::clone(&starts);
            Puppet::idle().on_start(move |_| {
                starts.set(starts.get() + 1);
                assert!(starts.get() == 3, "on purpose");
                Next::Same
            })
        },
        |spawn| spawn.on_failure(Restart::at_most(5)).start(),
    );
    sim.run_until_idle();
    assert_eq!((seen.get(), sim.actors()), (3, 1));
}

#[test]
fn a_sibling_that_restarts_before_its_first_turn_starts_once() {
    quietly();
    let order = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&order);
    let mut sim = Simulation::seeded(3);
    sim.spawn(move || {
        let order = Rc::clone(&order);
        Puppet::idle().on_start(move |ctx| {
            let policy = Restart::at_most(5).together(Group::OneForAll);
            let broken = Rc::clone(&order);
            ctx.spawn(move || {
                let order = Rc::clone(&broken);
                Puppet::idle().on_start(move |_| {
                    order.borrow_mut().push("a");
                    assert!(order.borrow().len() > 1, "on purpose");
                    Next::Same
                })
            })
            .on_failure(policy)
            .start();
            let sound = Rc::clone(&order);
            ctx.spawn(move || {
                let order = Rc::clone(&sound);
                Puppet::idle().on_start(move |_| {
                    order.borrow_mut().push("b");
                    Next::Same
                })
            })
            .on_failure(policy)
            .start();
            Next::Same
        })
    });
    sim.run_until_idle();
    assert_eq!(*seen.borrow(), ["a", "a", "b"]);
}

#[test]
fn a_signal_that_finds_its_actor_failing_in_its_first_turn_waits_for_the_restart() {
    quietly();
    let mut sim = Simulation::seeded(3);
    let told = sim.probe::<Text>();
    let to = told.actor();
    let starts = Rc::new(Cell::new(0));
    let gone = sim.spawn(Puppet::idle);
    sim.stop(gone);
    sim.run_until_idle();
    sim.at(0).spawn_with(
        move || {
            let starts = Rc::clone(&starts);
            Puppet::idle()
                .on_start(move |ctx| {
                    starts.set(starts.get() + 1);
                    ctx.watch(gone);
                    ctx.subscribe_name("nobody");
                    assert!(starts.get() > 1, "on purpose");
                    Next::Same
                })
                .telling_signals(to)
        },
        |spawn| spawn.on_failure(Restart::at_most(5)).named("somebody").start(),
    );
    sim.run_until_idle();
    assert_eq!(texts(&told).len(), 1);
}

#[test]
fn a_factory_that_panics_uses_up_a_restart() {
    quietly();
    let made = Rc::new(Cell::new(0));
    let mut sim = Simulation::seeded(3);
    let seen = Rc::clone(&made);
    let actor = sim.at(0).spawn_with(
        move || {
            made.set(made.get() + 1);
            assert_ne!(made.get(), 2, "on purpose");
            Puppet::new(|_, n| if n == BREAK { Next::Fault } else { Next::Same })
        },
        |spawn| spawn.on_failure(Restart::at_most(2)).start(),
    );
    play(&mut sim, actor, BREAK);
    assert_eq!((seen.get(), sim.actors()), (3, 1));
    play(&mut sim, actor, BREAK);
    assert_eq!((seen.get(), sim.actors()), (3, 0));
}

#[test]
fn panics_in_the_last_turn_in_a_drop_and_in_a_signal_harm_nobody_else() {
    quietly();
    let mut sim = Simulation::seeded(3);
    let told = sim.probe::<Text>();
    let last = sim.spawn(|| Puppet::idle().on_stop(|_| panic!("on purpose")));
    let dropped = sim.spawn(|| Puppet::idle().on_drop(|| panic!("on purpose")));
    let to = told.actor();
    let signalled = sim.spawn(move || {
        Puppet::new(move |ctx, _| {
            ctx.watch(last);
            Next::Same
        })
        .on_signal(|_, _| panic!("on purpose"))
    });
    let watcher = sim.spawn(move || {
        Puppet::new(move |ctx, _| {
            ctx.watch(last);
            ctx.watch(dropped);
            ctx.watch(signalled);
            Next::Same
        })
        .telling_signals(to)
    });
    play(&mut sim, signalled, 0);
    play(&mut sim, watcher, 0);
    sim.stop(last);
    sim.stop(dropped);
    sim.run_until_idle();
    let came = texts(&told);
    assert_eq!(came.len(), 3, "{came:?}");
    assert_eq!(sim.actors(), 2);
}

#[test]
fn what_is_left_at_the_end_of_a_simulation_is_dropped_even_if_one_drop_panics() {
    quietly();
    let dropped = Rc::new(Cell::new(0));
    let mut sim = Simulation::seeded(3);
    for n in 0..5 {
        let dropped = Rc::clone(&dropped);
        sim.spawn(move || {
            let dropped = Rc::clone(&dropped);
            Puppet::idle().on_drop(move || {
                dropped.set(dropped.get() + 1);
                assert_ne!(n, 2, "on purpose");
            })
        });
    }
    sim.run_until_idle();
    drop(sim);
    assert_eq!(dropped.get(), 5);
}
