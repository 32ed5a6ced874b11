//! `remote-stream`: one actor streams numbers to 1,000 actors of the other node.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kameo::actor::RemoteActorRef;
use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{REMOTE_STREAM_ACTORS, REMOTE_STREAM_WARM_UP};
use serde::{Deserialize, Serialize};

use crate::node;

/// The word of the far node of this program.
pub const FAR: &str = "stream";
const DIRECTORY: &str = "directory";
/// Messages that wait for their acknowledgement at most. Without one, a message above what a connection carries at once
/// would be lost.
const UNDER_WAY: usize = 128;

/// The round of `remote-stream`.
pub fn round(task: &Task) -> RoundReport {
    let messages = task.messages;
    let (elapsed, sum) = node::near(&task.cores, FAR, DIRECTORY, |far| near(far, messages));
    task.report(elapsed, sum)
}

/// The actors of the far node.
pub async fn far() {
    let mut receivers = Vec::with_capacity(REMOTE_STREAM_ACTORS);
    for _ in 0..REMOTE_STREAM_ACTORS {
        receivers.push(Receiver::spawn_with_mailbox(Receiver { sum: 0 }, mailbox::unbounded()));
    }
    let directory = Directory::spawn_with_mailbox(Directory { receivers }, mailbox::unbounded());
    directory.register(DIRECTORY).await.expect("its name is free");
}

async fn near(directory: RemoteActorRef<Directory>, messages: u64) -> (Duration, u64) {
    let receivers = directory.ask(&Receivers).send().await.expect("the directory answers");
    let sender = Sender { receivers, directory };
    let sender = Sender::spawn_with_mailbox(sender, mailbox::unbounded());
    let send = |messages| sender.ask(Send { messages });
    send(REMOTE_STREAM_WARM_UP).await.expect("the sender lives");
    send(messages).await.expect("the sender lives")
}

/// Tells the sender to send so many messages; it answers how long that took, and what the receivers got.
struct Send {
    messages: u64,
}

#[derive(Serialize, Deserialize)]
struct Number {
    number: u64,
    from: u64,
}

/// Asks for the references of the receivers.
#[derive(Serialize, Deserialize)]
struct Receivers;

/// Asks whether all that came before has been handled.
#[derive(Serialize, Deserialize)]
struct Finish;

/// Asks for the sum of what all receivers have got since the last time.
#[derive(Serialize, Deserialize)]
struct Total;

#[derive(Actor)]
struct Sender {
    receivers: Vec<RemoteActorRef<Receiver>>,
    directory: RemoteActorRef<Directory>,
}

impl Message<Send> for Sender {
    type Reply = Result<(Duration, u64), String>;

    async fn handle(
        &mut self,
        Send { messages }: Send,
        context: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        let from = context.actor_ref().id().sequence_id();
        let start = Instant::now();
        let mut under_way = FuturesUnordered::new();
        for (number, receiver) in (0..messages).zip(self.receivers.iter().cycle()) {
            if under_way.len() == UNDER_WAY {
                under_way.next().await.transpose()?;
            }
            under_way.push(tell(receiver, Number { number, from }));
        }
        while let Some(acknowledged) = under_way.next().await {
            acknowledged?;
        }
        self.directory.ask(&Finish).send().await.map_err(|refused| refused.to_string())?;
        let elapsed = start.elapsed();
        let sum = self.directory.ask(&Total).send().await.map_err(|refused| refused.to_string())?;
        Ok((elapsed, sum))
    }
}

/// Sends a number and waits until it is in the receiver's mailbox.
async fn tell(receiver: &RemoteActorRef<Receiver>, number: Number) -> Result<(), String> {
    receiver.tell(&number).send_ack().await.map_err(|refused| refused.to_string())
}

#[derive(Actor, RemoteActor)]
struct Directory {
    receivers: Vec<ActorRef<Receiver>>,
}

#[remote_message]
impl Message<Receivers> for Directory {
    type Reply = Vec<RemoteActorRef<Receiver>>;

    async fn handle(&mut self, _: Receivers, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let mut references = Vec::with_capacity(self.receivers.len());
        for receiver in &self.receivers {
            references.push(receiver.into_remote_ref().await);
        }
        references
    }
}

#[remote_message]
impl Message<Finish> for Directory {
    type Reply = ();

    async fn handle(&mut self, _: Finish, _: &mut Context<Self, ()>) {}
}

#[remote_message]
impl Message<Total> for Directory {
    type Reply = u64;

    async fn handle(&mut self, _: Total, _: &mut Context<Self, u64>) -> u64 {
        let mut sum = 0;
        for receiver in &self.receivers {
            sum += receiver.ask(Total).send().await.expect("the receiver lives");
        }
        sum
    }
}

#[derive(Actor, RemoteActor)]
struct Receiver {
    sum: u64,
}

#[remote_message]
impl Message<Number> for Receiver {
    type Reply = ();

    async fn handle(&mut self, Number { number, .. }: Number, _: &mut Context<Self, ()>) {
        self.sum += number;
    }
}

impl Message<Total> for Receiver {
    type Reply = u64;

    async fn handle(&mut self, _: Total, _: &mut Context<Self, u64>) -> u64 {
        std::mem::take(&mut self.sum)
    }
}
