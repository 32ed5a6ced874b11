//! The far node of a contestant whose library cannot hold two nodes in one process: a second process of the same
//! program.
//!
//! The near process starts it with [`FAR`] and words of its own, and reads the lines that it prints, such as its
//! address. Invariant: the far process does not outlive the near one. It ends when its standard input is closed, which
//! the kernel does when the near process ends in whatever way; one that does not is killed when the [`FarProcess`] is
//! dropped.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The first word of the command line of a far process.
pub const FAR: &str = "far";

/// How long a far process may take to end once its input is closed.
const END_LIMIT: Duration = Duration::from_secs(5);
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// A far process, as the near one holds it.
#[derive(Debug)]
pub struct FarProcess {
    child: Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl FarProcess {
    /// Starts this program again with [`FAR`] and these words.
    pub fn start(words: &[&str]) -> io::Result<FarProcess> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(FAR).args(words);
        FarProcess::of(command)
    }

    fn of(mut command: Command) -> io::Result<FarProcess> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(FarProcess { child, input, lines: BufReader::new(output) })
    }

    /// The next line that it prints, without its end. Blocks until it is there.
    ///
    /// Returns `UnexpectedEof` when the far process has ended instead.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for FarProcess {
    fn drop(&mut self) {
        drop(self.input.take());
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < END_LIMIT {
            thread::sleep(BETWEEN_LOOKS);
        }
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words for this process if it is a far one.
pub fn own_words() -> Option<Vec<String>> {
    let mut words = std::env::args().skip(1);
    (words.next()? == FAR).then(|| words.collect())
}

/// In a far process: blocks until the near one wants it to end, or has ended.
pub fn wait_for_end() {
    // Nothing is ever written; an error is an end as well.
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> FarProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        FarProcess::of(command).expect("sh can be started")
    }

    #[test]
    fn its_lines_are_read_one_after_the_other_and_its_end_is_an_error() {
        let mut far = shell("echo one; echo two");
        assert_eq!(far.line().expect("a line"), "one");
        assert_eq!(far.line().expect("a line"), "two");
        let end = far.line().expect_err("it has ended");
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn it_ends_when_it_is_dropped() {
        let mut far = shell("echo $$; cat");
        let process = far.line().expect("its number");
        assert!(std::path::Path::new("/proc").join(&process).exists());
        drop(far);
        assert!(!std::path::Path::new("/proc").join(&process).exists());
    }
}
