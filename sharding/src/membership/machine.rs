//! The machine: its state, its step, and what it tells those who listen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use fastrand::Rng;

use super::gossip::Gossip;
use super::heartbeat::Heartbeats;
use super::join::Joining;
use super::member::{Member, MemberId, Status};
use super::message::{ClusterMessage, Event, Input, Output, StopReason};
use super::settings::{Settings, SettingsError};

/// How many others are told at once that this node stops.
const FAREWELLS: usize = 5;

/// The membership as one node has it.
#[derive(Debug)]
pub struct Membership {
    pub(super) me: MemberId,
    pub(super) settings: Settings,
    pub(super) phase: Phase,
    pub(super) gossip: Gossip,
    pub(super) random: Rng,
    pub(super) next_gossip_ns: u64,
    /// Since when views do not converge.
    pub(super) diverged_since_ns: Option<u64>,
    /// Those that exit and have said that they are ready to be removed.
    pub(super) confirmed: BTreeSet<MemberId>,
    pub(super) counters: Counters,
    pub(super) heartbeats: Heartbeats,
    published: Published,
    /// Whether the view may be another one than was published.
    is_touched: bool,
}

/// Messages that were not used, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// For another life at this address, or from nobody that is known.
    pub misdirected: u64,
    /// Views that break a limit or an invariant.
    pub malformed: u64,
    /// Views in which this node is missing.
    pub without_me: u64,
    /// Views that were merged because neither was newer.
    pub merged: u64,
}

#[derive(Debug)]
pub(super) enum Phase {
    Joining(Joining),
    Member,
    /// Tells others that it stops, and stops.
    Ending {
        reason: StopReason,
        until_ns: u64,
        next_ns: u64,
    },
    Stopped {
        reason: StopReason,
    },
}

/// What those who listen were told last.
#[derive(Debug, Default)]
struct Published {
    members: BTreeMap<MemberId, Member>,
    unreachable: BTreeSet<MemberId>,
    leader: Option<MemberId>,
}

impl Membership {
    /// A node that begins to join at its first step.
    ///
    /// # Errors
    /// [`SettingsError`] if no node can run with the settings.
    pub fn new(me: MemberId, settings: Settings) -> Result<Membership, SettingsError> {
        settings.check()?;
        Ok(Membership {
            me,
            random: Rng::with_seed(settings.random_seed),
            phase: Phase::Joining(Joining::default()),
            settings,
            gossip: Gossip::default(),
            next_gossip_ns: 0,
            diverged_since_ns: None,
            confirmed: BTreeSet::new(),
            counters: Counters::default(),
            heartbeats: Heartbeats::default(),
            published: Published::default(),
            is_touched: false,
        })
    }

    /// Takes one input; what is to be done is pushed, in order. `now_ns` never falls.
    pub fn step(&mut self, now_ns: u64, input: Input, outputs: &mut Vec<Output>) {
        // Most inputs of a large cluster are ticks and beats: those that change nothing are not looked at further.
        let is_routine = input.is_routine() && self.is_member();
        match input {
            Input::Tick => self.tick(now_ns, outputs),
            Input::Received(message) => self.received(now_ns, message, outputs),
            Input::ExitReady => self.exit_ready(now_ns, outputs),
            Input::Leave(id) => self.change(|gossip| gossip.set_status(&id, Status::Leaving)),
            Input::Down(id) => self.down(now_ns, id, outputs),
            Input::Observed(subject, found) => {
                let me = self.me;
                self.change(|gossip| {
                    let is_other = subject != me && gossip.members.contains_key(&subject);
                    is_other && gossip.reachability.observe(me, subject, found)
                });
            }
        }
        if std::mem::take(&mut self.is_touched) || !is_routine {
            self.publish(now_ns, outputs);
        }
    }

    /// This node.
    pub fn id(&self) -> MemberId {
        self.me
    }

    /// Where this node asks to be let in.
    pub fn seeds(&self) -> &[SocketAddr] {
        &self.settings.seeds
    }

    /// The view that this node has; empty before it is let in.
    pub fn view(&self) -> &Gossip {
        &self.gossip
    }

    /// Whether this node was let in and has not stopped.
    pub fn is_member(&self) -> bool {
        matches!(self.phase, Phase::Member)
    }

    /// Why this node stops or has stopped, if it does.
    pub fn stop_reason(&self) -> Option<StopReason> {
        match self.phase {
            Phase::Ending { reason, .. } | Phase::Stopped { reason } => Some(reason),
            Phase::Joining(_) | Phase::Member => None,
        }
    }

    /// Who acts for all, as this node sees it.
    pub fn leader(&self) -> Option<MemberId> {
        self.gossip.leader(&self.me)
    }

