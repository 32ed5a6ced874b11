//! How a cluster decides which side of a partition goes on, and when.
//!
//! Every node of a cluster has to have the same settings: two sides that decide by different rules may both go on.

use std::fmt;

const SECOND_NS: u64 = 1_000_000_000;

/// A minority waits so long before it asks for the lease, so that the majority gets it if there is one.
pub const MINORITY_DELAY_NS: u64 = 2 * SECOND_NS;
/// A lease that was used is kept at least so long.
pub const LEASE_KEPT_NS: u64 = 40 * SECOND_NS;
/// A lease that nobody has answered about after so long counts as refused.
pub const LEASE_ANSWER_NS: u64 = 10 * SECOND_NS;
/// The longest times that can be set: an hour.
pub const LONGEST_NS: u64 = 3_600 * SECOND_NS;

/// Which side of a partition goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The side that has at least so many members. With more than `2 × quorum − 1` members two sides could have a
    /// quorum: then nobody goes on.
    StaticQuorum {
        /// So many are enough.
        quorum: u32,
        /// Count only members of this role.
        role: Option<String>,
    },
    /// The larger side; of two equal ones that with the lowest address.
    KeepMajority {
        /// Count only members of this role.
        role: Option<String>,
    },
    /// The side of the member that has been up for longest.
    KeepOldest {
        /// The oldest goes down itself when it is cut off alone from two or more.
        down_if_alone: bool,
        /// Look only at members of this role.
        role: Option<String>,
    },
    /// Nobody goes on.
    DownAll,
    /// The side that gets a lease from a store outside the cluster; the majority asks first.
    LeaseMajority {
        /// Only members of this role count for the majority.
        role: Option<String>,
    },
}

impl Strategy {
    /// Its name in settings and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::StaticQuorum { .. } => "static-quorum",
            Self::KeepMajority { .. } => "keep-majority",
            Self::KeepOldest { .. } => "keep-oldest",
            Self::DownAll => "down-all",
            Self::LeaseMajority { .. } => "lease-majority",
        }
    }

    pub(crate) fn role(&self) -> Option<&str> {
        match self {
            Self::StaticQuorum { role, .. }
            | Self::KeepMajority { role }
            | Self::KeepOldest { role, .. }
            | Self::LeaseMajority { role } => role.as_deref(),
            Self::DownAll => None,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What becomes of a cluster whose view does not settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnstable {
    /// Everybody goes down when changes go on for three quarters of the stable time, but at least four seconds, beyond
    /// the stable time.
    DownAll,
    /// The same after so many nanoseconds beyond the stable time.
    DownAllAfter(u64),
    /// Nothing: no decision until the view has settled.
    Wait,
}

/// The settings of [`Downing`](super::Downing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DowningSettings {
    /// Which side goes on.
    pub strategy: Strategy,
    /// How long, in nanoseconds, nothing may have changed before a decision; none for [`stable_after_ns`].
    pub stable_after_ns: Option<u64>,
    /// What becomes of a view that does not settle.
    pub when_unstable: WhenUnstable,
}

/// Settings that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DowningSettingsError {
    /// A quorum of nobody.
    #[error(
        "static-quorum with a quorum of 0 lets every side go on: set more than half of the members"
    )]
    NoQuorum,
    /// A time beyond the limits.
    #[error("{setting} is {set_ns} ns: set 1 to {LONGEST_NS}")]
    Time {
        /// Its name.
        setting: &'static str,
        /// What was asked for.
        set_ns: u64,
    },
}

impl DowningSettings {
    /// That strategy with the usual times.
    #[must_use]
    pub fn of(strategy: Strategy) -> Self {
        Self { strategy, stable_after_ns: None, when_unstable: WhenUnstable::DownAll }
    }

    pub(crate) fn check(&self) -> Result<(), DowningSettingsError> {
        if matches!(self.strategy, Strategy::StaticQuorum { quorum: 0, .. }) {
            return Err(DowningSettingsError::NoQuorum);
        }
        let unstable = match self.when_unstable {
            WhenUnstable::DownAllAfter(after_ns) => Some(after_ns),
            WhenUnstable::DownAll | WhenUnstable::Wait => None,
        };
        let times = [("stable_after_ns", self.stable_after_ns), ("when_unstable", unstable)];
        for (setting, set) in times {
            if let Some(set_ns) = set.filter(|set_ns| !(1..=LONGEST_NS).contains(set_ns)) {
                return Err(DowningSettingsError::Time { setting, set_ns });
            }
        }
        Ok(())
    }

    /// How long nothing may have changed, with so many members.
    pub(crate) fn stable_ns(&self, members: usize) -> u64 {
        self.stable_after_ns.unwrap_or_else(|| stable_after_ns(members))
    }

    /// After how much of unrest everybody goes down, with so many members.
    pub(crate) fn unrest_ns(&self, members: usize) -> Option<u64> {
        let stable_ns = self.stable_ns(members);
        match self.when_unstable {
            WhenUnstable::DownAll => Some(stable_ns + (stable_ns / 4 * 3).max(4 * SECOND_NS)),
            WhenUnstable::DownAllAfter(after_ns) => Some(stable_ns + after_ns),
            WhenUnstable::Wait => None,
        }
    }

    /// How long a lease that was used is kept, with so many members: long enough for the other side to have decided.
    pub(crate) fn lease_kept_ns(&self, members: usize) -> u64 {
        let decided_ns = self.unrest_ns(members).unwrap_or_else(|| 2 * self.stable_ns(members));
        (decided_ns + MINORITY_DELAY_NS + LEASE_ANSWER_NS).max(LEASE_KEPT_NS)
    }
}

/// How long, in nanoseconds, a view of so many members has to be unchanged before it is decided on: 7 seconds up to 5
/// members, 10 up to 10, 13 up to 20, 17 up to 50, 20 up to 100, and 30 beyond.
#[must_use]
pub fn stable_after_ns(members: usize) -> u64 {
    let seconds = match members {
        0..=5 => 7,
        6..=10 => 10,
        11..=20 => 13,
        21..=50 => 17,
        51..=100 => 20,
        _ => 30,
    };
    seconds * SECOND_NS
}
