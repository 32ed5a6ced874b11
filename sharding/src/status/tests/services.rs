//! What requests are answered with, for a cluster that is written down here.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::cluster::{ClusterHandle, MemberView};
use crate::membership::{Status, StopReason};
use crate::node::{NotReady, Readiness, ShardHome, ShardRequestError, TypeShards};
use crate::ownership::Place;
use crate::status::entities_view::EntitiesView;
use crate::status::request::{Reading, read};
use crate::status::response::Response;
use crate::status::service::Service;
use crate::status::token::Token;

const TOKEN: &str = "correct-horse-battery";
/// More than a number of JSON keeps.
const FIRST: u64 = 7_749_812_345_678_901_235;
const SECOND: u64 = FIRST + 1;

/// Entities that write down what they are asked.
#[derive(Clone, Default)]
struct Entities {
    asked: Arc<Mutex<Vec<String>>>,
    missing: Vec<NotReady>,
}

impl EntitiesView for Entities {
    fn readiness(&self) -> Readiness {
        Readiness { missing: self.missing.clone() }
    }

    fn shards(&self) -> Vec<TypeShards> {
        let at = |incarnation, core, epoch| {
            let address = match incarnation {
                FIRST => Some("10.0.0.1:7355".to_owned()),
                SECOND => Some("10.0.0.2:7355".to_owned()),
                _ => None,
            };
            Some(ShardHome { place: Place { incarnation, core }, epoch, address })
        };
        let shards = vec![at(FIRST, 0, 3), None, at(SECOND, 1, 4), at(FIRST, 0, 5), at(9, 0, 1)];
        vec![TypeShards { entity_type: "single/billing".to_owned(), shards }]
    }

    fn move_shard(&self, name: &str, shard: u32, to: Place) -> Result<(), ShardRequestError> {
        if shard >= 5 {
            let entity_type = name.to_owned();
            return Err(ShardRequestError::UnknownShard { entity_type, shard, shards: 5 });
        }
        self.note(format!("{name} {shard} {}/{}", to.incarnation, to.core));
        Ok(())
    }

    fn rebalance(&self, entity_type: &str) -> Result<(), ShardRequestError> {
        self.note(format!("rebalance {entity_type}"));
        Ok(())
    }
}

impl Entities {
    fn note(&self, what: String) {
        self.asked.lock().expect("nobody panics").push(what);
    }
}

fn member(address: &str, incarnation: u64, status: Status, is_reachable: bool) -> MemberView {
    MemberView {
        address: address.to_owned(),
        incarnation,
        roles: vec!["<b>carts</b>".to_owned()],
        app_version: "1.2.0".to_owned(),
        status,
        up_number: (status >= Status::Up).then_some(incarnation - FIRST + 1),
        is_reachable,
    }
}

fn cluster_of(own: Status) -> ClusterHandle {
    let cluster = ClusterHandle::default();
    let members = vec![
        member("10.0.0.1:7355", FIRST, Status::Up, true),
        member("10.0.0.2:7355", SECOND, own, false),
    ];
    cluster.publish(SECOND, members, Some(FIRST));
    cluster
}

fn service() -> Service {
    Service {
        cluster: cluster_of(Status::Up),
        entities: Some(Arc::new(Entities::default())),
        token: Some(Token::of(TOKEN)),
        node: Some(("carts-2".to_owned(), 4)),
    }
}

fn ask(service: &Service, head: &str) -> Response {
    match read(format!("{head}\r\n\r\n").as_bytes()) {
        Reading::Whole(request) => service.answer(&request),
        other => panic!("{other:?}"),
    }
}

fn get(service: &Service, path: &str) -> (u16, Value) {
    let response = ask(service, &format!("GET {path} HTTP/1.1"));
    (response.status, serde_json::from_str(&response.body).expect("JSON"))
}

fn post(service: &Service, path: &str) -> (u16, Value) {
    let head = format!("POST {path} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}");
    let response = ask(service, &head);
    (response.status, serde_json::from_str(&response.body).expect("JSON"))
}

#[test]
fn members_are_shown_with_everything_that_is_known_of_them() {
    let (status, document) = get(&service(), "/members");
    assert_eq!(status, 200);
    assert_eq!(
        document["members"][1],
        json!({
            "address": "10.0.0.2:7355",
            "incarnation": SECOND.to_string(),
            "status": "up",
            "is_reachable": false,
            "roles": ["<b>carts</b>"],
            "app_version": "1.2.0",
            "up_number": 2,
            "is_leader": false,
            "is_this_node": true,
        })
    );
    assert_eq!(document["members"][0]["is_leader"], true);
}

