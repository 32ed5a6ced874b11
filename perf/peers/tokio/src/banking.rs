//! `savina-banking`: transfers between accounts, each account one at a time.

use std::sync::Arc;

use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{
    BANKING_ACCOUNTS, BANKING_INITIAL_BALANCE, BANKING_TRANSACTIONS,
};
use mainspring_perf_contest::{Random, RoundReport};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

use super::mailbox::{Address, Inbox, mailbox, tell};
use super::stage;

/// Transfers that the teller sends before it lets the accounts run; PROGRAMS.md wants at least 256.
const TRANSFERS_AT_ONCE: u64 = 1_024;

/// Accounts that money goes out of.
const SOURCES: u64 = 800;

enum ToAccount {
    Transfer { destination: usize, amount: u64, confirm: Address<Confirmed> },
    Deposit { amount: u64, confirm: oneshot::Sender<()> },
    Stop,
}

struct Confirmed;

type Accounts = Arc<[Address<ToAccount>]>;

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |iteration| async move {
        let (addresses, inboxes): (Vec<_>, Vec<_>) =
            (0..BANKING_ACCOUNTS).map(|_| mailbox()).unzip();
        let accounts: Accounts = addresses.into();
        let started: Vec<JoinHandle<u64>> =
            inboxes.into_iter().map(|inbox| tokio::spawn(keep(inbox, accounts.clone()))).collect();
        let confirmed =
            tokio::spawn(transfer(iteration, accounts.clone())).await.unwrap_or_default();
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
async fn transfer(iteration: u64, accounts: Accounts) -> u64 {
    let mut random = Random::seeded(iteration);
    let (confirm, mut inbox) = mailbox();
    for sent in 1..=BANKING_TRANSACTIONS {
        let source = random.below(SOURCES);
        let destination = source + 1 + random.below(BANKING_ACCOUNTS - 1 - source);
        let amount = 1 + random.below(100);
        let message = ToAccount::Transfer {
            destination: destination as usize,
            amount,
            confirm: confirm.clone(),
        };
        tell(&accounts[source as usize], message);
        if sent % TRANSFERS_AT_ONCE == 0 {
            yield_now().await;
        }
    }
    let mut confirmed = 0;
    while confirmed < BANKING_TRANSACTIONS && inbox.recv().await.is_some() {
        confirmed += 1;
    }
    confirmed
}

/// An account. It waits for the confirmation of its own transfer before it looks at another message; destinations
/// have higher numbers than sources, so no two wait for each other. Comes to its last balance.
async fn keep(mut inbox: Inbox<ToAccount>, accounts: Accounts) -> u64 {
    let mut balance = BANKING_INITIAL_BALANCE;
    while let Some(message) = inbox.recv().await {
        match message {
            ToAccount::Transfer { destination, amount, confirm } => {
                let (taken, confirmed) = oneshot::channel();
                tell(&accounts[destination], ToAccount::Deposit { amount, confirm: taken });
                if confirmed.await.is_ok() {
                    balance -= amount;
                    tell(&confirm, Confirmed);
                }
            }
            ToAccount::Deposit { amount, confirm } => {
                balance += amount;
                let _ = confirm.send(());
            }
            ToAccount::Stop => break,
        }
    }
    balance
}
