//! What the leader does for all: lets members in, lets them exit, removes them.

use super::gossip::Gossip;
use super::machine::Membership;
use super::member::{Member, MemberId, Status};

impl Membership {
    /// Acts if this node is the leader. Without agreement nobody is counted and nobody removed; after a while those
    /// that join may at least work.
    pub(super) fn lead(&mut self, now_ns: u64) {
        let converged = self.gossip.has_converged();
        if converged {
            self.diverged_since_ns = None;
        }
        let since_ns =
            if converged { now_ns } else { *self.diverged_since_ns.get_or_insert(now_ns) };
        if self.leader() != Some(self.me) {
            return;
        }
        if converged {
            self.advance(now_ns);
        } else if now_ns.saturating_sub(since_ns) >= self.settings.weakly_up_after_ns {
            self.change(let_in_weakly);
        }
    }

    fn advance(&mut self, now_ns: u64) {
        let forgotten_ns = now_ns.saturating_add(self.settings.tombstone_ns);
        let unreachable = self.gossip.unreachable();
        let is_gone = |member: &&Member| match member.status {
            Status::Down => unreachable.contains(&member.id),
            Status::Exiting => {
                unreachable.contains(&member.id) || self.confirmed.contains(&member.id)
            }
            _ => false,
        };
        let gone = self.gossip.members.values().filter(is_gone).map(|member| member.id);
        let gone: Vec<MemberId> = gone.collect();
        self.confirmed.retain(|id| !gone.contains(id));
        self.change(|gossip| {
            let moved = move_on(gossip);
            for id in &gone {
                gossip.remove(*id, forgotten_ns);
            }
            moved || !gone.is_empty()
        });
    }
}

/// Those that join come up, numbered in order; those that leave exit.
fn move_on(gossip: &mut Gossip) -> bool {
    let mut up_number = gossip.members.values().filter_map(|m| m.up_number).max().unwrap_or(0);
    let mut moved = false;
    for member in gossip.members.values_mut() {
        match member.status {
            Status::Joining | Status::WeaklyUp => {
                up_number += 1;
                member.status = Status::Up;
                member.up_number = Some(up_number);
            }
            Status::Leaving => member.status = Status::Exiting,
            Status::Up | Status::Exiting | Status::Down => continue,
        }
        moved = true;
    }
    moved
}

fn let_in_weakly(gossip: &mut Gossip) -> bool {
    let unreachable = gossip.unreachable();
    let mut moved = false;
    for member in gossip.members.values_mut() {
        if member.status == Status::Joining && !unreachable.contains(&member.id) {
            member.status = Status::WeaklyUp;
            moved = true;
        }
    }
    moved
}
