//! The result of the program as data: what `--json` prints and what the table is made from.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::options::Options;
use super::proof::Proof;
use super::supervisor::Measured;

/// Everything that is printed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Orders in all.
    pub orders: u64,
    pub seed: u64,
    pub cores: u16,
    pub window: u64,
    /// What was measured on the way; nothing when the program only proved.
    pub run: Option<Run>,
    /// How long the proof took.
    pub proof_seconds: f64,
    pub proof: Proof,
}

/// What was measured while the orders came to their end.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Times that the process was killed with SIGKILL.
    pub crashes: usize,
    /// From the first start until all orders had ended.
    pub seconds: f64,
    /// Of these, while the shop was open.
    pub open_seconds: f64,
    /// Orders in each second while the shop was open.
    pub orders_per_second: f64,
    /// From the turn of a command until its events were durable.
    pub commit_ns: Percentiles,
    /// From the start of the process until the journal was open: read to its end, its torn tail mended.
    pub open_journal_us: Spread,
    /// From the start of the process until all ledgers had their state again.
    pub recovery_us: Spread,
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

/// Some values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub count: usize,
    pub min: u64,
    pub median: u64,
    pub max: u64,
}

impl Report {
    /// The report of a run, or of a proof alone.
    pub fn new(
        options: &Options,
        measured: Option<&Measured>,
        proof_seconds: f64,
        proof: Proof,
    ) -> Report {
        Report {
            orders: options.orders,
            seed: options.seed,
            cores: options.cores,
            window: options.window,
            run: measured.map(|measured| Run::of(options, measured)),
            proof_seconds,
            proof,
        }
    }

    /// Whether everything is as it must be.
    pub fn is_proved(&self) -> bool {
        self.proof.violations == 0 && self.proof.orders == self.orders
    }
}

impl Run {
    fn of(options: &Options, measured: &Measured) -> Run {
        let open_seconds = measured.open.as_secs_f64();
        let recoveries = &measured.recoveries_us;
        Run {
            crashes: measured.crashes,
            seconds: measured.elapsed.as_secs_f64(),
            open_seconds,
            orders_per_second: options.orders as f64 / open_seconds.max(f64::MIN_POSITIVE),
            commit_ns: Percentiles::of(&measured.commits),
            open_journal_us: Spread::of(recoveries.iter().map(|(opened_us, _)| *opened_us)),
            recovery_us: Spread::of(recoveries.iter().map(|(_, recovered_us)| *recovered_us)),
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

impl Spread {
    fn of(values: impl Iterator<Item = u64>) -> Spread {
        let mut values: Vec<u64> = values.collect();
        values.sort_unstable();
        let at = |place: usize| values.get(place).copied().unwrap_or(0);
        Spread {
            count: values.len(),
            min: at(0),
            median: at(values.len() / 2),
            max: at(values.len().saturating_sub(1)),
        }
    }
}
