//! The face of the simulated machine.

use std::cell::{Cell, RefCell, RefMut};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::probe::Probe;
use super::world::{Awake, Plan, World};
use crate::actor::{Actor, StopReason};
use crate::address::ActorRef;
use crate::context::Spawn;
use crate::core::control::Control;
use crate::core::dead_letters::Reason;
use crate::core::limits::Limits;
use crate::core::schedule::nanoseconds;
use crate::device::Seat;
use crate::message::{Message, Reply};
use crate::telemetry::Counters;

/// Steps after which a run that does not come to rest is given up.
pub const STEPS_LIMIT: u64 = 50_000_000;

/// Nodes and cores in one thread and in virtual time; see the [module](crate::testkit).
///
/// When a test fails while a simulation exists, its seed, its step and a command that repeats it are printed.
pub struct Simulation {
    plan: Plan,
    world: Option<Rc<RefCell<World>>>,
}

impl Simulation {
    /// One node with one core; the seed decides every choice. The variable `MAINSPRING_SEED` of the environment
    /// replaces it.
    pub fn seeded(seed: u64) -> Self {
        let replayed = std::env::var("MAINSPRING_SEED").ok().and_then(|text| text.parse().ok());
        let limits = Limits {
            actors: 1 << 20,
            ring_bytes: 64 << 10,
            control_ring_bytes: 16 << 10,
            local_queue_bytes: 16 << 20,
            ..Limits::default()
        };
        let seed = replayed.unwrap_or(seed);
        Simulation { plan: Plan { seed, nodes: 1, cores: 1, limits }, world: None }
    }

    /// Runs `scenario` once for each seed. With `MAINSPRING_SEED` in the environment, only for that one.
    pub fn for_seeds(seeds: RangeInclusive<u64>, mut scenario: impl FnMut(Simulation)) {
        if std::env::var_os("MAINSPRING_SEED").is_some() {
            return scenario(Simulation::seeded(0));
        }
        for seed in seeds {
            scenario(Simulation::seeded(seed));
        }
    }

    /// So many nodes. Before the first actor.
    ///
    /// # Panics
    /// In the test that calls it too late.
    pub fn nodes(mut self, nodes: usize) -> Self {
        assert!(self.world.is_none(), "nodes() is called before the first actor is made");
        self.plan.nodes = nodes.max(1);
        self
    }

    /// So many cores in each node. Before the first actor.
    ///
    /// # Panics
    /// In the test that calls it too late.
    pub fn cores(mut self, cores: u16) -> Self {
        assert!(self.world.is_none(), "cores() is called before the first actor is made");
        self.plan.cores = cores.max(1);
        self
    }

