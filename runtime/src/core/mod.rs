//! A core: everything that one pinned thread owns, as a state machine.
//!
//! A core does nothing by itself. Its driver calls [`Core::sweep`] again and again: control lanes, due timers,
//! inbound rings, local queue, devices, flush. The host drives it from a pinned executor, the simulator from a
//! test; the code here is the same. It knows no wall clock, no thread and no file, so the same inputs in the same
//! order give the same outputs.
//!
//! Invariants: a core touches no state but its own and the rings; a sweep ends after a bounded number of turns;
//! what a sweep sends is visible to others when it ends.

pub(crate) mod asks;
#[allow(unsafe_code)]
pub(crate) mod cell;
pub(crate) mod cold;
pub(crate) mod control;
pub(crate) mod dead_letters;
#[allow(unsafe_code)]
pub(crate) mod dispatch;
pub(crate) mod foreign;
pub(crate) mod inbound;
pub(crate) mod large;
pub(crate) mod limits;
#[allow(unsafe_code)]
pub(crate) mod local_queue;
pub(crate) mod names;
pub(crate) mod observe;
pub(crate) mod outbound;
pub(crate) mod peers;
pub(crate) mod ports;
pub(crate) mod random;
pub(crate) mod schedule;
pub(crate) mod send;
pub(crate) mod shared;
pub(crate) mod stash;
pub(crate) mod supervision;
pub(crate) mod tasks;
pub(crate) mod timers;
pub(crate) mod turn;
pub(crate) mod turn_samples;
pub(crate) mod watch;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use self::asks::Asks;
use self::cell::Slots;
use self::control::Control;
use self::dead_letters::DeadLetter;
use self::inbound::{Inbound, Injector};
use self::large::Large;
use self::limits::Limits;
use self::local_queue::LocalQueue;
use self::names::Names;
use self::observe::Observer;
use self::outbound::Outbound;
use self::peers::Peers;
use self::ports::Ports;
use self::random::Random;
use self::schedule::PackedDue;
use self::shared::Shared;
use self::tasks::{Blocking, Completions, LocalTask};
use self::timers::Timers;
use self::turn::Effect;
use self::turn_samples::TurnSamples;
use crate::address::{ActorRef, Address};
use crate::device::Device;
use crate::frame::{Header, archive};
use crate::telemetry::{Counters, Histograms};

pub(crate) use self::large::FLAG_LARGE;

/// A user's message.
pub(crate) const KIND_USER: u8 = 0;
/// A parcel from another core.
pub(crate) const KIND_CONTROL: u8 = 1;

/// A time stamp of the sender, to learn how long frames wait.
pub(crate) const KIND_SAMPLE: u8 = 2;

/// The receiver stops when this comes to its turn.
pub(crate) const KIND_STOP: u8 = 3;

/// A client's message for another node: a core writes it to that node's outbox.
pub(crate) const KIND_OUTWARD: u8 = 4;

/// As [`KIND_OUTWARD`], on the bulk lane.
pub(crate) const KIND_OUTWARD_BULK: u8 = 5;

/// Sweeps with messages between two such samples.
const SWEEPS_PER_SAMPLE: u64 = 64;

/// Node and core of an address's first word; the rest is the port.
pub(crate) const PLACE_MASK: u64 = (1 << 48) - 1;

/// Turns that are timed one by one after a slow window: enough to find who does it again, and few enough not to
/// matter when it was the system that took the CPU away.
const TIMED_TURNS: u32 = 512;

/// Sweeps without work between two looks at the clock.
const IDLE_SWEEPS_PER_CLOCK: u32 = 16;

/// What a core is made from.
pub(crate) struct CoreSettings {
    /// The node's incarnation.
    pub node: u32,
    /// The node's name, for logs.
    pub node_name: Arc<str>,
    pub index: u16,
    pub cores: u16,
    pub limits: Limits,
    /// Nanoseconds since some fixed point.
    pub clock: Box<dyn Fn() -> u64>,
    /// Start of the core's random numbers.
    pub seed: u64,
    pub injector: Arc<Injector>,
    /// Runs blocking work, if anything does.
    pub blocking: Option<Box<dyn Blocking>>,
    /// Whether the driver runs futures.
    pub runs_tasks: bool,
}

