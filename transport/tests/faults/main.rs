//! Broken networks and bad input on real sockets.
//!
//! | file | what |
//! |---|---|
//! | `proxy` | stands between two nodes and breaks their connections |
//! | `ledger` | an actor that keeps account of what comes, and those who send to it |
//! | `scene` | a node under attack, and a bystander that must not notice |
//! | `log` | what nodes write to the log |
//! | `stranger` | a peer made by hand: raw bytes, or a handshake and then anything |
//! | `broken_connections` | each fault of the proxy, in the handshake and behind it |
//! | `stalled_links` | nothing comes any more, little comes, or late |
//! | `handshakes` | strangers that do not get through the handshake |
//! | `frames` | peers that are in, and then send what no node sends |

mod broken_connections;
mod frames;
mod handshakes;
mod ledger;
mod log;
mod proxy;
mod scene;
mod stalled_links;
mod stranger;

use std::error::Error;
use std::time::Duration;

/// Longer than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
