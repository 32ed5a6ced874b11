//! Routers as actors have them, on the simulator, and the choice by itself.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use mainspring::message::AnyRef;
use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};

use super::*;

#[message(name = "test.routers.job")]
#[derive(Clone, Debug, PartialEq)]
struct Job {
    customer: u64,
}

/// What a desk was told about its jobs.
type Log = Rc<RefCell<Vec<Result<(), RouteError>>>>;

/// An actor with a router.
struct Desk {
    router: Router<Job>,
    log: Log,
}

impl Actor for Desk {
    type Message = Job;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        self.router.routees().for_each(|routee| ctx.watch(routee));
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<Self>, job: &Archived<Job>) -> Next<Self> {
        let told = self.router.tell(ctx, &Job { customer: job.customer.to_native() });
        self.log.borrow_mut().push(told);
        Next::Same
    }

    fn signal(&mut self, _: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        self.router.signal(signal);
        Next::Same
    }
}

struct Office {
    sim: Simulation,
    workers: Vec<Probe<Job>>,
    desk: ActorRef<Job>,
    log: Log,
}

fn office(workers: usize, strategy: Strategy<Job>) -> Office {
    let mut sim = Simulation::seeded(3);
    let workers: Vec<Probe<Job>> = (0..workers).map(|_| sim.probe()).collect();
    let mut router = Router::new(strategy);
    router.set_routees(workers.iter().map(Probe::actor)).expect("few enough");
    let log = Log::default();
    let shown = Rc::clone(&log);
    let desk = sim.spawn(move || Desk { router: router.clone(), log: Rc::clone(&shown) });
    Office { sim, workers, desk, log }
}

impl Office {
    fn jobs(&mut self, customers: impl IntoIterator<Item = u64>) -> Vec<usize> {
        for customer in customers {
            self.sim.tell(self.desk, &Job { customer });
        }
        self.sim.run_until_idle();
        self.workers.iter().map(Probe::waiting).collect()
    }
}

#[test]
fn in_turn_every_routee_has_as_many_messages_as_any_other() {
    let mut office = office(3, Strategy::RoundRobin);
    assert_eq!(office.jobs(0..6), [2, 2, 2]);
    assert_eq!(office.jobs(0..1).iter().sum::<usize>(), 7);
}

#[test]
fn a_message_for_all_comes_to_every_routee_once() {
    let mut office = office(3, Strategy::Broadcast);
    assert_eq!(office.jobs(0..2), [2, 2, 2]);
    assert!(office.log.borrow().iter().all(Result::is_ok));
}

#[test]
fn messages_of_a_key_stay_with_one_routee_until_it_ends_and_other_keys_do_not_move() {
    let mut office = office(4, Strategy::ConsistentHash { key: |job| job.customer });
    let homes: Vec<usize> = (0..60).map(|customer| office.gets(customer)).collect();
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 4, "every routee has some keys");
    for (customer, home) in (0..60).zip(&homes) {
        assert_eq!(office.gets(customer), *home);
    }
    let gone = office.workers[1].actor();
    office.sim.stop(gone);
    office.sim.run_until_idle();
    for (customer, home) in (0..60).zip(&homes) {
        let now = office.gets(customer);
        assert!(if *home == 1 { now != 1 } else { now == *home }, "{customer}: {home}, {now}");
    }
}

impl Office {
    /// Which worker gets a job of this customer.
    fn gets(&mut self, customer: u64) -> usize {
        let before: Vec<usize> = self.workers.iter().map(Probe::waiting).collect();
        let after = self.jobs([customer]);
        let places = before.iter().zip(after);
        places.into_iter().position(|(before, after)| *before != after).expect("somebody gets it")
    }
}

#[test]
fn a_router_without_routees_refuses_and_counts() {
    let mut office = office(1, Strategy::RoundRobin);
    let last = office.workers[0].actor();
    assert_eq!(office.jobs([1]), [1]);
    office.sim.stop(last);
    office.sim.run_until_idle();
    office.jobs([2]);
    assert_eq!(*office.log.borrow(), [Ok(()), Err(RouteError::NoRoutees)]);
    let mut router = Router::<Job>::new(Strategy::LeastLoaded);
    assert_eq!(router.choose(&Job { customer: 1 }), Err(RouteError::NoRoutees));
    assert_eq!(router.figures(), RouterFigures { without_routee: 1, ..RouterFigures::default() });
}

