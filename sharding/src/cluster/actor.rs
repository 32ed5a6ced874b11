//! The actor of the cluster: a thin driver of the machines that decide.
//!
//! It waits until the node listens and the second of its start is over, so that no two lives of an address have the
//! same second in their incarnations; then it takes part until the node is no member any more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use mainspring::ArchivedNameFound;
use mainspring::prelude::*;
use mainspring_transport::Links;

use super::dialling::{Dial, Dialling};
use super::event::{ArchivedClusterRequest, ClusterEvent, ClusterRequest, MemberView};
use super::handle::{ClusterHandle, Request};
use super::introduction::{
    Acquaintances, ArchivedIntroduction, Introduction, IntroductionError, Known, Linked,
};
use super::lease::{LeaseDesk, Opened};
use super::resolver::Resolver;
use super::settings::Plan;
use super::subscribers::{Subscribed, Subscribers};
use super::wire::{
    ArchivedLargeWord, ArchivedPulse, ArchivedWord, LargeWord, Outgoing, Pulse, WireError, Word,
};
use crate::membership::{
    ClusterMessage, Event, Input, MemberId, Membership, Output, Status, StopReason,
};

/// By which nodes find each other's actor.
const NAME: &str = "mainspring.cluster";
/// How long a node may take to say who it is.
const INTRODUCED_WITHIN: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);

/// See the module's header.
pub(super) struct ClusterActor {
    plan: Plan,
    links: Links,
    handle: ClusterHandle,
    /// When this life of the node began, since 1970.
    began: Duration,
    /// The store with the lease of the resolver, until it takes part.
    lease: Option<Opened>,
    subscribers: Subscribers,
    phase: Phase,
}

enum Phase {
    /// No part is taken before then.
    Waiting {
        until_ns: u64,
    },
    Participating(Box<Participant>),
    /// It cannot take part, or not any more.
    Over,
}

/// What the node has of its cluster while it takes part.
struct Participant {
    me: MemberId,
    introduction: Introduction,
    membership: Membership,
    resolver: Option<Resolver>,
    acquaintances: Acquaintances,
    links_version: u64,
    complaints: BTreeMap<u32, IntroductionError>,
    dialling: Dialling,
    unreachable: BTreeSet<MemberId>,
    is_stopping: bool,
    refusals: BTreeMap<SocketAddr, String>,
    /// Messages from nodes that have not introduced themselves as who they speak for.
    strangers: u64,
    /// Messages that are none.
    malformed: u64,
}

impl ClusterActor {
    pub fn new(
        plan: Plan,
        links: Links,
        handle: ClusterHandle,
        (began, lease): (Duration, Option<Opened>),
    ) -> ClusterActor {
        let (subscribers, phase) = (Subscribers::default(), Phase::Over);
        ClusterActor { plan, links, handle, began, lease, subscribers, phase }
    }

    fn tick(&mut self, ctx: &mut Context<'_, Self>) {
        let now_ns = ctx.now_ns();
        match &self.phase {
            Phase::Waiting { until_ns } if *until_ns <= now_ns => self.participate(ctx),
            Phase::Waiting { .. } | Phase::Over => {}
            Phase::Participating(_) => {
                self.take_requests(ctx);
                self.look_at_links(ctx);
                self.step(ctx, Input::Tick);
                self.resolve(ctx);
                self.dial(ctx);
            }
        }
    }

    /// Takes part, once the node listens.
    fn participate(&mut self, ctx: &mut Context<'_, Self>) {
        let Some(listening) = self.links.listening_on() else { return };
        let address = self.plan.address.unwrap_or(listening);
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let incarnation = self.began.as_secs() << 32 | u64::from(ctx.me().node());
        let me = MemberId { address, incarnation };
        self.plan.membership.configuration.extend(self.handle.required());
        let machines = (self.plan.membership(me), self.plan.downing());
        let (Ok(membership), Ok(downing)) = machines else {
            tracing::error!(%me, "this node joins no cluster: its settings were not checked");
            self.phase = Phase::Over;
            return;
        };
        let lease = self.lease.take().map(|store| LeaseDesk::new(store, incarnation));
        let resolver = downing.map(|downing| Resolver::new(downing, lease));
        tracing::info!(%me, "this node asks to be let into its cluster");
        let (words, large_words) = (ctx.port::<Word>(), ctx.port::<LargeWord>());
        let (identity, pulses) = (me.into(), ctx.port::<Pulse>());
        self.phase = Phase::Participating(Box::new(Participant {
            me,
            introduction: Introduction { identity, words, large_words, pulses },
            membership,
            resolver,
            acquaintances: Acquaintances::new(me),
            links_version: 0,
            complaints: BTreeMap::new(),
            dialling: Dialling::new(address),
            unreachable: BTreeSet::new(),
            is_stopping: false,
            refusals: BTreeMap::new(),
            strangers: 0,
            malformed: 0,
        }));
    }

