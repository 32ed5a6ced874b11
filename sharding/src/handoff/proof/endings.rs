//! How places come to their end in the model, and how their shards go on elsewhere.
//!
//! A place may be cut off first, and lives on for a while. It ends: by a crash, or because it stops itself before its
//! lease ends. What it had said may still arrive, and what it had asked of the store may still be done. Its lease ends
//! later, in the store; one after the other the rest is told that it is gone, before or after that. When its lease has
//! ended, somebody takes over each of its shards. Whoever owns a shard and does not know is told of it again and again.

use super::board::{Effect, Laxity, Place};
use super::model::{Action, Fate, World};
use crate::handoff::{Input, Message, Region};
use crate::ownership::{Epoch, StoreAnswer, StoreRequest};

/// A place on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    place: Place,
    /// Cut off, and still there.
    lives: bool,
    has_lease: bool,
    /// Who has not heard that it is gone.
    untold: Vec<Place>,
}

impl World {
    /// What can happen to those that end, and because of them.
    pub(super) fn add_endings(&self, actions: &mut Vec<Action>) {
        for &(place, fate) in &self.budget.mortal {
            let ending = self.endings.iter().find(|ending| ending.place == place);
            match (ending, fate) {
                (None, Fate::Crashes) => actions.push(Action::Ends(place)),
                (None, Fate::IsCutOff) => actions.push(Action::IsCutOff(place)),
                (Some(ending), _) if ending.lives => actions.push(Action::Ends(place)),
                _ => {}
            }
        }
        let is_lax = self.board.laxity == Some(Laxity::OutlivesItsLease);
        for ending in &self.endings {
            let place = ending.place;
            if ending.has_lease && (!ending.lives || is_lax) {
                actions.push(Action::LeaseEnds(place));
            }
            let untold = ending.untold.iter().filter(|told| !self.board.is_dead(**told));
            actions.extend(untold.map(|&told| Action::IsGone { place, told }));
        }
        self.add_rescues(actions);
    }

    fn add_rescues(&self, actions: &mut Vec<Action>) {
        if self.budget.mortal.is_empty() {
            return;
        }
        let is_lax = self.board.laxity == Some(Laxity::RobsThePresent);
        for shard in 0..self.board.shards() {
            let Some(record) = self.board.store.record(shard) else { continue };
            if !self.board.store.is_present(record.owner) || is_lax && self.is_mortal(record.owner)
            {
                let heirs = self.budget.heirs.iter().filter(|heir| !self.board.is_dead(**heir));
                actions.extend(heirs.map(|&heir| Action::TakesOver(shard, heir)));
            }
            if self.is_quiet() && !self.is_known(shard) && !self.board.is_dead(record.owner) {
                actions.push(Action::IsTold(shard));
            }
        }
    }

    /// Whether all that ended has ended in full, and every shard has an owner that lives and knows.
    pub(super) fn is_rescued(&self) -> bool {
        let is_over =
            |ending: &Ending| !ending.lives && !ending.has_lease && ending.untold.is_empty();
        self.endings.iter().all(is_over)
            && (self.budget.mortal.is_empty()
                || (0..self.board.shards()).all(|shard| self.is_known(shard)))
    }

    fn is_mortal(&self, place: Place) -> bool {
        self.budget.mortal.iter().any(|(mortal, _)| *mortal == place)
    }

    fn is_known(&self, shard: u32) -> bool {
        let record = self.board.store.record(shard);
        record.is_some_and(|record| {
            !self.board.is_dead(record.owner)
                && self.board.regions[usize::from(record.owner)].ownership(shard) == Some(record)
        })
    }

    /// Whether what one says to the other can arrive.
    pub(super) fn are_connected(&self, one: Place, other: Place) -> bool {
        one == other && !self.board.is_dead(one)
            || !self.endings.iter().any(|ending| ending.place == one || ending.place == other)
    }

    /// Where somebody stands who asks for moves: the first place that lives.
    pub(super) fn coordinator(&self) -> Place {
        let places = 0..self.board.regions.len() as Place;
        places.into_iter().find(|place| self.are_connected(*place, Place::MAX)).unwrap_or_default()
    }

    pub(super) fn is_cut_off(&mut self, place: Place) {
        let others = (0..self.board.regions.len() as Place).filter(|other| *other != place);
        let untold = others.collect();
        self.board.is_somebody_gone = true;
        self.endings.push(Ending { place, lives: true, has_lease: true, untold });
    }

    pub(super) fn ends(&mut self, place: Place) {
        if !self.endings.iter().any(|ending| ending.place == place) {
            self.is_cut_off(place);
        }
        for ending in self.endings.iter_mut().filter(|ending| ending.place == place) {
            ending.lives = false;
        }
        self.board.die(place);
        // Nothing of what it knew matters any more.
        let (shards, settings) = (self.board.shards(), self.board.settings);
        let places = 0..self.board.regions.len() as Place;
        self.board.regions[usize::from(place)] = Region::new(place, places, shards, settings);
        for (_, effect) in &self.pool {
            if let Effect::Asked { place: asker, request, .. } = effect
                && *asker == place
                && !matches!(request, StoreRequest::Read { .. })
            {
                self.zombies.push(*request);
            }
        }
        self.pool.retain(|(_, effect)| match effect {
            Effect::Control { to, .. } | Effect::InOrder { to, .. } => *to != place,
            Effect::Stopped { place: at, .. }
            | Effect::Sealed { place: at, .. }
            | Effect::Asked { place: at, .. } => *at != place,
        });
        let places = self.board.regions.len();
        for from in 0..places {
            self.ways[from * places + usize::from(place)].clear();
        }
    }

    pub(super) fn lease_ends(&mut self, place: Place) {
        self.board.store.leave(place);
        for ending in self.endings.iter_mut().filter(|ending| ending.place == place) {
            ending.has_lease = false;
        }
    }

    /// One place hears that another is gone; from then on it hears nothing else of it.
    pub(super) fn is_gone(&mut self, place: Place, told: Place) {
        for ending in self.endings.iter_mut().filter(|ending| ending.place == place) {
            ending.untold.retain(|untold| *untold != told);
        }
        let places = self.board.regions.len();
        self.ways[usize::from(place) * places + usize::from(told)].clear();
        self.pool.retain(|(_, effect)| match effect {
            Effect::Control { from, to, .. } => (*from, *to) != (place, told),
            _ => true,
        });
        let effects = self.board.input(self.now_ns, told, Input::PlaceGone(place));
        self.spread(effects);
        self.board.forgive();
    }

    pub(super) fn takes_over(&mut self, shard: u32, to: Place) {
        let record = self.board.store.record(shard);
        let expected = record.map_or(Epoch::NONE, |record| record.epoch);
        match self.board.decide(StoreRequest::TakeOver { shard, expected, to }) {
            Ok(StoreAnswer::Changed(_)) => self.is_told(shard),
            Ok(_) => {}
            Err(broken) => self.broken = Some(broken),
        }
    }

    /// Somebody tells the owner of the record that it is the owner.
    pub(super) fn is_told(&mut self, shard: u32) {
        let Some(ownership) = self.board.store.record(shard) else { return };
        let message = Message::HostShard { shard, ownership, last_sequence: None };
        let from = self.coordinator();
        self.spread(Ok(vec![Effect::Control { from, to: ownership.owner, message }]));
    }
}
