//! A node with entities of one type, in a simulation.

use std::rc::Rc;
use std::time::Duration;

use mainspring::message::{Message, Reply};
use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::device::OpenLogError;
use mainspring_journal::testkit::SimulatedJournals;

use super::desk::{Desk, SendNext};
use super::watch::{Broken, Seen, Watch};
use crate::entities::{State, ToEntityKey};
use crate::node::{
    DeclareError, Directive, DrainBegun, Entities, EntityId, EntityRef, EntityTellError,
    EntityType, Hosting, MoveEnded, MoveOutcome, RegionFigures, Regions, Sharding,
};
use crate::ownership::Place;

/// How long [`TestRegion::settle`] lets things happen.
const SOON: Duration = Duration::from_millis(20);

/// A node that is about to have entities; see the [module](crate::testkit).
pub struct ShardingTest {
    simulation: Simulation,
    cores: u16,
}

/// Entities of one type on all cores of a simulated node.
pub struct TestRegion<M> {
    /// The node: time, further actors, stalls and delays.
    pub sim: Simulation,
    entities: Entities<M>,
    cores: u16,
    /// By core, once something is sent from there.
    desks: Vec<Option<Desk<M>>>,
    hostings: Vec<Rc<Hosting<M>>>,
    watch: Watch,
}

impl ShardingTest {
    /// One node with one core; the seed decides every choice. See [`Simulation::seeded`].
    pub fn seeded(seed: u64) -> Self {
        ShardingTest::on(Simulation::seeded(seed))
    }

    /// A simulation that has no actors yet; [`cores`](Self::cores) says how many cores it has.
    pub fn on(simulation: Simulation) -> Self {
        ShardingTest { simulation: simulation.cores(1), cores: 1 }
    }

    /// So many cores. Before the first probe.
    ///
    /// # Panics
    /// In the test that calls it too late.
    pub fn cores(self, cores: u16) -> Self {
        let cores = cores.max(1);
        ShardingTest { simulation: self.simulation.cores(cores), cores }
    }

    /// The cores have these journals, one for each, as a node has its journal. After the cores are chosen.
    ///
    /// # Errors
    /// [`OpenLogError`]: a disk holds no log that can be used.
    pub fn journals(mut self, journals: &SimulatedJournals) -> Result<Self, OpenLogError> {
        journals.install(&mut self.simulation)?;
        Ok(self)
    }

    /// An actor whose messages the test looks at: for entities that are given somebody to tell.
    pub fn probe<R: Reply>(&mut self) -> Probe<R> {
        self.simulation.probe()
    }

    /// Starts a region of these entities on every core. `make` makes the one of an id.
    ///
    /// # Errors
    /// [`DeclareError`]: the type is not as it must be.
    pub fn entities<A>(
        self,
        entity_type: EntityType,
        make: impl Fn(EntityId<'_>) -> A + Send + Sync + 'static,
    ) -> Result<TestRegion<A::Message>, DeclareError>
    where
        A: Actor,
        A::Message: Message,
    {
        let ShardingTest { simulation: mut sim, cores } = self;
        let sharding = Sharding::new();
        let limits = super::watch::Limits::of(&entity_type);
        let entities = sharding.entities(entity_type, make)?;
        let mut hostings = Vec::new();
        for core in 0..cores {
            sim.at(0).core(core).install(|seat| {
                use mainspring::device::Extension;
                sharding.install(seat);
                let regions = seat.shared::<Regions>();
                hostings.extend(regions.and_then(|regions| regions.find(entities.type_hash())));
            });
        }
        let desks = (0..cores).map(|_| None).collect();
        sim.run_for(Duration::from_millis(1));
        let watch = Watch::new(entities.shard_count(), limits);
        Ok(TestRegion { sim, entities, cores, desks, hostings, watch })
    }
}

impl<M: Message> TestRegion<M> {
    /// The entities, as a program has them.
    pub fn entities(&self) -> &Entities<M> {
        &self.entities
    }

    /// How many cores the node has.
    pub fn cores(&self) -> u16 {
        self.cores
    }

    /// Sends a message to an entity from outside the cores; it goes when the simulation runs.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was sent.
    pub fn tell(&mut self, id: impl ToEntityKey, message: &M) -> Result<(), EntityTellError> {
        let (region, message) = self.entities.addressed(&id.to_entity_key()?, message)?;
        self.sim.tell(region, &message);
        Ok(())
    }

    /// Has an actor of a core send a message to an entity, when the simulation runs.
    ///
    /// # Errors
    /// [`EntityTellError`]: there is no such core, or the id cannot be one. What the core itself refuses,
    /// [`refused`](Self::refused) tells.
    pub fn tell_from(
        &mut self,
        core: u16,
        id: impl ToEntityKey,
        message: M,
    ) -> Result<(), EntityTellError> {
        let to: EntityRef<M> = self.entities.entity(id)?;
        let place = self.desks.get_mut(usize::from(core)).ok_or(EntityTellError::UnknownType)?;
        let sim = &mut self.sim;
        let spawn = |clerk| sim.at(0).core(core).spawn(clerk);
        let desk = place.get_or_insert_with(|| Desk::new(spawn));
        desk.put(to, message);
        self.sim.tell(desk.actor, &SendNext {});
        Ok(())
    }

    /// What was refused to the actor of a core that [`tell_from`](Self::tell_from) uses, since the last call.
    pub fn refused(&mut self, core: u16) -> Vec<EntityTellError> {
        let desk = self.desks.get(usize::from(core)).and_then(Option::as_ref);
        desk.map(Desk::take_refused).unwrap_or_default()
    }

