//! An etcd that stands still, is gone, is somewhere else or does not let anybody in.

use etcd_client::{Permission, PermissionType};
use mainspring_sharding::etcd::Etcd;
use mainspring_sharding::ownership::{
    Epoch, StoreAnswer, StoreError, StoreNews, StoreQuestion, StoreRefusal, StoreRequest,
};

use crate::members::Members;
use crate::scene::{SECOND, Scene, TTL_NS, carts};

fn failure_of(settings: Etcd) -> StoreError {
    let mut scene = Scene::of(settings);
    let node = scene.add();
    let id = scene.ask_to_register(node);
    let find = |scene: &Scene| {
        scene.nodes[node].heard.iter().find_map(|(_, news)| match news {
            StoreNews::Failed(of, error) if *of == id => Some(error.clone()),
            _ => None,
        })
    };
    scene.wait(10 * SECOND, "failed", |scene| find(scene).is_some());
    find(&scene).expect("it failed")
}

#[test]
fn a_wrong_address_is_said_to_be_one() {
    let error = failure_of(Etcd::at(["127.0.0.1:1", "no.such.host.invalid:2379"]));
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"));
}

#[test]
fn who_has_no_leave_is_told_and_who_has_works_below_the_prefix() {
    let Some(members) = Members::start(1) else { return };
    members.leader();
    let mut operator = members.client(0);
    operator
        .call(async |client| {
            client.user_add("root", "secret", None).await?;
            client.role_add("root").await?;
            client.user_grant_role("root", "root").await?;
            client.user_add("node", "hush", None).await?;
            client.role_add("nodes").await?;
            let below = Permission::new(PermissionType::Readwrite, "test/").with_prefix();
            client.role_grant_permission("nodes", below).await?;
            client.user_grant_role("node", "nodes").await?;
            client.auth_enable().await
        })
        .expect("an operator may do this");
    for refused in [
        members.all(),
        members.all().user("node").password("wrong"),
        members.all().user("nobody").password("hush"),
        members.all().user("node").password("hush").prefix("elsewhere"),
    ] {
        let error = failure_of(refused);
        assert!(matches!(error, StoreError::NotPermitted { .. }), "{error}");
    }
    let mut scene = Scene::of(members.all().user("node").password("hush"));
    let node = scene.join();
    scene.owns(node, 0, Epoch::NONE);
    scene.run(3 * SECOND);
    assert!(scene.heard(node, &StoreNews::LeaseLost).is_none());
}

#[test]
fn what_a_foreign_program_wrote_is_refused_and_named() {
    let Some(members) = Members::start(1) else { return };
    let mut scene = Scene::in_etcd(&members);
    let node = scene.join();
    let mut operator = members.client(0);
    operator
        .call(async |client| client.put("test/own/cart/5", "mine", None).await)
        .expect("anybody may write");
    let request = StoreRequest::Read { shard: 5 };
    for question in [
        StoreQuestion::Ownership { entity_type: carts(), request },
        StoreQuestion::ReadAll { entity_type: carts() },
    ] {
        let id = scene.ask(node, question);
        let error = StoreError::ForeignRecord { key: "test/own/cart/5".to_owned() };
        scene.wait(5 * SECOND, "refused", |scene| {
            scene.heard(node, &StoreNews::Failed(id, error.clone())).is_some()
        });
    }
}

#[test]
fn an_etcd_that_stands_still_costs_everybody_the_lease_and_nobody_a_shard() {
    let Some(members) = Members::start(1) else { return };
    let mut scene = Scene::in_etcd(&members);
    let (one, other) = (scene.join(), scene.join());
    let first = scene.owns(one, 0, Epoch::NONE);
    members.stop(0);
    let stopped_ns = scene.now_ns();
    assert_eq!(scene.give(one, other, first), StoreAnswer::Unknown);
    scene.run(10 * SECOND - (scene.now_ns() - stopped_ns).min(10 * SECOND));
    for node in [one, other] {
        let lost_ns = scene.heard(node, &StoreNews::LeaseLost).expect("nobody kept it");
        assert!(lost_ns <= stopped_ns + TTL_NS, "later than the lease can have ended");
        assert!(scene.nodes[node].until_ns <= lost_ns);
    }
    members.go_on(0);
    scene.nodes[one].heard.clear();
    scene.register(one);
    scene.register(other);
    let read = scene.decide(one, StoreRequest::Read { shard: 0 });
    let StoreAnswer::Found(Some(now)) = read else { panic!("{read:?}") };
    // Nobody knew whether it was given away, and it may have been: once.
    if now != first {
        assert_eq!((now.owner, now.given_by), (scene.place(other), Some(scene.place(one))));
    }
    scene.run(TTL_NS);
    assert!(scene.heard(one, &StoreNews::LeaseLost).is_none(), "word of before is not meant");
}

#[test]
fn an_etcd_that_is_gone_for_longer_than_the_lease_takes_it_before_anybody_can_take_over() {
    let Some(mut members) = Members::start(1) else { return };
    let mut scene = Scene::in_etcd(&members);
    let (one, other) = (scene.join(), scene.join());
    let first = scene.owns(one, 0, Epoch::NONE);
    members.kill(0);
    scene.run(TTL_NS + 2 * SECOND);
    let lost_ns = scene.heard(one, &StoreNews::LeaseLost).expect("nobody kept it");
    scene.drop_node(one);
    members.run(0);
    scene.register(other);
    let refusal = scene.take_over(other, 0, first.epoch);
    let present = StoreAnswer::Refused { reason: StoreRefusal::OwnerPresent, current: Some(first) };
    assert_eq!(refusal, present, "a lease begins anew when etcd does");
    let absent = StoreNews::NodeAbsent { incarnation: scene.nodes[one].incarnation };
    scene.wait(10 * SECOND, "absent", |scene| scene.heard(other, &absent).is_some());
    let taken = scene.owns(other, 0, first.epoch);
    assert!(taken.epoch > first.epoch && scene.now_ns() > lost_ns);
}
