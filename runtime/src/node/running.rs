//! A running node: its cores' threads, and what other threads may ask of it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainspring_tuning::{SysRoot, Topology};

use super::blocking::Pool;
use super::builder::NodeBuilder;
use super::client::Client;
use super::configuration::Configuration;
use super::core_loop::{HostedCore, NeverSleeps, PATIENCE};
use super::deadlines::Deadlines;
use super::error::{Error, NodeError, StartError};
use super::idle::IdleProfile;
use super::machine;
use super::mailbox::Mailbox;
use super::shutdown;
use crate::actor::{Actor, StopReason};
use crate::address::{ActorRef, CLIENT_CORE_BASE};
use crate::context::{Spawn, SpawnError};
use crate::core::control::Control;
use crate::core::inbound::{Inbound, Injector};
use crate::core::limits::Limits;
use crate::core::outbound::{Outbound, Wake};
use crate::core::supervision::OnFailure;
use crate::core::{Core, CoreSettings};
use crate::device::{Extension, NodePlan, Seat};
use crate::driver::disk::DEFAULT_DISK_OPERATIONS;
use crate::driver::{
    Clock, CoreDisk, CoreNet, CoreThread, CoreWaker, HostSettings, NetLimits, spawn_core,
};
use crate::ring::{self, Consumer, Producer};
use crate::telemetry::{CoreMetrics, NodeMetrics};

thread_local! {
    /// Whether this is the thread of a core, which must not wait.
    static ON_CORE: Cell<bool> = const { Cell::new(false) };
}

/// What the node's handles and clients share.
pub(super) struct Shared {
    pub name: Arc<str>,
    pub incarnation: u32,
    pub limits: Limits,
    pub deadlines: Arc<Deadlines>,
    pub injectors: Vec<Arc<Injector>>,
    wakers: Vec<Arc<CoreWaker>>,
    accepting: AtomicBool,
    next_core: AtomicU16,
    clients: Mutex<Clients>,
    next_client_generation: AtomicU32,
}

/// Which client numbers are taken.
#[derive(Default)]
struct Clients {
    taken: Vec<bool>,
}

/// A running node. Dropping it shuts it down at once; [`Node::shutdown`] does so in order.
pub struct Node {
    pub(super) shared: Arc<Shared>,
    pub(super) threads: Vec<CoreThread>,
    pool: Option<Pool>,
    cpus: Vec<u32>,
}

/// What a node runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The node's name.
    pub name: String,
    /// This life of the node: drawn anew at every start.
    pub incarnation: u32,
    /// The CPU of each core.
    pub cpus: Vec<u32>,
    /// What the kernel granted to the first core's ring.
    pub ring_features: String,
}

/// The ends of the rings of one core.
#[derive(Default)]
struct Lanes {
    outbounds: Vec<(u16, Outbound)>,
    inbounds: Vec<Inbound>,
}