#[test]
fn a_routee_whose_core_takes_nothing_is_named_and_no_other_is_told_instead() {
    let mut sim = Simulation::seeded(5).cores(2);
    let far = sim.at(0).core(1).probe::<Job>();
    let near = sim.probe::<Job>();
    let mut router = Router::new(Strategy::RoundRobin);
    router.set_routees([near.actor(), far.actor()]).expect("few enough");
    let log = Log::default();
    let shown = Rc::clone(&log);
    let desk = sim.spawn(move || Desk { router: router.clone(), log: Rc::clone(&shown) });
    sim.run_until_idle();
    sim.at(0).core(0).fill_ring_to(1, true);
    for customer in 0..2 {
        sim.tell(desk, &Job { customer });
    }
    sim.run_until_idle();
    let routee = far.actor().address();
    let not_told = Err(RouteError::NotTold { routee, reason: TellError::Full });
    assert_eq!(*log.borrow(), [Ok(()), not_told]);
    assert_eq!(near.waiting(), 1);
}

#[test]
fn the_least_loaded_is_the_one_that_has_finished_most_or_says_so() {
    let mut routing = Routing::new(RoutingRule::LeastLoaded);
    routing.set([10, 11, 12]);
    let choices: Vec<Choice> = (0..3).map(|_| routing.choose(0)).collect();
    assert_eq!(choices, [Choice::One(0), Choice::One(1), Choice::One(2)]);
    routing.finished(11, 1);
    assert_eq!(routing.choose(0), Choice::One(1));
    routing.reported(12, 0);
    routing.finished(10, 7);
    assert_eq!(routing.load(10), Some(0), "no load is below none");
    assert_eq!((routing.choose(0), routing.choose(0)), (Choice::One(2), Choice::One(0)));
    // One that comes has no load; those that stay keep theirs.
    routing.set([10, 12, 13]);
    assert_eq!((routing.load(12), routing.load(13)), (Some(1), Some(0)));
    assert_eq!(routing.choose(0), Choice::One(2));
}

#[test]
fn choices_at_random_follow_from_the_seed_and_come_to_all() {
    let choices = |seed| {
        let mut routing = Routing::new(RoutingRule::Random { seed });
        routing.set(0..4);
        (0..200).map(|_| routing.choose(0)).collect::<Vec<_>>()
    };
    assert_eq!(choices(1), choices(1));
    assert_ne!(choices(1), choices(2));
    for place in 0..4 {
        let times = choices(1).iter().filter(|choice| **choice == Choice::One(place)).count();
        assert!((30..=70).contains(&times), "{place} was chosen {times} times of 200");
    }
}

#[test]
fn more_routees_than_a_router_may_have_are_refused_and_the_old_ones_stay() {
    let mut sim = Simulation::seeded(1);
    let probe = sim.probe::<Job>();
    let mut router = Router::new(Strategy::RoundRobin);
    router.set_routees([probe.actor(), probe.actor()]).expect("one, named twice");
    let many: Vec<ActorRef<Job>> =
        (0..=ROUTEE_LIMIT).map(|_| sim.spawn(|| Worker { fails: false })).collect();
    let refused = router.set_routees(many).unwrap_err();
    assert_eq!(refused, TooManyRoutees { routees: ROUTEE_LIMIT + 1, limit: ROUTEE_LIMIT });
    assert_eq!(router.routees().collect::<Vec<_>>(), [probe.actor()]);
}

struct Worker {
    fails: bool,
}

impl Actor for Worker {
    type Message = Job;

    fn receive(&mut self, _: &mut Context<Self>, job: &Archived<Job>) -> Next<Self> {
        match job.customer.to_native() {
            0 => Next::Stop,
            1 => Next::Fault,
            _ if self.fails => Next::Fault,
            _ => Next::Same,
        }
    }
}

/// Has a pool, and tells how many routees it has after each signal.
struct Head {
    pool: Option<Router<Job>>,
    restarts: bool,
    sizes: Rc<RefCell<Vec<usize>>>,
}

