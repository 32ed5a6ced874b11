//! The node: a process's cores, how they are configured, how other threads reach them, and how they end.
//!
//! ```no_run
//! use mainspring::prelude::*;
//! use std::time::Duration;
//!
//! # #[message]
//! # pub struct Deposit { pub amount: u64 }
//! # #[derive(Default)]
//! # pub struct Account { balance: u64 }
//! # impl Actor for Account {
//! #     type Message = Deposit;
//! #     fn receive(&mut self, _: &mut Context<Self>, m: &Archived<Deposit>) -> Next<Self> {
//! #         self.balance += m.amount.to_native();
//! #         Next::Same
//! #     }
//! # }
//! fn main() -> Result<(), Error> {
//!     let node = Node::builder().cores(Cores::all()).start()?;
//!     let account = node.spawn(Account::default)?;
//!     let client = node.client();
//!     client.tell(account, &Deposit { amount: 5 })?;
//!     node.shutdown(Duration::from_secs(1))
//! }
//! ```

pub mod cores;
pub mod idle;

#[cfg(all(feature = "host", not(loom)))]
mod ask;
#[cfg(all(feature = "host", not(loom)))]
mod blocking;
#[cfg(all(feature = "host", not(loom)))]
mod builder;
#[cfg(all(feature = "host", not(loom)))]
mod client;
#[cfg(all(feature = "host", not(loom)))]
mod configuration;
#[cfg(all(feature = "host", not(loom)))]
mod core_loop;
#[cfg(all(feature = "host", not(loom)))]
mod deadlines;
#[cfg(all(feature = "host", not(loom)))]
mod error;
#[cfg(all(feature = "host", not(loom)))]
mod inbox;
#[cfg(all(feature = "host", not(loom)))]
mod machine;
#[cfg(all(feature = "host", not(loom)))]
mod mailbox;
#[cfg(all(feature = "host", not(loom)))]
mod running;
#[cfg(all(feature = "host", not(loom)))]
mod shutdown;

#[cfg(all(feature = "host", not(loom)))]
pub use self::{
    ask::Ask,
    builder::NodeBuilder,
    client::Client,
    configuration::{Configuration, ConfigurationError},
    error::{ClientError, Error, NodeError, StartError},
    inbox::Inbox,
    running::{Node, NodeInfo, NodeSpawn},
    shutdown::{LeftBehind, ShutdownError},
};
