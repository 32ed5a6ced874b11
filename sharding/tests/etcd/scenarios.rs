//! What every store that nodes share has to do, over memory and over etcd.

use mainspring_sharding::ownership::{
    Epoch, NodeRecord, StoreAnswer, StoreError, StoreNews, StoreQuestion, StoreRefusal,
    StoreRequest,
};

use crate::members::Members;
use crate::scene::{SECOND, Scene, TTL_NS, carts};

/// One test over each store.
macro_rules! over_both {
    ($($scenario:ident),* $(,)?) => {
        mod in_memory {
            $(#[test]
            fn $scenario() {
                super::$scenario(&mut super::Scene::in_memory());
            })*
        }

        mod in_etcd {
            $(#[test]
            fn $scenario() {
                if let Some(members) = super::Members::start(1) {
                    super::$scenario(&mut super::Scene::in_etcd(&members));
                }
            })*
        }
    };
}

over_both! {
    nodes_hear_of_each_other_and_of_every_change,
    the_two_ways_to_change_an_owner_and_no_third,
    a_dead_node_is_robbed_after_its_lease_and_not_before,
    who_resigns_is_absent_at_once,
    one_incarnation_is_one_node,
}

fn nodes_hear_of_each_other_and_of_every_change(scene: &mut Scene) {
    let (one, other) = (scene.join(), scene.join());
    let record = |node: usize| NodeRecord {
        incarnation: 0x100 + node as u64,
        address: format!("10.0.0.{node}:7355"),
    };
    for (to, of) in [(one, one), (one, other), (other, one), (other, other)] {
        let news = StoreNews::NodePresent(record(of));
        scene.wait(5 * SECOND, "heard of", |scene| scene.heard(to, &news).is_some());
    }
    let ownership = scene.owns(one, 7, Epoch::NONE);
    let changed = StoreNews::Changed { entity_type: carts(), shard: 7, ownership };
    scene.wait(5 * SECOND, "told", |scene| {
        scene.heard(one, &changed).is_some() && scene.heard(other, &changed).is_some()
    });
    let lower = scene.owns(other, 3, Epoch::NONE);
    assert!(lower.epoch > ownership.epoch, "epochs rise over all shards");
    let id = scene.ask(other, StoreQuestion::ReadAll { entity_type: carts() });
    let records = StoreNews::Records(id, vec![(3, lower), (7, ownership)]);
    scene.wait(5 * SECOND, "read", |scene| scene.heard(other, &records).is_some());
    let foreign = scene.ask(one, StoreQuestion::ReadAll { entity_type: "car".into() });
    let nothing = StoreNews::Records(foreign, Vec::new());
    scene.wait(5 * SECOND, "read", |scene| scene.heard(one, &nothing).is_some());
}

fn the_two_ways_to_change_an_owner_and_no_third(scene: &mut Scene) {
    let (one, other) = (scene.join(), scene.join());
    let read = StoreRequest::Read { shard: 0 };
    assert_eq!(scene.decide(one, read), StoreAnswer::Found(None));
    let first = scene.owns(one, 0, Epoch::NONE);
    assert_eq!((first.owner, first.given_by), (scene.place(one), None));
    let refused = |reason| StoreAnswer::Refused { reason, current: Some(first) };
    let again = scene.take_over(other, 0, Epoch::NONE);
    assert_eq!(again, refused(StoreRefusal::EpochChanged));
    let robbed = scene.take_over(other, 0, first.epoch);
    assert_eq!(robbed, refused(StoreRefusal::OwnerPresent));
    let own = scene.take_over(one, 0, first.epoch);
    assert_eq!(own, refused(StoreRefusal::OwnerPresent));
    let mut nobody = scene.place(other);
    nobody.incarnation += 1;
    let give = StoreRequest::GiveAway { shard: 0, expected: first.epoch, to: nobody };
    assert_eq!(scene.decide(one, give), refused(StoreRefusal::TargetAbsent));
    let StoreAnswer::Changed(given) = scene.give(one, other, first) else { panic!("not given") };
    assert_eq!((given.owner, given.given_by), (scene.place(other), Some(scene.place(one))));
    assert!(given.epoch > first.epoch);
    assert_eq!(scene.decide(one, read), StoreAnswer::Found(Some(given)));
    let late = scene.give(one, one, first);
    let current = Some(given);
    assert_eq!(late, StoreAnswer::Refused { reason: StoreRefusal::EpochChanged, current });
    let never = StoreRequest::GiveAway { shard: 9, expected: Epoch::NONE, to: scene.place(one) };
    let nobodys = StoreAnswer::Refused { reason: StoreRefusal::EpochChanged, current: None };
    assert_eq!(scene.decide(one, never), nobodys);
}

