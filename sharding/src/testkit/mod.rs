//! Entities of one type on the simulator, without a cluster: what a test of entities is written with.
//!
//! [`ShardingTest`] puts a region onto each core of a simulated node; [`TestRegion`] sends from outside and from each
//! core, moves shards and empties cores at chosen instants, and makes entities fail. [`TestRegion::move_storm`] does
//! all of it at random, as a seed has it, and looks after each step whether what is promised holds ([`Broken`]).
//!
//! Everything runs in one thread and in virtual time. The same seed does the same again; when a test fails, the
//! simulation prints its seed and a command that repeats it.
//!
//! ```
//! use mainspring::prelude::*;
//! use mainspring_sharding::EntityType;
//! use mainspring_sharding::testkit::{Acknowledged, Command, MoveStorm, ShardingTest, Witness};
//!
//! #[message]
//! pub struct Deposit {
//!     pub amount: u64,
//!     pub command: u64,
//!     pub reply_to: ActorRef<Acknowledged>,
//! }
//!
//! struct Account {
//!     balance: u64,
//!     witness: Witness,
//! }
//!
//! impl Actor for Account {
//!     type Message = Deposit;
//!
//!     fn receive(&mut self, ctx: &mut Context<Self>, deposit: &Archived<Deposit>) -> Next<Self> {
//!         self.balance += deposit.amount.to_native();
//!         let number = deposit.command.to_native();
//!         self.witness.handled(number);
//!         ctx.tell(deposit.reply_to, &Acknowledged { number });
//!         Next::Same
//!     }
//! }
//!
//! let witness = Witness::new();
//! let shown = witness.clone();
//! let make = move |_: mainspring_sharding::EntityId<'_>| Account { balance: 0, witness: shown.clone() };
//! let account = EntityType::new("account").shards(4);
//! let mut accounts = ShardingTest::seeded(7).cores(3).entities(account, make)?;
//! let deposit = |command: Command| {
//!     Deposit { amount: 5, command: command.number, reply_to: command.reply_to }
//! };
//! let report = accounts.move_storm(&MoveStorm::default(), &witness, deposit)?;
//! assert_eq!(report.acknowledged, report.sent - report.refused);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cluster;
mod cluster_storm;
mod desk;
mod region;
mod shards;
mod simulated_membership;
mod storm;
mod views;
mod watch;
mod witness;

pub use cluster::{SimulatedCluster, SimulatedClusterPlan};
pub use cluster_storm::{ClusterStorm, ClusterStormReport};
pub use region::{ShardingTest, TestRegion};
pub use shards::SimulatedShards;
pub use simulated_membership::SimulatedMembership;
pub use storm::{MoveStorm, StormReport};
pub use watch::Broken;
pub use witness::{Acknowledged, Command, Witness};
