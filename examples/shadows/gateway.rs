//! A gateway: sends the updates of its devices to their shadows, a bounded number at a time, from its own core.
//!
//! It knows what it has sent, when, and what came of it. What was acknowledged it keeps until somebody takes it, and
//! while too much of that lies there it sends nothing.

use std::time::Duration;

use hdrhistogram::Histogram;
use mainspring::prelude::*;
use mainspring_sharding::{Entities, EntityTarget};

use super::blackout::Watch;
use super::fleet::{Fleet, Planned, What};
use super::flights::{Flight, Flights};
use super::shadow::{ShadowCommand, Update, reading_of};

/// Acknowledgements that nobody has taken yet.
const UNTAKEN_LIMIT: usize = 65_536;
/// What has no answer for so long will have none.
const ANSWER_WITHIN_NS: u64 = 10_000_000_000;
/// How often the gateway looks for such updates, and sends again what could not be sent.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a gateway understands.
#[message]
pub enum GatewayMessage {
    /// The update is durable. It was handled on this core, which then had this time.
    Acknowledged { ticket: u64, core: u16, handled_ns: u64, desired: u32 },
    /// The update was surely not stored: the journal has no room.
    Rejected { ticket: u64 },
    /// A later update of the device was handled before: the order was broken.
    Overtaken { ticket: u64 },
    /// What was acknowledged since the last question?
    Take { reply_to: ActorRef<Taken> },
    /// What was measured since the last question?
    Measure { reply_to: ActorRef<Measured> },
    /// Time has passed.
    Look,
}

/// Updates that were acknowledged: device and number.
#[message]
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub acknowledged: Vec<(u32, u32)>,
}

/// Values in nanoseconds, each with how often it was seen.
pub type Counts = Vec<(u64, u64)>;

/// What a gateway has measured.
#[message]
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From sending an update to its acknowledgement, since the last question.
    pub latencies: Counts,
    /// How long shards that moved were dark, since the last question.
    pub blackouts: Counts,
    /// All that follows is counted from the beginning.
    pub tally: Tally,
}

/// What became of updates that were not acknowledged.
#[message]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// Refused before they were sent, and sent again later.
    pub refused: u64,
    /// Surely not stored: the journal had no room.
    pub rejected: u64,
    /// Had no answer: nobody knows whether they are stored.
    pub unanswered: u64,
    /// Handled behind a later one.
    pub overtaken: u64,
    /// Devices that were drawn while they had too much under way.
    pub passed_over: u64,
}

/// What a gateway has to do.
#[derive(Clone, Debug)]
pub struct Work {
    pub devices: u32,
    pub gateway: u32,
    pub gateways: u32,
    pub skew: f64,
    pub seed: u64,
    /// Updates that are under way at the same time.
    pub window: usize,
    /// Of every so many reports one is forgotten on purpose; 0 for none.
    pub forget_every: u64,
}

/// A gateway.
pub struct Gateway {
    work: Work,
    shadows: Entities<ShadowCommand>,
    fleet: Fleet,
    flights: Flights,
    acknowledged: Vec<(u32, u32)>,
    latencies: Histogram<u64>,
    blackouts: Histogram<u64>,
    watch: Watch,
    tally: Tally,
    /// Counted for what is forgotten on purpose.
    reports: u64,
}

impl Gateway {
    /// A gateway for this work, which has not begun.
    pub fn new(work: Work, shadows: Entities<ShadowCommand>) -> Gateway {
        let Work { devices, gateway, gateways, skew, seed, window, .. } = work;
        let watch = Watch::new(shadows.shard_count());
        Gateway {
            work,
            shadows,
            fleet: Fleet::new(devices, gateway, gateways, skew, seed),
            flights: Flights::new(window),
            acknowledged: Vec::new(),
            latencies: histogram(),
            blackouts: histogram(),
            watch,
            tally: Tally::default(),
            reports: 0,
        }
    }

    /// Sends as much as may be under way.
    fn send_more(&mut self, ctx: &mut Context<'_, Self>) {
        while self.acknowledged.len() + self.flights.len() < UNTAKEN_LIMIT {
            let Some(planned) = self.fleet.next() else { return };
            let Some(ticket) = self.flights.open(planned, ctx.now_ns()) else { return };
            let command = self.command(ctx.me(), &planned, ticket);
            let Ok(shadow) = self.shadows.entity(u64::from(planned.device)) else { return };
            if shadow.tell(ctx, &command).is_err() {
                self.flights.close(ticket);
                self.tally.refused += 1;
                return;
            }
            self.fleet.sent(&planned);
        }
    }

