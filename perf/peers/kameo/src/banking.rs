//! `savina-banking`: transfers between accounts, each of which does one at a time.
//!
//! The account that pays asks the one that receives, and awaits the answer in its handler: so it handles nothing else
//! meanwhile. Money only goes to accounts of a higher number, so nobody waits in a circle.

use std::sync::Arc;

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{
    BANKING_ACCOUNTS, BANKING_INITIAL_BALANCE, BANKING_TRANSACTIONS,
};
use mainspring_perf_contest::{Random, RoundReport};
use tokio::sync::oneshot;

use crate::measure::{self, tell};

/// Accounts that pay: the first so many.
const SOURCES: u64 = 800;
const AMOUNT_MOST: u64 = 100;
/// How many transfers the teller has under way at most.
const BATCH: u64 = 256;

/// The round of `savina-banking`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |iteration| async move {
        let (done, confirmed) = oneshot::channel();
        let teller = Teller::prepare_with_mailbox(mailbox::unbounded());
        let teller_ref = teller.actor_ref().clone();
        let account = |_| {
            let account = Account { balance: BANKING_INITIAL_BALANCE, teller: teller_ref.clone() };
            Account::spawn_with_mailbox(account, mailbox::unbounded())
        };
        let accounts = (0..BANKING_ACCOUNTS).map(account).collect();
        let random = Random::seeded(iteration);
        let counts = Counts::default();
        teller.spawn(Teller { accounts, random, counts, done: Some(done) });
        tell(&teller_ref, Begin);
        confirmed.await.expect("the teller answers")
    })
}

struct Begin;
struct Transfer {
    amount: u64,
    to: ActorRef<Account>,
}
struct Confirmed;
struct Deposit {
    amount: u64,
}
struct Close;
struct Closed {
    balance: u64,
}

#[derive(Default)]
struct Counts {
    sent: u64,
    confirmed: u64,
    closed: u64,
    balance: u64,
}

#[derive(Actor)]
struct Teller {
    accounts: Arc<[ActorRef<Account>]>,
    random: Random,
    counts: Counts,
    done: Option<oneshot::Sender<u64>>,
}

impl Teller {
    fn send_batch(&mut self) {
        for _ in 0..BATCH.min(BANKING_TRANSACTIONS - self.counts.sent) {
            let source = self.random.below(SOURCES);
            let destination = source + 1 + self.random.below(BANKING_ACCOUNTS - 1 - source);
            let amount = 1 + self.random.below(AMOUNT_MOST);
            let to = self.accounts[destination as usize].clone();
            tell(&self.accounts[source as usize], Transfer { amount, to });
            self.counts.sent += 1;
        }
    }
}

impl Message<Begin> for Teller {
    type Reply = ();

    async fn handle(&mut self, _: Begin, _: &mut Context<Self, ()>) {
        self.send_batch();
    }
}

impl Message<Confirmed> for Teller {
    type Reply = ();

    async fn handle(&mut self, _: Confirmed, _: &mut Context<Self, ()>) {
        self.counts.confirmed += 1;
        if self.counts.confirmed == BANKING_TRANSACTIONS {
            self.accounts.iter().for_each(|account| tell(account, Close));
        } else if self.counts.confirmed == self.counts.sent {
            self.send_batch();
        }
    }
}

impl Message<Closed> for Teller {
    type Reply = ();

    async fn handle(&mut self, Closed { balance }: Closed, context: &mut Context<Self, ()>) {
        self.counts.balance += balance;
        self.counts.closed += 1;
        if self.counts.closed == BANKING_ACCOUNTS
            && let Some(done) = self.done.take()
        {
            let kept = self.counts.balance == BANKING_ACCOUNTS * BANKING_INITIAL_BALANCE;
            // Money that was lost or made shows as a sum that is refused.
            let _ = done.send(if kept { self.counts.confirmed } else { 0 });
            context.stop();
        }
    }
}

#[derive(Actor)]
struct Account {
    balance: u64,
    teller: ActorRef<Teller>,
}

impl Message<Transfer> for Account {
    type Reply = ();

    async fn handle(&mut self, Transfer { amount, to }: Transfer, _: &mut Context<Self, ()>) {
        self.balance -= amount;
        to.ask(Deposit { amount }).send().await.expect("the account lives");
        tell(&self.teller, Confirmed);
    }
}

impl Message<Deposit> for Account {
    type Reply = ();

    async fn handle(&mut self, Deposit { amount }: Deposit, _: &mut Context<Self, ()>) {
        self.balance += amount;
    }
}

impl Message<Close> for Account {
    type Reply = ();

    async fn handle(&mut self, _: Close, context: &mut Context<Self, ()>) {
        tell(&self.teller, Closed { balance: self.balance });
        context.stop();
    }
}
