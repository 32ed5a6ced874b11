//! Commands: what a client's words mean, by a table of names with the number of arguments that each takes.
//!
//! Names count without regard to case. What is wrong is said in Redis' own words ([`CommandError`]).

mod keyed;
mod served;
mod table;

use super::operation::Operation;
use super::request::Arguments;

pub use self::served::Served;
pub use self::table::{COMMANDS, Spec, find};

/// What a client wants.
#[derive(Debug)]
pub enum Command<'a> {
    /// Something of one key.
    Key { key: &'a [u8], operation: Operation },
    /// Something of many keys; their replies make one.
    Keys { keyed: Vec<(&'a [u8], Operation)>, join: Join },
    /// Something that the connection itself knows.
    Served(Served<'a>),
}

/// How the replies of many keys make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Their sum.
    Sum,
    /// All of them, in order.
    List,
    /// `OK`.
    Ok,
}

/// Why a request is no command. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("ERR unknown command '{name}', with args beginning with: {arguments}")]
    Unknown { name: String, arguments: String },
    #[error("ERR wrong number of arguments for '{name}' command")]
    Arity { name: String },
    #[error("ERR unknown subcommand '{name}'. Try {command} HELP.")]
    Subcommand { command: &'static str, name: String },
    #[error("ERR syntax error")]
    Syntax,
    #[error("ERR value is not an integer or out of range")]
    Integer,
    #[error("ERR invalid expire time in '{name}' command")]
    ExpireTime { name: &'static str },
    #[error("ERR NX and XX, GT or LT options at the same time are not compatible")]
    ExpireOptions,
    #[error("ERR GT and LT options at the same time are not compatible")]
    ExpireOrder,
    #[error("ERR Unsupported option {option}")]
    ExpireOption { option: String },
    #[error("ERR a key has 1 to 1024 bytes, and this one has {bytes}")]
    Key { bytes: usize },
    #[error("ERR DB index is out of range")]
    Database,
    #[error("NOPROTO unsupported protocol version")]
    Protocol,
    #[error("ERR Protocol version is not an integer or out of range")]
    ProtocolNumber,
    #[error("ERR Syntax error in HELLO option '{option}'")]
    HelloOption { option: String },
    #[error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?"
    )]
    NoPassword,
    #[error("WRONGPASS invalid username-password pair or user is disabled.")]
    WrongPassword,
    #[error("ERR Client names cannot contain spaces, newlines or special characters.")]
    ClientName,
    #[error("ERR Unrecognized option '{option}'")]
    ClientOption { option: String },
    #[error(
        "ERR DBSIZE is not known: sessions that left memory are counted by nobody; see INFO keyspace"
    )]
    Size,
}

/// The most bytes of a client's words that an error shows.
const MOST_SHOWN_BYTES: usize = 128;

impl<'a> Command<'a> {
    /// What these words mean. There is at least one.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(arguments: Arguments<'a>) -> Result<Command<'a>, CommandError> {
        let spec = find(arguments.get(0)).ok_or_else(|| unknown(arguments))?;
        if !spec.takes(arguments.len()) {
            return Err(CommandError::Arity { name: spec.name.to_owned() });
        }
        let command = (spec.parse)(arguments)?;
        match &command {
            Command::Key { key, .. } => check_key(key)?,
            Command::Keys { keyed, .. } => {
                keyed.iter().try_for_each(|(key, _)| check_key(key))?;
            }
            Command::Served(_) => {}
        }
        Ok(command)
    }
}

fn check_key(key: &[u8]) -> Result<(), CommandError> {
    match key.len() {
        1..=mainspring_sharding::entities::MOST_ID_BYTES => Ok(()),
        bytes => Err(CommandError::Key { bytes }),
    }
}

fn unknown(arguments: Arguments<'_>) -> CommandError {
    let mut shown = String::new();
    for argument in arguments.from(1) {
        if shown.len() >= MOST_SHOWN_BYTES {
            break;
        }
        shown.push_str(&format!("'{}' ", text(argument)));
    }
    CommandError::Unknown { name: text(arguments.get(0)), arguments: shown }
}

/// A client's word, for people.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_SHOWN_BYTES)]).into_owned()
}

/// Whether a word is this one, which is in capital letters.
fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

fn integer(word: &[u8]) -> Result<i64, CommandError> {
    super::session::integer(word).ok_or(CommandError::Integer)
}

#[cfg(test)]
#[path = "command/tests.rs"]
mod tests;