#[test]
fn the_node_is_shown_with_its_leader_and_what_keeps_it_from_being_ready() {
    let mut service = service();
    let (_, node) = get(&service, "/node");
    assert_eq!((&node["name"], &node["cores"]), (&json!("carts-2"), &json!(4)));
    assert_eq!(node["leader"]["incarnation"], FIRST.to_string());
    assert_eq!((&node["members"], &node["unreachable_members"]), (&json!(2), &json!(1)));
    assert_eq!((&node["is_ready"], &node["not_ready_because"]), (&json!(true), &Value::Null));
    service.cluster = ClusterHandle::default();
    let (status, node) = get(&service, "/node");
    assert_eq!((status, &node["member"], &node["leader"]), (200, &Value::Null, &Value::Null));
    assert_eq!(node["not_ready_because"], "this node is no member yet");
}

#[test]
fn shards_are_shown_in_short_and_one_by_one() {
    let service = service();
    let (_, document) = get(&service, "/shards");
    let view = &document["types"][0];
    assert_eq!((&view["shards"], &view["unowned"]), (&json!(5), &json!(1)));
    let place = |place: &Value| {
        let core = place["core"].as_u64().unwrap_or(99);
        (place["address"].as_str().map(str::to_owned), core, place["shards"].as_u64())
    };
    let places: Vec<_> = view["places"].as_array().expect("a list").iter().map(place).collect();
    assert_eq!(
        places,
        [
            (None, 0, Some(1)),
            (Some("10.0.0.1:7355".to_owned()), 0, Some(2)),
            (Some("10.0.0.2:7355".to_owned()), 1, Some(1)),
        ]
    );
    let (status, document) = get(&service, "/shards/single%2Fbilling");
    assert_eq!((status, &document["shards"][1]["owner"]), (200, &Value::Null));
    assert_eq!(document["shards"][2]["owner"]["epoch"], 4);
    assert_eq!(get(&service, "/shards/nothing").0, 404);
}

#[test]
fn a_node_is_ready_when_it_is_up_and_its_entities_are() {
    let mut service = service();
    assert_eq!(get(&service, "/health/ready").0, 200);
    let missing = vec![NotReady::NoLease];
    service.entities = Some(Arc::new(Entities { missing, ..Entities::default() }));
    let (status, document) = get(&service, "/health/ready");
    assert_eq!((status, &document["why_not"]), (503, &json!(NotReady::NoLease.to_string())));
    for status in [Status::Joining, Status::WeaklyUp, Status::Leaving, Status::Exiting] {
        service.cluster = cluster_of(status);
        let (code, document) = get(&service, "/health/ready");
        assert_eq!(code, 503);
        assert_eq!(document["why_not"], format!("this node is {status}"));
        assert_eq!(get(&service, "/health/alive").0, 200);
    }
    service.cluster = cluster_of(Status::Up);
    service.cluster.set_stopping(StopReason::Downed);
    let (status, document) = get(&service, "/health/ready");
    assert_eq!((status, &document["why_not"]), (503, &json!(StopReason::Downed.to_string())));
}

#[test]
fn an_action_is_refused_without_the_token_whatever_it_says() {
    let mut service = service();
    let paths = [
        format!("/members/{FIRST}/leave"),
        format!("/members/{FIRST}/down"),
        "/members/nobody/down".to_owned(),
        format!("/shards/single%2Fbilling/2/move?to={FIRST}/0"),
        "/shards/x/rebalance".to_owned(),
        "/rebalance".to_owned(),
    ];
    for path in &paths {
        for header in
            ["X: y", "Authorization: Bearer", "Authorization: Bearer correct-horse-batterx"]
        {
            let response = ask(&service, &format!("POST {path} HTTP/1.1\r\n{header}"));
            assert_eq!(response.status, 403, "{path} {header}");
        }
    }
    service.token = None;
    for path in &paths {
        let (status, document) = post(&service, path);
        assert_eq!(status, 403);
        let why = document["error"].as_str().expect("a reason");
        assert!(why.contains("this server only shows"), "{why}");
    }
    assert!(service.cluster.take_requests().is_empty());
}

