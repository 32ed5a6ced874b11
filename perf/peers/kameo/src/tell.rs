//! `tell-same-core`: one actor tells numbers to a thousand others in turn.

use std::time::Instant;

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{TELL_ACTORS, TELL_BATCH};

use crate::measure::{self, WARM_UP_MESSAGES, tell};

/// The round of `tell-same-core`.
pub fn same_core(task: &Task) -> RoundReport {
    measure::section(task, |messages| async move {
        let receiver = |_| Receiver::spawn_with_mailbox(Receiver { sum: 0 }, mailbox::unbounded());
        let receivers = (0..TELL_ACTORS).map(receiver).collect();
        let teller = Teller { receivers };
        let teller = Teller::spawn_with_mailbox(teller, mailbox::unbounded());
        teller.ask(Begin { messages: WARM_UP_MESSAGES }).send().await.expect("the teller lives");
        let start = Instant::now();
        let sum = teller.ask(Begin { messages }).send().await.expect("the teller lives");
        (start.elapsed(), sum)
    })
}

struct Begin {
    messages: u64,
}
struct Number(u64);
struct Total;

#[derive(Actor)]
struct Teller {
    receivers: Vec<ActorRef<Receiver>>,
}

impl Message<Begin> for Teller {
    type Reply = u64;

    async fn handle(&mut self, Begin { messages }: Begin, _: &mut Context<Self, u64>) -> u64 {
        let mut in_turn = self.receivers.iter().cycle();
        for number in 0..messages {
            let receiver = in_turn.next().expect("there are receivers");
            tell(receiver, Number(number));
            if (number + 1) % TELL_BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut sum = 0;
        for receiver in &self.receivers {
            sum += receiver.ask(Total).send().await.expect("the receiver lives");
        }
        sum
    }
}

#[derive(Actor)]
struct Receiver {
    sum: u64,
}

impl Message<Number> for Receiver {
    type Reply = ();

    async fn handle(&mut self, Number(number): Number, _: &mut Context<Self, ()>) {
        self.sum += number;
    }
}

impl Message<Total> for Receiver {
    type Reply = u64;

    async fn handle(&mut self, _: Total, _: &mut Context<Self, u64>) -> u64 {
        std::mem::take(&mut self.sum)
    }
}
