//! Nodes that come, come again, restart, and come as somebody else.

use proptest::prelude::*;

use super::*;

const US: NodeId = NodeId(1);
const THEM: NodeId = NodeId(2);
const OTHERS: NodeId = NodeId(3);

fn life(number: u32, started_at_ns: u64) -> Incarnation {
    Incarnation { number, started_at_ns }
}

fn peers() -> Peers {
    Peers::new(US, life(100, 1_000), PEERS_LIMIT)
}

#[test]
fn a_node_comes_goes_down_and_comes_back() {
    let mut peers = peers();
    assert_eq!(peers.admit(THEM, life(7, 50), 1), Ok(Admission { replaced: None }));
    assert_eq!(peers.get(THEM).unwrap().state, PeerState::Connecting);
    assert!(peers.up(THEM, 7, 2));
    assert!(!peers.up(THEM, 7, 3), "no news");
    assert!(peers.down(THEM, 7, 4));
    assert_eq!(peers.admit(THEM, life(7, 50), 5), Ok(Admission { replaced: None }));
    assert!(peers.up(THEM, 7, 6));
    assert_eq!((peers.node_of(7), peers.get(THEM).unwrap().since_ns), (Some(THEM), 6));
}

#[test]
fn a_restart_replaces_the_old_life_for_ever() {
    let mut peers = peers();
    let (old, new) = (life(7, 50), life(3, 60));
    peers.admit(THEM, old, 1).unwrap();
    peers.up(THEM, 7, 1);
    assert_eq!(peers.admit(THEM, new, 2), Ok(Admission { replaced: Some(old) }));
    assert_eq!((peers.node_of(7), peers.node_of(3)), (None, Some(THEM)));
    assert!(!peers.down(THEM, 7, 3), "what is said of the old life is no news");
    let refusal = PeerRefusal::Older { node: THEM, found: old, known: new };
    assert_eq!(peers.admit(THEM, old, 4), Err(refusal));
}

#[test]
fn a_quarantined_life_stays_out_and_the_next_one_comes_in() {
    let mut peers = peers();
    let reason = QuarantineReason::ControlLaneFull;
    peers.admit(THEM, life(7, 50), 1).unwrap();
    assert!(peers.quarantine(THEM, 7, reason, 2));
    assert!(!peers.up(THEM, 7, 3) && !peers.down(THEM, 7, 3));
    assert!(!peers.quarantine(THEM, 7, QuarantineReason::ByPeer, 3), "the first reason stays");
    let refusal = PeerRefusal::Quarantined { node: THEM, reason };
    assert_eq!(peers.check(THEM, life(7, 50)), Err(refusal));
    let admission = peers.admit(THEM, life(8, 51), 4);
    assert_eq!(admission, Ok(Admission { replaced: Some(life(7, 50)) }));
    assert!(peers.up(THEM, 8, 5));
}

#[test]
fn nobody_comes_as_somebody_else() {
    let mut peers = peers();
    peers.admit(THEM, life(7, 50), 1).unwrap();
    assert_eq!(peers.check(US, life(9, 9)), Err(PeerRefusal::Ourselves(US)));
    for (number, used_by) in [(100, US), (7, THEM)] {
        let incarnation = life(number, 50);
        let refusal = PeerRefusal::IncarnationInUse { node: OTHERS, incarnation, used_by };
        assert_eq!(peers.check(OTHERS, incarnation), Err(refusal));
    }
    for found in [life(8, 50), life(7, 51)] {
        let refusal = PeerRefusal::TwoAtOnce { node: THEM, found, known: life(7, 50) };
        assert_eq!(peers.check(THEM, found), Err(refusal));
    }
}

#[test]
fn the_number_of_a_life_that_is_gone_may_be_drawn_again() {
    let mut peers = peers();
    peers.admit(THEM, life(7, 50), 1).unwrap();
    peers.admit(THEM, life(8, 60), 2).unwrap();
    assert_eq!(peers.admit(OTHERS, life(7, 70), 3), Ok(Admission { replaced: None }));
}

#[test]
fn a_full_table_refuses_strangers_and_knows_the_known() {
    let mut peers = Peers::new(US, life(100, 0), 2);
    peers.admit(THEM, life(7, 50), 1).unwrap();
    peers.expect(OTHERS, 1).unwrap();
    peers.expect(OTHERS, 2).unwrap();
    let refusal = PeerRefusal::TableFull { limit: 2 };
    assert_eq!(peers.check(NodeId(4), life(9, 9)), Err(refusal));
    assert_eq!(peers.expect(NodeId(4), 3), Err(refusal));
    assert!(peers.admit(OTHERS, life(9, 9), 4).is_ok());
    assert!(peers.admit(THEM, life(8, 51), 5).is_ok());
    assert_eq!(peers.forget(THEM).and_then(|peer| peer.incarnation), Some(life(8, 51)));
    assert!(peers.admit(NodeId(4), life(8, 9), 6).is_ok());
}

proptest! {
    /// Whoever comes: the table keeps its invariants, and `check` says what `admit` does.
    #[test]
    fn any_history_keeps_the_table_in_order(
        events in prop::collection::vec((0u128..6, 0u32..6, 0u64..4, 0u8..5), 0..200),
    ) {
        let mut peers = Peers::new(NodeId(0), life(0, 0), 4);
        for (now_ns, (node, number, started_at_ns, event)) in (0..).zip(events) {
            let (node, incarnation) = (NodeId(node), life(number, started_at_ns));
            let before = peers.get(node).copied();
            match event {
                0 => { peers.up(node, number, now_ns); }
                1 => { peers.down(node, number, now_ns); }
                2 => { peers.quarantine(node, number, QuarantineReason::DeclaredDead, now_ns); }
                _ => {
                    let checked = peers.check(node, incarnation);
                    prop_assert_eq!(peers.admit(node, incarnation, now_ns).map(|_| ()), checked);
                }
            }
            if let (Some(before), Some(after)) = (before, peers.get(node)) {
                let age = |peer: &Peer| peer.incarnation.map(|life| life.started_at_ns);
                prop_assert!(age(after) >= age(&before), "a node became older");
            }
            prop_assert!(peers.len() <= 4);
            for (node, peer) in peers.iter() {
                let number = peer.incarnation.expect("all were admitted").number;
                prop_assert_eq!(peers.node_of(number), Some(node));
                prop_assert!(node != NodeId(0) && number != 0);
            }
        }
    }
}
