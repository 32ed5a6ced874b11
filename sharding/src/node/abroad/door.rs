//! The actor by which the regions of one type on different nodes meet.
//!
//! One stands on core 0 of each node in a cluster, under a name that the others know. It hears from the cluster who is
//! a member, introduces this node's regions to the doors of the others, and has the regions here take in those of a
//! node before it answers that node. When the cluster is over for this node, it stops the regions first.
//!
//! Invariants: a node is answered only when every region here knows its places; the regions here hear of neighbours in
//! the order of versions, and a version is said again until each has taken it.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mainspring::ArchivedNameFound;
use mainspring::message::Message;
use mainspring::prelude::*;

use super::neighbours::Standing;
use super::outland::Outland;
use crate::cluster::{
    ArchivedClusterEvent, ArchivedMemberView, ClusterEvent, ClusterHandle, ClusterRequest,
};
use crate::node::coordinator::Directive;
use crate::node::envelope::{Envelope, RegionMessage};
use crate::node::hosting::Peers;

/// How often a door looks at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the name of another door is waited for.
const FOUND_WITHIN: Duration = Duration::from_secs(1);
/// How long a welcome is waited for.
const WELCOME_WITHIN: Duration = Duration::from_secs(2);

/// The version that a region has taken when it has stopped for good.
pub(crate) const OVER: u64 = u64::MAX;

/// What a door takes: a greeting, and the regions of who greets, by core.
pub(crate) type Introduction<M> = (Greeting, Vec<ActorRef<RegionMessage<M>>>);

/// What is said to a door.
#[message(name = "mainspring.sharding.greeting")]
#[derive(Clone, Debug)]
pub(crate) enum Greeting {
    /// Another node is here, with these regions.
    Hello {
        incarnation: u64,
        shard_count: u32,
        scheduler: ActorRef<Directive>,
        reply_to: ActorRef<Welcome>,
    },
    /// A region of this node has taken in the neighbours of a version.
    Taken { core: u16, version: u64 },
    /// Time has passed.
    Look,
}

/// All regions of a node know those of who has greeted it.
#[message(name = "mainspring.sharding.welcome")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Welcome {
    incarnation: u64,
}

