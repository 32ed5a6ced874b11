//! The shop on a node: its journal, its services with their ledgers, and a desk on each core.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainspring::message::Reply;
use mainspring::node::{ClientError, NodeError, StartError};
use mainspring::prelude::*;
use mainspring_journal::Journal;

use super::clerk::{Clerk, ClerkMessage, Work};
use super::desk::{self, Commits, Desk, DeskMessage};
use super::ledger::{Ledger, LedgerCommand, Ready, Statement};
use super::mark::{self, Mark};
use super::meter::{Counts, Meters};
use super::options::Options;
use super::order::Description;
use super::proof::{Books, Proof};
use super::service::{Request, Service};
use super::step::Step;

/// Questions with short answers that are under way at the same time.
const QUESTIONS: usize = 256;
/// The same for statements of ledgers, which are long.
const STATEMENTS: usize = 32;
/// Of the way back to the one who asks, so that it has room for the answers to all of them.
const ANSWERS_BYTES: usize = 4 << 20;
/// How long an actor may take to recover and to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long a name may take to be known on all cores.
const NAMES_WITHIN: Duration = Duration::from_secs(10);
/// Of a segment of the journal: small, so that a short run needs little room.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Over which the entities are spread.
const SHARDS: u32 = 64;

/// Why the shop does not work.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    #[error("the node did not start: {0}")]
    Start(#[from] StartError),
    #[error("an actor was not made: {0}")]
    Spawn(#[from] NodeError),
    #[error("an actor did not answer: {0}")]
    Ask(#[from] ClientError),
    #[error("the node did not stop in order: {0}")]
    Stop(#[from] mainspring::Error),
    #[error("the name `{name}` was not known within {NAMES_WITHIN:?}")]
    Name { name: String },
}

/// A shop that is open.
pub struct Shop {
    node: Node,
    client: Client,
    journal: Journal,
    /// The ledgers of each step's service.
    ledgers: Vec<(Step, Vec<ActorRef<LedgerCommand>>)>,
    desks: Vec<ActorRef<DeskMessage>>,
}

impl Shop {
    /// Opens the journal in `data`, and makes the actors that are always there.
    pub fn open(options: &Options, data: PathBuf) -> Result<Shop, ShopError> {
        let journal = Journal::at(data)
            .system("orders")
            .shard_count(SHARDS)
            .segment_bytes(SEGMENT_BYTES)
            .allow_buffered(options.allow_buffered)
            .snapshot_every(100)
            .keep_snapshots(2);
        let cores = Cores::count(options.cores.into());
        let node = Node::builder()
            .name("orders")
            .cores(cores)
            .limits(|limits| limits.client_ring_bytes = ANSWERS_BYTES)
            .with(journal.clone())
            .with(Meters)
            .start()?;
        let mut ledgers = Vec::new();
        for step in Step::ALL {
            ledgers.push((step, open_ledgers(&node, &journal, step, options.orders)?));
        }
        let desks = (0..node.cores()).map(|core| node.actor(Desk::default).on_core(core).start());
        let desks = desks.collect::<Result<_, _>>()?;
        let client = node.client();
        Ok(Shop { node, client, journal, ledgers, desks })
    }

    /// Waits until all ledgers have recovered; how many there are.
    pub fn await_ledgers(&self) -> Result<usize, ShopError> {
        let mut count = 0;
        for (_, ledgers) in &self.ledgers {
            let ask = |_: &_, reply_to| LedgerCommand::Ready { reply_to };
            let ready: Vec<Ready> = self.ask_all(ledgers, |ledger| *ledger, ask)?;
            count += ready.len();
        }
        Ok(count)
    }

    /// Opens the services and gives the clerk its work.
    pub fn begin(&self, options: &Options) -> Result<ActorRef<ClerkMessage>, ShopError> {
        for (place, (step, ledgers)) in self.ledgers.iter().enumerate() {
            let (name, seed, ledgers) = (step.service(), options.seed, ledgers.clone());
            let core = place as u16 % self.node.cores();
            let make = move || Service::new(name, seed, ledgers.clone());
            let _: ActorRef<Request> = self.node.actor(make).on_core(core).start()?;
        }
        for name in self.names() {
            self.await_name(&name)?;
        }
        let mark = self.journal.entity(&self.node, mark::ID, Mark::default).start()?;
        let journal = self.journal.clone();
        let work = Work {
            seed: options.seed,
            orders: options.orders,
            window: options.window,
            desks: self.desks.clone(),
            core_of: Arc::new(move |number| journal.core_of(number)),
            mark,
        };
        Ok(self.node.actor(move || Clerk::new(work.clone())).on_core(0).start()?)
    }

    /// How far the clerk is.
    pub fn progress(
        &self,
        clerk: ActorRef<ClerkMessage>,
    ) -> Result<super::clerk::Progress, ShopError> {
        let ask = |reply_to| ClerkMessage::Progress { reply_to };
        Ok(self.client.ask(clerk, ask, ANSWER_WITHIN).wait()?)
    }

    /// How long it took until events were durable, since the last question.
    pub fn commits(&self) -> Result<Counts, ShopError> {
        let ask = |_: &_, reply_to| DeskMessage::Commits { reply_to };
        let commits: Vec<Commits> = self.ask_all(&self.desks, |desk| *desk, ask)?;
        Ok(commits.into_iter().flat_map(|commits| commits.counts).collect())
    }

    /// Asks every ledger and every order what has become of it.
    pub fn prove(&self, orders: u64) -> Result<Proof, ShopError> {
        let mut books = Books::default();
        for (step, ledgers) in &self.ledgers {
            let ask = |_: &_, reply_to| LedgerCommand::Statement { reply_to };
            let mut number = 0;
            for some in ledgers.chunks(STATEMENTS) {
                let statements: Vec<Statement> = self.ask_all(some, |ledger| *ledger, ask)?;
                for statement in &statements {
                    books.add_ledger(*step, number, statement);
                    number += 1;
                }
            }
        }
        let numbers: Vec<u64> = (1..=orders).collect();
        for some in numbers.chunks(QUESTIONS) {
            let desk_of = |number: &u64| self.desks[usize::from(self.journal.core_of(*number))];
            let ask = |number: &u64, reply_to| DeskMessage::Describe { number: *number, reply_to };
            let described: Vec<Description> = self.ask_all(some, desk_of, ask)?;
            for (number, order) in some.iter().zip(&described) {
                books.add_order(*number, order);
            }
        }
        Ok(books.proof())
    }

    /// Closes the journal and stops the node.
    pub fn close(self) -> Result<(), ShopError> {
        let Shop { node, client, .. } = self;
        drop(client);
        Ok(node.shutdown(STOP_WITHIN)?)
    }

    fn names(&self) -> Vec<String> {
        let services = Step::ALL.iter().map(|step| step.service().to_owned());
        services.chain((0..self.node.cores()).map(desk::name)).collect()
    }

    /// Core 0 holds the names; what it knows, the others have been told or will ask for.
    fn await_name(&self, name: &str) -> Result<(), ShopError> {
        let started = std::time::Instant::now();
        let is_known = || match name.starts_with("desk") {
            true => self.node.lookup::<DeskMessage>(name).is_ok(),
            false => self.node.lookup::<Request>(name).is_ok(),
        };
        while !is_known() {
            if started.elapsed() > NAMES_WITHIN {
                return Err(ShopError::Name { name: name.to_owned() });
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Asks one question for each item, some at a time; the answers in the same order.
    fn ask_all<T, M: Message, R: Reply>(
        &self,
        items: &[T],
        whom: impl Fn(&T) -> ActorRef<M>,
        question: impl Fn(&T, ActorRef<R>) -> M,
    ) -> Result<Vec<R>, ShopError> {
        let mut answers = Vec::with_capacity(items.len());
        for some in items.chunks(QUESTIONS) {
            let asked: Vec<_> = some
                .iter()
                .map(|item| {
                    let request = |reply_to| question(item, reply_to);
                    self.client.ask(whom(item), request, ANSWER_WITHIN)
                })
                .collect();
            for answer in asked {
                answers.push(answer.wait()?);
            }
        }
        Ok(answers)
    }
}

fn open_ledgers(
    node: &Node,
    journal: &Journal,
    step: Step,
    orders: u64,
) -> Result<Vec<ActorRef<LedgerCommand>>, ShopError> {
    let start = step.opening_balance(orders);
    let restart = Restart::at_most(10)
        .within(Duration::from_secs(10))
        .backoff(Duration::from_millis(10)..Duration::from_secs(1));
    let ledgers = (0..step.ledgers()).map(|number| {
        let id = format!("{}/{number}", step.service());
        let entity = journal.entity(node, id, move || Ledger::holding(start));
        Ok(entity.on_failure(restart).start()?)
    });
    ledgers.collect()
}
