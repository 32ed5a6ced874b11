//! Links and servers over TLS, on real sockets over loopback.

mod authority;
mod client;
mod links;
mod servers;

use std::error::Error;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

type Outcome = Result<(), Box<dyn Error>>;
