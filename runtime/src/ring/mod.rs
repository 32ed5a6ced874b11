//! What two cores share: byte rings between them, and the flag by which a sleeping one is woken.

mod sync;
pub mod wake;

pub use wake::WakeFlag;
