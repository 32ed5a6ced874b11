//! Clusters of simulated nodes: they join, lose each other, leave and come back. Scenarios that Pekko's cluster has as
//! well are named after those.

mod joining;
mod lease;
mod leaving;
mod partitions;
mod restarts;
mod subscribers;
mod watching;

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
