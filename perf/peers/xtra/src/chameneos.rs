//! `savina-chameneos`: creatures that meet at a mall and change colour.

use std::sync::Arc;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAMENEOS_CREATURES, CHAMENEOS_MEETINGS};
use xtra::prelude::*;

use super::stage::{self, tell};

/// A colour, 0 to 2.
type Colour = u64;

/// A creature by its place in the table of all.
#[derive(Clone, Copy)]
struct Request {
    creature: usize,
    colour: Colour,
}

enum ToMall {
    Meet(Request),
    Left { meetings: u64 },
}

enum ToCreature {
    /// Somebody else's request: the one who gets it changes both colours.
    Partner(Request),
    /// The colour after a meeting.
    Changed(Colour),
    Leave,
}

type Creatures = Arc<[Address<Creature>]>;

/// Stops when every creature has left, with the meetings that they have had.
struct Mall {
    creatures: Creatures,
    waiting: Option<Request>,
    meetings_left: u64,
    creatures_left: u64,
    sum: u64,
}

struct Creature {
    own: Request,
    creatures: Creatures,
    mall: Address<Mall>,
    meetings: u64,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (creatures, mailboxes): (Vec<Address<Creature>>, Vec<_>) =
            (0..CHAMENEOS_CREATURES).map(|_| Mailbox::unbounded()).unzip();
        let creatures: Creatures = creatures.into();
        let (mall, mailbox_of_mall) = Mailbox::unbounded();
        for (number, mailbox) in mailboxes.into_iter().enumerate() {
            let creature = Creature {
                own: Request { creature: number, colour: number as u64 % 3 },
                creatures: creatures.clone(),
                mall: mall.clone(),
                meetings: 0,
            };
            xtra::spawn_tokio(creature, (creatures[number].clone(), mailbox));
        }
        let actor = Mall {
            creatures,
            waiting: None,
            meetings_left: CHAMENEOS_MEETINGS,
            creatures_left: 0,
            sum: 0,
        };
        tokio::spawn(xtra::run(mailbox_of_mall, actor)).await.unwrap_or(0)
    })
}

impl Actor for Mall {
    type Stop = u64;

    async fn stopped(self) -> u64 {
        self.sum
    }
}

impl Handler<ToMall> for Mall {
    type Return = ();

    async fn handle(&mut self, message: ToMall, ctx: &mut Context<Self>) {
        match message {
            ToMall::Meet(request) if self.meetings_left == 0 => {
                tell(&self.creatures[request.creature], ToCreature::Leave).await;
            }
            ToMall::Meet(request) => match self.waiting.take() {
                None => self.waiting = Some(request),
                Some(first) => {
                    self.meetings_left -= 1;
                    tell(&self.creatures[first.creature], ToCreature::Partner(request)).await;
                }
            },
            ToMall::Left { meetings } => {
                self.sum += meetings;
                self.creatures_left += 1;
                if self.creatures_left == CHAMENEOS_CREATURES {
                    ctx.stop_self();
                }
            }
        }
    }
}

impl Actor for Creature {
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), ()> {
        tell(&self.mall, ToMall::Meet(self.own)).await;
        Ok(())
    }

    async fn stopped(self) {}
}

impl Handler<ToCreature> for Creature {
    type Return = ();

    async fn handle(&mut self, message: ToCreature, ctx: &mut Context<Self>) {
        match message {
            ToCreature::Partner(partner) => {
                self.own.colour = complement(self.own.colour, partner.colour);
                let changed = ToCreature::Changed(self.own.colour);
                tell(&self.creatures[partner.creature], changed).await;
            }
            ToCreature::Changed(colour) => self.own.colour = colour,
            ToCreature::Leave => {
                tell(&self.mall, ToMall::Left { meetings: self.meetings }).await;
                ctx.stop_self();
                return;
            }
        }
        self.meetings += 1;
        tell(&self.mall, ToMall::Meet(self.own)).await;
    }
}

/// Two of the same colour keep it, two of different colours take the third.
fn complement(one: Colour, other: Colour) -> Colour {
    if one == other { one } else { 3 - one - other }
}
