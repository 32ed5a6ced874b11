//! What a program sees of its server: where it listens, and what it has counted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mainspring::device::Alarm;

/// What a server has counted since it started, over all cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IngressFigures {
    /// Connections that are open now, those whose end is under way included.
    pub open: u64,
    /// Connections that got an actor.
    pub accepted: u64,
    /// Connections that were reset at once: too many connections, sockets or actors.
    pub refused: u64,
    /// Connections that ended because their actor failed.
    pub failed: u64,
    /// Connections that ended because nothing came and nothing went.
    pub idle: u64,
    /// Connections that the peer or the network ended without finishing, or that broke a limit of the socket.
    pub lost: u64,
    /// Connections that were not secured, or did not stay so: TLS was asked for.
    pub insecure: u64,
    /// Bytes that actors took.
    pub received_bytes: u64,
    /// Sends.
    pub sends: u64,
    /// Bytes that were given to the kernel.
    pub sent_bytes: u64,
}

/// The counters of one core.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub open: AtomicU64,
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    pub failed: AtomicU64,
    pub idle: AtomicU64,
    pub lost: AtomicU64,
    pub insecure: AtomicU64,
    pub received_bytes: AtomicU64,
    pub sends: AtomicU64,
    pub sent_bytes: AtomicU64,
}

/// Adds to a counter that this core alone writes.
pub(super) fn add(counter: &AtomicU64, more: usize) {
    counter.store(counter.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
}

/// A server, from any thread. Clones are handles on the same.
#[derive(Debug, Clone, Default)]
pub struct IngressHandle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    address: Option<SocketAddr>,
    cores: u16,
    listening: u16,
    alarms: Vec<Alarm>,
    counters: Vec<Arc<Counters>>,
    #[cfg(feature = "tls")]
    credentials: Option<Arc<crate::tls::Credentials>>,
}

impl IngressHandle {
    /// Where the server listens, once it does so on all cores.
    pub fn listening_on(&self) -> Option<SocketAddr> {
        self.lock().listening_on()
    }

    /// As [`listening_on`](Self::listening_on), once the server listens, but after `patience` at the latest. It blocks
    /// this thread; not on a core's.
    pub fn wait_listening(&self, patience: Duration) -> Option<SocketAddr> {
        let end = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some(address) = state.listening_on() {
                return Some(address);
            }
            let left = end.checked_duration_since(Instant::now())?;
            let waited = self.shared.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What the server has counted.
    pub fn figures(&self) -> IngressFigures {
        let mut sum = IngressFigures::default();
        for counters in &self.lock().counters {
            let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            sum.open += of(&counters.open);
            sum.accepted += of(&counters.accepted);
            sum.refused += of(&counters.refused);
            sum.failed += of(&counters.failed);
            sum.idle += of(&counters.idle);
            sum.lost += of(&counters.lost);
            sum.insecure += of(&counters.insecure);
            sum.received_bytes += of(&counters.received_bytes);
            sum.sends += of(&counters.sends);
            sum.sent_bytes += of(&counters.sent_bytes);
        }
        sum
    }

    /// A core takes its part; here are its counters.
    pub(super) fn attend(&self, cores: u16, alarm: Alarm) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        let mut state = self.lock();
        state.cores = cores;
        state.alarms.push(alarm);
        state.counters.push(Arc::clone(&counters));
        counters
    }

    /// The address that the first core listens on, for the others.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.lock().address
    }

    /// A core listens. The first one says where, and the others are woken.
    pub(super) fn listens(&self, address: SocketAddr) {
        let mut state = self.lock();
        state.listening += 1;
        if state.address.replace(address).is_none() {
            state.alarms.iter().for_each(Alarm::ring);
        }
        self.shared.changed.notify_all();
    }

    /// What new connections are secured with from now on.
    #[cfg(feature = "tls")]
    pub(super) fn use_credentials(&self, credentials: Arc<crate::tls::Credentials>) {
        self.lock().credentials = Some(credentials);
    }

    /// What new connections are secured with, if they are.
    #[cfg(feature = "tls")]
    pub(super) fn credentials(&self) -> Option<Arc<crate::tls::Credentials>> {
        self.lock().credentials.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn listening_on(&self) -> Option<SocketAddr> {
        self.address.filter(|_| self.listening >= self.cores)
    }
}
