//! Whose log it is, and its limits.

#[cfg(doc)]
use crate::format::commit_frame::MOST_FRAME_BYTES;
use crate::format::segment_header::CommitMethod;

/// Whose log it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The system's name.
    pub system: String,
    /// Tells this log from every other one.
    pub log_id: u128,
    /// Which core's log it is.
    pub core: u32,
    /// How many shards the system has.
    pub shard_count: u32,
}

/// The limits of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The length of a segment's file.
    pub segment_bytes: u64,
    /// A frame is complete at this size at the latest; a group of records may make one longer, up to
    /// [`MOST_FRAME_BYTES`].
    pub frame_limit_bytes: usize,
    /// Frames that are being written at the same time.
    pub frames_in_flight_limit: usize,
    /// Bytes of frames that wait to be written.
    pub pending_limit_bytes: usize,
    /// Segments that are kept ready ahead.
    pub reserve_segments: usize,
    /// When nothing was written for so long, a marker frame says that the last frame is durable.
    pub idle_marker_ns: u64,
    /// How the driver commits; written down with each segment.
    pub commit_method: CommitMethod,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            segment_bytes: 64 << 20,
            frame_limit_bytes: 256 << 10,
            frames_in_flight_limit: 1,
            pending_limit_bytes: 4 << 20,
            reserve_segments: 2,
            idle_marker_ns: 1_000_000,
            commit_method: CommitMethod::Simulated,
        }
    }
}