    fn participant(&mut self) -> Option<&mut Participant> {
        match &mut self.phase {
            Phase::Participating(participant) => Some(participant),
            Phase::Waiting { .. } | Phase::Over => None,
        }
    }

    /// What handles have asked for.
    fn take_requests(&mut self, ctx: &mut Context<'_, Self>) {
        for request in self.handle.take_requests() {
            match request {
                Request::Leave(incarnation) => self.ask(ctx, incarnation, Input::Leave),
                Request::Down(incarnation) => self.ask(ctx, incarnation, Input::Down),
                Request::ReadyToExit => self.exit_if_ready(ctx),
            }
        }
    }

    /// Does something about a member, if there is such a one.
    fn ask(
        &mut self,
        ctx: &mut Context<'_, Self>,
        incarnation: u64,
        input: impl FnOnce(MemberId) -> Input,
    ) {
        let Some(participant) = self.participant() else { return };
        let mut ids = participant.membership.view().members.keys();
        match ids.find(|id| id.incarnation == incarnation).copied() {
            Some(id) => self.step(ctx, input(id)),
            None => tracing::warn!(incarnation, "no such member; nothing is done about it"),
        }
    }

    /// Notes who is linked, and asks those who have not said who they are.
    fn look_at_links(&mut self, ctx: &mut Context<'_, Self>) {
        let links = self.links.clone();
        let Some(participant) = self.participant() else { return };
        participant.note_links(&links);
        for node in participant.acquaintances.due(ctx.now_ns()) {
            let _ = ctx.lookup_on(node, NAME, INTRODUCED_WITHIN, Self::found);
        }
    }

    /// Another node's actor was found, or not: then it is looked for again.
    fn found(
        &mut self,
        ctx: &mut Context<'_, Self>,
        found: Result<&ArchivedNameFound, AskError>,
    ) -> Next<Self> {
        let Some(from) = self.participant().map(|participant| participant.introduction) else {
            return Next::Same;
        };
        if let Ok(Ok(other)) = found.map(|found| found.actor::<ClusterRequest>()) {
            let introduce = |reply_to| ClusterRequest::Introduce { from, reply_to };
            let _ = ctx.ask(other, introduce, INTRODUCED_WITHIN, Self::introduced);
        }
        Next::Same
    }

    fn introduced(
        &mut self,
        _: &mut Context<'_, Self>,
        introduction: Result<&ArchivedIntroduction, AskError>,
    ) -> Next<Self> {
        let links = self.links.clone();
        if let (Ok(introduction), Some(participant)) = (introduction, self.participant()) {
            participant.meet(&links, Known::from(introduction));
        }
        Next::Same
    }

    /// Another node says who it is. One that is not believed gets no answer.
    fn introduce(
        &mut self,
        ctx: &mut Context<'_, Self>,
        from: &ArchivedIntroduction,
        reply_to: ActorRef<Introduction>,
    ) {
        let links = self.links.clone();
        let Some(participant) = self.participant() else { return };
        let known = Known::from(from);
        if reply_to.node() == known.ways.words.node() && participant.meet(&links, known) {
            ctx.tell(reply_to, &participant.introduction);
        }
    }

    fn receive_word(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: Result<ClusterMessage, WireError>,
    ) {
        let Some(participant) = self.participant() else { return };
        match message {
            Ok(message) if participant.acquaintances.is_known(message.sender()) => {
                self.step(ctx, Input::Received(message));
            }
            Ok(message) => {
                participant.strangers += 1;
                let (sender, strangers) = (message.sender(), participant.strangers);
                tracing::debug!(%sender, strangers, "a word of somebody who is not introduced");
            }
            Err(error) => {
                participant.malformed += 1;
                tracing::warn!(%error, count = participant.malformed, "a word is not looked at");
            }
        }
    }

