//! A shard goes where its messages come from.
//!
//! It does when one other core sends more than the share that the settings name, of at least so many messages, in so
//! many rounds one after another, and that core is not too busy with it. The share is more than half, so the core
//! that claims a shard is the only one, and the shard does not go back before another core has the same share.

use super::standing::Standing;
use super::{Reason, Survey, TrafficSettings};

/// Who claims which shard, over the rounds.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    settings: TrafficSettings,
    /// By the number of the shard.
    claims: Vec<Claim>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Claim {
    core: u16,
    rounds: u32,
}

impl Traffic {
    /// For so many shards.
    pub(super) fn new(settings: TrafficSettings, shards: u32) -> Self {
        Traffic { settings, claims: vec![Claim::default(); shards as usize] }
    }

    /// Counts one round's claims, and says of each shard whether it is where its messages come from.
    pub(super) fn observe(&mut self, survey: &Survey<'_>, standing: &mut Standing) {
        let mut claimants = vec![None; self.claims.len()];
        for load in survey.loads {
            claimants[load.shard as usize] = self.claimant(&load.messages_from, load.messages());
        }
        for ((claim, shard), claimant) in
            self.claims.iter_mut().zip(&mut standing.shards).zip(claimants)
        {
            shard.is_at_home = claimant.is_some() && claimant == shard.home;
            *claim = match claimant {
                Some(core) if claim.core == core => {
                    Claim { core, rounds: claim.rounds.saturating_add(1) }
                }
                Some(core) => Claim { core, rounds: 1 },
                None => Claim::default(),
            };
        }
    }

    /// Adds the moves of one round: those first that spare the most messages.
    pub(super) fn follow(&self, standing: &mut Standing) {
        let mut claimed: Vec<(u64, u32)> = (0..)
            .zip(&self.claims)
            .filter(|(number, claim)| self.is_due(standing, *number, claim))
            .map(|(number, _)| (standing.shards[number as usize].messages, number))
            .collect();
        claimed.sort_unstable_by_key(|(messages, number)| (std::cmp::Reverse(*messages), *number));
        for (_, number) in claimed {
            if standing.is_full() {
                return;
            }
            let to = self.claims[number as usize].core;
            let turn_ns = standing.shards[number as usize].turn_ns;
            let with_it = standing.cores[usize::from(to)].turn_ns.saturating_add(turn_ns);
            if with_it <= standing.busy_ns {
                standing.move_shard(number, to, Reason::Traffic);
            }
        }
    }

    fn is_due(&self, standing: &Standing, number: u32, claim: &Claim) -> bool {
        let shard = &standing.shards[number as usize];
        let is_elsewhere = shard.home.is_some_and(|home| home != claim.core);
        let is_open = standing.cores.get(usize::from(claim.core)).is_some_and(|core| core.is_open);
        claim.rounds >= self.settings.steady_rounds && is_elsewhere && is_open && !shard.stays
    }

    /// The core that sends the share.
    fn claimant(&self, messages_from: &[u64], messages: u64) -> Option<u16> {
        if messages < self.settings.least_messages {
            return None;
        }
        let (core, most) = (0_u16..).zip(messages_from).max_by_key(|(_, count)| **count)?;
        let has_share = u128::from(*most) * 100
            >= u128::from(messages) * u128::from(self.settings.share_percent);
        has_share.then_some(core)
    }
}
