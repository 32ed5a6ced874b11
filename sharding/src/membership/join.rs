//! Getting in: what a node that joins does, and what a member answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::gossip::Gossip;
use super::machine::{Membership, Phase};
use super::member::{Member, MemberId, Status};
use super::message::{ClusterMessage, Event, NackReason, Output};
use super::reachability::Standing;
use super::settings::{CONFIGURATION_LIMIT, MEMBER_LIMIT, NAME_LIMIT_BYTES, ROLE_LIMIT};

/// How far a node has come that wants in.
#[derive(Debug, Default)]
pub(super) struct Joining {
    /// Since when this attempt runs; none before the first tick.
    since_ns: Option<u64>,
    /// When to ask again.
    retry_ns: u64,
    /// Seeds that are in no cluster themselves.
    without_cluster: BTreeSet<SocketAddr>,
    /// Who has said yes.
    seed: Option<SocketAddr>,
}

impl Membership {
    /// Asks, asks again, starts over, or begins the cluster.
    pub(super) fn seek(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        let since_ns = *joining.since_ns.get_or_insert(now_ns);
        let waited_ns = now_ns.saturating_sub(since_ns);
        if joining.seed.is_some() && waited_ns >= self.settings.welcome_within_ns {
            *joining = Joining { since_ns: Some(now_ns), ..Joining::default() };
        }
        let mut others = self.settings.seeds.iter().filter(|seed| **seed != self.me.address);
        let is_first = self.settings.seeds.first() == Some(&self.me.address);
        let nobody_has_one = others.clone().all(|seed| joining.without_cluster.contains(seed));
        let waited = waited_ns >= self.settings.seed_wait_ns;
        if is_first && joining.seed.is_none() && (nobody_has_one || waited) {
            return self.begin_cluster();
        }
        if now_ns < joining.retry_ns {
            return;
        }
        joining.retry_ns = now_ns.saturating_add(self.settings.join_retry_ns);
        let seed = joining.seed;
        match seed {
            Some(seed) => outputs.push(Output::Send(seed, self.join_message())),
            None => outputs.extend(others.by_ref().map(|seed| {
                let configuration = self.settings.configuration.clone();
                Output::Send(*seed, ClusterMessage::InitJoin { from: self.me, configuration })
            })),
        }
    }

    pub(super) fn received_while_joining(
        &mut self,
        now_ns: u64,
        message: ClusterMessage,
        outputs: &mut Vec<Output>,
    ) {
        let join = self.join_message();
        let Phase::Joining(joining) = &mut self.phase else { return };
        match message {
            ClusterMessage::InitJoin { from, .. } => {
                let reason = NackReason::NotInitialised;
                let nack = ClusterMessage::InitJoinNack { from: self.me, reason };
                outputs.push(Output::Send(from.address, nack));
            }
            ClusterMessage::InitJoinAck { from } if joining.seed.is_none() => {
                joining.seed = Some(from.address);
                joining.since_ns = Some(now_ns);
                joining.retry_ns = now_ns.saturating_add(self.settings.join_retry_ns);
                outputs.push(Output::Send(from.address, join));
            }
            ClusterMessage::InitJoinNack { from, reason: NackReason::NotInitialised } => {
                if self.settings.seeds.contains(&from.address) {
                    joining.without_cluster.insert(from.address);
                }
            }
            ClusterMessage::InitJoinNack { from, reason } => {
                joining.seed = joining.seed.filter(|seed| *seed != from.address);
                outputs.push(Output::Event(Event::JoinRefused(from.address, reason)));
            }
            ClusterMessage::Welcome { from, to, gossip } => {
                let expected = joining.seed == Some(from.address) && to == self.me;
                if expected && self.take_view(now_ns, &gossip) {
                    self.phase = Phase::Member;
                    self.see();
                    outputs.push(self.envelope(now_ns, from));
                } else {
                    self.counters.misdirected += 1;
                }
            }
            _ => self.counters.misdirected += 1,
        }
    }

    /// What a member answers to one that wants to join.
    pub(super) fn init_join(&self, from: MemberId, theirs: &BTreeMap<String, String>) -> Output {
        let message = match self.refusal(theirs) {
            Some(reason) => ClusterMessage::InitJoinNack { from: self.me, reason },
            None => ClusterMessage::InitJoinAck { from: self.me },
        };
        Output::Send(from.address, message)
    }

