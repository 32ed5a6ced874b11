//! The router as an actor has it: routees by their references, told from the turn that has the message.

use std::fmt;

use mainspring::message::Message;
use mainspring::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::ROUTEE_LIMIT;
use super::error::{RouteError, TooManyRoutees};
use super::routing::{Choice, Routing};
use super::strategy::Strategy;

/// What a router has counted.
#[message(name = "mainspring.routers.router_figures")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterFigures {
    /// Messages that were sent; with [`Strategy::Broadcast`], one for each routee.
    pub told: u64,
    /// Messages for which there was nobody.
    pub without_routee: u64,
    /// Messages that a routee's queue or link did not take.
    pub not_told: u64,
}

/// Chooses who gets a message, and tells it. A value: it lives in an actor and adds no hop.
///
/// ```
/// use mainspring::prelude::*;
/// use mainspring::testkit::Simulation;
/// use mainspring_sharding::routers::{Router, Strategy};
///
/// #[message]
/// pub struct Job {
///     pub customer: u64,
/// }
///
/// struct Desk {
///     workers: Router<Job>,
/// }
///
/// impl Actor for Desk {
///     type Message = Job;
///
///     fn receive(&mut self, ctx: &mut Context<Self>, job: &Archived<Job>) -> Next<Self> {
///         let job = Job { customer: job.customer.to_native() };
///         if let Err(refused) = self.workers.tell(ctx, &job) {
///             eprintln!("a job was not given out: {refused}");
///         }
///         Next::Same
///     }
///
///     fn signal(&mut self, _: &mut Context<Self>, signal: &Signal) -> Next<Self> {
///         self.workers.signal(signal);
///         Next::Same
///     }
/// }
///
/// let mut sim = Simulation::seeded(1);
/// let workers = [sim.probe::<Job>(), sim.probe::<Job>()];
/// let mut router = Router::new(Strategy::ConsistentHash { key: |job: &Job| job.customer });
/// router.set_routees(workers.iter().map(|worker| worker.actor()))?;
/// let desk = sim.spawn(move || Desk { workers: router.clone() });
/// for _ in 0..3 {
///     sim.tell(desk, &Job { customer: 12 });
/// }
/// sim.run_until_idle();
/// let mut jobs = [workers[0].waiting(), workers[1].waiting()];
/// jobs.sort();
/// assert_eq!(jobs, [0, 3], "one worker has all jobs of a customer");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Router<M> {
    strategy: Strategy<M>,
    routing: Routing,
    /// In the order of their names in `routing`.
    routees: Vec<(u64, ActorRef<M>)>,
    figures: RouterFigures,
}

impl<M> Router<M> {
    /// No routees yet.
    pub fn new(strategy: Strategy<M>) -> Self {
        let routing = Routing::new(strategy.rule());
        Router { strategy, routing, routees: Vec::new(), figures: RouterFigures::default() }
    }

    /// From now on these are the routees. Those that were there before keep their load; one that comes twice counts
    /// once. In turn means in the order of their addresses, so routers with the same routees have the same order.
    ///
    /// # Errors
    /// [`TooManyRoutees`]; nothing changed.
    pub fn set_routees(
        &mut self,
        routees: impl IntoIterator<Item = ActorRef<M>>,
    ) -> Result<(), TooManyRoutees> {
        let mut actors: Vec<ActorRef<M>> = routees.into_iter().collect();
        actors.sort_unstable();
        actors.dedup();
        self.take(actors.into_iter().map(|actor| (name_of(actor.address()), actor)).collect())
    }

    /// Routees by names of the caller's, in this order: they keep their keys when another actor takes a name over.
    pub(super) fn set_named(
        &mut self,
        routees: Vec<(u64, ActorRef<M>)>,
    ) -> Result<(), TooManyRoutees> {
        self.take(routees)
    }

    /// The routees.
    pub fn routees(&self) -> impl Iterator<Item = ActorRef<M>> {
        self.routees.iter().map(|(_, actor)| *actor)
    }

    /// What it has counted.
    pub fn figures(&self) -> RouterFigures {
        self.figures
    }

    /// Takes a routee out; whether it was one.
    pub fn remove(&mut self, routee: Address) -> bool {
        let before = self.routees.len();
        self.routees.retain(|(_, actor)| actor.address() != routee);
        let is_removed = self.routees.len() < before;
        if is_removed {
            self.routing.set(self.routees.iter().map(|(name, _)| *name));
        }
        is_removed
    }