    /// Changes the limits of every core. Before the first actor.
    ///
    /// # Panics
    /// In the test that calls it too late.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        assert!(self.world.is_none(), "limits() is called before the first actor is made");
        change(&mut self.plan.limits);
        self
    }

    fn world(&mut self) -> Rc<RefCell<World>> {
        let plan = self.plan;
        let world = self.world.get_or_insert_with(|| Rc::new(RefCell::new(World::new(plan))));
        Rc::clone(world)
    }

    /// The seed of this run.
    pub fn seed(&self) -> u64 {
        self.plan.seed
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.plan.nodes
    }

    /// How many cores each node has.
    pub fn core_count(&self) -> u16 {
        self.plan.cores
    }

    /// The life of a node that runs now, as references to its actors have it.
    pub fn incarnation(&mut self, node: usize) -> u32 {
        open(&self.world()).core(node, 0).node()
    }

    /// A node ends at once, as a process that is killed: its actors and devices are dropped, and what was on its way to
    /// them is lost. It begins another life, with empty cores: what was [installed](At::install) is installed again.
    pub fn restart(&mut self, node: usize) {
        open(&self.world()).restart_node(node);
    }

    /// A place: the first core of a node. [`At::core`] names another.
    pub fn at(&mut self, node: usize) -> At {
        At { world: self.world(), node, core: 0 }
    }

    /// Makes an actor on the first core of the first node.
    pub fn spawn<A: Actor>(
        &mut self,
        factory: impl FnMut() -> A + 'static,
    ) -> ActorRef<A::Message> {
        self.at(0).spawn(factory)
    }

    /// Sends a message from outside the cores; it is handled when the simulation runs.
    pub fn tell<M: Message>(&mut self, to: ActorRef<M>, message: &M) {
        tell(&self.world(), to, message);
    }

    /// An actor whose messages the test looks at, on the first core of the first node.
    pub fn probe<M: Reply>(&mut self) -> Probe<M> {
        self.at(0).probe()
    }

    /// Stops an actor.
    pub fn stop<M: ?Sized>(&mut self, actor: ActorRef<M>) {
        let world = self.world();
        let mut world = open(&world);
        let Some(node) = world.node_of(actor.node()) else { return };
        let (_, me) = actor.words();
        let control = Control::Stop { me, reason: StopReason::Stopped };
        world.core(node, actor.core()).control.push_back(control);
    }

    /// Runs until nothing happens any more at the present time. Timers that lie ahead do not fire.
    ///
    /// # Panics
    /// After [`STEPS_LIMIT`] steps, in the test that never comes to rest.
    pub fn run_until_idle(&mut self) {
        run_until_idle(&self.world());
    }

    /// Runs for so much virtual time: timers fire, everything else happens at once.
    pub fn run_for(&mut self, time: Duration) {
        run_for(&self.world(), time);
    }

    /// As [`Simulation::run_for`].
    pub fn advance(&mut self, time: Duration) {
        self.run_for(time);
    }

    /// Lets everything that lies ahead happen: comes to rest within so much virtual time, with no timer, stall or delay
    /// left, nothing queued, and no work under way.
    ///
    /// # Panics
    /// When something is left then; the message says what.
    #[track_caller]
    pub fn assert_quiet_within(&mut self, time: Duration) {
        let world = self.world();
        let end_ns = open(&world).now_ns().saturating_add(nanoseconds(time));
        run_until(&world, end_ns, || open(&world).next_deadline_ns().is_none());
        let left = open(&world).left();
        assert!(left.is_empty(), "not quiet within {time:?}: {}", left.join(", "));
    }

    /// Virtual time since the start.
    pub fn now(&mut self) -> Duration {
        Duration::from_nanos(open(&self.world()).now_ns())
    }

    /// The turn of `actor` after the next `skip` ones panics.
    pub fn panic_turn<M: ?Sized>(&mut self, actor: ActorRef<M>, skip: u32) {
        let world = self.world();
        let mut world = open(&world);
        let Some(node) = world.node_of(actor.node()) else { return };
        let (_, me) = actor.words();
        if let Some(observer) = &mut world.core(node, actor.core()).observer {
            observer.panics.push((me, skip));
        }
    }

    /// Everything that happened so far, a line each. The same seed and the same test give the same bytes.
    pub fn trace(&mut self) -> String {
        open(&self.world()).trace()
    }

    /// Living actors on all cores, probes included.
    pub fn actors(&mut self) -> usize {
        open(&self.world()).actors()
    }

    /// Messages that were not delivered for this reason, on all cores.
    pub fn dead_letters(&mut self, reason: Reason) -> u64 {
        open(&self.world()).dead_letters(reason)
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let world = self.world.as_ref().and_then(|world| world.try_borrow().ok());
        let steps = world.map_or(0, |world| world.steps);
        let seed = self.plan.seed;
        let test = std::thread::current().name().unwrap_or("").to_owned();
        eprintln!("simulation failed: seed {seed}, step {steps}");
        eprintln!("to repeat it: MAINSPRING_SEED={seed} cargo test {test}");
    }
}

/// A core of a simulated node.
pub struct At {
    world: Rc<RefCell<World>>,
    node: usize,
    core: u16,
}

impl At {
    /// Another core of the same node.
    pub fn core(mut self, core: u16) -> Self {
        self.core = core;
        self
    }

    /// Makes an actor here.
    pub fn spawn<A: Actor>(&self, factory: impl FnMut() -> A + 'static) -> ActorRef<A::Message> {
        self.spawn_with(factory, |spawn| spawn.start())
    }

