//! Versions of the protocol, and the one that two nodes share.

use std::fmt;

/// The newest version that this crate speaks.
pub const CURRENT_VERSION: Version = Version { major: 1, minor: 0 };

/// A version of the protocol between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Changes when old nodes cannot talk to new ones any more.
    pub major: u8,
    /// Changes when something is added that is only used where both sides know it.
    pub minor: u8,
}

/// The versions that a node speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The oldest.
    pub oldest: Version,
    /// The newest.
    pub newest: Version,
}

impl Version {
    /// The version as it stands on the wire.
    pub const fn code(self) -> u16 {
        (self.major as u16) << 8 | self.minor as u16
    }

    /// The version that stands on the wire.
    pub const fn from_code(code: u16) -> Version {
        Version { major: (code >> 8) as u8, minor: code as u8 }
    }
}

impl VersionRange {
    /// What this crate speaks.
    pub const CURRENT: VersionRange =
        VersionRange { oldest: Version { major: 1, minor: 0 }, newest: CURRENT_VERSION };

    /// The highest version that both speak.
    pub fn common(self, other: VersionRange) -> Option<Version> {
        let highest = self.newest.min(other.newest);
        (highest >= self.oldest.max(other.oldest)).then_some(highest)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.oldest, self.newest)
    }
}

#[test]
fn the_highest_common_version_is_spoken() {
    let range = |oldest, newest| VersionRange {
        oldest: Version::from_code(oldest),
        newest: Version::from_code(newest),
    };
    let common = |a: VersionRange, b: VersionRange| {
        assert_eq!(a.common(b), b.common(a));
        a.common(b).map(Version::code)
    };
    assert_eq!(common(range(0x100, 0x100), range(0x100, 0x103)), Some(0x100));
    assert_eq!(common(range(0x100, 0x203), range(0x102, 0x300)), Some(0x203));
    assert_eq!(common(range(0x100, 0x1FF), range(0x200, 0x200)), None);
    assert_eq!(common(range(0x100, 0x100), range(0x105, 0x100)), None);
}
