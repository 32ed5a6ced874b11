//! What is not delivered is counted by reason, and told to whoever subscribed.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Number, Puppet, Text, play, quietly, texts};

/// Tells the reasons of dead letters after 1; stops on 2.
struct Listener(ActorRef<Text>);

impl Actor for Listener {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        if number.n == 2 {
            return Next::Stop;
        }
        ctx.subscribe_dead_letters();
        Next::Same
    }
}

impl Port<DeadLetter> for Listener {
    fn receive(&mut self, ctx: &mut Context<Self>, letter: &Archived<DeadLetter>) -> Next<Self> {
        let reason = letter.reason().map_or("?", Reason::name);
        let core = letter.receiver().core();
        ctx.tell(self.0, &Text { text: format!("{reason} {core}") });
        Next::Same
    }
}

#[test]
fn subscribers_learn_of_the_dead_letters_of_all_cores() {
    Simulation::for_seeds(1..=20, |sim| {
        let mut sim = sim.cores(2);
        let told = sim.probe::<Text>();
        let to = told.actor();
        let listener = sim.spawn(move || Listener(to));
        play(&mut sim, listener, 1);
        for core in 0..2 {
            let gone = sim.at(0).core(core).spawn(Puppet::idle);
            sim.stop(gone);
            sim.run_until_idle();
            // Nothing else happens on that core afterwards.
            play(&mut sim, gone, 0);
            assert_eq!(texts(&told), [format!("no_actor {core}")], "seed {}", sim.seed());
        }
    });
}

#[test]
fn a_failing_turn_does_not_take_back_news_of_dead_letters() {
    quietly();
    let mut sim = Simulation::seeded(3);
    let told = sim.probe::<Text>();
    let to = told.actor();
    let listener = sim.spawn(move || Listener(to));
    play(&mut sim, listener, 1);
    let gone = sim.spawn(Puppet::idle);
    sim.stop(gone);
    let failing = sim.spawn(|| Puppet::new(|_, _| panic!("on purpose")));
    sim.run_until_idle();
    sim.tell(gone, &Number { n: 0 });
    sim.tell(failing, &Number { n: 0 });
    sim.run_until_idle();
    assert_eq!(texts(&told), ["no_actor 0", "turn_failed 0"]);
}

#[test]
fn a_subscriber_that_is_gone_is_told_nothing_and_its_place_is_free() {
    let mut sim = Simulation::seeded(3).cores(2);
    let told = sim.probe::<Text>();
    let to = told.actor();
    // More than the limit of subscribers, one after the other.
    for _ in 0..70 {
        let listener = sim.spawn(move || Listener(to));
        play(&mut sim, listener, 1);
        play(&mut sim, listener, 2);
    }
    let listener = sim.spawn(move || Listener(to));
    play(&mut sim, listener, 1);
    let gone = sim.at(0).core(1).spawn(Puppet::idle);
    sim.stop(gone);
    sim.run_until_idle();
    play(&mut sim, gone, 0);
    assert_eq!(texts(&told), ["no_actor 1"]);
    assert_eq!(sim.dead_letters(Reason::NoActor), 1);
}

#[test]
fn a_full_ring_refuses_and_a_full_queue_does_too() {
    let mut sim = Simulation::seeded(3).cores(2).limits(|limits| {
        limits.ring_bytes = 4096;
        limits.local_queue_bytes = 2 * 16 * 1024;
    });
    let far = sim.at(0).core(1).spawn(Puppet::idle);
    let near = sim.spawn(Puppet::idle);
    let sender = sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            let to = if n == 0 { near } else { far };
            let results: Vec<_> = (0..5_000).map(|n| ctx.try_tell(to, &Number { n })).collect();
            assert_eq!(results.first(), Some(&Ok(())));
            assert_eq!(results.last(), Some(&Err(TellError::Full)));
            // What is told, not tried, is counted.
            ctx.tell(to, &Number { n });
            Next::Same
        })
    });
    play(&mut sim, sender, 0);
    assert_eq!(sim.dead_letters(Reason::Full), 1);
    play(&mut sim, sender, 1);
    assert_eq!(sim.dead_letters(Reason::Full), 2);
}

#[test]
fn a_ring_that_is_said_to_be_full_is_so_until_it_is_not_and_parcels_wait() {
    let mut sim = Simulation::seeded(3).cores(2);
    let told = sim.probe::<Text>();
    let far = sim.at(0).core(1).spawn(Puppet::idle);
    let watcher = {
        let to = told.actor();
        sim.spawn(move || {
            Puppet::new(move |ctx, n| {
                match n {
                    0 => ctx.watch(far),
                    _ => ctx.stop(far),
                }
                Next::Same
            })
            .telling_signals(to)
        })
    };
    sim.run_until_idle();
    sim.at(0).fill_ring_to(1, true);
    play(&mut sim, watcher, 0);
    play(&mut sim, watcher, 1);
    sim.run_for(Duration::from_secs(1));
    assert_eq!((told.waiting(), sim.actors()), (0, 3));
    sim.at(0).fill_ring_to(1, false);
    sim.run_until_idle();
    let came = texts(&told);
    assert!(came.len() == 1 && came[0].contains("Stopped"), "{came:?}");
}

#[test]
fn a_message_over_the_limit_is_refused_on_every_way() {
    #[message]
    struct Big {
        bytes: Vec<u8>,
    }
    struct Sender([ActorRef<Big>; 2]);
    impl Actor for Sender {
        type Message = Number;
        fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Number>) -> Next<Self> {
            for to in self.0 {
                let sent = ctx.try_tell(to, &Big { bytes: vec![0; 200_000] });
                assert_eq!(sent, Err(TellError::Oversized { limit_bytes: 100_000 }));
                ctx.tell(to, &Big { bytes: vec![0; 200_000] });
                ctx.tell(to, &Big { bytes: vec![0; 90_000] });
            }
            Next::Same
        }
    }
    let mut sim = Simulation::seeded(3).cores(2).limits(|limits| limits.message_bytes = 100_000);
    let probes = [sim.probe::<Big>(), sim.at(0).core(1).probe::<Big>()];
    let to = [probes[0].actor(), probes[1].actor()];
    let sender = sim.spawn(move || Sender(to));
    play(&mut sim, sender, 0);
    assert_eq!(sim.dead_letters(Reason::Oversized), 2);
    assert_eq!((probes[0].waiting(), probes[1].waiting()), (1, 1));
}

#[test]
fn a_node_without_a_route_is_a_reason() {
    let mut sim = Simulation::seeded(3).nodes(2);
    let far = sim.at(1).spawn(Puppet::idle);
    let sender = sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            assert_eq!(ctx.try_tell(far, &Number { n }), Err(TellError::NoRoute));
            ctx.tell(far, &Number { n });
            Next::Same
        })
    });
    play(&mut sim, sender, 0);
    assert_eq!(sim.dead_letters(Reason::NoRoute), 1);
}
