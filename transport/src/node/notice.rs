//! What a program sees of its node's links: who is there, what has happened, and whom it wants dialled.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainspring::device::Alarm;

use super::figures::{Counters, LinkFigures};
use crate::link::events::LinkEvent;
use crate::link::identity::NodeId;

/// Events that wait to be taken; the oldest go first.
pub const EVENTS_LIMIT: usize = 4_096;

/// Addresses that a node dials, and tries again.
pub const CONTACTS_LIMIT: usize = 4_096;

/// Why a node does not dial an address. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The node is not there yet.
    #[error(
        "{address} cannot be dialled before the node has started; name it with Transport::connect, or later"
    )]
    NotStarted {
        /// The address.
        address: SocketAddr,
    },
    /// Anybody could answer there.
    #[error(
        "{address} is on another machine, and the node has neither a key nor TLS: whoever answers would be trusted. \
         Set key_file, tls, or insecure(true) where the network itself keeps strangers out"
    )]
    Insecure {
        /// The address.
        address: SocketAddr,
    },
    /// Too many addresses.
    #[error(
        "{address} is one address more than the {limit} that a node dials; disconnect one first"
    )]
    TooMany {
        /// The address.
        address: SocketAddr,
        /// How many there may be.
        limit: usize,
    },
}

/// A node that is linked to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedNode {
    /// Which node, over all its lives.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// This life of it, as references to its actors have it.
    pub incarnation: u32,
    /// Where this node dials it; none if only the other one dials.
    pub dialled_at: Option<SocketAddr>,
    /// Connections that stand.
    pub connections: usize,
    /// Connections that should.
    pub wanted_connections: usize,
}

/// The links of a node, from any thread. Clones are handles on the same.
#[derive(Debug, Clone, Default)]
pub struct Links {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// The addresses to dial have changed since the hub looked.
    has_new_contacts: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    listening_on: Option<SocketAddr>,
    contacts: BTreeSet<SocketAddr>,
    dialing: Option<Dialing>,
    alarm: Option<Alarm>,
    nodes: Vec<LinkedNode>,
    nodes_version: u64,
    events: VecDeque<LinkEvent>,
    dropped_events: u64,
    counters: Vec<Arc<Counters>>,
    #[cfg(feature = "tls")]
    credentials: Option<Arc<crate::tls::Credentials>>,
}

/// What is known about dialling when the node starts.
#[derive(Debug, Clone, Copy)]
struct Dialing {
    /// Neither a key nor a certificate is asked for, and nobody has allowed that.
    is_local_only: bool,
    listen: Option<SocketAddr>,
}

impl Links {
    /// From now on the node dials this address, and again whenever the link is lost. Once is enough; an address that
    /// is dialled already stays so. From any thread, and from actors.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing has changed.
    pub fn connect(&self, address: SocketAddr) -> Result<(), ConnectError> {
        self.with(|state| {
            let Some(dialing) = state.dialing else {
                return Err(ConnectError::NotStarted { address });
            };
            if dialing.is_local_only && !address.ip().is_loopback() {
                return Err(ConnectError::Insecure { address });
            }
            let is_new = !state.contacts.contains(&address);
            if is_new && state.contacts.len() >= CONTACTS_LIMIT {
                return Err(ConnectError::TooMany { address, limit: CONTACTS_LIMIT });
            }
            if is_new {
                state.contacts.insert(address);
                self.tell_hub(state);
            }
            Ok(())
        })
    }

    /// Dials this address no more, and ends the link that was made so; whether it was dialled. A node there that dials
    /// this one stays linked, or comes back.
    pub fn disconnect(&self, address: SocketAddr) -> bool {
        self.with(|state| {
            let was_dialled = state.dialing.is_some() && state.contacts.remove(&address);
            if was_dialled {
                self.tell_hub(state);
            }
            was_dialled
        })
    }

    /// Whether the node that has these links was started, or is about to be.
    pub fn is_prepared(&self) -> bool {
        self.with(|state| state.dialing.is_some())
    }

    /// The address to listen on as it was set, known before the node listens; its port may be 0.
    pub fn will_listen_on(&self) -> Option<SocketAddr> {
        self.with(|state| state.dialing?.listen)
    }

    /// Where the node listens, once it does.
    pub fn listening_on(&self) -> Option<SocketAddr> {
        self.with(|state| state.listening_on)
    }

    /// As [`listening_on`](Self::listening_on), once the node listens, but after `patience` at the latest. It blocks
    /// this thread; not on a core's.
    pub fn wait_listening(&self, patience: Duration) -> Option<SocketAddr> {
        self.wait(patience, |state| state.listening_on)
    }

    /// The nodes that are linked now, by id.
    pub fn nodes(&self) -> Vec<LinkedNode> {
        self.with(|state| state.nodes.clone())
    }

