//! The actor that speaks for the machine: with actors of its node, with the cluster, and with the other registries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainspring::ArchivedNameFound;
use mainspring::message::{AnyRef, owned};
use mainspring::prelude::*;

use super::limits::SUBSCRIPTION_LIMIT;
use super::listing::Listing;
use super::message::{Input, Message, Output, ServiceName};
use super::registrations::{Registrations, Settings};
use super::wire::{
    Parcel, RegisterOutcome, RegistryRequest, WholeColumn, Word, message_of, message_of_whole,
    parcel_of,
};
use crate::cluster::{ArchivedClusterEvent, ClusterEvent, ClusterHandle, ClusterRequest};

/// By which other nodes find it.
const NAME: &str = "mainspring.registry";
/// How long another node may take to say who has that name; it is asked again after as long.
const FOUND_WITHIN: Duration = Duration::from_secs(1);
/// So many nodes are asked at once.
const LOOKUPS_AT_ONCE: usize = 32;

/// See the module's header.
pub(super) struct RegistryActor {
    me: u32,
    machine: Registrations<AnyRef>,
    cluster: Option<ClusterHandle>,
    is_subscribed: bool,
    peers: BTreeMap<u32, Peer>,
    subscribers: BTreeMap<ServiceName, BTreeSet<ActorRef<Listing>>>,
    subscriptions: usize,
}

/// The registry of another member.
struct Peer {
    is_reachable: bool,
    requests: Option<ActorRef<RegistryRequest>>,
    columns: Option<ActorRef<WholeColumn>>,
    look_again_ns: u64,
}

impl RegistryActor {
    pub fn new(me: u32, settings: Settings, cluster: Option<ClusterHandle>) -> Self {
        RegistryActor {
            me,
            machine: Registrations::new(me, settings),
            cluster,
            is_subscribed: false,
            peers: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            subscriptions: 0,
        }
    }

    fn step(&mut self, ctx: &mut Context<'_, Self>, input: Input<AnyRef>) {
        let mut outputs = Vec::new();
        self.machine.step(ctx.now_ns(), input, &mut outputs);
        for output in outputs {
            match output {
                Output::Send(to, message) => self.send(ctx, to, message),
                Output::Changed(service) => self.publish(ctx, &service),
            }
        }
        let pause_ns = self.machine.due_ns().saturating_sub(ctx.now_ns());
        ctx.timer("due").after(Duration::from_nanos(pause_ns), &RegistryRequest::Tick);
    }

    /// Sends what the machine says. What cannot be sent is lost: a later round makes up for it.
    fn send(&mut self, ctx: &mut Context<'_, Self>, to: u32, message: Message<AnyRef>) {
        let columns = ctx.port::<WholeColumn>();
        let Some(peer) = self.peers.get(&to) else { return };
        match parcel_of(self.me, message, columns) {
            Parcel::Word(word) => {
                if let Some(requests) = peer.requests {
                    let said = RegistryRequest::Said { from: self.me, word };
                    let _ = ctx.try_tell(requests, &said);
                }
            }
            Parcel::Whole(whole) => {
                if let Some(columns) = peer.columns {
                    let _ = ctx.try_tell(columns, &whole);
                }
            }
        }
    }

    fn publish(&self, ctx: &mut Context<'_, Self>, service: &ServiceName) {
        let Some(subscribers) = self.subscribers.get(service) else { return };
        let listing = self.listing(service);
        subscribers.iter().for_each(|subscriber| ctx.tell(*subscriber, &listing));
    }

    fn listing(&self, service: &ServiceName) -> Listing {
        let actors = self.machine.listing(service);
        Listing { name: service.name.clone(), fingerprint: service.fingerprint, actors }
    }

    fn register(
        &mut self,
        ctx: &mut Context<'_, Self>,
        name: &str,
        actor: AnyRef,
        reply_to: Option<ActorRef<RegisterOutcome>>,
    ) {
        let outcome = match self.machine.register(ctx.now_ns(), name, actor) {
            Ok(is_new) => {
                if is_new {
                    ctx.watch_address(actor.address());
                }
                RegisterOutcome::Registered
            }
            Err(error) => {
                tracing::error!(name, ?actor, %error, "an actor was not registered");
                RegisterOutcome::Refused { why: error.to_string() }
            }
        };
        if let Some(reply_to) = reply_to {
            ctx.tell(reply_to, &outcome);
        }
    }

    fn subscribe(
        &mut self,
        ctx: &mut Context<'_, Self>,
        service: ServiceName,
        subscriber: ActorRef<Listing>,
    ) {
        if self.subscriptions >= SUBSCRIPTION_LIMIT {
            let (name, limit) = (&service.name, SUBSCRIPTION_LIMIT);
            tracing::error!(name, limit, %subscriber, "as many subscriptions as there may be");
            return;
        }
        ctx.tell(subscriber, &self.listing(&service));
        if self.subscribers.entry(service).or_default().insert(subscriber) {
            self.subscriptions += 1;
            ctx.watch(subscriber);
        }
    }

    /// Forgets those subscriptions.
    fn unsubscribe(&mut self, is_over: impl Fn(&ServiceName, ActorRef<Listing>) -> bool) {
        self.subscribers.retain(|service, subscribers| {
            subscribers.retain(|subscriber| !is_over(service, *subscriber));
            !subscribers.is_empty()
        });
        self.subscriptions = self.subscribers.values().map(BTreeSet::len).sum();
    }

