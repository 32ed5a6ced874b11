//! One actor asks another: a message with the sender of a oneshot channel, and a deadline for the answer.

use std::pin::pin;
use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{self, sleep};

use super::stage::{self, WARM_UP_MESSAGES};

const DEADLINE: Duration = Duration::from_secs(1);

struct Ask {
    number: u64,
    reply: oneshot::Sender<u64>,
}

/// The one who asks is the program's first task.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages;
    stage::run(task, async move {
        let (address, inbox) = unbounded_channel();
        tokio::spawn(answer(inbox));
        ask(&address, WARM_UP_MESSAGES).await;
        let start = Instant::now();
        let sum = ask(&address, numbers).await;
        (start.elapsed(), sum)
    })
}

async fn ask(address: &UnboundedSender<Ask>, numbers: u64) -> u64 {
    let mut sum = 0;
    // One timer that is set again for each ask: to make and drop one each time, as `timeout` does, is slower.
    let mut deadline = pin!(sleep(DEADLINE));
    for number in 0..numbers {
        let (reply, answer) = oneshot::channel();
        deadline.as_mut().reset(time::Instant::now() + DEADLINE);
        let _ = address.send(Ask { number, reply });
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = &mut deadline => break,
        };
        let Ok(number) = answer else { break };
        sum += number;
    }
    sum
}

async fn answer(mut inbox: UnboundedReceiver<Ask>) {
    while let Some(Ask { number, reply }) = inbox.recv().await {
        let _ = reply.send(number);
    }
}