    /// As [`nodes`](Self::nodes), if something has changed since `version`, and the version of that. The first one
    /// is after 0.
    pub fn nodes_since(&self, version: u64) -> Option<(u64, Vec<LinkedNode>)> {
        self.with(|state| {
            let is_new = state.nodes_version != version;
            is_new.then(|| (state.nodes_version, state.nodes.clone()))
        })
    }

    /// What has happened since the last call, oldest first, and how many events were dropped because nobody took them.
    pub fn take_events(&self) -> (Vec<LinkEvent>, u64) {
        self.with(|state| {
            let dropped = std::mem::take(&mut state.dropped_events);
            (state.events.drain(..).collect(), dropped)
        })
    }

    /// What the node's links have counted.
    pub fn figures(&self) -> LinkFigures {
        let mut sum = LinkFigures::default();
        self.with(|state| state.counters.iter().for_each(|counters| counters.add_to(&mut sum)));
        sum
    }

    /// The oldest event that was not taken yet, as soon as there is one, but after `patience` at the latest. It blocks
    /// this thread; not on a core's.
    pub fn wait_event(&self, patience: Duration) -> Option<LinkEvent> {
        self.wait(patience, |state| state.events.pop_front())
    }

    /// Blocks this thread until `wanted` holds for the nodes that are linked, but not longer than `patience`; the
    /// nodes, if it does. Not on a core's thread.
    pub fn wait_until(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(&[LinkedNode]) -> bool,
    ) -> Option<Vec<LinkedNode>> {
        self.wait(patience, |state| wanted(&state.nodes).then(|| state.nodes.clone()))
    }

    /// As [`wait_until`](Self::wait_until), for so many nodes with all their connections.
    pub fn wait_for_nodes(&self, count: usize, patience: Duration) -> Option<Vec<LinkedNode>> {
        self.wait_until(patience, |nodes| {
            let is_whole = |node: &&LinkedNode| node.connections >= node.wanted_connections;
            nodes.iter().filter(is_whole).count() >= count
        })
    }

    /// The node starts: it dials these addresses, and whether it may dial others.
    pub(super) fn prepare(
        &self,
        contacts: &[SocketAddr],
        listen: Option<SocketAddr>,
        is_local_only: bool,
    ) {
        self.with(|state| {
            state.contacts = contacts.iter().copied().collect();
            state.dialing = Some(Dialing { is_local_only, listen });
        });
    }

    /// The core that dials is woken so.
    pub(super) fn wake_by(&self, alarm: Alarm) {
        self.with(|state| state.alarm = Some(alarm));
    }

    fn tell_hub(&self, state: &State) {
        self.shared.has_new_contacts.store(true, Ordering::Release);
        if let Some(alarm) = &state.alarm {
            alarm.ring();
        }
    }

    /// What new connections are secured with from now on.
    #[cfg(feature = "tls")]
    pub(super) fn use_credentials(&self, credentials: Arc<crate::tls::Credentials>) {
        self.with(|state| state.credentials = Some(credentials));
    }

    /// What new connections are secured with, if they are.
    #[cfg(feature = "tls")]
    pub(super) fn credentials(&self) -> Option<Arc<crate::tls::Credentials>> {
        self.with(|state| state.credentials.clone())
    }

    /// Something has happened.
    pub(super) fn record(&self, event: LinkEvent) {
        self.with(|state| {
            if state.events.len() >= EVENTS_LIMIT {
                state.events.pop_front();
                state.dropped_events += 1;
            }
            state.events.push_back(event);
        });
        self.shared.changed.notify_all();
    }

    /// A core takes its part; here are its counters.
    pub(super) fn attend(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::new());
        self.with(|state| state.counters.push(Arc::clone(&counters)));
        counters
    }

    fn wait<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + patience;
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            let waited = self.shared.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the hub writes what the program sees.
pub(super) struct Notices(Links);

impl Notices {
    pub fn new(links: Links) -> Notices {
        Notices(links)
    }

    pub fn listening(&self, address: SocketAddr) {
        self.0.with(|state| state.listening_on = Some(address));
        self.0.shared.changed.notify_all();
    }

    pub fn has_new_contacts(&self) -> bool {
        self.0.shared.has_new_contacts.load(Ordering::Acquire)
    }

    /// All addresses to dial, if they have changed since the last call.
    pub fn take_new_contacts(&self) -> Option<BTreeSet<SocketAddr>> {
        if !self.has_new_contacts() {
            return None;
        }
        self.0.with(|state| {
            self.0.shared.has_new_contacts.store(false, Ordering::Release);
            Some(state.contacts.clone())
        })
    }

    pub fn publish(&self, nodes: Vec<LinkedNode>) {
        self.0.with(|state| {
            state.nodes = nodes;
            state.nodes_version += 1;
        });
        self.0.shared.changed.notify_all();
    }

    pub fn event(&self, event: LinkEvent) {
        tracing::info!(?event, "link");
        self.0.record(event);
    }
}