/// See the module's header.
pub(crate) struct Core {
    // What a dispatch touches.
    pub place: u64,
    pub queue: LocalQueue,
    pub slots: Slots,
    /// Something of the running turn waits for its end.
    pub dirty: bool,
    /// The simulator looks on, turns are timed one by one, or the next one is.
    pub observed: bool,
    pub locals_moved: bool,
    pub now_ns: u64,
    pub asks: Asks,
    pub opened_asks: Vec<(u32, u32)>,
    pub timers: Timers<PackedDue>,
    pub outbounds: Vec<Option<Outbound>>,
    /// Number of the running turn, so that a way out knows whether it has written there before.
    pub turn: u64,
    pub unpublished: Vec<u32>,
    pub effects: Vec<Effect>,
    pub control: VecDeque<Control>,
    pub inbounds: Vec<Inbound>,
    pub counters: Counters,
    pub histograms: Histograms,
    pub ports: Ports,
    pub large: Large,
    pub names: Names,
    pub limits: Limits,
    pub dead_letter_subscribers: Vec<ActorRef<DeadLetter>>,
    pub unpublished_dead_letters: Vec<DeadLetter>,
    pub publishing_dead_letters: bool,
    pub injector: Arc<Injector>,
    pub completions: Rc<Completions>,
    pub new_tasks: Vec<LocalTask>,
    pub tasks_under_way: usize,
    pub jobs_under_way: usize,
    pub blocking: Option<Box<dyn Blocking>>,
    pub runs_tasks: bool,
    pub devices: Vec<Box<dyn Device>>,
    /// What extensions have left for actors.
    pub shared: Shared,
    /// Number of the last ticket.
    pub tickets: u32,
    /// Ways to other nodes.
    pub peers: Peers,
    pub observer: Option<Observer>,
    node_name: Arc<str>,
    cores: u16,
    clock: Box<dyn Fn() -> u64>,
    random: Random,
    window_start_ns: u64,
    window_turns: u64,
    idle_sweeps: u32,
    slow_turn_logged_ns: u64,
    refusal_logged_ns: u64,
    /// Whose turn was the last one.
    pub last_turn: u64,
    pub timed_turns_left: u32,
    pub samples: TurnSamples,
    pub finished: bool,
    /// The node takes nothing new from outside.
    pub shutting_down: bool,
    /// All cores' actors have stopped: nothing but devices is left.
    pub actors_stopped: bool,
}

impl Core {
    pub fn new(settings: CoreSettings) -> Core {
        let now_ns = (settings.clock)();
        let limits = settings.limits;
        Core {
            place: settings.node as u64 | (settings.index as u64) << 32,
            queue: LocalQueue::new(limits.local_queue_bytes / local_queue::CHUNK_BYTES),
            slots: Slots::new(limits.actors),
            dirty: false,
            observed: false,
            locals_moved: false,
            now_ns,
            asks: Asks::new(limits.asks),
            opened_asks: Vec::new(),
            timers: Timers::new(now_ns, limits.timers),
            outbounds: (0..settings.cores).map(|_| None).collect(),
            turn: 1,
            unpublished: Vec::new(),
            effects: Vec::new(),
            control: VecDeque::new(),
            inbounds: Vec::new(),
            counters: Counters::default(),
            histograms: Histograms::new(),
            ports: Ports::default(),
            large: Large::new(limits.local_queue_bytes),
            names: Names::default(),
            limits,
            dead_letter_subscribers: Vec::new(),
            unpublished_dead_letters: Vec::new(),
            publishing_dead_letters: false,
            injector: settings.injector,
            completions: Rc::default(),
            new_tasks: Vec::new(),
            tasks_under_way: 0,
            jobs_under_way: 0,
            blocking: settings.blocking,
            runs_tasks: settings.runs_tasks,
            devices: Vec::new(),
            shared: Shared::new(),
            tickets: 0,
            peers: Peers::default(),
            observer: None,
            node_name: settings.node_name,
            cores: settings.cores,
            clock: settings.clock,
            random: Random::seeded(settings.seed),
            window_start_ns: now_ns,
            window_turns: 0,
            idle_sweeps: 0,
            slow_turn_logged_ns: 0,
            refusal_logged_ns: 0,
            last_turn: 0,
            timed_turns_left: 0,
            samples: TurnSamples::new(settings.seed),
            finished: false,
            shutting_down: false,
            actors_stopped: false,
        }
    }

