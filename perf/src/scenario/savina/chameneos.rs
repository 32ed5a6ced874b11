//! `savina-chameneos`: creatures meet in pairs at a mall and change their colours.
//!
//! The creatures are dealt to the cores; the mall, which is the main actor, lives on core 0. A creature has one request
//! under way, so the rings hold as many messages as there are creatures.

use mainspring::prelude::*;
use mainspring_perf_contest::program::{CHAMENEOS_CREATURES, CHAMENEOS_MEETINGS};

use super::crew::{Crew, Spread, muster};
use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static CHAMENEOS: Savina<Chameneos> = Savina {
    description: &Description {
        name: "savina-chameneos",
        measures: "one of 200,000 meetings of 100 creatures: two requests, one passed on, and a colour",
        default_messages: 10 * CHAMENEOS_MEETINGS,
        counted_messages: CHAMENEOS_MEETINGS,
        ..COMMON
    },
    program: Chameneos { creatures: CHAMENEOS_CREATURES, meetings: CHAMENEOS_MEETINGS },
};

/// The program.
#[derive(Clone)]
pub struct Chameneos {
    /// Who meets.
    pub creatures: u64,
    /// Meetings until the mall closes.
    pub meetings: u64,
}

impl Program for Chameneos {
    type Main = Mall;

    fn messages(&self) -> u64 {
        self.meetings
    }

    fn sum(&self) -> u64 {
        2 * self.meetings
    }

    fn main_actor(&self, iteration: Iteration) -> Mall {
        Mall {
            iteration,
            creatures: self.creatures,
            waiting: None,
            meetings_left: self.meetings,
            staying: self.creatures,
            meetings: 0,
        }
    }
}

/// To the mall.
#[message]
pub enum MallMessage {
    /// A creature asks for a partner.
    Meet { creature: ActorRef<CreatureMessage>, colour: u8 },
    /// A creature leaves, after so many meetings.
    Left { meetings: u64 },
}

/// To a creature.
#[message]
pub enum CreatureMessage {
    /// Somebody of this colour asks for a meeting.
    Meet { partner: ActorRef<CreatureMessage>, colour: u8 },
    /// The partner of a meeting says which colour both have now.
    Change { colour: u8 },
    /// The mall has closed.
    Leave,
}

/// Brings creatures together.
pub struct Mall {
    iteration: Iteration,
    creatures: u64,
    /// Who asked first.
    waiting: Option<ActorRef<CreatureMessage>>,
    meetings_left: u64,
    /// Creatures that have not left.
    staying: u64,
    meetings: u64,
}

impl Actor for Mall {
    type Message = MallMessage;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let crew = Creatures { mall: ctx.me() };
        muster(ctx, &crew, self.creatures, Spread::Dealt);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, news: &Archived<MallMessage>) -> Next<Self> {
        match news {
            ArchivedMallMessage::Meet { creature, colour } if self.meetings_left > 0 => {
                match self.waiting.take() {
                    None => self.waiting = Some(*creature),
                    Some(first) => {
                        self.meetings_left -= 1;
                        let (partner, colour) = (*creature, *colour);
                        ctx.tell(first, &CreatureMessage::Meet { partner, colour });
                    }
                }
            }
            ArchivedMallMessage::Meet { creature, .. } => {
                ctx.tell(*creature, &CreatureMessage::Leave);
            }
            ArchivedMallMessage::Left { meetings } => {
                self.meetings += meetings.to_native();
                self.staying -= 1;
                if self.staying == 0 {
                    self.iteration.done(ctx, self.meetings);
                    return Next::Stop;
                }
            }
        }
        Next::Same
    }
}

#[derive(Clone)]
struct Creatures {
    mall: ActorRef<MallMessage>,
}

impl Crew for Creatures {
    type Member = Creature;

    fn member(&self, number: u64) -> Creature {
        Creature { mall: self.mall, colour: (number % 3) as u8, meetings: 0 }
    }
}

/// Meets others.
struct Creature {
    mall: ActorRef<MallMessage>,
    /// One of three.
    colour: u8,
    meetings: u64,
}

impl Actor for Creature {
    type Message = CreatureMessage;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        self.ask_again(ctx);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<CreatureMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedCreatureMessage::Meet { partner, colour } => {
                let colour = complement(self.colour, *colour);
                ctx.tell(*partner, &CreatureMessage::Change { colour });
                self.met(ctx, colour);
            }
            ArchivedCreatureMessage::Change { colour } => self.met(ctx, *colour),
            ArchivedCreatureMessage::Leave => {
                ctx.tell(self.mall, &MallMessage::Left { meetings: self.meetings });
            }
        }
        Next::Same
    }
}

impl Creature {
    fn met(&mut self, ctx: &mut Context<'_, Self>, colour: u8) {
        self.colour = colour;
        self.meetings += 1;
        self.ask_again(ctx);
    }

    fn ask_again(&self, ctx: &mut Context<'_, Self>) {
        let (creature, colour) = (ctx.me(), self.colour);
        ctx.tell(self.mall, &MallMessage::Meet { creature, colour });
    }
}

/// Equal colours stay; of two different ones both become the third. Colours are 0, 1 and 2.
fn complement(one: u8, other: u8) -> u8 {
    if one == other { one } else { 3 - one - other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_colours_become_the_third_and_equal_ones_stay() {
        assert_eq!([complement(0, 1), complement(2, 1), complement(0, 2)], [2, 0, 1]);
        assert_eq!([complement(0, 0), complement(1, 1), complement(2, 2)], [0, 1, 2]);
    }
}
