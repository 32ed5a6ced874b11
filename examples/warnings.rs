//! What the runtime warns of.

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// The runtime's warnings of this level and above go to stderr; the variable `RUST_LOG` asks for more, or for less.
pub fn to_stderr(level: LevelFilter) {
    let wanted = EnvFilter::builder().with_default_directive(level.into());
    tracing_subscriber::fmt()
        .with_env_filter(wanted.from_env_lossy())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
