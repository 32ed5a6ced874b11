//! How large the window is: moved to where more of the uses find their entity held.
//!
//! Hill climbing after Einziger, Eytan, Friedman, Manes, "Adaptive software cache management", Middleware 2018, 4.2:
//! after so many uses the share that were hits is compared with that of the sample before; if it rose, the window moves
//! on in the same direction, else back; at its bounds it turns. Steps shrink, so that it settles, and are whole again
//! when the share changes much, because then the uses have changed.

/// A step, as a share of the limit, at first and after a change.
const WHOLE_STEP: f64 = 0.0625;
/// By how much each step is smaller than the last.
const STEP_DECAY: f64 = 0.98;
/// A change of the share of hits that makes steps whole again.
const RESTART: f64 = 0.05;
/// Uses in a sample for each entity of the limit.
const USES_AN_ENTITY: u64 = 10;
/// The window's share of the limit at first, and at most.
const FIRST_SHARE: f64 = 0.01;
const MOST_SHARE: f64 = 0.8;

/// Watches hits and misses, and says how large the window is to be.
#[derive(Debug)]
pub(super) struct WindowClimber {
    at_most: f64,
    window: f64,
    step: f64,
    hits: u64,
    misses: u64,
    uses_in_sample: u64,
    last_share: f64,
}

impl WindowClimber {
    /// For a limit of so many entities.
    pub(super) fn for_entities(at_most: u32) -> Self {
        let uses_in_sample = USES_AN_ENTITY * u64::from(at_most);
        let at_most = f64::from(at_most);
        WindowClimber {
            at_most,
            window: at_most * FIRST_SHARE,
            // Downwards, so that the first sample, which is better than none, leaves the window as it is.
            step: -at_most * WHOLE_STEP,
            hits: 0,
            misses: 0,
            uses_in_sample,
            last_share: 0.0,
        }
    }

    /// A use of an entity that was held, while the limit was reached.
    #[inline]
    pub(super) fn hit(&mut self) {
        self.hits += 1;
        if self.hits + self.misses >= self.uses_in_sample {
            self.climb();
        }
    }

    /// A use of an entity that was not held, while the limit was reached.
    #[inline]
    pub(super) fn miss(&mut self) {
        self.misses += 1;
        if self.hits + self.misses >= self.uses_in_sample {
            self.climb();
        }
    }

    /// How many entities the window is to have: at least one.
    #[inline]
    pub(super) fn window(&self) -> u32 {
        (self.window as u32).max(1)
    }

    #[cold]
    fn climb(&mut self) {
        let share = self.hits as f64 / (self.hits + self.misses) as f64;
        let change = share - self.last_share;
        let mut step = if change >= 0.0 { self.step } else { -self.step };
        let (least, most) = (self.at_most * FIRST_SHARE, self.at_most * MOST_SHARE);
        let window = (self.window + step).clamp(least, most);
        if window == self.window {
            // At a bound: nothing would be learnt by staying there.
            step = -step;
        }
        self.window = window;
        self.step = if change.abs() >= RESTART {
            (self.at_most * WHOLE_STEP).copysign(step)
        } else {
            step * STEP_DECAY
        };
        self.last_share = share;
        (self.hits, self.misses) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples in which the share of hits is a function of the window.
    fn climb(climber: &mut WindowClimber, samples: u32, share_of: impl Fn(f64) -> f64) {
        for _ in 0..samples {
            let hits = (share_of(climber.window) * climber.uses_in_sample as f64) as u64;
            (0..climber.uses_in_sample)
                .for_each(|n| if n < hits { climber.hit() } else { climber.miss() });
        }
    }

    #[test]
    fn the_window_goes_where_there_are_more_hits_and_follows_when_that_changes() {
        let mut climber = WindowClimber::for_entities(1_000);
        assert_eq!(climber.window(), 10);
        climb(&mut climber, 300, |window| 0.8 - (window - 500.0).abs() / 2_000.0);
        assert!((400..600).contains(&climber.window()), "{}", climber.window());
        climb(&mut climber, 300, |window| 0.5 - window / 2_000.0);
        assert!(climber.window() < 100, "{}", climber.window());
    }

    #[test]
    fn the_window_stays_within_its_bounds() {
        let mut climber = WindowClimber::for_entities(1);
        climb(&mut climber, 50, |window| window);
        assert_eq!(climber.window(), 1);
        let mut climber = WindowClimber::for_entities(100);
        climb(&mut climber, 100, |window| window / 100.0);
        assert!(climber.window() <= 80);
    }
}
