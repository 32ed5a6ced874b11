//! The result as a person reads it.

use std::fmt;

use super::report::{Percentiles, Report, Run, Spread};

/// Shows a report.
pub struct Table<'a>(pub &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        if let Some(run) = &report.run {
            show_run(f, report, run)?;
        }
        let proof = &report.proof;
        writeln!(f, "Proof, read from the journal in {:.2} s", report.proof_seconds)?;
        writeln!(f, "  orders          {:>12}", proof.orders)?;
        writeln!(f, "    done          {:>12}   each step once", proof.done)?;
        writeln!(f, "    compensated   {:>12}   nothing is left of them", proof.compensated)?;
        writeln!(f, "  effects         {:>12}   {} of them undone", proof.taken, proof.given_back)?;
        writeln!(
            f,
            "  ledgers         {:>12}   start less what went out is what is left",
            proof.ledgers
        )?;
        writeln!(f, "  pieces sold     {:>12}", proof.pieces)?;
        writeln!(f, "  cents paid      {:>12}", proof.cents)?;
        writeln!(f, "  parcels sent    {:>12}", proof.parcels)?;
        writeln!(f, "  violations      {:>12}", proof.violations)?;
        for violation in &proof.first_violations {
            writeln!(f, "    {violation}")?;
        }
        Ok(())
    }
}

fn show_run(f: &mut fmt::Formatter<'_>, report: &Report, run: &Run) -> fmt::Result {
    let Report { orders, seed, cores, window, .. } = report;
    let Run { crashes, seconds, open_seconds, orders_per_second, .. } = run;
    writeln!(f, "{orders} orders, {window} open at a time, on {cores} core(s), seed {seed}")?;
    writeln!(f, "  killed          {crashes:>12}   times")?;
    writeln!(f, "  took            {seconds:>12.2} s, {open_seconds:.2} s of it open")?;
    writeln!(f, "  throughput      {orders_per_second:>12.0}   orders a second while open")?;
    let Percentiles { count, p50, p99, p999, max } = run.commit_ns;
    let ms = |ns: u64| ns as f64 / 1e6;
    let (p50, p99, p999, max) = (ms(p50), ms(p99), ms(p999), ms(max));
    writeln!(
        f,
        "  commits         {count:>12}   p50 {p50:.2}, p99 {p99:.2}, p99.9 {p999:.2}, max {max:.2} ms"
    )?;
    show_spread(f, "journal open", &run.open_journal_us)?;
    show_spread(f, "recovered", &run.recovery_us)
}

fn show_spread(f: &mut fmt::Formatter<'_>, name: &str, spread: &Spread) -> fmt::Result {
    let Spread { count, min, median, max } = *spread;
    let ms = |us: u64| us as f64 / 1e3;
    let (min, median, max) = (ms(min), ms(median), ms(max));
    writeln!(
        f,
        "  {name:<15} {count:>12}   times: least {min:.1}, median {median:.1}, most {max:.1} ms after the start"
    )
}
