//! The desk of a core: makes the orders of that core, and lets them go when they have ended.

use std::collections::BTreeMap;
use std::time::Duration;

use mainspring::message::owned;
use mainspring::prelude::*;
use mainspring_journal::Persistent;

use super::clerk::ClerkMessage;
use super::details::Details;
use super::meter::{Counts, Meter};
use super::order::{Description, Order, OrderCommand};

/// What a desk understands.
#[message]
pub enum DeskMessage {
    /// An order of this core is to be brought to its end, whether it has begun or not.
    Open { number: u64, details: Details, clerk: ActorRef<ClerkMessage> },
    /// An order has ended.
    Ended { number: u64, done: bool },
    /// How far is this order?
    Describe { number: u64, reply_to: ActorRef<Description> },
    /// How long did it take until events were durable?
    Commits { reply_to: ActorRef<Commits> },
}

/// How long it took on one core until events were durable, since the last question.
#[message]
#[derive(Clone, Debug, Default)]
pub struct Commits {
    /// Nanoseconds, and how often each was seen.
    pub counts: Counts,
}

/// The name of a core's desk.
pub fn name(core: u16) -> String {
    format!("desk-{core}")
}

/// An order that has not ended.
struct Open {
    order: ActorRef<OrderCommand>,
    clerk: ActorRef<ClerkMessage>,
}

/// The desk of a core.
#[derive(Default)]
pub struct Desk {
    orders: BTreeMap<u64, Open>,
}

impl Desk {
    fn order(ctx: &mut Context<'_, Self>, number: u64) -> ActorRef<OrderCommand> {
        let restart = Restart::at_most(10)
            .within(Duration::from_secs(10))
            .backoff(Duration::from_millis(10)..Duration::from_secs(1));
        ctx.spawn(move || Persistent::new(number, Order::default)).on_failure(restart).start()
    }
}

impl Actor for Desk {
    type Message = DeskMessage;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let name = name(ctx.core());
        ctx.register(name);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<DeskMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedDeskMessage::Open { number, details, clerk } => {
                let number = number.to_native();
                let Ok(details) = owned::<Details>(details) else { return Next::Fault };
                let order = Self::order(ctx, number);
                self.orders.insert(number, Open { order, clerk: *clerk });
                ctx.tell(order, &OrderCommand::Place { number, details });
            }
            ArchivedDeskMessage::Ended { number, done } => {
                let (number, done) = (number.to_native(), *done);
                if let Some(Open { order, clerk }) = self.orders.remove(&number) {
                    ctx.stop(order);
                    ctx.tell(clerk, &ClerkMessage::Ended { number, done });
                }
            }
            ArchivedDeskMessage::Describe { number, reply_to } => {
                let order = Self::order(ctx, number.to_native());
                ctx.tell(order, &OrderCommand::Describe { reply_to: *reply_to });
            }
            ArchivedDeskMessage::Commits { reply_to } => {
                let counts = ctx.shared::<Meter>().map(|meter| meter.take()).unwrap_or_default();
                ctx.tell(*reply_to, &Commits { counts });
            }
        }
        Next::Same
    }
}
