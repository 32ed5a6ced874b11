//! `audit`: the machine held against a profile.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::paragraph::filled;
use super::{AS_WANTED, CommandError, Context, FINDINGS};
use crate::audit::{Audit, checks_of};
use crate::check;
use crate::cpu_set::CpuSet;
use crate::facts::Facts;
use crate::finding::{Change, Finding};
use crate::profile::Profile;

/// The arguments of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArguments {
    /// What the machine is held against: laptop, shared-vm, latency, isolated-spin, or the path of a profile.
    #[arg(long, default_value = "latency")]
    profile: String,
    /// The folder where data will lie; the file system under it is looked at.
    #[arg(long, default_value = "/", value_name = "FOLDER")]
    data: String,
    /// Says where every value was read, what would mend it, and how long the audit took.
    #[arg(long, short)]
    verbose: bool,
}

impl AuditArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        let started = Instant::now();
        let mut profile = Profile::load(&self.profile)?;
        profile.wanted.data_folder = absolute(&self.data)?;
        let facts = Facts::probe(&context.root, &checks_of(&profile.wanted))?;
        let probing = started.elapsed();
        let audit = Audit::of(&facts, &profile.wanted);
        let took = Took { probing, all: started.elapsed() };
        if context.is_json {
            serde_json::to_writer_pretty(&mut *out, &json_of(&profile, &facts, &audit, took))?;
            writeln!(out)?;
        } else {
            write_text(&profile, &facts, &audit, self.verbose, out)?;
            if self.verbose {
                writeln!(
                    out,
                    "{} files in {:.1} ms, everything in {:.1} ms",
                    facts.readings(),
                    milliseconds(took.probing),
                    milliseconds(took.all)
                )?;
            }
        }
        Ok(if audit.attention() == 0 { AS_WANTED } else { FINDINGS })
    }
}

/// The folder as the mounts name it.
fn absolute(folder: &str) -> Result<String, CommandError> {
    let path = std::path::absolute(folder)?;
    Ok(path.display().to_string())
}

