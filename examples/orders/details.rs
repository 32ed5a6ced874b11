//! What an order is about. The shop's customers are simulated: the same seed and number always give the same order.

use mainspring::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Articles in the inventory, each with an account of its pieces.
pub const ARTICLES: u32 = 512;
/// Customers, each with an account of their money.
pub const CUSTOMERS: u32 = 1_024;
/// Depots, each with an account of the parcels that it can still take.
pub const DEPOTS: u32 = 256;

/// What an order is about.
#[message(name = "order.details")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// Which article.
    pub article: u32,
    /// How many of it.
    pub pieces: u32,
    /// Who pays.
    pub customer: u32,
    /// How much.
    pub cents: u64,
    /// From where it is sent.
    pub depot: u32,
}

impl Details {
    /// The order of this number.
    pub fn of(seed: u64, number: u64) -> Details {
        let random = |what: u64| drawn(seed, number, what);
        let pieces = 1 + (random(1) % 5) as u32;
        Details {
            article: (random(0) % u64::from(ARTICLES)) as u32,
            pieces,
            customer: (random(2) % u64::from(CUSTOMERS)) as u32,
            cents: u64::from(pieces) * (100 + random(3) % 9_900),
            depot: (random(4) % u64::from(DEPOTS)) as u32,
        }
    }
}

/// A random number that depends on nothing but its arguments.
pub fn drawn(seed: u64, of: u64, what: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&of.to_le_bytes());
    bytes[8..].copy_from_slice(&what.to_le_bytes());
    xxh3_64_with_seed(&bytes, seed)
}