    fn command(
        &mut self,
        reply_to: ActorRef<GatewayMessage>,
        planned: &Planned,
        ticket: u64,
    ) -> ShadowCommand {
        let Planned { device, number, .. } = *planned;
        let update = Update { number, ticket, reply_to };
        let What::Report { configuration } = planned.what else {
            return ShadowCommand::Desire { update };
        };
        self.reports += 1;
        if self.work.forget_every > 0 && self.reports.is_multiple_of(self.work.forget_every) {
            return ShadowCommand::Forget { update };
        }
        let reading = reading_of(self.work.seed, device, number);
        ShadowCommand::Report { update, configuration, reading }
    }

    fn acknowledged(&mut self, now_ns: u64, ticket: u64, desired: u32, handled: (u16, u64)) {
        let Some(Flight { planned, sent_ns }) = self.flights.close(ticket) else { return };
        self.fleet.ended(&planned, Some(desired));
        self.acknowledged.push((planned.device, planned.number));
        // A histogram that grows takes every value.
        let _ = self.latencies.record(now_ns.saturating_sub(sent_ns));
        let (core, handled_ns) = handled;
        let Ok(shard) = self.shadows.shard_of(u64::from(planned.device)) else { return };
        if let Some(dark_ns) = self.watch.handled(shard, core, sent_ns, handled_ns) {
            let _ = self.blackouts.record(dark_ns);
        }
    }

    /// An update was answered, and not stored.
    fn ended(&mut self, ticket: u64) -> u64 {
        let flight = self.flights.close(ticket);
        flight.map_or(0, |flight| {
            self.fleet.ended(&flight.planned, None);
            1
        })
    }

    fn look(&mut self, now_ns: u64) {
        let Gateway { flights, fleet, tally, .. } = self;
        flights.close_before(now_ns.saturating_sub(ANSWER_WITHIN_NS), |flight| {
            fleet.ended(&flight.planned, None);
            tally.unanswered += 1;
        });
    }

    fn measured(&mut self) -> Measured {
        self.tally.passed_over = self.fleet.passed_over();
        Measured {
            latencies: take(&mut self.latencies),
            blackouts: take(&mut self.blackouts),
            tally: self.tally,
        }
    }
}

impl Actor for Gateway {
    type Message = GatewayMessage;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("look").every(LOOK_EVERY, &GatewayMessage::Look);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<GatewayMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedGatewayMessage::Acknowledged { ticket, core, handled_ns, desired } => {
                let handled = (core.to_native(), handled_ns.to_native());
                self.acknowledged(ctx.now_ns(), ticket.to_native(), desired.to_native(), handled);
            }
            ArchivedGatewayMessage::Rejected { ticket } => {
                self.tally.rejected += self.ended(ticket.to_native());
                // Not at once again: the journal has no room.
                return Next::Same;
            }
            ArchivedGatewayMessage::Overtaken { ticket } => {
                self.tally.overtaken += self.ended(ticket.to_native());
            }
            ArchivedGatewayMessage::Take { reply_to } => {
                let acknowledged = std::mem::take(&mut self.acknowledged);
                ctx.tell(*reply_to, &Taken { acknowledged });
            }
            ArchivedGatewayMessage::Measure { reply_to } => {
                ctx.tell(*reply_to, &self.measured());
            }
            ArchivedGatewayMessage::Look => self.look(ctx.now_ns()),
        }
        self.send_more(ctx);
        Next::Same
    }
}

/// An empty histogram of nanoseconds, with an error of 1 %.
pub fn histogram() -> Histogram<u64> {
    match Histogram::new(2) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("two digits are allowed"),
    }
}

/// What a histogram has recorded; it is empty then.
fn take(histogram: &mut Histogram<u64>) -> Counts {
    let counts = histogram.iter_recorded();
    let counts = counts.map(|value| (value.value_iterated_to(), value.count_at_value())).collect();
    histogram.reset();
    counts
}