/// How long it took.
#[derive(Clone, Copy)]
struct Took {
    probing: Duration,
    all: Duration,
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn write_text(
    profile: &Profile,
    facts: &Facts,
    audit: &Audit,
    is_verbose: bool,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let topology = facts.topology();
    let surroundings = facts.surroundings();
    let roles = &audit.roles;
    write!(out, "machine       {}", surroundings.describe())?;
    writeln!(out, ", CPUs {}, {}", topology.online(), surroundings.describe_kernel())?;
    writeln!(out, "profile       {}: {}", profile.name, profile.summary)?;
    write!(out, "shards        {}", or_none(&roles.shards))?;
    writeln!(out, "; housekeeping {}", or_none(&roles.housekeeping))?;
    writeln!(out, "\n{:<26} {:<16} {:<30} wanted", "check", "verdict", "found")?;
    for finding in &audit.findings {
        write_row(finding, is_verbose, out)?;
    }
    writeln!(out, "\n{}", summary(audit))?;
    for note in topology.notes() {
        writeln!(out, "note: {note}")?;
    }
    if facts.readings_dropped() > 0 {
        writeln!(out, "note: {} files were left out", facts.readings_dropped())?;
    }
    Ok(())
}

fn write_row(finding: &Finding, is_verbose: bool, out: &mut dyn Write) -> Result<(), CommandError> {
    let found = if finding.found.is_empty() { "-" } else { &finding.found };
    let verdict = finding.verdict.name();
    let id = finding.id;
    // What is too long for its column has a line of its own.
    if found.chars().count() < FOUND_COLUMNS {
        writeln!(out, "{id:<26} {verdict:<16} {found:<FOUND_COLUMNS$} {}", finding.wanted)?;
    } else {
        writeln!(out, "{id:<26} {verdict:<16} {:<FOUND_COLUMNS$} {}", "see below", finding.wanted)?;
        write!(out, "{}", filled(&format!("found: {found}"), INDENT))?;
    }
    if let Some(reason) = finding.verdict.reason() {
        write!(out, "{}", filled(&reason, INDENT))?;
    }
    if finding.verdict.differs() {
        write!(out, "{}", filled(finding.effect, INDENT))?;
    }
    if finding.verdict.is_finding() || is_verbose {
        for path in &finding.evidence {
            writeln!(out, "{INDENT}{path}")?;
        }
    }
    if is_verbose {
        for change in &finding.changes {
            write!(out, "{}", filled(&format!("would {change}"), INDENT))?;
        }
    }
    Ok(())
}

const FOUND_COLUMNS: usize = 30;
const INDENT: &str = "    ";

/// How often each verdict was given.
fn summary(audit: &Audit) -> String {
    let count = |name| audit.findings.iter().filter(|f| f.verdict.name() == name).count();
    let counts = VERDICTS.map(|name| (name, count(name)));
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    format!(
        "{} checks: {}; `mainspring-tune explain ID` tells why",
        audit.findings.len(),
        counts.join(", ")
    )
}

/// The verdicts by name, as the summary has them.
const VERDICTS: [&str; 6] =
    ["ok", "differs", "needs privilege", "needs reboot", "unreadable", "not applicable"];

fn or_none(cpus: &CpuSet) -> String {
    if cpus.is_empty() { "none".to_owned() } else { cpus.to_string() }
}

fn json_of(profile: &Profile, facts: &Facts, audit: &Audit, took: Took) -> Value {
    let surroundings = facts.surroundings();
    let findings: Vec<Value> = audit.findings.iter().map(finding_json).collect();
    let notes: Vec<String> = facts.topology().notes().iter().map(ToString::to_string).collect();
    json!({
        "profile": profile.name,
        "machine": {
            "kernel": surroundings.kernel,
            "guest_of": surroundings.guest_of,
            "is_container": surroundings.is_container,
            "online": facts.topology().online().to_string(),
            "allowed": facts.topology().allowed_cpus().to_string(),
        },
        "shards": audit.roles.shards.to_string(),
        "housekeeping": audit.roles.housekeeping.to_string(),
        "findings": findings,
        "attention": audit.attention(),
        "notes": notes,
        "files": facts.readings(),
        "probe_ms": milliseconds(took.probing),
        "total_ms": milliseconds(took.all),
    })
}

fn finding_json(finding: &Finding) -> Value {
    let scope = check::by_id(finding.id).map(|check| super::explain::scope_name(check.scope));
    json!({
        "id": finding.id,
        "scope": scope,
        "wanted": finding.wanted,
        "found": finding.found,
        "verdict": finding.verdict.name(),
        "reason": finding.verdict.reason(),
        "effect": finding.effect,
        "evidence": finding.evidence,
        "changes": finding.changes.iter().map(change_json).collect::<Vec<_>>(),
    })
}

/// One change, its kind first.
pub(super) fn change_json(change: &Change) -> Value {
    match change {
        Change::Write { path, value, restore } => {
            json!({"kind": "write", "path": path, "value": value, "restore": restore})
        }
        Change::Boot { parameter, value } => {
            json!({"kind": "boot", "parameter": parameter, "value": value})
        }
        Change::Limit { item, directive, value, is_hard } => {
            json!({"kind": "limit", "item": item, "directive": directive, "value": value, "is_hard": is_hard})
        }
        Change::Partition { cpus } => json!({"kind": "partition", "cpus": cpus.to_string()}),
        Change::Variable { path, name, value, restore, unit } => json!({
            "kind": "variable",
            "path": path,
            "name": name,
            "value": value,
            "restore": restore,
            "unit": unit,
        }),
        Change::Ethtool { device, option, property, value, restore } => json!({
            "kind": "ethtool",
            "device": device,
            "option": option,
            "property": property,
            "value": value,
            "restore": restore,
        }),
    }
}
