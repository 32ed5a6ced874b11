//! `savina-count`: a producer sends a million increments to a counter, then asks for the count.

use std::ops::ControlFlow;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::COUNT_MESSAGES;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::mailbox::{Address, Inbox, STREAM_MESSAGES, handle_each, mailbox, tell};
use super::stage;

enum ToCounter {
    Increment,
    Get(oneshot::Sender<u64>),
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (counter, inbox) = mailbox();
        tokio::spawn(count(inbox));
        tokio::spawn(produce(counter)).await.unwrap_or(0)
    })
}

async fn produce(counter: Address<ToCounter>) -> u64 {
    for sent in 1..=COUNT_MESSAGES {
        tell(&counter, ToCounter::Increment);
        if sent % STREAM_MESSAGES == 0 {
            yield_now().await;
        }
    }
    let (reply, count) = oneshot::channel();
    tell(&counter, ToCounter::Get(reply));
    count.await.unwrap_or(0)
}

async fn count(inbox: Inbox<ToCounter>) {
    let mut count = 0;
    handle_each(inbox, |message| {
        match message {
            ToCounter::Increment => count += 1,
            ToCounter::Get(reply) => {
                let _ = reply.send(count);
            }
        }
        ControlFlow::Continue(())
    })
    .await;
}
