//! The program: deposits, the projection, and the comparison.

use crate::account::{Account, Balance, Command};
use crate::options::Options;
use crate::read_side::{PROJECTION, ReadSide, Row};
use mainspring::prelude::*;
use mainspring_journal::Journal;
use mainspring_journal::projection::{
    Projection, ProjectionHandle, ProjectionState, ProjectionStatus,
};
use mainspring_journal::query::{EventQuery, Offset, ReadLimits, Selection};
use std::error::Error;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How long one answer, or the table's catching up, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Deposits whose answers are waited for at the same time.
const WINDOW: usize = 256;
/// Small batches, so that there are many transactions.
const EVENTS_OF_A_BATCH: usize = 200;
/// Accounts that are printed.
const PRINTED: usize = 5;

/// Whether the table is right.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
    std::fs::create_dir_all(&options.data)?;
    let journal = Journal::at(options.data.join("journal")).system("ledger").allow_buffered(true);
    let node = Node::builder()
        .name("ledger")
        .cores(Cores::count(usize::from(options.cores)))
        .idle(IdleProfile::Eco)
        .with(journal.clone())
        .start()?;
    let read_side = ReadSide::open(&options.data.join("balances.sqlite"), options.abort_in_batch)?;
    let projection = project(&journal, read_side.clone())?;
    let accounts: Vec<ActorRef<Command>> = (0..options.accounts)
        .map(|id| journal.entity(&node, id, Account::default).start())
        .collect::<Result<_, _>>()?;
    let client = node.client();

    let began = Instant::now();
    deposit(&client, &accounts, options)?;
    let took = began.elapsed().as_secs_f64();
    writeln!(
        out,
        "{} deposits into {} accounts in {took:.2} s",
        options.deposits, options.accounts
    )?;
    let balances = balances(&client, &accounts)?;
    let goal = Goal::of(&journal, options.cores, 0);
    let mut is_right = compare(out, "the table", &goal, &projection, &read_side, &balances)?;

    let all: u64 = balances.iter().map(|balance| balance.deposits).sum();
    let goal = Goal::of(&journal, options.cores, projection.status().events + all);
    projection.rebuild();
    is_right &= compare(out, "the table made anew", &goal, &projection, &read_side, &balances)?;
    for Row { id, cents, deposits } in read_side.rows()?.into_iter().take(PRINTED) {
        writeln!(
            out,
            "account {id:>5}  {:>9}.{:02}  {deposits} deposits",
            cents / 100,
            cents % 100
        )?;
    }
    projection.stop();
    drop(client);
    node.shutdown(PATIENCE)?;
    Ok(is_right)
}

fn project(journal: &Journal, read_side: ReadSide) -> Result<ProjectionHandle, Box<dyn Error>> {
    let accounts = Selection::all().of_type("account");
    let query = EventQuery::live(journal.logs()?, accounts, &Offset::beginning())?;
    let limits = ReadLimits { events: EVENTS_OF_A_BATCH, ..ReadLimits::default() };
    let (handler, offsets) = (read_side.clone(), read_side);
    Ok(Projection::new(PROJECTION, query.with_limits(limits), handler, offsets).start()?)
}

fn deposit(
    client: &Client,
    accounts: &[ActorRef<Command>],
    options: &Options,
) -> Result<(), Box<dyn Error>> {
    let numbers: Vec<u64> = (0..options.deposits).collect();
    for window in numbers.chunks(WINDOW) {
        let mut answers = Vec::with_capacity(WINDOW);
        for number in window {
            let random = xxh3_64_with_seed(&number.to_le_bytes(), options.seed);
            let account = accounts[(random % options.accounts) as usize];
            let cents = 1 + (random >> 32) % 10_000;
            let command = |reply_to| Command::Deposit { cents, reply_to };
            answers.push(client.ask(account, command, PATIENCE));
        }
        for answer in answers {
            answer.wait()?;
        }
    }
    Ok(())
}

/// What the actors have.
fn balances(
    client: &Client,
    accounts: &[ActorRef<Command>],
) -> Result<Vec<Balance>, Box<dyn Error>> {
    let mut balances = Vec::with_capacity(accounts.len());
    for window in accounts.chunks(WINDOW) {
        let get = |reply_to| Command::Get { reply_to };
        let asked: Vec<_> =
            window.iter().map(|account| client.ask(*account, get, PATIENCE)).collect();
        for answer in asked {
            balances.push(answer.wait()?);
        }
    }
    Ok(balances)
}

/// What the projection must have taken.
struct Goal {
    /// Up to where the log of each core is durable.
    logs: Vec<(u32, u64)>,
    events: u64,
}

impl Goal {
    /// Everything that is durable now, and so many events.
    fn of(journal: &Journal, cores: u16, events: u64) -> Self {
        let lsn_of = |core| journal.durable_lsn(core).map(|lsn| lsn.load(Ordering::Acquire));
        let logs = (0..cores).filter_map(|core| Some((u32::from(core), lsn_of(core)?))).collect();
        Goal { logs, events }
    }

    fn is_reached(&self, status: &ProjectionStatus) -> bool {
        let is_behind = |(core, lsn): &(u32, u64)| status.offset.lsn(*core) >= *lsn;
        status.events >= self.events && self.logs.iter().all(is_behind)
    }
}

/// Waits until the projection has taken what it must, and holds the table against the actors.
fn compare(
    out: &mut dyn Write,
    what: &str,
    goal: &Goal,
    projection: &ProjectionHandle,
    read_side: &ReadSide,
    balances: &[Balance],
) -> Result<bool, Box<dyn Error>> {
    let status = projection.wait_until(PATIENCE, |status| {
        let is_over = matches!(status.state, ProjectionState::Failed | ProjectionState::Stopped);
        is_over || goal.is_reached(status)
    });
    if !goal.is_reached(&status) {
        let reason = status.last_error.unwrap_or_else(|| "it did not catch up".to_owned());
        return Err(format!("the projection: {reason}").into());
    }
    let rows = read_side.rows()?;
    let mut wrong = 0;
    for (id, balance) in (0..).zip(balances) {
        let row = rows.iter().find(|row| row.id == id);
        let found = row.map_or((0, 0), |row| (row.cents, row.deposits));
        wrong += usize::from(found != (balance.cents, balance.deposits));
    }
    let verdict = if wrong == 0 { "right" } else { "wrong" };
    writeln!(out, "{what}: {} rows, {wrong} differ from their actors: {verdict}", rows.len())?;
    Ok(wrong == 0)
}
