//! The simulated machine: nodes, cores, rings and the clock, driven by one seeded sequence of choices.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};

use super::spend::CoreTime;
use super::trace::Trace;
use crate::core::dead_letters::Reason;
use crate::core::inbound::{INJECTED_LIMIT, Inbound, Injector};
use crate::core::limits::Limits;
use crate::core::outbound::{Outbound, Wake};
use crate::core::random::Random;
use crate::core::tasks::{Blocking, BlockingWork, LocalTask};
use crate::core::{Core, CoreSettings};
use crate::device::Seat;
use crate::ring;

/// Virtual time that one sweep takes.
const SWEEP_NS: u64 = 100;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub seed: u64,
    pub nodes: usize,
    pub cores: u16,
    pub limits: Limits,
}

/// A simulated core sweeps whenever it has work: nobody has to wake it.
pub(super) struct Awake;

impl Wake for Awake {
    fn wake_after_publish(&self) -> bool {
        false
    }
}

/// Blocking work is done at once, and its result comes by the injector as in production.
struct Inline(Arc<Injector>);

impl Blocking for Inline {
    fn submit(&self, work: BlockingWork) -> Result<(), usize> {
        self.0.inject(work()).map_err(|_| INJECTED_LIMIT)
    }
}

/// An incarnation that no other simulated node of this process has, so that a reference from one test's nodes reaches
/// nothing in another's. They rise, so that references of one run compare as in every other run of its seed.
pub(super) fn next_incarnation() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

struct SimCore {
    core: Core,
    time: Rc<CoreTime>,
    tasks: Vec<LocalTask>,
    stalled_until_ns: u64,
    /// Its last sweep did nothing: what it has to do waits for room in a ring.
    blocked: bool,
}

/// Frames of a ring that come only later.
struct Delay {
    until_ns: u64,
    node: usize,
    from: u16,
    to: u16,
}

/// See the module's header.
pub(super) struct World {
    pub plan: Plan,
    pub steps: u64,
    cores: Vec<SimCore>,
    clock: Rc<Cell<u64>>,
    random: Random,
    trace: Rc<RefCell<Trace>>,
    delays: Vec<Delay>,
}

impl World {
    pub fn new(plan: Plan) -> World {
        let mut world = World {
            plan,
            steps: 0,
            cores: Vec::new(),
            clock: Rc::new(Cell::new(0)),
            random: Random::seeded(plan.seed),
            trace: Rc::default(),
            delays: Vec::new(),
        };
        for node in 0..plan.nodes {
            world.add_node(node);
        }
        world
    }

    /// The next node, whose cores come behind those of the others.
    fn add_node(&mut self, node: usize) {
        let first = self.cores.len();
        let cores = self.new_cores(node);
        self.cores.extend(cores);
        self.connect_all(first);
    }

    /// A node ends at once, with all that its cores had, and begins another life.
    pub fn restart_node(&mut self, node: usize) {
        let first = node * self.plan.cores as usize;
        self.delays.retain(|delay| delay.node != node);
        for (at, core) in self.new_cores(node).into_iter().enumerate() {
            self.cores[first + at] = core;
        }
        self.connect_all(first);
        self.unblock();
    }

    fn new_cores(&mut self, node: usize) -> Vec<SimCore> {
        let incarnation = next_incarnation();
        self.trace.borrow_mut().know_node(node, incarnation);
        let mut cores = Vec::new();
        for index in 0..self.plan.cores {
            let time = Rc::new(CoreTime::of(Rc::clone(&self.clock)));
            let core = self.new_core(node, incarnation, index, &time);
            cores.push(SimCore {
                core,
                time,
                tasks: Vec::new(),
                stalled_until_ns: 0,
                blocked: false,
            });
        }
        cores
    }

    /// Rings between the cores of a node, of which `first` is the first.
    fn connect_all(&mut self, first: usize) {
        for from in 0..self.plan.cores {
            for to in (0..self.plan.cores).filter(|to| *to != from) {
                self.connect(first, from, to);
            }
        }
    }

