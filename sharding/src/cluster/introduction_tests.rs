//! Who is believed.

use super::*;

const SECOND_NS: u64 = 1_000_000_000;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

/// The nodes of two actors.
type Nodes = (u32, u32);

impl OfNode for Nodes {
    fn node(&self) -> Option<u32> {
        (self.0 == self.1).then_some(self.0)
    }
}

/// A node whose link has this number, as it truly is.
fn of(node: u32, port: u16) -> Known<Nodes> {
    claim(node, MemberId { address: at(port), incarnation: 7 << 32 | u64::from(node) })
}

/// A claim that comes with the actors of a node.
fn claim(node: u32, id: MemberId) -> Known<Nodes> {
    Known { id, ways: (node, node) }
}

/// This node is at port 1; these are linked, and not dialled.
fn linked_to(nodes: &[u32]) -> Acquaintances<Nodes> {
    let mut acquaintances =
        Acquaintances::new(MemberId { address: at(1), incarnation: 7 << 32 | 1 });
    link(&mut acquaintances, nodes);
    acquaintances
}

fn link(acquaintances: &mut Acquaintances<Nodes>, nodes: &[u32]) {
    let linked = |node: &u32| Linked { node: *node, dialled_at: None };
    acquaintances.set_linked(&nodes.iter().map(linked).collect::<Vec<_>>());
}

#[test]
fn who_is_linked_is_asked_until_it_has_said_who_it_is() {
    let mut all = linked_to(&[2, 3]);
    assert_eq!(all.due(0), [2, 3]);
    assert!(all.due(RETRY_NS - 1).is_empty());
    assert_eq!(all.introduced(2, of(2, 2)), Ok(true));
    assert_eq!(all.introduced(2, of(2, 2)), Ok(false), "it is no news");
    assert_eq!(all.due(SECOND_NS), [3]);
    assert_eq!(all.at(at(2)), Some(&of(2, 2)));
    assert!(all.is_known(of(2, 2).id) && !all.is_known(of(4, 2).id));
}

#[test]
fn who_is_not_linked_any_more_is_forgotten() {
    let mut all = linked_to(&[2, 3]);
    all.introduced(2, of(2, 2)).expect("it is itself");
    link(&mut all, &[3]);
    assert!(all.at(at(2)).is_none() && !all.is_linked_at(at(2)));
    let refused = all.introduced(2, of(2, 2));
    assert_eq!(refused, Err(IntroductionError::NotLinked { node: 2, claimed: of(2, 2).id }));
    // Its next life has its address.
    link(&mut all, &[3, 4]);
    assert_eq!(all.introduced(4, of(4, 2)), Ok(true));
    assert!(all.is_known(of(4, 2).id));
}

#[test]
fn a_forged_life_or_forged_actors_are_refused() {
    let mut all = linked_to(&[2, 3]);
    let not_its_own = |node, claimed| Err(IntroductionError::NotItsOwn { node, claimed });
    // Another life than that of the link.
    let forged = claim(2, of(3, 2).id);
    assert_eq!(all.introduced(2, forged), not_its_own(2, forged.id));
    // Its own life, and the actors of another node.
    let forged = Known { ways: (2, 3), ..of(2, 2) };
    assert_eq!(all.introduced(2, forged), not_its_own(2, forged.id));
    // Another identity than it had.
    all.introduced(2, of(2, 2)).expect("it is itself");
    assert_eq!(all.introduced(2, of(2, 9)), not_its_own(2, of(2, 9).id));
    assert_eq!(all.at(at(2)), Some(&of(2, 2)));
}

#[test]
fn an_address_that_somebody_has_is_not_given_to_another_one() {
    let mut all = linked_to(&[2, 3]);
    let taken = |claimed, holder| Err(IntroductionError::AddressTaken { node: 3, claimed, holder });
    assert_eq!(all.introduced(3, of(3, 1)), taken(of(3, 1).id, all.me), "it is this node's");
    all.introduced(2, of(2, 2)).expect("it is itself");
    assert_eq!(all.introduced(3, of(3, 2)), taken(of(3, 2).id, of(2, 2).id));
    link(&mut all, &[3]);
    assert_eq!(all.introduced(3, of(3, 2)), Ok(true), "nobody has it any more");
}

#[test]
fn who_is_reached_elsewhere_than_it_says_is_refused() {
    let mut all = linked_to(&[]);
    all.set_linked(&[Linked { node: 2, dialled_at: Some(at(2)) }]);
    let refused = all.introduced(2, of(2, 3));
    let elsewhere = IntroductionError::Elsewhere { reached: at(2), claimed: of(2, 3).id };
    assert_eq!(refused, Err(elsewhere));
    assert!(all.is_linked_at(at(2)), "it is dialled there, whoever it is");
    assert_eq!(all.introduced(2, of(2, 2)), Ok(true));
}
