//! Views that come and go: whom to give one, and what to make of one.

use super::gossip::Gossip;
use super::machine::Membership;
use super::member::{Member, MemberId, Status};
use super::message::{ClusterMessage, Output};
use super::vector_clock::{ClockOrder, VectorClock};

impl Membership {
    /// Acts as the leader if this node is it, and gives the view to one other node.
    pub(super) fn gossip_round(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        if now_ns < self.next_gossip_ns {
            return;
        }
        self.gossip.tombstones.retain(|_, at_ns| *at_ns > now_ns);
        self.lead(now_ns);
        let interval_ns = if self.somebody_has_not_seen() {
            self.settings.gossip_fast_ns
        } else {
            self.settings.gossip_ns
        };
        self.next_gossip_ns = now_ns.saturating_add(interval_ns);
        let Some(to) = self.partner() else { return };
        if self.gossip.seen.contains(&to) {
            let digest = self.gossip.digest();
            let message = ClusterMessage::GossipDigest { from: self.me, to, digest };
            outputs.push(Output::Send(to.address, message));
        } else {
            outputs.push(self.envelope(now_ns, to));
        }
    }

    pub(super) fn received_as_member(
        &mut self,
        now_ns: u64,
        message: ClusterMessage,
        outputs: &mut Vec<Output>,
    ) {
        match message {
            ClusterMessage::InitJoin { from, configuration } => {
                outputs.push(self.init_join(from, &configuration));
            }
            ClusterMessage::Join { id, roles, app_version, configuration } => {
                let status = Status::Joining;
                let joiner = Member { id, status, roles, app_version, up_number: None };
                self.join(now_ns, joiner, &configuration, outputs);
            }
            ClusterMessage::GossipDigest { from, to, digest } => {
                if self.is_for_me(now_ns, from, to, outputs) && digest != self.gossip.digest() {
                    outputs.push(self.status(from));
                }
            }
            ClusterMessage::GossipStatus { from, to, clock, digest } => {
                if self.is_for_me(now_ns, from, to, outputs) {
                    self.compare(now_ns, from, &clock, digest, outputs);
                }
            }
            ClusterMessage::GossipEnvelope { from, to, gossip } => {
                if self.is_for_me(now_ns, from, to, outputs) {
                    self.take(now_ns, from, &gossip, outputs);
                }
            }
            ClusterMessage::Heartbeat { from, to, sequence } if to == self.me => {
                let answer = ClusterMessage::HeartbeatReply { from: to, to: from, sequence };
                outputs.push(Output::Send(from.address, answer));
            }
            ClusterMessage::HeartbeatReply { from, to, sequence } if to == self.me => {
                self.heard(now_ns, from, sequence);
            }
            ClusterMessage::Heartbeat { .. } | ClusterMessage::HeartbeatReply { .. } => {
                self.counters.misdirected += 1;
            }
            ClusterMessage::ExitingConfirmed { from } => {
                if self.gossip.members.contains_key(&from) {
                    self.confirmed.insert(from);
                }
            }
            // Answers that came too late: this node is in.
            ClusterMessage::InitJoinAck { .. }
            | ClusterMessage::InitJoinNack { .. }
            | ClusterMessage::Welcome { .. } => {}
        }
    }

    /// Whether the message is for this life of this node, from a member that it reaches. One that was removed is told.
    fn is_for_me(
        &mut self,
        now_ns: u64,
        from: MemberId,
        to: MemberId,
        outputs: &mut Vec<Output>,
    ) -> bool {
        let known = self.gossip.members.contains_key(&from);
        let reached = !self.gossip.reachability.is_unreachable_by(&self.me, &from);
        let wanted = to == self.me && known && reached;
        if !wanted {
            self.counters.misdirected += 1;
        }
        if to == self.me && self.gossip.tombstones.contains_key(&from) {
            outputs.push(self.envelope(now_ns, from));
        }
        wanted
    }

