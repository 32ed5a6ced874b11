//! `savina-chameneos`: creatures meet in a mall and change their colours.

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAMENEOS_CREATURES, CHAMENEOS_MEETINGS};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use crate::measure::{self, spawn, tell};

/// The round of `savina-chameneos`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let (done, met) = oneshot::channel();
        let mall = spawn(Mall, done).await;
        for number in 0..CHAMENEOS_CREATURES {
            spawn(Creature, (number % 3, mall.clone())).await;
        }
        met.await.expect("the mall answers")
    })
}

struct Request {
    creature: ActorRef<ToCreature>,
    colour: u64,
}
enum ToMall {
    Request(Request),
    Left { meetings: u64 },
}
enum ToCreature {
    Partner(Request),
    Change { colour: u64 },
    Leave,
}

struct Mall;

struct MallState {
    waiting: Option<ActorRef<ToCreature>>,
    /// Meetings until it closes.
    open: u64,
    left: u64,
    met: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Mall {
    type Msg = ToMall;
    type State = MallState;
    type Arguments = oneshot::Sender<u64>;

    async fn pre_start(
        &self,
        _: ActorRef<ToMall>,
        done: oneshot::Sender<u64>,
    ) -> Result<MallState, ActorProcessingErr> {
        let open = CHAMENEOS_MEETINGS;
        Ok(MallState { waiting: None, open, left: 0, met: 0, done: Some(done) })
    }

    async fn handle(
        &self,
        own: ActorRef<ToMall>,
        message: ToMall,
        state: &mut MallState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToMall::Request(request) if state.open == 0 => {
                tell(&request.creature, ToCreature::Leave);
            }
            ToMall::Request(request) => match state.waiting.take() {
                Some(first) => {
                    state.open -= 1;
                    tell(&first, ToCreature::Partner(request));
                }
                None => state.waiting = Some(request.creature),
            },
            ToMall::Left { meetings } => {
                state.met += meetings;
                state.left += 1;
                if state.left == CHAMENEOS_CREATURES
                    && let Some(done) = state.done.take()
                {
                    let _ = done.send(state.met);
                    own.stop(None);
                }
            }
        }
        Ok(())
    }
}

struct Creature;

struct CreatureState {
    colour: u64,
    meetings: u64,
    mall: ActorRef<ToMall>,
}

impl CreatureState {
    fn ask_for_a_partner(&self, creature: ActorRef<ToCreature>) {
        tell(&self.mall, ToMall::Request(Request { creature, colour: self.colour }));
    }
}

impl Actor for Creature {
    type Msg = ToCreature;
    type State = CreatureState;
    type Arguments = (u64, ActorRef<ToMall>);

    async fn pre_start(
        &self,
        own: ActorRef<ToCreature>,
        (colour, mall): Self::Arguments,
    ) -> Result<CreatureState, ActorProcessingErr> {
        let state = CreatureState { colour, meetings: 0, mall };
        state.ask_for_a_partner(own);
        Ok(state)
    }

    async fn handle(
        &self,
        own: ActorRef<ToCreature>,
        message: ToCreature,
        state: &mut CreatureState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToCreature::Partner(other) => {
                state.colour = complementary(state.colour, other.colour);
                state.meetings += 1;
                tell(&other.creature, ToCreature::Change { colour: state.colour });
                state.ask_for_a_partner(own);
            }
            ToCreature::Change { colour } => {
                state.colour = colour;
                state.meetings += 1;
                state.ask_for_a_partner(own);
            }
            ToCreature::Leave => {
                tell(&state.mall, ToMall::Left { meetings: state.meetings });
                own.stop(None);
            }
        }
        Ok(())
    }
}

/// Colours are 0, 1 and 2, so two different ones and the third add up to 3.
fn complementary(one: u64, other: u64) -> u64 {
    if one == other { one } else { 3 - one - other }
}
