//! `savina-banking`: transfers between accounts, each account one at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::prelude::*;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{
    BANKING_ACCOUNTS, BANKING_INITIAL_BALANCE, BANKING_TRANSACTIONS,
};
use mainspring_perf_contest::{Random, RoundReport};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::stage;

/// Transfers that the teller sends before it lets the accounts run; PROGRAMS.md wants at least 256.
const TRANSFERS_AT_ONCE: u64 = 1_024;

/// Accounts that money goes out of.
const SOURCES: u64 = 800;

#[derive(Clone, Copy)]
struct Transfer {
    destination: usize,
    amount: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToAccount {
    Meet(Arc<World>),
    Transfer(Transfer),
    Deposit {
        amount: u64,
        source: usize,
    },
    /// The destination has taken the amount.
    Taken,
    Stop,
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToTeller {
    Begin(Arc<World>),
    Confirmed,
    /// An account has stopped.
    Stopped {
        balance: u64,
    },
}

struct World {
    teller: Addr<Teller>,
    accounts: Vec<Addr<Account>>,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, iteration| {
        let (done, result) = oneshot::channel();
        let teller = Teller {
            world: None,
            iteration,
            confirmed: 0,
            accounts_stopped: 0,
            balances: 0,
            done: Some(done),
        };
        let teller = stage.start(teller);
        let start = |number: u64| stage.start(Account::new(number as usize));
        let world =
            Arc::new(World { teller, accounts: (0..BANKING_ACCOUNTS).map(start).collect() });
        for account in &world.accounts {
            account.do_send(ToAccount::Meet(world.clone()));
        }
        world.teller.do_send(ToTeller::Begin(world.clone()));
        result.await.unwrap_or(0)
    })
}

struct Account {
    number: usize,
    world: Option<Arc<World>>,
    balance: u64,
    /// The transfer that waits for its confirmation.
    current: Option<Transfer>,
    stash: VecDeque<Transfer>,
}

impl Account {
    fn new(number: usize) -> Self {
        let stash = VecDeque::new();
        Account { number, world: None, balance: BANKING_INITIAL_BALANCE, current: None, stash }
    }

    fn begin(&mut self, transfer: Transfer, world: &World) {
        let deposit = ToAccount::Deposit { amount: transfer.amount, source: self.number };
        world.accounts[transfer.destination].do_send(deposit);
        self.current = Some(transfer);
    }
}

impl Actor for Account {
    type Context = Context<Self>;
}

impl Handler<ToAccount> for Account {
    type Result = ();

    fn handle(&mut self, message: ToAccount, ctx: &mut Self::Context) {
        if let ToAccount::Meet(world) = message {
            self.world = Some(world);
            return;
        }
        let Some(world) = self.world.clone() else { return };
        match message {
            ToAccount::Meet(_) => {}
            ToAccount::Transfer(transfer) if self.current.is_some() => {
                self.stash.push_back(transfer);
            }
            ToAccount::Transfer(transfer) => self.begin(transfer, &world),
            ToAccount::Deposit { amount, source } => {
                self.balance += amount;
                world.accounts[source].do_send(ToAccount::Taken);
            }
            ToAccount::Taken => {
                if let Some(transfer) = self.current.take() {
                    self.balance -= transfer.amount;
                    world.teller.do_send(ToTeller::Confirmed);
                }
                if let Some(next) = self.stash.pop_front() {
                    self.begin(next, &world);
                }
            }
            ToAccount::Stop => {
                world.teller.do_send(ToTeller::Stopped { balance: self.balance });
                ctx.stop();
            }
        }
    }
}

struct Teller {
    world: Option<Arc<World>>,
    iteration: u64,
    confirmed: u64,
    accounts_stopped: u64,
    balances: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Teller {
    /// Sends all transfers, some at once.
    async fn send_all(world: Arc<World>, iteration: u64) {
        let mut random = Random::seeded(iteration);
        for sent in 1..=BANKING_TRANSACTIONS {
            let source = random.below(SOURCES);
            let destination = (source + 1 + random.below(BANKING_ACCOUNTS - 1 - source)) as usize;
            let amount = 1 + random.below(100);
            let transfer = ToAccount::Transfer(Transfer { destination, amount });
            world.accounts[source as usize].do_send(transfer);
            if sent % TRANSFERS_AT_ONCE == 0 {
                yield_now().await;
            }
        }
    }

    fn finish(&mut self) {
        // Money that was lost or made makes the iteration worth nothing.
        let is_right = self.balances == BANKING_ACCOUNTS * BANKING_INITIAL_BALANCE;
        if let Some(done) = self.done.take() {
            let _ = done.send(if is_right { self.confirmed } else { 0 });
        }
    }
}

impl Actor for Teller {
    type Context = Context<Self>;
}

impl Handler<ToTeller> for Teller {
    type Result = ();

    fn handle(&mut self, message: ToTeller, ctx: &mut Self::Context) {
        match message {
            ToTeller::Begin(world) => {
                self.world = Some(world.clone());
                ctx.spawn(Teller::send_all(world, self.iteration).into_actor(self));
            }
            ToTeller::Confirmed => {
                self.confirmed += 1;
                if self.confirmed == BANKING_TRANSACTIONS {
                    for account in self.world.iter().flat_map(|world| &world.accounts) {
                        account.do_send(ToAccount::Stop);
                    }
                }
            }
            ToTeller::Stopped { balance } => {
                self.balances += balance;
                self.accounts_stopped += 1;
                if self.accounts_stopped == BANKING_ACCOUNTS {
                    self.finish();
                    ctx.stop();
                }
            }
        }
    }
}
