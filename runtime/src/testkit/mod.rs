//! Tests of actors, deterministic and without waiting: the same cores as in production, in one thread and in virtual
//! time.
//!
//! A [`Simulation`] owns nodes, their cores and the clock. Which core runs next, and how much of its work it does,
//! follows from a seed, so a run can be repeated exactly. A [`Probe`] is an actor whose messages the test looks at.
//!
//! ```
//! use mainspring::prelude::*;
//! use mainspring::testkit::Simulation;
//!
//! #[message]
//! pub struct Hello { pub reply_to: ActorRef<Greeting> }
//!
//! #[message]
//! pub struct Greeting { pub text: String }
//!
//! struct Greeter;
//!
//! impl Actor for Greeter {
//!     type Message = Hello;
//!
//!     fn receive(&mut self, ctx: &mut Context<Self>, hello: &Archived<Hello>) -> Next<Self> {
//!         ctx.tell(hello.reply_to, &Greeting { text: "hello".into() });
//!         Next::Same
//!     }
//! }
//!
//! let mut sim = Simulation::seeded(1);
//! let greeter = sim.spawn(|| Greeter);
//! let probe = sim.probe::<Greeting>();
//! sim.tell(greeter, &Hello { reply_to: probe.actor() });
//! probe.expect(|greeting| greeting.text == "hello");
//! probe.expect_nothing();
//! ```
//!
//! For one actor and one turn at a time there is [`Isolated`]. The guide is `docs/testing.md` in the repository.

mod effects;
mod isolated;
mod probe;
mod simulation;
mod spend;
mod trace;
mod world;

pub use crate::core::observe::Outcome;
pub use effects::{Effects, TimerSet};
pub use isolated::{Isolated, Surroundings};
pub use probe::{PATIENCE, Probe};
pub use simulation::{At, STEPS_LIMIT, Simulation};
pub use spend::spend;

/// The samples of the guide are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/testing.md")]
struct Guide;
