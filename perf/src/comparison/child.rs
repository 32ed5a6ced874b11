//! Runs a program to its end: on given CPUs, without input, with a deadline, keeping the end of what it says.
//!
//! Invariants: the child has ended when the function returns, whatever happened; of each of its outputs at most
//! [`KEPT_BYTES`] are held, and it is never blocked by an output that nobody reads.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::raw::affinity::{self, AffinityError};
use crate::raw::child_end::wait_at_most;

/// How much of the end of an output is kept.
pub const KEPT_BYTES: usize = 64 * 1024;

/// What a child left behind that ended well.
#[derive(Clone, Debug)]
pub struct Done {
    /// The end of its output.
    pub stdout: String,
    /// From before it was started until it had ended.
    pub wall: Duration,
}

/// Why a child did not end well. It has ended all the same.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("\"{program}\" cannot be started: {source}")]
    NotStarted {
        /// The program.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// It could not be given its CPUs, and was not started.
    #[error(transparent)]
    Affinity(#[from] AffinityError),
    /// The thread that starts it was lost.
    #[error("the thread that starts children ended before its work was done")]
    StarterLost,
    /// Its end cannot be waited for.
    #[error("its end cannot be waited for: {0}")]
    Wait(io::Error),
    /// It was not done in time and was killed.
    #[error("it was not done after {limit_ms} ms and was killed")]
    TimedOut {
        /// The deadline.
        limit_ms: u128,
    },
    /// It ended with an error of its own.
    #[error("it ended with {end}{said}")]
    Failed {
        /// Its exit code or the signal that killed it.
        end: String,
        /// The last lines of its stderr in one, behind a colon; nothing when it said nothing.
        said: String,
    },
}

/// Starts the command on these CPUs (on those of this thread when there are none) and waits for its end, at most
/// `limit`. The command's stdin, stdout and stderr are taken over.
pub fn run(mut command: Command, cpus: &[usize], limit: Duration) -> Result<Done, ChildError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = start(command, cpus)?;
    let stdout = child.stdout.take().map(tail_of);
    let stderr = child.stderr.take().map(tail_of);
    let ended = wait_at_most(&child, limit);
    let wall = began.elapsed();
    if !matches!(ended, Ok(true)) {
        // It may have ended in between, which is as good.
        _ = child.kill();
    }
    let status = child.wait().map_err(ChildError::Wait)?;
    let (stdout, stderr) = (collect(stdout), collect(stderr));
    if !ended.map_err(ChildError::Wait)? {
        return Err(ChildError::TimedOut { limit_ms: limit.as_millis() });
    }
    if !status.success() {
        return Err(ChildError::Failed { end: end_of(status), said: last_lines(&stderr) });
    }
    Ok(Done { stdout, wall })
}

/// A thread of its own starts the child, because a child inherits the CPUs of the thread that starts it.
fn start(mut command: Command, cpus: &[usize]) -> Result<Child, ChildError> {
    let spawn = move || {
        if !cpus.is_empty() {
            affinity::restrict_to(cpus)?;
        }
        let program = Path::new(command.get_program()).display().to_string();
        command.spawn().map_err(|source| ChildError::NotStarted { program, source })
    };
    thread::scope(|scope| scope.spawn(spawn).join()).map_err(|_| ChildError::StarterLost)?
}

/// Reads an output to its end on a thread of its own and keeps the last part of it.
fn tail_of(mut output: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (finished, tail) = mpsc::channel();
    thread::spawn(move || {
        let mut kept = Vec::new();
        let mut part = [0; 8 * 1024];
        while let Ok(read) = output.read(&mut part) {
            if read == 0 {
                break;
            }
            kept.extend_from_slice(&part[..read]);
            let surplus = kept.len().saturating_sub(KEPT_BYTES);
            kept.drain(..surplus);
        }
        // Nobody waits any longer when a descendant has kept the output open.
        _ = finished.send(kept);
    });
    tail
}

/// What was read. Somebody whom the child has left behind may keep its output open for ever; that is not waited for.
fn collect(tail: Option<Receiver<Vec<u8>>>) -> String {
    let bytes = tail.and_then(|tail| tail.recv_timeout(OPEN_OUTPUT_LIMIT).ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

const OPEN_OUTPUT_LIMIT: Duration = Duration::from_secs(2);

fn end_of(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "neither exit code nor signal".to_owned(),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(LINES_SHOWN);
    if lines.is_empty() { String::new() } else { format!(": {}", lines[from..].join(" | ")) }
}

const LINES_SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const LONG_ENOUGH: Duration = Duration::from_secs(60);

    fn shell(script: &str, limit: Duration) -> Result<Done, ChildError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, &[], limit)
    }

    #[test]
    fn the_end_of_a_long_output_is_kept_and_the_child_never_blocks_on_it() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done; cat";
        let done = shell(script, LONG_ENOUGH).expect("ends well");
        assert!(done.stdout.len() <= KEPT_BYTES);
        assert!(done.stdout.ends_with("\n19998\n19999\n"));
    }

    #[test]
    fn what_a_failing_child_says_stands_in_the_error_as_one_line() {
        let error = shell("echo one >&2; echo two >&2; exit 3", LONG_ENOUGH).expect_err("fails");
        assert_eq!(error.to_string(), "it ended with exit code 3: one | two");
        let error = shell("kill -9 $$", LONG_ENOUGH).expect_err("is killed");
        assert_eq!(error.to_string(), "it ended with signal 9");
    }

    #[test]
    fn a_child_that_is_not_done_in_time_is_killed() {
        let error = shell("while :; do :; done", Duration::from_millis(20)).expect_err("spins");
        assert!(matches!(error, ChildError::TimedOut { limit_ms: 20 }), "{error:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(Command::new("./no-such-program"), &[], LONG_ENOUGH).expect_err("missing");
        assert!(error.to_string().starts_with("\"./no-such-program\" cannot be started"));
    }

    #[test]
    fn a_child_has_the_cpus_that_it_was_given() {
        let highest = *affinity::allowed_cpus().expect("readable").last().expect("a CPU");
        let mut command = Command::new("grep");
        command.args(["Cpus_allowed_list", "/proc/self/status"]);
        let done = run(command, &[highest], LONG_ENOUGH).expect("ends well");
        assert_eq!(done.stdout.split_whitespace().last(), Some(highest.to_string().as_str()));
    }
}