    /// Messages that were not used.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Changes the view, if this node is in it; the change is this node's if the closure says that there is one.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Gossip) -> bool) {
        if self.is_member() && change(&mut self.gossip) {
            self.gossip.changed_by(self.me);
            self.next_gossip_ns = 0;
            self.is_touched = true;
        }
    }

    /// Marks the view as seen by this node, unless it exits: then others wait until it has handed over.
    pub(super) fn see(&mut self) {
        let status = self.gossip.members.get(&self.me).map(|member| member.status);
        if status.is_some_and(|status| status != Status::Exiting) {
            self.gossip.seen.insert(self.me);
        }
    }

    pub(super) fn envelope(&self, now_ns: u64, to: MemberId) -> Output {
        let gossip = Arc::new(self.gossip.outbound(now_ns));
        Output::Send(to.address, ClusterMessage::GossipEnvelope { from: self.me, to, gossip })
    }

    pub(super) fn end(&mut self, now_ns: u64, reason: StopReason, outputs: &mut Vec<Output>) {
        let until_ns = now_ns.saturating_add(self.settings.farewell_ns);
        self.phase = Phase::Ending { reason, until_ns, next_ns: now_ns };
        self.farewell(now_ns, outputs);
    }

    fn tick(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        match self.phase {
            Phase::Joining(_) => self.seek(now_ns, outputs),
            Phase::Member => {
                self.heartbeat_round(now_ns, outputs);
                self.gossip_round(now_ns, outputs);
            }
            Phase::Ending { .. } => self.farewell(now_ns, outputs),
            Phase::Stopped { .. } => {}
        }
    }

    fn received(&mut self, now_ns: u64, message: ClusterMessage, outputs: &mut Vec<Output>) {
        match self.phase {
            Phase::Joining(_) => self.received_while_joining(now_ns, message, outputs),
            Phase::Member => self.received_as_member(now_ns, message, outputs),
            Phase::Ending { .. } | Phase::Stopped { .. } => {}
        }
    }

    fn down(&mut self, now_ns: u64, id: MemberId, outputs: &mut Vec<Output>) {
        self.change(|gossip| gossip.set_status(&id, Status::Down));
        let status = self.gossip.members.get(&id).map(|member| member.status);
        if self.is_member() && id != self.me && status == Some(Status::Down) {
            outputs.push(self.envelope(now_ns, id));
        }
    }

    fn exit_ready(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let status = self.gossip.members.get(&self.me).map(|member| member.status);
        if self.is_member() && status == Some(Status::Exiting) {
            self.gossip.seen.insert(self.me);
            self.end(now_ns, StopReason::Left, outputs);
        }
    }

    /// Tells some others why this node is going, and stops when that was long enough.
    fn farewell(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let Phase::Ending { reason, until_ns, ref mut next_ns } = self.phase else { return };
        if now_ns >= until_ns {
            self.phase = Phase::Stopped { reason };
            outputs.push(Output::Stop(reason));
            return;
        }
        if now_ns < *next_ns {
            return;
        }
        *next_ns = now_ns.saturating_add(self.settings.gossip_fast_ns);
        let mut others: Vec<MemberId> =
            self.gossip.members.keys().copied().filter(|id| *id != self.me).collect();
        if reason == StopReason::Left {
            let counts = |id: &&MemberId| self.gossip.members[*id].status.counts();
            let confirmed = ClusterMessage::ExitingConfirmed { from: self.me };
            let leaders = others.iter().filter(counts).take(2);
            outputs.extend(leaders.map(|id| Output::Send(id.address, confirmed.clone())));
        }
        self.random.shuffle(&mut others);
        outputs.extend(others.into_iter().take(FAREWELLS).map(|id| self.envelope(now_ns, id)));
    }

    /// Tells those who listen what is new, and stops if this node was given up.
    fn publish(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        if matches!(self.phase, Phase::Joining(_) | Phase::Stopped { .. }) {
            return;
        }
        self.publish_members(outputs);
        let unreachable = self.gossip.unreachable();
        if unreachable != self.published.unreachable {
            outputs.push(Output::Event(Event::ReachabilityChanged(unreachable.clone())));
            self.published.unreachable = unreachable;
        }
        let leader = self.leader();
        if leader != self.published.leader {
            outputs.push(Output::Event(Event::LeaderChanged(leader)));
            self.published.leader = leader;
        }
        if !self.is_member() {
            return;
        }
        match self.gossip.members.get(&self.me).map(|member| member.status) {
            Some(Status::Down) => self.end(now_ns, StopReason::Downed, outputs),
            None => {
                let reason = StopReason::Downed;
                self.phase = Phase::Stopped { reason };
                outputs.push(Output::Stop(reason));
            }
            Some(_) => {}
        }
    }

    fn publish_members(&mut self, outputs: &mut Vec<Output>) {
        if self.published.members == self.gossip.members {
            return;
        }
        let known = std::mem::replace(&mut self.published.members, self.gossip.members.clone());
        let is_new = |member: &&Member| known.get(&member.id) != Some(member);
        let changed = self.gossip.members.values().filter(is_new);
        outputs.extend(changed.map(|m| Output::Event(Event::MemberChanged(m.clone()))));
        let removed = known.into_values().filter(|m| !self.gossip.members.contains_key(&m.id));
        outputs.extend(removed.map(|m| Output::Event(Event::MemberRemoved(m))));
    }
}
