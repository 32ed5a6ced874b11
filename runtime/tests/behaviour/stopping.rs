//! Actors stop children first, and what they have not handled is counted.

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Answerer, Number, Puppet, Question, Text, numbers, play, texts};

/// A tree: each actor down to depth 0 spawns two children at its start and tells its name when it stops.
fn tree(name: String, depth: u32, told: ActorRef<Text>) -> Puppet {
    let last = name.clone();
    Puppet::new(|_, _| Next::Stop)
        .on_start(move |ctx| {
            for child in (0..2).filter(|_| depth > 0) {
                let name = format!("{name}{child}");
                ctx.spawn(move || tree(name.clone(), depth - 1, told)).start();
            }
            Next::Same
        })
        .on_stop(move |ctx| ctx.tell(told, &Text { text: last.clone() }))
}

#[test]
fn children_stop_before_their_parents() {
    Simulation::for_seeds(1..=20, |mut sim| {
        let told = sim.probe::<Text>();
        let to = told.actor();
        let root = sim.spawn(move || tree("r".into(), 3, to));
        sim.run_until_idle();
        assert_eq!(sim.actors(), 16);
        play(&mut sim, root, 0);
        let came = texts(&told);
        assert_eq!((came.len(), sim.actors()), (15, 1));
        for (at, name) in came.iter().enumerate() {
            let later =
                came[at..].iter().any(|other| other.len() > name.len() && other.starts_with(name));
            assert!(!later, "{name} stopped before a child: {came:?}");
        }
    });
}

#[test]
fn an_actor_that_stops_leaves_dead_letters() {
    let mut sim = Simulation::seeded(3);
    let actor = sim.spawn(|| Puppet::new(|_, _| Next::Stop));
    for n in 0..5 {
        sim.tell(actor, &Number { n });
    }
    sim.run_until_idle();
    let counted = sim.dead_letters(Reason::Stopping) + sim.dead_letters(Reason::NoActor);
    assert_eq!(counted, 4);
}

#[test]
fn the_last_turn_can_still_send() {
    let mut sim = Simulation::seeded(3).cores(2);
    let told = sim.at(0).core(1).probe::<Text>();
    let to = told.actor();
    let actor = sim.spawn(move || {
        Puppet::idle().on_stop(move |ctx| ctx.tell(to, &Text { text: "goodbye".into() }))
    });
    sim.run_until_idle();
    sim.stop(actor);
    sim.run_until_idle();
    assert_eq!(texts(&told), ["goodbye"]);
}

#[test]
fn an_actor_that_has_nothing_but_its_state_is_gone_within_its_turn() {
    let mut sim = Simulation::seeded(3);
    let told = sim.probe::<Text>();
    let to = told.actor();
    let actor = sim.spawn(move || {
        Puppet::new(|_, _| Next::Stop)
            .on_stop(move |ctx| ctx.tell(to, &Text { text: "goodbye".into() }))
    });
    sim.run_until_idle();
    sim.tell(actor, &Number { n: 0 });
    sim.tell(actor, &Number { n: 1 });
    sim.run_until_idle();
    assert_eq!((texts(&told).len(), sim.actors()), (1, 1));
    // The second message found nobody, rather than one who was about to leave.
    let lost = (sim.dead_letters(Reason::NoActor), sim.dead_letters(Reason::Stopping));
    assert_eq!(lost, (1, 0));
}

#[test]
fn children_that_the_last_turn_makes_do_not_outlive_it() {
    Simulation::for_seeds(1..=20, |mut sim| {
        let told = sim.probe::<Text>();
        let to = told.actor();
        let parent = sim.spawn(move || {
            Puppet::new(|_, _| Next::Stop).on_stop(move |ctx| {
                for _ in 0..3 {
                    ctx.spawn(Puppet::idle).start();
                    ctx.spawn(Puppet::idle).on_failure(Restart::at_most(1)).start();
                }
                ctx.tell(to, &Text { text: "goodbye".into() });
            })
        });
        sim.run_until_idle();
        play(&mut sim, parent, 0);
        // Those who come into the freed places have children of their own only.
        let heir = sim.spawn(|| Puppet::new(|_, _| Next::Stop));
        sim.run_until_idle();
        assert_eq!((texts(&told).len(), sim.actors()), (1, 2));
        play(&mut sim, heir, 0);
        assert_eq!(sim.actors(), 1);
    });
}

#[test]
fn an_actor_stops_another_on_any_core() {
    Simulation::for_seeds(1..=20, |sim| {
        let mut sim = sim.cores(2);
        let far = sim.at(0).core(1).spawn(Puppet::idle);
        let near = sim.spawn(Puppet::idle);
        let stopper = sim.spawn(move || {
            Puppet::new(move |ctx, _| {
                ctx.stop(near);
                ctx.stop(far);
                ctx.stop(far);
                Next::Same
            })
        });
        play(&mut sim, stopper, 0);
        assert_eq!(sim.actors(), 1);
    });
}

