//! A turn that holds up its core is named in the log: who, in which behaviour, for how long.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainspring::prelude::*;

const PATIENCE: Duration = Duration::from_secs(20);

#[message]
struct Work {
    for_ms: u64,
    reply_to: ActorRef<Done>,
}

#[message]
struct Done;

struct Sluggard;

impl Actor for Sluggard {
    type Message = Work;

    fn started(&mut self, _: &mut Context<Self>) -> Next<Self> {
        Next::switch(Self::dawdling)
    }

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Work>) -> Next<Self> {
        Next::Same
    }
}

impl Sluggard {
    fn dawdling(&mut self, ctx: &mut Context<Self>, work: &Archived<Work>) -> Next<Self> {
        let end = Instant::now() + Duration::from_millis(work.for_ms.to_native());
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        ctx.tell(work.reply_to, &Done);
        Next::Same
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines_with(&self, part: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

#[test]
fn a_slow_turn_is_logged_with_actor_behaviour_and_duration_and_at_most_once_a_second() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let node = Node::builder().cores(Cores::count(1)).idle(IdleProfile::Eco).start().unwrap();
    let sluggard = node.spawn(|| Sluggard).unwrap();
    let client = node.client();
    let began = Instant::now();
    for _ in 0..3 {
        let work = |reply_to| Work { for_ms: 30, reply_to };
        client.ask(sluggard, work, PATIENCE).wait().unwrap();
    }
    let took = began.elapsed();
    node.shutdown(PATIENCE).unwrap();
    let lines = log.lines_with("a turn held up its core");
    assert!(!lines.is_empty(), "nothing was logged");
    assert!(lines[0].contains("Sluggard"), "{}", lines[0]);
    assert!(lines[0].contains("behavior=\"dawdling\""), "{}", lines[0]);
    assert!(lines[0].contains("duration_ns="), "{}", lines[0]);
    // Three slow turns, one line for each second begun.
    assert!(lines.len() as u64 <= 1 + took.as_secs(), "{} lines in {took:?}", lines.len());
}
