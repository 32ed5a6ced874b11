//! Commands that a connection answers by itself: about the connection, the server, and the commands.

use super::{Command, CommandError, integer, is, text};
use crate::reply::Resp;
use crate::request::Arguments;

/// What a connection is asked for that is about no key.
#[derive(Debug)]
pub enum Served<'a> {
    Ping {
        echo: Option<&'a [u8]>,
    },
    Echo {
        bytes: &'a [u8],
    },
    /// Which version of the protocol to speak, and how the client is called.
    Hello {
        resp: Option<Resp>,
        name: Option<&'a [u8]>,
    },
    SetName {
        name: &'a [u8],
    },
    GetName,
    SetInfo,
    ClientId,
    ClientList,
    Commands,
    CommandCount,
    CommandDocs {
        names: Vec<&'a [u8]>,
    },
    CommandInfo {
        names: Vec<&'a [u8]>,
    },
    ConfigGet {
        names: Vec<&'a [u8]>,
    },
    Info {
        section: Option<&'a [u8]>,
    },
    Select,
    Quit,
}

type Parsed<'a> = Result<Command<'a>, CommandError>;

fn served(served: Served<'_>) -> Parsed<'_> {
    Ok(Command::Served(served))
}

pub fn ping(arguments: Arguments<'_>) -> Parsed<'_> {
    match arguments.len() {
        1 => served(Served::Ping { echo: None }),
        2 => served(Served::Ping { echo: Some(arguments.get(1)) }),
        _ => Err(CommandError::Arity { name: "ping".to_owned() }),
    }
}

pub fn echo(arguments: Arguments<'_>) -> Parsed<'_> {
    served(Served::Echo { bytes: arguments.get(1) })
}

pub fn quit(_: Arguments<'_>) -> Parsed<'_> {
    served(Served::Quit)
}

pub fn size(_: Arguments<'_>) -> Parsed<'_> {
    Err(CommandError::Size)
}

/// There are no users but `default`, who has no password.
pub fn auth(arguments: Arguments<'_>) -> Parsed<'_> {
    match arguments.len() {
        2 => Err(CommandError::NoPassword),
        3 if arguments.get(1) == b"default" => served(Served::Select),
        3 => Err(CommandError::WrongPassword),
        _ => Err(CommandError::Syntax),
    }
}

pub fn select(arguments: Arguments<'_>) -> Parsed<'_> {
    match integer(arguments.get(1))? {
        0 => served(Served::Select),
        _ => Err(CommandError::Database),
    }
}

pub fn hello(arguments: Arguments<'_>) -> Parsed<'_> {
    if arguments.len() == 1 {
        return served(Served::Hello { resp: None, name: None });
    }
    let version = crate::session::integer(arguments.get(1)).ok_or(CommandError::ProtocolNumber)?;
    let resp = match version {
        2 => Resp::Two,
        3 => Resp::Three,
        _ => return Err(CommandError::Protocol),
    };
    let (mut name, mut at) = (None, 2);
    while at < arguments.len() {
        let option = arguments.get(at);
        let left = arguments.len() - at - 1;
        if is(option, "AUTH") && left >= 2 {
            if arguments.get(at + 1) != b"default" {
                return Err(CommandError::WrongPassword);
            }
            at += 3;
        } else if is(option, "SETNAME") && left >= 1 {
            name = Some(checked_name(arguments.get(at + 1))?);
            at += 2;
        } else {
            return Err(CommandError::HelloOption { option: text(option) });
        }
    }
    served(Served::Hello { resp: Some(resp), name })
}

pub fn client(arguments: Arguments<'_>) -> Parsed<'_> {
    let (name, words) = (arguments.get(1), arguments.len());
    let exactly = |wanted: usize, name: &str| match words == wanted {
        true => Ok(()),
        false => Err(CommandError::Arity { name: name.to_owned() }),
    };
    match () {
        () if is(name, "SETNAME") => {
            exactly(3, "client|setname")?;
            served(Served::SetName { name: checked_name(arguments.get(2))? })
        }
        () if is(name, "SETINFO") => {
            exactly(4, "client|setinfo")?;
            let option = arguments.get(2);
            match is(option, "LIB-NAME") || is(option, "LIB-VER") {
                true => served(Served::SetInfo),
                false => Err(CommandError::ClientOption { option: text(option) }),
            }
        }
        () if is(name, "GETNAME") => {
            exactly(2, "client|getname")?;
            served(Served::GetName)
        }
        () if is(name, "ID") => {
            exactly(2, "client|id")?;
            served(Served::ClientId)
        }
        () if is(name, "LIST") => served(Served::ClientList),
        () => Err(CommandError::Subcommand { command: "CLIENT", name: text(name) }),
    }
}

fn checked_name(name: &[u8]) -> Result<&[u8], CommandError> {
    match name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        true => Ok(name),
        false => Err(CommandError::ClientName),
    }
}

pub fn command(arguments: Arguments<'_>) -> Parsed<'_> {
    let names = || arguments.from(2).collect();
    let name = arguments.get(1);
    match () {
        () if arguments.len() == 1 => served(Served::Commands),
        () if is(name, "COUNT") && arguments.len() == 2 => served(Served::CommandCount),
        () if is(name, "COUNT") => Err(CommandError::Arity { name: "command|count".to_owned() }),
        () if is(name, "DOCS") => served(Served::CommandDocs { names: names() }),
        () if is(name, "INFO") => served(Served::CommandInfo { names: names() }),
        () => Err(CommandError::Subcommand { command: "COMMAND", name: text(name) }),
    }
}

pub fn config(arguments: Arguments<'_>) -> Parsed<'_> {
    let name = arguments.get(1);
    match (is(name, "GET"), arguments.len()) {
        (true, 3..) => served(Served::ConfigGet { names: arguments.from(2).collect() }),
        (true, _) => Err(CommandError::Arity { name: "config|get".to_owned() }),
        (false, _) => Err(CommandError::Subcommand { command: "CONFIG", name: text(name) }),
    }
}

pub fn info(arguments: Arguments<'_>) -> Parsed<'_> {
    let section = (arguments.len() > 1).then(|| arguments.get(1));
    served(Served::Info { section })
}
