//! What goes wrong between nodes and a store in memory.

/// What goes wrong, and how often. Everything is drawn from the seed of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFaults {
    /// The least that a request, an answer or word of a change is under way.
    pub delay_min_ns: u64,
    /// The most.
    pub delay_max_ns: u64,
    /// How many of a hundred requests are lost, and how many answers.
    pub lost_percent: u8,
    /// How many of a hundred requests arrive after the asker has stopped waiting.
    pub late_percent: u8,
    /// How much later those arrive, at most.
    pub late_max_ns: u64,
    /// How many of a hundred questions that get no answer in time are not even called unknown.
    pub silent_percent: u8,
    /// How much longer than asked for a lease may live.
    pub stretch_max_ns: u64,
    /// By how many millionths the clock of the store is faster than that of the nodes.
    pub fast_clock_ppm: u32,
}

impl StoreFaults {
    /// Nothing goes wrong and nothing takes time.
    pub fn none() -> StoreFaults {
        StoreFaults::default()
    }

    /// A store on a network that works: everything takes between half a millisecond and two.
    pub fn delays() -> StoreFaults {
        StoreFaults { delay_min_ns: 500_000, delay_max_ns: 2_000_000, ..StoreFaults::none() }
    }

    /// All of it at once, as often as it can go wrong while work is still done: up to 100 ms under way, of a hundred
    /// requests and answers five lost, two late by up to 10 s, leases up to 4 s longer, a clock 1 in 1000 fast.
    pub fn storm() -> StoreFaults {
        StoreFaults {
            delay_min_ns: 200_000,
            delay_max_ns: 100_000_000,
            lost_percent: 5,
            late_percent: 2,
            late_max_ns: 10_000_000_000,
            silent_percent: 10,
            stretch_max_ns: 4_000_000_000,
            fast_clock_ppm: 1_000,
        }
    }

    pub(super) fn delay_ns(&self, random: &mut fastrand::Rng) -> u64 {
        random.u64(self.delay_min_ns..=self.delay_max_ns.max(self.delay_min_ns))
    }

    pub(super) fn happens(percent: u8, random: &mut fastrand::Rng) -> bool {
        percent > 0 && random.u8(0..100) < percent
    }

    /// How long the store keeps a lease of this length, by the clock of the nodes.
    pub(super) fn lease_ns(&self, ttl_ns: u64, random: &mut fastrand::Rng) -> u64 {
        let early = u128::from(ttl_ns) * u128::from(self.fast_clock_ppm) / 1_000_000;
        let stretch = random.u64(0..=self.stretch_max_ns);
        ttl_ns.saturating_sub(early as u64).saturating_add(stretch)
    }
}