    /// One sweep; whether anything was done.
    #[inline]
    pub fn sweep(&mut self) -> bool {
        let mut work = self.take_injected() as u64;
        if !self.control.is_empty() {
            work += self.handle_control(self.limits.control_budget) as u64;
        }
        // One look at the heads of all rings first: a sweep that finds nothing is over soon, and the next comes sooner.
        let (control_waits, users_wait) = self.look_at_rings();
        if control_waits {
            work += self.sweep_control_lanes(self.limits.control_budget as u64);
        }
        if !self.timers.is_empty() {
            work += self.fire_timers(self.limits.timer_budget) as u64;
        }
        let from_rings =
            if users_wait { self.sweep_inbound(self.limits.inbound_budget) } else { 0 };
        let from_self =
            if self.queue.is_empty() { 0 } else { self.drain_local(self.limits.local_budget) };
        self.window_turns += (from_rings + from_self) % dispatch::WINDOW_TURNS;
        self.counters.ring_messages += from_rings;
        self.counters.local_messages += from_self;
        self.counters.turns += from_rings + from_self;
        work += from_rings + from_self;
        if !self.completions.is_empty() {
            work += self.take_completions(self.limits.control_budget) as u64;
        }
        if !self.devices.is_empty() {
            work += self.poll_devices();
        }
        if self.counters.sweeps.is_multiple_of(SWEEPS_PER_SAMPLE) && from_rings + from_self > 0 {
            self.sample_waits();
        }
        if !self.unpublished_dead_letters.is_empty() {
            self.publish_dead_letters();
            work += 1;
        }
        if !self.unpublished.is_empty() {
            self.flush();
        }
        self.counters.sweeps += 1;
        self.end_sweep(work > 0);
        work > 0
    }

    /// Looks at the clock, after everything that others wait for has gone out.
    #[inline]
    fn end_sweep(&mut self, worked: bool) {
        if worked {
            self.idle_sweeps = 0;
            self.close_window(self.window_turns);
            self.look_for_sample();
        } else {
            self.idle_sweeps += 1;
            if self.idle_sweeps >= IDLE_SWEEPS_PER_CLOCK || !self.timers.is_empty() {
                self.idle_sweeps = 0;
                self.read_clock();
                self.window_start_ns = self.now_ns;
            }
        }
    }

    /// The core has slept: time passed that no turn took.
    pub fn after_park(&mut self) {
        self.read_clock();
        self.window_start_ns = self.now_ns;
    }

    /// Brings the core's time up to date.
    pub fn read_clock(&mut self) {
        self.now_ns = self.now_ns.max((self.clock)());
    }

    /// Ends a window of so many turns and looks how long it took.
    pub(crate) fn close_window(&mut self, turns: u64) {
        self.read_clock();
        let elapsed_ns = self.now_ns - self.window_start_ns;
        self.window_start_ns = self.now_ns;
        self.window_turns = 0;
        if let Some(turn_ns) = elapsed_ns.checked_div(turns) {
            self.histograms.record_turns(turn_ns, turns);
            if elapsed_ns > self.limits.slow_turn_ns {
                self.window_was_slow(elapsed_ns, turns);
            }
        }
    }

    /// A window took longer than one turn may: turns are timed one by one for a while.
    #[cold]
    fn window_was_slow(&mut self, elapsed_ns: u64, turns: u64) {
        self.timed_turns_left = TIMED_TURNS;
        self.observed = true;
        if turns == 1 {
            return self.turn_was_slow(self.last_turn, elapsed_ns);
        }
        if self.may_log_slow_turn() {
            tracing::warn!(
                node = &*self.node_name,
                core = self.index(),
                turns,
                duration_ns = elapsed_ns,
                "a group of turns took longer than one turn may; the next ones are timed one by one"
            );
        }
    }

    /// At most one line a second.
    fn may_log_slow_turn(&mut self) -> bool {
        let due = self.slow_turn_logged_ns == 0
            || self.now_ns.saturating_sub(self.slow_turn_logged_ns) >= 1_000_000_000;
        if due {
            self.slow_turn_logged_ns = self.now_ns.max(1);
        }
        self.counters.slow_turns += 1;
        due
    }

    /// One turn that was timed by itself took too long.
    #[cold]
    pub(crate) fn turn_was_slow(&mut self, me: u64, duration_ns: u64) {
        if self.may_log_slow_turn() {
            let (actor, behavior) = self.slots.describe(me);
            let slot = me as u32;
            tracing::warn!(
                node = &*self.node_name,
                core = self.index(),
                actor,
                behavior,
                slot,
                duration_ns,
                "a turn held up its core"
            );
        }
    }

