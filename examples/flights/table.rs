//! The report as text for a person.

use super::latency::Percentiles;
use super::report::{AirportRow, Check, Report, Run};
use std::fmt;

/// Airports in one line.
const AIRPORTS_A_LINE: usize = 3;

/// Prints a report as tables.
pub struct Table<'a>(pub &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(f, "{} flights from {}", report.flights, report.data)?;
        let actors = &report.actors;
        write!(f, "{} aircraft, {} airports, ", actors.aircraft, actors.airports)?;
        writeln!(f, "{} carriers; passes: {}", actors.carriers, report.passes)?;
        carriers(f, report)?;
        aircraft(f, report)?;
        airports(f, &report.airports)?;
        run(f, report)
    }
}

fn carriers(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    writeln!(f, "\nCarriers by mean arrival delay (minutes)")?;
    writeln!(f, "carrier   flights  cancelled  departure  arrival")?;
    for row in &report.carriers {
        let (departure, arrival) =
            (mean(row.mean_departure_delay_min), mean(row.mean_arrival_delay_min));
        let (carrier, flights, cancelled) = (&row.carrier, row.flights, row.cancelled);
        writeln!(f, "{carrier:<7} {flights:>9} {cancelled:>10} {departure:>10} {arrival:>8}")?;
    }
    Ok(())
}

fn aircraft(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    writeln!(f, "\nBusiest aircraft")?;
    writeln!(f, "tail      flights      miles    hours  arrival  last seen")?;
    for row in &report.busiest_aircraft {
        let (hours, arrival) = (row.air_time_min / 60, mean(row.mean_arrival_delay_min));
        let place = row.last_seen_at.as_deref().unwrap_or("-");
        let time = row.last_seen_time.as_deref().unwrap_or("");
        let (tail, flights, miles) = (&row.tail, row.flights, row.distance_mi);
        let line = format!(
            "{tail:<8} {flights:>8} {miles:>10} {hours:>8} {arrival:>8}  {place:<4} {time}"
        );
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

fn airports(f: &mut fmt::Formatter<'_>, rows: &[AirportRow]) -> fmt::Result {
    let columns = ["airport  flights    left arrived"; AIRPORTS_A_LINE].join("   ");
    writeln!(f, "\nAirports: scheduled flights, departures, arrivals\n{columns}")?;
    for line in rows.chunks(AIRPORTS_A_LINE) {
        let cell = |row: &AirportRow| {
            format!(
                "{:<7} {:>8} {:>7} {:>7}",
                row.airport, row.flights, row.departures, row.arrivals
            )
        };
        let cells: Vec<String> = line.iter().map(cell).collect();
        writeln!(f, "{}", cells.join("   "))?;
    }
    Ok(())
}

fn run(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let Run { cores, idle, messages, seconds, messages_per_second, .. } = &report.run;
    let pace = report.run.pace.map_or(String::new(), |pace| format!(", {pace} times real time"));
    writeln!(f, "\nRun on {cores} cores, {idle}{pace}")?;
    writeln!(f, "{messages} messages in {seconds:.3} s: {messages_per_second:.0} a second")?;
    let per_core: Vec<String> = report.run.messages_per_core.iter().map(u64::to_string).collect();
    writeln!(f, "by core: {}", per_core.join(", "))?;
    let Percentiles { p50, p99, p999, max } = report.run.latency_ns;
    let [p50, p99, p999, max] = [p50, p99, p999, max].map(time);
    writeln!(f, "latency: p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}")?;
    let Check { compared, first_difference } = &report.check;
    match first_difference {
        None => writeln!(f, "all {compared} totals equal those of a plain fold of the file"),
        Some(difference) => writeln!(f, "first difference from a plain fold: {difference}"),
    }
}

/// Nanoseconds with three digits, in the unit that fits.
fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

fn mean(minutes: Option<f64>) -> String {
    minutes.map_or("-".into(), |minutes| format!("{minutes:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::small;

    #[test]
    fn the_table_of_a_small_report() {
        let expected = "\
4 flights from flights.csv.gz
2 aircraft, 4 airports, 3 carriers; passes: 1

Carriers by mean arrival delay (minutes)
carrier   flights  cancelled  departure  arrival
AA              1          0       0.00    -7.00
UA              2          0       2.00    11.50
ZZ              1          1          -        -

Busiest aircraft
tail      flights      miles    hours  arrival  last seen
N14228          2       2800        7    11.50  IAH  2013-01-01T14:04Z
N2              1        900        1    -7.00  EWR  2013-01-01T11:15Z

Airports: scheduled flights, departures, arrivals
airport  flights    left arrived   airport  flights    left arrived   airport  flights    left arrived
EWR            3       2       1   IAH            2       0       2   JFK            2       1       0
MIA            1       0       0

Run on 2 cores, hybrid
15 messages in 0.005 s: 3000 a second
by core: 7, 8
latency: p50 900 ns, p99 12.3 us, p99.9 2.00 ms, max 2.00 ms
all 9 totals equal those of a plain fold of the file
";
        assert_eq!(Table(&small()).to_string(), expected);
    }
    #[test]
    fn a_difference_and_a_pace_are_shown() {
        let mut report = small();
        report.run.pace = Some(1e6);
        report.check.first_difference = Some("carrier UA: flights is 1, but 2 in the file".into());
        let text = Table(&report).to_string();
        assert!(text.contains("hybrid, 1000000 times real time"), "{text}");
        assert!(text.ends_with("fold: carrier UA: flights is 1, but 2 in the file\n"), "{text}");
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let times = [0, 999, 1_000, 99_949, 100_000, 1_234_567, 60_000_000_000].map(time);
        assert_eq!(times, ["0 ns", "999 ns", "1.00 us", "99.9 us", "100 us", "1.23 ms", "60.0 s"]);
    }
}
