//! sessions: a sharded service of user sessions, durable by default, that speaks the protocol of Redis.
//!
//! Each key is an entity of [`mainspring_sharding`]; each client's connection is an actor on the core that accepted it.
//! Exit codes: 0 ended in order, 1 the run failed, 2 the command line asks for something impossible.

mod command;
mod connection;
mod entity;
mod info;
mod load;
mod operation;
mod options;
mod pair;
mod record;
mod reply;
mod request;
mod service;
mod session;
mod window;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use mainspring_examples::warnings;
use signal_hook::consts::{SIGINT, SIGTERM};
use tracing_subscriber::filter::LevelFilter;

use load::LoadError;
use options::Options;
use service::{Service, ServiceError};

/// How often the program looks whether it shall end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why the run failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the signals that end it cannot be waited for: {0}")]
    Signals(#[from] std::io::Error),
    #[error("what was measured cannot be shown: {0}")]
    Show(#[from] serde_json::Error),
}

fn main() -> ExitCode {
    let options = Options::parse();
    warnings::to_stderr(LevelFilter::ERROR);
    match work(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sessions: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn work(options: &Options) -> Result<(), Failure> {
    let ends = Arc::new(AtomicBool::new(false));
    // A load ends by itself, and has nothing to keep: a signal ends it at once.
    for signal in [SIGINT, SIGTERM].into_iter().filter(|_| !options.load) {
        signal_hook::flag::register(signal, Arc::clone(&ends))?;
    }
    let service = Service::start(options)?;
    if options.load {
        let table = load::drive(service.address(), options)?;
        match options.json {
            true => println!("{}", serde_json::to_string_pretty(&table)?),
            false => print!("{table}"),
        }
    } else {
        println!("sessions: listening on {}", service.address());
        if let Some(address) = service.peer_address() {
            println!("sessions: another process joins by --join {address}");
        }
        while !ends.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    Ok(service.stop()?)
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Service(
                ServiceError::Cores(_) | ServiceError::Listen(_) | ServiceError::Pair(_),
            ) => 2,
            _ => 1,
        }
    }
}
