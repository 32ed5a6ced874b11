//! How long it takes until events are durable, as their actors see it: from the command's turn to the turn in which
//! its answer leaves.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

use hdrhistogram::Histogram;
use mainspring::Context;
use mainspring::device::{Extension, NodePlan, Seat};
use mainspring_journal::{EventSourced, Persistent};
use quanta::Instant;

/// One core's measurements since they were last taken.
pub struct Meter(RefCell<Histogram<u64>>);

/// Values in nanoseconds, each with how often it was seen.
pub type Counts = Vec<(u64, u64)>;

/// Puts a meter on each core of a node.
pub struct Meters;

/// An empty histogram of nanoseconds, with an error of 1 %.
pub fn histogram() -> Histogram<u64> {
    match Histogram::new(2) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("two digits are allowed"),
    }
}

impl Meter {
    /// What was measured since it was last asked.
    pub fn take(&self) -> Counts {
        let mut histogram = self.0.borrow_mut();
        let counts = histogram.iter_recorded();
        let counts = counts.map(|value| (value.value_iterated_to(), value.count_at_value()));
        let counts = counts.collect();
        histogram.reset();
        counts
    }
}

impl Extension for Meters {
    fn name(&self) -> &'static str {
        "meter"
    }

    fn prepare(&self, _: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        seat.share(Rc::new(Meter(RefCell::new(histogram()))));
    }
}

/// What an effect runs when its events are durable: the time since now is measured, if the core has a meter.
pub fn persisted<E: EventSourced>() -> impl FnOnce(&E, &mut Context<'_, Persistent<E>>) + 'static {
    let begun = Instant::now();
    move |_, ctx| {
        if let Some(meter) = ctx.shared::<Meter>() {
            // It grows with its values, so it takes them all.
            let _ = meter.0.borrow_mut().record(begun.elapsed().as_nanos() as u64);
        }
    }
}
