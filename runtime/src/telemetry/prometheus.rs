//! A node's metrics in Prometheus' text format.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use super::{CoreMetrics, Distribution, NodeMetrics};
use crate::core::dead_letters::Reason;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfCore {
    node: String,
    core: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfReason {
    node: String,
    core: u16,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfQuantile {
    node: String,
    core: u16,
    quantile: &'static str,
}

type Count = (&'static str, &'static str, fn(&CoreMetrics) -> u64);

const COUNTERS: [Count; 22] = [
    ("turns", "Turns run with messages", |core| core.counters.turns),
    ("local_messages", "Messages of a core to itself", |core| core.counters.local_messages),
    ("ring_messages", "Messages from other cores and clients", |core| core.counters.ring_messages),
    ("control_messages", "Control messages", |core| core.counters.control_messages),
    ("sweeps", "Sweeps", |core| core.counters.sweeps),
    ("parks", "Times the core slept", |core| core.counters.parks),
    ("parked_nanoseconds", "Time slept", |core| core.counters.parked_ns),
    ("wakes_sent", "Publications that had to wake", |core| core.counters.wakes_sent),
    ("wakes_suppressed", "Publications to one awake", |core| core.counters.wakes_suppressed),
    ("refused_sends", "Sends refused by a full queue or ring", |core| core.counters.refused_sends),
    ("spawned", "Actors made", |core| core.counters.spawned),
    ("spawns_refused", "Spawns refused at the limit", |core| core.counters.spawns_refused),
    ("stopped", "Actors gone", |core| core.counters.stopped),
    ("turns_failed", "Turns that panicked or faulted", |core| core.counters.turns_failed),
    ("restarts", "Restarts", |core| core.counters.restarts),
    ("stash_refused", "Messages no stash had room for", |core| core.counters.stash_refused),
    ("timers_fired", "Timers fired", |core| core.counters.timers_fired),
    ("timers_refused", "Timers refused at the limit", |core| core.counters.timers_refused),
    ("late_replies", "Answers after their deadline", |core| core.counters.late_replies),
    ("asks_refused", "Asks refused at the limit", |core| core.counters.asks_refused),
    ("tasks_failed", "Futures and calls without result", |core| core.counters.tasks_failed),
    ("slow_turns", "Turns longer than the limit", |core| core.counters.slow_turns),
];

const GAUGES: [Count; 4] = [
    ("actors", "Living actors", |core| core.actors as u64),
    ("stash_bytes", "Bytes kept in stashes", |core| core.counters.stash_bytes),
    ("asks_waiting", "Asks that wait for answers", |core| core.asks_waiting as u64),
    ("timers_pending", "Pending timers", |core| core.timers_pending as u64),
];

impl NodeMetrics {
    /// The metrics in Prometheus' text format (OpenMetrics 1.0): counters and levels of each core, dead letters by
    /// reason, and quantiles of turn duration and queueing delay in seconds.
    pub fn prometheus(&self) -> String {
        let mut registry = Registry::with_prefix("mainspring");
        for (name, help, value) in COUNTERS {
            let family = Family::<OfCore, Counter>::default();
            for core in &self.cores {
                family.get_or_create(&self.of_core(core)).inc_by(value(core));
            }
            registry.register(name, help, family);
        }
        for (name, help, value) in GAUGES {
            let family = Family::<OfCore, Gauge>::default();
            for core in &self.cores {
                let level = i64::try_from(value(core)).unwrap_or(i64::MAX);
                family.get_or_create(&self.of_core(core)).set(level);
            }
            registry.register(name, help, family);
        }
        self.register_dead_letters(&mut registry);
        let (turn, wait) = ("Duration of a turn", "Wait of a sampled message in its queue");
        self.register_quantiles(&mut registry, "turn_seconds", turn, |core| core.turn);
        self.register_quantiles(&mut registry, "wait_seconds", wait, |core| core.wait);
        let silent = Gauge::<i64>::default();
        silent.set(self.silent_cores.len() as i64);
        registry.register("silent_cores", "Cores that did not answer in time", silent);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }

    fn of_core(&self, core: &CoreMetrics) -> OfCore {
        OfCore { node: self.node.clone(), core: core.core }
    }

    fn register_dead_letters(&self, registry: &mut Registry) {
        let family = Family::<OfReason, Counter>::default();
        for core in &self.cores {
            for reason in Reason::ALL {
                let (node, name) = (self.node.clone(), reason.name());
                let labels = OfReason { node, core: core.core, reason: name };
                family.get_or_create(&labels).inc_by(core.counters.dead_letters.of(reason));
            }
        }
        registry.register("dead_letters", "Messages not delivered, by reason", family);
    }

    fn register_quantiles(
        &self,
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        of: fn(&CoreMetrics) -> Distribution,
    ) {
        let family = Family::<OfQuantile, Gauge<f64, AtomicU64>>::default();
        for core in &self.cores {
            let distribution = of(core);
            let quantiles = [
                ("0.5", distribution.p50_ns),
                ("0.99", distribution.p99_ns),
                ("0.999", distribution.p999_ns),
                ("1", distribution.max_ns),
            ];
            for (quantile, value_ns) in quantiles {
                let labels = OfQuantile { node: self.node.clone(), core: core.core, quantile };
                family.get_or_create(&labels).set(value_ns as f64 / 1e9);
            }
        }
        registry.register(name, help, family);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Counters;

    #[test]
    fn the_text_names_node_core_and_reason() {
        let mut counters = Counters { turns: 12, ..Counters::default() };
        counters.dead_letters.add(Reason::NoActor, 3);
        let core = CoreMetrics {
            core: 1,
            counters,
            actors: 5,
            asks_waiting: 0,
            timers_pending: 0,
            turn: Distribution { p99_ns: 2_000, ..Distribution::default() },
            wait: Distribution::default(),
        };
        let metrics =
            NodeMetrics { node: "orders".into(), cores: vec![core], silent_cores: vec![0] };
        let text = metrics.prometheus();
        for line in [
            r#"mainspring_turns_total{node="orders",core="1"} 12"#,
            r#"mainspring_actors{node="orders",core="1"} 5"#,
            r#"mainspring_dead_letters_total{node="orders",core="1",reason="no_actor"} 3"#,
            r#"mainspring_turn_seconds{node="orders",core="1",quantile="0.99"} 0.000002"#,
            "mainspring_silent_cores 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
