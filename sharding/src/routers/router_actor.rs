//! A router that has a reference of its own.

use std::fmt;

use mainspring::message::{AnyRef, Reply, owned};
use mainspring::prelude::*;

use crate::registry::{Listing, RegistryHandle, ServiceKey};

use super::router::{Router, RouterFigures};

/// From now on a [`RouterActor`] has these routees.
#[message(name = "mainspring.routers.routees")]
#[derive(Clone, Debug)]
pub struct Routees {
    /// References to actors that take the router's messages; one to actors that take others is left out.
    pub actors: Vec<AnyRef>,
}

/// A routee tells a [`RouterActor`] that it has finished some of the messages that it got by it: see
/// [`Strategy::LeastLoaded`](super::Strategy::LeastLoaded).
#[message(name = "mainspring.routers.finished")]
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Which one.
    pub routee: AnyRef,
    /// How many.
    pub messages: u64,
}

/// Where a [`RouterActor`] takes what is not to be routed: see [`RouterActor::introduced_to`].
#[message(name = "mainspring.routers.router_ports")]
#[derive(Clone, Copy, Debug)]
pub struct RouterPorts {
    /// Its routees.
    pub routees: ActorRef<Routees>,
    /// What they have finished.
    pub finished: ActorRef<Finished>,
    /// Questions for what it has counted.
    pub figures: ActorRef<ReportFigures>,
}

/// Asks a [`RouterActor`] what it has counted.
#[message(name = "mainspring.routers.report_figures")]
#[derive(Clone, Copy, Debug)]
pub struct ReportFigures {
    /// Who wants to know.
    pub reply_to: ActorRef<RouterFigures>,
}

/// An actor that passes on what it gets, as its [`Router`] has it. Where a message has no routee, or one that cannot be
/// told, it is lost and counted: see [`ReportFigures`].
///
/// Each message is read out of its frame and written into another one. What a routee answers goes to whom the message
/// names, not back by the router.
pub struct RouterActor<M> {
    router: Router<M>,
    introduced_to: Option<ActorRef<RouterPorts>>,
    service: Option<(RegistryHandle, ServiceKey<M>)>,
}

impl<M: Reply> RouterActor<M> {
    /// Around a router. The routees that it has are watched, and left out when they end.
    pub fn around(router: Router<M>) -> Self {
        RouterActor { router, introduced_to: None, service: None }
    }

    /// When it starts, it tells this actor where it takes routees and questions.
    pub fn introduced_to(mut self, owner: ActorRef<RouterPorts>) -> Self {
        self.introduced_to = Some(owner);
        self
    }

    /// Its routees are the actors of a service, wherever they are in the cluster, as they come and go.
    pub fn of_service(mut self, registry: RegistryHandle, key: ServiceKey<M>) -> Self {
        self.service = Some((registry, key));
        self
    }

    fn subscribe(&self, ctx: &mut Context<'_, Self>) {
        let Some((registry, key)) = &self.service else { return };
        let listings = ctx.port::<Listing>();
        if let Err(error) = registry.subscribe(ctx, key, listings) {
            tracing::error!(router = %ctx.me(), %error, "a router learns of no routees");
        }
    }

    fn set(&mut self, ctx: &mut Context<'_, Self>, actors: Vec<ActorRef<M>>) {
        let before: Vec<ActorRef<M>> = self.router.routees().collect();
        match self.router.set_routees(actors) {
            Ok(()) => {
                before.into_iter().for_each(|routee| ctx.unwatch(routee));
                self.watch_all(ctx);
            }
            Err(error) => {
                tracing::warn!(router = %ctx.me(), %error, "the routees stay as they were");
            }
        }
    }

    fn watch_all(&self, ctx: &mut Context<'_, Self>) {
        self.router.routees().for_each(|routee| ctx.watch(routee));
    }
}

impl<M: Reply> Actor for RouterActor<M> {
    type Message = M;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        self.watch_all(ctx);
        self.subscribe(ctx);
        if let Some(owner) = self.introduced_to {
            let ports =
                RouterPorts { routees: ctx.port(), finished: ctx.port(), figures: ctx.port() };
            ctx.tell(owner, &ports);
        }
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<M>) -> Next<Self> {
        if let Ok(message) = owned::<M>(message)
            && let Err(error) = self.router.tell(ctx, &message)
        {
            tracing::debug!(router = %ctx.me(), %error, "a message was not routed");
        }
        Next::Same
    }

    fn signal(&mut self, _: &mut Context<'_, Self>, signal: &Signal) -> Next<Self> {
        self.router.signal(signal);
        Next::Same
    }
}

impl<M: Reply> Port<Routees> for RouterActor<M> {
    fn receive(&mut self, ctx: &mut Context<'_, Self>, routees: &Archived<Routees>) -> Next<Self> {
        let actors: Vec<ActorRef<M>> =
            routees.actors.iter().filter_map(|actor| actor.typed::<M>()).collect();
        self.set(ctx, actors);
        Next::Same
    }
}

impl<M: Reply> Port<Listing> for RouterActor<M> {
    fn receive(&mut self, ctx: &mut Context<'_, Self>, listing: &Archived<Listing>) -> Next<Self> {
        match listing.actors::<M>() {
            Ok(actors) => self.set(ctx, actors),
            Err(error) => tracing::warn!(router = %ctx.me(), %error, "a listing is not for it"),
        }
        Next::Same
    }
}

impl<M: Reply> Port<Finished> for RouterActor<M> {
    fn receive(&mut self, _: &mut Context<'_, Self>, finished: &Archived<Finished>) -> Next<Self> {
        self.router.finished(finished.routee.address(), finished.messages.to_native());
        Next::Same
    }
}

impl<M: Reply> Port<ReportFigures> for RouterActor<M> {
    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        asked: &Archived<ReportFigures>,
    ) -> Next<Self> {
        ctx.tell(asked.reply_to, &self.router.figures());
        Next::Same
    }
}

impl<M> fmt::Debug for RouterActor<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.router.fmt(f)
    }
}
