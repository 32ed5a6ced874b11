//! `savina-banking`: transfers between accounts, each account one at a time.

use std::sync::Arc;

use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{
    BANKING_ACCOUNTS, BANKING_INITIAL_BALANCE, BANKING_TRANSACTIONS,
};
use mainspring_perf_contest::{Random, RoundReport};
use tokio::task::yield_now;
use xtra::prelude::*;

use super::stage::{self, tell};

/// Transfers that the teller sends before it lets the accounts run; PROGRAMS.md wants at least 256.
const TRANSFERS_AT_ONCE: u64 = 1_024;

/// Accounts that money goes out of.
const SOURCES: u64 = 800;

struct Transfer {
    destination: usize,
    amount: u64,
}

struct Deposit {
    amount: u64,
}

/// Stops an account, which answers its balance.
struct Stop;

struct Confirmed;

type Accounts = Arc<[Address<Account>]>;

#[derive(xtra::Actor)]
struct Account {
    accounts: Accounts,
    teller: Address<Teller>,
    balance: u64,
}

/// Stops when all transfers have been confirmed, with their number.
struct Teller {
    confirmed: u64,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |iteration| async move {
        let (accounts, mailboxes): (Vec<Address<Account>>, Vec<_>) =
            (0..BANKING_ACCOUNTS).map(|_| Mailbox::unbounded()).unzip();
        let accounts: Accounts = accounts.into();
        let (teller, mailbox_of_teller) = Mailbox::unbounded();
        for (number, mailbox) in mailboxes.into_iter().enumerate() {
            let (accounts, teller) = (accounts.clone(), teller.clone());
            let address = accounts[number].clone();
            let account = Account { accounts, teller, balance: BANKING_INITIAL_BALANCE };
            xtra::spawn_tokio(account, (address, mailbox));
        }
        let confirmed = tokio::spawn(xtra::run(mailbox_of_teller, Teller { confirmed: 0 }));
        let all_sent = teller.send(SendAll { iteration, accounts: accounts.clone() }).detach();
        let _ = all_sent.await;
        let confirmed = confirmed.await.unwrap_or(0);
        let mut balances = 0;
        for account in accounts.iter() {
            balances += account.send(Stop).await.unwrap_or(0);
        }
        // Money that was lost or made makes the iteration worth nothing.
        if balances == BANKING_ACCOUNTS * BANKING_INITIAL_BALANCE { confirmed } else { 0 }
    })
}

struct SendAll {
    iteration: u64,
    accounts: Accounts,
}

impl Actor for Teller {
    type Stop = u64;

    async fn stopped(self) -> u64 {
        self.confirmed
    }
}

impl Handler<SendAll> for Teller {
    type Return = ();

    async fn handle(&mut self, SendAll { iteration, accounts }: SendAll, _: &mut Context<Self>) {
        let mut random = Random::seeded(iteration);
        for sent in 1..=BANKING_TRANSACTIONS {
            let source = random.below(SOURCES);
            let destination = (source + 1 + random.below(BANKING_ACCOUNTS - 1 - source)) as usize;
            let amount = 1 + random.below(100);
            tell(&accounts[source as usize], Transfer { destination, amount }).await;
            if sent % TRANSFERS_AT_ONCE == 0 {
                yield_now().await;
            }
        }
    }
}

impl Handler<Confirmed> for Teller {
    type Return = ();

    async fn handle(&mut self, _: Confirmed, ctx: &mut Context<Self>) {
        self.confirmed += 1;
        if self.confirmed == BANKING_TRANSACTIONS {
            ctx.stop_self();
        }
    }
}

impl Handler<Transfer> for Account {
    type Return = ();

    /// Handles no other message while it waits for the confirmation; destinations have higher numbers than sources,
    /// so no two accounts wait for each other.
    async fn handle(&mut self, transfer: Transfer, _: &mut Context<Self>) {
        let deposit = Deposit { amount: transfer.amount };
        if self.accounts[transfer.destination].send(deposit).await.is_ok() {
            self.balance -= transfer.amount;
            tell(&self.teller, Confirmed).await;
        }
    }
}

impl Handler<Deposit> for Account {
    type Return = ();

    async fn handle(&mut self, Deposit { amount }: Deposit, _: &mut Context<Self>) {
        self.balance += amount;
    }
}

impl Handler<Stop> for Account {
    type Return = u64;

    async fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) -> u64 {
        ctx.stop_self();
        self.balance
    }
}
