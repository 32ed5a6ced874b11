//! `ask-same-core`: one actor asks another for numbers, with a deadline.

use std::time::{Duration, Instant};

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;

use crate::measure::{self, WARM_UP_MESSAGES};

const DEADLINE: Duration = Duration::from_secs(1);

/// The round of `ask-same-core`.
pub fn same_core(task: &Task) -> RoundReport {
    measure::section(task, |questions| async move {
        let answerer = Answerer::spawn_with_mailbox(Answerer, mailbox::unbounded());
        let asker = Asker { answerer };
        let asker = Asker::spawn_with_mailbox(asker, mailbox::unbounded());
        let warm_up = Begin { questions: WARM_UP_MESSAGES };
        asker.ask(warm_up).send().await.expect("the asker lives");
        let start = Instant::now();
        let sum = asker.ask(Begin { questions }).send().await.expect("the asker lives");
        (start.elapsed(), sum)
    })
}

struct Begin {
    questions: u64,
}
struct Question(u64);

#[derive(Actor)]
struct Asker {
    answerer: ActorRef<Answerer>,
}

impl Message<Begin> for Asker {
    type Reply = u64;

    async fn handle(&mut self, Begin { questions }: Begin, _: &mut Context<Self, u64>) -> u64 {
        let mut sum = 0;
        for number in 0..questions {
            let question = self.answerer.ask(Question(number)).reply_timeout(DEADLINE);
            sum += question.send().await.expect("an answer within the deadline");
        }
        sum
    }
}

#[derive(Actor)]
struct Answerer;

impl Message<Question> for Answerer {
    type Reply = u64;

    async fn handle(&mut self, Question(number): Question, _: &mut Context<Self, u64>) -> u64 {
        number
    }
}
