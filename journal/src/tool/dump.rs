//! `dump`: every record, one a line, in the order of the log.

use std::io;
use std::path::Path;

use serde_json::json;

use super::ToolError;
use super::names::{self, Names};
use super::opened::OpenedLog;
use super::output::Output;
use super::verdict::Verdict;
use crate::format::RecordKind;
use crate::format::record::{Record, Records};
use crate::log::recovery::{FoundFrame, recover};

/// Prints the records of a log, or of one entity. Of a corrupt log those before the damage.
pub fn dump(
    folder: &Path,
    entity: Option<&str>,
    output: &mut Output<'_>,
) -> Result<Verdict, ToolError> {
    let wanted = match entity {
        None => None,
        Some(shown) => {
            let hash = names::hash_of_shown(shown);
            Some(hash.ok_or_else(|| ToolError::Entity(shown.to_owned()))?)
        }
    };
    let mut opened = OpenedLog::open(folder)?;
    let expected = opened.expected();
    let mut names = Names::default();
    let mut printed: io::Result<()> = Ok(());
    let recovered = recover(&mut opened.reader, &expected, &mut |frame| {
        for record in Records::new(frame.records, frame.header.record_count).flatten() {
            names.take_in(frame.header.segment_id, &record);
            let is_wanted = wanted.is_none_or(|entity| entity == record.header.entity);
            if is_wanted && printed.is_ok() {
                printed = print(frame, &record, &names, output);
            }
        }
    });
    printed?;
    let verdict = Verdict::of(recovered, &names)?;
    if verdict != Verdict::Whole {
        output.fact("state", &verdict.text(), verdict.fields())?;
    }
    Ok(verdict)
}

fn print(
    frame: &FoundFrame<'_>,
    record: &Record<'_>,
    names: &Names,
    output: &mut Output<'_>,
) -> io::Result<()> {
    let name = match record.header.kind {
        RecordKind::Event => "event",
        RecordKind::State => "state",
        RecordKind::Deletion => "deletion",
        RecordKind::ShardEpoch => "epoch",
        RecordKind::Remembered => "remember",
        RecordKind::Forgotten => "forget",
        RecordKind::Command => "command",
        RecordKind::Tag => "tag",
        RecordKind::Schema | RecordKind::Entity => return Ok(()),
    };
    let header = &record.header;
    let layout = names.layout(frame.header.segment_id, header.schema);
    let entity = names.shown(header.entity);
    let content = match record.header.kind {
        RecordKind::Tag => names::escaped(record.payload),
        RecordKind::Command => hexadecimal(record.payload),
        _ => format!("{} bytes", record.payload.len()),
    };
    let mut text = format!(
        "{entity} {} | shard {}/{} epoch {} | frame {} segment {} | {content}",
        header.entity_sequence,
        header.shard,
        header.shard_sequence,
        header.epoch,
        frame.header.sequence,
        frame.header.segment_id,
    );
    if let Some(layout) = layout {
        let name = names::escaped(layout.name.as_bytes());
        text = format!("{text} of {name} v{}", layout.version);
    }
    if record.is_copy {
        text.push_str(" | copied forward");
    }
    let fields = json!({
        "entity": entity,
        "sequence": header.entity_sequence,
        "shard": header.shard,
        "shard_sequence": header.shard_sequence,
        "epoch": header.epoch,
        "frame": frame.header.sequence,
        "segment": frame.header.segment_id,
        "written_at_ms": frame.header.written_at_ms,
        "layout": layout.map(|layout| json!({
            "name": layout.name,
            "version": layout.version,
            "fingerprint": format!("{:016x}", layout.fingerprint),
        })),
        "copied_forward": record.is_copy,
        "payload": hexadecimal(record.payload),
    });
    output.fact(name, &text, fields)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
