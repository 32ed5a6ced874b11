//! Writes records into the folder of a new log, one commit after the other.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ToolError;
use crate::directory::{FileError, segment_name};
use crate::format::segment_header::CommitMethod;
use crate::format::{BLOCK_BYTES, SegmentHeader};
use crate::log::{
    AppendError, CoreLog, DeclaredEntity, LogIdentity, LogSettings, NewRecord, SegmentFile,
};

/// A log that is being written.
pub struct Writer {
    folder: PathBuf,
    log: CoreLog,
    segment_bytes: u64,
    next_file: u64,
    open: Option<(SegmentFile, File)>,
    written_at_ms: u64,
}

impl Writer {
    /// Begins a log in an empty folder: that of the same system and core as the one with this header, and with the
    /// same id, so that it can take its place.
    pub fn begin(folder: &Path, header: &SegmentHeader) -> Result<Writer, ToolError> {
        let at = |what| move |source| FileError { what, path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(at("make the folder"))?;
        if fs::read_dir(folder).map_err(at("list"))?.next().is_some() {
            return Err(ToolError::NotNew(folder.display().to_string()));
        }
        let identity = LogIdentity {
            system: header.system.clone(),
            log_id: header.log_id,
            core: header.core,
            shard_count: header.shard_count,
        };
        let settings = LogSettings {
            segment_bytes: header.segment_bytes,
            commit_method: CommitMethod::Buffered,
            ..LogSettings::default()
        };
        Ok(Writer {
            folder: folder.to_owned(),
            log: CoreLog::new(identity, settings),
            segment_bytes: header.segment_bytes,
            next_file: 1,
            open: None,
            written_at_ms: 0,
        })
    }

    /// Appends one record, new or copied forward, whose frame says that it was written at this time.
    pub fn append(
        &mut self,
        entity: &mut DeclaredEntity,
        record: &NewRecord<'_>,
        written_at_ms: u64,
        is_copy: bool,
    ) -> Result<(), ToolError> {
        self.written_at_ms = self.written_at_ms.max(written_at_ms);
        loop {
            let records = std::slice::from_ref(record);
            let appended = match is_copy {
                false => self.log.append(0, entity, records),
                true => self.log.append_copies(0, entity, records),
            };
            match appended {
                Ok(_) => return Ok(()),
                Err(AppendError::Busy { .. }) => self.write()?,
                Err(AppendError::Full { .. }) if self.log.wanted_segments() > 0 => {
                    self.make_segment()?;
                }
                Err(error) => return Err(ToolError::Salvage(error.to_string())),
            }
        }
    }

    /// Writes what waits, and a marker behind it; everything is durable when this returns.
    pub fn finish(mut self) -> Result<(), ToolError> {
        self.write()?;
        if self.log.durable().frame == 0 {
            return Ok(());
        }
        if self.log.wanted_segments() == LogSettings::default().reserve_segments {
            self.make_segment()?;
        }
        self.log.mark_idle(u64::MAX);
        self.write()?;
        self.sync()?;
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(|source| self.failed("sync", &self.folder, source))
    }

    fn write(&mut self) -> Result<(), ToolError> {
        while let Some(write) = self.log.next_write(0, self.written_at_ms) {
            if self.open.as_ref().is_none_or(|(file, _)| *file != write.file) {
                self.sync()?;
                let path = self.path(write.file);
                let opened = File::options().write(true).open(&path);
                let opened = opened.map_err(|source| self.failed("open", &path, source))?;
                self.open = Some((write.file, opened));
            }
            if let Some((file, opened)) = &self.open {
                let written = opened.write_all_at(&write.bytes, write.offset);
                written.map_err(|source| self.failed("write", &self.path(*file), source))?;
            }
            let completed = self.log.completed(write.frame);
            completed.map_err(|error| ToolError::Salvage(error.to_string()))?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), ToolError> {
        match self.open.take() {
            None => Ok(()),
            Some((file, opened)) => {
                opened.sync_all().map_err(|source| self.failed("sync", &self.path(file), source))
            }
        }
    }

    /// Makes the next file, as long as a segment and all zeroes.
    fn make_segment(&mut self) -> Result<(), ToolError> {
        let file = SegmentFile(self.next_file);
        self.next_file += 1;
        let path = self.path(file);
        let made = File::create_new(&path).and_then(|made| zero(&made, self.segment_bytes));
        made.map_err(|source| self.failed("make", &path, source))?;
        self.log.add_segment(file);
        Ok(())
    }

    fn path(&self, file: SegmentFile) -> PathBuf {
        self.folder.join(segment_name(file))
    }

    fn failed(&self, what: &'static str, path: &Path, source: std::io::Error) -> ToolError {
        ToolError::Salvage(FileError { what, path: path.to_owned(), source }.to_string())
    }
}

/// Written zeroes, so that the file has all its room.
fn zero(file: &File, bytes: u64) -> std::io::Result<()> {
    let zeroes = vec![0; 64 * BLOCK_BYTES];
    let mut offset = 0;
    while offset < bytes {
        let length = (bytes - offset).min(zeroes.len() as u64) as usize;
        file.write_all_at(&zeroes[..length], offset)?;
        offset += length as u64;
    }
    file.sync_all()
}
