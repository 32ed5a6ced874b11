//! The result of the program as data: what `--json` prints and what the table is made from.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::gateway::Tally;
use super::life::Regions;
use super::options::Options;
use super::proof::Proof;
use super::supervisor::{Loaded, Restarted};

/// Everything that is printed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub devices: u32,
    pub seed: u64,
    pub cores: u16,
    /// Shadows that may be in memory on each core.
    pub active_limit: u32,
    /// Updates that may be under way on each core.
    pub window: u16,
    pub load: Load,
    pub restart: Restart,
    pub journal_bytes: u64,
    pub proof: Proof,
}

/// What was measured while updates went on.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// Until every device had had its first update.
    pub fill_seconds: f64,
    pub first_updates_per_second: f64,
    /// From then until the process was killed.
    pub seconds: f64,
    pub updates: u64,
    pub updates_per_second: f64,
    /// An update and its acknowledgement are two.
    pub messages_per_second: f64,
    /// From sending an update to its acknowledgement.
    pub update_ns: Percentiles,
    pub moved: u64,
    pub not_moved: u64,
    /// From the wish for a move to its answer.
    pub move_ns: Percentiles,
    /// From the last update of a shard on its old core to the first on its new one, as far as that one waited.
    pub blackout_ns: Percentiles,
    pub regions: Regions,
    pub tally: Tally,
    /// Memory when the node had started, and no device had been heard of.
    pub memory_empty_bytes: u64,
    /// Memory when every device had had its first update.
    pub memory_filled_bytes: u64,
    /// Shadows that were in memory then.
    pub filled_active: u64,
    /// The difference of the two, for each device.
    pub memory_per_device_bytes: f64,
    pub memory_most_bytes: u64,
}

/// What was measured after the restart.
#[derive(Debug, Clone, Serialize)]
pub struct Restart {
    /// From the start of the process until the journal was open.
    pub opened_us: u64,
    /// What the journal keeps in memory of a device whose shadow is not there.
    pub memory_per_absent_device_bytes: f64,
    /// How long a shadow took to answer that was not in memory, while nothing else went on.
    pub activation_ns: Percentiles,
    /// Shadows that were asked together, and how many came back in a second.
    pub together: u64,
    pub seconds: f64,
    pub recoveries_per_second: f64,
}

/// A distribution of nanoseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl Report {
    /// The report of a run.
    pub fn new(
        options: &Options,
        loaded: &Loaded,
        restarted: Restarted,
        journal_bytes: u64,
    ) -> Report {
        Report {
            devices: options.devices,
            seed: options.seed,
            cores: loaded.cores,
            active_limit: options.active_on_each(loaded.cores),
            window: options.window,
            load: Load::new(options, loaded),
            restart: Restart::new(options, &restarted),
            journal_bytes,
            proof: restarted.proof,
        }
    }

    /// What is wrong, if anything is.
    pub fn violation(&self) -> Option<String> {
        let overtaken = self.load.tally.overtaken;
        if overtaken > 0 {
            return Some(format!(
                "{overtaken} updates were handled behind later ones of their device"
            ));
        }
        self.proof.first_violations.first().cloned()
    }
}

impl Load {
    fn new(options: &Options, loaded: &Loaded) -> Load {
        let devices = f64::from(options.devices);
        let fill_seconds = loaded.filling.as_secs_f64();
        let seconds = loaded.speaking.as_secs_f64();
        let updates_per_second = loaded.updates as f64 / seconds.max(f64::MIN_POSITIVE);
        let [_, empty_bytes] = loaded.memory_bytes;
        let grown_bytes = loaded.filled_bytes.saturating_sub(empty_bytes);
        Load {
            fill_seconds,
            first_updates_per_second: devices / fill_seconds.max(f64::MIN_POSITIVE),
            seconds,
            updates: loaded.updates,
            updates_per_second,
            messages_per_second: 2.0 * updates_per_second,
            update_ns: Percentiles::of(&loaded.latencies),
            moved: loaded.figures.moves.moved,
            not_moved: loaded.figures.moves.failed,
            move_ns: Percentiles::of(&loaded.moves),
            blackout_ns: Percentiles::of(&loaded.blackouts),
            regions: loaded.figures.regions,
            tally: loaded.figures.tally,
            memory_empty_bytes: empty_bytes,
            memory_filled_bytes: loaded.filled_bytes,
            filled_active: loaded.filled_active,
            memory_per_device_bytes: grown_bytes as f64 / devices,
            memory_most_bytes: loaded.most_bytes.max(loaded.filled_bytes),
        }
    }
}

impl Restart {
    fn new(options: &Options, restarted: &Restarted) -> Restart {
        let [before_bytes, opened_bytes] = restarted.memory_bytes;
        let grown_bytes = opened_bytes.saturating_sub(before_bytes);
        let seconds = restarted.reading.as_secs_f64();
        Restart {
            opened_us: restarted.opened_us,
            memory_per_absent_device_bytes: grown_bytes as f64 / f64::from(options.devices),
            activation_ns: Percentiles::of(&restarted.singly),
            together: restarted.together,
            seconds,
            recoveries_per_second: restarted.together as f64 / seconds.max(f64::MIN_POSITIVE),
        }
    }
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Percentiles {
        Percentiles {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}
