//! Registries of a simulated cluster: actors of one node found on another, over links.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_sharding::registry::{
    CHANGE_LIMIT, Listing, RegisterOutcome, Registry, RegistryHandle, RegistryRequest, ServiceKey,
};
use mainspring_sharding::routers::{Router, RouterActor, Strategy};
use mainspring_sharding::testkit::{SimulatedCluster, SimulatedClusterPlan};

const SECOND: Duration = Duration::from_secs(1);

#[message(name = "test.registry.pay")]
#[derive(Debug)]
struct Pay {
    cents: u64,
}

struct Till;

impl Actor for Till {
    type Message = Pay;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Pay>) -> Next<Self> {
        Next::Same
    }
}

/// A cluster whose nodes have registries; the handle of each node's present life.
struct Shop {
    sim: SimulatedCluster,
    handles: Rc<RefCell<Vec<RegistryHandle>>>,
}

fn shop(seed: u64, nodes: usize, later: &[usize]) -> Shop {
    let handles = Rc::new(RefCell::new(vec![RegistryHandle::default(); nodes]));
    let shown = Rc::clone(&handles);
    let plan = SimulatedClusterPlan::of(Simulation::seeded(seed).nodes(nodes));
    let plan = plan.install(move |node, cluster, seat| {
        use mainspring::device::Extension;
        let registry = Registry::of(cluster.clone());
        registry.install(seat);
        shown.borrow_mut()[node] = registry.handle();
    });
    let mut sim = plan.begin_but(later);
    sim.assert_one_view_within(15 * SECOND);
    Shop { sim, handles }
}

impl Shop {
    fn registry(&self, node: usize) -> ActorRef<RegistryRequest> {
        self.handles.borrow()[node].actor().expect("the node has begun")
    }

    fn open_till(&mut self, node: usize) -> ActorRef<Pay> {
        let till = self.sim.at(node).spawn(|| Till);
        let pay = ServiceKey::<Pay>::new("pay");
        let registry = self.registry(node);
        self.sim.at(node).tell(registry, &RegistryRequest::register(&pay, till, None));
        till
    }

    fn tills(&mut self, node: usize) -> Vec<ActorRef<Pay>> {
        let probe = self.sim.at(node).probe::<Listing>();
        let find = RegistryRequest::find(&ServiceKey::<Pay>::new("pay"), probe.actor());
        let registry = self.registry(node);
        self.sim.at(node).tell(registry, &find);
        probe.next().actors().expect("they take payments")
    }
}

#[test]
fn an_actor_that_one_node_registers_is_found_on_all_until_it_ends() {
    let mut shop = shop(1, 3, &[]);
    let till = shop.open_till(1);
    shop.sim.run_for(3 * SECOND);
    for node in 0..3 {
        assert_eq!(shop.tills(node), [till], "on node {node}");
    }
    shop.sim.stop(till);
    shop.sim.run_for(3 * SECOND);
    for node in 0..3 {
        assert_eq!(shop.tills(node), [], "on node {node}");
    }
}

#[test]
fn a_subscriber_is_told_at_once_and_of_each_change_also_when_a_node_crashes() {
    let mut shop = shop(2, 3, &[]);
    let listings = shop.sim.at(0).probe::<Listing>();
    let subscribe = RegistryRequest::Subscribe {
        name: "pay".to_owned(),
        fingerprint: <Pay as mainspring::message::Schema>::FINGERPRINT,
        subscriber: listings.actor(),
    };
    let registry = shop.registry(0);
    shop.sim.at(0).tell(registry, &subscribe);
    assert_eq!(listings.next().actors::<Pay>(), Ok(vec![]));
    let far = shop.open_till(2);
    shop.sim.run_for(3 * SECOND);
    assert_eq!(listings.next().actors::<Pay>(), Ok(vec![far]));
    assert!(listings.waiting() == 0, "it is told of changes only");
    let near = shop.open_till(0);
    shop.sim.run_for(3 * SECOND);
    let mut both = vec![near, far];
    both.sort();
    assert_eq!(listings.next().actors::<Pay>(), Ok(both));
    shop.sim.crash(2);
    shop.sim.run_for(30 * SECOND);
    assert_eq!(listings.next().actors::<Pay>(), Ok(vec![near]));
    assert_eq!(shop.tills(1), [near]);
}

