//! How the completions of sockets are told apart: by slot and by what was asked.

use std::ops::Range;

/// The tags of a ring that belong to its sockets: no other driver of the core uses one of these.
pub(super) const NET_TAGS: Range<u64> = 0x4E57 << 48..0x4E58 << 48;

/// What was asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Receive,
    Send,
    Connect,
    /// Of one of the above.
    Cancel,
    Accept,
    /// A listener waits before it tries again.
    AcceptPause,
    /// Of one of the listener's.
    CancelAccept,
}

const PARTS: [Part; 7] = [
    Part::Receive,
    Part::Send,
    Part::Connect,
    Part::Cancel,
    Part::Accept,
    Part::AcceptPause,
    Part::CancelAccept,
];

pub(super) fn tag(slot: u32, part: Part) -> u64 {
    NET_TAGS.start | u64::from(slot) << 8 | part as u64
}

/// Slot and part of a tag; nothing if it is not one of ours.
pub(super) fn parse(tag: u64) -> Option<(u32, Part)> {
    if !NET_TAGS.contains(&tag) {
        return None;
    }
    let part = PARTS.get((tag & 0xFF) as usize)?;
    Some(((tag >> 8) as u32, *part))
}

#[cfg(test)]
mod tests {
    use super::{PARTS, parse, tag};
    use crate::driver::disk::DISK_TAGS;

    #[test]
    fn every_tag_is_read_back_and_no_other_is_ours() {
        for part in PARTS {
            for slot in [0, 1, 0xFFFF, u32::MAX] {
                assert_eq!(parse(tag(slot, part)), Some((slot, part)));
                assert!(!DISK_TAGS.contains(&tag(slot, part)));
            }
        }
        assert_eq!(parse(DISK_TAGS.start), None);
        assert_eq!(parse(tag(0, PARTS[0]) | 0xFF), None);
    }
}
