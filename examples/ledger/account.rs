//! An account: its balance is the sum of what was deposited.

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::{Effect, EventSourced, event, events, state};

/// What an account understands.
#[message]
pub enum Command {
    /// More money.
    Deposit {
        /// How much.
        cents: u64,
        /// Who is told the balance when it is durable.
        reply_to: ActorRef<Balance>,
    },
    /// How much there is.
    Get {
        /// Who is told.
        reply_to: ActorRef<Balance>,
    },
}

/// What an account has.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// The money.
    pub cents: u64,
    /// How many deposits it came from.
    pub deposits: u64,
}

/// Money has come.
#[event(name = "account.deposited", version = 1)]
pub struct Deposited {
    /// How much.
    pub cents: u64,
}

/// What can happen to an account.
#[events]
pub enum AccountEvent {
    /// Money has come.
    Deposited(Deposited),
}

/// The state of an account.
#[state(name = "account", version = 1)]
#[derive(Default)]
pub struct Account {
    cents: u64,
    deposits: u64,
}

impl Account {
    fn balance(&self) -> Balance {
        Balance { cents: self.cents, deposits: self.deposits }
    }
}

impl EventSourced for Account {
    type Command = Command;
    type Event = AccountEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Deposit { cents, reply_to } => {
                Effect::persist(Deposited { cents: cents.to_native() })
                    .then_reply(*reply_to, Account::balance)
            }
            ArchivedCommand::Get { reply_to } => Effect::reply(*reply_to, self.balance()),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, AccountEvent>) {
        let ArchivedAccountEvent::Deposited(deposited) = event;
        self.cents += deposited.cents.to_native();
        self.deposits += 1;
    }
}
