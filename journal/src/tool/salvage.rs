//! `salvage`: every record that is provably whole goes into a new log, in the order of the old one; what is missing is
//! named.
//!
//! A record is provably whole when its frame is, or when it stands in a damaged stretch that was durable and its own
//! checksum is right. It is written only when its entity's name and its layout are known from a dictionary, and in
//! the order of its shard: any other is counted as lost.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::ToolError;
use super::names::Names;
use super::opened::OpenedLog;
use super::output::Output;
use super::scan::{Finding, scan};
use super::scrub::{Survey, print_damage, verdict_of};
use super::verdict::Verdict;
use super::writer::Writer;
use crate::directory::DirectoryReader;
use crate::format::RecordKind;
use crate::format::dictionary::SchemaEntry;
use crate::format::record::Record;
use crate::log::recovery::{Expected, recover};
use crate::log::{DeclaredEntity, DeclaredSchema, NewRecord};

/// Writes what is left of a log into a new folder.
pub fn salvage(
    folder: &Path,
    new_folder: &Path,
    output: &mut Output<'_>,
) -> Result<Verdict, ToolError> {
    let mut opened = OpenedLog::open(folder)?;
    let expected = opened.expected();
    let writer = Writer::begin(new_folder, &opened.first)?;
    // Once for the names alone: one that is damaged in a segment may stand in a later one.
    let Survey { names, damages, scanned } = Survey::of(&mut opened.reader)?;
    for damage in &damages {
        print_damage(damage, &names, output)?;
    }
    let first_segment = scanned.first_segment;
    let is_from_the_start = first_segment == 1;
    if !is_from_the_start {
        let text = format!("with segment {first_segment}; earlier ones were removed, or are gone");
        output.fact("begins", &text, json!({ "segment": first_segment }))?;
    }
    let mut saved = Salvage::new(writer, names, is_from_the_start);
    scan(&mut opened.reader, &mut |finding| match finding {
        Finding::Record { segment_id, written_at_ms, record } => {
            saved.take_in(segment_id, written_at_ms, &record)
        }
        Finding::Damage(_) => Ok(()),
    })?;
    let Salvage { writer, names, entities, shards, records, .. } = saved;
    writer.finish()?;
    check_written(new_folder, &expected, records)?;
    for (shard, sequence) in &shards {
        sequence.print(*shard, output)?;
    }
    for (hash, entity) in &entities {
        entity.print(&names.shown(*hash), output)?;
    }
    let whole = entities.values().filter(|entity| entity.records > 0).count();
    let fields = json!({ "records": records, "entities": whole });
    output.fact("salvaged", &format!("{records} records of {whole} entities"), fields)?;
    Ok(verdict_of(&scanned))
}

/// What was written is read back before anybody relies on it.
fn check_written(folder: &Path, expected: &Expected, records: u64) -> Result<(), ToolError> {
    let mut reader = DirectoryReader::open(folder)?;
    let found = recover(&mut reader, expected, &mut |_| ());
    let found = found.map_err(|error| ToolError::Salvage(error.to_string()))?;
    if found.records != records {
        let text = format!("{} of {records} records can be read back", found.records);
        return Err(ToolError::Salvage(text));
    }
    Ok(())
}

struct Salvage {
    writer: Writer,
    names: Names,
    /// Whether the old log has its first segment: an entity whose events begin later has lost some.
    is_from_the_start: bool,
    entities: BTreeMap<u64, Entity>,
    shards: BTreeMap<u32, ShardSequence>,
    schemas: BTreeMap<(String, u16, u64), DeclaredSchema>,
    records: u64,
}

/// What was found of a shard's records, which are numbered without a gap while the shard has one owner.
#[derive(Default)]
struct ShardSequence {
    last: Option<(u64, u64)>,
    /// Numbers that are not there, first and last.
    missing: Vec<(u64, u64)>,
}

/// What is known of one entity.
#[derive(Default)]
struct Entity {
    declared: Option<DeclaredEntity>,
    records: u64,
    /// Whole records that nothing could read, because the name or the layout is gone, or that are out of order.
    lost: u64,
    last_sequence: Option<u64>,
    /// Sequence numbers of events that are not there, first and last.
    missing: Vec<(u64, u64)>,
    /// A state or a deletion up to this number makes what is missing before it needless.
    settled_to: u64,
}

impl Salvage {
    fn new(writer: Writer, names: Names, is_from_the_start: bool) -> Salvage {
        Salvage {
            writer,
            names,
            is_from_the_start,
            entities: BTreeMap::new(),
            shards: BTreeMap::new(),
            schemas: BTreeMap::new(),
            records: 0,
        }
    }

