//! The connections that stand with one peer: one for each key, also if both nodes dial at once.
//!
//! Of two connections with the same key both nodes must drop the same one, though each may hear of them in another
//! order. If they were dialled by different nodes, the one that the node with the smaller id dialled stays. If they
//! were dialled by the same node, the newer stays: who dials again has lost the older one. For the same reason a node
//! with the larger id is refused once only: it does not dial while it has a connection, so when it comes a second time
//! the connection that was kept is dead on its side, and this side has not noticed. (That is so because a handshake is
//! done at the responder first: what this node dialled and keeps, the peer has had.)
//!
//! The caller drops what it has of the old connection before it reads the first byte of the new one, so that nothing
//! from the old one arrives behind the new one's messages.
//!
//! Invariants: there is at most one connection for a key; the epoch of a key rises with every connection that is kept.

use std::collections::BTreeMap;

use super::wanted::ConnectionKey;

/// Who dialled a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialledBy {
    /// This node.
    Us,
    /// The peer.
    Peer,
}

/// What becomes of a connection whose handshake is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<C> {
    /// It stays.
    Keep {
        /// Counts the connections of this key.
        epoch: u64,
        /// The one that has to go before it, with all that it has not handed on.
        instead_of: Option<C>,
    },
    /// It has to be closed, as a duplicate.
    Duplicate,
}

#[derive(Clone, Copy, Debug)]
struct Kept<C> {
    connection: C,
    dialled_by: DialledBy,
    /// The peer dialled although this connection stands, and was refused.
    has_refused: bool,
}

/// The connections with one incarnation of a peer. `C` is what the driver calls a connection.
#[derive(Clone, Debug)]
pub struct Connections<C> {
    /// Whether ours win over the peer's.
    ours_win: bool,
    kept: BTreeMap<ConnectionKey, Kept<C>>,
    epochs: BTreeMap<ConnectionKey, u64>,
}

impl<C: Copy + PartialEq> Connections<C> {
    /// None yet. `own_id_is_smaller` says how the two node ids compare.
    #[must_use]
    pub fn new(own_id_is_smaller: bool) -> Connections<C> {
        Connections { ours_win: own_id_is_smaller, kept: BTreeMap::new(), epochs: BTreeMap::new() }
    }

    /// The handshake of a connection is done. The key is one that [`Pairing::place`](super::wanted::Pairing::place)
    /// knows, so there are no more keys than connections wanted.
    pub fn offer(
        &mut self,
        key: ConnectionKey,
        connection: C,
        dialled_by: DialledBy,
    ) -> Verdict<C> {
        if let Some(kept) = self.kept.get_mut(&key) {
            let loses =
                dialled_by != kept.dialled_by && (dialled_by == DialledBy::Us) != self.ours_win;
            let is_lost_there = dialled_by == DialledBy::Peer && kept.has_refused;
            if loses && !is_lost_there {
                kept.has_refused |= dialled_by == DialledBy::Peer;
                return Verdict::Duplicate;
            }
        }
        let epoch = self.epochs.entry(key).or_default();
        *epoch += 1;
        let kept = Kept { connection, dialled_by, has_refused: false };
        let instead_of = self.kept.insert(key, kept).map(|kept| kept.connection);
        Verdict::Keep { epoch: *epoch, instead_of }
    }

    /// A connection has ended. Whether it was the one that was kept.
    pub fn closed(&mut self, key: ConnectionKey, connection: C) -> bool {
        let was_kept = self.get(key) == Some(connection);
        if was_kept {
            self.kept.remove(&key);
        }
        was_kept
    }

    /// The connection of a key.
    #[must_use]
    pub fn get(&self, key: ConnectionKey) -> Option<C> {
        self.kept.get(&key).map(|kept| kept.connection)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionKey, C)> {
        self.kept.iter().map(|(key, kept)| (*key, kept.connection))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::DialledBy::{Peer, Us};
    use super::*;
    use crate::wire::Lane;

    const KEY: ConnectionKey = ConnectionKey { lane: Lane::Ordinary, index: 3 };

    #[test]
    fn both_nodes_keep_the_one_that_the_smaller_id_dialled_in_any_order() {
        let (from_smaller, from_larger) = (1, 2);
        for order_at_smaller in [[1, 2], [2, 1]] {
            for order_at_larger in [[1, 2], [2, 1]] {
                let (mut smaller, mut larger) = (Connections::new(true), Connections::new(false));
                for connection in order_at_smaller {
                    let dialled_by = if connection == from_smaller { Us } else { Peer };
                    smaller.offer(KEY, connection, dialled_by);
                }
                for connection in order_at_larger {
                    let dialled_by = if connection == from_larger { Us } else { Peer };
                    larger.offer(KEY, connection, dialled_by);
                }
                assert_eq!((smaller.get(KEY), larger.get(KEY)), (Some(1), Some(1)));
            }
        }
    }

    #[test]
    fn who_dials_again_has_lost_the_older_one() {
        let mut connections = Connections::new(true);
        assert_eq!(connections.offer(KEY, 1, Peer), Verdict::Keep { epoch: 1, instead_of: None });
        let second = connections.offer(KEY, 2, Peer);
        assert_eq!(second, Verdict::Keep { epoch: 2, instead_of: Some(1) });
        assert!(!connections.closed(KEY, 1), "the old one's end says nothing of the new one");
        assert!(connections.closed(KEY, 2));
        assert!(connections.is_empty());
        assert_eq!(connections.offer(KEY, 3, Us), Verdict::Keep { epoch: 3, instead_of: None });
    }

    #[test]
    fn a_larger_id_is_refused_once_and_believed_the_second_time() {
        let mut connections = Connections::new(true);
        connections.offer(KEY, 1, Us);
        assert_eq!(connections.offer(KEY, 2, Peer), Verdict::Duplicate);
        assert_eq!(connections.get(KEY), Some(1));
        let second = connections.offer(KEY, 3, Peer);
        assert_eq!(second, Verdict::Keep { epoch: 2, instead_of: Some(1) });
        let again = connections.offer(KEY, 4, Us);
        assert_eq!(again, Verdict::Keep { epoch: 3, instead_of: Some(3) });
        assert_eq!(connections.offer(KEY, 5, Peer), Verdict::Duplicate, "counted anew");
    }

    #[test]
    fn keys_do_not_touch_each_other() {
        let mut connections = Connections::new(false);
        let other = ConnectionKey { index: 4, ..KEY };
        connections.offer(KEY, 1, Us);
        assert_eq!(connections.offer(other, 2, Us), Verdict::Keep { epoch: 1, instead_of: None });
        assert_eq!(connections.iter().collect::<Vec<_>>(), [(KEY, 1), (other, 2)]);
        assert_eq!(connections.len(), 2);
    }
}
