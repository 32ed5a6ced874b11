//! What the nodes of a cluster see of each other, looked at between two steps of a simulation.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::SimulatedCluster;
use super::watch::Broken;
use crate::cluster::MemberView;
use crate::membership::Status;

/// What each life of a node has seen.
#[derive(Default)]
pub(super) struct Views {
    /// By the life that sees.
    seen: BTreeMap<u32, View>,
}

#[derive(Default)]
struct View {
    /// How far each member had come, by incarnation.
    members: BTreeMap<u64, Status>,
    removed: BTreeSet<u64>,
}

impl Views {
    /// Looks at the views of all nodes that go on and do not stand still: no member comes back after it was removed or
    /// goes back to an earlier status, members that came up have different numbers, and no two nodes have removed each
    /// other and both go on.
    pub fn look(
        &mut self,
        cluster: &mut SimulatedCluster,
        is_awake: impl Fn(usize) -> bool,
    ) -> Result<(), Broken> {
        let mut going_on = Vec::new();
        for node in 0..cluster.node_count() {
            let members = cluster.handle(node).members();
            if members.is_empty() || cluster.stopped(node).is_some() || !is_awake(node) {
                continue;
            }
            let life = cluster.incarnation(node);
            let broken = |what| Broken::Membership { node, what };
            let own = members.iter().find(|member| member.node() == life);
            going_on.extend(own.map(|own| (node, life, own.incarnation)));
            self.seen.entry(life).or_default().look(&members).map_err(broken)?;
        }
        self.look_for_two_sides(&going_on)
    }

    fn look_for_two_sides(&self, going_on: &[(usize, u32, u64)]) -> Result<(), Broken> {
        let has_removed = |life: &u32, other: &u64| {
            self.seen.get(life).is_some_and(|view| view.removed.contains(other))
        };
        for (node, life, me) in going_on {
            for (other, other_life, it) in going_on {
                if has_removed(life, it) && has_removed(other_life, me) {
                    let what = format!("it has removed node {other}, which has removed it");
                    return Err(Broken::Membership { node: *node, what });
                }
            }
        }
        Ok(())
    }
}

impl View {
    fn look(&mut self, members: &[MemberView]) -> Result<(), String> {
        let now: BTreeMap<u64, Status> =
            members.iter().map(|member| (member.incarnation, member.status)).collect();
        let gone = self.members.keys().filter(|known| !now.contains_key(known));
        self.removed.extend(gone);
        if let Some(member) = members.iter().find(|it| self.removed.contains(&it.incarnation)) {
            return Err(format!("{member:?} was removed before"));
        }
        for (incarnation, status) in &now {
            let before = self.members.get(incarnation);
            if let Some(before) = before.filter(|before| rank(**before) > rank(*status)) {
                return Err(format!("{incarnation:x} is {status:?} after {before:?}"));
            }
        }
        let numbers: Vec<u64> = members.iter().filter_map(|member| member.up_number).collect();
        let different: BTreeSet<&u64> = numbers.iter().collect();
        if different.len() < numbers.len() {
            return Err(format!("two members with one number: {members:?}"));
        }
        self.members = now;
        Ok(())
    }
}

fn rank(status: Status) -> usize {
    Status::ALL.iter().position(|known| *known == status).unwrap_or_default()
}
