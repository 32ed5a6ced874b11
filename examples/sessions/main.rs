//! sessions: a sharded service of user sessions, durable by default, that speaks the protocol of Redis.
//!
//! Each key is an entity of [`mainspring_sharding`]; each client's connection is an actor on the core that accepted it.
//! Exit codes: 0 ended in order, 1 the run failed, 2 the command line asks for something impossible, 75 given up by its
//! cluster.

mod cluster;
mod command;
mod connection;
mod ending;
mod entity;
mod info;
mod load;
mod operation;
mod options;
mod record;
mod reply;
mod request;
mod service;
mod session;
mod window;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mainspring_examples::warnings;
use tracing_subscriber::filter::LevelFilter;

use ending::EndError;
use load::LoadError;
use options::Options;
use service::{Service, ServiceError};

/// How long the node may take to stop after a load.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Why the run failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    End(#[from] EndError),
    #[error("what was measured cannot be shown: {0}")]
    Show(#[from] serde_json::Error),
}

fn main() -> ExitCode {
    let options = Options::parse();
    warnings::to_stderr(LevelFilter::ERROR);
    match work(&options) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("sessions: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Serves, or drives itself. The exit code.
fn work(options: &Options) -> Result<u8, Failure> {
    let service = Service::start(options)?;
    // A load ends by itself, and has nothing to keep: a signal ends it at once.
    if options.load {
        let table = load::drive(service.address(), options)?;
        match options.json {
            true => println!("{}", serde_json::to_string_pretty(&table)?),
            false => print!("{table}"),
        }
        service.stop(STOP_WITHIN)?;
        return Ok(0);
    }
    say(format_args!("sessions: listening on {}", service.address()));
    if let Some(address) = service.view().links_address() {
        say(format_args!("sessions: another process joins by --join {address}"));
        if options.etcd.is_empty() {
            say(format_args!(
                "sessions: without --etcd a key may be in two processes while the network is broken"
            ));
        }
    }
    Ok(ending::serve(service)?)
}

/// Says something to whoever reads the output. A service goes on when nobody does.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Service(
                ServiceError::Cores(_) | ServiceError::Listen(_) | ServiceError::Cluster(_),
            ) => 2,
            _ => 1,
        }
    }
}