impl Node {
    /// Settings of a node that is to be started.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    pub(super) fn start(
        configuration: Configuration,
        extensions: Vec<Arc<dyn Extension>>,
    ) -> Result<Node, StartError> {
        configuration.check()?;
        let topology = Topology::read(&SysRoot::real())?;
        let resolved = configuration.cores.resolve(&topology)?;
        if configuration.audit {
            machine::log(&configuration.name, &resolved.cpus, configuration.idle);
        }
        if let Some(warning) = &resolved.warning {
            tracing::warn!(node = configuration.name, %warning, "more cores than CPUs");
        }
        let cores = resolved.cpus.len() as u16;
        let incarnation = new_incarnation();
        prepare(&extensions, NodePlan { name: configuration.name.clone(), incarnation, cores })?;
        let mut wakers = Vec::new();
        for core in 0..cores {
            let waker = CoreWaker::new().map_err(|source| StartError::Waker { core, source })?;
            wakers.push(Arc::new(waker));
        }
        let injectors = wakers.iter().map(|waker| Arc::new(Injector::new(waker.clone()))).collect();
        let shared = Arc::new(Shared {
            name: configuration.name.as_str().into(),
            incarnation,
            limits: configuration.limits,
            deadlines: Arc::default(),
            injectors,
            wakers,
            accepting: AtomicBool::new(true),
            next_core: AtomicU16::new(0),
            clients: Mutex::default(),
            next_client_generation: AtomicU32::new(1),
        });
        let threads = configuration.blocking_threads;
        let pool = match Pool::start(&configuration.name, threads, configuration.limits.jobs) {
            Ok(pool) => Some(pool),
            Err(error) => {
                tracing::warn!(node = configuration.name, %error, "no threads for blocking calls");
                None
            }
        };
        let mut node = Node { shared, threads: Vec::new(), pool, cpus: resolved.cpus };
        for (core, lanes) in node.connect(cores, configuration.idle).into_iter().enumerate() {
            let core = core as u16;
            let thread = node
                .start_core(core, cores, lanes, &configuration, extensions.clone())
                .map_err(|source| StartError::Core { core, source })?;
            node.threads.push(thread);
        }
        tracing::info!(node = configuration.name, cores, idle = %configuration.idle, "node started");
        Ok(node)
    }

    /// A pair of rings for each ordered pair of cores.
    fn connect(&self, cores: u16, idle: IdleProfile) -> Vec<Lanes> {
        let limits = self.shared.limits;
        let mut lanes: Vec<Lanes> = (0..cores).map(|_| Lanes::default()).collect();
        for from in 0..cores {
            for to in (0..cores).filter(|to| *to != from) {
                let (user_out, user_in) = checked_ring(limits.ring_bytes);
                let (control_out, control_in) = checked_ring(limits.control_ring_bytes);
                let waker: Arc<dyn Wake> = match idle {
                    IdleProfile::Busy => Arc::new(NeverSleeps),
                    _ => self.shared.wakers[to as usize].clone(),
                };
                let outbound = Outbound::new(user_out, Some(control_out), waker);
                lanes[from as usize].outbounds.push((to, outbound));
                let control = Some(control_in);
                let inbound = Inbound { source: from, user: user_in, control, held: false };
                lanes[to as usize].inbounds.push(inbound);
            }
        }
        lanes
    }

    fn start_core(
        &self,
        index: u16,
        cores: u16,
        lanes: Lanes,
        configuration: &Configuration,
        extensions: Vec<Arc<dyn Extension>>,
    ) -> Result<CoreThread, crate::driver::HostError> {
        let shared = &self.shared;
        let host = HostSettings {
            cpu: Some(self.cpus[index as usize]),
            idle: configuration.idle,
            ..HostSettings::new(
                format!("{}-{index}", shared.name),
                shared.wakers[index as usize].clone(),
            )
        };
        let (node, node_name, limits) = (shared.incarnation, shared.name.clone(), shared.limits);
        let injector = shared.injectors[index as usize].clone();
        let waker = shared.wakers[index as usize].clone();
        let blocking_of = self.pool.as_ref().and_then(|pool| pool.handle());
        let seed = (u64::from(node) << 16) ^ u64::from(index);
        spawn_core(host, move |ring| {
            ON_CORE.set(true);
            let net = CoreNet::new(
                ring.clone(),
                NetLimits {
                    sockets: limits.sockets,
                    receive_memory_bytes: limits.receive_memory_bytes,
                },
            );
            let disk = CoreDisk::new(ring, DEFAULT_DISK_OPERATIONS);
            let clock = Clock::new();
            let blocking = blocking_of.map(|handle| handle.of_core(injector.clone()));
            let mut core = Core::new(CoreSettings {
                node,
                node_name,
                index,
                cores,
                limits,
                clock: Box::new(move || clock.now_ns()),
                seed,
                injector,
                blocking,
                runs_tasks: true,
            });
            for (to, outbound) in lanes.outbounds {
                core.outbounds[to as usize] = Some(outbound);
            }
            core.inbounds = lanes.inbounds;
            for inbound in &mut core.inbounds {
                inbound.user.touch();
            }
            let mut seat = Seat::new(&mut core, waker);
            seat.share(Rc::new(disk.clone()));
            seat.share(Rc::new(net.network()));
            for extension in &extensions {
                extension.install(&mut seat);
            }
            HostedCore { core, disk, net }
        })
    }

    /// Makes an actor on one of the cores, each in turn. `factory` runs on the owning core, so the actor's state need
    /// not be `Send`.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn spawn<A, F>(&self, factory: F) -> Result<ActorRef<A::Message>, NodeError>
    where
        A: Actor,
        F: FnMut() -> A + Send + 'static,
    {
        self.actor(factory).start()
    }

    /// Prepares an actor: on which core, under which policy, by which name.
    pub fn actor<A, F>(&self, factory: F) -> NodeSpawn<'_, F>
    where
        A: Actor,
        F: FnMut() -> A + Send + 'static,
    {
        NodeSpawn { node: self, factory, core: None, on_failure: OnFailure::Stop, name: None }
    }

    /// A client for the calling thread, or for another one that it is given to. At the limit of clients it can do
    /// nothing: each call says [`TellError::Gone`](crate::TellError::Gone).
    pub fn client(&self) -> Client {
        self.shared.attach_client()
    }

    /// Stops an actor: children first, then itself.
    ///
    /// # Errors
    /// [`NodeError`]; the actor may be gone already, which is no error.
    pub fn stop<M: ?Sized>(&self, actor: ActorRef<M>) -> Result<(), NodeError> {
        let (_, me) = actor.words();
        let control = Control::Stop { me, reason: StopReason::Stopped };
        self.shared.on_core(actor.core(), move |core| core.control.push_back(control))
    }

    /// The actor with this name.
    ///
    /// # Errors
    /// [`NodeError::Lookup`] when there is none or it takes other messages; others when the node does not answer.
    pub fn lookup<M: crate::message::LocalMessage>(
        &self,
        name: impl Into<String>,
    ) -> Result<ActorRef<M>, NodeError> {
        let name = name.into();
        Ok(self.shared.on_core(0, move |core| core.lookup::<M>(&name))??)
    }

    /// What the cores have counted, as of now. A core that a turn holds up is named instead.
    pub fn metrics(&self) -> NodeMetrics {
        let mut cores = Vec::new();
        let mut silent_cores = Vec::new();
        for core in 0..self.shared.injectors.len() as u16 {
            let patience = Duration::from_millis(500);
            match self.shared.on_core_within(core, patience, |core| core.metrics()) {
                Ok(metrics) => cores.push(metrics),
                Err(_) => silent_cores.push(core),
            }
        }
        NodeMetrics { node: self.shared.name.to_string(), cores, silent_cores }
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Cores of the node.
    pub fn cores(&self) -> u16 {
        self.shared.injectors.len() as u16
    }

    /// What the node runs on.
    pub fn info(&self) -> NodeInfo {
        NodeInfo {
            name: self.shared.name.to_string(),
            incarnation: self.shared.incarnation,
            cpus: self.cpus.clone(),
            ring_features: self
                .threads
                .first()
                .map_or_else(String::new, |thread| thread.features().to_string()),
        }
    }

    /// Shuts down in order: new work from clients is refused, what is queued is handled, all actors stop, children
    /// first, and the cores end. After `deadline` the rest is given up.
    ///
    /// # Errors
    /// [`Error::Shutdown`] with what was left, when the deadline passed.
    pub fn shutdown(mut self, deadline: Duration) -> Result<(), Error> {
        shutdown::run(&mut self, deadline).map_err(Error::from)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            let _ = shutdown::run(self, Duration::ZERO);
        }
    }
}

