//! `tell-same-core`: one actor tells numbers to a thousand others in turn.

use std::time::Instant;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{TELL_ACTORS, TELL_BATCH};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::measure::{self, WARM_UP_MESSAGES, ask, spawn, tell};

/// The round of `tell-same-core`.
pub fn same_core(task: &Task) -> RoundReport {
    measure::section(task, |messages| async move {
        let teller = spawn(Teller, ()).await;
        ask(&teller, |sum| Begin { messages: WARM_UP_MESSAGES, sum }).await;
        let start = Instant::now();
        let sum = ask(&teller, |sum| Begin { messages, sum }).await;
        (start.elapsed(), sum)
    })
}

struct Begin {
    messages: u64,
    sum: RpcReplyPort<u64>,
}
enum ToReceiver {
    Number(u64),
    Total(RpcReplyPort<u64>),
}

struct Teller;

impl Actor for Teller {
    type Msg = Begin;
    type State = Vec<ActorRef<ToReceiver>>;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<Begin>,
        _: (),
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut receivers = Vec::with_capacity(TELL_ACTORS);
        for _ in 0..TELL_ACTORS {
            receivers.push(spawn(Receiver, ()).await);
        }
        Ok(receivers)
    }

    async fn handle(
        &self,
        _: ActorRef<Begin>,
        begin: Begin,
        receivers: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let mut in_turn = receivers.iter().cycle();
        for number in 0..begin.messages {
            let receiver = in_turn.next().expect("there are receivers");
            tell(receiver, ToReceiver::Number(number));
            if (number + 1) % TELL_BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut sum = 0;
        for receiver in receivers.iter() {
            sum += ask(receiver, ToReceiver::Total).await;
        }
        begin.sum.send(sum)?;
        Ok(())
    }
}

struct Receiver;

impl Actor for Receiver {
    type Msg = ToReceiver;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToReceiver>, _: ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<ToReceiver>,
        message: ToReceiver,
        sum: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToReceiver::Number(number) => *sum += number,
            ToReceiver::Total(reply) => reply.send(std::mem::take(sum))?,
        }
        Ok(())
    }
}
