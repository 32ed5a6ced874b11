//! Broken networks and bad input on real sockets.
//!
//! | file | what |
//! |---|---|
//! | `proxy` | stands between two nodes and breaks their connections |
//! | `ledger` | an actor that keeps account of what comes, and those who send to it |
//! | `scene` | a node under attack, and a bystander that must not notice |
//! | `log` | what nodes write to the log |
//! | `stranger` | a peer made by hand: raw bytes, or a handshake and then anything |
//! | `process` | nodes in processes of their own, for what is the whole process's |
//! | `broken_connections` | each fault of the proxy, in the handshake and behind it |
//! | `stalled_links` | nothing comes any more, little comes, or late |
//! | `handshakes` | strangers that do not get through the handshake |
//! | `frames` | peers that are in, and then send what no node sends |
//! | `crowds` | more connections than anybody needs |
//! | `slow_peers` | peers that read nothing, and a process that is stopped |
//! | `keys` | who may listen and link, with which key |
//! | `namespaces` | a network that is down for a while |

mod broken_connections;
mod crowds;
mod frames;
mod handshakes;
mod keys;
mod ledger;
mod log;
mod namespaces;
mod process;
mod proxy;
mod scene;
mod slow_peers;
mod stalled_links;
mod stranger;

use std::error::Error;
use std::time::Duration;

/// Longer than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
