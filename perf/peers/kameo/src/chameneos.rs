//! `savina-chameneos`: creatures meet in a mall and change their colours.

use std::sync::Arc;

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAMENEOS_CREATURES, CHAMENEOS_MEETINGS};
use tokio::sync::oneshot;

use crate::measure::{self, tell};

/// The round of `savina-chameneos`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let (done, met) = oneshot::channel();
        let mall = Mall::prepare_with_mailbox(mailbox::unbounded());
        let creature = |number| {
            let mall = mall.actor_ref().clone();
            let creature =
                Creature { number, colour: number % 3, meetings: 0, mall, all: Arc::new([]) };
            Creature::spawn_with_mailbox(creature, mailbox::unbounded())
        };
        let creatures: Arc<[_]> = (0..CHAMENEOS_CREATURES as usize).map(creature).collect();
        for creature in creatures.iter() {
            tell(creature, Begin { all: creatures.clone() });
        }
        let open = CHAMENEOS_MEETINGS;
        mall.spawn(Mall { creatures, waiting: None, open, left: 0, met: 0, done: Some(done) });
        met.await.expect("the mall answers")
    })
}

/// Creatures know each other by number: a reference to an actor is dear to clone.
type Creatures = Arc<[ActorRef<Creature>]>;

struct Begin {
    all: Creatures,
}
#[derive(Clone, Copy)]
struct Request {
    creature: usize,
    colour: usize,
}
struct Partner(Request);
struct Change {
    colour: usize,
}
struct Leave;
struct Left {
    meetings: u64,
}

#[derive(Actor)]
struct Mall {
    creatures: Creatures,
    waiting: Option<usize>,
    /// Meetings until it closes.
    open: u64,
    left: u64,
    met: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Message<Request> for Mall {
    type Reply = ();

    async fn handle(&mut self, request: Request, _: &mut Context<Self, ()>) {
        if self.open == 0 {
            tell(&self.creatures[request.creature], Leave);
        } else if let Some(first) = self.waiting.take() {
            self.open -= 1;
            tell(&self.creatures[first], Partner(request));
        } else {
            self.waiting = Some(request.creature);
        }
    }
}

impl Message<Left> for Mall {
    type Reply = ();

    async fn handle(&mut self, Left { meetings }: Left, context: &mut Context<Self, ()>) {
        self.met += meetings;
        self.left += 1;
        if self.left == CHAMENEOS_CREATURES
            && let Some(done) = self.done.take()
        {
            let _ = done.send(self.met);
            context.stop();
        }
    }
}

#[derive(Actor)]
struct Creature {
    number: usize,
    colour: usize,
    meetings: u64,
    mall: ActorRef<Mall>,
    all: Creatures,
}

impl Creature {
    fn ask_for_a_partner(&self) {
        tell(&self.mall, Request { creature: self.number, colour: self.colour });
    }
}

impl Message<Begin> for Creature {
    type Reply = ();

    async fn handle(&mut self, Begin { all }: Begin, _: &mut Context<Self, ()>) {
        self.all = all;
        self.ask_for_a_partner();
    }
}

impl Message<Partner> for Creature {
    type Reply = ();

    async fn handle(&mut self, Partner(other): Partner, _: &mut Context<Self, ()>) {
        self.colour = complementary(self.colour, other.colour);
        self.meetings += 1;
        tell(&self.all[other.creature], Change { colour: self.colour });
        self.ask_for_a_partner();
    }
}

impl Message<Change> for Creature {
    type Reply = ();

    async fn handle(&mut self, Change { colour }: Change, _: &mut Context<Self, ()>) {
        self.colour = colour;
        self.meetings += 1;
        self.ask_for_a_partner();
    }
}

impl Message<Leave> for Creature {
    type Reply = ();

    async fn handle(&mut self, _: Leave, context: &mut Context<Self, ()>) {
        tell(&self.mall, Left { meetings: self.meetings });
        context.stop();
    }
}

/// Colours are 0, 1 and 2, so two different ones and the third add up to 3.
fn complementary(one: usize, other: usize) -> usize {
    if one == other { one } else { 3 - one - other }
}
