//! Routees that the actor with the router makes itself.

use std::fmt;

use mainspring::message::Message;
use mainspring::prelude::*;

use super::ROUTEE_LIMIT;
use super::error::{PoolError, TooManyRoutees};
use super::router::Router;
use super::strategy::Strategy;

/// Children to be made, on the core of their parent, and routed to.
///
/// ```
/// use std::time::Duration;
/// use mainspring::prelude::*;
/// use mainspring::testkit::Simulation;
/// use mainspring_sharding::routers::{Pool, Router, Strategy};
///
/// #[message]
/// pub struct Job {
///     pub done: ActorRef<Done>,
/// }
///
/// #[message]
/// #[derive(Debug)]
/// pub struct Done {
///     pub by: ActorRef<Job>,
/// }
///
/// struct Worker;
///
/// impl Actor for Worker {
///     type Message = Job;
///
///     fn receive(&mut self, ctx: &mut Context<Self>, job: &Archived<Job>) -> Next<Self> {
///         let done = Done { by: ctx.me() };
///         ctx.tell(job.done, &done);
///         Next::Same
///     }
/// }
///
/// #[derive(Default)]
/// struct Desk {
///     workers: Option<Router<Job>>,
/// }
///
/// impl Actor for Desk {
///     type Message = Job;
///
///     fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
///         let restart = Restart::at_most(3).within(Duration::from_secs(10));
///         let pool = Pool::of(2, || Worker).on_failure(restart);
///         self.workers = pool.start(ctx, Strategy::RoundRobin).ok();
///         Next::Same
///     }
///
///     fn receive(&mut self, ctx: &mut Context<Self>, job: &Archived<Job>) -> Next<Self> {
///         let workers = self.workers.as_mut();
///         let told = workers.map(|workers| workers.tell(ctx, &Job { done: job.done }));
///         if !matches!(told, Some(Ok(()))) { Next::Fault } else { Next::Same }
///     }
///
///     fn signal(&mut self, _: &mut Context<Self>, signal: &Signal) -> Next<Self> {
///         if let Some(workers) = &mut self.workers {
///             workers.signal(signal);
///         }
///         Next::Same
///     }
/// }
///
/// let mut sim = Simulation::seeded(1);
/// let done = sim.probe::<Done>();
/// let desk = sim.spawn(Desk::default);
/// for _ in 0..2 {
///     sim.tell(desk, &Job { done: done.actor() });
/// }
/// assert_ne!(done.next().by, done.next().by, "each worker has one of the jobs");
/// ```
#[must_use = "the children are made by `start`"]
pub struct Pool<F> {
    size: usize,
    factory: F,
    on_failure: OnFailure,
}

impl<B, F> Pool<F>
where
    B: Actor,
    B::Message: Message,
    F: FnMut() -> B + Clone + 'static,
{
    /// So many children, each made by `factory`, and made anew by it when it fails and is to be restarted.
    pub fn of(size: usize, factory: F) -> Self {
        Pool { size, factory, on_failure: OnFailure::Stop }
    }

    /// What is done when a child fails. Without it, the child stops and is routed to no more. A child that is
    /// restarted stays a routee: what comes meanwhile waits for it.
    pub fn on_failure(mut self, policy: impl Into<OnFailure>) -> Self {
        self.on_failure = policy.into();
        self
    }

    /// Makes the children and a router for them. The actor watches them: it should give its signals to
    /// [`Router::signal`], so that a child that has ended is routed to no more.
    ///
    /// # Errors
    /// [`PoolError`]; no child is left.
    pub fn start<A: Actor>(
        self,
        ctx: &mut Context<'_, A>,
        strategy: Strategy<B::Message>,
    ) -> Result<Router<B::Message>, PoolError> {
        if self.size > ROUTEE_LIMIT {
            let (routees, limit) = (self.size, ROUTEE_LIMIT);
            return Err(PoolError::TooMany(TooManyRoutees { routees, limit }));
        }
        let mut children = Vec::with_capacity(self.size);
        for number in 0..self.size as u64 {
            let spawn = ctx.spawn(self.factory.clone()).on_failure(self.on_failure);
            match spawn.try_start() {
                Ok(child) => children.push((number, child)),
                Err(full) => {
                    children.iter().for_each(|(_, child)| ctx.stop(*child));
                    return Err(PoolError::Spawn(full));
                }
            }
        }
        children.iter().for_each(|(_, child)| ctx.watch(*child));
        let mut router = Router::new(strategy);
        router.set_named(children)?;
        Ok(router)
    }
}

impl<F> fmt::Debug for Pool<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.size)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}
