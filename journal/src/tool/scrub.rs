//! `scrub`: every block of every segment, and all damage there is.

use std::path::Path;

use serde_json::{Value, json};

use super::ToolError;
use super::names::Names;
use super::opened::OpenedLog;
use super::output::Output;
use super::scan::{Damage, Finding, Scanned, scan};
use super::verdict::Verdict;
use crate::log::recovery::SegmentReader;

/// Reports all damage of a log.
pub fn scrub(folder: &Path, output: &mut Output<'_>) -> Result<Verdict, ToolError> {
    let mut opened = OpenedLog::open(folder)?;
    let Survey { names, damages, scanned } = Survey::of(&mut opened.reader)?;
    for damage in &damages {
        print_damage(damage, &names, output)?;
    }
    let Scanned { blocks, frames, .. } = scanned;
    let read = json!({ "blocks": blocks, "frames": frames, "damages": scanned.damages });
    output.fact("read", &format!("{blocks} blocks, {frames} whole frames"), read)?;
    let verdict = verdict_of(&scanned);
    output.fact("state", &verdict.text(), verdict.fields())?;
    Ok(verdict)
}

/// All damage of a log, and the names in it.
pub struct Survey {
    pub names: Names,
    /// The first [`MOST_DAMAGES`].
    pub damages: Vec<Damage>,
    pub scanned: Scanned,
}

/// The most damages that are listed; all are counted.
const MOST_DAMAGES: usize = 100_000;

impl Survey {
    /// Reads all of a log.
    pub fn of(reader: &mut dyn SegmentReader) -> Result<Survey, ToolError> {
        let (mut names, mut damages) = (Names::default(), Vec::new());
        let scanned = scan(reader, &mut |finding| {
            match finding {
                Finding::Record { segment_id, record, .. } => names.take_in(segment_id, &record),
                Finding::Damage(damage) if damages.len() < MOST_DAMAGES => damages.push(damage),
                Finding::Damage(_) => {}
            }
            Ok(())
        })?;
        Ok(Survey { names, damages, scanned })
    }
}

/// Prints one damage; its entities as far as their names are known.
pub fn print_damage(
    damage: &Damage,
    names: &Names,
    output: &mut Output<'_>,
) -> Result<(), ToolError> {
    let Damage { file, segment_id, offset, bytes, reason, frames, entities } = damage;
    let known = entities.iter().filter(|hash| names.entity(**hash).is_some());
    let entities: Vec<String> = known.map(|hash| names.shown(*hash)).collect();
    let mut text = format!("segment {segment_id}");
    if let Some(file) = file {
        text = format!("{text}, byte {offset} of file {file}, {bytes} bytes");
    }
    text = format!("{text}: {reason}");
    if let Some((first, last)) = frames {
        text = match last - first {
            0 => format!("{text}; frame {first} is damaged or gone"),
            _ => format!("{text}; frames {first} to {last} are damaged or gone"),
        };
    }
    if !entities.is_empty() {
        text = format!("{text}; records of {}", entities.join(", "));
    }
    let fields = json!({
        "segment": segment_id,
        "file": file,
        "offset": offset,
        "bytes": bytes,
        "reason": reason,
        "frames": frames.map_or(Value::Null, |(first, last)| json!([first, last])),
        "entities": entities,
    });
    output.fact("damage", &text, fields)?;
    Ok(())
}

/// What a scan says of the log.
pub fn verdict_of(scanned: &Scanned) -> Verdict {
    match (scanned.damages, scanned.torn) {
        (0, None) => Verdict::Whole,
        (0, Some((file, offset, bytes))) => Verdict::Torn { file, offset, bytes },
        (count, _) => Verdict::Corrupt(format!(
            "corruption in {count} place{}; restore a copy, or salvage what is left into a new directory",
            if count == 1 { "" } else { "s" }
        )),
    }
}
