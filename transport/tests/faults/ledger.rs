//! An actor that keeps account of what comes, and those who send to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainspring::node::ClientError;
use mainspring::prelude::*;

use crate::{Outcome, PATIENCE};

/// The `n`-th message of a sender, with so many bytes that follow from `n`.
#[message]
pub struct Note {
    pub from: u32,
    pub n: u64,
    pub filler: Vec<u8>,
    pub reply_to: Option<ActorRef<Account>>,
}

/// What has come of one sender.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// The last number.
    pub last: u64,
    /// Messages.
    pub count: u64,
    /// Messages whose number was not above the one before, or whose bytes are not their own.
    pub wrong: u64,
}

/// Keeps an account for each sender.
#[derive(Default)]
pub struct Ledger {
    accounts: BTreeMap<u32, Account>,
}

impl Actor for Ledger {
    type Message = Note;

    fn receive(&mut self, ctx: &mut Context<Self>, note: &Archived<Note>) -> Next<Self> {
        let account = self.accounts.entry(note.from.to_native()).or_default();
        let n = note.n.to_native();
        let is_right = n > account.last && note.filler.iter().all(|byte| *byte == filler_byte(n));
        account.wrong += u64::from(!is_right);
        account.count += 1;
        account.last = n;
        let account = *account;
        if let Some(reply_to) = note.reply_to.as_ref() {
            ctx.tell(*reply_to, &account);
        }
        Next::Same
    }
}

/// Somebody who sends notes, numbered from 1, and asks what has come of them.
pub struct Sender {
    client: Client,
    to: ActorRef<Note>,
    from: u32,
    n: u64,
    taken: u64,
    filler_bytes: usize,
}

impl Sender {
    pub fn new(client: Client, to: ActorRef<Note>, from: u32, filler_bytes: usize) -> Sender {
        Sender { client, to, from, n: 0, taken: 0, filler_bytes }
    }

    /// Sends so many notes, or fewer if there is no room; whether all went.
    pub fn send(&mut self, notes: usize) -> bool {
        (0..notes).all(|_| {
            let note = self.next(None);
            let is_taken = self.client.tell(self.to, &note).is_ok();
            self.taken += u64::from(is_taken);
            is_taken
        })
    }

    /// Asks for the account, again and again until it is given.
    pub fn settle(&mut self) -> Outcome<Account> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.ask(Duration::from_millis(500)) {
                Ok(account) => return Ok(account),
                Err(error) if Instant::now() > end => return Err(error.into()),
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    /// Asks for the account once.
    pub fn ask(&mut self, patience: Duration) -> Result<Account, ClientError> {
        let note = self.next(None);
        let ask = |reply_to| Note { reply_to: Some(reply_to), ..note };
        self.client.ask(self.to, ask, patience).wait()
    }

    /// Notes that were made, sent or not.
    pub fn made(&self) -> u64 {
        self.n
    }

    /// Notes that the node's core has taken from this sender since they were last forgotten.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Begins that number anew; what it was.
    pub fn forget_taken(&mut self) -> u64 {
        std::mem::take(&mut self.taken)
    }

    fn next(&mut self, reply_to: Option<ActorRef<Account>>) -> Note {
        self.n += 1;
        let filler = vec![filler_byte(self.n); self.filler_bytes];
        Note { from: self.from, n: self.n, filler, reply_to }
    }
}

fn filler_byte(n: u64) -> u8 {
    n as u8 ^ 0x5A
}
