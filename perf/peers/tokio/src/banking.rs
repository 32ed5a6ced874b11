//! `savina-banking`: transfers between accounts, each account one at a time.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{
    BANKING_ACCOUNTS, BANKING_INITIAL_BALANCE, BANKING_TRANSACTIONS,
};
use mainspring_perf_contest::{Random, RoundReport};
use tokio::task::{JoinHandle, yield_now};

use super::mailbox::{Address, Inbox, handle_each, mailbox, tell};
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

enum ToAccount {
    Transfer(Transfer),
    Deposit {
        amount: u64,
        source: usize,
    },
    /// The destination has taken the amount.
    Taken,
    Stop,
}

struct Confirmed;

type Accounts = Arc<[Address<ToAccount>]>;

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |iteration| async move {
        let (addresses, inboxes): (Vec<_>, Vec<_>) =
            (0..BANKING_ACCOUNTS).map(|_| mailbox()).unzip();
        let accounts: Accounts = addresses.into();
        let (teller, inbox_of_teller) = mailbox();
        let start = |(number, inbox)| {
            let account = Account::new(number, accounts.clone(), teller.clone());
            tokio::spawn(account.keep(inbox))
        };
        let started: Vec<JoinHandle<u64>> = inboxes.into_iter().enumerate().map(start).collect();
        let transfers = transfer(iteration, accounts.clone(), inbox_of_teller);
        let confirmed = tokio::spawn(transfers).await.unwrap_or(0);
        accounts.iter().for_each(|account| tell(account, ToAccount::Stop));
        let mut balances = 0;
        for account in started {
            balances += account.await.unwrap_or(0);
        }
        // Money that was lost or made makes the iteration worth nothing.
        if balances == BANKING_ACCOUNTS * BANKING_INITIAL_BALANCE { confirmed } else { 0 }
    })
}

/// The teller; it comes to the number of transfers that were confirmed.
async fn transfer(iteration: u64, accounts: Accounts, inbox: Inbox<Confirmed>) -> u64 {
    let mut random = Random::seeded(iteration);
    for sent in 1..=BANKING_TRANSACTIONS {
        let source = random.below(SOURCES);
        let destination = (source + 1 + random.below(BANKING_ACCOUNTS - 1 - source)) as usize;
        let amount = 1 + random.below(100);
        let transfer = ToAccount::Transfer(Transfer { destination, amount });
        tell(&accounts[source as usize], transfer);
        if sent % TRANSFERS_AT_ONCE == 0 {
            yield_now().await;
        }
    }
    let mut confirmed = 0;
    handle_each(inbox, |Confirmed| {
        confirmed += 1;
        if confirmed < BANKING_TRANSACTIONS {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })
    .await;
    confirmed
}

struct Account {
    number: usize,
    accounts: Accounts,
    teller: Address<Confirmed>,
    balance: u64,
    /// The transfer that waits for its confirmation.
    current: Option<Transfer>,
    stash: VecDeque<Transfer>,
}

impl Account {
    fn new(number: usize, accounts: Accounts, teller: Address<Confirmed>) -> Self {
        let (balance, stash) = (BANKING_INITIAL_BALANCE, VecDeque::new());
        Account { number, accounts, teller, balance, current: None, stash }
    }

    /// Comes to the last balance.
    async fn keep(mut self, inbox: Inbox<ToAccount>) -> u64 {
        handle_each(inbox, |message| {
            match message {
                ToAccount::Transfer(transfer) if self.current.is_some() => {
                    self.stash.push_back(transfer);
                }
                ToAccount::Transfer(transfer) => self.begin(transfer),
                ToAccount::Deposit { amount, source } => {
                    self.balance += amount;
                    tell(&self.accounts[source], ToAccount::Taken);
                }
                ToAccount::Taken => self.confirm(),
                ToAccount::Stop => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        })
        .await;
        self.balance
    }

    fn begin(&mut self, transfer: Transfer) {
        let deposit = ToAccount::Deposit { amount: transfer.amount, source: self.number };
        tell(&self.accounts[transfer.destination], deposit);
        self.current = Some(transfer);
    }

    fn confirm(&mut self) {
        if let Some(transfer) = self.current.take() {
            self.balance -= transfer.amount;
            tell(&self.teller, Confirmed);
        }
        if let Some(next) = self.stash.pop_front() {
            self.begin(next);
        }
    }
}
