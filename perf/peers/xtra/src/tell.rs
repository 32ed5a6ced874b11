//! One actor that tells 1,000 others in turn.

use std::time::Instant;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{TELL_ACTORS, TELL_BATCH};
use tokio::task::yield_now;
use xtra::prelude::*;

use super::stage::{self, WARM_UP_MESSAGES, start, tell_first};

struct Number(u64);

/// Asks for the sum of the numbers since the last time.
struct Sum;

/// Tells so many numbers and answers the sum of what the receivers got.
struct Tell(u64);

#[derive(xtra::Actor)]
struct Receiver {
    sum: u64,
}

#[derive(xtra::Actor)]
struct Sender {
    receivers: Vec<Address<Receiver>>,
}

/// The measured section uses the actors of the warm-up.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages;
    stage::run(task, async move {
        let receivers = (0..TELL_ACTORS).map(|_| start(Receiver { sum: 0 })).collect();
        let sender = start(Sender { receivers });
        let _ = sender.send(Tell(WARM_UP_MESSAGES)).await;
        let start = Instant::now();
        let sum = sender.send(Tell(numbers)).await.unwrap_or(0);
        (start.elapsed(), sum)
    })
}

impl Handler<Number> for Receiver {
    type Return = ();

    async fn handle(&mut self, Number(number): Number, _: &mut Context<Self>) {
        self.sum += number;
    }
}

impl Handler<Sum> for Receiver {
    type Return = u64;

    async fn handle(&mut self, _: Sum, _: &mut Context<Self>) -> u64 {
        std::mem::take(&mut self.sum)
    }
}

impl Handler<Tell> for Sender {
    type Return = u64;

    async fn handle(&mut self, Tell(numbers): Tell, _: &mut Context<Self>) -> u64 {
        let mut in_turn = self.receivers.iter().cycle();
        let mut number = 0;
        while number < numbers {
            let end = numbers.min(number + TELL_BATCH);
            for (number, receiver) in (number..end).zip(&mut in_turn) {
                tell_first(receiver, Number(number)).await;
            }
            number = end;
            yield_now().await;
        }
        let mut sum = 0;
        for receiver in &self.receivers {
            sum += receiver.send(Sum).await.unwrap_or(0);
        }
        sum
    }
}
