//! What knows the kernel: how a core's thread is started, pinned, put to sleep and woken, and what time it is.
//!
//! A core is a state machine that is swept again and again ([`CoreLoop`]). [`spawn_core`] gives it a pinned thread,
//! an executor for its asynchronous work, an io_uring of its own ([`uring::Uring`]) and the behaviour of its
//! [`IdleProfile`](crate::node::idle::IdleProfile) when there is nothing to do. Whoever publishes work for the core
//! calls [`CoreWaker::wake_after_publish`].
//!
//! Nothing outside this folder names the kernel or the executor, so another host can take this one's place.

pub mod clock;
pub mod cpu;
pub mod disk;
pub mod eventfd;
pub mod host;
pub mod net;
mod pump;
#[cfg(test)]
mod rig;
mod tasks;
pub mod uring;
pub mod waker;

pub use clock::Clock;
pub use disk::CoreDisk;
pub use host::{
    CoreLoop, CorePanicked, CoreThread, HostError, HostFigures, HostSettings, spawn_core,
};
pub use net::{CoreNet, NetLimits};
pub use tasks::CoreTask;
pub use waker::CoreWaker;
