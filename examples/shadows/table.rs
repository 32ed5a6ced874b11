//! The result as a person reads it.

use std::fmt;

use super::report::{Load, Percentiles, Report, Restart};

/// Shows a report.
pub struct Table<'a>(pub &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { devices, seed, cores, active_limit, window, load, restart, .. } = self.0;
        writeln!(
            f,
            "{devices} devices on {cores} core(s), seed {seed}; on each core {active_limit} shadows in memory at most, \
             {window} updates under way"
        )?;
        show_load(f, load)?;
        show_memory(f, load, restart)?;
        show_restart(f, restart)?;
        let proof = &self.0.proof;
        writeln!(f, "Proof: the process was killed under load, and every shadow asked afterwards")?;
        writeln!(f, "  devices         {:>12}", proof.devices)?;
        writeln!(f, "  acknowledged    {:>12}   updates", proof.acknowledged)?;
        writeln!(f, "  found           {:>12}   those and some that were under way", proof.found)?;
        let mebibytes = self.0.journal_bytes >> 20;
        writeln!(f, "  journal         {mebibytes:>12}   MiB on disk")?;
        writeln!(f, "  violations      {:>12}", proof.violations)?;
        proof.first_violations.iter().try_for_each(|violation| writeln!(f, "    {violation}"))
    }
}

fn show_load(f: &mut fmt::Formatter<'_>, load: &Load) -> fmt::Result {
    let (filled, seconds) = (load.first_updates_per_second, load.fill_seconds);
    writeln!(f, "  first updates   {filled:>12.0}   a second, {seconds:.2} s")?;
    let (rate, seconds) = (load.updates_per_second, load.seconds);
    writeln!(f, "  updates         {rate:>12.0}   a second, {} in {seconds:.2} s", load.updates)?;
    let messages = load.messages_per_second;
    writeln!(f, "  messages        {messages:>12.0}   a second: updates and acknowledgements")?;
    show_times(f, "acknowledged", &load.update_ns)?;
    let regions = &load.regions;
    writeln!(
        f,
        "  started         {:>12}   times; {} left memory for the limit, {} because they were idle",
        regions.started, regions.left_limit, regions.left_idle
    )?;
    writeln!(
        f,
        "  not stored      {:>12}   and {} without an answer, {} refused, {} shadows failed",
        load.tally.rejected, load.tally.unanswered, regions.refused, regions.failed
    )?;
    writeln!(f, "  shards moved    {:>12}   and {} that were not", load.moved, load.not_moved)?;
    if load.moved > 0 {
        show_times(f, "a move", &load.move_ns)?;
        show_times(f, "blackout", &load.blackout_ns)?;
    }
    Ok(())
}

fn show_memory(f: &mut fmt::Formatter<'_>, load: &Load, restart: &Restart) -> fmt::Result {
    let mebibytes = |bytes: u64| bytes >> 20;
    writeln!(
        f,
        "  memory          {:>12}   MiB when filled, {} at most, {} when empty",
        mebibytes(load.memory_filled_bytes),
        mebibytes(load.memory_most_bytes),
        mebibytes(load.memory_empty_bytes)
    )?;
    writeln!(
        f,
        "  for each device {:>12.0}   bytes, with {} of the shadows in memory; {:.0} without any",
        load.memory_per_device_bytes, load.filled_active, restart.memory_per_absent_device_bytes
    )
}

fn show_restart(f: &mut fmt::Formatter<'_>, restart: &Restart) -> fmt::Result {
    let opened_ms = restart.opened_us as f64 / 1e3;
    writeln!(f, "  journal open    {opened_ms:>12.0}   ms after the start")?;
    show_times(f, "activation", &restart.activation_ns)?;
    let (rate, count, seconds) = (restart.recoveries_per_second, restart.together, restart.seconds);
    writeln!(f, "  recoveries      {rate:>12.0}   a second, {count} in {seconds:.2} s")
}

fn show_times(f: &mut fmt::Formatter<'_>, name: &str, times: &Percentiles) -> fmt::Result {
    let Percentiles { count, p50, p99, p999, max } = *times;
    let ms = |ns: u64| ns as f64 / 1e6;
    let (p50, p99, p999, max) = (ms(p50), ms(p99), ms(p999), ms(max));
    writeln!(
        f,
        "  {name:<15} {count:>12}   p50 {p50:.2}, p99 {p99:.2}, p99.9 {p999:.2}, max {max:.2} ms"
    )
}
