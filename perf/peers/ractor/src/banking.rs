//! `savina-banking`: transfers between accounts, each of which does one at a time.
//!
//! The account that pays calls the one that receives, and awaits the answer in its handler: so it handles nothing
//! else meanwhile. Money only goes to accounts of a higher number, so nobody waits in a circle.

use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{
    BANKING_ACCOUNTS, BANKING_INITIAL_BALANCE, BANKING_TRANSACTIONS,
};
use mainspring_perf_contest::{Random, RoundReport};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::oneshot;

use crate::measure::{self, ask, spawn, tell};

/// Accounts that pay: the first so many.
const SOURCES: u64 = 800;
const AMOUNT_MOST: u64 = 100;
/// How many transfers the teller has under way at most.
const BATCH: u64 = 256;

/// The round of `savina-banking`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |iteration| async move {
        let (done, confirmed) = oneshot::channel();
        spawn(Teller, (Random::seeded(iteration), done)).await;
        confirmed.await.expect("the teller answers")
    })
}

enum ToTeller {
    Begin,
    Confirmed,
    Closed { balance: u64 },
}
enum ToAccount {
    Transfer { amount: u64, to: ActorRef<ToAccount> },
    Deposit { amount: u64, confirm: RpcReplyPort<()> },
    Close,
}

struct Teller;

struct TellerState {
    accounts: Vec<ActorRef<ToAccount>>,
    random: Random,
    sent: u64,
    confirmed: u64,
    closed: u64,
    balance: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl TellerState {
    fn send_batch(&mut self) {
        for _ in 0..BATCH.min(BANKING_TRANSACTIONS - self.sent) {
            let source = self.random.below(SOURCES);
            let destination = source + 1 + self.random.below(BANKING_ACCOUNTS - 1 - source);
            let amount = 1 + self.random.below(AMOUNT_MOST);
            let to = self.accounts[destination as usize].clone();
            tell(&self.accounts[source as usize], ToAccount::Transfer { amount, to });
            self.sent += 1;
        }
    }

    fn confirmed(&mut self) {
        self.confirmed += 1;
        if self.confirmed == BANKING_TRANSACTIONS {
            self.accounts.iter().for_each(|account| tell(account, ToAccount::Close));
        } else if self.confirmed == self.sent {
            self.send_batch();
        }
    }
}

impl Actor for Teller {
    type Msg = ToTeller;
    type State = TellerState;
    type Arguments = (Random, oneshot::Sender<u64>);

    async fn pre_start(
        &self,
        own: ActorRef<ToTeller>,
        (random, done): Self::Arguments,
    ) -> Result<TellerState, ActorProcessingErr> {
        let mut accounts = Vec::new();
        for _ in 0..BANKING_ACCOUNTS {
            accounts.push(spawn(Account, own.clone()).await);
        }
        tell(&own, ToTeller::Begin);
        let done = Some(done);
        Ok(TellerState { accounts, random, sent: 0, confirmed: 0, closed: 0, balance: 0, done })
    }

    async fn handle(
        &self,
        own: ActorRef<ToTeller>,
        message: ToTeller,
        state: &mut TellerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToTeller::Begin => state.send_batch(),
            ToTeller::Confirmed => state.confirmed(),
            ToTeller::Closed { balance } => {
                state.balance += balance;
                state.closed += 1;
                if state.closed == BANKING_ACCOUNTS
                    && let Some(done) = state.done.take()
                {
                    let kept = state.balance == BANKING_ACCOUNTS * BANKING_INITIAL_BALANCE;
                    // Money that was lost or made shows as a sum that is refused.
                    let _ = done.send(if kept { state.confirmed } else { 0 });
                    own.stop(None);
                }
            }
        }
        Ok(())
    }
}

struct Account;

struct AccountState {
    balance: u64,
    teller: ActorRef<ToTeller>,
}

impl Actor for Account {
    type Msg = ToAccount;
    type State = AccountState;
    type Arguments = ActorRef<ToTeller>;

    async fn pre_start(
        &self,
        _: ActorRef<ToAccount>,
        teller: Self::Arguments,
    ) -> Result<AccountState, ActorProcessingErr> {
        Ok(AccountState { balance: BANKING_INITIAL_BALANCE, teller })
    }

    async fn handle(
        &self,
        own: ActorRef<ToAccount>,
        message: ToAccount,
        state: &mut AccountState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToAccount::Transfer { amount, to } => {
                state.balance -= amount;
                ask(&to, |confirm| ToAccount::Deposit { amount, confirm }).await;
                tell(&state.teller, ToTeller::Confirmed);
            }
            ToAccount::Deposit { amount, confirm } => {
                state.balance += amount;
                confirm.send(())?;
            }
            ToAccount::Close => {
                tell(&state.teller, ToTeller::Closed { balance: state.balance });
                own.stop(None);
            }
        }
        Ok(())
    }
}