    fn new_core(&mut self, node: usize, incarnation: u32, index: u16, time: &Rc<CoreTime>) -> Core {
        let injector = Arc::new(Injector::new(Arc::new(Awake)));
        let clock = Rc::clone(time);
        let mut core = Core::new(CoreSettings {
            node: incarnation,
            node_name: format!("node-{node}").into(),
            index,
            cores: self.plan.cores,
            limits: self.plan.limits,
            clock: Box::new(move || clock.now_ns()),
            seed: self.random.next(),
            injector: Arc::clone(&injector),
            blocking: Some(Box::new(Inline(injector))),
            runs_tasks: true,
        });
        Seat::new(&mut core, Arc::new(Awake)).share(Rc::clone(time));
        let trace = Rc::clone(&self.trace);
        core.set_observer(Box::new(move |now_ns, seen| {
            trace.borrow_mut().add(node, index, now_ns, seen);
        }));
        core
    }

    fn connect(&mut self, first: usize, from: u16, to: u16) {
        let limits = self.plan.limits;
        let (user_out, user_in) = ring::ring(limits.ring_bytes).expect("a power of two");
        let (control_out, control_in) =
            ring::ring(limits.control_ring_bytes).expect("a power of two");
        let outbound = Outbound::new(user_out, Some(control_out), Arc::new(Awake));
        self.cores[first + from as usize].core.outbounds[to as usize] = Some(outbound);
        let inbound =
            Inbound { source: from, user: user_in, control: Some(control_in), held: false };
        self.cores[first + to as usize].core.inbounds.push(inbound);
    }

    pub fn core(&mut self, node: usize, core: u16) -> &mut Core {
        &mut self.cores[node * self.plan.cores as usize + core as usize].core
    }

    /// The node with this incarnation.
    pub fn node_of(&self, incarnation: u32) -> Option<usize> {
        let cores = self.plan.cores as usize;
        self.cores.iter().position(|core| core.core.node() == incarnation).map(|at| at / cores)
    }

    pub fn now_ns(&self) -> u64 {
        self.clock.get()
    }

    /// Lets one core that has work do some of it; false when none has.
    pub fn step(&mut self) -> bool {
        self.end_delays();
        let now_ns = self.now_ns();
        let mut ready = Vec::new();
        for (at, core) in self.cores.iter_mut().enumerate() {
            let blocked = core.blocked && !core.core.has_more_than_flush();
            if core.stalled_until_ns <= now_ns && !blocked && core.core.has_work() {
                ready.push(at);
            }
        }
        if ready.is_empty() {
            return self.poll_all_tasks();
        }
        let chosen = ready[self.random.below(ready.len() as u64) as usize];
        let local_budget = 1 + self.random.below(8);
        let inbound_budget = 1 + self.random.below(4);
        self.steps += 1;
        self.clock.set(now_ns + SWEEP_NS);
        let chosen = &mut self.cores[chosen];
        chosen.core.limits.local_budget = local_budget;
        chosen.core.limits.inbound_budget = inbound_budget;
        chosen.core.read_clock();
        let worked = chosen.core.sweep() | chosen.poll_tasks();
        chosen.blocked = !worked;
        chosen.stalled_until_ns = chosen.stalled_until_ns.max(chosen.time.busy_until_ns());
        if worked {
            self.unblock();
        }
        true
    }

    /// Something happened: what waited for room in a ring may go on.
    pub fn unblock(&mut self) {
        for core in &mut self.cores {
            core.blocked = false;
        }
    }

