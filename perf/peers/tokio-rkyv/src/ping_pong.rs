//! `remote-ping-pong`: a number goes to an actor of the other node and comes back.

use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::REMOTE_PING_PONG_WARM_UP;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Way;
use crate::connection::{self, Outbox};
use crate::message::{Address, Envelope, Number};
use crate::node::{self, FAR, NEAR};

const PING: Address = Address { node: NEAR, actor: 0 };
const PONG: Address = Address { node: FAR, actor: 0 };

/// The round of `remote-ping-pong`.
pub fn round(task: &Task, way: Way) -> RoundReport {
    let numbers = task.messages / 2;
    let near = |socket| ping(socket, way, numbers);
    let ((elapsed, sum), ()) = node::run(task, way, near, |socket| pong(socket, way));
    task.report(elapsed, sum)
}

/// The actor that sends. Its node ends when all has come back, or when nothing comes any more.
async fn ping(socket: TcpStream, way: Way, numbers: u64) -> (Duration, u64) {
    let (mailbox, mut inbox) = unbounded_channel();
    let (outbox, _) = connection::start(socket, way, vec![mailbox]);
    play(&outbox, &mut inbox, REMOTE_PING_PONG_WARM_UP / 2).await;
    let start = Instant::now();
    let sum = play(&outbox, &mut inbox, numbers).await;
    (start.elapsed(), sum)
}

/// Comes to the sum of the numbers that came back.
async fn play(outbox: &Outbox, inbox: &mut UnboundedReceiver<Number>, numbers: u64) -> u64 {
    let mut sum = 0;
    for number in 0..numbers {
        let message = Number { number, from: PING };
        if outbox.send(Envelope { to: PONG.actor, message }).await.is_err() {
            break;
        }
        let Some(message) = inbox.recv().await else { break };
        sum += message.number;
    }
    sum
}

/// The actor that answers. Its node ends when the other has closed the connection.
async fn pong(socket: TcpStream, way: Way) {
    let (mailbox, mut inbox) = unbounded_channel::<Number>();
    let (outbox, _) = connection::start(socket, way, vec![mailbox]);
    while let Some(Number { number, from }) = inbox.recv().await {
        let message = Number { number, from: PONG };
        if outbox.send(Envelope { to: from.actor, message }).await.is_err() {
            break;
        }
    }
}
