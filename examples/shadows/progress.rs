//! Lines on stderr that say how far a run is.

use std::time::{Duration, Instant};

/// How often there is one.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// See the module's header.
pub struct Progress {
    begun: Instant,
    said: Instant,
}

impl Progress {
    /// From now on.
    pub fn new() -> Progress {
        let now = Instant::now();
        Progress { begun: now, said: now }
    }

    /// Says something, if it is time.
    pub fn look(&mut self, what: impl FnOnce() -> String) {
        if self.said.elapsed() >= LINE_EVERY {
            self.say(&what());
        }
    }

    /// Says something now.
    pub fn say(&mut self, what: &str) {
        self.said = Instant::now();
        eprintln!("shadows: {:6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }
}
