//! The command `mainspring-cluster`: what a node's [status server](crate::status) shows and does, at a terminal.
//!
//! Promises: exit code 0 when it is as asked, 1 when the node could not be asked, has refused, or (for `status`) is not
//! ready, 2 when the command line asks for something impossible. Every error is one line on standard error. `--json`
//! prints the document of the server as it came. It never waits longer than ten seconds.

mod client;
mod table;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ownership::Place;
use crate::status::documents::{AcceptedDocument, MembersDocument, NodeDocument};
use crate::status::request::encoded;
use crate::status::route::place_of;
use crate::status::token::token_text_in;
use crate::status::{DEFAULT_ADDRESS, StatusError, address_of};
use client::{Client, ClientError};
use table::Table;

/// Runs one command line, the program's name first, and returns the exit code.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let lines: Vec<&str> =
                text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            let text = lines.join(" ");
            let text = text.trim_start_matches("error: ");
            // Nobody is left to be told when this cannot be written.
            let _ = writeln!(errors, "mainspring-cluster: {text}; see --help");
            return IMPOSSIBLE;
        }
        Err(help) => {
            let _ = write!(out, "{help}");
            return AS_ASKED;
        }
    };
    match arguments.execute(out).and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => AS_ASKED,
        Err(error) => {
            let _ = writeln!(errors, "mainspring-cluster: {error}");
            error.exit_code()
        }
    }
}

/// The exit code when all is as asked.
const AS_ASKED: u8 = 0;
/// The exit code when the node could not be asked, has refused, or is not ready.
const FAILED: u8 = 1;
/// The exit code when the command line asks for something impossible.
const IMPOSSIBLE: u8 = 2;

/// Shows a cluster by one of its nodes, and asks it for actions.
///
/// Exit code: 0 all is as asked, 1 the node could not be asked, has refused, or is not ready, 2 the command line asks
/// for something impossible.
#[derive(Debug, Parser)]
#[command(name = "mainspring-cluster", version)]
struct Arguments {
    /// Where the status server of a node listens.
    #[arg(long, global = true, value_name = "ADDRESS", default_value = DEFAULT_ADDRESS)]
    at: String,
    /// The file with the token of the server, for actions.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The document of the server as JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the node, and whether it is ready; exit code 1 if it is not.
    Status,
    /// Shows the members as the node sees them.
    Members,
    /// Shows how many shards of each type are where; with a type, each of its shards.
    Shards {
        /// The name of a type of entities.
        entity_type: Option<String>,
    },
    /// Asks a member to leave.
    Leave {
        /// Its incarnation, or its address.
        member: String,
    },
    /// Gives a member up. It cannot come back; its node can, when it starts again.
    Down {
        /// Its incarnation, or its address.
        member: String,
    },
    /// Asks for a shard to be moved.
    Move {
        /// The name of a type of entities.
        entity_type: String,
        /// The number of the shard.
        shard: u32,
        /// A core of a member: INCARNATION/CORE.
        to: String,
    },
    /// Asks for shards to be balanced now.
    Rebalance {
        /// The name of a type of entities; all if it is left out.
        entity_type: Option<String>,
    },
}

impl Arguments {
    fn execute(&self, out: &mut dyn Write) -> Result<u8, CommandError> {
        let client = self.client()?;
        match &self.command {
            Command::Status => {
                let node: NodeDocument = self.show(&client, "/node", out, table::node)?;
                Ok(if node.is_ready { AS_ASKED } else { FAILED })
            }
            Command::Members => {
                self.show(&client, "/members", out, table::members).map(|_| AS_ASKED)
            }
            Command::Shards { entity_type: None } => {
                self.show(&client, "/shards", out, table::types).map(|_| AS_ASKED)
            }
            Command::Shards { entity_type: Some(name) } => {
                let path = format!("/shards/{}", encoded(name));
                self.show(&client, &path, out, table::shards).map(|_| AS_ASKED)
            }
            Command::Leave { member } => self.act_on(&client, member, "leave", out),
            Command::Down { member } => self.act_on(&client, member, "down", out),
            Command::Move { entity_type, shard, to } => {
                let Some(Place { incarnation, core }) = place_of(to) else {
                    return Err(CommandError::NoPlace { text: to.clone() });
                };
                let name = encoded(entity_type);
                let path = format!("/shards/{name}/{shard}/move?to={incarnation}/{core}");
                self.act(&client, &path, out)
            }
            Command::Rebalance { entity_type: None } => self.act(&client, "/rebalance", out),
            Command::Rebalance { entity_type: Some(name) } => {
                self.act(&client, &format!("/shards/{}/rebalance", encoded(name)), out)
            }
        }
    }

