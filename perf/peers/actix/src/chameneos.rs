//! `savina-chameneos`: creatures that meet at a mall and change colour.

use std::sync::Arc;

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAMENEOS_CREATURES, CHAMENEOS_MEETINGS};
use tokio::sync::oneshot;

use super::stage;

/// A colour, 0 to 2.
type Colour = u64;

/// A creature by its place in the table of all.
#[derive(Clone, Copy)]
struct Request {
    creature: usize,
    colour: Colour,
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToMall {
    Begin(Arc<World>),
    Meet(Request),
    Left { meetings: u64 },
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToCreature {
    Begin(Arc<World>),
    /// Somebody else's request: the one who gets it changes both colours.
    Partner(Request),
    /// The colour after a meeting.
    Changed(Colour),
    Leave,
}

struct World {
    mall: Addr<Mall>,
    creatures: Vec<Addr<Creature>>,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, _| {
        let (done, meetings) = oneshot::channel();
        let mall = Mall {
            world: None,
            waiting: None,
            meetings_left: CHAMENEOS_MEETINGS,
            creatures_left: 0,
            sum: 0,
            done: Some(done),
        };
        let mall = stage.start(mall);
        let start = |number: u64| {
            let own = Request { creature: number as usize, colour: number % 3 };
            stage.start(Creature { own, world: None, meetings: 0 })
        };
        let creatures = (0..CHAMENEOS_CREATURES).map(start).collect();
        let world = Arc::new(World { mall, creatures });
        world.mall.do_send(ToMall::Begin(world.clone()));
        for creature in &world.creatures {
            creature.do_send(ToCreature::Begin(world.clone()));
        }
        meetings.await.unwrap_or(0)
    })
}

struct Mall {
    world: Option<Arc<World>>,
    waiting: Option<Request>,
    meetings_left: u64,
    creatures_left: u64,
    sum: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Mall {
    fn tell(&self, request: Request, message: ToCreature) {
        if let Some(world) = &self.world {
            world.creatures[request.creature].do_send(message);
        }
    }
}

impl Actor for Mall {
    type Context = Context<Self>;
}

impl Handler<ToMall> for Mall {
    type Result = ();

    fn handle(&mut self, message: ToMall, ctx: &mut Self::Context) {
        match message {
            ToMall::Begin(world) => self.world = Some(world),
            ToMall::Meet(request) if self.meetings_left == 0 => {
                self.tell(request, ToCreature::Leave);
            }
            ToMall::Meet(request) => match self.waiting.take() {
                None => self.waiting = Some(request),
                Some(first) => {
                    self.meetings_left -= 1;
                    self.tell(first, ToCreature::Partner(request));
                }
            },
            ToMall::Left { meetings } => {
                self.sum += meetings;
                self.creatures_left += 1;
                if self.creatures_left == CHAMENEOS_CREATURES {
                    if let Some(done) = self.done.take() {
                        let _ = done.send(self.sum);
                    }
                    ctx.stop();
                }
            }
        }
    }
}

struct Creature {
    own: Request,
    world: Option<Arc<World>>,
    meetings: u64,
}

impl Actor for Creature {
    type Context = Context<Self>;
}

impl Handler<ToCreature> for Creature {
    type Result = ();

    fn handle(&mut self, message: ToCreature, ctx: &mut Self::Context) {
        if let ToCreature::Begin(world) = message {
            world.mall.do_send(ToMall::Meet(self.own));
            self.world = Some(world);
            return;
        }
        let Some(world) = &self.world else { return };
        match message {
            ToCreature::Begin(_) => {}
            ToCreature::Partner(partner) => {
                self.own.colour = complement(self.own.colour, partner.colour);
                let changed = ToCreature::Changed(self.own.colour);
                world.creatures[partner.creature].do_send(changed);
            }
            ToCreature::Changed(colour) => self.own.colour = colour,
            ToCreature::Leave => {
                world.mall.do_send(ToMall::Left { meetings: self.meetings });
                ctx.stop();
                return;
            }
        }
        self.meetings += 1;
        world.mall.do_send(ToMall::Meet(self.own));
    }
}

/// Two of the same colour keep it, two of different colours take the third.
fn complement(one: Colour, other: Colour) -> Colour {
    if one == other { one } else { 3 - one - other }
}