#[test]
fn a_node_that_comes_later_gets_whole_columns_and_its_next_life_too() {
    let mut shop = shop(3, 3, &[2]);
    let mut tills: Vec<_> = (0..2 * CHANGE_LIMIT).map(|_| shop.open_till(0)).collect();
    tills.sort();
    shop.sim.run_for(2 * SECOND);
    assert_eq!(shop.tills(1), tills);
    shop.sim.start(2);
    shop.sim.run_for(20 * SECOND);
    assert_eq!(shop.tills(2), tills);
    shop.sim.restart(2);
    shop.sim.run_for(40 * SECOND);
    assert_eq!(shop.tills(2), tills);
}

#[test]
fn what_others_register_during_a_partition_is_found_when_it_is_over() {
    for seed in 1..=3 {
        let mut shop = shop(seed, 3, &[]);
        shop.sim.partition([0, 1], [2]);
        // Shorter than the resolver waits: nobody is given up.
        let till = shop.open_till(0);
        shop.sim.run_for(3 * SECOND);
        assert_eq!((shop.tills(1), shop.tills(2)), (vec![till], vec![]), "seed {seed}");
        shop.sim.heal();
        shop.sim.run_for(15 * SECOND);
        assert_eq!(shop.tills(2), [till], "seed {seed}");
    }
}

#[test]
fn an_actor_of_another_node_is_refused_with_the_reason() {
    let mut shop = shop(4, 2, &[]);
    let till = shop.sim.at(0).spawn(|| Till);
    let outcome = shop.sim.at(1).probe::<RegisterOutcome>();
    let pay = ServiceKey::new("pay");
    let registry = shop.registry(1);
    let register = RegistryRequest::register(&pay, till, Some(outcome.actor()));
    shop.sim.at(1).tell(registry, &register);
    let RegisterOutcome::Refused { why } = outcome.next() else { panic!("it lives elsewhere") };
    assert!(why.contains("lives on another node; register it there"), "{why}");
}

#[test]
fn a_listing_gives_no_references_for_other_messages() {
    let mut shop = shop(5, 1, &[]);
    let till = shop.open_till(0);
    shop.sim.run_for(SECOND);
    let probe = shop.sim.probe::<Listing>();
    let find = RegistryRequest::find(&ServiceKey::<Pay>::new("pay"), probe.actor());
    let registry = shop.registry(0);
    shop.sim.tell(registry, &find);
    let listing = probe.next();
    assert_eq!(listing.actors::<Pay>(), Ok(vec![till]));
    let refused = listing.actors::<RegisterOutcome>().unwrap_err();
    assert!(refused.to_string().starts_with("the actors of \"pay\" do not take"), "{refused}");
}

#[test]
fn a_router_follows_a_service_over_the_nodes() {
    let mut shop = shop(6, 3, &[]);
    let tills: Vec<_> = (0..3).map(|node| shop.sim.at(node).probe::<Pay>()).collect();
    for (node, till) in tills.iter().enumerate().skip(1) {
        let registry = shop.registry(node);
        let register = RegistryRequest::register(&ServiceKey::new("pay"), till.actor(), None);
        shop.sim.at(node).tell(registry, &register);
    }
    let handle = shop.handles.borrow()[0].clone();
    let router = shop.sim.at(0).spawn(move || {
        let router = Router::<Pay>::new(Strategy::RoundRobin);
        RouterActor::around(router).of_service(handle.clone(), ServiceKey::new("pay"))
    });
    shop.sim.run_for(3 * SECOND);
    (0..4).for_each(|cents| shop.sim.at(0).tell(router, &Pay { cents }));
    shop.sim.run_for(SECOND);
    assert_eq!(tills.iter().map(|till| till.waiting()).collect::<Vec<_>>(), [0, 2, 2]);
    shop.sim.stop(tills[1].actor());
    shop.sim.run_for(3 * SECOND);
    (0..2).for_each(|cents| shop.sim.at(0).tell(router, &Pay { cents }));
    shop.sim.run_for(SECOND);
    assert_eq!(tills[2].waiting(), 4);
}
