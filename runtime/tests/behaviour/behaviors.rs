//! Behaviours, the stash and ports: which handler gets a message, and in which order.

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Number, Text, numbers, play};

/// Stashes odd numbers until 100 opens it; then tells everything, until 200 shuts it again.
struct Gate(ActorRef<Number>);

impl Actor for Gate {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        match number.n.to_native() {
            100 => Next::Become(Behavior::entering(Self::open, Self::opened)),
            n if n % 2 == 1 => Next::Stash,
            n => {
                ctx.tell(self.0, &Number { n });
                Next::Same
            }
        }
    }
}

impl Gate {
    fn opened(&mut self, ctx: &mut Context<Self>) {
        ctx.tell(self.0, &Number { n: 1_000 });
    }

    fn open(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        let n = number.n.to_native();
        ctx.tell(self.0, &Number { n: 1_000 + n });
        if n == 200 { Next::switch(Self::shut) } else { Next::Same }
    }

    fn shut(&mut self, _: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        if number.n == 100 { Next::switch(Self::open) } else { Next::Stash }
    }
}

#[test]
fn stashed_messages_come_in_order_after_the_enter_function_and_before_all_others() {
    for core in 0..2 {
        Simulation::for_seeds(1..=20, |sim| {
            let mut sim = sim.cores(2);
            let probe = sim.probe::<Number>();
            let to = probe.actor();
            let gate = sim.at(0).core(core).spawn(move || Gate(to));
            for n in [1, 2, 3, 4, 5, 100, 7, 8] {
                sim.tell(gate, &Number { n });
            }
            sim.run_until_idle();
            assert_eq!(numbers(&probe), [2, 4, 1_000, 1_001, 1_003, 1_005, 1_007, 1_008]);
        });
    }
}

#[test]
fn a_switch_in_the_middle_of_the_stash_leaves_the_rest_for_the_next_behaviour() {
    let mut sim = Simulation::seeded(3);
    let probe = sim.probe::<Number>();
    let to = probe.actor();
    let gate = sim.spawn(move || Gate(to));
    for n in [1, 3, 100, 200, 5, 7, 200, 9, 100, 11] {
        sim.tell(gate, &Number { n });
    }
    sim.run_until_idle();
    // Shut by the first 200; opened by 100, which replays 5, 7 and the second 200, which shuts it before 9.
    assert_eq!(numbers(&probe), [1_000, 1_001, 1_003, 1_200, 1_005, 1_007, 1_200]);
    play(&mut sim, gate, 100);
    assert_eq!(numbers(&probe), [1_009, 1_011]);
}

#[test]
fn what_the_stash_has_no_room_for_is_a_dead_letter() {
    let mut sim = Simulation::seeded(3).limits(|limits| limits.stash_bytes = 100);
    let probe = sim.probe::<Number>();
    let to = probe.actor();
    let gate = sim.spawn(move || Gate(to));
    for n in [1, 3, 5, 7, 9, 11, 13] {
        play(&mut sim, gate, n);
    }
    let refused = sim.dead_letters(Reason::StashFull);
    assert!(refused > 0);
    play(&mut sim, gate, 100);
    let came = numbers(&probe);
    assert_eq!(came.len() as u64, 1 + 7 - refused);
    assert_eq!(came[1..], [1_001, 1_003, 1_005, 1_007, 1_009, 1_011, 1_013][..came.len() - 1]);
}

#[test]
fn what_is_in_the_stash_of_an_actor_that_stops_is_counted() {
    let mut sim = Simulation::seeded(3);
    let probe = sim.probe::<Number>();
    let to = probe.actor();
    let gate = sim.spawn(move || Gate(to));
    for n in [1, 3, 5] {
        play(&mut sim, gate, n);
    }
    sim.stop(gate);
    sim.run_until_idle();
    assert_eq!(sim.dead_letters(Reason::Stopping), 3);
}

#[test]
fn the_trace_names_behaviours() {
    let mut sim = Simulation::seeded(3);
    let probe = sim.probe::<Number>();
    let to = probe.actor();
    let gate = sim.spawn(move || Gate(to));
    for n in [100, 1, 200, 5] {
        play(&mut sim, gate, n);
    }
    let trace = sim.trace();
    assert!(trace.contains("Gate::open "), "{trace}");
    assert!(trace.contains("Gate::shut "), "{trace}");
}

/// Tells numbers as they are, and the lengths of texts that come by its port.
struct Bilingual(ActorRef<Number>);

impl Actor for Bilingual {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        match number.n.to_native() {
            0 => {
                let port = ctx.port::<Text>();
                assert_eq!(port, ctx.port::<Text>());
                ctx.tell(port, &Text { text: "four".into() });
            }
            n => ctx.tell(self.0, &Number { n }),
        }
        Next::Same
    }
}

impl Port<Text> for Bilingual {
    fn receive(&mut self, ctx: &mut Context<Self>, text: &Archived<Text>) -> Next<Self> {
        ctx.tell(self.0, &Number { n: 100 + text.text.len() as u64 });
        if text.text.is_empty() { Next::Stop } else { Next::Same }
    }
}

#[test]
fn a_port_is_another_protocol_of_the_same_actor() {
    let mut sim = Simulation::seeded(3);
    let probe = sim.probe::<Number>();
    let to = probe.actor();
    let actor = sim.spawn(move || Bilingual(to));
    play(&mut sim, actor, 0);
    play(&mut sim, actor, 3);
    assert_eq!(numbers(&probe), [104, 3]);
}

/// Hands the reference to its port to whoever asks.
struct Opened;

impl Actor for Opened {
    type Message = PortWanted;

    fn receive(&mut self, ctx: &mut Context<Self>, wanted: &Archived<PortWanted>) -> Next<Self> {
        let port = ctx.port::<Text>();
        ctx.tell(wanted.reply_to, &PortGiven { port });
        Next::Same
    }
}

impl Port<Text> for Opened {
    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Text>) -> Next<Self> {
        Next::Stop
    }
}

#[message]
struct PortWanted {
    reply_to: ActorRef<PortGiven>,
}

#[message]
struct PortGiven {
    port: ActorRef<Text>,
}

#[test]
fn a_reference_to_a_port_travels_in_a_message_and_dies_with_its_actor() {
    let mut sim = Simulation::seeded(3).cores(2);
    let probe = sim.probe::<PortGiven>();
    let opened = sim.at(0).core(1).spawn(|| Opened);
    sim.tell(opened, &PortWanted { reply_to: probe.actor() });
    let port = probe.next().port;
    sim.tell(port, &Text { text: "stop".into() });
    sim.run_until_idle();
    assert_eq!(sim.actors(), 1);
    // A later actor in the same place has the same port number; the reference is not for it.
    let _later = sim.at(0).core(1).spawn(|| Opened);
    sim.tell(port, &Text { text: "stop".into() });
    sim.run_until_idle();
    assert_eq!((sim.actors(), sim.dead_letters(Reason::NoActor)), (2, 1));
}
