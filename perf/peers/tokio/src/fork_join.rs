//! The fork-join programs: a stream of work to 60 actors, and an actor made for each piece of work.

use std::ops::ControlFlow;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{FORK_JOIN_ACTORS, FORK_JOIN_CREATED, FORK_JOIN_MESSAGES};
use mainspring_perf_contest::work::{ANGLE, compute};
use tokio::task::yield_now;

use super::mailbox::{Address, Inbox, STREAM_MESSAGES, handle_each, mailbox, tell};
use super::stage;

struct Work(f64);

/// What an actor has handled when it has all that it waits for.
struct Handled(u64);

/// So many actors are made before the maker lets them run.
const CREATED_AT_ONCE: u64 = 8;

pub fn throughput(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (collector, handled) = mailbox();
        let start = |_| {
            let (worker, inbox) = mailbox();
            tokio::spawn(work(inbox, FORK_JOIN_MESSAGES, collector.clone()));
            worker
        };
        let workers: Vec<Address<Work>> = (0..FORK_JOIN_ACTORS).map(start).collect();
        for round in 1..=FORK_JOIN_MESSAGES {
            workers.iter().for_each(|worker| tell(worker, Work(ANGLE)));
            if round % (STREAM_MESSAGES / FORK_JOIN_ACTORS) == 0 {
                yield_now().await;
            }
        }
        drop(collector);
        collect(handled).await
    })
}

pub fn create(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (collector, handled) = mailbox();
        for created in 1..=FORK_JOIN_CREATED {
            let (worker, inbox) = mailbox();
            tokio::spawn(work(inbox, 1, collector.clone()));
            tell(&worker, Work(ANGLE));
            if created % CREATED_AT_ONCE == 0 {
                yield_now().await;
            }
        }
        drop(collector);
        collect(handled).await
    })
}

/// An actor that stops when it has handled as many messages as it waits for.
async fn work(inbox: Inbox<Work>, expected: u64, collector: Address<Handled>) {
    let mut handled = 0;
    handle_each(inbox, |Work(angle)| {
        compute(angle);
        handled += 1;
        if handled == expected { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await;
    tell(&collector, Handled(handled));
}

/// Adds up what the actors have handled; the last of them closes the mailbox.
async fn collect(inbox: Inbox<Handled>) -> u64 {
    let mut sum = 0;
    handle_each(inbox, |Handled(count)| {
        sum += count;
        ControlFlow::Continue(())
    })
    .await;
    sum
}
