//! What nodes write to the log, for tests that look for one line.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Instant;

use crate::PATIENCE;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static BEGUN: Once = Once::new();

/// Lines that are kept; far more than these tests make.
const LINES_LIMIT: usize = 100_000;

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_LIMIT {
            lines.push(String::from_utf8_lossy(bytes).trim_end().to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on the log of this process is kept.
pub fn begin() {
    BEGUN.call_once(|| {
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Lines);
        lines.init();
    });
}

/// A place in the log. A port may have been another connection's before it.
#[derive(Clone, Copy)]
pub struct Mark(usize);

impl Mark {
    /// The end of what is there.
    pub fn now() -> Mark {
        Mark(LINES.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    /// The one line with all of these words that was written since, as soon as it is there.
    pub fn line_with(self, words: &[&str]) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines_with(words);
            if let [line] = lines.as_slice() {
                return line.clone();
            }
            assert!(lines.is_empty(), "one line of {words:?}, not {lines:#?}");
            assert!(Instant::now() < end, "no line of {words:?}");
            std::thread::yield_now();
        }
    }

    fn lines_with(self, words: &[&str]) -> Vec<String> {
        let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
        lines[self.0..].iter().filter(has_all).cloned().collect()
    }
}
