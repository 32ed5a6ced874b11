//! Two actors and one message that goes back and forth between them.

use std::time::Instant;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::PING_PONG_PINGS;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::stage::{self, WARM_UP_MESSAGES};

/// What came back: how many messages, and the sum of their numbers.
#[derive(Clone, Copy)]
struct CameBack {
    count: u64,
    sum: u64,
}

/// The numbers go on from the warm-up's to the measured section's between the same two actors.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages / 2;
    stage::run(task, async move {
        let (pong, inbox) = start_pong();
        let ping = async move {
            let mut ping = Ping { pong, inbox };
            ping.play(WARM_UP_MESSAGES / 2).await;
            let start = Instant::now();
            let came_back = ping.play(numbers).await;
            (start.elapsed(), came_back.sum)
        };
        tokio::spawn(ping).await.expect("ping ends when all came back")
    })
}

/// The suite's: both actors are made anew for each iteration.
pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (pong, inbox) = start_pong();
        let mut ping = Ping { pong, inbox };
        let ping = tokio::spawn(async move { ping.play(PING_PONG_PINGS).await });
        ping.await.expect("ping ends when all came back").count
    })
}

struct Ping {
    pong: UnboundedSender<u64>,
    inbox: UnboundedReceiver<u64>,
}

impl Ping {
    async fn play(&mut self, numbers: u64) -> CameBack {
        let mut came_back = CameBack { count: 0, sum: 0 };
        for number in 0..numbers {
            if self.pong.send(number).is_err() {
                break;
            }
            let Some(number) = self.inbox.recv().await else { break };
            came_back.count += 1;
            came_back.sum += number;
        }
        came_back
    }
}

/// Starts the actor that sends everything back; it ends when ping drops its sender.
fn start_pong() -> (UnboundedSender<u64>, UnboundedReceiver<u64>) {
    let (to_pong, mut inbox) = unbounded_channel::<u64>();
    let (to_ping, inbox_of_ping) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(number) = inbox.recv().await {
            if to_ping.send(number).is_err() {
                break;
            }
        }
    });
    (to_pong, inbox_of_ping)
}
