//! The addresses that this node dials: those it was set up with, and those that the program names while it runs.
//!
//! A contact has a number of its own for ever, so that what is still under way for one that was taken out is never
//! taken for another one's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Attempt, Hub, Order};
use crate::link::connections::DialledBy;
use crate::link::dialing::{DialSettings, Dialer};
use crate::link::events::DownReason;
use crate::link::identity::NodeId;

/// An address, and how far dialling it is.
struct Contact {
    address: SocketAddr,
    dialer: Dialer,
}

/// All of them.
pub(super) struct Contacts {
    settings: DialSettings,
    seed: u64,
    made: u64,
    by_number: BTreeMap<u64, Contact>,
}

impl Contacts {
    pub fn new(settings: DialSettings, seed: u64) -> Contacts {
        Contacts { settings, seed, made: 0, by_number: BTreeMap::new() }
    }

    /// Dials this address from now on. It must not be one of them.
    pub fn add(&mut self, address: SocketAddr, now_ns: u64) {
        let dialer = Dialer::new(self.settings, self.seed.wrapping_add(self.made), now_ns);
        self.by_number.insert(self.made, Contact { address, dialer });
        self.made += 1;
    }

    pub fn address(&self, number: u64) -> Option<SocketAddr> {
        self.by_number.get(&number).map(|contact| contact.address)
    }

    pub fn dialer(&mut self, number: u64) -> Option<&mut Dialer> {
        self.by_number.get_mut(&number).map(|contact| &mut contact.dialer)
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.by_number.keys().copied()
    }

    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.by_number.values().filter_map(|contact| contact.dialer.next_deadline_ns()).min()
    }
}

impl Hub {
    /// Whether the program has named addresses that are not taken up yet.
    pub fn has_new_contacts(&self) -> bool {
        self.notices.has_new_contacts()
    }

    /// Takes up what the program wants dialled by now.
    pub fn take_up_contacts(&mut self, now_ns: u64) {
        let Some(wanted) = self.notices.take_new_contacts().filter(|_| !self.is_leaving) else {
            return;
        };
        self.stir();
        let known: BTreeMap<SocketAddr, u64> =
            self.contacts.by_number.iter().map(|(number, it)| (it.address, *number)).collect();
        for (address, number) in &known {
            if !wanted.contains(address) {
                self.remove_contact(*number);
            }
        }
        let new: BTreeSet<SocketAddr> =
            wanted.into_iter().filter(|address| !known.contains_key(address)).collect();
        new.into_iter().for_each(|address| self.contacts.add(address, now_ns));
    }

    /// An attempt ended because the peer's own connection stands: it is the contact's, as long as it does.
    pub(super) fn stands_already(&mut self, id: NodeId, attempt: Option<Attempt>, now_ns: u64) {
        let is_up = self.nodes.get(&id).is_some_and(|node| node.control.is_some());
        if let Some(attempt @ Attempt::Contact(_)) = attempt.filter(|_| is_up)
            && let Some(dialer) = self.dialer(attempt)
        {
            dialer.connected(DialledBy::Us, now_ns);
        }
    }

    fn remove_contact(&mut self, number: u64) {
        let Some(mut contact) = self.contacts.by_number.remove(&number) else { return };
        if contact.dialer.stop() {
            self.orders.push_back(Order::Abandon(Attempt::Contact(number)));
        }
        for (id, node) in &mut self.nodes {
            if node.contact != Some(number) {
                continue;
            }
            node.contact = None;
            (node.is_bulk_wanted, node.bulk_wish_bytes) = (false, None);
            for (key, mut dialer) in std::mem::take(&mut node.dialers) {
                if dialer.stop() {
                    self.orders.push_back(Order::Abandon(Attempt::Further(*id, key)));
                }
            }
            for (key, serial) in node.connections.iter() {
                if let Some(place) = node.pairing.place(key) {
                    let (core, reason) = (place.own_core, DownReason::Closed);
                    self.orders.push_back(Order::Drop { core, serial, reason });
                }
            }
        }
    }
}