impl Actor for Head {
    type Message = Job;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        let pool = Pool::of(3, || Worker { fails: false });
        let pool = match self.restarts {
            true => pool.on_failure(Restart::at_most(5)),
            false => pool,
        };
        self.pool = pool.start(ctx, Strategy::RoundRobin).ok();
        assert_eq!(ctx.children().len(), 3);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<Self>, job: &Archived<Job>) -> Next<Self> {
        let pool = self.pool.as_mut().expect("it was started");
        let _ = pool.tell(ctx, &Job { customer: job.customer.to_native() });
        self.sizes.borrow_mut().push(pool.routees().count());
        Next::Same
    }

    fn signal(&mut self, _: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        if let Some(pool) = &mut self.pool {
            pool.signal(signal);
        }
        Next::Same
    }
}

fn sizes_of_a_pool(restarts: bool, customers: impl IntoIterator<Item = u64>) -> Vec<usize> {
    let mut sim = Simulation::seeded(9);
    let sizes = Rc::<RefCell<Vec<usize>>>::default();
    let shown = Rc::clone(&sizes);
    let head = sim.spawn(move || Head { pool: None, restarts, sizes: Rc::clone(&shown) });
    for customer in customers {
        sim.tell(head, &Job { customer });
        sim.run_for(std::time::Duration::from_millis(50));
    }
    sizes.take()
}

#[test]
fn a_child_that_ends_is_routed_to_no_more_and_one_that_is_restarted_is() {
    assert_eq!(sizes_of_a_pool(true, [7, 0, 7, 1, 7]), [3, 3, 2, 2, 2]);
    assert_eq!(sizes_of_a_pool(false, [7, 1, 7, 0, 7]), [3, 3, 2, 2, 1]);
}

#[test]
fn a_pool_for_which_the_core_has_no_room_leaves_no_child() {
    struct Cramped {
        error: Rc<RefCell<Option<PoolError>>>,
    }

    impl Actor for Cramped {
        type Message = Job;

        fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Job>) -> Next<Self> {
            let started = Pool::of(8, || Worker { fails: true }).start(ctx, Strategy::RoundRobin);
            *self.error.borrow_mut() = started.err();
            Next::Same
        }
    }

    let mut sim = Simulation::seeded(2).limits(|limits| limits.actors = 4);
    let error = Rc::<RefCell<Option<PoolError>>>::default();
    let shown = Rc::clone(&error);
    let actor = sim.spawn(move || Cramped { error: Rc::clone(&shown) });
    sim.tell(actor, &Job { customer: 1 });
    sim.run_until_idle();
    assert_eq!(*error.borrow(), Some(PoolError::Spawn(SpawnError { limit: 4 })));
    assert_eq!(sim.actors(), 1);
}

#[test]
fn a_router_with_a_reference_of_its_own_takes_routees_and_says_what_it_counted() {
    let mut sim = Simulation::seeded(4);
    let ports = sim.probe::<RouterPorts>();
    let owner = ports.actor();
    let router = sim.spawn(move || {
        RouterActor::around(Router::<Job>::new(Strategy::RoundRobin)).introduced_to(owner)
    });
    let ports = ports.next();
    sim.tell(router, &Job { customer: 1 });
    let workers = [sim.probe::<Job>(), sim.probe::<Job>()];
    let stranger = sim.probe::<RouterFigures>();
    let mut actors: Vec<AnyRef> = workers.iter().map(|worker| AnyRef::of(worker.actor())).collect();
    actors.push(AnyRef::of(stranger.actor()));
    sim.tell(ports.routees, &Routees { actors });
    for customer in 2..6 {
        sim.tell(router, &Job { customer });
    }
    sim.run_until_idle();
    sim.stop(workers[0].actor());
    sim.run_until_idle();
    sim.tell(router, &Job { customer: 6 });
    sim.tell(ports.figures, &ReportFigures { reply_to: stranger.actor() });
    let figures = RouterFigures { told: 5, without_routee: 1, not_told: 0 };
    assert_eq!(stranger.next(), figures);
    assert_eq!(workers[1].waiting(), 3);
}
