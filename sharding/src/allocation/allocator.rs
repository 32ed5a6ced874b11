//! What is to be placed, what has to go, and what is better elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::standing::Standing;
use super::{AllocationSettings, AllocationSettingsError, Survey, balance};
use crate::ownership::Place;

/// Decides where the shards of one type of entities go.
///
/// It holds nothing that could not be lost: one that starts anew, on another node, goes on from what it is shown. Only
/// wishes and drained places are forgotten.
#[derive(Clone, Debug)]
pub struct Allocator {
    settings: AllocationSettings,
    /// Where shards are to go because somebody said so; one for each shard at most.
    pub(super) wishes: BTreeMap<u32, Place>,
    pub(super) drained_nodes: BTreeSet<u64>,
    pub(super) drained_cores: BTreeSet<Place>,
    /// Where shards go that are on their way.
    targets: BTreeMap<u32, Place>,
    /// Until when shards rest that somebody had moved.
    resting: BTreeMap<u32, u64>,
    next_round_ns: u64,
}

/// A shard is to go to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Which one.
    pub shard: u32,
    /// Who is to have it.
    pub to: Place,
    /// Why.
    pub reason: Reason,
}

/// Why a shard goes somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Nobody owns it.
    Unowned,
    /// Its owner is surely gone.
    OwnerGone,
    /// Somebody said so.
    Asked,
    /// Its node leaves.
    Leaving,
    /// Its core, or its node, is drained.
    Drained,
    /// Its node lacks the role, or has no such core.
    Unfit,
    /// That place has fewer.
    Balance,
}

impl Allocator {
    /// Nothing is asked for, nothing is drained.
    ///
    /// # Errors
    ///
    /// Settings with which nothing would ever be placed or moved.
    pub fn new(settings: AllocationSettings) -> Result<Self, AllocationSettingsError> {
        settings.check()?;
        Ok(Allocator {
            settings,
            wishes: BTreeMap::new(),
            drained_nodes: BTreeSet::new(),
            drained_cores: BTreeSet::new(),
            targets: BTreeMap::new(),
            resting: BTreeMap::new(),
            next_round_ns: 0,
        })
    }

    /// What is to begin now. The caller names those that it begins as moving in the next survey, until they have ended,
    /// however they ended; one that it does not begin is planned anew.
    ///
    /// It takes time in proportion to the shards, and for each assignment in proportion to the nodes.
    pub fn plan(&mut self, now_ns: u64, survey: &Survey<'_>) -> Vec<Assignment> {
        self.forget(now_ns, survey);
        let mut standing = self.standing(survey);
        self.place(survey, &mut standing);
        self.grant(now_ns, survey, &mut standing);
        self.leave(survey, &mut standing);
        let is_round = !self.settings.on_oldest && now_ns >= self.next_round_ns && survey.is_calm();
        if is_round && standing.assignments.is_empty() {
            let most_moves = self.settings.moves_of(survey.homes.len());
            balance::balance(&mut standing, survey, &self.resting, most_moves);
            if !standing.assignments.is_empty() {
                self.next_round_ns = now_ns.saturating_add(self.settings.round_ns);
            }
        }
        let assignments = standing.assignments;
        self.targets.extend(assignments.iter().map(|one| (one.shard, one.to)));
        assignments
    }

    /// Before when nothing is balanced. Everything else waits for no time, only for what is under way to end.
    pub fn next_round_ns(&self) -> u64 {
        self.next_round_ns
    }

    /// Something may be balanced as soon as it is a good time for it, though a round was not long ago.
    pub fn begin_round(&mut self) {
        self.next_round_ns = 0;
    }

    /// Whether there is a place for a shard at all.
    pub(super) fn has_place(&self, survey: &Survey<'_>) -> bool {
        self.standing(survey).best_node(false).is_some()
    }

    fn standing<'a>(&self, survey: &Survey<'a>) -> Standing<'a> {
        let is_drained = |place| self.is_drained(place);
        Standing::of(survey, self.settings.on_oldest, &self.targets, is_drained)
    }

    /// What is over, or can no longer be.
    fn forget(&mut self, now_ns: u64, survey: &Survey<'_>) {
        let is_member = |incarnation: u64| survey.node(incarnation).is_some();
        self.targets.retain(|shard, _| survey.moving.contains(shard));
        self.resting.retain(|_, until_ns| *until_ns > now_ns);
        self.drained_nodes.retain(|incarnation| is_member(*incarnation));
        self.drained_cores.retain(|place| is_member(place.incarnation));
        let mut wishes = std::mem::take(&mut self.wishes);
        wishes.retain(|shard, to| {
            let home = survey.homes.get(*shard as usize);
            let is_there = home == Some(&Some(*to)) && !survey.moving.contains(shard);
            home.is_some() && !is_there && self.check_target(*to, survey).is_ok()
        });
        self.wishes = wishes;
    }

    /// Shards that nobody serves: where somebody wants them, or where there is room.
    fn place(&mut self, survey: &Survey<'_>, standing: &mut Standing<'_>) {
        let most = self.settings.most_placed as usize;
        for (shard, home) in (0..).zip(survey.homes) {
            if survey.moving.len() + standing.assignments.len() >= most {
                return;
            }
            let reason = match home {
                None => Reason::Unowned,
                Some(home) if survey.absent.contains(&home.incarnation) => Reason::OwnerGone,
                Some(_) => continue,
            };
            if survey.moving.contains(&shard) {
                continue;
            }
            let asked = self.wishes.get(&shard).filter(|to| standing.admits(**to)).copied();
            if let Some(to) = asked {
                self.wishes.remove(&shard);
                standing.assign(shard, None, to, Reason::Asked);
            } else if let Some(to) = standing.best_place(true) {
                standing.assign(shard, None, to, reason);
            }
        }
    }

    /// Moves that somebody asked for.
    fn grant(&mut self, now_ns: u64, survey: &Survey<'_>, standing: &mut Standing<'_>) {
        let most = self.settings.most_under_way as usize;
        let until_ns = now_ns.saturating_add(self.settings.rest_ns);
        let resting = &mut self.resting;
        self.wishes.retain(|shard, to| {
            let home = survey.homes.get(*shard as usize).copied().flatten();
            let from = home.filter(|home| standing.can_give(*home) && standing.admits(*to));
            let has_room = survey.moving.len() + standing.assignments.len() < most;
            if from.is_none() || !has_room || survey.moving.contains(shard) {
                return true;
            }
            standing.assign(*shard, from, *to, Reason::Asked);
            resting.insert(*shard, until_ns);
            false
        });
    }

    /// Shards whose place is not to have them.
    fn leave(&self, survey: &Survey<'_>, standing: &mut Standing<'_>) {
        let most = self.settings.most_under_way as usize;
        for (shard, home) in (0..).zip(survey.homes) {
            let Some(home) = home.filter(|home| standing.can_give(*home)) else { continue };
            let Some(reason) = standing.reason_to_leave(home) else { continue };
            if survey.moving.contains(&shard) || standing.is_assigned(shard) {
                continue;
            }
            if survey.moving.len() + standing.assignments.len() >= most {
                return;
            }
            // The cores of its own node first: that is the shorter way, and the nodes stay as they are.
            let near = standing.best_core(home.incarnation);
            let Some(to) = near.or_else(|| standing.best_place(false)) else { continue };
            standing.assign(shard, Some(home), to, reason);
        }
    }
}
