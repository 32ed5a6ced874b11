//! What the door and the scheduler of a type know together of other nodes, on core 0.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use mainspring::message::Message;
use mainspring::prelude::*;

use super::neighbours::Neighbours;
use crate::node::coordinator::Directive;
use crate::node::envelope::{NodeCores, RegionMessage};
use crate::node::hosting::{Abroad, Peers};
use crate::node::type_board::TypeBoard;
use crate::ownership::Place;

/// See the module's header.
pub(crate) struct Outland<M> {
    pub peers: Arc<Peers<M>>,
    pub neighbours: RefCell<Neighbours>,
    /// Where it is written down for other threads.
    pub board: Arc<TypeBoard>,
    /// Of the nodes that have come or gone, those that the scheduler has not been told of yet.
    changed: RefCell<BTreeMap<u64, u16>>,
}

impl<M: Message> Outland<M> {
    /// Nobody is there.
    pub fn new(peers: Arc<Peers<M>>, board: Arc<TypeBoard>) -> Outland<M> {
        let neighbours = Neighbours::new(peers.place(0).incarnation, peers.cores());
        let neighbours = RefCell::new(neighbours);
        Outland { peers, neighbours, board, changed: RefCell::default() }
    }

    /// A node has introduced itself: whether that is new.
    pub fn meet(
        &self,
        incarnation: u64,
        scheduler: ActorRef<Directive>,
        regions: Vec<ActorRef<RegionMessage<M>>>,
    ) -> bool {
        let abroad = Abroad { incarnation, scheduler, regions: regions.into() };
        self.peers.abroad(|all| {
            let at = all.binary_search_by_key(&incarnation, |known| known.incarnation);
            at.inspect_err(|at| all.insert(*at, abroad)).is_err()
        })
    }

    /// A node is gone: whether it was known, and with how many cores.
    pub fn part(&self, incarnation: u64) -> bool {
        let part = |all: &mut Vec<Abroad<M>>| {
            let at = all.binary_search_by_key(&incarnation, |known| known.incarnation).ok()?;
            Some(all.remove(at).regions.len() as u16)
        };
        let cores = self.peers.abroad(part);
        if let Some(cores) = cores {
            self.changed.borrow_mut().insert(incarnation, cores);
        }
        cores.is_some()
    }

    /// Places of nodes that have gone since the last call.
    pub fn take_gone(&self) -> Vec<Place> {
        let gone = std::mem::take(&mut *self.changed.borrow_mut());
        let places = gone.into_iter().flat_map(|(incarnation, cores)| {
            (0..cores).map(move |core| Place { incarnation, core })
        });
        places.collect()
    }

    /// The nodes that have introduced themselves.
    pub fn nodes(&self) -> Vec<NodeCores> {
        self.peers.abroad(|all| {
            let nodes = all.iter().map(|known| {
                let cores = known.regions.len() as u16;
                NodeCores { incarnation: known.incarnation, cores }
            });
            nodes.collect()
        })
    }

    /// All places that are known, those of this node too.
    pub fn places(&self) -> Vec<Place> {
        let own = (0..self.peers.cores()).map(|core| self.peers.place(core));
        let others = self.nodes().into_iter().flat_map(|NodeCores { incarnation, cores }| {
            (0..cores).map(move |core| Place { incarnation, core })
        });
        own.chain(others).collect()
    }

    /// The region of a place, of this node or another one.
    pub fn region_of(&self, place: Place) -> Option<ActorRef<RegionMessage<M>>> {
        if self.peers.has(place) {
            return self.peers.get(place.core);
        }
        self.peers.abroad(|all| {
            let at = all.binary_search_by_key(&place.incarnation, |known| known.incarnation);
            all[at.ok()?].regions.get(usize::from(place.core)).copied()
        })
    }

    /// The scheduler of another node.
    pub fn scheduler_of(&self, incarnation: u64) -> Option<ActorRef<Directive>> {
        self.peers.abroad(|all| {
            let at = all.binary_search_by_key(&incarnation, |known| known.incarnation).ok()?;
            Some(all[at].scheduler)
        })
    }
}