    /// Gives the membership an input, and does what it wants.
    fn step(&mut self, ctx: &mut Context<'_, Self>, input: Input) {
        let now_ns = ctx.now_ns();
        let Some(participant) = self.participant() else { return };
        let mut outputs = Vec::new();
        participant.membership.step(now_ns, input, &mut outputs);
        if !outputs.is_empty() {
            self.obey(ctx, outputs);
        }
        self.exit_if_ready(ctx);
    }

    fn obey(&mut self, ctx: &mut Context<'_, Self>, outputs: Vec<Output>) {
        let Phase::Participating(participant) = &mut self.phase else { return };
        let (mut events, mut sends, mut stopped) = (Vec::new(), Vec::new(), None);
        for output in outputs {
            match output {
                Output::Send(to, message) => sends.push((to, message)),
                Output::Event(Event::JoinRefused(seed, reason)) => {
                    let text = format!("{seed}: {reason}");
                    if participant.refusals.insert(seed, text.clone()).as_ref() != Some(&text) {
                        tracing::warn!(%seed, %reason, "a seed does not let this node in");
                    }
                    self.handle.set_refusal(text);
                }
                Output::Event(event) => participant.translate(event, &mut events),
                Output::Stop(reason) => stopped = Some(reason),
            }
        }
        if !events.is_empty() {
            let (members, leader) = participant.shown();
            self.handle.publish(participant.me.incarnation, members, leader);
        }
        let is_silent = participant.is_stopping;
        for event in events.iter().filter(|_| !is_silent) {
            self.subscribers.actors().for_each(|subscriber| ctx.tell(subscriber, event));
        }
        self.stop_if_over(ctx);
        if let Phase::Participating(participant) = &self.phase {
            sends.iter().for_each(|(to, message)| participant.send(ctx, *to, message));
        }
        if let Some(reason) = stopped {
            self.handle.set_stopped(reason);
            self.phase = Phase::Over;
            ctx.timer("tick").cancel();
        }
    }

    /// Tells everybody when this node is no member any more.
    fn stop_if_over(&mut self, ctx: &mut Context<'_, Self>) {
        let reason =
            self.participant().and_then(|participant| participant.membership.stop_reason());
        if let Some(reason) = reason {
            self.tell_stopping(ctx, reason);
        }
    }

    fn tell_stopping(&mut self, ctx: &mut Context<'_, Self>, reason: StopReason) {
        let Some(participant) = self.participant() else { return };
        if std::mem::replace(&mut participant.is_stopping, true) {
            return;
        }
        let me = participant.me;
        match reason {
            StopReason::Left => tracing::info!(%me, "this node has left its cluster"),
            StopReason::Downed => tracing::error!(%me, "this node was given up and has to stop"),
        }
        let event = ClusterEvent::Stopping { reason };
        self.subscribers.actors().for_each(|subscriber| ctx.tell(subscriber, &event));
        self.handle.set_stopping(reason);
    }

    /// Leaves for good, if the node exits and nobody holds that up.
    fn exit_if_ready(&mut self, ctx: &mut Context<'_, Self>) {
        let is_held = self.subscribers.hold_exit() || self.handle.holds_exit();
        let Some(participant) = self.participant().filter(|_| !is_held) else { return };
        let view = participant.membership.view();
        let status = view.members.get(&participant.me).map(|member| member.status);
        if participant.membership.is_member() && status == Some(Status::Exiting) {
            self.step(ctx, Input::ExitReady);
        }
    }

    /// Asks the resolver, if the view is new or it wants to be asked.
    fn resolve(&mut self, ctx: &mut Context<'_, Self>) {
        let now_ns = ctx.now_ns();
        let Some(decided) = self.participant().map(|participant| participant.resolve(now_ns))
        else {
            return;
        };
        for id in decided {
            self.step(ctx, Input::Down(id));
        }
    }

    fn dial(&mut self, ctx: &mut Context<'_, Self>) {
        let links = self.links.clone();
        let now_ns = ctx.now_ns();
        if let Some(participant) = self.participant() {
            participant.dial(now_ns, &links);
        }
    }

    fn subscribe(
        &mut self,
        ctx: &mut Context<'_, Self>,
        subscriber: ActorRef<ClusterEvent>,
        holds_exit: bool,
    ) {
        match self.subscribers.add(subscriber, holds_exit) {
            Subscribed::Already => {}
            Subscribed::Refused => {
                tracing::error!(?subscriber, "as many actors subscribe to the cluster as may");
            }
            Subscribed::New => {
                ctx.watch(subscriber);
                self.greet(ctx, subscriber);
            }
        }
    }