    fn compare(
        &mut self,
        now_ns: u64,
        from: MemberId,
        clock: &VectorClock,
        digest: u64,
        outputs: &mut Vec<Output>,
    ) {
        if digest == self.gossip.digest() {
            return;
        }
        outputs.push(match self.gossip.clock.compare(clock) {
            ClockOrder::Before => self.status(from),
            ClockOrder::Same | ClockOrder::After | ClockOrder::Concurrent => {
                self.envelope(now_ns, from)
            }
        });
    }

    /// Makes one view of this node's and of another one's.
    fn take(&mut self, now_ns: u64, from: MemberId, theirs: &Gossip, outputs: &mut Vec<Output>) {
        if theirs.check().is_err() {
            self.counters.malformed += 1;
            return;
        }
        if !theirs.members.contains_key(&self.me) && !theirs.tombstones.contains_key(&self.me) {
            self.counters.without_me += 1;
            return;
        }
        let theirs = theirs.inbound(now_ns);
        let brings_back = theirs.members.keys().any(|id| self.gossip.tombstones.contains_key(id));
        let order = self.gossip.clock.compare(&theirs.clock);
        let talk_back = match order {
            ClockOrder::Same if self.gossip.says_the_same(&theirs) => {
                // Who lacks some of those that have seen it is told at once: agreement waits for that word.
                let lacks = !self.gossip.seen.is_subset(&theirs.seen);
                self.gossip.seen.extend(theirs.seen.iter().copied());
                lacks
            }
            ClockOrder::After => true,
            ClockOrder::Before if !brings_back => {
                let unseen = !theirs.seen.contains(&self.me);
                self.gossip = theirs;
                self.next_gossip_ns =
                    self.next_gossip_ns.min(now_ns + self.settings.gossip_fast_ns);
                unseen
            }
            ClockOrder::Same | ClockOrder::Before | ClockOrder::Concurrent => {
                self.merge(&theirs);
                true
            }
        };
        self.confirmed.retain(|id| self.gossip.members.contains_key(id));
        self.see();
        if talk_back && self.gossip.members.contains_key(&self.me) {
            outputs.push(self.envelope(now_ns, from));
        }
    }

    /// Merges. Where a clock loses the changes of somebody removed, or one clock stands for two views, the result is a
    /// change of this node: else two different views could come to have one clock.
    fn merge(&mut self, theirs: &Gossip) {
        self.counters.merged += 1;
        let mut clock = self.gossip.clock.clone();
        clock.merge(&theirs.clock);
        let is_ambiguous = [&self.gossip.clock, &theirs.clock].contains(&&clock);
        self.gossip.merge(theirs);
        let loses_changes = self.gossip.clock.entries().len() < clock.entries().len();
        if (is_ambiguous || loses_changes) && self.gossip.members.contains_key(&self.me) {
            self.gossip.changed_by(self.me);
        }
        self.next_gossip_ns = 0;
    }

    fn status(&self, to: MemberId) -> Output {
        let (clock, digest) = (self.gossip.clock.clone(), self.gossip.digest());
        Output::Send(to.address, ClusterMessage::GossipStatus { from: self.me, to, clock, digest })
    }

    fn somebody_has_not_seen(&self) -> bool {
        let waits_for =
            |member: &&Member| !member.status.is_ending() && !self.gossip.seen.contains(&member.id);
        let mut waited = self.gossip.members.values().filter(waits_for);
        let me = self.me;
        waited.any(|member| !self.gossip.reachability.is_unreachable_by(&me, &member.id))
    }

    /// One of those that this node reaches; mostly one that has not seen the view, as long as there is one.
    fn partner(&mut self) -> Option<MemberId> {
        let me = self.me;
        let is_reached =
            |id: &MemberId| *id != me && !self.gossip.reachability.is_unreachable_by(&me, id);
        let all: Vec<MemberId> = self.gossip.members.keys().copied().filter(is_reached).collect();
        let unseen: Vec<MemberId> =
            all.iter().copied().filter(|id| !self.gossip.seen.contains(id)).collect();
        let prefers = self.random.u8(..100) < self.settings.unseen_first_percent;
        let chosen = if prefers && !unseen.is_empty() { &unseen } else { &all };
        self.random.choice(chosen).copied()
    }
}
