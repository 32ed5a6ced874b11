//! What is gone leaves nothing behind: places, timers, asks and stashes are used again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Number, Puppet, play};

#[test]
fn a_hundred_thousand_actors_one_after_the_other_use_few_places() {
    let dropped = Rc::new(Cell::new(0u64));
    let highest = Rc::new(Cell::new(0u32));
    let (seen, top) = (Rc::clone(&dropped), Rc::clone(&highest));
    // Not more than a few dozen live at once, so this many places must be enough.
    let mut sim = Simulation::seeded(1).limits(|limits| limits.actors = 256);
    let spawner = sim.spawn(move || {
        let (dropped, highest) = (Rc::clone(&dropped), Rc::clone(&highest));
        Puppet::new(move |ctx, n| {
            let dropped = Rc::clone(&dropped);
            let child = ctx
                .spawn(move || {
                    let dropped = Rc::clone(&dropped);
                    Puppet::new(|_, _| Next::Stop)
                        .on_start(|ctx| {
                            // All of it ends with the actor.
                            ctx.timer("late").after(Duration::from_secs(60), &Number { n: 0 });
                            ctx.receive_timeout(Duration::from_secs(60), &Number { n: 0 });
                            Next::Same
                        })
                        .on_drop(move || dropped.set(dropped.get() + 1))
                })
                .try_start()
                .expect("places are used again");
            highest.set(highest.get().max(child.slot()));
            ctx.tell(child, &Number { n });
            if n > 0 {
                ctx.tell(ctx.me(), &Number { n: n - 1 });
            }
            Next::Same
        })
    });
    play(&mut sim, spawner, 99_999);
    assert_eq!(seen.get(), 100_000);
    assert_eq!(sim.actors(), 1);
    assert!(top.get() < 256, "place {}", top.get());
}
