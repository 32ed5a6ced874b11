//! Several nodes and one store: who may do what when, and what each of them hears.

use std::sync::Arc;

use super::*;
use crate::ownership::{
    Epoch, NodeRecord, QUESTION_LIMIT, RequestId, StoreAnswer, StoreNews, StoreQuestion,
    StoreRefusal, StoreRequest,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const TTL_NS: u64 = 5 * SECOND;

/// Nodes on one store, polled every 50 ms.
struct Nodes {
    store: SharedMemory,
    accesses: Vec<Option<SharedMemoryNode>>,
    heard: Vec<Vec<StoreNews>>,
    now_ns: u64,
    next_id: u64,
}

fn carts() -> Arc<str> {
    Arc::from("cart")
}

fn place(node: usize) -> Place {
    Place { incarnation: node as u64 + 1, core: 0 }
}

impl Nodes {
    fn new(count: usize) -> Nodes {
        let store = SharedMemory::seeded(1);
        let accesses = (0..count).map(|node| Some(store.of(node))).collect();
        Nodes { store, accesses, heard: vec![Vec::new(); count], now_ns: 0, next_id: 0 }
    }

    fn present(count: usize) -> Nodes {
        let mut nodes = Nodes::new(count);
        for node in 0..count {
            nodes.register(node, place(node).incarnation);
        }
        nodes.run(MS);
        nodes
    }

    fn ask(&mut self, node: usize, question: StoreQuestion) -> RequestId {
        self.next_id += 1;
        let id = RequestId(self.next_id);
        let access = self.accesses[node].as_mut().expect("the node runs");
        access.ask(self.now_ns, id, question).expect("few questions wait");
        id
    }

    fn register(&mut self, node: usize, incarnation: u64) -> RequestId {
        let address = format!("10.0.0.{node}:7355");
        self.ask(node, StoreQuestion::Register(NodeRecord { incarnation, address }))
    }

    fn poll_all(&mut self) {
        for (access, heard) in self.accesses.iter_mut().zip(&mut self.heard) {
            if let Some(access) = access {
                access.poll(self.now_ns, heard);
            }
        }
    }

    fn run(&mut self, for_ns: u64) {
        let end_ns = self.now_ns + for_ns;
        while self.now_ns < end_ns {
            self.now_ns = (self.now_ns + 50 * MS).min(end_ns);
            self.poll_all();
        }
    }

    /// Asks about a shard and waits for the answer.
    fn decide(&mut self, node: usize, request: StoreRequest<Place>) -> StoreAnswer<Place> {
        let id = self.ask(node, StoreQuestion::Ownership { entity_type: carts(), request });
        for _ in 0..100 {
            self.poll_all();
            let answer = self.heard[node].iter().find_map(|news| match news {
                StoreNews::Answer(of, answer) if *of == id => Some(*answer),
                _ => None,
            });
            if let Some(answer) = answer {
                return answer;
            }
            self.run(50 * MS);
        }
        panic!("no answer within 5 s");
    }

    fn take(&mut self, node: usize, shard: u32, expected: Epoch) -> StoreAnswer<Place> {
        self.decide(node, StoreRequest::TakeOver { shard, expected, to: place(node) })
    }

    fn owned(&mut self, node: usize, shard: u32, expected: Epoch) -> Ownership<Place> {
        match self.take(node, shard, expected) {
            StoreAnswer::Changed(record) => record,
            other => panic!("not taken: {other:?}"),
        }
    }

    fn has_heard(&self, node: usize, news: &StoreNews) -> bool {
        self.heard[node].contains(news)
    }
}

#[test]
fn a_node_hears_who_is_present_and_then_every_change() {
    let mut nodes = Nodes::present(2);
    let present = |node: usize| {
        let address = format!("10.0.0.{node}:7355");
        StoreNews::NodePresent(NodeRecord { incarnation: place(node).incarnation, address })
    };
    assert!(nodes.has_heard(0, &present(0)) && nodes.has_heard(0, &present(1)));
    assert!(nodes.has_heard(1, &present(0)) && nodes.has_heard(1, &present(1)));
    let ownership = nodes.owned(0, 7, Epoch::NONE);
    let changed = StoreNews::Changed { entity_type: carts(), shard: 7, ownership };
    assert!(nodes.has_heard(0, &changed) && nodes.has_heard(1, &changed));
    let id = nodes.ask(1, StoreQuestion::ReadAll { entity_type: carts() });
    nodes.poll_all();
    assert!(nodes.has_heard(1, &StoreNews::Records(id, vec![(7, ownership)])));
}

#[test]
fn an_owner_gives_its_shard_to_a_core_of_another_node() {
    let mut nodes = Nodes::present(2);
    let first = nodes.owned(0, 0, Epoch::NONE);
    let to = Place { core: 3, ..place(1) };
    let give = StoreRequest::GiveAway { shard: 0, expected: first.epoch, to };
    let StoreAnswer::Changed(given) = nodes.decide(0, give) else { panic!("not given") };
    assert_eq!((given.owner, given.given_by), (to, Some(place(0))));
    assert!(given.epoch > first.epoch);
    let refused = StoreAnswer::Refused { reason: StoreRefusal::EpochChanged, current: Some(given) };
    assert_eq!(nodes.decide(0, give), refused);
}

#[test]
fn epochs_rise_over_all_types_and_shards() {
    let mut nodes = Nodes::present(1);
    let first = nodes.owned(0, 0, Epoch::NONE);
    let request = StoreRequest::TakeOver { shard: 0, expected: Epoch::NONE, to: place(0) };
    let entity_type: Arc<str> = Arc::from("order");
    nodes.ask(0, StoreQuestion::Ownership { entity_type, request });
    nodes.poll_all();
    assert!(nodes.store.record("order", 0).unwrap().epoch > first.epoch);
    assert_eq!(nodes.store.record("cart", 0), Some(first));
}

#[test]
fn a_dead_node_is_robbed_only_after_its_lease() {
    let mut nodes = Nodes::present(2);
    let first = nodes.owned(0, 0, Epoch::NONE);
    nodes.run(3 * SECOND);
    nodes.accesses[0] = None;
    let died_ns = nodes.now_ns;
    let absent = StoreNews::NodeAbsent { incarnation: 1 };
    while !nodes.has_heard(1, &absent) {
        let refused =
            StoreAnswer::Refused { reason: StoreRefusal::OwnerPresent, current: Some(first) };
        assert_eq!(nodes.take(1, 0, first.epoch), refused);
        nodes.run(50 * MS);
        assert!(nodes.now_ns < died_ns + TTL_NS + SECOND, "the lease never ends");
    }
    assert!(nodes.now_ns > died_ns + TTL_NS - 1_100 * MS);
    let taken = nodes.owned(1, 0, first.epoch);
    assert_eq!((taken.owner, taken.given_by), (place(1), None));
    assert!(taken.epoch > first.epoch);
}

#[test]
fn a_node_that_is_cut_off_loses_its_lease_before_others_see_it_absent() {
    let mut nodes = Nodes::present(2);
    let first = nodes.owned(0, 0, Epoch::NONE);
    nodes.store.cut_off(0);
    let mut lost_ns = None;
    while !nodes.has_heard(1, &StoreNews::NodeAbsent { incarnation: 1 }) {
        nodes.run(50 * MS);
        if nodes.has_heard(0, &StoreNews::LeaseLost) {
            lost_ns = lost_ns.or(Some(nodes.now_ns));
        }
    }
    assert!(lost_ns.unwrap() <= nodes.now_ns - 400 * MS, "the margin is there to stop in");
    let lost = nodes.heard[0].iter().filter(|news| **news == StoreNews::LeaseLost).count();
    assert_eq!(lost, 1);
    let taken = nodes.owned(1, 0, first.epoch);
    let changed = StoreNews::Changed { entity_type: carts(), shard: 0, ownership: taken };
    assert!(!nodes.has_heard(0, &changed));
    nodes.store.connect(0);
    nodes.poll_all();
    assert!(nodes.has_heard(0, &changed), "it hears what it missed");
}

#[test]
fn a_node_that_stood_still_finds_its_lease_lost_before_anything_else() {
    let mut nodes = Nodes::present(2);
    let mut zombie = nodes.accesses[0].take().unwrap();
    nodes.run(10 * SECOND);
    let mut news = Vec::new();
    zombie.poll(nodes.now_ns, &mut news);
    assert!(news.contains(&StoreNews::LeaseLost));
    assert!(!news.iter().any(|news| matches!(news, StoreNews::LeaseKept { .. })));
}

#[test]
fn what_is_asked_while_cut_off_is_unknown_in_time_and_never_answered_twice() {
    let mut nodes = Nodes::present(1);
    nodes.store.cut_off(0);
    assert_eq!(nodes.take(0, 0, Epoch::NONE), StoreAnswer::Unknown);
    assert_eq!(nodes.now_ns, MS + ANSWER_WITHIN_NS);
    let id = nodes.ask(0, StoreQuestion::ReadAll { entity_type: carts() });
    nodes.run(ANSWER_WITHIN_NS);
    let failed = nodes.heard[0].iter().any(
        |news| matches!(news, StoreNews::Failed(of, StoreError::Unreachable { .. }) if *of == id),
    );
    assert!(failed);
    nodes.store.connect(0);
    let answers = |nodes: &Nodes| {
        nodes.heard[0].iter().filter(|news| matches!(news, StoreNews::Answer(..))).count()
    };
    nodes.run(SECOND);
    assert_eq!(answers(&nodes), 1);
}

#[test]
fn a_late_request_is_made_though_its_asker_was_told_that_nobody_knows() {
    let mut nodes = Nodes::present(1);
    let late = StoreFaults { late_percent: 100, late_max_ns: 30 * SECOND, ..StoreFaults::none() };
    nodes.store.set_faults(StoreFaults { delay_min_ns: 3 * SECOND, ..late });
    let take = StoreRequest::TakeOver { shard: 0, expected: Epoch::NONE, to: place(0) };
    let asked_ns = nodes.now_ns;
    let id = nodes.ask(0, StoreQuestion::Ownership { entity_type: carts(), request: take });
    nodes.store.set_faults(StoreFaults::none());
    nodes.run(2 * SECOND);
    assert!(nodes.has_heard(0, &StoreNews::Answer(id, StoreAnswer::Unknown)));
    assert_eq!(nodes.store.record("cart", 0), None);
    nodes.run(40 * SECOND);
    assert_eq!(nodes.store.record("cart", 0).unwrap().owner, place(0));
    assert!(nodes.store.history()[0].at_ns >= asked_ns + 3 * SECOND);
}

#[test]
fn a_node_that_resigns_is_absent_at_once_and_loses_nothing() {
    let mut nodes = Nodes::present(2);
    let first = nodes.owned(0, 0, Epoch::NONE);
    let id = nodes.ask(0, StoreQuestion::Resign);
    nodes.poll_all();
    assert!(nodes.has_heard(0, &StoreNews::Resigned(id)));
    assert!(nodes.has_heard(1, &StoreNews::NodeAbsent { incarnation: 1 }));
    nodes.owned(1, 0, first.epoch);
    nodes.run(10 * SECOND);
    assert!(!nodes.has_heard(0, &StoreNews::LeaseLost), "it gave it back itself");
}

#[test]
fn a_node_that_lost_its_lease_comes_back_to_what_nobody_took() {
    let mut nodes = Nodes::present(2);
    let first = nodes.owned(0, 0, Epoch::NONE);
    nodes.store.cut_off(0);
    nodes.run(8 * SECOND);
    assert!(nodes.has_heard(0, &StoreNews::LeaseLost));
    nodes.store.connect(0);
    nodes.heard[0].clear();
    let id = nodes.register(0, 1);
    nodes.run(8 * SECOND);
    assert!(nodes.has_heard(0, &StoreNews::Registered(id)));
    assert!(!nodes.has_heard(0, &StoreNews::LeaseLost), "word of its former absence is not meant");
    assert_eq!(nodes.decide(0, StoreRequest::Read { shard: 0 }), StoreAnswer::Found(Some(first)));
}

#[test]
fn two_nodes_are_not_present_under_one_incarnation() {
    let mut nodes = Nodes::present(2);
    let mut second = Nodes { accesses: vec![Some(nodes.store.of(0))], ..Nodes::new(1) };
    second.now_ns = nodes.now_ns;
    let id = second.register(0, 1);
    second.poll_all();
    let address = "10.0.0.0:7355".to_owned();
    let error = StoreError::IncarnationTaken { incarnation: 1, address };
    assert_eq!(second.heard[0], [StoreNews::Failed(id, error)]);
    nodes.run(TTL_NS * 2);
    assert!(!nodes.has_heard(0, &StoreNews::LeaseLost));
}

#[test]
fn a_change_of_leader_decides_nothing_for_a_while_and_begins_leases_anew() {
    let mut nodes = Nodes::present(2);
    nodes.accesses[0] = None;
    nodes.run(4 * SECOND);
    let changed_ns = nodes.now_ns;
    nodes.store.change_leader(changed_ns);
    assert!(matches!(
        nodes.take(1, 0, Epoch::NONE),
        StoreAnswer::Unknown | StoreAnswer::Changed(_)
    ));
    assert!(nodes.now_ns >= changed_ns + LEADERLESS_NS);
    while !nodes.has_heard(1, &StoreNews::NodeAbsent { incarnation: 1 }) {
        nodes.run(50 * MS);
    }
    assert!(nodes.now_ns >= changed_ns + LEADERLESS_NS + TTL_NS);
    assert!(!nodes.has_heard(1, &StoreNews::LeaseLost), "who lives keeps its lease");
}

#[test]
fn a_node_that_missed_too_much_is_told_how_things_stand() {
    let mut nodes = Nodes::present(3);
    let mut record = nodes.owned(1, 0, Epoch::NONE);
    nodes.store.cut_off(0);
    nodes.ask(2, StoreQuestion::Resign);
    for _ in 0..65_600 {
        let give = StoreRequest::GiveAway { shard: 0, expected: record.epoch, to: place(1) };
        nodes.next_id += 1;
        let (id, question) = (
            RequestId(nodes.next_id),
            StoreQuestion::Ownership { entity_type: carts(), request: give },
        );
        let access = nodes.accesses[1].as_mut().unwrap();
        access.ask(nodes.now_ns, id, question).unwrap();
        access.poll(nodes.now_ns, &mut nodes.heard[1]);
        nodes.heard[1].clear();
        record = nodes.store.record("cart", 0).unwrap();
    }
    nodes.store.connect(0);
    nodes.heard[0].clear();
    nodes.poll_all();
    assert!(nodes.heard[0].len() < 1_000);
    assert!(nodes.has_heard(0, &StoreNews::NodeAbsent { incarnation: 3 }));
    let ownership = record;
    let changed = StoreNews::Changed { entity_type: carts(), shard: 0, ownership };
    assert_eq!(nodes.heard[0].last(), Some(&changed));
}

#[test]
fn questions_that_wait_are_bounded() {
    let mut nodes = Nodes::present(1);
    nodes.store.cut_off(0);
    for _ in 0..QUESTION_LIMIT {
        nodes.ask(0, StoreQuestion::ReadAll { entity_type: carts() });
    }
    let access = nodes.accesses[0].as_mut().unwrap();
    let more = access.ask(0, RequestId(0), StoreQuestion::Resign).unwrap_err();
    assert_eq!(more.limit, QUESTION_LIMIT);
}

#[test]
fn the_next_deadline_never_misses_anything() {
    let mut nodes = Nodes::new(2);
    nodes.store.set_faults(StoreFaults::delays());
    nodes.register(0, 1);
    nodes.register(1, 2);
    let mut steps = 0;
    while nodes.now_ns < 20 * SECOND {
        let deadlines = nodes.accesses.iter().flatten().map(|access| access.next_deadline_ns());
        nodes.now_ns = deadlines.flatten().min().expect("leases are kept").max(nodes.now_ns);
        nodes.poll_all();
        steps += 1;
        assert!(steps < 1_000, "a deadline that does not pass at {}", nodes.now_ns);
    }
    assert!(nodes.heard.iter().flatten().all(|news| *news != StoreNews::LeaseLost));
    assert_eq!(nodes.store.present(), [1, 2]);
}

mod storm;
