//! The account of these tests: its events, its state and its past.

use std::collections::BTreeMap;

use mainspring::prelude::*;
use mainspring_journal::schema::{EventBuffer, Events, SchemaError};
use mainspring_journal::{event, events, state};

#[event(name = "account.deposited", version = 2)]
#[derive(Debug, Clone, PartialEq)]
pub struct Deposited {
    pub amount: u64,
    pub note: Option<String>,
}

#[event(name = "account.transferred", version = 1)]
#[derive(Debug, Clone, PartialEq)]
pub struct Transferred {
    pub parts: Vec<Part>,
    pub labels: BTreeMap<String, u32>,
}

#[message(name = "account.part")]
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Cash { cents: u64 },
    Voucher(char),
    Split(Vec<Part>),
}

/// Nothing but the fact.
#[event(name = "account.closed", version = 1)]
#[derive(Debug, Clone, PartialEq)]
pub struct Closed;

#[events(upcast(
    DepositedV1 => deposited_from_v1,
    OpenedWith => opened_with,
    Flagged => |_| None,
))]
#[derive(Debug, Clone, PartialEq)]
pub enum AccountEvent {
    Deposited(Deposited),
    Transferred(Transferred),
    Closed(Closed),
}

#[event(name = "account.deposited", version = 1)]
#[derive(Debug)]
pub struct DepositedV1 {
    pub amount: u32,
}

/// One event of the past that is several today.
#[event(name = "account.opened_with", version = 1)]
#[derive(Debug)]
pub struct OpenedWith {
    pub amounts: Vec<u32>,
}

/// An event of the past that means nothing today.
#[event(name = "account.flagged", version = 1)]
#[derive(Debug)]
pub struct Flagged {
    pub reason: String,
}

fn deposited_from_v1(old: &Archived<DepositedV1>) -> [AccountEvent; 1] {
    [Deposited { amount: old.amount.to_native().into(), note: None }.into()]
}

fn opened_with(old: &Archived<OpenedWith>) -> Vec<AccountEvent> {
    let deposit = |amount: u32| Deposited { amount: amount.into(), note: None }.into();
    old.amounts.iter().map(|amount| deposit(amount.to_native())).collect()
}

#[state(name = "account", version = 2, upcast(AccountV1 => account_from_v1))]
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Account {
    pub balance: u64,
    pub closed: bool,
    pub notes: Vec<String>,
}

#[state(name = "account", version = 1)]
#[derive(Debug, Default)]
pub struct AccountV1 {
    pub balance: u32,
}

fn account_from_v1(old: &Archived<AccountV1>) -> Account {
    Account { balance: old.balance.to_native().into(), ..Account::default() }
}

pub fn samples() -> Vec<AccountEvent> {
    let parts = vec![
        Part::Cash { cents: 5 },
        Part::Split(vec![Part::Voucher('ß'), Part::Cash { cents: u64::MAX }]),
    ];
    let labels = [("purpose", 3), ("a label that lies out of line", 4)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value)).into();
    vec![
        Deposited { amount: 7, note: None }.into(),
        Deposited { amount: 8, note: Some("a note that lies out of line".into()) }.into(),
        Transferred { parts, labels }.into(),
        Closed.into(),
    ]
}

/// What is read of a payload that was written with a layout of `Written`, as owned events.
pub fn read<E: Events>(written: &E, payload: &[u8]) -> Result<Vec<AccountEvent>, SchemaError> {
    let layout = E::LAYOUTS[written.layout()];
    let reader = AccountEvent::reader(layout.name, layout.version, layout.fingerprint)?;
    let mut read = Vec::new();
    AccountEvent::read(reader, payload, &mut |event| read.push(owned(event)))?;
    Ok(read)
}

/// Writes an event and reads it back.
pub fn written_and_read<E: Events>(event: &E) -> Result<Vec<AccountEvent>, SchemaError> {
    let mut buffer = EventBuffer::new();
    let written = event.write(&mut buffer).expect("room");
    read(event, buffer.get(written))
}

pub fn owned(event: ArchivedAccountEvent<'_>) -> AccountEvent {
    use mainspring::message::owned;
    match event {
        ArchivedAccountEvent::Deposited(event) => owned::<Deposited>(event).map(Into::into),
        ArchivedAccountEvent::Transferred(event) => owned::<Transferred>(event).map(Into::into),
        ArchivedAccountEvent::Closed(event) => owned::<Closed>(event).map(Into::into),
    }
    .expect("every field has an owned form")
}
