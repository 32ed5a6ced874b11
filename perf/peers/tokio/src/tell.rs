//! One actor that tells 1,000 others in turn.

use std::time::Instant;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{TELL_ACTORS, TELL_BATCH};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::stage::{self, WARM_UP_MESSAGES};

enum ToReceiver {
    Number(u64),
    /// Answers the sum of the numbers since the last time.
    Sum(oneshot::Sender<u64>),
}

/// The sender is the program's first task.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages;
    stage::run(task, async move {
        let receivers: Vec<_> = (0..TELL_ACTORS).map(|_| start_receiver()).collect();
        tell(&receivers, WARM_UP_MESSAGES).await;
        let start = Instant::now();
        let sum = tell(&receivers, numbers).await;
        (start.elapsed(), sum)
    })
}

async fn tell(receivers: &[UnboundedSender<ToReceiver>], numbers: u64) -> u64 {
    let mut in_turn = receivers.iter().cycle();
    let mut number = 0;
    while number < numbers {
        let end = numbers.min(number + TELL_BATCH);
        for (number, receiver) in (number..end).zip(&mut in_turn) {
            let _ = receiver.send(ToReceiver::Number(number));
        }
        number = end;
        yield_now().await;
    }
    let mut sum = 0;
    for receiver in receivers {
        let (reply, answer) = oneshot::channel();
        let _ = receiver.send(ToReceiver::Sum(reply));
        sum += answer.await.unwrap_or(0);
    }
    sum
}

fn start_receiver() -> UnboundedSender<ToReceiver> {
    let (address, inbox) = unbounded_channel();
    tokio::spawn(receive(inbox));
    address
}

async fn receive(mut inbox: UnboundedReceiver<ToReceiver>) {
    let mut sum = 0;
    while let Some(message) = inbox.recv().await {
        match message {
            ToReceiver::Number(number) => sum += number,
            ToReceiver::Sum(reply) => {
                let _ = reply.send(std::mem::take(&mut sum));
            }
        }
    }
}
