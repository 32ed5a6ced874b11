//! How long a thread that never waits is kept from running, on which CPU, and by what.
//!
//! A thread pinned to each CPU reads the clock over and over. Two readings far apart are a gap: somebody else had the
//! CPU. What the kernel counted meanwhile says who.
//!
//! Promises: a gap is blamed on the host only when the kernel accounts time stolen by it and no thread of this system
//! can have taken the CPU instead; what nothing accounts for is called unknown. Counters are read after a gap, outside
//! of what is measured; the time that takes is told, and it has a limit ([`LOOKING_SHARE`]), beyond which gaps are
//! counted without a cause.
//!
//! Layers: [`Counters`] are parsed from the kernel's texts, [`cause_of`] and [`Meter`] decide without a clock, and
//! [`measure`] is the thin driver with the threads.

mod cause;
mod counters;
mod meter;
mod spin;

pub use cause::{Cause, cause_of};
pub use counters::{Counters, Rises, STEAL_TICK_NS, Texts};
pub use meter::{CAUSE_LIMIT, HIGHEST_NS, LOOKING_SHARE, Lost, Meter, Next};
pub use spin::{JitterError, Measured, Resolution, Settings, measure, resolutions};
