//! Who listens to whose heart, and what is made of silence.
//!
//! Members stand in a ring in the order of a hash of their identities; each beats to the next few that it reaches, and
//! to those before them that it does not, so that somebody listens to everybody while many are down. A beat is answered
//! by the life that it is meant for; an answer that was counted or never asked for is not counted.
//!
//! A node whose own ticks come late has been slow itself: what it missed is added to the silence that it accepts, for a
//! while (Dadgar, Phillips and Currey, "Lifeguard", DSN 2018: a member's doubt of itself stretches its timeouts).

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3;

use super::detector::{Detector, DetectorSettings};
use super::machine::Membership;
use super::member::MemberId;
use super::message::{ClusterMessage, Output};
use super::reachability::Standing;

/// For how many intervals a node that was late accepts more silence.
const STRETCH_INTERVALS: u64 = 10;

/// The hearts that a node listens to.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    heard: BTreeMap<MemberId, Heart>,
    sequence: u64,
    next_beat_ns: u64,
    last_tick_ns: Option<u64>,
    stretch_ns: u64,
    stretch_until_ns: u64,
}

#[derive(Debug)]
struct Heart {
    detector: Detector,
    answered: u64,
}

impl Membership {
    /// Beats, and marks those that have been silent for too long.
    pub(super) fn heartbeat_round(&mut self, now_ns: u64, outputs: &mut Vec<Output>) {
        let interval_ns = self.settings.detector.interval_ns;
        self.heartbeats.note_tick(now_ns, interval_ns);
        if now_ns < self.heartbeats.next_beat_ns {
            return;
        }
        self.heartbeats.next_beat_ns = now_ns.saturating_add(interval_ns);
        let listened_to = self.listened_to();
        self.heartbeats.listen_to(now_ns, &listened_to, self.settings.detector);
        let (from, sequence) = (self.me, self.heartbeats.sequence);
        outputs.extend(
            listened_to.iter().map(|&to| {
                Output::Send(to.address, ClusterMessage::Heartbeat { from, to, sequence })
            }),
        );
        for silent in self.heartbeats.silent(now_ns) {
            let me = self.me;
            self.change(|gossip| {
                gossip.reachability.observe(me, silent, Some(Standing::Unreachable))
            });
        }
    }

    /// Somebody's heart beats: it is reached.
    pub(super) fn heard(&mut self, now_ns: u64, from: MemberId, sequence: u64) {
        if self.heartbeats.answer(now_ns, from, sequence) {
            let me = self.me;
            self.change(|gossip| gossip.reachability.observe(me, from, None));
        }
    }

    /// The silence that this node accepts more than it would, because it is late itself.
    pub fn stretch_ns(&self) -> u64 {
        self.heartbeats.stretch_ns
    }

    /// The next ones of the ring, and those that this node has marked.
    fn listened_to(&self) -> Vec<MemberId> {
        let place = |id: &MemberId| {
            let mut hasher = Xxh3::new();
            id.hash(&mut hasher);
            (hasher.finish(), *id)
        };
        let mine = place(&self.me);
        let others = self.gossip.members.keys().filter(|id| **id != self.me);
        let mut ring: Vec<(bool, (u64, MemberId))> =
            others.map(place).map(|place| (place < mine, place)).collect();
        ring.sort_unstable();
        let mut reached = 0;
        let everybody = ring.len() <= self.settings.neighbours;
        let listens = |id: &MemberId| {
            let marked = self.gossip.reachability.is_unreachable_by(&self.me, id);
            reached += usize::from(!marked);
            everybody || marked || reached <= self.settings.neighbours
        };
        ring.into_iter().map(|(_, (_, id))| id).filter(listens).collect()
    }
}

impl Heartbeats {
    fn note_tick(&mut self, now_ns: u64, interval_ns: u64) {
        let last_ns = self.last_tick_ns.replace(now_ns).unwrap_or(now_ns);
        let late_ns = now_ns.saturating_sub(last_ns).saturating_sub(interval_ns);
        if now_ns >= self.stretch_until_ns {
            self.stretch_ns = 0;
        }
        if late_ns > 0 {
            self.stretch_ns = self.stretch_ns.max(late_ns);
            self.stretch_until_ns =
                now_ns.saturating_add(interval_ns.saturating_mul(STRETCH_INTERVALS));
        }
    }

    fn listen_to(&mut self, now_ns: u64, ids: &[MemberId], settings: DetectorSettings) {
        self.heard.retain(|id, _| ids.contains(id));
        for &id in ids {
            let detector = || Detector::new(now_ns, settings);
            let answered = self.sequence;
            self.heard.entry(id).or_insert_with(|| Heart { detector: detector(), answered });
        }
        self.sequence = self.sequence.saturating_add(1);
    }

    fn silent(&self, now_ns: u64) -> Vec<MemberId> {
        let is_silent = |heart: &Heart| heart.detector.suspects(now_ns, self.stretch_ns);
        self.heard.iter().filter(|(_, heart)| is_silent(heart)).map(|(id, _)| *id).collect()
    }

    /// Whether the answer counts: to a beat that was sent, and later than the last one that counted.
    fn answer(&mut self, now_ns: u64, from: MemberId, sequence: u64) -> bool {
        let Some(heart) = self.heard.get_mut(&from) else { return false };
        let counts = sequence > heart.answered && sequence <= self.sequence;
        if counts {
            heart.answered = sequence;
            heart.detector.beat(now_ns, self.stretch_ns);
        }
        counts
    }
}