    /// Time of the next thing that happens by itself.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let stalls = self.cores.iter().map(|core| core.stalled_until_ns);
        let delays = self.delays.iter().map(|delay| delay.until_ns);
        let waits = stalls.chain(delays).filter(|at_ns| *at_ns > self.now_ns());
        let timers = self.cores.iter().filter_map(|core| {
            core.core.next_deadline_ns().map(|at_ns| at_ns.max(core.stalled_until_ns))
        });
        timers.chain(waits).min()
    }

    /// What is still to happen, in words.
    pub fn left(&mut self) -> Vec<String> {
        let cores = self.plan.cores as usize;
        let now_ns = self.now_ns();
        let mut left = Vec::new();
        for (at, sim) in self.cores.iter_mut().enumerate() {
            let name = format!("core {} of node {}", at % cores, at / cores);
            let timers = sim.core.timers.len();
            if timers > 0 {
                left.push(format!("{timers} timers on {name}"));
            }
            if sim.stalled_until_ns > now_ns {
                left.push(format!("{name} is stalled"));
            }
            if !sim.core.is_quiet() {
                left.push(format!("work on {name}"));
            }
        }
        if !self.delays.is_empty() {
            left.push(format!("{} delayed rings", self.delays.len()));
        }
        left
    }

    /// Moves the clock, never back.
    pub fn set_clock(&mut self, now_ns: u64) {
        self.clock.set(now_ns.max(self.clock.get()));
        for core in &mut self.cores {
            core.core.read_clock();
        }
    }

    fn poll_all_tasks(&mut self) -> bool {
        let mut progressed = false;
        for core in &mut self.cores {
            progressed |= core.poll_tasks();
        }
        progressed
    }

    fn end_delays(&mut self) {
        let now_ns = self.now_ns();
        let delays = std::mem::take(&mut self.delays);
        for delay in delays {
            if delay.until_ns > now_ns {
                self.delays.push(delay);
            } else {
                self.hold_ring(delay.node, delay.from, delay.to, false);
            }
        }
        // A ring that was delayed twice waits for the longer one.
        for at in 0..self.delays.len() {
            let Delay { node, from, to, .. } = self.delays[at];
            self.hold_ring(node, from, to, true);
        }
    }

    /// Frames from one core to another come only after so much virtual time.
    pub fn delay_ring(&mut self, node: usize, from: u16, to: u16, delay_ns: u64) {
        self.hold_ring(node, from, to, true);
        self.delays.push(Delay { until_ns: self.now_ns() + delay_ns, node, from, to });
    }

    fn hold_ring(&mut self, node: usize, from: u16, to: u16, held: bool) {
        for inbound in &mut self.core(node, to).inbounds {
            if inbound.source == from {
                inbound.held = held;
            }
        }
    }

    /// The ring from one core to another looks full, or no longer.
    pub fn jam_ring(&mut self, node: usize, from: u16, to: u16, jammed: bool) {
        if let Some(Some(outbound)) = self.core(node, from).outbounds.get_mut(to as usize) {
            outbound.jammed = jammed;
        }
        self.unblock();
    }

    /// A core does nothing for so much virtual time.
    pub fn stall_core(&mut self, node: usize, core: u16, pause_ns: u64) {
        let until_ns = self.now_ns().saturating_add(pause_ns);
        self.cores[node * self.plan.cores as usize + core as usize].stalled_until_ns = until_ns;
    }

    pub fn trace(&self) -> String {
        self.trace.borrow().text()
    }

    /// Living actors on all cores.
    pub fn actors(&self) -> usize {
        self.cores.iter().map(|core| core.core.slots.live()).sum()
    }

    /// Messages that were not delivered for this reason, on all cores.
    pub fn dead_letters(&self, reason: Reason) -> u64 {
        self.cores.iter().map(|core| core.core.counters.dead_letters.of(reason)).sum()
    }
}

impl SimCore {
    /// Polls each task once; whether one ended.
    fn poll_tasks(&mut self) -> bool {
        self.tasks.append(&mut self.core.new_tasks);
        let mut cx = TaskContext::from_waker(Waker::noop());
        let before = self.tasks.len();
        self.tasks.retain_mut(|task| match task.as_mut().poll(&mut cx) {
            Poll::Ready(()) => false,
            Poll::Pending => true,
        });
        self.tasks.len() < before
    }
}