#[test]
fn an_action_with_the_token_is_handed_on() {
    let entities = Entities::default();
    let service = Service { entities: Some(Arc::new(entities.clone())), ..service() };
    assert_eq!(post(&service, &format!("/members/{FIRST}/leave")).0, 202);
    assert_eq!(post(&service, &format!("/members/{FIRST}/down")).0, 202);
    assert_eq!(service.cluster.take_requests().len(), 2);
    assert_eq!(post(&service, &format!("/shards/single%2Fbilling/2/move?to={FIRST}/1")).0, 202);
    assert_eq!(post(&service, &format!("/shards/x/4/move?to={FIRST}%2F1")).0, 202);
    assert_eq!(post(&service, "/shards/x/rebalance").0, 202);
    assert_eq!(post(&service, "/rebalance").0, 202);
    let asked = entities.asked.lock().expect("nobody panics");
    let expected = [
        format!("single/billing 2 {FIRST}/1"),
        format!("x 4 {FIRST}/1"),
        "rebalance x".to_owned(),
        "rebalance single/billing".to_owned(),
    ];
    assert_eq!(*asked, expected);
}

#[test]
fn an_action_that_cannot_be_is_refused_by_its_reason() {
    let mut service = service();
    for (path, status) in [
        ("/members/12/leave", 404),
        ("/members/10.0.0.1:7355/leave", 400),
        ("/shards/x/minus/move?to=1/0", 400),
        ("/shards/x/1/move", 400),
        ("/shards/x/1/move?to=1", 400),
        ("/shards/x/1/move?to=1/65536", 400),
        ("/shards/x/1/move?to=1/0", 404),
    ] {
        let (found, document) = post(&service, path);
        assert_eq!(found, status, "{path}: {document}");
        assert!(document["error"].as_str().is_some_and(|why| !why.is_empty()));
    }
    assert_eq!(post(&service, &format!("/shards/x/5/move?to={FIRST}/0")).0, 404);
    service.entities = None;
    assert_eq!(post(&service, "/rebalance").0, 409);
    assert_eq!(get(&service, "/shards/x").0, 409);
    assert_eq!(get(&service, "/shards").1, json!({ "types": [] }));
    service.cluster = ClusterHandle::default();
    assert_eq!(post(&service, &format!("/members/{FIRST}/leave")).0, 409);
}

#[test]
fn unknown_paths_and_wrong_methods_are_refused_with_what_would_be_right() {
    let service = service();
    for path in ["/nothing", "/members/", "/members/1", "/health", "/health/x", "/node/x", "//"] {
        assert_eq!(get(&service, path).0, 404, "{path}");
    }
    for path in ["/", "/members", "/health/ready"] {
        let refused = ask(&service, &format!("DELETE {path} HTTP/1.1"));
        assert_eq!(refused.status, 405);
        let text = String::from_utf8(refused.into_bytes()).expect("text");
        assert!(text.contains("\r\nAllow: GET, HEAD\r\n"), "{text}");
    }
    let refused = ask(&service, "GET /rebalance HTTP/1.1");
    assert_eq!(refused.status, 405);
    let text = String::from_utf8(refused.into_bytes()).expect("text");
    assert!(text.contains("\r\nAllow: POST\r\n"), "{text}");
    let long = get(&service, &format!("/{}", "ä".repeat(500)));
    assert!(long.0 == 404 && long.1["error"].as_str().is_some_and(|text| text.len() < 300));
}

#[test]
fn head_is_answered_as_get_without_the_body() {
    let service = service();
    let get = ask(&service, "GET /members HTTP/1.1").into_bytes();
    let head = ask(&service, "HEAD /members HTTP/1.1").into_bytes();
    assert!(get.starts_with(&head) && head.ends_with(b"\r\n\r\n"));
}

#[test]
fn the_page_shows_what_others_say_as_text_and_has_no_scripts() {
    let page = ask(&service(), "GET / HTTP/1.1");
    let text = String::from_utf8(page.into_bytes()).expect("text");
    assert!(text.contains("text/html") && text.contains("default-src 'none'"));
    assert!(text.contains("&lt;b&gt;carts&lt;/b&gt;") && !text.contains("<b>"), "{text}");
    assert!(text.contains("carts-2") && text.contains("10.0.0.1:7355"));
    assert!(text.contains("single/billing") && text.contains("no member any more"));
    assert!(!text.contains("<script") && !text.contains("http://") && !text.contains("https://"));
}
