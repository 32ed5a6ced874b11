//! One actor asks another: `send(..)` without `detach`. xtra has no deadline for an answer.

use std::time::Instant;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use xtra::prelude::*;

use super::stage::{self, WARM_UP_MESSAGES, start};

struct Number(u64);

/// Asks for so many numbers and answers the sum of the answers.
struct AskFor(u64);

#[derive(xtra::Actor)]
struct Asked;

#[derive(xtra::Actor)]
struct Asking {
    asked: Address<Asked>,
}

/// The measured section uses the actors of the warm-up.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages;
    stage::run(task, async move {
        let asking = start(Asking { asked: start(Asked) });
        let _ = asking.send(AskFor(WARM_UP_MESSAGES)).await;
        let start = Instant::now();
        let sum = asking.send(AskFor(numbers)).await.unwrap_or(0);
        (start.elapsed(), sum)
    })
}

impl Handler<Number> for Asked {
    type Return = u64;

    async fn handle(&mut self, Number(number): Number, _: &mut Context<Self>) -> u64 {
        number
    }
}

impl Handler<AskFor> for Asking {
    type Return = u64;

    async fn handle(&mut self, AskFor(numbers): AskFor, _: &mut Context<Self>) -> u64 {
        let mut sum = 0;
        for number in 0..numbers {
            let Ok(number) = self.asked.send(Number(number)).await else { break };
            sum += number;
        }
        sum
    }
}
