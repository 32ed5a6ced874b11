//! A network for simulations: the links of nodes, and servers, in one thread and in virtual time.
//!
//! The nodes of a [`Simulation`](mainspring::testkit::Simulation) have no network of their own. A [`SimulatedNetwork`]
//! gives them one: streams between them arrive late, in pieces, or not at all, as a seed and the test say. What stands
//! above it is the code that runs on real sockets, unchanged. [`SimulatedLinks`] puts both together: a simulation whose
//! nodes are linked.
//!
//! ```
//! use std::time::Duration;
//! use mainspring::testkit::Simulation;
//! use mainspring_transport::testkit::SimulatedLinks;
//!
//! let mut sim = SimulatedLinks::of(Simulation::seeded(7).nodes(5).cores(2));
//! sim.assert_linked_within(Duration::from_secs(5));
//! sim.partition([0, 1], [2, 3, 4]);
//! sim.run_for(Duration::from_secs(30));
//! assert_eq!(sim.links(0).nodes().len(), 1);
//! sim.heal();
//! sim.assert_linked_within(Duration::from_secs(60));
//! ```

mod network;
mod simulated_links;

pub use network::{
    CONNECT_TIMEOUT, NetworkConduct, SOCKETS_LIMIT, SimulatedNetwork, StreamFault, StreamId,
};
pub use simulated_links::SimulatedLinks;
