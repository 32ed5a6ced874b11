//! One run on a node: makes the actors, sends the file through them, gathers their answers.

use super::directory::{Directory, DirectoryMessage, Handled, Roster};
use super::fold::{Fold, Ledger};
use super::ingest::{Ingest, IngestMessage, Progress as Sent};
use super::latency::{Percentiles, Recorded};
use super::options::{Idle, Options};
use super::pace::Pace;
use super::party::Party;
use super::progress::Progress;
use super::reader::Text;
use super::report::Run;
use super::route::Route;
use super::shadow::ShadowMessage;
use super::totals::Totals;
use mainspring::message::Reply;
use mainspring::node::{ClientError, NodeError, StartError};
use mainspring::prelude::*;
use quanta::Clock;
use std::time::{Duration, Instant};

/// Rows that an ingestion actor reads before another one's turn in the file comes.
const ROWS_A_BLOCK: usize = 1_024;
/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long an actor may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long messages that were sent may take to be handled before they count as lost.
const HANDLED_WITHIN: Duration = Duration::from_secs(30);
/// Questions that are under way at the same time.
const QUESTIONS: usize = 64;
/// How long the node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// What the actors answered, and how fast it went.
pub struct Answers {
    pub ledger: Ledger,
    pub run: Run,
}

/// Why a run gave no answers.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the node did not start: {0}")]
    Start(#[from] StartError),
    #[error("an actor was not made: {0}")]
    Spawn(#[from] NodeError),
    #[error("the work was not begun: {0}")]
    Tell(#[from] TellError),
    #[error("an actor did not answer: {0}")]
    Ask(#[from] ClientError),
    #[error("the node did not stop in order: {0}")]
    Stop(#[from] mainspring::Error),
    /// A part of the file was malformed when the actors read it.
    #[error("{0}")]
    File(String),
    /// Messages were sent and not handled.
    #[error("{handled} of {sent} messages were handled within {HANDLED_WITHIN:?}")]
    Lost { sent: u64, handled: u64 },
}

/// Sends every flight of `text` through actors, as often as the options say.
pub fn run(options: &Options, text: &Text, fold: &Fold) -> Result<Answers, RunError> {
    let node = Node::builder().name("flights").cores(cores(options)).idle(idle(options)).start()?;
    let answers = Crew::new(&node, options, text, fold).and_then(|crew| crew.work(options, fold));
    let stopped = node.shutdown(STOP_WITHIN);
    let answers = answers?;
    stopped?;
    Ok(answers)
}

fn cores(options: &Options) -> Cores {
    options.cores.map_or_else(Cores::all, |cores| Cores::count(cores.into()))
}

fn idle(options: &Options) -> IdleProfile {
    match options.idle {
        Idle::Busy => IdleProfile::Busy,
        Idle::Hybrid => IdleProfile::default(),
        Idle::Eco => IdleProfile::Eco,
    }
}

/// The actors that do the work: a directory and an ingestion actor on every core.
struct Crew {
    client: Client,
    directories: Vec<ActorRef<DirectoryMessage>>,
    ingests: Vec<ActorRef<IngestMessage>>,
}

impl Crew {
    fn new(node: &Node, options: &Options, text: &Text, fold: &Fold) -> Result<Crew, RunError> {
        let cores = node.cores();
        let directories: Vec<_> = (0..cores)
            .map(|core| node.actor(Directory::new).on_core(core).start())
            .collect::<Result<_, _>>()?;
        let pace = options.pace.zip(fold.period);
        let pace = pace.map(|(times, (first, last))| Pace { times, first, last });
        let ingest = |core: u16| {
            let (text, directories) = (text.clone(), directories.clone());
            let passes = options.repeat;
            let make = move || {
                let share = (usize::from(core), usize::from(cores));
                let route = Route::new(text.clone(), ROWS_A_BLOCK, share.0, share.1, passes);
                Ingest::new(route, pace, directories.clone())
            };
            node.actor(make).on_core(core).start()
        };
        let ingests = (0..cores).map(ingest).collect::<Result<_, _>>()?;
        Ok(Crew { client: node.client(), directories, ingests })
    }

    fn work(&self, options: &Options, fold: &Fold) -> Result<Answers, RunError> {
        let clock = Clock::new();
        let started = clock.raw();
        for ingest in &self.ingests {
            self.client.tell(*ingest, &IngestMessage::Continue)?;
        }
        let sent = self.watch(fold.flights * u64::from(options.repeat))?;
        self.await_handled(sent)?;
        let recorded =
            self.ask_all(&self.directories, |reply_to| DirectoryMessage::Latencies { reply_to })?;
        let ended =
            recorded.iter().map(|core: &Recorded| core.last_handled).max().unwrap_or(started);
        let seconds = clock.delta_as_nanos(started, ended.max(started)) as f64 / 1e9;
        Ok(Answers { ledger: self.gather()?, run: speed(options, seconds, &recorded) })
    }

    /// Shows the progress until everything is sent; how many messages that were.
    fn watch(&self, flights: u64) -> Result<u64, RunError> {
        let bar = Progress::new(flights);
        loop {
            let sent: Vec<Sent> =
                self.ask_all(&self.ingests, |reply_to| IngestMessage::Progress { reply_to })?;
            if let Some(failure) = sent.iter().find_map(|one| one.failure.clone()) {
                return Err(RunError::File(failure));
            }
            bar.set(sent.iter().map(|one| one.flights).sum());
            if sent.iter().all(|one| one.finished) {
                bar.finish();
                return Ok(sent.iter().map(|one| one.messages).sum());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until the shadows have handled everything that was sent.
    fn await_handled(&self, sent: u64) -> Result<(), RunError> {
        let started = Instant::now();
        loop {
            let counts: Vec<Handled> =
                self.ask_all(&self.directories, |reply_to| DirectoryMessage::Handled { reply_to })?;
            let handled: u64 = counts.iter().map(|core| core.messages).sum();
            if handled >= sent {
                return Ok(());
            }
            if started.elapsed() > HANDLED_WITHIN {
                return Err(RunError::Lost { sent, handled });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks every shadow for its totals.
    fn gather(&self) -> Result<Ledger, RunError> {
        let rosters: Vec<Roster> =
            self.ask_all(&self.directories, |reply_to| DirectoryMessage::List { reply_to })?;
        let (parties, shadows): (Vec<Party>, Vec<_>) =
            rosters.into_iter().flat_map(|roster| roster.shadows).unzip();
        let totals: Vec<Totals> =
            self.ask_all(&shadows, |reply_to| ShadowMessage::Report { reply_to })?;
        Ok(parties.into_iter().zip(totals).collect())
    }

    /// Asks all actors the same question, some at a time; their answers in the same order.
    fn ask_all<M: Message, R: Reply>(
        &self,
        actors: &[ActorRef<M>],
        question: impl Fn(ActorRef<R>) -> M,
    ) -> Result<Vec<R>, RunError> {
        let mut answers = Vec::with_capacity(actors.len());
        for some in actors.chunks(QUESTIONS) {
            let asked: Vec<_> = some
                .iter()
                .map(|actor| self.client.ask(*actor, &question, ANSWER_WITHIN))
                .collect();
            for answer in asked {
                answers.push(answer.wait()?);
            }
        }
        Ok(answers)
    }
}

fn speed(options: &Options, seconds: f64, recorded: &[Recorded]) -> Run {
    let messages = recorded.iter().map(|core| core.messages).sum();
    Run {
        cores: recorded.len(),
        idle: format!("{:?}", options.idle).to_lowercase(),
        pace: options.pace,
        messages,
        seconds,
        messages_per_second: if seconds > 0.0 { messages as f64 / seconds } else { 0.0 },
        latency_ns: Percentiles::of(recorded),
        messages_per_core: recorded.iter().map(|core| core.messages).collect(),
    }
}
