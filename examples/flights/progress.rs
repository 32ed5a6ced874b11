//! A progress bar for a person who watches; nothing when the output goes to a file or a pipe.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// Flights sent, out of all.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar on stderr when that is a terminal.
    pub fn new(flights: u64) -> Progress {
        Progress::drawn(flights, std::io::stderr().is_terminal())
    }

    /// How many flights were sent so far.
    pub fn set(&self, flights: u64) {
        self.0.set_position(flights);
    }

    /// Removes the bar.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }

    fn drawn(flights: u64, visible: bool) -> Progress {
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(flights), target);
        // The template is a constant; were it wrong, the default style would do.
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {eta}")
        {
            bar.set_style(style);
        }
        Progress(bar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bar_where_nobody_watches() {
        let progress = Progress::drawn(10, false);
        progress.set(4);
        assert!(progress.0.is_hidden());
        assert_eq!(progress.0.position(), 4);
        progress.finish();
    }
}