/// Has every extension do what must be done before a core runs.
fn prepare(extensions: &[Arc<dyn Extension>], plan: NodePlan) -> Result<(), StartError> {
    for extension in extensions {
        let failed = |source| StartError::Extension { extension: extension.name(), source };
        extension.prepare(&plan).map_err(failed)?;
    }
    Ok(())
}

/// An actor that is to be made on a node.
#[must_use = "the actor is made by `start`"]
pub struct NodeSpawn<'a, F> {
    node: &'a Node,
    factory: F,
    core: Option<u16>,
    on_failure: OnFailure,
    name: Option<String>,
}

impl<F> NodeSpawn<'_, F> {
    /// On this core.
    pub fn on_core(mut self, core: u16) -> Self {
        self.core = Some(core);
        self
    }

    /// What is done when the actor fails. Without it, the actor stops.
    pub fn on_failure(mut self, policy: impl Into<OnFailure>) -> Self {
        self.on_failure = policy.into();
        self
    }

    /// Asks for a name for the actor.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes the actor.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn start<A: Actor>(self) -> Result<ActorRef<A::Message>, NodeError>
    where
        F: FnMut() -> A + Send + 'static,
    {
        let shared = &self.node.shared;
        if !shared.is_accepting() {
            return Err(NodeError::ShuttingDown);
        }
        let core = self.core.unwrap_or_else(|| {
            shared.next_core.fetch_add(1, Ordering::Relaxed) % shared.injectors.len() as u16
        });
        let (factory, on_failure, name) = (self.factory, self.on_failure, self.name);
        let made = shared.on_core(core, move |core: &mut Core| -> Result<_, SpawnError> {
            let mut spawn = Spawn::top_level(core, factory).on_failure(on_failure);
            if let Some(name) = name {
                spawn = spawn.named(name);
            }
            let made = spawn.try_start();
            core.commit_turn();
            made
        })?;
        Ok(made?)
    }
}