    /// Takes a routee out that has ended, when the actor is told so; whether the signal was about one. A router does
    /// not watch: [`Pool`](super::Pool) does for its children, and whoever sets routees may.
    pub fn signal(&mut self, signal: &Signal) -> bool {
        match signal {
            Signal::Terminated { actor, .. } => self.remove(*actor),
            _ => false,
        }
    }

    /// A routee has finished so many of the messages that it got by this router: see [`Strategy::LeastLoaded`].
    pub fn finished(&mut self, routee: Address, messages: u64) {
        if let Some(name) = self.name(routee) {
            self.routing.finished(name, messages);
        }
    }

    /// A routee says how loaded it is, in a unit that all routees share: see [`Strategy::LeastLoaded`].
    pub fn reported(&mut self, routee: Address, load: u64) {
        if let Some(name) = self.name(routee) {
            self.routing.reported(name, load);
        }
    }

    /// Who gets this message, for those who ask instead of telling. It counts as sent. With [`Strategy::Broadcast`]
    /// this is the first.
    ///
    /// # Errors
    /// [`RouteError::NoRoutees`].
    pub fn choose(&mut self, message: &M) -> Result<ActorRef<M>, RouteError> {
        let place = match self.routing.choose(self.strategy.key_of(message)) {
            Choice::One(place) => place,
            Choice::All => 0,
            Choice::Nobody => {
                self.figures.without_routee += 1;
                return Err(RouteError::NoRoutees);
            }
        };
        self.figures.told += 1;
        Ok(self.routees[place].1)
    }

    fn take(&mut self, routees: Vec<(u64, ActorRef<M>)>) -> Result<(), TooManyRoutees> {
        if routees.len() > ROUTEE_LIMIT {
            return Err(TooManyRoutees { routees: routees.len(), limit: ROUTEE_LIMIT });
        }
        self.routing.set(routees.iter().map(|(name, _)| *name));
        self.routees = routees;
        Ok(())
    }

    fn name(&self, routee: Address) -> Option<u64> {
        let found = self.routees.iter().find(|(_, actor)| actor.address() == routee);
        found.map(|(name, _)| *name)
    }
}

impl<M: Message> Router<M> {
    /// Tells whom the strategy chooses.
    ///
    /// # Errors
    /// [`RouteError`]; unless all were to be told, nothing was sent and the turn goes on.
    pub fn tell<A: Actor>(
        &mut self,
        ctx: &mut Context<'_, A>,
        message: &M,
    ) -> Result<(), RouteError> {
        match self.routing.choose(self.strategy.key_of(message)) {
            Choice::Nobody => {
                self.figures.without_routee += 1;
                Err(RouteError::NoRoutees)
            }
            Choice::One(place) => {
                let (name, actor) = self.routees[place];
                match ctx.try_tell(actor, message) {
                    Ok(()) => {
                        self.figures.told += 1;
                        Ok(())
                    }
                    Err(reason) => {
                        self.routing.finished(name, 1);
                        self.figures.not_told += 1;
                        Err(RouteError::NotTold { routee: actor.address(), reason })
                    }
                }
            }
            Choice::All => self.tell_all(ctx, message),
        }
    }

    fn tell_all<A: Actor>(
        &mut self,
        ctx: &mut Context<'_, A>,
        message: &M,
    ) -> Result<(), RouteError> {
        let told = self.routees.iter().map(|(_, actor)| ctx.try_tell(*actor, message));
        let refusals: Vec<TellError> = told.filter_map(Result::err).collect();
        let (not_told, routees) = (refusals.len(), self.routees.len());
        self.figures.told += (routees - not_told) as u64;
        self.figures.not_told += not_told as u64;
        match refusals.last() {
            None => Ok(()),
            Some(reason) => Err(RouteError::NotAllTold { not_told, routees, reason: *reason }),
        }
    }
}

/// What a routee is called on a hash ring: the same wherever it is known.
fn name_of(routee: Address) -> u64 {
    let (to, me) = routee.words();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&to.to_le_bytes());
    bytes[8..].copy_from_slice(&me.to_le_bytes());
    xxh3_64(&bytes)
}

impl<M> Clone for Router<M> {
    fn clone(&self) -> Self {
        Router {
            strategy: self.strategy,
            routing: self.routing.clone(),
            routees: self.routees.clone(),
            figures: self.figures,
        }
    }
}

impl<M> fmt::Debug for Router<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("strategy", &self.strategy)
            .field("routees", &self.routees)
            .field("figures", &self.figures)
            .finish_non_exhaustive()
    }
}
