//! One actor that tells 1,000 others in turn.

use std::time::Instant;

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{TELL_ACTORS, TELL_BATCH};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::stage::{self, WARM_UP_MESSAGES};

/// The measured section uses the actors of the warm-up.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages;
    stage::run(task, async move |stage| {
        let start_receiver = |_| stage.start(Receiver { sum: 0 });
        let receivers = (0..TELL_ACTORS).map(start_receiver).collect();
        let sender = stage.start(Sender { receivers });
        tell(&sender, WARM_UP_MESSAGES).await;
        let start = Instant::now();
        let sum = tell(&sender, numbers).await;
        (start.elapsed(), sum)
    })
}

async fn tell(sender: &Addr<Sender>, numbers: u64) -> u64 {
    let (done, sum) = oneshot::channel();
    sender.do_send(Tell { numbers, done });
    sum.await.unwrap_or(0)
}

#[derive(Message)]
#[rtype(result = "()")]
struct Number(u64);

/// Asks for the sum of the numbers since the last time.
#[derive(Message)]
#[rtype(result = "u64")]
struct Sum;

#[derive(Message)]
#[rtype(result = "()")]
struct Tell {
    numbers: u64,
    done: oneshot::Sender<u64>,
}

struct Receiver {
    sum: u64,
}

impl Actor for Receiver {
    type Context = Context<Self>;
}

impl Handler<Number> for Receiver {
    type Result = ();

    fn handle(&mut self, Number(number): Number, _: &mut Self::Context) {
        self.sum += number;
    }
}

impl Handler<Sum> for Receiver {
    type Result = u64;

    fn handle(&mut self, _: Sum, _: &mut Self::Context) -> u64 {
        std::mem::take(&mut self.sum)
    }
}

struct Sender {
    receivers: std::sync::Arc<[Addr<Receiver>]>,
}

impl Actor for Sender {
    type Context = Context<Self>;
}

impl Handler<Tell> for Sender {
    type Result = ();

    /// The whole sending is one future of the actor. It yields between batches; a message to itself would be handled
    /// before the receivers had their turn, because an actor of actix empties its mailbox before it lets go.
    fn handle(&mut self, tell: Tell, ctx: &mut Self::Context) {
        let receivers = self.receivers.clone();
        let sending = async move {
            let mut in_turn = receivers.iter().cycle();
            let mut number = 0;
            while number < tell.numbers {
                let end = tell.numbers.min(number + TELL_BATCH);
                for (number, receiver) in (number..end).zip(&mut in_turn) {
                    receiver.do_send(Number(number));
                }
                number = end;
                yield_now().await;
            }
            let mut sum = 0;
            for receiver in receivers.iter() {
                sum += receiver.send(Sum).await.unwrap_or(0);
            }
            let _ = tell.done.send(sum);
        };
        ctx.spawn(sending.into_actor(self));
    }
}