    /// Makes an actor here with a policy or a name: `settings` gets what [`Context::spawn`](crate::Context::spawn)
    /// gives.
    pub fn spawn_with<A, F, T>(&self, factory: F, settings: impl FnOnce(Spawn<'_, A, F>) -> T) -> T
    where
        A: Actor,
        F: FnMut() -> A + 'static,
    {
        let mut world = open(&self.world);
        let core = world.core(self.node, self.core);
        let made = settings(Spawn::top_level(core, factory));
        core.commit_turn();
        made
    }

    /// Puts something onto this core as an extension of a node does: before its first actor, or later.
    pub fn install(&self, extension: impl FnOnce(&mut Seat<'_>)) {
        let mut world = open(&self.world);
        extension(&mut Seat::new(world.core(self.node, self.core), Arc::new(Awake)));
    }

    /// Sends a message from outside the cores.
    pub fn tell<M: Message>(&self, to: ActorRef<M>, message: &M) {
        tell(&self.world, to, message);
    }

    /// An actor here whose messages the test looks at.
    pub fn probe<M: Reply>(&self) -> Probe<M> {
        Probe::new(Rc::clone(&self.world), |actor| self.spawn_with(actor, |spawn| spawn.start()))
    }

    /// What this core has counted so far.
    pub fn counters(&self) -> Counters {
        open(&self.world).core(self.node, self.core).counters
    }

    /// This core does nothing for so much virtual time.
    pub fn stall(&self, pause: Duration) {
        open(&self.world).stall_core(self.node, self.core, nanoseconds(pause));
    }

    /// Frames from this core to another of its node come only after so much virtual time.
    pub fn delay_ring_to(&self, core: u16, delay: Duration) {
        let delay_ns = nanoseconds(delay);
        open(&self.world).delay_ring(self.node, self.core, core, delay_ns);
    }

    /// The ring from this core to another of its node looks full, or no longer.
    pub fn fill_ring_to(&self, core: u16, full: bool) {
        open(&self.world).jam_ring(self.node, self.core, core, full);
    }
}

thread_local! {
    /// A handler used the simulation that runs it. Its panic is caught like every panic of a handler, so that the test
    /// would go on without this.
    static MISUSED: Cell<bool> = const { Cell::new(false) };
}

const MISUSE: &str = "the simulation was used inside a handler, which it is running; \
    use it between turns, from the test";

/// The world, from the test.
///
/// # Panics
/// When a handler calls it.
#[track_caller]
pub(super) fn open(world: &RefCell<World>) -> RefMut<'_, World> {
    match world.try_borrow_mut() {
        Ok(world) => world,
        Err(_) => {
            MISUSED.set(true);
            panic!("{MISUSE}");
        }
    }
}

fn fail_if_misused() {
    if MISUSED.take() {
        panic!("{MISUSE}");
    }
}

fn tell<M: Message>(world: &RefCell<World>, to: ActorRef<M>, message: &M) {
    let mut world = open(world);
    let node = world.node_of(to.node()).unwrap_or(0);
    let index = if to.core() < world.plan.cores { to.core() } else { 0 };
    let core = world.core(node, index);
    if let Err(error) = core.send(to, message) {
        core.tell_failed(to.address(), error);
    }
    core.commit_turn();
}

pub(super) fn run_until_idle(world: &RefCell<World>) {
    let mut world = open(world);
    let before = world.steps;
    while world.step() {
        fail_if_misused();
        assert!(world.steps - before < STEPS_LIMIT, "the simulation does not come to rest");
    }
}

pub(super) fn run_for(world: &RefCell<World>, time: Duration) {
    let end_ns = open(world).now_ns().saturating_add(nanoseconds(time));
    run_until(world, end_ns, || false);
}

/// Runs until `done` or until the clock reaches `end_ns`; whether it was `done`.
pub(super) fn run_until(
    world: &RefCell<World>,
    end_ns: u64,
    mut done: impl FnMut() -> bool,
) -> bool {
    loop {
        run_until_idle(world);
        if done() {
            return true;
        }
        let mut world = open(world);
        let now_ns = world.now_ns();
        match world.next_deadline_ns() {
            Some(at_ns) if at_ns <= end_ns => world.set_clock(at_ns.max(now_ns + 1)),
            _ => {
                world.set_clock(end_ns);
                break;
            }
        }
    }
    run_until_idle(world);
    done()
}