/// See the module's header.
pub(crate) struct Door<M> {
    cluster: ClusterHandle,
    peers: Arc<Peers<M>>,
    outland: Rc<Outland<M>>,
    scheduler: ActorRef<Directive>,
    shard_count: u32,
    name: String,
    role: Option<String>,
    /// The version of the neighbours, and the last one that each core has taken.
    version: u64,
    taken: Vec<u64>,
    /// The version that brings a node, until all have taken it.
    arriving: BTreeMap<u64, (u64, u16)>,
    /// Who waits for all regions to have taken a version.
    waiting: Vec<(u64, ActorRef<Welcome>)>,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Door<M> {
    /// A door that has met nobody. `name` is that of the type.
    pub fn new(
        cluster: ClusterHandle,
        outland: Rc<Outland<M>>,
        scheduler: ActorRef<Directive>,
        shard_count: u32,
        (name, role): (&str, Option<String>),
    ) -> Door<M> {
        let peers = Arc::clone(&outland.peers);
        let taken = vec![0; usize::from(peers.cores())];
        Door {
            cluster,
            peers,
            outland,
            scheduler,
            shard_count,
            name: format!("mainspring.sharding/{name}"),
            role,
            version: 0,
            taken,
            arriving: BTreeMap::new(),
            waiting: Vec::new(),
            message: PhantomData,
        }
    }

    fn me(&self) -> u64 {
        self.peers.place(0).incarnation
    }

    /// Another node introduces itself.
    fn hello(
        &mut self,
        ctx: &mut Context<'_, Self>,
        (incarnation, shard_count): (u64, u32),
        scheduler: ActorRef<Directive>,
        regions: Vec<ActorRef<RegionMessage<M>>>,
        reply_to: ActorRef<Welcome>,
    ) {
        // One of whom the cluster has not told yet greets again.
        if incarnation == self.me() || !self.outland.neighbours.borrow().has(incarnation) {
            return;
        }
        let is_its_own = |region: &ActorRef<_>| region.node() == incarnation as u32;
        if shard_count != self.shard_count || regions.is_empty() || !regions.iter().all(is_its_own)
        {
            let own = self.shard_count;
            let name = &self.name;
            tracing::error!(
                name,
                shard_count,
                own,
                "a node with another number of shards, or without regions, is left out"
            );
            return;
        }
        let cores = regions.len() as u16;
        if self.outland.meet(incarnation, scheduler, regions) {
            self.version += 1;
            self.arriving.insert(incarnation, (self.version, cores));
            self.tell_regions(ctx);
        }
        self.waiting.push((incarnation, reply_to));
        self.answer(ctx);
    }

    /// Tells the regions that have not taken the present version.
    fn tell_regions(&self, ctx: &mut Context<'_, Self>) {
        let nodes = self.outland.nodes();
        for core in
            (0..).zip(&self.taken).filter(|(_, taken)| **taken < self.version).map(|(core, _)| core)
        {
            let Some(region) = self.peers.get(core) else { continue };
            let (version, nodes) = (self.version, nodes.clone());
            // One that finds no room is said again.
            let _ = ctx.try_tell(region, &(Envelope::Neighbours { version, nodes }, Vec::new()));
        }
    }

    /// Answers those whose places all regions know.
    fn answer(&mut self, ctx: &mut Context<'_, Self>) {
        let all = self.taken.iter().copied().min().unwrap_or(self.version);
        let neighbours = &mut *self.outland.neighbours.borrow_mut();
        self.arriving.retain(|incarnation, (version, cores)| {
            if *version <= all {
                neighbours.known(*incarnation, *cores);
            }
            *version > all
        });
        let welcome = Welcome { incarnation: self.me() };
        let arriving = &self.arriving;
        self.waiting.retain(|(incarnation, reply_to)| {
            let is_known = !arriving.contains_key(incarnation);
            if is_known {
                let _ = ctx.try_tell(*reply_to, &welcome);
            }
            !is_known
        });
    }

    fn member(&mut self, view: &ArchivedMemberView) {
        let role = self.role.as_deref();
        let has = |role| view.roles.iter().any(|own| own.as_str() == role);
        let standing = Standing {
            status: (&view.status).into(),
            is_reachable: view.is_reachable,
            has_role: role.is_none_or(has),
            app_version: view.app_version.as_str().to_owned(),
            up_number: view.up_number.as_ref().map(|number| number.to_native()),
        };
        self.outland.neighbours.borrow_mut().set(view.incarnation.to_native(), standing);
    }

    fn removed(&mut self, ctx: &mut Context<'_, Self>, incarnation: u64) {
        self.outland.neighbours.borrow_mut().remove(incarnation);
        self.arriving.remove(&incarnation);
        self.waiting.retain(|(waiting, _)| *waiting != incarnation);
        if self.outland.part(incarnation) {
            self.version += 1;
            self.tell_regions(ctx);
        }
    }

    /// This node is no member any more: nothing of its shards goes on.
    fn stop_all(&self, ctx: &mut Context<'_, Self>) {
        self.peers.tenure.close();
        let waits = |(_, taken): &(u16, &u64)| **taken < OVER;
        for (core, _) in (0..).zip(&self.taken).filter(waits) {
            if let Some(region) = self.peers.get(core) {
                // One that finds no room is said again.
                let _ = ctx.try_tell(region, &(Envelope::Over, Vec::new()));
            }
        }
    }

    /// Greets those that have not welcomed this node, and lets the scheduler know of what is new.
    fn look(&mut self, ctx: &mut Context<'_, Self>) {
        if self.peers.tenure.is_closed() {
            return self.stop_all(ctx);
        }
        self.tell_regions(ctx);
        let greet = self.outland.neighbours.borrow_mut().take_due(ctx.now_ns());
        for incarnation in greet {
            let _ = ctx.lookup_on(incarnation as u32, self.name.clone(), FOUND_WITHIN, Self::found);
        }
        let has_begun = self.outland.neighbours.borrow_mut().begin();
        if has_begun {
            self.peers.begin();
            ctx.tell(self.scheduler, &Directive::Tick);
        }
    }

    /// The door of another node: it is greeted.
    fn found(
        &mut self,
        ctx: &mut Context<'_, Self>,
        found: Result<&ArchivedNameFound, AskError>,
    ) -> Next<Self> {
        let Ok(found) = found else { return Next::Same };
        match found.actor::<Introduction<M>>() {
            Ok(door) => self.greet(ctx, door),
            Err(mainspring::LookupError::Unknown { .. }) => {}
            Err(error) => tracing::error!(%error, "a node has other entities under this name"),
        }
        Next::Same
    }

    fn greet(&mut self, ctx: &mut Context<'_, Self>, door: ActorRef<Introduction<M>>) {
        let regions: Option<Vec<_>> =
            (0..self.peers.cores()).map(|core| self.peers.get(core)).collect();
        let (Some(regions), scheduler) = (regions, self.scheduler) else { return };
        let (incarnation, shard_count) = (self.me(), self.shard_count);
        let hello =
            |reply_to| (Greeting::Hello { incarnation, shard_count, scheduler, reply_to }, regions);
        let _ = ctx.ask(door, hello, WELCOME_WITHIN, Self::welcomed);
    }

    fn welcomed(
        &mut self,
        ctx: &mut Context<'_, Self>,
        welcome: Result<&Archived<Welcome>, AskError>,
    ) -> Next<Self> {
        if let Ok(welcome) = welcome {
            self.outland.neighbours.borrow_mut().welcomed_by(welcome.incarnation.to_native());
            self.look(ctx);
        }
        Next::Same
    }
}

impl<M: Message> Actor for Door<M> {
    type Message = Introduction<M>;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.register(self.name.clone());
        self.peers.set_door(ctx.me());
        if let Some(cluster) = self.cluster.actor() {
            let subscriber = ctx.port::<ClusterEvent>();
            ctx.tell(cluster, &ClusterRequest::Subscribe { subscriber, holds_exit: false });
        }
        ctx.timer("look").every(LOOK_EVERY, &(Greeting::Look, Vec::new()));
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<Introduction<M>>,
    ) -> Next<Self> {
        match &message.0 {
            ArchivedGreeting::Hello { incarnation, shard_count, scheduler, reply_to } => {
                let regions = message.1.iter().copied().collect();
                let who = (incarnation.to_native(), shard_count.to_native());
                self.hello(ctx, who, *scheduler, regions, *reply_to);
            }
            ArchivedGreeting::Taken { core, version } => {
                if let Some(taken) = self.taken.get_mut(usize::from(core.to_native())) {
                    *taken = version.to_native().max(*taken);
                }
                self.answer(ctx);
            }
            ArchivedGreeting::Look => self.look(ctx),
        }
        Next::Same
    }
}

impl<M: Message> Port<ClusterEvent> for Door<M> {
    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        event: &Archived<ClusterEvent>,
    ) -> Next<Self> {
        match event {
            ArchivedClusterEvent::Member(view)
            | ArchivedClusterEvent::Reachable(view)
            | ArchivedClusterEvent::Unreachable(view) => self.member(view),
            ArchivedClusterEvent::Removed(view) => self.removed(ctx, view.incarnation.to_native()),
            ArchivedClusterEvent::Leader(leader) => {
                let leader = leader.as_ref().map(|leader| leader.incarnation.to_native());
                self.outland.neighbours.borrow_mut().set_leader(leader);
            }
            ArchivedClusterEvent::Stopping { .. } => {
                self.stop_all(ctx);
                return Next::Same;
            }
        }
        self.look(ctx);
        Next::Same
    }
}
