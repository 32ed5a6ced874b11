//! What a handler computes, the same in every contestant.

use std::hint::black_box;

/// What an actor of the fork-join programs computes for each message.
pub const ANGLE: f64 = 37.2;

/// The square of a sine, which the compiler may neither leave out nor compute beforehand.
#[inline]
pub fn compute(angle: f64) -> f64 {
    let sine = black_box(angle).sin();
    black_box(sine * sine)
}
