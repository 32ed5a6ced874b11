//! `remote-stream`: one actor streams numbers to 1,000 actors of the other node.
//!
//! ractor_cluster has queues without a bound between a sender and its connection, and nothing that makes the sender
//! wait. So it asks the far node after each window whether it has come that far, and sends the next one meanwhile.

use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{REMOTE_STREAM_ACTORS, REMOTE_STREAM_WARM_UP};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use ractor_cluster::{RactorClusterMessage, RactorMessage};

use crate::node::{self, ask};

/// The word of the far node of this program.
pub const FAR: &str = "stream";
const RECEIVERS: &str = "receivers";
const FINISH: &str = "finish";
/// At most two of these are under way.
const WINDOW_MESSAGES: u64 = 8_192;
/// After so many messages the sender lets the actors run that stand for the receivers on its node.
const MESSAGES_A_TURN: u64 = 128;

/// The round of `remote-stream`.
pub fn round(task: &Task) -> RoundReport {
    let (elapsed, sum) = node::near(&task.cores, FAR, near(task.messages));
    task.report(elapsed, sum)
}

/// The actors of the far node.
pub async fn far() {
    for _ in 0..REMOTE_STREAM_ACTORS {
        node::spawn(Receiver, (), RECEIVERS).await;
    }
    node::spawn(Finish, (), FINISH).await;
}

async fn near(messages: u64) -> (Duration, u64) {
    let receivers = node::members(RECEIVERS, REMOTE_STREAM_ACTORS).await;
    let finish = node::members(FINISH, 1).await.remove(0);
    let sender = node::spawn(Sender, Streaming { receivers, finish }, "senders").await;
    ask(&sender, |done| Send { messages: REMOTE_STREAM_WARM_UP, done }).await;
    ask(&sender, |done| Send { messages, done }).await
}

/// Tells the sender to send so many messages; it answers how long that took, and what the receivers got.
#[derive(RactorMessage)]
struct Send {
    messages: u64,
    done: RpcReplyPort<(Duration, u64)>,
}

#[derive(RactorClusterMessage)]
enum ToReceiver {
    /// A number, and who sent it.
    Number(u64, u64),
    /// Asks for the sum since the last time.
    #[rpc]
    Total(RpcReplyPort<u64>),
}

#[derive(RactorClusterMessage)]
enum ToFinish {
    /// Asks whether what came before is there.
    #[rpc]
    IsThere(RpcReplyPort<u64>),
}

struct Sender;

struct Streaming {
    receivers: Vec<ActorRef<ToReceiver>>,
    finish: ActorRef<ToFinish>,
}

impl Streaming {
    async fn send(&self, messages: u64, from: u64) -> Result<(), ActorProcessingErr> {
        let mut in_turn = self.receivers.iter().cycle();
        let (mut number, mut before) = (0, None);
        while number < messages {
            let end = messages.min(number + WINDOW_MESSAGES);
            while number < end {
                let receiver = in_turn.next().ok_or("there are no receivers")?;
                receiver.cast(ToReceiver::Number(number, from))?;
                number += 1;
                if number % MESSAGES_A_TURN == 0 {
                    tokio::task::yield_now().await;
                }
            }
            let finish = self.finish.clone();
            let window = tokio::spawn(async move { ask(&finish, ToFinish::IsThere).await });
            if let Some(before) = before.replace(window) {
                before.await?;
            }
        }
        if let Some(last) = before {
            last.await?;
        }
        Ok(())
    }

    async fn total(&self) -> u64 {
        let mut sum = 0;
        for receiver in &self.receivers {
            sum += ask(receiver, ToReceiver::Total).await;
        }
        sum
    }
}

impl Actor for Sender {
    type Msg = Send;
    type State = Streaming;
    type Arguments = Streaming;

    async fn pre_start(
        &self,
        _: ActorRef<Send>,
        streaming: Streaming,
    ) -> Result<Streaming, ActorProcessingErr> {
        Ok(streaming)
    }

    async fn handle(
        &self,
        own: ActorRef<Send>,
        Send { messages, done }: Send,
        streaming: &mut Streaming,
    ) -> Result<(), ActorProcessingErr> {
        let start = Instant::now();
        streaming.send(messages, own.get_id().pid()).await?;
        let elapsed = start.elapsed();
        done.send((elapsed, streaming.total().await))?;
        Ok(())
    }
}

struct Finish;

impl Actor for Finish {
    type Msg = ToFinish;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToFinish>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<ToFinish>,
        ToFinish::IsThere(reply): ToFinish,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        reply.send(0)?;
        Ok(())
    }
}

struct Receiver;

impl Actor for Receiver {
    type Msg = ToReceiver;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToReceiver>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<ToReceiver>,
        message: ToReceiver,
        sum: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToReceiver::Number(number, _) => *sum += number,
            ToReceiver::Total(reply) => reply.send(std::mem::take(sum))?,
        }
        Ok(())
    }
}