#[test]
fn an_actor_that_stops_in_turn_handles_what_was_sent_before() {
    for core in 0..2 {
        Simulation::for_seeds(1..=20, |sim| {
            let mut sim = sim.cores(2);
            let told = sim.at(0).core(core).probe::<Number>();
            let to = told.actor();
            let echo = sim.at(0).core(core).spawn(move || {
                Puppet::new(move |ctx, n| {
                    ctx.tell(to, &Number { n });
                    Next::Same
                })
            });
            let stopper = sim.spawn(move || {
                Puppet::new(move |ctx, n| {
                    ctx.tell(echo, &Number { n });
                    assert_eq!(ctx.stop_in_turn(echo), Ok(()));
                    ctx.tell(echo, &Number { n: n + 1 });
                    Next::Same
                })
            });
            play(&mut sim, stopper, 5);
            assert_eq!(numbers(&told), [5], "what came before the stop, and nothing behind it");
            assert_eq!(sim.dead_letters(Reason::NoActor), 1);
        });
    }
}

#[test]
fn an_actor_that_waits_for_an_answer_stops_in_turn_behind_it() {
    let mut sim = Simulation::seeded(3);
    let told = sim.probe::<Number>();
    let to = told.actor();
    let oracle = sim.spawn(|| Answerer);
    let asker = sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            if n > 1 {
                ctx.tell(to, &Number { n });
                return Next::Same;
            }
            let second = std::time::Duration::from_secs(1);
            let question = |reply_to| Question { n, reply_to };
            ctx.ask(
                oracle,
                question,
                second,
                |_: &mut Puppet, ctx, answer: Result<&Archived<Number>, _>| {
                    let _ = (ctx.core(), answer.is_ok());
                    Next::Same
                },
            )
            .exclusive();
            Next::Same
        })
    });
    let stopper = sim.spawn(move || {
        Puppet::new(move |ctx, _| {
            for n in [1, 2, 3] {
                ctx.tell(asker, &Number { n });
            }
            let _ = ctx.stop_in_turn(asker);
            ctx.tell(asker, &Number { n: 4 });
            Next::Same
        })
    });
    play(&mut sim, stopper, 0);
    assert_eq!(numbers(&told), [2, 3]);
}

/// Tracks its children: tells of each that is gone.
struct Tracker {
    told: ActorRef<Text>,
}

impl Actor for Tracker {
    type Message = Number;
    const TRACKS_CHILDREN: bool = true;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        let fails = number.n == 1;
        let child = ctx.spawn(move || {
            Puppet::idle().on_start(move |_| if fails { Next::Fault } else { Next::Stop })
        });
        child.start();
        Next::Same
    }

    fn signal(&mut self, ctx: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        if let Signal::ChildStopped { reason, .. } = signal {
            ctx.tell(self.told, &Text { text: format!("{reason:?}") });
        }
        Next::Same
    }
}

#[test]
fn an_actor_that_tracks_its_children_is_told_of_the_end_of_each() {
    let mut sim = Simulation::seeded(3);
    let told = sim.probe::<Text>();
    let to = told.actor();
    let tracker = sim.spawn(move || Tracker { told: to });
    for n in [0, 1, 0] {
        sim.tell(tracker, &Number { n });
    }
    sim.run_until_idle();
    assert_eq!(texts(&told), ["Stopped", "Failed", "Stopped"]);
}

/// Stops whoever asks, by the address for the answer.
struct Rude;

impl Actor for Rude {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<Self>, question: &Archived<Question>) -> Next<Self> {
        ctx.stop(question.reply_to);
        Next::Same
    }
}

#[test]
fn the_address_for_an_answer_is_no_actor_that_could_be_stopped() {
    let mut sim = Simulation::seeded(3);
    let rude = sim.spawn(|| Rude);
    let askers: Vec<_> = (0..8)
        .map(|_| {
            sim.spawn(move || {
                Puppet::new(move |ctx, n| {
                    let second = std::time::Duration::from_secs(1);
                    let question = |reply_to| Question { n, reply_to };
                    let answered =
                        |_: &mut Puppet,
                         _: &mut Context<'_, Puppet>,
                         _: Result<&Archived<Number>, AskError>| Next::Same;
                    ctx.ask(rude, question, second, answered);
                    Next::Same
                })
            })
        })
        .collect();
    for n in 0..4 {
        for asker in &askers {
            sim.tell(*asker, &Number { n });
        }
        sim.run_until_idle();
        sim.advance(std::time::Duration::from_secs(2));
        sim.run_until_idle();
    }
    assert_eq!(sim.actors(), 9, "the same numbers as those of questions are those of actors");
}
