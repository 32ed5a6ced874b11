//! How many uses find their entity held, beside a plain LRU of the same size.

use std::collections::BTreeMap;

use super::*;

const AT_MOST: u32 = 1_000;
const IDS: u32 = 50_000;

/// Ids by the share of the uses that go to them: the one of rank `n` is used with a weight of `1 / n`.
struct Zipf {
    sums: Vec<f64>,
    random: fastrand::Rng,
}

impl Zipf {
    fn new() -> Self {
        let mut sum = 0.0;
        let sums = (1..=IDS).map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        });
        Zipf { sums: sums.collect(), random: fastrand::Rng::with_seed(11) }
    }

    fn next(&mut self) -> u32 {
        let at = self.random.f64() * self.sums[self.sums.len() - 1];
        self.sums.partition_point(|sum| *sum < at) as u32
    }
}

/// The last `AT_MOST` that were used.
#[derive(Default)]
struct Lru {
    last_uses: BTreeMap<u32, u64>,
    by_last_use: BTreeMap<u64, u32>,
}

impl Lru {
    fn use_one(&mut self, id: u32, now_ns: u64) -> bool {
        let last_use = self.last_uses.insert(id, now_ns);
        if let Some(last_use) = last_use {
            self.by_last_use.remove(&last_use);
        }
        self.by_last_use.insert(now_ns, id);
        if self.last_uses.len() > AT_MOST as usize {
            let (_, oldest) = self.by_last_use.pop_first().expect("it is not empty");
            self.last_uses.remove(&oldest);
        }
        last_use.is_some()
    }
}

/// Slots are numbered by the ids: the table of entities has no part in this.
fn use_one(passivation: &mut Passivation, id: u32, now_ns: u64) -> bool {
    if passivation.holds(slot(id)) {
        passivation.touch(slot(id), now_ns);
        return true;
    }
    passivation.admit(slot(id), hash(id), now_ns, |_| true).unwrap();
    false
}

#[test]
fn more_uses_find_their_entity_than_in_an_lru_and_a_scan_does_not_flush_the_hot_ones() {
    let mut zipf = Zipf::new();
    let (mut passivation, mut lru) = (with_limit(AT_MOST), Lru::default());
    let mut now_ns = 0;
    let mut use_both = |ids: &mut dyn Iterator<Item = u32>| {
        let mut hits = (0, 0);
        for id in ids {
            now_ns += BEAT_NS;
            hits.0 += u32::from(use_one(&mut passivation, id, now_ns));
            hits.1 += u32::from(lru.use_one(id, now_ns));
        }
        hits
    };
    use_both(&mut (0..50_000).map(|_| zipf.next()));
    let (ours, plain) = use_both(&mut (0..100_000).map(|_| zipf.next()));
    assert!(ours > plain + 4_000, "{ours} hits of 100,000 beside {plain} of an LRU");
    use_both(&mut (IDS..IDS + 5_000));
    let (ours_after, plain_after) = use_both(&mut (0..1_000).map(|_| zipf.next()));
    println!(
        "{ours} and {plain} hits of 100,000; after a scan {ours_after} and {plain_after} of 1,000"
    );
    assert!(ours_after * 100 > ours - 5_000, "{ours_after} hits of 1,000 after a scan");
    assert!(ours_after > plain_after + 100, "{ours_after} and {plain_after} after a scan");
}

#[test]
fn the_window_grows_for_uses_that_come_in_waves() {
    // Each id is used ten times over while the next few hundred are, and never again: what was used often is of no use.
    let mut passivation = with_limit(AT_MOST);
    let mut random = fastrand::Rng::with_seed(2);
    let mut hits_in = |uses: std::ops::Range<u64>| {
        let ids = uses.map(|n| ((n / 10) as u32 + random.u32(0..600), n * BEAT_NS));
        ids.filter(|(id, now_ns)| use_one(&mut passivation, *id, *now_ns)).count()
    };
    let early = hits_in(0..100_000);
    hits_in(100_000..1_000_000);
    let late = hits_in(1_000_000..1_100_000);
    println!("{early} hits of 100,000 at first, {late} later");
    assert!(late > early, "{late} hits after {early}");
}