    /// Asks an entity from outside the cores, and lets time pass until it answers.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was asked.
    ///
    /// # Panics
    /// When no answer comes.
    #[track_caller]
    pub fn ask<R: Reply>(
        &mut self,
        id: impl ToEntityKey,
        request: impl FnOnce(ActorRef<R>) -> M,
    ) -> Result<R, EntityTellError> {
        let answer = self.sim.probe();
        self.tell(id, &request(answer.actor()))?;
        Ok(answer.next())
    }

    /// As [`ask`](Self::ask), from an actor of a core.
    ///
    /// # Errors
    /// As [`tell_from`](Self::tell_from).
    ///
    /// # Panics
    /// When no answer comes.
    #[track_caller]
    pub fn ask_from<R: Reply>(
        &mut self,
        core: u16,
        id: impl ToEntityKey,
        request: impl FnOnce(ActorRef<R>) -> M,
    ) -> Result<R, EntityTellError> {
        let answer = self.sim.probe();
        self.tell_from(core, id, request(answer.actor()))?;
        Ok(answer.next())
    }

    /// Begins to move a shard at this instant; how it ends comes to the probe.
    ///
    /// # Panics
    /// When the type has no coordinator, which is an error of the sharding.
    pub fn begin_move(&mut self, shard: u32, to: u16) -> Probe<MoveEnded> {
        let ended = self.sim.probe();
        let reply_to = Some(ended.actor());
        let to = self.place(to);
        self.direct(&Directive::Move { shard, to, reply_to });
        ended
    }

    /// Moves a shard, and lets time pass until that has ended.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn move_shard(&mut self, shard: u32, to: u16) -> MoveOutcome {
        let ended = self.begin_move(shard, to);
        self.settle();
        ended.next().outcome
    }

    /// Begins to bring the shards of a core to others: how many.
    ///
    /// # Panics
    /// When the coordinator does not answer.
    #[track_caller]
    pub fn drain_core(&mut self, core: u16) -> u32 {
        let begun = self.sim.probe::<DrainBegun>();
        let place = self.place(core);
        self.direct(&Directive::Drain { place, reply_to: Some(begun.actor()) });
        begun.next().shards
    }

    /// Lets shards go to a drained core again.
    ///
    /// # Panics
    /// When the type has no coordinator, which is an error of the sharding.
    pub fn readmit_core(&mut self, core: u16) {
        let place = self.place(core);
        self.direct(&Directive::Readmit { place });
    }

    /// The ids of the entities that run on any core, in order.
    pub fn running(&self) -> Vec<Vec<u8>> {
        let mut ids = Vec::new();
        for hosting in &self.hostings {
            let residents = &hosting.tables.borrow().residents;
            let slots =
                (0..self.entities.shard_count()).flat_map(|shard| residents.of_shard(shard));
            let running = slots.filter_map(|slot| residents.get(slot));
            let running = running.filter(|resident| resident.state == State::Active);
            ids.extend(running.map(|resident| resident.id.to_vec()));
        }
        ids.sort_unstable();
        ids
    }

    /// The next turn of every entity that runs on a core panics. How many these are.
    pub fn fail_entities(&mut self, core: u16) -> usize {
        let Some(hosting) = self.hostings.get(usize::from(core)) else { return 0 };
        let actors: Vec<ActorRef<M>> = {
            let tables = hosting.tables.borrow();
            let slots = (0..self.entities.shard_count())
                .flat_map(|shard| tables.residents.of_shard(shard).collect::<Vec<_>>());
            let tenants = slots.filter_map(|slot| tables.residents.get(slot)?.value);
            tenants.map(|tenant| tenant.actor).collect()
        };
        for actor in &actors {
            self.sim.panic_turn(*actor, 0);
        }
        actors.len()
    }

    /// What the region of a core has counted.
    ///
    /// # Panics
    /// When there is no such core.
    #[track_caller]
    pub fn figures(&mut self, core: u16) -> RegionFigures {
        let probe = self.sim.probe();
        let message = self.entities.ask_figures(probe.actor());
        let region = self.entities.region(core).expect("the core is there");
        self.sim.tell(region, &message);
        self.settle();
        probe.next()
    }

    /// Lets everything happen that happens soon.
    pub fn settle(&mut self) {
        self.sim.run_for(SOON);
    }

    /// Whether what is promised of shards holds at this instant.
    ///
    /// # Errors
    /// [`Broken`]: the first promise that does not.
    pub fn check(&mut self) -> Result<(), Broken> {
        let now_ns = self.now_ns();
        self.watch.look(now_ns, &self.places())
    }

    /// Whether every shard has come to rest with an owner, and nothing waits any more.
    ///
    /// # Errors
    /// [`Broken`]: the first shard that has not.
    pub fn check_rest(&mut self) -> Result<(), Broken> {
        self.check()?;
        let now_ns = self.now_ns();
        self.watch.look_for_rest(now_ns, &self.places())?;
        for core in 0..self.cores {
            let (place, bytes) = (self.place(core), self.figures(core).kept_bytes);
            if bytes > 0 {
                return Err(Broken::StillWaiting { place, bytes });
            }
        }
        Ok(())
    }

    fn now_ns(&mut self) -> u64 {
        self.sim.now().as_nanos() as u64
    }

    fn places(&self) -> Vec<Seen<M>> {
        let seen = |hosting: &Rc<Hosting<M>>| Seen { hosting: Rc::clone(hosting), is_awake: true };
        self.hostings.iter().map(seen).collect()
    }

    fn place(&self, core: u16) -> Place {
        // A core that there is not is refused by the coordinator.
        self.entities.place(core).unwrap_or(Place { incarnation: 0, core })
    }

    #[track_caller]
    fn direct(&mut self, directive: &Directive) {
        let coordinator = self.entities.coordinator().expect("a type has a coordinator");
        self.sim.tell(coordinator, directive);
    }
}
