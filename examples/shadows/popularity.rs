//! Which devices speak how often: by Zipf's law, drawn from a seed.

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};

/// Draws devices: the first speaks twice as often as the second and three times as often as the third, if the exponent
/// is 1.
#[derive(Debug)]
pub struct Popularity {
    zipf: Option<Zipf<f64>>,
    random: SmallRng,
    devices: usize,
}

impl Popularity {
    /// For so many devices, one at least.
    pub fn new(devices: usize, exponent: f64, seed: u64) -> Popularity {
        // Refused are fewer than one device and exponents that the command line does not let through.
        let zipf = Zipf::new(devices as f64, exponent).ok();
        Popularity { zipf, random: SmallRng::seed_from_u64(seed), devices }
    }

    /// The place of the next one, from 0.
    pub fn draw(&mut self) -> usize {
        let rank = self.zipf.map_or(1.0, |zipf| zipf.sample(&mut self.random));
        (rank as usize).clamp(1, self.devices.max(1)) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_thousand_speaks_as_often_as_the_law_says_and_all_are_in_range() {
        let mut popularity = Popularity::new(1_000, 1.0, 7);
        let mut counts = vec![0_u32; 1_000];
        for _ in 0..100_000 {
            counts[popularity.draw()] += 1;
        }
        // One part in the thousandth harmonic number, 7.485: 13,360 of them.
        assert!((12_800..13_900).contains(&counts[0]), "{}", counts[0]);
        assert!((6_200..7_200).contains(&counts[1]), "{}", counts[1]);
    }

    #[test]
    fn the_same_seed_draws_the_same_devices() {
        let draws = |seed| {
            let mut popularity = Popularity::new(500, 0.9, seed);
            (0..50).map(|_| popularity.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }
}
