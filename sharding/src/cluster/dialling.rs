//! Whom to dial: the members that are not linked, and the seeds as long as this node is no member.
//!
//! Both nodes of a pair would dial each other; of two that are new to each other the one with the lower address dials
//! at once, and the other one when it has waited for that in vain. An address that is wanted no more is given up after
//! a while: what was said last may still be on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// How long the node with the higher address waits to be dialled.
const PATIENCE_NS: u64 = 1_000_000_000;
/// How long an address that is wanted no more is kept.
const KEPT_NS: u64 = 10_000_000_000;

/// What the links are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dial {
    Connect(SocketAddr),
    Disconnect(SocketAddr),
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Dialling {
    me: SocketAddr,
    /// Addresses that are dialled, and since when they are not wanted.
    dialled: BTreeMap<SocketAddr, Option<u64>>,
    /// Addresses that are wanted and not linked, and since when.
    missing: BTreeMap<SocketAddr, u64>,
}

impl Dialling {
    pub fn new(me: SocketAddr) -> Dialling {
        Dialling { me, dialled: BTreeMap::new(), missing: BTreeMap::new() }
    }

    /// These addresses are wanted now. A node that asks to be let in does not wait to be dialled.
    pub fn step(
        &mut self,
        now_ns: u64,
        wanted: &BTreeSet<SocketAddr>,
        is_joining: bool,
        is_linked: impl Fn(SocketAddr) -> bool,
    ) -> Vec<Dial> {
        let mut changes = Vec::new();
        self.missing.retain(|address, _| wanted.contains(address) && !is_linked(*address));
        for address in wanted.iter().copied().filter(|address| *address != self.me) {
            if let Some(unwanted) = self.dialled.get_mut(&address) {
                *unwanted = None;
                continue;
            }
            if is_linked(address) {
                continue;
            }
            let since_ns = *self.missing.entry(address).or_insert(now_ns);
            let waited = now_ns.saturating_sub(since_ns) >= PATIENCE_NS;
            if is_joining || self.me < address || waited {
                self.dialled.insert(address, None);
                changes.push(Dial::Connect(address));
            }
        }
        self.dialled.retain(|address, unwanted| {
            if wanted.contains(address) {
                return true;
            }
            let since_ns = *unwanted.get_or_insert(now_ns);
            let is_kept = now_ns.saturating_sub(since_ns) < KEPT_NS;
            if !is_kept {
                changes.push(Dial::Disconnect(*address));
            }
            is_kept
        });
        changes
    }

    /// The links did not take an address; it is tried again.
    pub fn refused(&mut self, address: SocketAddr) {
        self.dialled.remove(&address);
        self.missing.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn wanted(ports: &[u16]) -> BTreeSet<SocketAddr> {
        ports.iter().copied().map(at).collect()
    }

    #[test]
    fn of_two_members_the_one_with_the_lower_address_dials_and_the_other_one_waits() {
        let mut low = Dialling::new(at(1));
        assert_eq!(low.step(0, &wanted(&[1, 2]), false, |_| false), [Dial::Connect(at(2))]);
        assert!(low.step(1, &wanted(&[1, 2]), false, |_| false).is_empty(), "once is enough");
        let mut high = Dialling::new(at(2));
        assert!(high.step(0, &wanted(&[1, 2]), false, |_| false).is_empty());
        assert!(high.step(SECOND_NS - 1, &wanted(&[1, 2]), false, |_| false).is_empty());
        let late = high.step(SECOND_NS, &wanted(&[1, 2]), false, |_| false);
        assert_eq!(late, [Dial::Connect(at(1))]);
    }

    #[test]
    fn who_is_linked_is_not_dialled_and_is_missed_anew_when_the_link_is_lost() {
        let mut high = Dialling::new(at(2));
        assert!(high.step(0, &wanted(&[1, 2]), false, |_| true).is_empty());
        assert!(high.step(9 * SECOND_NS, &wanted(&[1, 2]), false, |_| false).is_empty());
        let late = high.step(10 * SECOND_NS, &wanted(&[1, 2]), false, |_| false);
        assert_eq!(late, [Dial::Connect(at(1))]);
    }

    #[test]
    fn a_node_that_joins_dials_its_seeds_at_once_but_not_itself() {
        let mut joiner = Dialling::new(at(3));
        let dials = joiner.step(0, &wanted(&[1, 2, 3]), true, |_| false);
        assert_eq!(dials, [Dial::Connect(at(1)), Dial::Connect(at(2))]);
    }

    #[test]
    fn an_address_that_is_wanted_no_more_is_given_up_later_unless_it_comes_back() {
        let mut low = Dialling::new(at(1));
        low.step(0, &wanted(&[2, 3]), false, |_| false);
        assert!(low.step(SECOND_NS, &wanted(&[]), false, |_| true).is_empty());
        assert!(low.step(2 * SECOND_NS, &wanted(&[3]), false, |_| true).is_empty());
        let given_up = low.step(11 * SECOND_NS, &wanted(&[3]), false, |_| true);
        assert_eq!(given_up, [Dial::Disconnect(at(2))]);
        assert!(low.step(60 * SECOND_NS, &wanted(&[3]), false, |_| true).is_empty());
    }
}