    fn client(&self) -> Result<Client, CommandError> {
        let at: SocketAddr = match address_of(&self.at) {
            Ok(at) => at,
            Err(error) => return Err(CommandError::At { text: self.at.clone(), source: error }),
        };
        let token = self.token_file.as_deref().map(token_text_in).transpose();
        Ok(Client::new(at, token.map_err(CommandError::TokenFile)?))
    }

    /// Gets a document, and prints it.
    fn show<T: DeserializeOwned + Serialize>(
        &self,
        client: &Client,
        path: &str,
        out: &mut dyn Write,
        table: impl FnOnce(&T) -> Table,
    ) -> Result<T, CommandError> {
        let (text, document) = client.get(path)?;
        match self.json {
            true => write!(out, "{text}")?,
            false => write!(out, "{}", table(&document))?,
        }
        Ok(document)
    }

    fn act(&self, client: &Client, path: &str, out: &mut dyn Write) -> Result<u8, CommandError> {
        if self.token_file.is_none() {
            return Err(CommandError::NoToken);
        }
        let (text, AcceptedDocument { accepted }) = client.post(path)?;
        match self.json {
            true => write!(out, "{text}")?,
            false => writeln!(out, "{accepted}")?,
        }
        Ok(AS_ASKED)
    }

    fn act_on(
        &self,
        client: &Client,
        member: &str,
        action: &str,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        if self.token_file.is_none() {
            return Err(CommandError::NoToken);
        }
        let incarnation = match member.parse::<u64>() {
            Ok(incarnation) => incarnation.to_string(),
            Err(_) => incarnation_at(client, member)?,
        };
        self.act(client, &format!("/members/{incarnation}/{action}"), out)
    }
}

/// The incarnation of the only member at an address.
fn incarnation_at(client: &Client, address: &str) -> Result<String, CommandError> {
    if address.parse::<SocketAddr>().is_err() {
        return Err(CommandError::NoMember { text: address.to_owned() });
    }
    let (_, MembersDocument { members }) = client.get("/members")?;
    let mut there = members.into_iter().filter(|member| member.address == address);
    match (there.next(), there.next()) {
        (Some(member), None) => Ok(member.incarnation),
        (None, _) => Err(CommandError::NobodyAt { address: address.to_owned() }),
        (Some(_), Some(_)) => Err(CommandError::SeveralAt { address: address.to_owned() }),
    }
}

/// Why it is not as asked.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("--at {text}: write it as {DEFAULT_ADDRESS} ({source})")]
    At { text: String, source: StatusError },
    #[error("--token-file: {0}")]
    TokenFile(StatusError),
    #[error("an action needs the token of the server: --token-file FILE")]
    NoToken,
    #[error(
        "{text:?} is no place; write INCARNATION/CORE, as `mainspring-cluster shards` shows them"
    )]
    NoPlace { text: String },
    #[error("{text:?} is neither an incarnation nor an address; see `mainspring-cluster members`")]
    NoMember { text: String },
    #[error("no member is at {address}; see `mainspring-cluster members`")]
    NobodyAt { address: String },
    #[error("several lives of a node are at {address}; name one by its incarnation")]
    SeveralAt { address: String },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            CommandError::At { .. }
            | CommandError::TokenFile(_)
            | CommandError::NoToken
            | CommandError::NoPlace { .. }
            | CommandError::NoMember { .. } => IMPOSSIBLE,
            CommandError::NobodyAt { .. }
            | CommandError::SeveralAt { .. }
            | CommandError::Client(_)
            | CommandError::Output(_) => FAILED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
