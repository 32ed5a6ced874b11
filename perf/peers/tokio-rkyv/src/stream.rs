//! `remote-stream`: one actor streams numbers to 1,000 actors of the other node.

use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{
    REMOTE_STREAM_ACTORS, REMOTE_STREAM_WARM_UP, sum_of_numbers,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Way;
use crate::connection::{self, Outbox};
use crate::message::{Address, Envelope, Number};
use crate::node::{self, FAR, NEAR};

const SENDER: Address = Address { node: NEAR, actor: 0 };
/// The actor behind the receivers, which is told that all has been sent.
const FINISH: Address = Address { node: FAR, actor: REMOTE_STREAM_ACTORS as u64 };
/// So many messages are taken out of a mailbox at once at most.
const TAKEN_AT_ONCE: usize = 16;

/// The round of `remote-stream`.
pub fn round(task: &Task, way: Way) -> RoundReport {
    let messages = task.messages;
    let near = |socket| send(socket, way, messages);
    let (elapsed, sum) = node::run(task, way, near, |socket| receive(socket, way));
    task.report(elapsed, sum.wrapping_sub(sum_of_numbers(REMOTE_STREAM_WARM_UP)))
}

/// The actor that sends. Its node closes the connection when the other has got all.
async fn send(socket: TcpStream, way: Way, messages: u64) -> Duration {
    let (mailbox, mut answers) = unbounded_channel();
    let (outbox, _) = connection::start(socket, way, vec![mailbox]);
    send_numbers(&outbox, &mut answers, REMOTE_STREAM_WARM_UP).await;
    let start = Instant::now();
    send_numbers(&outbox, &mut answers, messages).await;
    start.elapsed()
}

/// Sends the numbers from 0 up, each to the next receiver, and waits until the other node says that it has them.
async fn send_numbers(outbox: &Outbox, answers: &mut UnboundedReceiver<Number>, numbers: u64) {
    for (number, to) in (0..numbers).zip((0..FINISH.actor).cycle()) {
        let message = Number { number, from: SENDER };
        if outbox.send(Envelope { to, message }).await.is_err() {
            return;
        }
    }
    let message = Number { number: numbers, from: SENDER };
    if outbox.send(Envelope { to: FINISH.actor, message }).await.is_ok() {
        answers.recv().await;
    }
}

/// The node of the receivers: the sum of what they got, told when the other node has closed the connection.
async fn receive(socket: TcpStream, way: Way) -> u64 {
    let (mut mailboxes, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..REMOTE_STREAM_ACTORS {
        let (mailbox, inbox) = unbounded_channel();
        mailboxes.push(mailbox);
        receivers.push(tokio::spawn(receiver(inbox)));
    }
    let (mailbox, mut finished) = unbounded_channel::<Number>();
    mailboxes.push(mailbox);
    let (outbox, _) = connection::start(socket, way, mailboxes);
    while let Some(Number { number, from }) = finished.recv().await {
        let message = Number { number, from: FINISH };
        if outbox.send(Envelope { to: from.actor, message }).await.is_err() {
            break;
        }
    }
    let mut sum = 0;
    for receiver in receivers {
        sum += receiver.await.unwrap_or(0);
    }
    sum
}

/// Adds up what it gets.
async fn receiver(mut inbox: UnboundedReceiver<Number>) -> u64 {
    let (mut sum, mut taken) = (0, Vec::with_capacity(TAKEN_AT_ONCE));
    while inbox.recv_many(&mut taken, TAKEN_AT_ONCE).await > 0 {
        sum += taken.drain(..).map(|message: Number| message.number).sum::<u64>();
    }
    sum
}
