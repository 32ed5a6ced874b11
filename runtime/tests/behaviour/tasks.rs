//! Futures and blocking calls come back as turns of the life that began them.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};

use crate::actors::{Number, Puppet, Text, numbers, play, quietly, texts};

/// Ready when the test says so.
struct Gate(Rc<Cell<bool>>);

impl Future for Gate {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<u64> {
        if self.0.get() { Poll::Ready(42) } else { Poll::Pending }
    }
}

struct Stage {
    sim: Simulation,
    worker: ActorRef<Number>,
    told: Probe<Number>,
    signals: Probe<Text>,
    open: Rc<Cell<bool>>,
}

/// A worker: 1 pipes a gated future, 2 a future that panics, 3 blocking work, 4 blocking work that panics, 5 a gated
/// future that panics; 666 fails.
fn stage(change: fn(&mut Limits)) -> Stage {
    quietly();
    let mut sim = Simulation::seeded(6).limits(change);
    let (told, signals) = (sim.probe::<Number>(), sim.probe::<Text>());
    let (to, news) = (told.actor(), signals.actor());
    let open = Rc::new(Cell::new(false));
    let gate = Rc::clone(&open);
    let worker = move || {
        let gate = Rc::clone(&gate);
        let tell = move |_: &mut Puppet, ctx: &mut Context<'_, Puppet>, n: u64| {
            ctx.tell(to, &Number { n });
            Next::Same
        };
        Puppet::new(move |ctx, n| {
            match n {
                1 => ctx.pipe(Gate(Rc::clone(&gate)), tell),
                2 => ctx.pipe(async { panic!("on purpose") }, tell),
                3 => ctx.blocking(|| 43, tell),
                4 => ctx.blocking(|| panic!("on purpose"), tell),
                5 => {
                    let gate = Gate(Rc::clone(&gate));
                    let work = async move {
                        gate.await;
                        panic!("on purpose")
                    };
                    ctx.pipe(work, tell);
                }
                _ => return Next::Fault,
            }
            Next::Same
        })
        .telling_signals(news)
    };
    let worker =
        sim.at(0).spawn_with(worker, |spawn| spawn.on_failure(Restart::at_most(9)).start());
    Stage { sim, worker, told, signals, open }
}

#[test]
fn results_come_when_they_are_there() {
    let mut stage = stage(|_| {});
    play(&mut stage.sim, stage.worker, 1);
    play(&mut stage.sim, stage.worker, 3);
    assert_eq!(numbers(&stage.told), [43]);
    stage.open.set(true);
    stage.sim.run_until_idle();
    assert_eq!(numbers(&stage.told), [42]);
}

#[test]
fn work_that_panics_is_told() {
    let mut stage = stage(|_| {});
    for n in [2, 4] {
        play(&mut stage.sim, stage.worker, n);
        let came = texts(&stage.signals);
        assert!(came.len() == 1 && came[0].contains("reason: Panicked"), "{came:?}");
    }
    assert_eq!(numbers(&stage.told), [0; 0]);
}

#[test]
fn a_restarted_actor_gets_neither_results_nor_failures_of_its_earlier_life() {
    for n in [1, 3, 2, 4, 5] {
        let mut stage = stage(|_| {});
        stage.sim.tell(stage.worker, &Number { n });
        stage.sim.panic_turn(stage.worker, 1);
        stage.sim.tell(stage.worker, &Number { n: 666 });
        let gated = n == 1 || n == 5;
        if gated {
            stage.sim.run_until_idle();
            stage.open.set(true);
        }
        stage.sim.run_for(Duration::from_secs(1));
        // Blocking work may have ended before the failure; a gated future cannot have.
        if gated {
            assert_eq!(numbers(&stage.told), [0; 0]);
            assert_eq!(texts(&stage.signals), [""; 0]);
        }
        // The next life works as ever.
        play(&mut stage.sim, stage.worker, 3);
        assert_eq!(numbers(&stage.told).last(), Some(&43));
    }
}

#[test]
fn a_result_for_an_actor_that_is_gone_is_dropped() {
    let mut stage = stage(|_| {});
    play(&mut stage.sim, stage.worker, 1);
    stage.sim.stop(stage.worker);
    stage.sim.run_until_idle();
    stage.open.set(true);
    stage.sim.run_until_idle();
    assert_eq!(numbers(&stage.told), [0; 0]);
    assert_eq!(stage.sim.actors(), 2);
}

#[test]
fn more_work_than_the_limit_is_refused() {
    let mut stage = stage(|limits| {
        limits.tasks = 1;
        limits.jobs = 0;
    });
    for n in [1, 1, 3] {
        play(&mut stage.sim, stage.worker, n);
    }
    let came = texts(&stage.signals);
    assert_eq!(came.len(), 2, "{came:?}");
    assert!(came[0].contains("Full { limit: 1 }") && came[1].contains("Full { limit: 0 }"));
}