    /// Lets a node in, or says why not. An earlier life at its address is given up first; the node asks until that has
    /// been removed.
    pub(super) fn join(
        &mut self,
        now_ns: u64,
        joiner: Member,
        configuration: &BTreeMap<String, String>,
        outputs: &mut Vec<Output>,
    ) {
        let id = joiner.id;
        let refusal = self.refusal(configuration).or_else(|| self.misfit(&joiner));
        if let Some(reason) = refusal {
            let nack = ClusterMessage::InitJoinNack { from: self.me, reason };
            return outputs.push(Output::Send(id.address, nack));
        }
        let same_address = |other: &&MemberId| other.address == id.address;
        let buried = self.gossip.tombstones.keys().filter(same_address).map(|old| old.incarnation);
        let lives = self.gossip.members.keys().filter(same_address).map(|old| old.incarnation);
        let living = lives.clone().max().filter(|known| *known > id.incarnation);
        let later = living.or(buried.max().filter(|known| *known >= id.incarnation));
        if let Some(incarnation) = later {
            // Late, or doubled, and of a life that is over; or of a node whose clock has gone back.
            self.counters.misdirected += 1;
            let reason = NackReason::LaterLife { incarnation };
            let nack = ClusterMessage::InitJoinNack { from: self.me, reason };
            return outputs.push(Output::Send(id.address, nack));
        }
        if let Some(incarnation) = lives.max().filter(|old| *old < id.incarnation) {
            return self.give_up_earlier(MemberId { incarnation, ..id });
        }
        self.change(|gossip| {
            let is_new = !gossip.members.contains_key(&id);
            if is_new {
                gossip.members.insert(id, joiner);
            }
            is_new
        });
        if !self.gossip.members[&id].status.is_ending() {
            let gossip = Arc::new(self.gossip.outbound(now_ns));
            let welcome = ClusterMessage::Welcome { from: self.me, to: id, gossip };
            outputs.push(Output::Send(id.address, welcome));
        }
    }

    /// Takes a whole view, if it keeps its invariants and has this node.
    fn take_view(&mut self, now_ns: u64, gossip: &Gossip) -> bool {
        let taken = gossip.check().is_ok() && gossip.members.contains_key(&self.me);
        if taken {
            self.gossip = gossip.inbound(now_ns);
        }
        taken
    }

    fn begin_cluster(&mut self) {
        self.phase = Phase::Member;
        let first = Member {
            id: self.me,
            status: Status::Joining,
            roles: self.settings.roles.clone(),
            app_version: self.settings.app_version.clone(),
            up_number: None,
        };
        self.change(|gossip| gossip.members.insert(first.id, first).is_none());
        self.lead(0);
    }

    fn join_message(&self) -> ClusterMessage {
        ClusterMessage::Join {
            id: self.me,
            roles: self.settings.roles.clone(),
            app_version: self.settings.app_version.clone(),
            configuration: self.settings.configuration.clone(),
        }
    }

    fn give_up_earlier(&mut self, earlier: MemberId) {
        let me = self.me;
        self.change(|gossip| {
            let given_up = gossip.set_status(&earlier, Status::Down);
            let observed = earlier != me
                && gossip.reachability.observe(me, earlier, Some(Standing::Terminated));
            given_up || observed
        });
    }

    fn refusal(&self, theirs: &BTreeMap<String, String>) -> Option<NackReason> {
        let me = self.gossip.members.get(&self.me);
        if me.is_none_or(|me| me.status.is_ending()) {
            return Some(NackReason::Leaving);
        }
        let bytes = theirs.iter().flat_map(|(name, value)| [name.len(), value.len()]);
        if theirs.len() > CONFIGURATION_LIMIT || bytes.max().unwrap_or(0) > NAME_LIMIT_BYTES {
            return Some(NackReason::TooLarge);
        }
        let ours = &self.settings.configuration;
        let mut names = ours.keys().chain(theirs.keys());
        let name = names.find(|name| ours.get(*name) != theirs.get(*name))?;
        Some(NackReason::ConfigurationDiffers {
            name: name.clone(),
            ours: ours.get(name).cloned(),
            theirs: theirs.get(name).cloned(),
        })
    }

    fn misfit(&self, joiner: &Member) -> Option<NackReason> {
        let longest = joiner.roles.iter().map(String::len).max().unwrap_or(0);
        let bytes = longest.max(joiner.app_version.len());
        if joiner.roles.len() > ROLE_LIMIT || bytes > NAME_LIMIT_BYTES {
            return Some(NackReason::TooLarge);
        }
        let is_full = self.gossip.members.len() >= MEMBER_LIMIT;
        let is_new = !self.gossip.members.contains_key(&joiner.id);
        (is_full && is_new).then_some(NackReason::Full { limit: MEMBER_LIMIT })
    }
}