    /// Tells a new subscriber what is there.
    fn greet(&mut self, ctx: &mut Context<'_, Self>, subscriber: ActorRef<ClusterEvent>) {
        if let Some(reason) = self.handle.stopping() {
            return ctx.tell(subscriber, &ClusterEvent::Stopping { reason });
        }
        let Some(participant) = self.participant() else { return };
        let (members, leader) = participant.shown();
        let leader = members.iter().find(|member| Some(member.incarnation) == leader).cloned();
        let has_members = !members.is_empty();
        for member in members {
            ctx.tell(subscriber, &ClusterEvent::Member(member));
        }
        if has_members {
            ctx.tell(subscriber, &ClusterEvent::Leader(leader));
        }
    }
}

impl Participant {
    /// Notes who is linked.
    fn note_links(&mut self, links: &Links) {
        let Some((version, nodes)) = links.nodes_since(self.links_version) else { return };
        self.links_version = version;
        let linked = |node: &mainspring_transport::LinkedNode| Linked {
            node: node.incarnation,
            dialled_at: node.dialled_at,
        };
        let linked: Vec<Linked> = nodes.iter().map(linked).collect();
        self.acquaintances.set_linked(&linked);
        self.complaints.retain(|node, _| linked.iter().any(|linked| linked.node == *node));
    }

    /// A node says who it is; whether it is believed.
    fn meet(&mut self, links: &Links, claim: Known) -> bool {
        self.note_links(links);
        let node = claim.ways.words.node();
        match self.acquaintances.introduced(node, claim) {
            Ok(is_new) => {
                if is_new {
                    tracing::debug!(other = %claim.id, "a node has introduced itself");
                }
                true
            }
            Err(error @ IntroductionError::NotLinked { .. }) => {
                tracing::debug!(%error, "a node is not believed");
                false
            }
            Err(error) => {
                if self.complaints.insert(node, error) != Some(error) {
                    tracing::warn!(%error, "a node is not believed");
                }
                false
            }
        }
    }

    fn send(&self, ctx: &mut Context<'_, ClusterActor>, to: SocketAddr, message: &ClusterMessage) {
        // Who is not reached misses it, as anything may be missed; it is said again.
        let Some(known) = self.acquaintances.at(to) else { return };
        let sent = match Outgoing::from(message) {
            Outgoing::Small(word) => ctx.try_tell(known.ways.words, &word),
            Outgoing::Large(word) => ctx.try_tell(known.ways.large_words, &word),
            Outgoing::Pulse(pulse) => ctx.try_tell(known.ways.pulses, &pulse),
        };
        if let Err(error) = sent {
            tracing::debug!(%to, %error, "a word about membership was not sent");
        }
    }

    /// An event of the membership in the words of subscribers.
    fn translate(&mut self, event: Event, events: &mut Vec<ClusterEvent>) {
        match event {
            Event::MemberChanged(member) => {
                events.push(ClusterEvent::Member(MemberView::of(&member, &self.unreachable)));
            }
            Event::MemberRemoved(member) => {
                events.push(ClusterEvent::Removed(MemberView::of(&member, &self.unreachable)));
            }
            Event::ReachabilityChanged(unreachable) => {
                let before = std::mem::replace(&mut self.unreachable, unreachable);
                let changed = before.symmetric_difference(&self.unreachable);
                for member in changed.filter_map(|id| self.membership.view().members.get(id)) {
                    let view = MemberView::of(member, &self.unreachable);
                    events.push(match view.is_reachable {
                        true => ClusterEvent::Reachable(view),
                        false => ClusterEvent::Unreachable(view),
                    });
                }
            }
            Event::LeaderChanged(leader) => {
                let view = self.membership.view();
                let leader = leader.and_then(|leader| view.members.get(&leader));
                let leader = leader.map(|leader| MemberView::of(leader, &self.unreachable));
                events.push(ClusterEvent::Leader(leader));
            }
            Event::JoinRefused(..) => {}
        }
    }