    /// Sends a time stamp behind what waits for this core and for those to which this sweep has written.
    #[cold]
    fn sample_waits(&mut self) {
        self.read_clock();
        let stamp = self.now_ns.to_le_bytes();
        let header = Header::new(stamp.len() as u32, 0, KIND_SAMPLE, 0, 0, 0);
        let cores = self.cores as u32;
        for index in self.unpublished.iter().filter(|index| **index < cores) {
            if let Some(Some(outbound)) = self.outbounds.get_mut(*index as usize) {
                // A full ring is sampled another time.
                let _ = outbound.user.push(header, &stamp);
            }
        }
        if !self.queue.is_empty() {
            let _ = self.queue.push_with(u64::from(KIND_SAMPLE) << 48, 0, stamp.len(), |room| {
                room[..stamp.len()].copy_from_slice(&stamp);
                Ok::<_, archive::Overflow>(stamp.len())
            });
            self.queue.publish();
        }
    }

    /// A time stamp has come to its turn.
    pub(crate) fn take_sample(&mut self, payload: &[u8]) {
        if let Ok(stamp) = payload.try_into() {
            self.read_clock();
            self.counters.samples += 1;
            self.histograms.record_wait(self.now_ns.saturating_sub(u64::from_le_bytes(stamp)));
        }
    }

    /// Publishes what was written to other cores and clients, and wakes those who sleep.
    #[inline]
    pub(crate) fn flush(&mut self) {
        // Nothing is written to meanwhile, so the list can be taken, and goes back with its memory.
        let mut unpublished = std::mem::take(&mut self.unpublished);
        unpublished.retain(|index| self.flush_one(*index as usize));
        self.unpublished = unpublished;
    }

    /// Publishes one way out; whether something still waits for room in it.
    #[inline]
    fn flush_one(&mut self, index: usize) -> bool {
        let Some(outbound) = &mut self.outbounds[index] else { return false };
        let (waiting, woken) = outbound.flush();
        match woken {
            Some(true) => self.counters.wakes_sent += 1,
            Some(false) => self.counters.wakes_suppressed += 1,
            None => {}
        }
        outbound.unpublished = waiting;
        if !waiting && outbound.is_abandoned() {
            self.outbounds[index] = None;
        }
        waiting
    }

    /// Whether a sweep would find something to do: looked at once more before the driver sleeps.
    pub fn has_work(&mut self) -> bool {
        !self.unpublished.is_empty() || self.has_more_than_flush()
    }

    /// The same, apart from what waits to be published.
    pub fn has_more_than_flush(&mut self) -> bool {
        self.injector.is_pending()
            || !self.control.is_empty()
            || !self.queue.is_empty()
            || !self.completions.is_empty()
            || !self.new_tasks.is_empty()
            || !self.unpublished_dead_letters.is_empty()
            || self.peers.has_control()
            || self.has_inbound()
            || self.devices_have_work()
            || self.timers.next_deadline_ns().is_some_and(|deadline_ns| {
                self.read_clock();
                deadline_ns <= self.now_ns
            })
    }

    /// When the next timer or device is due, in nanoseconds of the core's clock.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let devices = self.devices.iter().filter_map(|device| device.next_deadline_ns()).min();
        match (self.timers.next_deadline_ns(), devices) {
            (Some(timer_ns), Some(device_ns)) => Some(timer_ns.min(device_ns)),
            (timer_ns, device_ns) => timer_ns.or(device_ns),
        }
    }

    /// Whether nothing is queued anywhere in this core.
    pub fn is_quiet(&mut self) -> bool {
        !self.injector.is_pending()
            && self.control.is_empty()
            && self.queue.is_empty()
            && self.completions.is_empty()
            && self.unpublished_dead_letters.is_empty()
            && self.tasks_under_way == 0
            && self.jobs_under_way == 0
            && self.unpublished.is_empty()
            && self.devices_are_quiet()
            && !self.has_inbound()
    }

    /// Messages and control messages handled so far.
    pub fn handled(&self) -> u64 {
        self.counters.turns + self.counters.control_messages + self.counters.timers_fired
    }

    pub fn index(&self) -> u16 {
        (self.place >> 32) as u16
    }

    pub fn cores(&self) -> u16 {
        self.cores
    }

    pub fn node(&self) -> u32 {
        self.place as u32
    }

    /// The address of an actor of this core, on its main port.
    pub fn address_of(&self, me: u64) -> Address {
        Address::from_words(self.place, me)
    }

    /// The next of the core's random numbers.
    pub fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// All actors without a parent are to stop.
    pub fn stop_all(&mut self, reason: crate::actor::StopReason) {
        for me in self.slots.top_level() {
            self.control.push_back(Control::Stop { me, reason });
        }
    }
}
