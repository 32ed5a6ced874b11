//! The command line.

use std::path::PathBuf;

use clap::Parser;
use mainspring::node::cores::{Cores, CoresError};
use mainspring::node::idle::IdleProfile;
use mainspring_tuning::{SysRoot, Topology};

/// A sharded service of user sessions that speaks the protocol of Redis.
///
/// Each key is an entity: an actor that starts when it is asked for, on the core that has its shard, and leaves memory
/// after five minutes. What it answers is durable, but in a cluster. Talk to it with `redis-cli -p 6380`, or with any
/// client of Redis.
/// Exit codes: 0 ended in order, 1 the run failed, 2 the command line asks for something impossible, 75 given up by its
/// cluster: started again, it joins as a new member.
#[derive(Debug, Clone, Parser)]
#[command(name = "sessions", version)]
pub struct Options {
    /// Where to listen for clients.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6380")]
    pub listen: String,

    /// Where the journal lies. It is made if it is not there, and goes on if it is.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,

    /// Whether an answer is durable, or nothing is kept: always for a process alone, none in a cluster.
    #[arg(long, value_enum)]
    pub durability: Option<Durability>,

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

    /// Be one of several processes that have the keys together, any of which serves any key. They are in memory alone.
    #[arg(long)]
    pub cluster: bool,

    /// Where to listen for the other processes; a port of the system's choice on 127.0.0.1 unless told.
    #[arg(long, value_name = "ADDRESS")]
    pub listen_links: Option<String>,

    /// Processes of the cluster that may be asked to be let in; all name the same first. The first of them begins it.
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub seeds: Vec<String>,

    /// The short way: join the cluster that the process at this address is in.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "seeds")]
    pub join: Option<String>,

    /// The members of the etcd that decides which process has which keys. Without it the oldest process decides, and a
    /// key may be in two processes while the network is broken.
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub etcd: Vec<String>,

    /// Below which keys of etcd this cluster works. Two clusters need two.
    #[arg(long, value_name = "PREFIX", default_value = "sessions", requires = "etcd")]
    pub etcd_prefix: String,

    /// After how many seconds without word of a process others may have its keys.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(3..=600))]
    pub lease: u32,

    /// A file with the key by which the processes know each other. Needed where others can reach the address.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// What others are told that this process is for.
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,

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
    /// Whether this is one of several processes.
    pub fn is_clustered(&self) -> bool {
        self.cluster || self.join.is_some()
    }

    /// Whether an answer is durable.
    pub fn is_durable(&self) -> bool {
        self.durability.unwrap_or(Durability::Always) == Durability::Always && !self.is_clustered()
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
