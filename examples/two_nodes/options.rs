//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use mainspring::prelude::IdleProfile;

/// The largest payload: a message with it still fits a link's frame.
const MOST_PAYLOAD_BYTES: u32 = 128 << 10;

/// Two nodes that speak with each other, beside a bare TCP connection over the same path.
///
/// Prints percentiles of the round trip and the messages a second of a stream. Without --listen and --connect both
/// nodes run in this process, over loopback. On two machines: `two_nodes --listen 10.0.0.1:7355 --key-file KEY` there,
/// `two_nodes --connect 10.0.0.1:7355 --key-file KEY` here. Exit codes: 0 measured, 1 a message was lost or came out of
/// order, 2 the command line is bad, 3 something failed.
#[derive(Debug, Clone, Parser)]
#[command(name = "two_nodes", version)]
pub struct Options {
    /// Be the node that listens there, and answer until Ctrl-C.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "connect")]
    pub listen: Option<SocketAddr>,

    /// Be the node that connects to the one that listens there, and measure.
    #[arg(long, value_name = "ADDRESS")]
    pub connect: Option<SocketAddr>,

    /// Where the bare connection is listened for. Default: the same address, one port higher.
    #[arg(long, value_name = "ADDRESS")]
    pub raw: Option<SocketAddr>,

    /// The key that both nodes prove to hold. Needed on an address that other machines reach.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// End when the node that connected has gone.
    #[arg(long, requires = "listen")]
    pub once: bool,

    /// How long each of the four measurements takes.
    #[arg(long, value_name = "S", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,

    /// Bytes in each message, besides its number and who sent it.
    #[arg(long, value_name = "BYTES", default_value_t = 24, value_parser = payload())]
    pub payload: u32,

    /// Whether a core with nothing to do polls or sleeps; the bare connection does the same.
    #[arg(long, value_enum, default_value_t = Idle::Busy)]
    pub idle: Idle,

    /// The CPU of the node. Default: the first that this process may use; for a second node in it, the second.
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<u32>,
}

/// What a core does that has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Idle {
    /// It polls, and takes the whole CPU.
    Busy,
    /// It sleeps until something comes.
    Eco,
}

impl Idle {
    /// As a node has it.
    pub fn profile(self) -> IdleProfile {
        match self {
            Idle::Busy => IdleProfile::Busy,
            Idle::Eco => IdleProfile::Eco,
        }
    }

    /// The bare threads poll, too.
    pub fn polls(self) -> bool {
        self == Idle::Busy
    }
}

fn payload() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(0..=i64::from(MOST_PAYLOAD_BYTES))
}