    fn take_in(
        &mut self,
        segment_id: u64,
        written_at_ms: u64,
        record: &Record<'_>,
    ) -> Result<(), ToolError> {
        self.names.take_in(segment_id, record);
        let header = &record.header;
        if matches!(header.kind, RecordKind::Entity | RecordKind::Schema) {
            return Ok(());
        }
        let layout = self.names.layout(segment_id, header.schema);
        let entity = self.entities.entry(header.entity).or_default();
        if entity.declared.is_none()
            && let Some(entry) = self.names.entity(header.entity)
        {
            let declared = DeclaredEntity::new(&entry.entity_type, &entry.id);
            entity.declared =
                Some(declared.map_err(|error| ToolError::Salvage(error.to_string()))?);
        }
        if header.kind == RecordKind::ShardEpoch && header.entity == 0 {
            entity.declared.get_or_insert_with(DeclaredEntity::nobody);
        }
        let Some(declared) = entity.declared.as_mut() else {
            entity.lost += 1;
            return Ok(());
        };
        let shard = self.shards.entry(header.shard).or_default();
        // A copy stands behind what was written after it.
        let is_in_order = record.is_copy
            || shard.last.is_none_or(|last| last < (header.epoch, header.shard_sequence));
        if !is_in_order || header.schema != 0 && layout.is_none() {
            entity.lost += 1;
            return Ok(());
        }
        let schema = match layout {
            Some(layout) => Some(declared_schema(&mut self.schemas, layout)?),
            None => None,
        };
        let new = NewRecord {
            kind: header.kind,
            schema,
            shard: header.shard,
            entity_sequence: header.entity_sequence,
            shard_sequence: header.shard_sequence,
            epoch: header.epoch,
            payload: record.payload,
        };
        self.writer.append(declared, &new, written_at_ms, record.is_copy)?;
        match record.is_copy {
            true => entity.records += 1,
            false => {
                shard.count(header.epoch, header.shard_sequence);
                entity.count(header.kind, header.entity_sequence, self.is_from_the_start);
            }
        }
        self.records += 1;
        Ok(())
    }
}

fn declared_schema<'s>(
    schemas: &'s mut BTreeMap<(String, u16, u64), DeclaredSchema>,
    layout: &SchemaEntry,
) -> Result<&'s DeclaredSchema, ToolError> {
    let SchemaEntry { name, version, fingerprint, .. } = layout;
    let key = (name.clone(), *version, *fingerprint);
    match schemas.entry(key) {
        std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
        std::collections::btree_map::Entry::Vacant(entry) => {
            let declared = DeclaredSchema::new(name, *version, *fingerprint);
            let declared = declared.map_err(|error| ToolError::Salvage(error.to_string()))?;
            Ok(entry.insert(declared))
        }
    }
}

impl ShardSequence {
    fn count(&mut self, epoch: u64, sequence: u64) {
        if let Some((last_epoch, last)) = self.last
            && last_epoch == epoch
            && sequence > last + 1
        {
            self.missing.push((last + 1, sequence - 1));
        }
        self.last = Some((epoch, sequence));
    }

    fn print(&self, shard: u32, output: &mut Output<'_>) -> Result<(), ToolError> {
        for (first, last) in &self.missing {
            let text = format!("records {first} to {last} of shard {shard}");
            let fields = json!({ "shard": shard, "first": first, "last": last });
            output.fact("missing", &text, fields)?;
        }
        Ok(())
    }
}

impl Entity {
    fn count(&mut self, kind: RecordKind, sequence: u64, is_from_the_start: bool) {
        self.records += 1;
        let before = self.last_sequence.or(is_from_the_start.then_some(0));
        match kind {
            RecordKind::Event => {
                if let Some(before) = before
                    && sequence > before + 1
                {
                    self.missing.push((before + 1, sequence - 1));
                }
                self.last_sequence = Some(sequence.max(before.unwrap_or(0)));
            }
            RecordKind::State | RecordKind::Deletion => {
                self.settled_to = self.settled_to.max(sequence);
                self.last_sequence = Some(sequence.max(before.unwrap_or(0)));
            }
            _ => {}
        }
    }

    fn print(&self, name: &str, output: &mut Output<'_>) -> Result<(), ToolError> {
        for (first, last) in &self.missing {
            let is_settled = *last <= self.settled_to;
            let mut text = format!("events {first} to {last} of {name}");
            if is_settled {
                let by = self.settled_to;
                text = format!("{text}; a state or a deletion at {by} stands in their place");
            }
            let fields =
                json!({ "entity": name, "first": first, "last": last, "needed": !is_settled });
            output.fact("missing", &text, fields)?;
        }
        if self.lost > 0 {
            let lost = self.lost;
            let text = format!(
                "{lost} records of {name}: their name or layout is not known any more, or they are out of order"
            );
            output.fact("lost", &text, json!({ "entity": name, "records": lost }))?;
        }
        Ok(())
    }
}
