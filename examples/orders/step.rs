//! The three steps of an order, and the key by which a service knows each of them.

use mainspring::prelude::*;

use super::details::{ARTICLES, CUSTOMERS, DEPOTS, Details};

/// A step of an order, in the order in which they are done. They are undone in reverse.
#[message(name = "order.step")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pieces are set aside; undone by releasing them.
    Reserve,
    /// Money is taken; undone by a refund.
    Charge,
    /// A parcel is booked; undone by cancelling it.
    Schedule,
}

/// What one service does for an order: the service knows it by its key, however often it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub u64);

impl Step {
    /// All of them.
    pub const ALL: [Step; 3] = [Step::Reserve, Step::Charge, Step::Schedule];

    /// The step after this one.
    pub fn next(self) -> Option<Step> {
        match self {
            Step::Reserve => Some(Step::Charge),
            Step::Charge => Some(Step::Schedule),
            Step::Schedule => None,
        }
    }

    /// The step before this one.
    pub fn previous(self) -> Option<Step> {
        match self {
            Step::Reserve => None,
            Step::Charge => Some(Step::Reserve),
            Step::Schedule => Some(Step::Charge),
        }
    }

    /// The service that does it, by the name of its actor.
    pub fn service(self) -> &'static str {
        match self {
            Step::Reserve => "inventory",
            Step::Charge => "payment",
            Step::Schedule => "shipping",
        }
    }

    /// How many ledgers its service keeps.
    pub fn ledgers(self) -> u32 {
        match self {
            Step::Reserve => ARTICLES,
            Step::Charge => CUSTOMERS,
            Step::Schedule => DEPOTS,
        }
    }

    /// What each of them holds before the first of so many orders: enough for most, and not for all.
    pub fn opening_balance(self, orders: u64) -> u64 {
        let (of_an_order, reserve) = match self {
            Step::Reserve => (3, 10),
            Step::Charge => (15_150, 50_000),
            Step::Schedule => (1, 25),
        };
        orders * of_an_order / u64::from(self.ledgers()) * 11 / 10 + reserve
    }

    /// Which ledger of its service an order concerns.
    pub fn ledger(self, details: &Details) -> u32 {
        match self {
            Step::Reserve => details.article,
            Step::Charge => details.customer,
            Step::Schedule => details.depot,
        }
    }

    /// What an order takes from that ledger: pieces, cents or parcels.
    pub fn amount(self, details: &Details) -> u64 {
        match self {
            Step::Reserve => details.pieces.into(),
            Step::Charge => details.cents,
            Step::Schedule => 1,
        }
    }
}

impl Key {
    /// The key of a step of an order.
    pub fn new(order: u64, step: Step) -> Key {
        Key(order << 2 | step as u64)
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let step = Step::ALL.get((self.0 & 3) as usize).map_or("?", |step| step.service());
        write!(f, "order {}, {step}", self.0 >> 2)
    }
}