    /// All members, and who leads them.
    fn shown(&self) -> (Vec<MemberView>, Option<u64>) {
        let members = self.membership.view().members.values();
        let members = members.map(|member| MemberView::of(member, &self.unreachable)).collect();
        (members, self.membership.leader().map(|leader| leader.incarnation))
    }

    /// Whom the resolver gives up now.
    fn resolve(&mut self, now_ns: u64) -> Vec<MemberId> {
        let resolver = self.resolver.as_mut().filter(|_| self.membership.is_member());
        resolver.map(|resolver| resolver.step(now_ns, &self.membership)).unwrap_or_default()
    }

    fn dial(&mut self, now_ns: u64, links: &Links) {
        let members = &self.membership.view().members;
        let is_joining = members.is_empty();
        let wanted: BTreeSet<SocketAddr> = match is_joining {
            true => self.membership.seeds().iter().copied().collect(),
            false => members.keys().map(|id| id.address).collect(),
        };
        let acquaintances = &self.acquaintances;
        let is_linked = |address| acquaintances.is_linked_at(address);
        for dial in self.dialling.step(now_ns, &wanted, is_joining, is_linked) {
            match dial {
                Dial::Connect(address) => {
                    if let Err(error) = links.connect(address) {
                        tracing::error!(%error, "a member cannot be dialled");
                        self.dialling.refused(address);
                    }
                }
                Dial::Disconnect(address) => {
                    links.disconnect(address);
                }
            }
        }
    }
}

impl Actor for ClusterActor {
    type Message = ClusterRequest;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let rest = SECOND - Duration::from_nanos(self.began.subsec_nanos().into());
        let until_ns = ctx.now_ns().saturating_add(rest.as_nanos() as u64);
        self.phase = Phase::Waiting { until_ns };
        ctx.register(NAME);
        ctx.timer("tick").every(self.plan.tick(), &ClusterRequest::Tick);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        request: &Archived<ClusterRequest>,
    ) -> Next<Self> {
        match request {
            ArchivedClusterRequest::Subscribe { subscriber, holds_exit } => {
                self.subscribe(ctx, *subscriber, *holds_exit);
            }
            ArchivedClusterRequest::Unsubscribe { subscriber } => {
                self.subscribers.remove(*subscriber);
                self.exit_if_ready(ctx);
            }
            ArchivedClusterRequest::Leave => {
                if let Some(me) = self.participant().map(|participant| participant.me) {
                    self.step(ctx, Input::Leave(me));
                }
            }
            ArchivedClusterRequest::LeaveMember { incarnation } => {
                self.ask(ctx, incarnation.to_native(), Input::Leave);
            }
            ArchivedClusterRequest::Down { incarnation } => {
                self.ask(ctx, incarnation.to_native(), Input::Down);
            }
            ArchivedClusterRequest::ReadyToExit { subscriber } => {
                self.subscribers.ready(*subscriber);
                self.exit_if_ready(ctx);
            }
            ArchivedClusterRequest::Introduce { from, reply_to } => {
                self.introduce(ctx, from, *reply_to);
            }
            ArchivedClusterRequest::Tick => self.tick(ctx),
        }
        Next::Same
    }

    fn signal(&mut self, ctx: &mut Context<'_, Self>, signal: &Signal) -> Next<Self> {
        if let Signal::Terminated { actor, .. } = signal {
            self.subscribers.gone(*actor);
            self.exit_if_ready(ctx);
        }
        Next::Same
    }
}

impl Port<Word> for ClusterActor {
    fn receive(&mut self, ctx: &mut Context<'_, Self>, word: &ArchivedWord) -> Next<Self> {
        self.receive_word(ctx, ClusterMessage::try_from(word));
        Next::Same
    }
}

impl Port<LargeWord> for ClusterActor {
    fn receive(&mut self, ctx: &mut Context<'_, Self>, word: &ArchivedLargeWord) -> Next<Self> {
        self.receive_word(ctx, ClusterMessage::try_from(word));
        Next::Same
    }
}

impl Port<Pulse> for ClusterActor {
    fn receive(&mut self, ctx: &mut Context<'_, Self>, pulse: &ArchivedPulse) -> Next<Self> {
        let Some(participant) = self.participant() else { return Next::Same };
        match participant.acquaintances.of_node(pulse.sender()) {
            Some(from) => {
                let message = pulse.message(from, participant.me);
                self.step(ctx, Input::Received(message));
            }
            None => participant.strangers += 1,
        }
        Next::Same
    }
}
