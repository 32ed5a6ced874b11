//! Load at a rate: messages are sent when they are due, not when the one before them was answered.
//!
//! A closed loop slows down together with the service that it measures, and leaves out exactly the messages that
//! would have waited ("coordinated omission", Gil Tene). Here a schedule says when each message is due; its response
//! time counts from that moment, its service time from the moment it was sent. Nothing is corrected afterwards.
//!
//! | module | what |
//! |---|---|
//! | [`schedule`] | when each message is due |
//! | [`pacer`] | what is due now, how late it is, when the load is over; knows no clock |
//! | [`recorder`] | what answers took, in all and by the second |
//! | [`generator`], [`course`], [`stage`] | the thin drivers of these inside a scenario |
//! | [`settings`], [`measure`] | one load: what is refused, how it is driven and collected |
//! | [`run`], [`result`] | one load with its verdict, as `run --rate` writes it |
//! | [`curve`] | many loads: latency against rate |
//!
//! A scenario that can be driven at a rate implements [`OpenLoop`] and returns it from
//! [`crate::scenario::Scenario::open_loop`]. Its `drive` starts what it needs, gives a [`generator::Generator`] to
//! the actor or thread that sends and [`generator::Answers`] to the one that receives, and waits:
//!
//! ```text
//! fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
//!     let node = load.start_node(2)?;
//!     let service = node.actor(Service::default).on_core(1).start().map_err(runtime("make the service"))?;
//!     let course = load.course.clone();
//!     let make = move || Source { generator: Generator::new(&course), answers: Answers::new(&course), service };
//!     node.actor(make).on_core(0).start().map_err(runtime("make the generator"))?;
//!     load.finish(node)
//! }
//! // In a turn of the actor that sends, which then tells itself to go on:
//! let goes_on = self.generator.turn(|stamp| ctx.try_tell(service, &Question { stamp, .. }).is_ok());
//! // When an answer with its stamp has come:
//! self.answers.answered(Stamp::from(&answer.stamp));
//! self.generator.answered(1);
//! ```

pub mod course;
pub mod curve;
pub mod generator;
pub mod measure;
pub mod pacer;
pub mod recorder;
pub mod result;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod stage;

use crate::scenario::ScenarioError;

pub use generator::{Answers, Generator};
pub use pacer::{ArchivedStamp, Stamp};
pub use stage::Load;

/// The most bytes that may travel with a message: sixteen of them fill a ring.
pub const MOST_PAYLOAD_BYTES: usize = 64 << 10;

/// A scenario that can be driven at a rate.
pub trait OpenLoop: Sync {
    /// What one response is, in one line.
    fn response(&self) -> &'static str;

    /// How many CPUs the scenario keeps busy under load: the generator needs one of its own, or it would wait for the
    /// service's turns and be late.
    fn cpus_needed(&self) -> usize;

    /// Drives one load to its end, from building what it needs to taking it down.
    ///
    /// # Errors
    /// Whatever went wrong; nothing of the load counts then.
    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError>;
}