impl Shared {
    pub fn is_accepting(&self) -> bool {
        self.accepting.load(Ordering::Acquire)
    }

    pub fn stop_accepting(&self) {
        self.accepting.store(false, Ordering::Release);
    }

    pub fn wake(&self, core: u16) {
        if let Some(waker) = self.wakers.get(core as usize) {
            waker.wake_after_publish();
        }
    }

    /// Runs `work` on a core and waits for its result.
    pub fn on_core<T: Send + 'static>(
        &self,
        core: u16,
        work: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        self.on_core_within(core, PATIENCE, work)
    }

    pub fn on_core_within<T: Send + 'static>(
        &self,
        core: u16,
        patience: Duration,
        work: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        if ON_CORE.get() {
            return Err(NodeError::OnCoreThread);
        }
        let last = self.injectors.len() as u16 - 1;
        let Some(injector) = self.injectors.get(core as usize) else {
            return Err(NodeError::NoCore { core, last });
        };
        let (send, receive) = sync_channel(1);
        let piece = Box::new(move |core: &mut Core| {
            // Whoever asked may have given up.
            let _ = send.send(work(core));
        });
        injector.inject(piece).map_err(|_| NodeError::Busy { core })?;
        match receive.recv_timeout(patience) {
            Ok(result) => Ok(result),
            Err(RecvTimeoutError::Disconnected) => Err(NodeError::Panicked { core }),
            Err(RecvTimeoutError::Timeout) => {
                Err(NodeError::Silent { core, waited_ms: patience.as_millis() as u64 })
            }
        }
    }

    fn attach_client(self: &Arc<Self>) -> Client {
        let Some(number) = self.take_client_number() else {
            let mailbox = Arc::new(Mailbox::new(Vec::new(), 0));
            return Client::new(Arc::clone(self), mailbox, Vec::new(), None);
        };
        let cores = self.injectors.len();
        let mut lanes_out: Vec<Producer> = Vec::with_capacity(cores);
        let mut ways_back: Vec<Consumer> = Vec::with_capacity(cores);
        let mut ends = Vec::with_capacity(cores);
        for _ in 0..cores {
            let (to_core, at_core) = checked_ring(self.limits.client_ring_bytes);
            let (from_core, at_client) = checked_ring(self.limits.client_ring_bytes);
            lanes_out.push(to_core);
            ways_back.push(at_client);
            ends.push((at_core, from_core));
        }
        // Steps far apart: answers for an earlier client with this number find nobody.
        let generation = self.next_client_generation.fetch_add(1 << 16, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::new(ways_back, generation));
        let (attached, all_attached) = sync_channel(cores);
        for (core, (at_core, from_core)) in ends.into_iter().enumerate() {
            let outbound = Outbound::new(from_core, None, mailbox.clone());
            let attached = attached.clone();
            let attach = Box::new(move |core: &mut Core| {
                core.attach_client(number, at_core, outbound);
                let _ = attached.send(());
            });
            // A core with too much waiting work has this client's lane refuse everything instead.
            let _ = self.injectors[core].inject(attach);
        }
        drop(attached);
        if !ON_CORE.get() {
            // Answers may come by any core, so all of them know the client before it asks.
            for _ in 0..cores {
                if all_attached.recv_timeout(Duration::from_secs(1)).is_err() {
                    break;
                }
            }
        }
        Client::new(Arc::clone(self), mailbox, lanes_out, Some(number))
    }

    fn take_client_number(&self) -> Option<u16> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = clients.taken.iter().position(|taken| !taken) {
            clients.taken[number] = true;
            return Some(number as u16);
        }
        let limit = self.limits.clients.min((u16::MAX - CLIENT_CORE_BASE) as usize);
        if clients.taken.len() >= limit {
            return None;
        }
        clients.taken.push(true);
        Some(clients.taken.len() as u16 - 1)
    }

    /// A client is gone: each core forgets its rings, after what it sent before was handled.
    pub fn detach_client(self: &Arc<Self>, number: u16) {
        let left = Arc::new(AtomicU16::new(self.injectors.len() as u16));
        for injector in &self.injectors {
            let (left, shared) = (Arc::clone(&left), Arc::clone(self));
            let detach = Box::new(move |core: &mut Core| {
                core.detach_client(number);
                // The last core frees the number.
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    shared.free_client_number(number);
                }
            });
            let _ = injector.inject(detach);
        }
    }

    fn free_client_number(&self, number: u16) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = clients.taken.get_mut(number as usize) {
            *taken = false;
        }
    }
}

