//! `savina-banking`: transfers between accounts, of which an account handles one at a time.
//!
//! The accounts are dealt to the cores; the teller, which is the main actor, lives on core 0. A source asks the
//! destination with a deadline and parks further transfers until the answer has come; deposits of others it takes
//! meanwhile. The teller sends 256 transfers at a time and keeps at most 1,024 under way, so a ring never fills.

use std::collections::VecDeque;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_perf_contest::Random;
use mainspring_perf_contest::program::{
    BANKING_ACCOUNTS, BANKING_INITIAL_BALANCE, BANKING_TRANSACTIONS,
};

use super::crew::{Crew, Members, Roster, Spread, Team, muster};
use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static BANKING: Savina<Banking> = Savina {
    description: &Description {
        name: "savina-banking",
        measures: "one of 50,000 transfers among 1,000 accounts: ordered, asked, confirmed",
        default_messages: 20 * BANKING_TRANSACTIONS,
        counted_messages: BANKING_TRANSACTIONS,
        ..COMMON
    },
    program: Banking { accounts: BANKING_ACCOUNTS, transfers: BANKING_TRANSACTIONS },
};

/// The program.
#[derive(Clone)]
pub struct Banking {
    /// Accounts of the bank.
    pub accounts: u64,
    /// Transfers between them.
    pub transfers: u64,
}

impl Program for Banking {
    type Main = Teller;

    fn messages(&self) -> u64 {
        self.transfers
    }

    fn sum(&self) -> u64 {
        self.transfers
    }

    fn main_actor(&self, iteration: Iteration) -> Teller {
        Teller {
            iteration,
            random: Random::seeded(iteration.number),
            roster: Roster::new(self.accounts, SPREAD),
            accounts: Vec::new(),
            unsent: self.transfers,
            under_way: 0,
            confirmed: 0,
            balances_missing: self.accounts,
            balance: 0,
        }
    }
}

const SPREAD: Spread = Spread::Dealt;
const TRANSFERS_A_TURN: u64 = 256;
const TRANSFERS_UNDER_WAY: u64 = 1_024;
const DEADLINE: Duration = Duration::from_secs(10);

/// To the teller.
#[message]
pub enum TellerMessage {
    /// The accounts of one core.
    Made { core: u16, accounts: Vec<ActorRef<AccountMessage>> },
    /// A transfer has been done.
    Confirmed,
    /// What an account holds in the end.
    Balance { amount: u64 },
}

/// To an account.
#[message]
pub enum AccountMessage {
    /// Give so much to another account.
    Transfer { amount: u64, destination: ActorRef<AccountMessage> },
    /// Take so much.
    Deposit { amount: u64, reply_to: ActorRef<Deposited> },
    /// What do you hold?
    Balance,
}

/// A deposit has been taken.
#[message]
pub struct Deposited;

/// Sends the transfers.
pub struct Teller {
    iteration: Iteration,
    random: Random,
    roster: Roster<AccountMessage>,
    accounts: Vec<ActorRef<AccountMessage>>,
    unsent: u64,
    under_way: u64,
    confirmed: u64,
    balances_missing: u64,
    balance: u64,
}

impl Actor for Teller {
    type Message = TellerMessage;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let crew = Accounts { teller: ctx.me() };
        muster(ctx, &crew, self.balances_missing, SPREAD);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        news: &Archived<TellerMessage>,
    ) -> Next<Self> {
        match news {
            ArchivedTellerMessage::Confirmed => {
                self.under_way -= 1;
                self.confirmed += 1;
                self.send(ctx);
            }
            ArchivedTellerMessage::Made { core, accounts } => {
                let all = self.roster.complete(core.to_native(), ctx.cores(), accounts);
                if let Some(all) = all {
                    self.accounts = all;
                    self.send(ctx);
                }
            }
            ArchivedTellerMessage::Balance { amount } => {
                self.balance += amount.to_native();
                self.balances_missing -= 1;
                if self.balances_missing == 0 {
                    let before = self.accounts.len() as u64 * BANKING_INITIAL_BALANCE;
                    let lost = before.abs_diff(self.balance);
                    self.iteration.done_with_loss(ctx, self.confirmed, lost);
                    return Next::Stop;
                }
            }
        }
        Next::Same
    }
}

