//! The command line.

use std::path::PathBuf;

use clap::Parser;
use mainspring::node::cores::{Cores, CoresError};
use mainspring::node::idle::IdleProfile;
use mainspring_tuning::{SysRoot, Topology};

use super::pair::Side;

/// A sharded service of user sessions that speaks the protocol of Redis.
///
/// Each key is an entity: an actor that starts when it is asked for, on the core that has its shard, and leaves memory
/// after five minutes. What it answers is durable. Talk to it with `redis-cli -p 6380`, or with any client of Redis.
/// Exit codes: 0 ended in order, 1 the run failed, 2 the command line asks for something impossible.
#[derive(Debug, Clone, Parser)]
#[command(name = "sessions", version)]
pub struct Options {
    /// Where to listen for clients.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6380")]
    pub listen: String,

    /// Where the journal lies. It is made if it is not there, and goes on if it is.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,

    /// Whether an answer is durable, or nothing is kept.
    #[arg(long, value_enum, default_value = "always")]
    pub durability: Durability,

    /// Which CPUs: `all`, `suggested`, `n:2` for so many, `0-3,6` for these. A journal keeps the number it began with.
    #[arg(long, value_name = "CPUS", default_value = "all")]
    pub cores: Cores,

    /// What a core does without work: `busy`, `hybrid:20us`, `eco`.
    #[arg(long, value_name = "PROFILE", default_value = "hybrid")]
    pub idle: IdleProfile,

    /// Sessions that are in memory on each core; those that are least likely to be used leave. When nothing is kept,
    /// they are lost.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pub active: u32,

    /// Go through the page cache where the file system has no direct I/O, instead of refusing.
    #[arg(long)]
    pub allow_buffered: bool,

    /// Where another process may join, so that the two serve each other's keys.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "join")]
    pub peer_listen: Option<String>,

    /// Where the other process listens for this one.
    #[arg(long, value_name = "ADDRESS")]
    pub join: Option<String>,

    /// A file with the key by which the two know each other. Needed where others can reach the address.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// Drive the server with requests of its own for some seconds, print their latencies, and end.
    #[arg(long)]
    pub load: bool,

    /// How long each part of the load takes, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, requires = "load")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,

    /// Connections of the load.
    #[arg(long, value_name = "N", default_value_t = 16, requires = "load")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=512))]
    pub connections: u16,

    /// Requests of each connection that are under way together.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "load")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub pipeline: u16,

    /// Print what the load has measured as JSON.
    #[arg(long, requires = "load")]
    pub json: bool,
}

/// What an answer promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// What was answered is durable.
    Always,
    /// Everything is in memory alone.
    None,
}

/// The CPUs that were asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CoresRefused {
    #[error("the machine cannot be looked at: {0}")]
    Topology(#[from] mainspring_tuning::TopologyError),
    #[error("--cores: {0}")]
    Choice(#[from] CoresError),
}

impl Options {
    /// Which of two processes this is, if it is one of two.
    pub fn side(&self) -> Option<Side> {
        match (&self.peer_listen, &self.join) {
            (Some(_), _) => Some(Side::Listens),
            (None, Some(_)) => Some(Side::Joins),
            (None, None) => None,
        }
    }

    /// How many cores that will be.
    ///
    /// # Errors
    /// [`CoresRefused`].
    pub fn core_count(&self) -> Result<u16, CoresRefused> {
        let topology = Topology::read(&SysRoot::real())?;
        Ok(self.cores.resolve(&topology)?.cpus.len() as u16)
    }
}
