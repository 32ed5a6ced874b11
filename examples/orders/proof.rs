//! What must be true when all orders have ended: each is done or undone, no step had an effect twice, and nothing was
//! lost or made of nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ledger::Statement;
use super::order::{Description, Phase};
use super::step::{Key, Step};

/// How many violations are kept.
const VIOLATIONS_LIMIT: usize = 10;

/// What a service has done under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Effects {
    ledger: u32,
    amount: u64,
    taken: u32,
    given_back: u32,
}

/// All ledgers of all services, as they are at the end.
#[derive(Debug, Default)]
pub struct Books {
    effects: BTreeMap<Key, Effects>,
    proof: Proof,
}

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Orders that were looked at.
    pub orders: u64,
    /// Orders whose three steps were done, once each.
    pub done: u64,
    /// Orders of which nothing is left.
    pub compensated: u64,
    /// Ledgers whose balance equals their start less what was taken and not given back.
    pub ledgers: u64,
    /// Keys that the services know.
    pub keys: u64,
    /// Times that something was taken.
    pub taken: u64,
    /// Times that something was given back.
    pub given_back: u64,
    /// Pieces that were reserved for orders that are done.
    pub pieces: u64,
    /// What was paid for orders that are done.
    pub cents: u64,
    /// Parcels of orders that are done.
    pub parcels: u64,
    /// How much is wrong.
    pub violations: u64,
    /// The first of it.
    pub first_violations: Vec<String>,
}

impl Books {
    /// Enters a ledger of the service that does `step`.
    pub fn add_ledger(&mut self, step: Step, number: u32, statement: &Statement) {
        let mut out = 0;
        for entry in &statement.entries {
            let effects = Effects {
                ledger: number,
                amount: entry.amount,
                taken: entry.taken,
                given_back: entry.given_back,
            };
            let key = Key(entry.key);
            out += entry.amount as i64 * (i64::from(entry.taken) - i64::from(entry.given_back));
            self.proof.taken += u64::from(entry.taken);
            self.proof.given_back += u64::from(entry.given_back);
            if entry.taken > 1 || entry.given_back > entry.taken {
                let (taken, given_back) = (entry.taken, entry.given_back);
                self.wrong(format_args!("{key}: taken {taken} times, given back {given_back}"));
            }
            if self.effects.insert(key, effects).is_some() {
                self.wrong(format_args!("{key}: in two ledgers"));
            }
        }
        self.proof.ledgers += 1;
        let (start, balance) = (statement.start, statement.balance);
        if start - out != balance || balance < 0 {
            let service = step.service();
            self.wrong(format_args!(
                "{service} ledger {number}: {start} at first, {out} went out, {balance} left"
            ));
        }
    }

    /// Enters an order: its steps are held against what the services have done.
    pub fn add_order(&mut self, number: u64, order: &Description) {
        self.proof.orders += 1;
        let is_done = match order.phase {
            Phase::Done => true,
            Phase::Compensated => false,
            phase => return self.wrong(format_args!("order {number} has not ended: {phase:?}")),
        };
        let Some(details) = &order.details else {
            return self.wrong(format_args!("order {number} is about nothing"));
        };
        self.proof.done += u64::from(is_done);
        self.proof.compensated += u64::from(!is_done);
        for step in Step::ALL {
            let key = Key::new(number, step);
            let found = self.effects.remove(&key);
            self.proof.keys += u64::from(found.is_some());
            let left = found.map_or(0, |it| i64::from(it.taken) - i64::from(it.given_back));
            if left != i64::from(is_done) {
                let phase = order.phase;
                self.wrong(format_args!("{key}: the order is {phase:?}, {left} effects are left"));
            }
            let amount = step.amount(details);
            let place = (step.ledger(details), amount);
            if is_done && found.is_some_and(|found| (found.ledger, found.amount) != place) {
                self.wrong(format_args!("{key}: another ledger or amount than ordered"));
            }
            if is_done {
                *match step {
                    Step::Reserve => &mut self.proof.pieces,
                    Step::Charge => &mut self.proof.cents,
                    Step::Schedule => &mut self.proof.parcels,
                } += amount;
            }
        }
    }

    /// All ledgers and all orders were entered.
    pub fn proof(mut self) -> Proof {
        for key in std::mem::take(&mut self.effects).into_keys() {
            self.wrong(format_args!("{key}: there is no such order"));
        }
        self.proof
    }

    fn wrong(&mut self, what: fmt::Arguments<'_>) {
        self.proof.violations += 1;
        if self.proof.first_violations.len() < VIOLATIONS_LIMIT {
            self.proof.first_violations.push(what.to_string());
        }
    }
}
