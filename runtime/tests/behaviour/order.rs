//! Messages between two actors arrive in the order in which they were sent, whatever the cores do meanwhile.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Number, Puppet, numbers, play};

const SENT: u64 = 300;

/// A puppet that sends `SENT` numbers, `burst` in each turn, tagged with its own number.
fn sender(to: ActorRef<Number>, tag: u64, burst: u64) -> impl Fn() -> Puppet {
    move || {
        Puppet::new(move |ctx, from| {
            let end = (from + burst).min(SENT);
            for n in from..end {
                ctx.tell(to, &Number { n: tag << 32 | n });
            }
            if end < SENT {
                ctx.tell(ctx.me(), &Number { n: end });
            }
            Next::Same
        })
    }
}

fn expect_each_in_order(came: &[u64], tags: std::ops::Range<u64>, seed: u64) {
    for tag in tags.clone() {
        let of_this: Vec<u64> =
            came.iter().filter(|n| *n >> 32 == tag).map(|n| n & 0xFFFF_FFFF).collect();
        assert_eq!(of_this, (0..SENT).collect::<Vec<_>>(), "sender {tag}, seed {seed}");
    }
    assert_eq!(came.len() as u64, SENT * (tags.end - tags.start), "seed {seed}");
}

#[test]
fn messages_of_one_core_arrive_in_order() {
    Simulation::for_seeds(1..=20, |mut sim| {
        let probe = sim.probe::<Number>();
        let senders: Vec<_> =
            (0..3).map(|tag| sim.spawn(sender(probe.actor(), tag, 7 + tag))).collect();
        for sender in senders {
            sim.tell(sender, &Number { n: 0 });
        }
        sim.run_until_idle();
        expect_each_in_order(&numbers(&probe), 0..3, sim.seed());
    });
}

#[test]
fn messages_of_several_cores_arrive_in_order_for_each_sender() {
    Simulation::for_seeds(1..=40, |sim| {
        let mut sim = sim.cores(4);
        let probe = sim.probe::<Number>();
        for tag in 0..6 {
            let core = (tag % 4) as u16;
            let sender = sim.at(0).core(core).spawn(sender(probe.actor(), tag, 1 + tag));
            sim.tell(sender, &Number { n: 0 });
        }
        sim.run_until_idle();
        expect_each_in_order(&numbers(&probe), 0..6, sim.seed());
    });
}

#[test]
fn stalled_cores_and_delayed_rings_do_not_change_the_order() {
    Simulation::for_seeds(1..=40, |sim| {
        let mut sim = sim.cores(3);
        let probe = sim.probe::<Number>();
        for tag in 0..4 {
            let core = (tag % 3) as u16;
            let sender = sim.at(0).core(core).spawn(sender(probe.actor(), tag, 5));
            sim.tell(sender, &Number { n: 0 });
        }
        let seed = sim.seed();
        sim.at(0).core(1).delay_ring_to(0, Duration::from_micros(seed * 7 % 50));
        sim.at(0).core(2).stall(Duration::from_micros(seed * 5 % 40));
        sim.run_for(Duration::from_micros(20));
        sim.at(0).core(0).stall(Duration::from_micros(15));
        sim.run_for(Duration::from_millis(1));
        expect_each_in_order(&numbers(&probe), 0..4, seed);
    });
}

#[test]
fn small_and_large_messages_keep_their_order() {
    #[message]
    struct Bulky {
        n: u64,
        filler: Vec<u8>,
    }
    struct Mixed(ActorRef<Bulky>);
    impl Actor for Mixed {
        type Message = Number;
        fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Number>) -> Next<Self> {
            for n in 0..60 {
                let filler_bytes = [0, 3_000, 40, 9_000, 100_000, 1][n as usize % 6];
                ctx.tell(self.0, &Bulky { n, filler: vec![7; filler_bytes] });
            }
            Next::Same
        }
    }
    for probe_core in 0..2 {
        Simulation::for_seeds(1..=10, |sim| {
            let mut sim = sim.cores(2).limits(|limits| limits.ring_bytes = 256 << 10);
            let probe = sim.at(0).core(probe_core).probe::<Bulky>();
            let to = probe.actor();
            let sender = sim.spawn(move || Mixed(to));
            play(&mut sim, sender, 0);
            let came: Vec<u64> = (0..probe.waiting()).map(|_| probe.next().n).collect();
            assert_eq!(came, (0..60).collect::<Vec<_>>(), "core {probe_core}");
        });
    }
}

#[test]
fn an_actor_gets_what_it_is_sent_right_after_its_spawn() {
    Simulation::for_seeds(1..=10, |mut sim| {
        let probe = sim.probe::<Number>();
        let to = probe.actor();
        let parent = sim.spawn(move || {
            Puppet::new(move |ctx, n| {
                let child = ctx
                    .spawn(move || {
                        Puppet::new(move |ctx, n| {
                            ctx.tell(to, &Number { n });
                            Next::Same
                        })
                        .on_start(move |ctx| {
                            ctx.tell(to, &Number { n: 0 });
                            Next::Same
                        })
                    })
                    .start();
                ctx.tell(child, &Number { n });
                Next::Same
            })
        });
        play(&mut sim, parent, 5);
        assert_eq!(numbers(&probe), [0, 5]);
    });
}