fn a_dead_node_is_robbed_after_its_lease_and_not_before(scene: &mut Scene) {
    let (one, other) = (scene.join(), scene.join());
    let first = scene.owns(one, 0, Epoch::NONE);
    scene.run(TTL_NS + SECOND);
    assert!(scene.heard(one, &StoreNews::LeaseLost).is_none(), "it was kept");
    let until_ns = scene.nodes[one].until_ns;
    assert!(until_ns > scene.now_ns());
    scene.drop_node(one);
    let absent = StoreNews::NodeAbsent { incarnation: scene.nodes[one].incarnation };
    let taken = loop {
        match scene.take_over(other, 0, first.epoch) {
            StoreAnswer::Changed(record) => break record,
            StoreAnswer::Refused { reason: StoreRefusal::OwnerPresent, current } => {
                assert_eq!(current, Some(first));
            }
            unexpected => panic!("{unexpected:?}"),
        }
        assert!(scene.now_ns() < until_ns + 10 * SECOND, "the lease never ends");
    };
    assert!(scene.now_ns() > until_ns, "robbed while its lease lasted");
    assert_eq!((taken.owner, taken.given_by), (scene.place(other), None));
    assert!(taken.epoch > first.epoch);
    scene.wait(5 * SECOND, "told", |scene| scene.heard(other, &absent).is_some());
}

fn who_resigns_is_absent_at_once(scene: &mut Scene) {
    let (one, other) = (scene.join(), scene.join());
    let first = scene.owns(one, 0, Epoch::NONE);
    let id = scene.ask(one, StoreQuestion::Resign);
    scene
        .wait(TTL_NS / 2, "resigned", |scene| scene.heard(one, &StoreNews::Resigned(id)).is_some());
    let absent = StoreNews::NodeAbsent { incarnation: scene.nodes[one].incarnation };
    scene.wait(TTL_NS / 2, "told", |scene| scene.heard(other, &absent).is_some());
    scene.register(one);
    assert_eq!(
        scene.decide(one, StoreRequest::Read { shard: 0 }),
        StoreAnswer::Found(Some(first)),
        "nobody took it"
    );
    scene.ask(one, StoreQuestion::Resign);
    scene.wait(5 * SECOND, "told again", |scene| {
        let times = scene.nodes[other].heard.iter().filter(|(_, news)| *news == absent).count();
        times == 2
    });
    scene.owns(other, 0, first.epoch);
    scene.run(TTL_NS);
    assert!(scene.heard(one, &StoreNews::LeaseLost).is_none(), "it gave them back itself");
}

fn one_incarnation_is_one_node(scene: &mut Scene) {
    let (one, other) = (scene.join(), scene.add());
    scene.nodes[other].incarnation = scene.nodes[one].incarnation;
    let id = scene.ask_to_register(other);
    let incarnation = scene.nodes[one].incarnation;
    let error = StoreError::IncarnationTaken { incarnation, address: "10.0.0.0:7355".to_owned() };
    scene.wait(5 * SECOND, "refused", |scene| {
        scene.heard(other, &StoreNews::Failed(id, error.clone())).is_some()
    });
    scene.run(TTL_NS + SECOND);
    assert!(scene.heard(one, &StoreNews::LeaseLost).is_none());
}
