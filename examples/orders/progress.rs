//! A bar that shows how many orders have ended, for a person at a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for so many orders; nothing where nobody watches.
    pub fn new(orders: u64) -> Progress {
        let bar =
            ProgressBar::with_draw_target(Some(orders), ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} orders, {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message("not killed yet");
        Progress(bar)
    }

    /// So many have ended, and the process was killed so many times.
    pub fn set(&self, ended: u64, crashes: usize) {
        self.0.set_position(ended);
        if crashes > 0 {
            self.0.set_message(format!("killed {crashes} times"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
