//! The answer of the program as data: what `--json` prints and what the table is made from.

use super::fold::Ledger;
use super::latency::Percentiles;
use super::party::Kind;
use super::totals::{DELAY_BOUNDS_MIN, Totals};
use serde::Serialize;

/// How many aircraft the table of the busiest has.
pub const BUSIEST: usize = 10;

/// Everything that is printed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The file that was read.
    pub data: String,
    /// Flights in it.
    pub flights: u64,
    /// Passes over it.
    pub passes: u32,
    pub actors: Actors,
    /// By mean arrival delay, the most punctual first.
    pub carriers: Vec<CarrierRow>,
    /// The ten with the most flights.
    pub busiest_aircraft: Vec<AircraftRow>,
    /// By departures and arrivals, the busiest first.
    pub airports: Vec<AirportRow>,
    /// Upper bounds of the buckets in `arrival_delays`, in minutes, exclusive; the last bucket has none.
    pub delay_bounds_min: Vec<i16>,
    pub run: Run,
    pub check: Check,
}

/// How fast it went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    pub cores: usize,
    /// What a core did when it had nothing to do.
    pub idle: String,
    /// How many times real time; `None` for as fast as it goes.
    pub pace: Option<f64>,
    /// Messages about flights: one for every party of every flight, in every pass.
    pub messages: u64,
    /// From the start of reading until the last message was handled.
    pub seconds: f64,
    pub messages_per_second: f64,
    /// From the sender's stamp to the handling turn.
    pub latency_ns: Percentiles,
    /// Messages handled by each core.
    pub messages_per_core: Vec<u64>,
}

/// How the actors' totals compare with a plain fold of the same file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Aircraft, airports and carriers whose totals were compared.
    pub compared: usize,
    /// `None` when every total is equal.
    pub first_difference: Option<String>,
}

/// How many actors there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actors {
    pub aircraft: usize,
    pub airports: usize,
    pub carriers: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct CarrierRow {
    pub carrier: String,
    pub flights: u64,
    pub cancelled: u64,
    pub mean_departure_delay_min: Option<f64>,
    pub mean_arrival_delay_min: Option<f64>,
    pub arrival_delays: Vec<u64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct AircraftRow {
    pub tail: String,
    pub flights: u64,
    pub distance_mi: u64,
    pub air_time_min: u64,
    pub mean_arrival_delay_min: Option<f64>,
    /// The airport where it was last; `None` when it never departed.
    pub last_seen_at: Option<String>,
    pub last_seen_time: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct AirportRow {
    pub airport: String,
    /// Scheduled flights from and to it.
    pub flights: u64,
    pub departures: u64,
    pub arrivals: u64,
    pub cancelled: u64,
}

impl Report {
    /// The report on a ledger. Rows with equal keys stand in the order of their codes.
    pub fn new(
        data: String,
        flights: u64,
        passes: u32,
        ledger: &Ledger,
        run: Run,
        check: Check,
    ) -> Report {
        let actors = Actors {
            aircraft: of(ledger, Kind::Aircraft).count(),
            airports: of(ledger, Kind::Airport).count(),
            carriers: of(ledger, Kind::Carrier).count(),
        };
        Report {
            data,
            flights,
            passes,
            actors,
            carriers: carriers(ledger),
            busiest_aircraft: busiest_aircraft(ledger),
            airports: airports(ledger),
            delay_bounds_min: DELAY_BOUNDS_MIN.to_vec(),
            run,
            check,
        }
    }
}

fn of(ledger: &Ledger, kind: Kind) -> impl Iterator<Item = (String, &Totals)> {
    let rows = ledger.iter().filter(move |(party, _)| party.kind == kind);
    rows.map(|(party, totals)| (party.code.to_string(), totals))
}

fn carriers(ledger: &Ledger) -> Vec<CarrierRow> {
    let row = |(carrier, totals): (String, &Totals)| CarrierRow {
        carrier,
        flights: totals.flights,
        cancelled: totals.cancelled,
        mean_departure_delay_min: totals.mean_departure_delay_min(),
        mean_arrival_delay_min: totals.mean_arrival_delay_min(),
        arrival_delays: totals.delays.to_vec(),
    };
    let mut rows: Vec<CarrierRow> = of(ledger, Kind::Carrier).map(row).collect();
    // Carriers that never arrived come last.
    let key = |row: &CarrierRow| row.mean_arrival_delay_min.unwrap_or(f64::INFINITY);
    rows.sort_by(|a, b| key(a).total_cmp(&key(b)));
    rows
}

fn busiest_aircraft(ledger: &Ledger) -> Vec<AircraftRow> {
    let mut rows: Vec<(String, &Totals)> = of(ledger, Kind::Aircraft).collect();
    rows.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.flights));
    rows.truncate(BUSIEST);
    let row = |(tail, totals): (String, &Totals)| AircraftRow {
        tail,
        flights: totals.flights,
        distance_mi: totals.distance_mi,
        air_time_min: totals.air_time_min,
        mean_arrival_delay_min: totals.mean_arrival_delay_min(),
        last_seen_at: totals.last_seen.map(|seen| seen.place.to_string()),
        last_seen_time: totals.last_seen.map(|seen| seen.at.to_string()),
    };
    rows.into_iter().map(row).collect()
}

