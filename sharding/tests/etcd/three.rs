//! Three members of etcd: without a leader, without a majority, and with one that missed what happened.

use std::collections::BTreeMap;

use mainspring_sharding::ownership::{
    Epoch, Ownership, Place, StoreAnswer, StoreError, StoreNews, StoreRequest,
};

use crate::members::Members;
use crate::scene::{SECOND, Scene, carts};

/// Two nodes that give a shard to each other for a while. What became of it, and how many times it changed.
fn pass_to_and_fro(
    scene: &mut Scene,
    mut record: Ownership<Place>,
    for_ns: u64,
    owners: &mut BTreeMap<Epoch, Place>,
) -> (Ownership<Place>, usize) {
    let end_ns = scene.now_ns() + for_ns;
    let mut changes = 0;
    while scene.now_ns() < end_ns {
        let owner = usize::from(record.owner == scene.place(1));
        let answer = match scene.give(owner, 1 - owner, record) {
            StoreAnswer::Unknown => scene.decide(owner, StoreRequest::Read { shard: 0 }),
            answer => answer,
        };
        let now = match answer {
            StoreAnswer::Changed(now) | StoreAnswer::Found(Some(now)) => now,
            StoreAnswer::Refused { current: Some(now), .. } => now,
            StoreAnswer::Unknown => continue,
            other => panic!("the record is gone: {other:?}"),
        };
        assert!(now.epoch >= record.epoch, "{now:?} after {record:?}");
        let before = owners.insert(now.epoch, now.owner);
        assert!(before.is_none_or(|before| before == now.owner), "two owners of one epoch");
        changes += usize::from(now.epoch > record.epoch);
        record = now;
    }
    (record, changes)
}

#[test]
fn epochs_rise_and_leases_last_while_the_leader_is_killed() {
    let Some(mut members) = Members::start(3) else { return };
    members.leader();
    let mut scene = Scene::of(members.all().ttl_seconds(8));
    let (one, _) = (scene.join(), scene.join());
    let mut owners = BTreeMap::new();
    let first = scene.owns(one, 0, Epoch::NONE);
    let (record, before) = pass_to_and_fro(&mut scene, first, SECOND, &mut owners);
    let leader = members.leader();
    members.kill(leader);
    let killed_ns = scene.now_ns();
    let (record, _) = pass_to_and_fro(&mut scene, record, 4 * SECOND, &mut owners);
    let (last, after) = pass_to_and_fro(&mut scene, record, SECOND, &mut owners);
    assert!(before > 0 && after > 0, "{before} changes before, {after} after");
    assert!(last.epoch > record.epoch);
    for node in [0, 1] {
        assert!(scene.heard(node, &StoreNews::LeaseLost).is_none());
        assert!(scene.nodes[node].until_ns > killed_ns + 8 * SECOND, "kept by the next leader");
    }
    for (_, news) in scene.nodes.iter().flat_map(|node| &node.heard) {
        if let StoreNews::Changed { ownership, .. } = news {
            let owner = owners.insert(ownership.epoch, ownership.owner);
            assert!(owner.is_none_or(|owner| owner == ownership.owner), "two of one epoch");
        }
    }
}

#[test]
fn without_a_majority_nothing_is_decided_and_the_error_says_so() {
    let Some(mut members) = Members::start(3) else { return };
    let leader = members.leader();
    members.kill((leader + 1) % 3);
    members.kill((leader + 2) % 3);
    let mut scene = Scene::of(members.known_to(&[leader]));
    let node = scene.add();
    scene.run(3 * SECOND);
    let id = scene.ask_to_register(node);
    let is_said = |scene: &Scene| {
        scene.nodes[node].heard.iter().any(|(_, news)| {
            matches!(news, StoreNews::Failed(of, StoreError::NoMajority { .. }) if *of == id)
        })
    };
    scene.wait(10 * SECOND, "refused", is_said);
    members.run((leader + 1) % 3);
    scene.register(node);
}

#[test]
fn a_node_hears_how_things_stand_when_its_member_missed_what_etcd_has_forgotten() {
    let Some(members) = Members::start(3) else { return };
    let leader = members.leader();
    let (slow, quick) = ((leader + 1) % 3, [leader, (leader + 2) % 3]);
    let mut scene = Scene::of(members.known_to(&quick).ttl_seconds(3));
    let open = members.known_to(&[slow]).ttl_seconds(20);
    let watching = scene.add_with(Box::new(open.start().expect("the settings are right")));
    scene.register(watching);
    let (leaving, owner) = (scene.join(), scene.join());
    let absent = StoreNews::NodeAbsent { incarnation: scene.nodes[leaving].incarnation };
    let first = scene.owns(owner, 0, Epoch::NONE);
    let changed = |ownership| StoreNews::Changed { entity_type: carts(), shard: 0, ownership };
    scene.wait(5 * SECOND, "told", |scene| scene.heard(watching, &changed(first)).is_some());
    members.stop(slow);
    scene.drop_node(leaving);
    scene.wait(10 * SECOND, "absent", |scene| scene.heard(owner, &absent).is_some());
    let StoreAnswer::Changed(last) = scene.give(owner, owner, first) else { panic!("not given") };
    let mut operator = members.client(quick[0]);
    operator
        .call(async |client| client.compact(last.epoch.0 as i64, None).await)
        .expect("an operator may do this");
    members.go_on(slow);
    scene.wait(15 * SECOND, "told how things stand", |scene| {
        scene.heard(watching, &absent).is_some() && scene.heard(watching, &changed(last)).is_some()
    });
    assert!(scene.heard(watching, &StoreNews::LeaseLost).is_none());
}
