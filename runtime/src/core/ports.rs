//! Ports: the table behind the `port` field of an address.
//!
//! A port number is given the first time an actor of some type opens a port for some message type on this core, and
//! then belongs to that pair for good. An address with a port is checked against the type of the actor it names, so a
//! number alone reaches nothing.

use std::any::TypeId;
use std::collections::BTreeMap;

use super::cell::Entry;
use crate::address::PORT_NAMES;
use crate::frame::foreign::MessageInfo;

/// Most pairs of actor type and message type on one core.
pub(crate) const PORTS_LIMIT: usize = 4096;

const _: () = assert!(PORTS_LIMIT < PORT_NAMES as usize);

/// The port table of one core. Port 0 is every actor's own message type and is not in it.
#[derive(Default)]
pub(crate) struct Ports {
    table: Vec<(TypeId, Entry, &'static MessageInfo)>,
    numbers: BTreeMap<(TypeId, TypeId), u16>,
}

impl Ports {
    /// The number of a port, given on first use; `None` at the limit.
    pub fn number(
        &mut self,
        actor: TypeId,
        message: TypeId,
        entry: Entry,
        info: &'static MessageInfo,
    ) -> Option<u16> {
        if let Some(number) = self.numbers.get(&(actor, message)) {
            return Some(*number);
        }
        if self.table.len() >= PORTS_LIMIT {
            return None;
        }
        self.table.push((actor, entry, info));
        let number = self.table.len() as u16;
        self.numbers.insert((actor, message), number);
        Some(number)
    }

    /// The entry of a port, if it belongs to this type of actor.
    pub fn entry(&self, number: u16, actor: TypeId) -> Option<Entry> {
        let (owner, entry, _) = self.table.get((number as usize).checked_sub(1)?)?;
        (*owner == actor).then_some(*entry)
    }

    /// What a port takes, if it belongs to this type of actor.
    pub fn message(&self, number: u16, actor: TypeId) -> Option<&'static MessageInfo> {
        let (owner, _, info) = self.table.get((number as usize).checked_sub(1)?)?;
        (*owner == actor).then_some(*info)
    }
}
