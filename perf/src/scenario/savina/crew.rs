//! Many actors of one kind, spread over the cores of the node.
//!
//! On each core a [`Team`] makes that core's members, so that making them is local work and their state stays where
//! it was made, and says who they are. Teams are made for the actor that musters the crew and stop with it, and
//! their members with them.

use mainspring::prelude::*;

/// Actors of one kind.
pub trait Crew: Clone + Send + 'static {
    /// What they are.
    type Member: Actor;

    /// The member with this number.
    fn member(&self, number: u64) -> Self::Member;

    /// The members of one core have been made, in the order of their numbers.
    fn made(&self, _team: &mut Context<'_, Team<Self>>, _members: Members<Self>) {}
}

/// References to members of a crew.
pub type Members<C> = Vec<ActorRef<<<C as Crew>::Member as Actor>::Message>>;

/// Which member lives where.
#[derive(Clone, Copy, Debug)]
pub enum Spread {
    /// Like cards: number `n` on core `n mod cores`.
    Dealt,
    /// Neighbours together: the first part of the numbers on core 0, and so on.
    Parted,
}

impl Spread {
    /// The numbers of the members on a core, of so many members and cores.
    pub fn numbers(self, members: u64, core: u16, cores: u16) -> impl Iterator<Item = u64> {
        let (core, cores) = (u64::from(core), u64::from(cores));
        match self {
            Spread::Dealt => (core..members).step_by(cores as usize),
            Spread::Parted => (members * core / cores..members * (core + 1) / cores).step_by(1),
        }
    }
}

/// Makes the members of a crew on all cores. They live no longer than the actor whose turn this is.
pub fn muster<A: Actor, C: Crew>(ctx: &mut Context<'_, A>, crew: &C, members: u64, spread: Spread) {
    for core in 0..ctx.cores() {
        let team = Team { crew: crew.clone(), members, spread };
        ctx.spawn_on(core, move || team, |_, _, _| Next::Same);
    }
}

/// The parent of the members of one core.
pub struct Team<C> {
    crew: C,
    members: u64,
    spread: Spread,
}

/// Nobody tells a team anything.
#[message]
pub struct Nothing;

impl<C: Crew> Actor for Team<C> {
    type Message = Nothing;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let numbers = self.spread.numbers(self.members, ctx.core(), ctx.cores());
        let made: Result<_, _> =
            numbers.map(|number| ctx.spawn_value(self.crew.member(number))).collect();
        // At the limit of actors the round is given up.
        let Ok(members) = made else { return Next::Fault };
        self.crew.made(ctx, members);
        Next::Same
    }

    fn receive(&mut self, _: &mut Context<'_, Self>, _: &Archived<Nothing>) -> Next<Self> {
        Next::Same
    }
}

/// The members of a whole crew, by their numbers, as far as they are known.
pub struct Roster<M: LocalMessage> {
    members: Vec<Option<ActorRef<M>>>,
    spread: Spread,
    missing: u64,
}

impl<M: LocalMessage> Roster<M> {
    /// Nobody is known of so many.
    pub fn new(members: u64, spread: Spread) -> Self {
        Roster { members: vec![None; members as usize], spread, missing: members }
    }

    /// Takes in the members of one core. All of them, by their numbers, when these were the last.
    pub fn complete(
        &mut self,
        core: u16,
        cores: u16,
        members: &[ActorRef<M>],
    ) -> Option<Vec<ActorRef<M>>> {
        let numbers = self.spread.numbers(self.members.len() as u64, core, cores);
        for (number, member) in numbers.zip(members) {
            self.missing -= u64::from(self.members[number as usize].replace(*member).is_none());
        }
        if self.missing > 0 {
            return None;
        }
        self.members.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_lives_on_exactly_one_core() {
        for spread in [Spread::Dealt, Spread::Parted] {
            for cores in [1, 2, 3] {
                let all = (0..cores).flat_map(|core| spread.numbers(7, core, cores));
                let mut all: Vec<u64> = all.collect();
                all.sort_unstable();
                assert_eq!(all, [0, 1, 2, 3, 4, 5, 6], "{spread:?} on {cores}");
            }
        }
    }

    #[test]
    fn parted_neighbours_stay_together() {
        assert!(Spread::Parted.numbers(100, 1, 2).eq(50..100));
        assert!(Spread::Dealt.numbers(5, 1, 2).eq([1, 3]));
    }
}
