//! Planted differences are found, and what is not there is not.

use std::cell::Cell;

use super::*;

/// A machine with noise of 2 % either way, on which the setting makes a difference.
struct Machine {
    is_set: Cell<bool>,
    restored: Cell<usize>,
    factor: f64,
    measured: Cell<usize>,
    fails_at: Option<usize>,
    stops_at: Option<usize>,
    stop: AtomicBool,
}

fn machine(factor: f64) -> Machine {
    Machine {
        is_set: Cell::new(false),
        restored: Cell::new(0),
        factor,
        measured: Cell::new(0),
        fails_at: None,
        stops_at: None,
        stop: AtomicBool::new(false),
    }
}

impl Machine {
    fn effect(&self, blocks: usize) -> Result<Effect, EffectError> {
        let (mut setting, mut measurement) = (self, self);
        effect(&mut setting, &mut measurement, blocks, &self.stop)
    }
}

impl Setting for &Machine {
    fn apply(&mut self) -> Result<(), EffectError> {
        self.is_set.set(true);
        Ok(())
    }

    fn restore(&mut self) -> Result<(), EffectError> {
        self.is_set.set(false);
        self.restored.set(self.restored.get() + 1);
        Ok(())
    }
}

impl Measurement for &Machine {
    fn measure_ns(&mut self) -> Result<f64, EffectError> {
        let number = self.measured.get();
        self.measured.set(number + 1);
        if self.fails_at == Some(number) {
            return Err(EffectError::TooFewCpus { cpus: 1 });
        }
        if self.stops_at == Some(number) {
            self.stop.store(true, Ordering::Relaxed);
        }
        // Every value between 0.98 and 1.02 in an order without a pattern of two.
        let noise = 0.98 + (number * 7 % 41) as f64 / 1_000.0;
        Ok(1_000.0 * noise * if self.is_set.get() { self.factor } else { 1.0 })
    }
}

#[test]
fn a_planted_slowdown_of_ten_percent_is_found() {
    let effect = machine(1.1).effect(20).expect("measured");
    assert_eq!(effect.conclusion, Conclusion::Slower);
    assert!((effect.ratio.median - 1.1).abs() < 0.03, "{effect:?}");
    assert!(effect.ratio.interval.low > 1.05, "{effect:?}");
}

#[test]
fn what_makes_it_faster_is_found_too() {
    assert_eq!(machine(0.9).effect(20).expect("measured").conclusion, Conclusion::Faster);
}

#[test]
fn a_setting_that_does_nothing_has_no_effect_above_the_noise_floor() {
    let effect = machine(1.0).effect(20).expect("measured");
    assert_eq!(effect.conclusion, Conclusion::CannotTell);
    assert!(effect.noise_floor() < 0.04, "{effect:?}");
}

#[test]
fn a_measurement_that_fails_leaves_the_setting_restored() {
    // One to warm up, twelve without, and in the first block one without and one with.
    let machine = Machine { fails_at: Some(1 + 12 + 1), ..machine(1.1) };
    assert!(matches!(machine.effect(6), Err(EffectError::TooFewCpus { .. })));
    assert_eq!((machine.is_set.get(), machine.restored.get()), (false, 1));
}

#[test]
fn who_stops_it_finds_the_setting_restored_and_gets_what_enough_blocks_said() {
    let early = Machine { stops_at: Some(1 + 40 + 5), ..machine(1.1) };
    assert!(matches!(early.effect(20), Err(EffectError::Stopped { blocks: 3 })));
    assert!(!early.is_set.get());
    let late = Machine { stops_at: Some(1 + 40 + 30), ..machine(1.1) };
    let effect = late.effect(20).expect("enough");
    assert_eq!((effect.blocks, effect.conclusion), (15, Conclusion::Slower));
    assert!(!late.is_set.get());
}