impl Core {
    fn attach_client(&mut self, number: u16, user: Consumer, outbound: Outbound) {
        let at = self.cores() as usize + number as usize;
        if self.outbounds.len() <= at {
            self.outbounds.resize_with(at + 1, || None);
        }
        self.outbounds[at] = Some(outbound);
        let source = CLIENT_CORE_BASE + number;
        self.inbounds.push(Inbound { source, user, control: None, held: false });
    }

    fn detach_client(&mut self, number: u16) {
        self.sweep_inbound(u64::MAX);
        self.forget_source(CLIENT_CORE_BASE + number);
        let at = self.cores() as usize + number as usize;
        if let Some(outbound) = self.outbounds.get_mut(at) {
            *outbound = None;
        }
    }

    /// A copy of what this core has counted.
    pub(crate) fn metrics(&self) -> CoreMetrics {
        CoreMetrics {
            core: self.index(),
            counters: self.counters,
            actors: self.slots.live(),
            asks_waiting: self.asks.waiting(),
            timers_pending: self.timers.len(),
            turn: self.histograms.turns(),
            wait: self.histograms.waits(),
        }
    }
}

fn checked_ring(bytes: usize) -> (Producer, Consumer) {
    ring::ring(bytes).expect("the configuration was checked: a power of two within bounds")
}

/// 32 bits drawn anew at every start; never 0.
fn new_incarnation() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library seeds this from the kernel's random numbers.
    (RandomState::new().hash_one(std::process::id()) as u32).max(1)
}
