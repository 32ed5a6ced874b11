//! Which connections two nodes need, and which cores hold their ends.
//!
//! | lane | index | own core | core of the peer |
//! |---|---|---|---|
//! | ordinary | `k` in `0..max(own, peer)` | `k mod own` | `k mod peer` |
//! | control | 0 | 0 | 0 |
//! | bulk, on demand | 0 | 0 | 0 |
//!
//! Both nodes compute the same from their numbers of cores, so no connection has to be agreed upon. What one core sends
//! to one core of the peer always takes the same connection: the order between two actors is that of one connection.

use thiserror::Error;

use crate::wire::Lane;

/// Cores that a node of a link may have.
pub const CORES_LIMIT: u16 = 1_024;

/// A connection between two nodes, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    /// Its lane.
    pub lane: Lane,
    /// Which one of the lane; 0 on the control and the bulk lane.
    pub index: u16,
}

/// A connection, and the cores that hold its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which connection.
    pub key: ConnectionKey,
    /// The core of this node.
    pub own_core: u16,
    /// The core of the peer.
    pub peer_core: u16,
}

/// A number of cores with which there are no links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a node of {0} cores; a link takes 1 to {CORES_LIMIT}")]
pub struct CoresError(pub u16);

/// The numbers of cores of two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    own_cores: u16,
    peer_cores: u16,
}

impl Pairing {
    /// This node's cores and those that the peer declares.
    ///
    /// # Errors
    ///
    /// A number is 0 or above [`CORES_LIMIT`].
    pub fn new(own_cores: u16, peer_cores: u16) -> Result<Pairing, CoresError> {
        for cores in [own_cores, peer_cores] {
            if cores == 0 || cores > CORES_LIMIT {
                return Err(CoresError(cores));
            }
        }
        Ok(Pairing { own_cores, peer_cores })
    }

    /// The connections that always stand: the control one first, then the ordinary ones by index.
    pub fn wanted(self) -> impl Iterator<Item = Wanted> {
        let control = ConnectionKey { lane: Lane::Control, index: 0 };
        let ordinary = 0..self.own_cores.max(self.peer_cores);
        let ordinary = ordinary.map(|index| ConnectionKey { lane: Lane::Ordinary, index });
        std::iter::once(control).chain(ordinary).filter_map(move |key| self.place(key))
    }

    /// The cores of a connection; nothing if the two nodes have no such connection.
    #[must_use]
    pub fn place(self, key: ConnectionKey) -> Option<Wanted> {
        let indexes = match key.lane {
            Lane::Ordinary => self.own_cores.max(self.peer_cores),
            Lane::Control | Lane::Bulk => 1,
        };
        (key.index < indexes).then(|| Wanted {
            key,
            own_core: key.index % self.own_cores,
            peer_core: key.index % self.peer_cores,
        })
    }

    /// The ordinary connection for what `own_core` sends to `peer_core`: the one that ends at both, if there is one,
    /// else the first of `own_core`.
    #[must_use]
    pub fn route(self, own_core: u16, peer_core: u16) -> ConnectionKey {
        let joins_both = peer_core < self.peer_cores && peer_core % self.own_cores == own_core;
        let index = if joins_both { peer_core.max(own_core) } else { own_core };
        ConnectionKey { lane: Lane::Ordinary, index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordinary(own_cores: u16, peer_cores: u16) -> Vec<(u16, u16)> {
        let wanted = Pairing::new(own_cores, peer_cores).unwrap().wanted();
        let ordinary = wanted.filter(|wanted| wanted.key.lane == Lane::Ordinary);
        ordinary.map(|wanted| (wanted.own_core, wanted.peer_core)).collect()
    }

    #[test]
    fn every_core_of_both_has_a_connection() {
        assert_eq!(ordinary(1, 1), [(0, 0)]);
        assert_eq!(ordinary(2, 2), [(0, 0), (1, 1)]);
        assert_eq!(ordinary(2, 5), [(0, 0), (1, 1), (0, 2), (1, 3), (0, 4)]);
        assert_eq!(ordinary(3, 2), [(0, 0), (1, 1), (2, 0)]);
    }

    #[test]
    fn both_nodes_mean_the_same_connections() {
        for own in 1..=9 {
            for peer in 1..=9 {
                let turned: Vec<_> = ordinary(peer, own).into_iter().map(|(a, b)| (b, a)).collect();
                assert_eq!(ordinary(own, peer), turned, "{own} and {peer} cores");
            }
        }
    }

    #[test]
    fn a_route_begins_at_the_sender_and_ends_at_the_receiver_where_that_is_possible() {
        for own in 1..=9 {
            for peer in 1..=9 {
                let pairing = Pairing::new(own, peer).unwrap();
                for (from, to) in (0..own).flat_map(|from| (0..peer).map(move |to| (from, to))) {
                    let place = pairing.place(pairing.route(from, to)).expect("it exists");
                    assert_eq!(place.own_core, from, "{own} and {peer} cores");
                    let is_direct = ordinary(own, peer).contains(&(from, to));
                    assert_eq!(
                        place.peer_core == to,
                        is_direct,
                        "{own} and {peer}: {from} to {to}"
                    );
                }
            }
        }
    }

    #[test]
    fn numbers_of_cores_and_indexes_that_make_no_sense_are_refused() {
        assert_eq!(Pairing::new(0, 1), Err(CoresError(0)));
        assert_eq!(Pairing::new(1, CORES_LIMIT + 1), Err(CoresError(CORES_LIMIT + 1)));
        let pairing = Pairing::new(2, 3).unwrap();
        for (lane, first_missing) in [(Lane::Ordinary, 3), (Lane::Control, 1), (Lane::Bulk, 1)] {
            assert!(pairing.place(ConnectionKey { lane, index: first_missing - 1 }).is_some());
            assert!(pairing.place(ConnectionKey { lane, index: first_missing }).is_none());
        }
    }
}
