//! Who watches an actor of another member is told once that it is gone, however its node ended.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_sharding::testkit::{SimulatedCluster, SimulatedClusterPlan};

use crate::SECOND;

#[message]
pub struct Watch {
    pub whom: ActorRef<Watch>,
}

/// Watches whom it is told to, and writes down who is gone.
struct Watchman {
    gone: Arc<Mutex<Vec<Address>>>,
}

impl Actor for Watchman {
    type Message = Watch;

    fn receive(&mut self, ctx: &mut Context<Self>, watch: &Archived<Watch>) -> Next<Self> {
        ctx.watch(watch.whom);
        Next::Same
    }

    fn signal(&mut self, _: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        if let Signal::Terminated { actor, .. } = signal {
            self.gone.lock().expect("a test").push(*actor);
        }
        Next::Same
    }
}

struct Watched {
    sim: SimulatedCluster,
    gone: Arc<Mutex<Vec<Address>>>,
    subject: Address,
}

/// Four members with a watchman each; that of node 0 watches that of node 3.
fn watched(seed: u64) -> Watched {
    let gone: Arc<Mutex<Vec<Address>>> = Arc::default();
    let men = Rc::new(RefCell::new(vec![None::<ActorRef<Watch>>; 4]));
    let plan = {
        let (gone, men) = (Arc::clone(&gone), Rc::clone(&men));
        let sim = Simulation::seeded(seed).nodes(4);
        SimulatedClusterPlan::of(sim).install(move |node, _, seat| {
            let man = seat.spawn(Watchman { gone: Arc::clone(&gone) });
            men.borrow_mut()[node] = Some(man.expect("room"));
        })
    };
    let mut sim = plan.begin();
    sim.assert_one_view_within(15 * SECOND);
    let man = |node: usize| men.borrow()[node].expect("it has begun");
    let whom = man(3);
    sim.tell(man(0), &Watch { whom });
    sim.run_for(SECOND);
    assert!(gone.lock().expect("a test").is_empty());
    Watched { sim, gone, subject: whom.address() }
}

impl Watched {
    #[track_caller]
    fn assert_told_once(&self) {
        assert_eq!(*self.gone.lock().expect("a test"), [self.subject]);
    }
}

#[test]
fn of_a_member_that_crashed_and_comes_back_as_another_life() {
    let mut watched = watched(1);
    watched.sim.crash(3);
    watched.sim.assert_one_view_within(30 * SECOND);
    watched.sim.run_for(20 * SECOND);
    watched.assert_told_once();
    watched.sim.start(3);
    watched.sim.assert_one_view_within(30 * SECOND);
    watched.sim.run_for(20 * SECOND);
    watched.assert_told_once();
}

#[test]
fn of_a_member_that_was_cut_off_until_it_was_removed_and_is_reached_again() {
    let mut watched = watched(2);
    watched.sim.partition([3], [0, 1, 2]);
    watched.sim.run_for(60 * SECOND);
    assert_eq!(watched.sim.handle(0).members().len(), 3, "it was removed");
    watched.assert_told_once();
    watched.sim.heal();
    watched.sim.run_for(60 * SECOND);
    watched.assert_told_once();
}
