//! `ask-same-core`: one actor asks another for numbers, with a deadline.

use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::measure::{self, WARM_UP_MESSAGES, ask, spawn};

const DEADLINE: Duration = Duration::from_secs(1);

/// The round of `ask-same-core`.
pub fn same_core(task: &Task) -> RoundReport {
    measure::section(task, |questions| async move {
        let asker = spawn(Asker, ()).await;
        ask(&asker, |sum| Begin { questions: WARM_UP_MESSAGES, sum }).await;
        let start = Instant::now();
        let sum = ask(&asker, |sum| Begin { questions, sum }).await;
        (start.elapsed(), sum)
    })
}

struct Begin {
    questions: u64,
    sum: RpcReplyPort<u64>,
}
struct Question {
    number: u64,
    answer: RpcReplyPort<u64>,
}

struct Asker;

impl Actor for Asker {
    type Msg = Begin;
    type State = ActorRef<Question>;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<Begin>,
        _: (),
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(spawn(Answerer, ()).await)
    }

    async fn handle(
        &self,
        _: ActorRef<Begin>,
        begin: Begin,
        answerer: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let mut sum = 0;
        for number in 0..begin.questions {
            let question = |answer| Question { number, answer };
            match answerer.call(question, Some(DEADLINE)).await? {
                CallResult::Success(answer) => sum += answer,
                _ => return Err("no answer within the deadline".into()),
            }
        }
        begin.sum.send(sum)?;
        Ok(())
    }
}

struct Answerer;

impl Actor for Answerer {
    type Msg = Question;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Question>, _: ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Question>,
        question: Question,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        question.answer.send(question.number)?;
        Ok(())
    }
}
