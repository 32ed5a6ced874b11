//! The command `mainspring-cluster`; see the library's module `command` for what it does.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut errors = io::stderr().lock();
    ExitCode::from(mainspring_sharding::command::run(std::env::args_os(), &mut out, &mut errors))
}
