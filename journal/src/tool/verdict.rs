//! What a log is, in the end: whole, torn or corrupt.

use serde_json::{Value, json};

use super::ToolError;
use super::names::Names;
use crate::format::segment_header::SegmentHeaderError;
use crate::log::recovery::{Recovered, RecoveryError, Repair};

/// The state of a log that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ends where it should.
    Whole,
    /// A write that was never acknowledged stands behind its end.
    Torn { file: u64, offset: u64, bytes: u64 },
    /// Something that was acknowledged is gone.
    Corrupt(String),
}

impl Verdict {
    /// What recovery says. No verdict when the log cannot be read at all, or not by this program.
    pub fn of(
        recovered: Result<Recovered, RecoveryError>,
        names: &Names,
    ) -> Result<Verdict, ToolError> {
        match recovered {
            Ok(Recovered { repair: None, .. }) => Ok(Verdict::Whole),
            Ok(Recovered { repair: Some(repair), .. }) => Ok(Verdict::torn(&repair)),
            Err(RecoveryError::Read(error)) => Err(error.into()),
            Err(RecoveryError::Header { file, source }) if is_foreign(&source) => {
                Err(ToolError::Unreadable { file: file.0, reason: source.to_string() })
            }
            Err(RecoveryError::Corrupt(corruption)) => {
                let entities: Vec<String> =
                    corruption.entities.iter().map(|hash| names.shown(*hash)).collect();
                let mut text = corruption.to_string();
                if !entities.is_empty() {
                    text = format!("{text}; it has records of {}", entities.join(", "));
                }
                Ok(Verdict::Corrupt(text))
            }
            Err(error) => Ok(Verdict::Corrupt(error.to_string())),
        }
    }

    pub fn torn(repair: &Repair) -> Verdict {
        let (file, offset, bytes) = (repair.file.0, repair.offset, repair.torn_bytes);
        Verdict::Torn { file, offset, bytes }
    }

    /// 0, 1 or 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Verdict::Whole => 0,
            Verdict::Torn { .. } => 1,
            Verdict::Corrupt(_) => 2,
        }
    }

    /// In one line.
    pub fn text(&self) -> String {
        match self {
            Verdict::Whole => "whole".to_owned(),
            Verdict::Torn { file, offset, bytes } => format!(
                "torn tail: {bytes} bytes at byte {offset} of file {file} were never acknowledged; \
                 the next start zeroes them"
            ),
            Verdict::Corrupt(reason) => reason.clone(),
        }
    }

    /// For programs.
    pub fn fields(&self) -> Value {
        match self {
            Verdict::Whole => json!({ "state": "whole" }),
            Verdict::Torn { file, offset, bytes } => {
                json!({ "state": "torn", "file": file, "offset": offset, "torn_bytes": bytes })
            }
            Verdict::Corrupt(reason) => json!({ "state": "corrupt", "reason": reason }),
        }
    }
}

/// Whether the header is whole and this program cannot read what it describes.
pub fn is_foreign(error: &SegmentHeaderError) -> bool {
    matches!(
        error,
        SegmentHeaderError::NewerVersion { .. }
            | SegmentHeaderError::ForeignEndianness
            | SegmentHeaderError::ArchiveLayout { .. }
    )
}