    fn said(&mut self, ctx: &mut Context<'_, Self>, from: u32, word: Word) {
        if let (Word::Versions { columns, .. }, Some(peer)) = (&word, self.peers.get_mut(&from))
            && columns.node() == from
        {
            peer.columns = Some(*columns);
        }
        self.step(ctx, Input::Received { from, message: message_of(word) });
    }

    fn tick(&mut self, ctx: &mut Context<'_, Self>) {
        if !self.is_subscribed
            && let Some(cluster) = self.cluster.as_ref().and_then(ClusterHandle::actor)
        {
            let subscriber = ctx.port::<ClusterEvent>();
            ctx.tell(cluster, &ClusterRequest::Subscribe { subscriber, holds_exit: false });
            self.is_subscribed = true;
        }
        let now_ns = ctx.now_ns();
        let unknown = self.peers.iter_mut().filter(|(_, peer)| {
            peer.requests.is_none() && peer.is_reachable && peer.look_again_ns <= now_ns
        });
        for (node, peer) in unknown.take(LOOKUPS_AT_ONCE) {
            peer.look_again_ns = now_ns.saturating_add(FOUND_WITHIN.as_nanos() as u64);
            let _ = ctx.lookup_on(*node, NAME, FOUND_WITHIN, Self::found);
        }
        self.step(ctx, Input::Tick);
    }

    fn found(
        &mut self,
        _: &mut Context<'_, Self>,
        found: Result<&ArchivedNameFound, AskError>,
    ) -> Next<Self> {
        if let Ok(Ok(requests)) = found.map(|found| found.actor::<RegistryRequest>())
            && let Some(peer) = self.peers.get_mut(&requests.node())
        {
            peer.requests = Some(requests);
        }
        Next::Same
    }

    /// Gives the machine the members as they are now.
    fn members_changed(&mut self, ctx: &mut Context<'_, Self>) {
        let lost = self.peers.iter().filter(|(_, peer)| !peer.is_reachable);
        let unreachable = lost.map(|(node, _)| *node).collect();
        self.step(ctx, Input::Members(self.peers.keys().copied().collect()));
        self.step(ctx, Input::Unreachable(unreachable));
        self.tick(ctx);
    }
}

impl Actor for RegistryActor {
    type Message = RegistryRequest;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.register(NAME);
        self.tick(ctx);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        request: &Archived<RegistryRequest>,
    ) -> Next<Self> {
        let Ok(request) = owned::<RegistryRequest>(request) else { return Next::Same };
        match request {
            RegistryRequest::Register { name, actor, reply_to } => {
                self.register(ctx, &name, actor, reply_to);
                self.step(ctx, Input::Tick);
            }
            RegistryRequest::Deregister { name, actor } => {
                self.machine.deregister(ctx.now_ns(), &name, actor);
                self.step(ctx, Input::Tick);
            }
            RegistryRequest::Subscribe { name, fingerprint, subscriber } => {
                self.subscribe(ctx, ServiceName { name, fingerprint }, subscriber);
            }
            RegistryRequest::Unsubscribe { name, fingerprint, subscriber } => {
                let service = ServiceName { name, fingerprint };
                self.unsubscribe(|other, actor| *other == service && actor == subscriber);
            }
            RegistryRequest::Find { name, fingerprint, reply_to } => {
                ctx.tell(reply_to, &self.listing(&ServiceName { name, fingerprint }));
            }
            RegistryRequest::Said { from, word } => self.said(ctx, from, word),
            RegistryRequest::Tick => self.tick(ctx),
        }
        Next::Same
    }

    fn signal(&mut self, ctx: &mut Context<'_, Self>, signal: &Signal) -> Next<Self> {
        if let Signal::Terminated { actor: gone, .. } = signal {
            self.machine.ended(ctx.now_ns(), |actor| without_port(actor.address()) == *gone);
            self.unsubscribe(|_, subscriber| without_port(subscriber.address()) == *gone);
            self.step(ctx, Input::Tick);
        }
        Next::Same
    }
}

impl Port<WholeColumn> for RegistryActor {
    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        whole: &Archived<WholeColumn>,
    ) -> Next<Self> {
        if let Ok(whole) = owned::<WholeColumn>(whole) {
            let from = whole.from;
            self.step(ctx, Input::Received { from, message: message_of_whole(whole) });
        }
        Next::Same
    }
}

impl Port<ClusterEvent> for RegistryActor {
    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        event: &Archived<ClusterEvent>,
    ) -> Next<Self> {
        match event {
            ArchivedClusterEvent::Member(view)
            | ArchivedClusterEvent::Reachable(view)
            | ArchivedClusterEvent::Unreachable(view) => {
                let node = view.incarnation.to_native() as u32;
                if node == self.me {
                    return Next::Same;
                }
                let new =
                    Peer { is_reachable: true, requests: None, columns: None, look_again_ns: 0 };
                self.peers.entry(node).or_insert(new).is_reachable = view.is_reachable;
            }
            ArchivedClusterEvent::Removed(view) => {
                self.peers.remove(&(view.incarnation.to_native() as u32));
            }
            ArchivedClusterEvent::Stopping { .. } => self.peers.clear(),
            ArchivedClusterEvent::Leader(_) => return Next::Same,
        }
        self.members_changed(ctx);
        Next::Same
    }
}

/// The actor that an address names, as signals name it.
fn without_port(address: Address) -> Address {
    Address::new(address.node(), address.core(), 0, address.slot(), address.generation())
}
