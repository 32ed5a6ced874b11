//! The poker, which begins the turns; the accumulator, which knows when one is over; and the directories.

use mainspring_perf_contest::program::{CHAT_CLIENTS, CHAT_DIRECTORIES, CHAT_TURNS};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::client::Client;
use super::{ToAccumulator, ToClient, ToDirectory};
use crate::measure::{spawn, tell};

/// Begins a turn when the one before is over.
pub struct Poker;

pub struct TurnOver {
    acts: u64,
}

pub struct PokerState {
    turns_left: u64,
    directories: Vec<ActorRef<ToDirectory>>,
    accumulator: ActorRef<ToAccumulator>,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Poker {
    type Msg = TurnOver;
    type State = PokerState;
    type Arguments = oneshot::Sender<u64>;

    async fn pre_start(
        &self,
        own: ActorRef<TurnOver>,
        done: oneshot::Sender<u64>,
    ) -> Result<PokerState, ActorProcessingErr> {
        let accumulator = spawn(Accumulator, own.clone()).await;
        let mut directories = Vec::new();
        for number in 0..CHAT_DIRECTORIES {
            directories.push(spawn(Directory, (number, accumulator.clone())).await);
        }
        tell(&own, TurnOver { acts: 0 });
        Ok(PokerState { turns_left: CHAT_TURNS, directories, accumulator, done: Some(done) })
    }

    async fn handle(
        &self,
        own: ActorRef<TurnOver>,
        TurnOver { acts }: TurnOver,
        state: &mut PokerState,
    ) -> Result<(), ActorProcessingErr> {
        if state.turns_left > 0 {
            state.turns_left -= 1;
            tell(&state.accumulator, ToAccumulator::Expect(CHAT_CLIENTS));
            state.directories.iter().for_each(|directory| tell(directory, ToDirectory::Turn));
        } else if let Some(done) = state.done.take() {
            state.directories.iter().for_each(|directory| tell(directory, ToDirectory::Close));
            state.accumulator.stop(None);
            own.stop(None);
            let _ = done.send(acts);
        }
        Ok(())
    }
}

struct Accumulator;

struct AccumulatorState {
    pending: u64,
    acts: u64,
    poker: ActorRef<TurnOver>,
}

impl Actor for Accumulator {
    type Msg = ToAccumulator;
    type State = AccumulatorState;
    type Arguments = ActorRef<TurnOver>;

    async fn pre_start(
        &self,
        _: ActorRef<ToAccumulator>,
        poker: Self::Arguments,
    ) -> Result<AccumulatorState, ActorProcessingErr> {
        Ok(AccumulatorState { pending: 0, acts: 0, poker })
    }

    async fn handle(
        &self,
        _: ActorRef<ToAccumulator>,
        message: ToAccumulator,
        state: &mut AccumulatorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToAccumulator::Expect(more) => {
                state.pending += more;
                return Ok(());
            }
            ToAccumulator::ActDone => state.acts += 1,
            ToAccumulator::Delivered => {}
        }
        state.pending -= 1;
        if state.pending == 0 {
            tell(&state.poker, TurnOver { acts: state.acts });
        }
        Ok(())
    }
}

struct Directory;

impl Actor for Directory {
    type Msg = ToDirectory;
    type State = Vec<ActorRef<ToClient>>;
    type Arguments = (u64, ActorRef<ToAccumulator>);

    async fn pre_start(
        &self,
        _: ActorRef<ToDirectory>,
        (number, accumulator): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let size = CHAT_CLIENTS / CHAT_DIRECTORIES;
        let mut clients = Vec::new();
        for id in number * size..(number + 1) * size {
            clients.push(spawn(Client, (id, accumulator.clone())).await);
        }
        for (own_place, client) in clients.iter().enumerate() {
            tell(client, ToClient::BeFriends { clients: clients.clone(), own_place });
        }
        Ok(clients)
    }

    async fn handle(
        &self,
        own: ActorRef<ToDirectory>,
        message: ToDirectory,
        clients: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToDirectory::Turn => clients.iter().for_each(|client| tell(client, ToClient::Act)),
            ToDirectory::Close => {
                clients.iter().for_each(|client| tell(client, ToClient::Close));
                own.stop(None);
            }
        }
        Ok(())
    }
}
