//! One actor asks another: `Addr::send` with a deadline.

use std::time::{Duration, Instant};

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use tokio::sync::oneshot;

use super::stage::{self, WARM_UP_MESSAGES};

const DEADLINE: Duration = Duration::from_secs(1);

/// The measured section uses the actors of the warm-up.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages;
    stage::run(task, async move |stage| {
        let asked = stage.start(Asked);
        let asking = stage.start(Asking { asked });
        ask(&asking, WARM_UP_MESSAGES).await;
        let start = Instant::now();
        let sum = ask(&asking, numbers).await;
        (start.elapsed(), sum)
    })
}

async fn ask(asking: &Addr<Asking>, numbers: u64) -> u64 {
    let (done, sum) = oneshot::channel();
    asking.do_send(Begin { numbers, done });
    sum.await.unwrap_or(0)
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Number(u64);

#[derive(Message)]
#[rtype(result = "()")]
struct Begin {
    numbers: u64,
    done: oneshot::Sender<u64>,
}

struct Asked;

impl Actor for Asked {
    type Context = Context<Self>;
}

impl Handler<Number> for Asked {
    type Result = u64;

    fn handle(&mut self, Number(number): Number, _: &mut Self::Context) -> u64 {
        number
    }
}

struct Asking {
    asked: Addr<Asked>,
}

impl Actor for Asking {
    type Context = Context<Self>;
}

impl Handler<Begin> for Asking {
    type Result = ();

    /// All asks are one future of the actor: a future for each would be one allocation more.
    fn handle(&mut self, begin: Begin, ctx: &mut Self::Context) {
        let asked = self.asked.clone();
        let asking = async move {
            let mut sum = 0;
            for number in 0..begin.numbers {
                let Ok(number) = asked.send(Number(number)).timeout(DEADLINE).await else { break };
                sum += number;
            }
            let _ = begin.done.send(sum);
        };
        ctx.spawn(asking.into_actor(self));
    }
}