impl Teller {
    /// Sends transfers while few enough are under way, and asks for the balances when all are done.
    fn send(&mut self, ctx: &mut Context<'_, Self>) {
        while self.unsent > 0 && self.under_way <= TRANSFERS_UNDER_WAY - TRANSFERS_A_TURN {
            let now = self.unsent.min(TRANSFERS_A_TURN);
            (0..now).for_each(|_| self.send_one(ctx));
            self.unsent -= now;
            self.under_way += now;
        }
        if self.unsent == 0 && self.under_way == 0 {
            for account in &self.accounts {
                ctx.tell(*account, &AccountMessage::Balance);
            }
        }
    }

    fn send_one(&mut self, ctx: &mut Context<'_, Self>) {
        // Sources are the first four fifths; a destination has a higher number.
        let accounts = self.accounts.len() as u64;
        let source = self.random.below(accounts / 5 * 4);
        let destination = source + 1 + self.random.below(accounts - 1 - source);
        let amount = 1 + self.random.below(100);
        let destination = self.accounts[destination as usize];
        let transfer = AccountMessage::Transfer { amount, destination };
        ctx.tell(self.accounts[source as usize], &transfer);
    }
}

#[derive(Clone)]
struct Accounts {
    teller: ActorRef<TellerMessage>,
}

impl Crew for Accounts {
    type Member = Account;

    fn member(&self, _: u64) -> Account {
        let (balance, parked) = (BANKING_INITIAL_BALANCE, VecDeque::new());
        Account { teller: self.teller, balance, under_way: false, parked }
    }

    fn made(&self, team: &mut Context<'_, Team<Self>>, accounts: Members<Self>) {
        let core = team.core();
        team.tell(self.teller, &TellerMessage::Made { core, accounts });
    }
}

/// Holds an amount.
struct Account {
    teller: ActorRef<TellerMessage>,
    balance: u64,
    /// A transfer waits for its confirmation.
    under_way: bool,
    /// Transfers that wait for that one, in order: at most as many as the teller has under way.
    parked: VecDeque<(u64, ActorRef<AccountMessage>)>,
}

impl Actor for Account {
    type Message = AccountMessage;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<AccountMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedAccountMessage::Transfer { amount, destination } => {
                let (amount, destination) = (amount.to_native(), *destination);
                if self.under_way {
                    self.parked.push_back((amount, destination));
                } else {
                    self.transfer(ctx, amount, destination);
                }
            }
            ArchivedAccountMessage::Deposit { amount, reply_to } => {
                self.balance += amount.to_native();
                ctx.tell(*reply_to, &Deposited);
            }
            ArchivedAccountMessage::Balance => {
                ctx.tell(self.teller, &TellerMessage::Balance { amount: self.balance });
            }
        }
        Next::Same
    }
}

impl Account {
    fn transfer(
        &mut self,
        ctx: &mut Context<'_, Self>,
        amount: u64,
        destination: ActorRef<AccountMessage>,
    ) {
        self.under_way = true;
        self.balance -= amount;
        let deposit = |reply_to| AccountMessage::Deposit { amount, reply_to };
        ctx.ask(destination, deposit, DEADLINE, Self::deposited);
    }

    fn deposited(
        &mut self,
        ctx: &mut Context<'_, Self>,
        answer: Result<&Archived<Deposited>, AskError>,
    ) -> Next<Self> {
        // Without an answer nothing is known of the amount: it is not confirmed, and the round's check fails.
        if answer.is_ok() {
            ctx.tell(self.teller, &TellerMessage::Confirmed);
        }
        self.under_way = false;
        if let Some((amount, destination)) = self.parked.pop_front() {
            self.transfer(ctx, amount, destination);
        }
        Next::Same
    }
}
