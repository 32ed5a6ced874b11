//! `info` and `verify`: the log as its program would read it when it starts.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::ToolError;
use super::names::{Names, escaped};
use super::opened::OpenedLog;
use super::output::Output;
use super::scrub::Survey;
use super::verdict::Verdict;
use crate::format::RecordKind;
use crate::format::record::Records;
use crate::log::recovery::{FoundFrame, RecoveryError, recover};

/// Whose log it is, how much is in it, and what state it is in.
pub fn info(folder: &Path, output: &mut Output<'_>) -> Result<Verdict, ToolError> {
    let mut opened = OpenedLog::open(folder)?;
    let (facts, verdict) = read(&mut opened)?;
    print_identity(&opened, output)?;
    facts.print(&opened, output)?;
    output.fact("state", &verdict.text(), verdict.fields())?;
    Ok(verdict)
}

/// What a start would make of the log.
pub fn verify(folder: &Path, output: &mut Output<'_>) -> Result<Verdict, ToolError> {
    let mut opened = OpenedLog::open(folder)?;
    let (facts, verdict) = read(&mut opened)?;
    facts.print_counts(output)?;
    output.fact("state", &verdict.text(), verdict.fields())?;
    Ok(verdict)
}

/// What is in a log, up to its end or to the first damage.
#[derive(Default)]
struct Facts {
    frames: u64,
    records: u64,
    entities: BTreeSet<u64>,
    /// The log sequence numbers of the first byte and of the one behind the last.
    lsn: Option<(u64, u64)>,
    /// When the first frame and the last were written.
    time_ms: Option<(u64, u64)>,
}

fn read(opened: &mut OpenedLog) -> Result<(Facts, Verdict), ToolError> {
    let (mut facts, mut names) = (Facts::default(), Names::default());
    let expected = opened.expected();
    let recovered = recover(&mut opened.reader, &expected, &mut |frame| {
        facts.take_in(frame, &mut names);
    });
    // What is damaged has names that only a reader finds who goes on behind it.
    if recovered.as_ref().is_err_and(|error| matches!(error, RecoveryError::Corrupt(_))) {
        names = Survey::of(&mut opened.reader)?.names;
    }
    Ok((facts, Verdict::of(recovered, &names)?))
}

impl Facts {
    fn take_in(&mut self, frame: &FoundFrame<'_>, names: &mut Names) {
        let header = &frame.header;
        self.frames += 1;
        let (_, end) = self.lsn.get_or_insert((header.lsn, 0));
        *end = header.lsn + header.frame_bytes() as u64;
        let (_, last) = self.time_ms.get_or_insert((header.written_at_ms, 0));
        *last = header.written_at_ms;
        for record in Records::new(frame.records, header.record_count).flatten() {
            names.take_in(header.segment_id, &record);
            if !matches!(record.header.kind, RecordKind::Entity | RecordKind::Schema) {
                self.records += 1;
                self.entities.insert(record.header.entity);
            }
        }
    }

    fn print(&self, opened: &OpenedLog, output: &mut Output<'_>) -> Result<(), ToolError> {
        let (from, to) = self.lsn.unwrap_or((opened.first.base_lsn, opened.first.base_lsn));
        let text = format!("{from} to {to}");
        output.fact("lsn", &text, json!({ "from": from, "to": to }))?;
        let (first, last) = self.time_ms.unwrap_or_default();
        let text = format!("{first} to {last} ms since 1970");
        output.fact("written", &text, json!({ "first_ms": first, "last_ms": last }))?;
        self.print_counts(output)
    }

    fn print_counts(&self, output: &mut Output<'_>) -> Result<(), ToolError> {
        for (name, count) in [
            ("frames", self.frames),
            ("records", self.records),
            ("entities", self.entities.len() as u64),
        ] {
            output.fact(name, &count.to_string(), json!({ "count": count }))?;
        }
        Ok(())
    }
}

fn print_identity(opened: &OpenedLog, output: &mut Output<'_>) -> Result<(), ToolError> {
    let OpenedLog { first, last, files, .. } = opened;
    let system = escaped(first.system.as_bytes());
    output.fact("system", &system, json!({ "name": first.system }))?;
    let log_id = format!("{:032x}", first.log_id);
    output.fact("log", &log_id, json!({ "id": log_id }))?;
    output.fact("core", &first.core.to_string(), json!({ "number": first.core }))?;
    output.fact("shards", &first.shard_count.to_string(), json!({ "count": first.shard_count }))?;
    let commit = last.commit_method.to_string();
    output.fact("commit", &commit, json!({ "method": commit }))?;
    let (from, to, bytes) = (first.segment_id, last.segment_id, last.segment_bytes);
    let text = format!("{from} to {to}, of {bytes} bytes; {files} files");
    let fields = json!({ "first": from, "last": to, "segment_bytes": bytes, "files": files });
    output.fact("segments", &text, fields)?;
    Ok(())
}
