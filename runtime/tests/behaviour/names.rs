//! Names: one holder on the whole node, looked up without leaving the core.

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};

use crate::actors::{Number, Puppet, Question, Text, numbers, play, texts};

/// Registers as "shop" on 1, gives the name up on 2, tells of signals.
fn shopkeeper(told: ActorRef<Text>) -> impl Fn() -> Puppet + Copy {
    move || {
        Puppet::new(|ctx, n| {
            match n {
                1 => ctx.register("shop"),
                2 => ctx.unregister("shop"),
                _ => {}
            }
            Next::Same
        })
        .telling_signals(told)
    }
}

/// On each number looks "shop" up as `M` and tells what it found.
fn looker(sim: &mut Simulation, core: u16) -> (ActorRef<Number>, Probe<Text>) {
    let told = sim.probe::<Text>();
    let to = told.actor();
    let looker = sim.at(0).core(core).spawn(move || {
        Puppet::new(move |ctx, n| {
            let text = match n {
                0 => match ctx.lookup::<Number>("shop") {
                    Ok(shop) => format!("core {}", shop.core()),
                    Err(LookupError::Unknown { .. }) => "unknown".into(),
                    Err(other) => format!("{other:?}"),
                },
                _ => format!("{:?}", ctx.lookup::<Question>("shop").err()),
            };
            ctx.tell(to, &Text { text });
            Next::Same
        })
    });
    (looker, told)
}

#[test]
fn a_name_is_found_on_every_core_until_its_holder_is_gone() {
    Simulation::for_seeds(1..=20, |sim| {
        let mut sim = sim.cores(3);
        let told = sim.probe::<Text>();
        let shop = sim.at(0).core(2).spawn(shopkeeper(told.actor()));
        let lookers: Vec<_> = (0..3).map(|core| looker(&mut sim, core)).collect();
        let expect = |sim: &mut Simulation, expected: &str| {
            for (looker, found) in &lookers {
                play(sim, *looker, 0);
                assert_eq!(texts(found), [expected]);
            }
        };
        expect(&mut sim, "unknown");
        play(&mut sim, shop, 1);
        expect(&mut sim, "core 2");
        play(&mut sim, shop, 2);
        expect(&mut sim, "unknown");
        play(&mut sim, shop, 1);
        sim.stop(shop);
        sim.run_until_idle();
        expect(&mut sim, "unknown");
    });
}

#[test]
fn of_two_cores_that_race_for_a_name_one_gets_it_and_the_other_is_told() {
    let mut winners = Vec::new();
    Simulation::for_seeds(1..=40, |sim| {
        let mut sim = sim.cores(3);
        let told = [sim.probe::<Text>(), sim.probe::<Text>()];
        let (first, second) = (told[0].actor(), told[1].actor());
        let one = sim.at(0).core(1).spawn(shopkeeper(first));
        let two = sim.at(0).core(2).spawn(shopkeeper(second));
        let (looker, found) = looker(&mut sim, 1);
        sim.tell(one, &Number { n: 1 });
        sim.tell(two, &Number { n: 1 });
        sim.run_until_idle();
        let losses: Vec<_> = told.iter().map(|told| texts(told).len()).collect();
        assert!(losses == [0, 1] || losses == [1, 0], "{losses:?}");
        let winner = if losses == [0, 1] { one } else { two };
        play(&mut sim, looker, 0);
        assert_eq!(texts(&found), [format!("core {}", winner.core())]);
        winners.push(winner.core());
        // The name is free again for the loser.
        let loser = if winner == one { two } else { one };
        sim.stop(winner);
        sim.run_until_idle();
        play(&mut sim, loser, 1);
        play(&mut sim, looker, 0);
        assert_eq!(texts(&found), [format!("core {}", loser.core())]);
    });
    assert!(winners.contains(&1) && winners.contains(&2), "the seeds show only one outcome");
}

#[test]
fn a_name_of_another_type_of_actor_is_refused() {
    let mut sim = Simulation::seeded(3);
    let told = sim.probe::<Text>();
    let shop = sim.spawn(shopkeeper(told.actor()));
    let (looker, found) = looker(&mut sim, 0);
    play(&mut sim, shop, 1);
    play(&mut sim, looker, 1);
    let came = texts(&found);
    assert!(came[0].contains("WrongType") && came[0].contains("Question"), "{came:?}");
}

#[test]
fn whoever_subscribed_to_a_name_learns_of_its_holders() {
    Simulation::for_seeds(1..=20, |sim| {
        let mut sim = sim.cores(2);
        let told = sim.probe::<Text>();
        let to = told.actor();
        let ignored = sim.probe::<Text>();
        let shop = sim.at(0).core(1).spawn(shopkeeper(ignored.actor()));
        let subscriber = sim.spawn(move || {
            Puppet::new(|ctx, _| {
                ctx.subscribe_name("shop");
                Next::Same
            })
            .telling_signals(to)
        });
        play(&mut sim, subscriber, 0);
        assert_eq!(told.waiting(), 0);
        play(&mut sim, shop, 1);
        sim.stop(shop);
        sim.run_until_idle();
        let came = texts(&told);
        assert_eq!(came.len(), 2, "{came:?}");
        assert!(came[0].starts_with("Registered") && came[1].starts_with("Unregistered"));
    });
}

#[test]
fn a_restart_keeps_the_name() {
    let mut sim = Simulation::seeded(3);
    let told = sim.probe::<Text>();
    let factory = shopkeeper(told.actor());
    crate::actors::quietly();
    let shop = sim
        .at(0)
        .spawn_with(factory, |spawn| spawn.on_failure(Restart::at_most(3)).named("shop").start());
    let (looker, found) = looker(&mut sim, 0);
    sim.panic_turn(shop, 0);
    play(&mut sim, shop, 9);
    play(&mut sim, looker, 0);
    assert_eq!(texts(&found), ["core 0"]);
    let probe = sim.probe::<Number>();
    assert_eq!(numbers(&probe), [0; 0]);
}

#[test]
fn what_one_turn_asks_of_another_core_happens_there_in_the_same_order() {
    Simulation::for_seeds(1..=10, |sim| {
        let mut sim = sim.cores(2);
        let fickle = sim.at(0).core(1).spawn(|| {
            Puppet::new(|ctx, _| {
                ctx.register("shop");
                ctx.unregister("shop");
                Next::Same
            })
        });
        let (looker, found) = looker(&mut sim, 0);
        play(&mut sim, fickle, 0);
        play(&mut sim, looker, 0);
        assert_eq!(texts(&found), ["unknown"]);
    });
}