fn airports(ledger: &Ledger) -> Vec<AirportRow> {
    let row = |(airport, totals): (String, &Totals)| AirportRow {
        airport,
        flights: totals.flights,
        departures: totals.departures,
        arrivals: totals.arrivals,
        cancelled: totals.cancelled,
    };
    let mut rows: Vec<AirportRow> = of(ledger, Kind::Airport).map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.departures + row.arrivals));
    rows
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::fold::Fold;
    use crate::record::tests::flight;

    /// A report on four flights.
    pub fn small() -> Report {
        let mut fold = Fold::default();
        for row in [
            "UA,EWR,IAH,1400,N14228,2,11,227",
            "UA,EWR,IAH,1400,N14228,2,12,227",
            "AA,JFK,EWR,900,N2,0,-7,60",
            "ZZ,JFK,MIA,900,NA,NA,NA,NA",
        ] {
            fold.add(&flight(&format!("2013-01-01T10:15Z,{row}")).unwrap());
        }
        let run = Run {
            cores: 2,
            idle: "hybrid".into(),
            pace: None,
            messages: 15,
            seconds: 0.005,
            messages_per_second: 3_000.0,
            latency_ns: Percentiles { p50: 900, p99: 12_345, p999: 2_000_000, max: 2_000_001 },
            messages_per_core: vec![7, 8],
        };
        let check = Check { compared: 9, first_difference: None };
        Report::new("flights.csv.gz".into(), fold.flights, 1, &fold.ledger, run, check)
    }

    #[test]
    fn carriers_come_by_mean_arrival_delay_and_those_without_arrivals_last() {
        let report = small();
        let carriers: Vec<(&str, Option<f64>)> = report
            .carriers
            .iter()
            .map(|r| (r.carrier.as_str(), r.mean_arrival_delay_min))
            .collect();
        assert_eq!(carriers, [("AA", Some(-7.0)), ("UA", Some(11.5)), ("ZZ", None)]);
    }

    #[test]
    fn the_busiest_come_first() {
        let report = small();
        assert_eq!(report.busiest_aircraft[0].tail, "N14228");
        assert_eq!(report.busiest_aircraft[0].last_seen_at.as_deref(), Some("IAH"));
        let airports: Vec<(&str, u64, u64)> = report
            .airports
            .iter()
            .map(|r| (r.airport.as_str(), r.departures, r.arrivals))
            .collect();
        assert_eq!(airports, [("EWR", 2, 1), ("IAH", 0, 2), ("JFK", 1, 0), ("MIA", 0, 0)]);
        assert_eq!(report.actors, Actors { aircraft: 2, airports: 4, carriers: 3 });
    }

    #[test]
    fn json_has_the_documented_keys() {
        let json = serde_json::to_value(small()).unwrap();
        assert_eq!(json["flights"], 4);
        assert_eq!(json["actors"]["airports"], 4);
        assert_eq!(json["run"]["latency_ns"]["p999"], 2_000_000);
        assert_eq!(json["run"]["messages_per_core"][1], 8);
        assert_eq!(json["check"]["first_difference"], serde_json::Value::Null);
        assert_eq!(json["carriers"][2]["mean_arrival_delay_min"], serde_json::Value::Null);
        assert_eq!(json["carriers"][0]["arrival_delays"].as_array().unwrap().len(), 12);
    }
}
